"""C++ templates that are compiled once: what is declared for them, and programs that must not get them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sandboxes import Program, Status, open_sandbox
from sandboxes.supervisor.languages.cpp import _OWN_MEANING, PREAMBLE
from sandboxes.supervisor.languages.cpp_instances import _instances
from sandboxes.supervisor.languages.elf import defined_symbols

INT_VECTOR = "std::vector<int, std::allocator<int> >"
TESTS = "int main() {\n    assert(same({1}, {2}) == false);\n}\n"
ASSERT = "#undef NDEBUG\n#include<assert.h>\n"


@pytest.mark.parametrize(
    ("symbol", "readable", "expected"),
    [
        ("_ZNKSt6vectorIiSaIiEE4sizeEv", f"{INT_VECTOR}::size() const", [f"template class {INT_VECTOR};"]),
        (
            "_ZSt3minImERKT_S2_S2_",
            "int const& std::min<int>(int const&)",
            ["template int const& std::min<int>(int const&);"],
        ),
        ("_ZSteq", f"bool std::operator==<int>({INT_VECTOR})", [f"template bool std::operator==<int>({INT_VECTOR});"]),
        ("_ZN1AIiEclEv", "A<int>::operator()(B<char>)", ["template class A<int>;"]),
        ("_ZN1AIiEC1IcEEc", "A<int>::A<char>(char)", ["template A<int>::A<char>(char);", "template class A<int>;"]),
        ("_ZSt3absd", "std::abs(double)", []),
        ("_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const", []),
    ],
)
def test_a_symbol_says_what_to_instantiate(symbol: str, readable: str, expected: list[str]) -> None:
    assert list(_instances(f"0000 W {symbol}", f"0000 W {readable}")) == expected


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a compiler")
def test_symbols_are_found_however_they_are_defined(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(
        "static int hidden(void) { return 1; }\n"
        'int plain(void) { return hidden(); }\nint other(void) __attribute__((alias("plain")));\n'
        'int renamed(void) __asm__("given");\nint renamed(void) { return 2; }\nint weak __attribute__((weak)) = 1;\n'
        "extern int elsewhere(void);\nint caller(void) { return elsewhere(); }\n"
    )
    subprocess.run(["gcc", "-c", "a.c"], cwd=tmp_path, check=True)
    assert defined_symbols(tmp_path / "a.o") == {"plain", "other", "given", "weak", "caller"}
    (tmp_path / "b.o").write_bytes((tmp_path / "a.o").read_bytes()[:100])
    with pytest.raises(ValueError, match="no object file"):
        defined_symbols(tmp_path / "b.o")


@pytest.mark.parametrize(
    "text",
    [
        "namespace std { bool operator<(pair<int, int>, pair<int, int>); }",
        'bool mine() asm("_ZSteqIiSaIiEEbRKSt6vectorIT_T0_ES6_");',
        'extern "C" bool _ZSteqIiSaIiEEbRKSt6vectorIT_T0_ES6_() { return true; }',
        "#define JOIN(a, b) a##b",
        "#pragma redefine_extname mine other",
    ],
)
def test_programs_with_meanings_of_their_own_stand_out(text: str) -> None:
    assert _OWN_MEANING.search(text)
    assert not _OWN_MEANING.search("using namespace std;\nint plasma(int a) { return a; }".replace("plasma", "sum"))


@pytest.mark.docker
def test_no_program_replaces_an_instance_or_the_assertion_unseen() -> None:
    honest = "bool same(vector<int> a, vector<int> b){\n    return a == b;\n}\n"
    equal = "_ZSteqIiSaIiEEbRKSt6vectorIT_T0_ES6_"
    replaced = f'extern "C" bool {equal}(const vector<int>&, const vector<int>&) {{ return false; }}\n' + honest
    wrong = "bool same(vector<int> a, vector<int> b){\n    return true;\n}\n"
    alias = (
        'extern "C" void quiet(const char*, const char*, unsigned, const char*) { exit(0); }\n'
        'extern "C" void __assert_fail(const char*, const char*, unsigned, const char*) noexcept '
        '__attribute__((__alias__("quiet")));\n'
    )
    programs = [
        Program("cpp", PREAMBLE + text + ASSERT + TESTS, len(PREAMBLE + text))
        for text in (honest, replaced, wrong, alias + wrong)
    ]
    with open_sandbox("docker", languages=["cpp"], workers=1, cache=False) as sandbox:
        first, *others = sandbox.run(programs)
    assert first.status is Status.PASSED
    assert not any(verdict.passed for verdict in others)
