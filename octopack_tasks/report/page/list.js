// The filters, and the list of all samples (or in a comparison: problems, flips first), of which only what is in
// sight is in the page.

const ROW = 48;
let rows = { items: [], isComparison: false };
let shownRows = "";

const hasText = (problem, text) =>
  problem.id.toLowerCase().includes(text) || problem.entryPoint.toLowerCase().includes(text);

/** Fill the list and count, for each filter, what it would leave if it alone were changed. */
function filterRows() {
  const key = JSON.stringify([...FILTERS, "vs", "reading"].map((name) => state[name]));
  if (key === shownRows) return false;
  shownRows = key;
  const counts = { task: new Map(), lang: new Map(), verdict: new Map(), bug: new Map() };
  const verdicts = state.verdict ? new Set(state.verdict.split(",")) : null;
  const text = state.q.trim().toLowerCase();
  rows = state.vs ? comparedRows(counts, verdicts, text) : sampleRows(counts, verdicts, text);
  rows.counts = counts;
  return true;
}

function add(counter, name) {
  counter.set(name, (counter.get(name) || 0) + 1);
}

/** Count a row for each filter that alone keeps it out, or for all where none does; whether none does. */
function tally(counts, misses, values) {
  const missed = Object.keys(misses).filter((name) => misses[name]);
  if (missed.length > 1) return false;
  for (const name of missed.length ? missed : Object.keys(counts))
    for (const value of values[name]) add(counts[name], value);
  return missed.length === 0;
}

function sampleRows(counts, verdicts, text) {
  const items = [];
  const isOpen = index.results.map(
    (result) => result.reading === state.reading && (!state.model || result.runData.label === state.model));
  for (let at = 0; at < all.length; at++) {
    if (!isOpen[all.result[at]]) continue;
    const result = index.results[all.result[at]];
    const cell = result.cells[all.cell[at]];
    if (text && !hasText(cell.problem, text)) continue;
    const outcome = cell.outcomes[all.sample[at]];
    const misses = {
      task: state.task && result.scenario !== state.task,
      lang: state.lang && result.language !== state.lang,
      verdict: verdicts && !verdicts.has(outcome),
      bug: state.bug && cell.problem.bugType !== state.bug,
    };
    const values = {
      task: [result.scenario], lang: [result.language], verdict: [outcome], bug: [cell.problem.bugType],
    };
    if (tally(counts, misses, values)) items.push(at);
  }
  return { items, isComparison: false };
}

function comparedRows(counts, verdicts, text) {
  const items = [];
  for (const result of index.results) {
    if (result.runData.label !== state.model || result.reading !== state.reading) continue;
    const second = resultOf(state.vs, result.task);
    if (!second) continue;
    for (const cell of result.cells) {
      const other = second.byId.get(cell.problem.id);
      if (!other || (text && !hasText(cell.problem, text))) continue;
      const outcomes = [...new Set([...cell.outcomes, ...other.outcomes])];
      const misses = {
        task: state.task && result.scenario !== state.task,
        lang: state.lang && result.language !== state.lang,
        verdict: verdicts && !outcomes.some((outcome) => verdicts.has(outcome)),
        bug: state.bug && cell.problem.bugType !== state.bug,
      };
      const values = {
        task: [result.scenario], lang: [result.language], verdict: outcomes, bug: [cell.problem.bugType],
      };
      if (tally(counts, misses, values)) items.push({ cell, other, difference: differenceOf(cell, other) });
    }
  }
  const size = (row) => (row.difference === null ? -1 : Math.abs(row.difference));
  items.sort((a, b) => size(b) - size(a));
  return { items, isComparison: true };
}

const differenceOf = (cell, other) =>
  cell.share === null || other.share === null ? null : other.share - cell.share;

// --- filters -------------------------------------------------------------------------------------------------------

function drawFilters() {
  const { counts } = rows;
  const option = (name, value, label, number) =>
    el("option", { value, selected: state[name] === value }, `${label}${number === undefined ? "" : ` (${count(number)})`}`);
  const select = (name, label, table, anything) => {
    const values = [...new Set([...counts[name].keys(), state[name]])].filter(Boolean);
    const order = Object.keys(table);
    values.sort((a, b) => order.indexOf(a) - order.indexOf(b) || naturally(a, b));
    return el("label", { class: "field" }, el("span", {}, label),
      el("select", { "data-filter": name, onchange: (event) => go({ [name]: event.target.value }, { instead: true }) },
        option(name, "", anything),
        values.map((value) => option(name, value, plain(named(table, value)), counts[name].get(value) || 0))));
  };
  const chosen = new Set(state.verdict.split(",").filter(Boolean));
  const verdicts = Object.keys(OUTCOMES).filter((name) => counts.verdict.get(name) || chosen.has(name));
  const chips = verdicts.map((name) =>
    el("button", {
      type: "button", class: "chip", "data-verdict": name, "aria-pressed": String(chosen.has(name)),
      onclick: () => {
        const next = new Set(chosen);
        if (!next.delete(name)) next.add(name);
        go({ verdict: [...next].join(",") }, { instead: true });
      },
    }, outcomeMark(name), outcomeName(name), el("b", {}, count(counts.verdict.get(name) || 0))));
  const isFiltered = Object.keys(NO_FILTERS).some((name) => state[name]);
  const search = $("q") || el("input", {
    id: "q", type: "search", placeholder: "Problem or function  ( / )", autocomplete: "off", spellcheck: "false",
    "aria-label": "Search for a problem or function",
    oninput: (event) => go({ q: event.target.value }, { instead: true }),
  });
  if (document.activeElement !== search) search.value = state.q;
  const rest = [
    el("div", { class: "fields" },
      select("task", "Task", SCENARIOS, "all tasks"), select("lang", "Language", LANGUAGES, "all languages"),
      counts.bug.size > 1 || state.bug ? select("bug", "Bug", {}, "all bugs") : null),
    el("div", { class: "chips", role: "group", "aria-label": "Verdict" }, chips),
  ];
  if (search.parentNode === $("filters")) {
    // The field keeps its place in the page: typing must not lose the cursor.
    while (search.nextSibling) search.nextSibling.remove();
    $("filters").append(...rest);
  } else $("filters").replaceChildren(search, ...rest);
  const unit = rows.isComparison ? "problem" : "sample";
  const flips = rows.isComparison ? rows.items.filter((row) => row.difference).length : 0;
  $("count").replaceChildren(
    el("span", {}, plural(rows.items.length, unit), rows.isComparison ? `, ${count(flips)} differ` : ""),
    isFiltered ? el("button", { type: "button", class: "quiet", id: "clear", onclick: () => go(NO_FILTERS) }, "Clear filters") : "");
}

// --- rows ----------------------------------------------------------------------------------------------------------

let drawn = "";

function drawRows({ anew = false } = {}) {
  const box = $("rows"), space = box.firstElementChild;
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 6);
  const last = Math.min(rows.items.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 6);
  const here = `${first}-${last}`;
  if (!anew && here === drawn) return;
  drawn = here;
  space.style.height = `${rows.items.length * ROW}px`;
  const opened = openedRow();
  const found = [];
  for (let at = first; at < last; at++) found.push(rowNode(at, at === opened));
  if (!rows.items.length) found.push(el("p", { class: "empty" }, all.length ? "No sample matches the filters." : "These runs have scores only, no samples."));
  space.replaceChildren(...found);
}

function rowNode(at, isOpened) {
  const row = rows.isComparison ? comparedRow(rows.items[at]) : sampleRow(rows.items[at]);
  const node = el("a", {
    class: "row", href: address(row.place), role: "option", tabindex: "-1", "data-row": at, "aria-selected": String(isOpened),
  }, row.mark, el("span", { class: "what" }, row.title, row.below), row.end);
  node.style.top = `${at * ROW}px`;
  return node;
}

const areSeveral = (field) => index.results.some((result) => result[field] !== index.results[0][field]);

const scopeOf = (result) =>
  [
    !state.model && index.runs.length > 1 ? result.runData.label : "",
    state.task || !areSeveral("scenario") ? "" : named(SCENARIOS, result.scenario),
    state.lang || !areSeveral("language") ? "" : named(LANGUAGES, result.language),
  ].filter(Boolean).join(" · ");

const titleOf = (problem, more) =>
  el("span", { class: "title" }, outside(problem.id, { class: "id" }), more ? el("span", { class: "dim" }, more) : null,
    problem.id.endsWith(problem.entryPoint) ? null : outside(problem.entryPoint, { class: "function" }));

function sampleRow(at) {
  const result = index.results[all.result[at]];
  const cell = result.cells[all.cell[at]];
  const number = all.sample[at];
  const outcome = cell.outcomes[number];
  return {
    place: placeOf(cell, number),
    mark: outcomeMark(outcome),
    title: titleOf(cell.problem, ` ${sampleTitle(cell, number)}`),
    below: outside([outcomeName(outcome), scopeOf(result), cell.problem.bugType].filter(Boolean).join(" · "), { class: "below" }),
    end: null,
  };
}

function comparedRow({ cell, other, difference }) {
  const sign = difference > 0 ? "better" : difference < 0 ? "worse" : "same";
  const points = difference === null ? "–" : `${difference > 0 ? "+" : difference < 0 ? "−" : ""}${Math.abs(100 * difference).toFixed(0)}`;
  return {
    place: { ...placeOf(cell, sampleIn(cell, "")), sample: "" },
    mark: el("span", { class: `points ${sign}`, title: "difference in points" }, points),
    title: titleOf(cell.problem),
    below: outside([`${cell.passed}/${cell.judged} → ${other.passed}/${other.judged}`, scopeOf(cell.result), cell.problem.bugType].filter(Boolean).join(" · "), { class: "below" }),
    end: null,
  };
}

/** Which row of the list is open; -1 for none. */
function openedRow() {
  const opened = openedSample();
  if (!opened) return -1;
  if (rows.isComparison) return rows.items.findIndex((row) => row.cell === opened.cell);
  return rows.items.findIndex((at) => {
    const result = index.results[all.result[at]];
    return all.sample[at] === opened.number && result.cells[all.cell[at]] === opened.cell;
  });
}

function openRow(at) {
  if (at < 0 || at >= rows.items.length) return;
  go((rows.isComparison ? comparedRow(rows.items[at]) : sampleRow(rows.items[at])).place);
}

function showRow(at) {
  const box = $("rows");
  if (at < 0) return;
  if (at * ROW < box.scrollTop) box.scrollTop = Math.max(0, at * ROW - ROW);
  else if ((at + 1) * ROW > box.scrollTop + box.clientHeight) box.scrollTop = (at + 2) * ROW - box.clientHeight;
}
