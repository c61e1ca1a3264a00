// What is shown is what the address says after its #, so that every view can be linked to.

const FILTERS = ["model", "task", "lang", "verdict", "bug", "q"];
const PLACES = ["of", "in", "problem", "sample", "sample2"];
const KNOWN = [...FILTERS, ...PLACES, "vs", "reading", "tab", "k", "sort"];
let state = {};

function readState() {
  const given = new URLSearchParams(location.hash.slice(1));
  state = Object.fromEntries(KNOWN.map((name) => [name, given.get(name) || ""]));
  const labels = index.runs.map((run) => run.label);
  const readings = readingsThere();
  if (!labels.includes(state.model)) state.model = labels.length === 1 ? labels[0] : "";
  if (!labels.includes(state.vs)) state.vs = "";
  if (state.vs && (!state.model || state.model === state.vs)) state.model = labels.find((label) => label !== state.vs) || "";
  if (state.vs === state.model) state.vs = "";
  if (!readings.includes(state.reading)) state.reading = readings[0] || "";
}

const readingsThere = () =>
  [...new Set(index.results.map((result) => result.reading))].sort((a, b) => (b === "paper") - (a === "paper"));

/** The address of the current view with some values changed; empty ones are left out. */
function address(changes) {
  const values = { ...state, ...changes };
  const given = new URLSearchParams();
  for (const name of KNOWN) {
    const isDefault =
      (name === "model" && index.runs.length === 1) || (name === "reading" && values[name] === readingsThere()[0]);
    if (values[name] !== "" && !isDefault) given.set(name, values[name]);
  }
  return `#${given}`;
}

/** Go to a view; `instead` leaves no entry in the history. */
function go(changes, { instead = false } = {}) {
  const to = address(changes);
  if (to === (location.hash || "#")) return;
  if (instead) location.replace(to);
  else location.hash = to;
}

const NOWHERE = Object.fromEntries(PLACES.map((name) => [name, ""]));
const NO_FILTERS = Object.fromEntries(FILTERS.filter((name) => name !== "model").map((name) => [name, ""]));

/** The results that the choice of model, task, language and reading leaves. */
function chosenResults({ withoutSamples = false } = {}) {
  return index.results.filter(
    (result) =>
      (withoutSamples || result.cells.length) &&
      result.reading === state.reading &&
      (!state.model || [state.model, state.vs].includes(result.runData.label)) &&
      (!state.task || result.scenario === state.task) &&
      (!state.lang || result.language === state.lang),
  );
}

function resultOf(label, task) {
  return index.results.find(
    (result) => result.runData.label === label && result.task === task && result.reading === state.reading && result.cells.length,
  );
}

/** The sample that the address names: {cell, number}, and in a comparison `other` of the second run; or null. */
function openedSample() {
  if (!state.problem) return null;
  const result = resultOf(state.of || state.model || index.runs[0].label, state.in);
  const cell = result && result.byId.get(state.problem);
  if (!cell) return null;
  const opened = { cell, number: sampleIn(cell, state.sample), other: null };
  const second = state.vs && resultOf(state.vs, state.in);
  const otherCell = second && second.byId.get(state.problem);
  if (otherCell && second !== result) opened.other = { cell: otherCell, number: sampleIn(otherCell, state.sample2) };
  return opened;
}

/** Where a sample is in its cell; samples are named `3`, or `7.0` for sample 0 of description 7. */
function sampleIn(cell, name) {
  const at = cell.group.keys.findIndex((key) => sampleName(key) === name);
  return at < 0 ? Math.max(0, cell.outcomes.findIndex((outcome) => outcome !== "passed")) : at;
}

const sampleName = ([description, sample]) => (description ? `${description}.${sample}` : String(sample));

/** The same for people. */
function sampleTitle(cell, number) {
  const [description, sample] = cell.group.keys[number];
  const hasDescriptions = cell.group.keys.some((key) => key[0]);
  return hasDescriptions ? `description ${description}${sample ? ` #${sample}` : ""}` : `#${sample}`;
}

const placeOf = (cell, number) => ({
  of: cell.result.runData.label,
  in: cell.result.task,
  problem: cell.problem.id,
  sample: sampleName(cell.group.keys[number]),
  sample2: "",
});
