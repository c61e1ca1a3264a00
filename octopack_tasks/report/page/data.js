// The data of the page: the index at once, the parts when one of their samples is looked at.

async function unpacked(id) {
  const binary = atob($(id).textContent);
  const packed = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) packed[i] = binary.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const parts = new Map();

/** A part, read once; only the last few are kept. */
function part(number) {
  if (!parts.has(number)) {
    parts.set(number, unpacked(`part-${number}`));
    if (parts.size > 24) parts.delete(parts.keys().next().value);
  }
  return parts.get(number);
}

let index = null;
/** All samples of the page in flat lists, so that filtering a hundred thousand of them is a loop over numbers. */
const all = { length: 0, result: null, cell: null, sample: null };

function naturally(a, b) {
  return a.localeCompare(b, "en", { numeric: true });
}

async function readIndex() {
  index = await unpacked("index");
  const { names } = index;
  for (const [name, title, isOfPaper] of index.languages) {
    LANGUAGES[name] = title;
    if (isOfPaper) PAPER_LANGUAGES.add(name);
  }
  for (const { scenario } of index.results) SCENARIOS[scenario] ||= named(SCENARIOS, scenario);
  for (const set of index.sets) {
    const suffixes = set.problems.map((row) => String(row[0]).split("/").pop());
    const isTelling = new Set(suffixes).size === suffixes.length;
    set.problems = set.problems.map((row, position) => ({
      id: row[0],
      key: isTelling ? suffixes[position] : String(row[0]),
      entryPoint: names[row[1]],
      bugType: names[row[2]],
      symptoms: names[row[3]],
      part: row[4],
      position: row[5],
    }));
    set.byId = new Map(set.problems.map((problem) => [problem.id, problem]));
  }
  for (const work of index.works) {
    const set = index.sets[work.set];
    work.groups = work.groups.map(([id, partNumber, position, keys]) => ({
      problem: set.byId.get(id),
      part: partNumber,
      position,
      keys: typeof keys === "number" ? Array.from({ length: keys }, (_, number) => [0, number]) : keys,
    }));
  }
  let samples = 0;
  for (const result of index.results) {
    result.runData = index.runs[result.run];
    result.work = result.work < 0 ? null : index.works[result.work];
    result.cells = !result.codes ? [] : result.codes
      .map((codes, position) => makeCell(result, result.work.groups[position], codes.map((code) => names[code])))
      .sort((a, b) => naturally(a.problem.key, b.problem.key));
    result.byId = new Map(result.cells.map((cell) => [cell.problem.id, cell]));
    samples += result.cells.reduce((sum, cell) => sum + cell.outcomes.length, 0);
  }
  all.length = samples;
  all.result = new Uint32Array(samples);
  all.cell = new Uint32Array(samples);
  all.sample = new Uint32Array(samples);
  let at = 0;
  index.results.forEach((result, resultNumber) =>
    result.cells.forEach((cell, cellNumber) =>
      cell.outcomes.forEach((_, sampleNumber) => {
        all.result[at] = resultNumber;
        all.cell[at] = cellNumber;
        all.sample[at++] = sampleNumber;
      })));
}

/** What a result says of a problem: how its samples ended, and the share of the judged ones that passed. */
function makeCell(result, group, outcomes) {
  const judged = outcomes.filter((outcome) => outcome !== "not_judged").length;
  const passed = outcomes.filter((outcome) => outcome === "passed").length;
  return { result, group, problem: group.problem, outcomes, judged, passed, share: judged ? passed / judged : null };
}

/** The texts and verdict of a sample. */
async function readSample(cell, number) {
  const [strings, entries] = await part(cell.group.part);
  const [prompt, completion, answer, tokens, finish, judgements] = entries[cell.group.position][number];
  const text = (at) => (at < 0 ? null : strings[at]);
  const found = judgements[cell.result.work.readings.indexOf(cell.result.reading)];
  return {
    key: cell.group.keys[number],
    prompt: text(prompt), completion: text(completion), answer: text(answer), tokens,
    finish: index.names[finish],
    outcome: cell.outcomes[number],
    ...(found ? readJudgement(found, text) : { solution: null, program: null, verdict: null }),
  };
}

function readJudgement(values, text) {
  const [solution, before, after, status, detail, stdout, stderr, stage, exitCode, compile, run, wall, memory,
    cached, referencePassed, suspicious] = values;
  return {
    solution: text(solution),
    program: after < 0 ? text(before) : text(before) + text(solution) + text(after),
    verdict: {
      status: index.names[status], detail: text(detail), stdout: text(stdout), stderr: text(stderr),
      stage: index.names[stage], exitCode, compile, run, wall, memory, cached, referencePassed, suspicious,
    },
  };
}

async function readProblem(problem) {
  const [strings, entries] = await part(problem.part);
  const [instruction, prompt, declaration, buggy, canonical, test] = entries[problem.position].map((at) => strings[at]);
  return { instruction, prompt, declaration, buggy, canonical, test };
}

/** A solution of the dataset with the head that a model's solution has, so that a diff shows what differs. */
function withHead(problem, body, solution) {
  for (const head of [problem.prompt, problem.declaration]) {
    const core = head.trim();
    const at = core ? solution.indexOf(core) : -1;
    if (at >= 0) return solution.slice(0, at) + head.slice(head.indexOf(core)) + body;
  }
  return problem.declaration + body;
}
