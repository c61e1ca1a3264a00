// Colours for the languages of the tasks: comments, strings, numbers, keywords, names that are called. Text in
// any other language stays plain.

const KEYWORDS = {
  python:
    "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield match case self",
  js: "async await break case catch class const continue debugger default delete do else export extends false finally for function if import in instanceof let new null of return static super switch this throw true try typeof undefined var void while with yield",
  java: "abstract assert boolean break byte case catch char class const continue default do double else enum extends false final finally float for if implements import instanceof int interface long native new null package private protected public record return short static super switch synchronized this throw throws transient true try var void volatile while",
  go: "break case chan const continue default defer else fallthrough false for func go goto if import interface iota map nil package range return select struct switch true type var bool byte error float32 float64 int int32 int64 rune string uint any",
  cpp: "alignas alignof auto bool break case catch char class const constexpr continue decltype default delete do double else enum explicit extern false float for friend goto if inline int long mutable namespace new noexcept nullptr operator private protected public return short signed sizeof static static_assert struct switch template this throw true try typedef typename union unsigned using virtual void volatile while size_t string vector",
  rust: "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true type union unsafe use where while bool char f32 f64 i8 i16 i32 i64 i128 isize str u8 u16 u32 u64 u128 usize String Vec Option Some None Ok Err",
};
KEYWORDS.typescript =
  `${KEYWORDS.js} abstract any as boolean declare enum implements interface keyof never number private protected public ` +
  "readonly string symbol type unknown namespace satisfies";
const KEYWORD_SETS = Object.fromEntries(Object.entries(KEYWORDS).map(([name, words]) => [name, new Set(words.split(" "))]));

const SLASH_COMMENT = String.raw`\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)`;
const QUOTED = String.raw`"(?:[^"\\\n]|\\[\s\S])*(?:"|(?=\n)|$)`;
const CHARACTER = String.raw`'(?:[^'\\\n]|\\[^\n]){1,10}'`;
const COMMENTS = { python: String.raw`#[^\n]*` };
const STRINGS = {
  python: String.raw`[rbfuRBFU]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|${QUOTED}|'(?:[^'\\\n]|\\[\s\S])*(?:'|(?=\n)|$))`,
  js: String.raw`${QUOTED}|'(?:[^'\\\n]|\\[\s\S])*(?:'|(?=\n)|$)|${"`"}(?:[^${"`"}\\]|\\[\s\S])*(?:${"`"}|$)`,
  go: String.raw`${QUOTED}|${"`"}[^${"`"}]*(?:${"`"}|$)|${CHARACTER}`,
  rust: String.raw`b?r(?<hashes>#*)"[\s\S]*?(?:"\k<hashes>|$)|b?"(?:[^"\\]|\\[\s\S])*(?:"|$)|b?'(?:[^'\\\n]|\\[^\n]{1,8})'`,
};
STRINGS.typescript = STRINGS.js;
const NUMBER = String.raw`\b(?:0[xXbBoO][\da-fA-F_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)\w*`;
const NAME = String.raw`[A-Za-z_$][\w$]*(?=(?<call>\s*\(|!\s*[([{])?)`;

const TOKENS = Object.fromEntries(
  Object.keys(KEYWORDS).map((language) => [
    language,
    new RegExp(
      `(?<comment>${COMMENTS[language] || SLASH_COMMENT})|(?<string>${STRINGS[language] || `${QUOTED}|${CHARACTER}`})` +
        `|(?<number>${NUMBER})|(?<name>${NAME})`,
      "g",
    ),
  ]),
);
const LONGEST_COLOURED = 60000;

/** The lines of a text, each a list of [class, text]; class "" is plain. */
function colouredLines(text, language) {
  const lines = [[]];
  const add = (kind, piece) => {
    piece.split("\n").forEach((part, index) => {
      if (index) lines.push([]);
      if (part) lines[lines.length - 1].push([kind, part]);
    });
  };
  const tokens = text.length <= LONGEST_COLOURED && Object.hasOwn(TOKENS, language) ? TOKENS[language] : null;
  if (!tokens) {
    add("", text);
    return lines;
  }
  let from = 0;
  for (const match of text.matchAll(tokens)) {
    const groups = match.groups;
    const kind = groups.comment ? "c" : groups.string ? "s" : groups.number ? "n"
      : KEYWORD_SETS[language].has(match[0]) ? "k" : groups.call !== undefined ? "f" : "";
    if (!kind || !match[0]) continue;
    add("", text.slice(from, match.index));
    add(kind, match[0]);
    from = match.index + match[0].length;
  }
  add("", text.slice(from));
  return lines;
}
