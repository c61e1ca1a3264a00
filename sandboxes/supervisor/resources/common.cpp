// What ordinary C++ programs do with the standard library. It never runs: `cpp_instances.py` compiles it to learn which
// instances of the library's templates such programs need. Each one makes the precompiled header larger, so only what is
// common stands here.
#include "preamble.h"

namespace {

volatile size_t sink;

template <class T> void sequence(vector<T> a, const vector<T>& b, const T& x) {
    vector<T> listed = {x, x}, copy(b), moved(move(copy)), sized(3), filled(3, x), none;
    a = b;
    a = vector<T>{};
    a.push_back(x);
    a.push_back(T(x));
    a.insert(a.begin(), x);
    a.erase(a.begin());
    a.pop_back();
    a.clear();
    a[0] = b[0];
    sink = a.size() + a.empty() + (a == b);
    for (T& one : a) one = x;
    for (const T& one : b) a.push_back(one);
    for (auto i = a.begin(); i != a.end(); i++) *i = a.back();
}

template <class T> void sorting(vector<T> a, const T& x) {
    sort(a.begin(), a.end());
    reverse(a.begin(), a.end());
    sink = *max_element(a.begin(), a.end()) == *min_element(a.begin(), a.end());
    sink = find(a.begin(), a.end(), x) != a.end();
    sink = count(a.begin(), a.end(), x) + (max(x, x) == min(x, x));
    swap(a[0], a[1]);
}

template <class K, class V> void maps(const K& key, const V& value) {
    map<K, V> m;
    m[key] = value;
    sink = m.size() + m.count(key) + (m.find(key) != m.end());
    for (auto i = m.begin(); i != m.end(); i++) i->second = value;
    for (auto one : m) m[one.first] = one.second;
}

void strings(string a, const string& b, char c) {
    string part(b, 1, 2), filled(3, c), range(b.begin(), b.end()), literal = "x";
    a = a + b;
    a = a + c;
    a = c + a;
    a = a + "x";
    a = "x" + a + b + c;
    a = a + to_string(1) + a.substr(0, 1);
    sink = (a == b) + (a == "x") + (a != b) + (a < b);
    for (char& one : a) one = toupper(one);
    for (auto i = a.begin(); i != a.end(); i++) *i = tolower(*i);
    sort(a.begin(), a.end());
    reverse(a.begin(), a.end());
    transform(a.begin(), a.end(), a.begin(), ::tolower);
    sink = count(a.begin(), a.end(), c) + (find(a.begin(), a.end(), c) != a.end());
    stringstream text(a);
    text << a << 1 << "x" << endl;
    while (text >> a) sink = a.size();
    cout << a << c << 1 << 1.5 << "x" << endl;
}

}  // namespace

void use(int i, char c, float f, double d, long long l, const string& s) {
    sequence<int>({i}, {i}, i);
    sequence<float>({f}, {f}, f);
    sequence<double>({d}, {d}, d);
    sequence<char>({c}, {c}, c);
    sequence<long long>({l}, {l}, l);
    sequence<string>({s}, {s}, s);
    sequence<vector<int>>({{i}}, {{i}}, {i});
    sequence<vector<string>>({{s}}, {{s}}, {s});
    sorting<int>({i}, i);
    sorting<float>({f}, f);
    sorting<double>({d}, d);
    sorting<string>({s}, s);
    maps(i, i);
    maps(c, i);
    maps(s, i);
    strings(s, s, c);
    set<int> numbers;
    numbers.insert(i);
    sink = numbers.size() + numbers.count(i);
    sink = abs(i) + abs(d) + abs(f) + pow(i, 2) + pow(d, 2) + sqrt(i) + sqrt(d) + floor(d) + round(d) + round(f) + l;
    sink = max(i, i) + min(i, i) + max(d, d) + max(f, f) + min(l, l);
}
