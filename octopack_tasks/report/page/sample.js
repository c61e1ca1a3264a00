// A sample: its verdict, and all of its texts; in a comparison two samples of a problem side by side.

const TABS = [
  ["solution", "Solution"], ["buggy", "vs buggy"], ["canonical", "vs canonical"], ["completion", "Completion"],
  ["prompt", "Prompt"], ["program", "Program"], ["tests", "Tests"], ["other", "A vs B"],
];
const MOST_LINES = 1500;
let drawing = 0;

async function samplePage(opened) {
  const turn = ++drawing;
  const { cell, number, other } = opened;
  const [problem, ...samples] = await Promise.all([
    readProblem(cell.problem), readSample(cell, number), ...(other ? [readSample(other.cell, other.number)] : []),
  ]);
  if (turn !== drawing) return null;
  const tabs = TABS.filter(([name]) => name !== "other" || other);
  const tab = tabs.some(([name]) => name === state.tab) ? state.tab : "solution";
  const sides = [[cell, number, samples[0]], ...(other ? [[other.cell, other.number, samples[1]]] : [])];
  return el("article", { class: `sample${other ? " two" : ""}` },
    sampleHead(opened),
    el("div", { class: "sides" }, sides.map(([each, at, sample], side) => verdictCard(each, at, sample, side, Boolean(other)))),
    el("div", { class: "tabs", role: "tablist" }, tabs.map(([name, label], at) =>
      el("button", { type: "button", role: "tab", "data-tab": name, "aria-selected": String(name === tab), title: `${label} (${at + 1})`,
        onclick: () => go({ tab: name === "solution" ? "" : name }, { instead: true }) }, label))),
    tab === "other"
      ? diffView(samples[0].solution || "", samples[1].solution || "", cell.result.language, "The two solutions are the same.")
      : el("div", { class: "sides" }, sides.map(([each, , sample]) => tabText(tab, each, problem, sample))));
}

function sampleHead({ cell, other }) {
  const { problem, result } = cell;
  const move = (step, label, key) => el("button", { type: "button", class: "icon", "aria-label": label, title: `${label} (${key})`, onclick: () => moveBy(step) }, step < 0 ? "↑" : "↓");
  return el("header", { class: "sample-head" },
    el("div", { class: "line" },
      el("a", { class: "quiet back", href: address(NOWHERE) }, "← Overview"),
      el("span", { class: "stretch" }), move(-1, "Previous in the list", "k"), move(1, "Next in the list", "j"),
      el("button", { type: "button", class: "quiet", id: "copy-link", onclick: (event) => copy(location.href, event.target) }, "Copy link")),
    el("h1", {}, outside(problem.id), " ", outside(problem.entryPoint, { class: "function" })),
    el("p", { class: "dim facts" }, outside([
      named(SCENARIOS, result.scenario), named(LANGUAGES, result.language), problem.bugType, problem.symptoms,
      other ? "" : result.runData.label, `reading ${result.reading}`,
    ].filter((text) => text && text !== "None").join(" · "))));
}

/** All samples of the problem as small squares. */
function strip(cell, number, side) {
  const squares = cell.outcomes.map((outcome, at) => {
    const name = sampleName(cell.group.keys[at]);
    return el("a", {
      class: `square ${outcomeClass(outcome)}`, href: address({ [side ? "sample2" : "sample"]: name }),
      "aria-current": at === number ? "true" : null, title: `${sampleTitle(cell, at)}: ${outcomeName(outcome)}`, "aria-label": `${sampleTitle(cell, at)}: ${outcomeName(outcome)}`,
    });
  });
  return el("nav", { class: "strip", "aria-label": "Samples of this problem" }, squares,
    el("span", { class: "dim" }, `${cell.passed} of ${cell.judged} passed`));
}

function verdictCard(cell, number, sample, side, isComparison) {
  const { verdict } = sample;
  const facts = [];
  const fact = (name, value) => value && facts.push(el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  fact("Sample", sampleTitle(cell, number));
  fact("Tokens", sample.tokens === null ? "" : count(sample.tokens));
  fact("Ended by", sample.finish === "recorded" ? "" : plain(sample.finish.replaceAll("_", " ")));
  if (verdict) {
    fact("Stage", verdict.stage === "compile" ? "compile" : "");
    fact("Exit code", verdict.exitCode === null ? "" : String(verdict.exitCode));
    fact("Compile", verdict.compile ? seconds(verdict.compile) : "");
    fact("Run", verdict.run ? seconds(verdict.run) : "");
    fact("Wall clock", verdict.wall ? seconds(verdict.wall) : "");
    fact("Memory", verdict.memory ? bytes(verdict.memory) : "");
    fact("Cached", verdict.cached ? "yes" : "");
    fact("Reference", Boolean(verdict.referencePassed) === (verdict.status === "passed") ? "" : verdict.referencePassed ? "would pass it" : "would fail it");
  }
  return el("section", { class: `card verdict ${outcomeClass(sample.outcome)}` },
    isComparison ? el("h2", {}, el("span", { class: "side-name" }, side ? "B" : "A"), " ", outside(cell.result.runData.label)) : null,
    strip(cell, number, side),
    el("div", { class: "line" }, el("span", { class: "status" }, outcomeMark(sample.outcome), outcomeName(sample.outcome)),
      verdict && verdict.detail ? outside(verdict.detail, { class: "detail" }) : null),
    verdict && verdict.suspicious.length ? el("p", { class: "notice" }, "Deserves a look: ", outside(verdict.suspicious.join("; "))) : null,
    el("dl", { class: "measures" }, facts),
    verdict ? [output("stderr", verdict.stderr), output("stdout", verdict.stdout)] : el("p", { class: "dim" }, "This sample has no verdict yet."));
}

function output(name, text) {
  if (!text) return null;
  const box = el("pre", { class: "output" });
  appendText(box, text.replace(/\n+$/, ""));
  return el("details", { class: "output-box", open: name === "stderr" }, el("summary", {}, name), box);
}

function tabText(tab, cell, problem, sample) {
  const { language } = cell.result;
  const solution = sample.solution;
  if (["solution", "buggy", "canonical", "program"].includes(tab) && solution === null) return missing("Not judged yet, so there is no solution.");
  if (tab === "solution") return solution ? codeView(solution, language) : missing("The completion holds no solution.");
  if (tab === "buggy") return diffView(withHead(problem, problem.buggy, solution), solution, language, "The solution is the buggy code, unchanged.");
  if (tab === "canonical") return diffView(withHead(problem, problem.canonical, solution), solution, language, "The solution is the canonical one.");
  if (tab === "program") return codeView(sample.program, language);
  if (tab === "tests") return codeView(problem.test.replace(/^\n+/, ""), language);
  if (tab === "prompt") return sample.prompt ? codeView(sample.prompt, "") : missing("The prompt was not recorded.");
  if (sample.completion !== null) return sample.completion ? codeView(sample.completion, "") : missing("The completion is empty.");
  return sample.answer ? el("div", {}, missing("Only the answer cut out of the completion was recorded:"), codeView(sample.answer, language)) : missing("No completion was recorded.");
}

const missing = (text) => el("p", { class: "empty" }, text);

// --- code ----------------------------------------------------------------------------------------------------------

function codeView(text, language) {
  const lines = colouredLines(text.replace(/\n$/, ""), language);
  return block(text, lines.length, (at) => {
    const line = el("span", { class: "text" });
    for (const [kind, piece] of lines[at]) appendPiece(line, kind, piece);
    return el("div", { class: "line" }, el("span", { class: "no" }, String(at + 1)), line);
  });
}

function appendPiece(node, kind, piece) {
  const into = kind ? el("span", { class: `t-${kind}` }) : node;
  appendText(into, piece);
  if (into !== node) node.append(into);
}

function diffView(before, after, language, same) {
  const ends = (text) => text.replace(/\s+$/, "");
  const found = diffRows(ends(before), ends(after));
  if (found.every((row) => row.sign === "=")) return el("div", {}, missing(same), codeView(after, language));
  const colours = { "-": colouredLines(ends(before), language), "+": colouredLines(ends(after), language) };
  return block(after, found.length, (at) => {
    const row = found[at];
    const pieces = row.sign === "-" ? colours["-"][row.a] : colours["+"][row.b];
    const line = el("span", { class: "text" });
    let mark = null;
    for (const [kind, piece, isChanged] of cut(pieces, row.changes || [])) {
      if (!isChanged) mark = null;
      else if (!mark) line.append((mark = el("mark")));
      appendPiece(mark || line, kind, piece);
    }
    return el("div", { class: `line ${row.sign === "-" ? "gone" : row.sign === "+" ? "come" : ""}` },
      el("span", { class: "no" }, row.a < 0 ? "" : String(row.a + 1)), el("span", { class: "no" }, row.b < 0 ? "" : String(row.b + 1)),
      el("span", { class: "sign" }, row.sign === "=" ? " " : row.sign === "-" ? "−" : "+"), line);
  });
}

/** The pieces of a line, cut where words that differ begin and end. */
function* cut(pieces, changes) {
  let at = 0;
  for (const [kind, text] of pieces) {
    const edges = [0, text.length];
    for (const change of changes) for (const edge of change) if (edge > at && edge < at + text.length) edges.push(edge - at);
    edges.sort((a, b) => a - b);
    for (let i = 1; i < edges.length; i++) {
      const from = at + edges[i - 1];
      if (edges[i] > edges[i - 1])
        yield [kind, text.slice(edges[i - 1], edges[i]), changes.some(([start, end]) => from >= start && from < end)];
    }
    at += text.length;
  }
}

function block(text, length, line) {
  const code = el("div", { class: "code", dir: "ltr" });
  const fill = (to) => { for (let at = code.childElementCount; at < to; at++) code.append(line(at)); };
  fill(Math.min(length, MOST_LINES));
  const box = el("div", { class: "code-box" },
    el("div", { class: "code-tools" },
      el("button", { type: "button", class: "quiet", onclick: () => document.body.classList.toggle("wrap"), title: "Wrap lines (w)" }, "Wrap"),
      el("button", { type: "button", class: "quiet", onclick: (event) => copy(text, event.target) }, "Copy")),
    el("div", { class: "code-scroll" }, code));
  if (length > MOST_LINES)
    box.append(el("button", { type: "button", class: "quiet", onclick: (event) => { fill(length); event.target.remove(); } }, `Show all ${plural(length, "line")}`));
  return box;
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed here";
  }
  setTimeout(() => { button.textContent = button.id === "copy-link" ? "Copy link" : "Copy"; }, 1200);
}
