// Text into the page: always as text, never as HTML. What cannot be seen, or would reorder what is seen, is spelled out.

const $ = (id) => document.getElementById(id);

/** An element with attributes (or properties: on..., class) and children; strings become text. */
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Controls but tab and newline, zero-width and bidirectional characters, separators, tags, noncharacters, and
// surrogates without a partner: text with them may look like something else than it is.
const UNSEEN =
  /[\0-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff]|[\u{e0000}-\u{e0fff}]|\p{Cs}/gu;

function codeName(character) {
  return "U+" + character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
}

/** Append text to a node, with unseen characters spelled out. */
function appendText(node, text) {
  let from = 0;
  for (const match of text.matchAll(UNSEEN)) {
    if (match.index > from) node.append(text.slice(from, match.index));
    node.append(el("span", { class: "unseen", title: "a character that is not visible as such" }, codeName(match[0])));
    from = match.index + match[0].length;
  }
  if (from < text.length) node.append(text.slice(from));
}

/** A short text from outside, such as a model's name, as one isolated run. */
function outside(text, attributes) {
  const node = el("bdi", attributes);
  appendText(node, String(text));
  return node;
}

/** The same for places that take strings alone. */
const plain = (text) => String(text).replace(UNSEEN, (character) => `[${codeName(character)}]`);

// Halves are rounded up as in the tables, also where their last bit is a little low.
const percent = (value) => (value === null || value === undefined ? "–" : (100 * value + 1e-9).toFixed(1));
const count = (number) => number.toLocaleString("en");
const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

function seconds(value) {
  return value >= 10 ? `${value.toFixed(0)} s` : value >= 0.1 ? `${value.toFixed(2)} s` : `${(1000 * value).toFixed(0)} ms`;
}

function bytes(value) {
  return value >= 1 << 20 ? `${(value / (1 << 20)).toFixed(0)} MiB` : `${Math.ceil(value / 1024)} KiB`;
}

const SCENARIOS = {
  fixtests: "Fix, with tests",
  fixdocs: "Fix, with docs",
  explaindescribe: "Explain",
  explainsynthesize: "Explain, then write",
  synthesize: "Synthesize",
  quixbugs: "QuixBugs",
};
/** Titles by name of language, in the order of the tables; filled from the data. */
const LANGUAGES = {};
/** The languages of the paper, over which means are taken. */
const PAPER_LANGUAGES = new Set();
const OUTCOMES = {
  passed: ["✓", "passed"],
  failed: ["✗", "failed"],
  compile_error: ["⌘", "compile error"],
  runtime_error: ["!", "runtime error"],
  timeout: ["◷", "timeout"],
  memory_limit: ["▣", "memory limit"],
  output_limit: ["≡", "output limit"],
  no_answer: ["∅", "no answer"],
  sandbox_error: ["?", "sandbox error"],
  not_judged: ["…", "not judged"],
};
const named = (table, name) => table[name] || (name ? name[0].toUpperCase() + name.slice(1) : "–");
const outcomeName = (name) => (OUTCOMES[name] || ["·", name])[1];
const outcomeClass = (name) => (OUTCOMES[name] ? `o-${name.replace("_", "-")}` : "o-not-judged");
const outcomeMark = (name) =>
  el("span", { class: `mark-of ${outcomeClass(name)}`, "aria-hidden": "true" }, (OUTCOMES[name] || ["·"])[0]);
