// Puts the page together: the bar at the top, what the address asks for, keys.

const KEYS = [
  ["j  k", "next and previous in the list"], ["[  ]", "previous and next sample of the problem"], ["1 … 8", "solution, diffs, completion, prompt, program, tests"],
  ["n", "next that did not pass"], ["/", "search"], ["v", "compare with the next run"], ["c", "clear filters"], ["w", "wrap long lines"], ["t", "light or dark"],
  ["Esc", "back to the overview"], ["← → ↑ ↓ Enter", "in the heat map: move, open"], ["?", "this help"],
];

function setTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
  $("theme").textContent = isDark() ? "☀" : "☾";
  maps.forEach(drawMap);
}

const isDark = () =>
  (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function toggleTheme() {
  const name = isDark() ? "light" : "dark";
  try { localStorage.setItem("octopack-theme", name); } catch { /* pages from disk may have no storage */ }
  setTheme(name);
}

function drawBar() {
  const labels = index.runs.map((run) => run.label);
  const options = (chosen, empty, list) => [
    ...(empty === null ? [] : [el("option", { value: "" }, empty)]),
    ...list.map((label) => el("option", { value: label, selected: label === chosen }, plain(label))),
  ];
  $("run").replaceChildren(...options(state.model, labels.length > 1 && !state.vs ? "all models" : null, labels));
  $("vs").replaceChildren(...options(state.vs, "compare …", labels.filter((label) => label !== state.model)));
  $("versus-pick").hidden = labels.length < 2;
  const readings = readingsThere();
  $("reading").replaceChildren(...options(state.reading, null, readings));
  $("reading-pick").hidden = readings.length < 2;
}

let shownOverview = "";

async function show() {
  readState();
  drawBar();
  const areNewRows = filterRows();
  if (areNewRows) drawFilters();
  const opened = openedSample();
  const main = $("main");
  if (opened) {
    const page = await samplePage(opened).catch((error) =>
      el("p", { class: "notice" }, `This part of the page's data is damaged (${plain(error)}); write the report again.`));
    if (!page) return;
    forgetMaps();
    shownOverview = "";
    const isSame = main.dataset.place === placeKey();
    const top = isSame ? main.scrollTop : 0;
    main.replaceChildren(page);
    main.scrollTop = top;
    main.dataset.place = placeKey();
  } else {
    drawing++;
    const key = JSON.stringify([state.model, state.vs, state.task, state.lang, state.reading, state.k, state.sort]);
    if (key !== shownOverview) {
      const top = main.dataset.place === "overview" ? main.scrollTop : 0;
      const missed = state.problem ? el("p", { class: "notice" }, "The address names a sample that is not here: ", outside(`${state.in} ${state.problem}`)) : null;
      main.replaceChildren(...(missed ? [missed] : []), overview());
      maps.forEach(drawMap);
      main.scrollTop = top;
      shownOverview = missed ? "" : key;
      main.dataset.place = "overview";
    } else maps.forEach(drawMap);
  }
  setPane(opened ? "sample" : document.body.dataset.pane === "list" ? "list" : "overview");
  document.title = `${opened ? `${plain(opened.cell.problem.id)} · ` : ""}OctoPack report`;
  if (areNewRows) $("rows").scrollTop = 0;
  showRow(openedRow());
  drawRows({ anew: true });
  document.body.dataset.ready = String(Number(document.body.dataset.ready || 0) + 1);
}

const placeKey = () => JSON.stringify(PLACES.map((name) => state[name]));

/** On narrow screens one of the panes is shown: overview, list or sample. */
function setPane(name) {
  document.body.dataset.pane = name;
  for (const button of document.querySelectorAll("[data-go]"))
    button.setAttribute("aria-pressed", String(button.dataset.go === name));
}

function moveBy(step, until = () => true) {
  let at = openedRow();
  if (at < 0 && step < 0) at = rows.items.length;
  for (at += step; at >= 0 && at < rows.items.length; at += step)
    if (until(at)) return openRow(at);
}

function hasFailed(at) {
  if (rows.isComparison) return Boolean(rows.items[at].difference);
  const sample = rows.items[at];
  return index.results[all.result[sample]].cells[all.cell[sample]].outcomes[all.sample[sample]] !== "passed";
}

function moveSample(step) {
  const opened = openedSample();
  if (!opened) return;
  const to = opened.number + step;
  if (to >= 0 && to < opened.cell.outcomes.length) go({ sample: sampleName(opened.cell.group.keys[to]) }, { instead: true });
}

function compareWithNext() {
  const labels = index.runs.map((run) => run.label);
  if (labels.length < 2) return;
  const model = state.model || labels[0];
  const others = ["", ...labels.filter((label) => label !== model)];
  go({ model, vs: others[(others.indexOf(state.vs) + 1) % others.length] });
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target.matches("input, select, textarea");
  if (event.key === "Escape" && isTyping) return event.target.blur();
  if (isTyping || $("help").open) return;
  const opened = openedSample();
  const actions = {
    j: () => moveBy(1), k: () => moveBy(-1), n: () => moveBy(1, hasFailed),
    "[": () => moveSample(-1), "]": () => moveSample(1),
    "/": () => { setPane("list"); $("q").focus(); $("q").select(); },
    v: compareWithNext, c: () => go(NO_FILTERS), w: () => document.body.classList.toggle("wrap"), t: toggleTheme,
    "?": showHelp, Escape: () => opened && go(NOWHERE),
  };
  const tab = opened && /^[1-8]$/.test(event.key) && document.querySelectorAll("[data-tab]")[Number(event.key) - 1];
  if (tab) tab.click();
  else if (Object.hasOwn(actions, event.key)) actions[event.key]();
  else return;
  event.preventDefault();
}

function showHelp() {
  $("help").replaceChildren(
    el("h2", {}, "Keyboard"),
    el("dl", {}, KEYS.map(([keys, what]) => el("div", {}, el("dt", {}, keys.split("  ").map((key) => el("kbd", {}, key))), el("dd", {}, what)))),
    el("p", { class: "dim" }, `OctoPack ${plain(index.version)}. Everything is in this file; nothing is sent or loaded. The address always leads back to what you see.`),
    el("form", { method: "dialog" }, el("button", { type: "submit" }, "Close")));
  $("help").showModal();
}

async function begin() {
  try {
    const kept = localStorage.getItem("octopack-theme");
    if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  } catch { /* pages from disk may have no storage */ }
  if (!("DecompressionStream" in window)) {
    $("loading").textContent = "This browser is too old for this page (it lacks DecompressionStream); any of the last years will do.";
    return;
  }
  try {
    await readIndex();
  } catch (error) {
    $("loading").textContent = `The data of this page is damaged (${error}); write the report again.`;
    return;
  }
  setTheme("");
  $("run").addEventListener("change", (event) => go({ ...NOWHERE, model: event.target.value }));
  $("vs").addEventListener("change", (event) => go({ ...NOWHERE, vs: event.target.value }));
  $("reading").addEventListener("change", (event) => go({ reading: event.target.value }));
  $("theme").addEventListener("click", toggleTheme);
  $("help-button").addEventListener("click", showHelp);
  $("help").addEventListener("click", (event) => event.target === $("help") && $("help").close());
  $("rows").addEventListener("scroll", () => drawRows(), { passive: true });
  $("rows").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    moveBy(step);
  });
  for (const button of document.querySelectorAll("[data-go]"))
    button.addEventListener("click", () => {
      const pane = button.dataset.go;
      setPane(pane);
      if (pane === "overview" && openedSample()) go(NOWHERE);
      drawRows({ anew: true });
      maps.forEach(drawMap);
    });
  document.querySelector(".brand").addEventListener("click", (event) => { event.preventDefault(); setPane("overview"); go({ ...NOWHERE, ...NO_FILTERS }); });
  new ResizeObserver(() => drawRows({ anew: true })).observe($("rows"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(""));
  document.addEventListener("keydown", pressed);
  window.addEventListener("hashchange", show);
  await show();
}

begin();
