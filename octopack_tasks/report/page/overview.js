// The overview: what is missing, the scores with their intervals, a heat map for each run and task, kinds of bugs.

function overview() {
  forgetMaps();
  const results = chosenResults({ withoutSamples: true });
  return el("div", { class: "overview" }, notices(), scoreTable(results), legend(), runSections());
}

function notices() {
  const shown = index.runs.filter((run) => !state.model || [state.model, state.vs].includes(run.label));
  const notes = shown.flatMap((run) => [
    ...(run.lacks.length ? [[run, `is not whole: ${brief(run.lacks)}`]] : []),
    ...run.notes.map((note) => [run, note]),
  ]);
  if (!notes.length) return null;
  const shownNotes = notes.slice(0, 6).map(([run, note]) => el("li", {}, outside(run.label, { class: "strong" }), " ", outside(note)));
  return el("ul", { class: "notice", id: "notices" }, shownNotes, notes.length > 6 ? el("li", {}, `and ${notes.length - 6} more`) : null);
}

const brief = (phrases) =>
  phrases.slice(0, 2).join("; ") + (phrases.length > 2 ? `; and ${plural(phrases.length - 2, "more task")}` : "");

// --- scores --------------------------------------------------------------------------------------------------------

const scoreAt = (result, k) => (result ? result.scores.find((score) => score[0] === k) : undefined);

function scoreTable(results) {
  const ks = [...new Set(results.flatMap((result) => result.scores.map((score) => score[0])))].sort((a, b) => a - b);
  if (!ks.length) return el("p", { class: "empty" }, "No scores for this choice.");
  const k = ks.includes(Number(state.k)) ? Number(state.k) : ks[0];
  const languages = Object.keys(LANGUAGES).filter((name) => results.some((result) => result.language === name));
  const bodies = Object.keys(SCENARIOS).map((scenario) => {
    const averaged = languages.filter((name) => results.some((result) => result.scenario === scenario && result.language === name));
    const own = index.runs.map((run) => [run, results.filter((result) => result.scenario === scenario && result.runData === run)])
      .filter(([, found]) => found.length)
      .map(([run, found]) => ownRow(run, found, languages, averaged, k));
    const published = own.length && k === 1 && state.reading === "paper"
      ? index.published.map((model) => publishedRow(model, scenario, languages, averaged)).filter(Boolean) : [];
    const lines = [...own, ...published];
    if (lines.length) {
      lines[0].classList.add("first");
      lines[0].firstElementChild.prepend(el("span", { class: "task" }, named(SCENARIOS, scenario)));
    }
    return lines;
  });
  const choice = ks.length > 1
    ? el("div", { class: "segments", role: "group", "aria-label": "k" }, ks.slice(0, 12).map((each) =>
        el("button", { type: "button", "aria-pressed": String(each === k), onclick: () => go({ k: each === ks[0] ? "" : String(each) }, { instead: true }) }, `pass@${each}`)))
    : null;
  return el("section", { class: "scores" },
    el("div", { class: "head" }, el("h2", {}, `pass@${k}`, el("span", { class: "dim" }, " in percent, with 95 % interval over problems")), choice),
    el("div", { class: "scroll" }, el("table", {},
      el("thead", {}, el("tr", {}, el("td", {}), languages.map((name) => el("th", { scope: "col" }, named(LANGUAGES, name))), el("th", { scope: "col", title: "over the languages of the paper" }, "Mean"))),
      el("tbody", {}, bodies))));
}

/** The mean over the languages of the paper (of all, where none is), or a printed one; none unless each has a whole result. */
function meanCell(languages, valueOf, printed) {
  const ofPaper = languages.filter((name) => PAPER_LANGUAGES.has(name));
  const values = (ofPaper.length ? ofPaper : languages).map(valueOf);
  const isWhole = values.length > 1 && values.every((value) => value !== null);
  const computed = values.reduce((sum, value) => sum + value, 0) / values.length;
  const mean = isWhole ? printed ?? computed : null;
  return el("td", { class: "mean", title: isWhole ? null : "A mean needs whole results in all languages of this table" }, percent(mean));
}

function ownRow(run, found, languages, averaged, k) {
  const of = (language) => found.find((result) => result.language === language);
  const settings = [...new Set(found.map((result) => result.settings))].join("; ");
  return el("tr", {},
    el("th", { scope: "row" }, outside(run.label, { class: "model" }),
      found.some((result) => result.lacks.length) ? el("span", { class: "badge", title: plain(run.lacks.join("\n")) }, "not whole") : null,
      outside(settings, { class: "settings" })),
    languages.map((name) => scoreCell(of(name), k)),
    meanCell(averaged, (name) => (of(name) && !of(name).lacks.length && scoreAt(of(name), k) ? scoreAt(of(name), k)[1] : null)));
}

function publishedRow(model, scenario, languages, averaged) {
  // Only languages that the runs have: the mean is over what is shown.
  const valueOf = (name) => (averaged.includes(name) ? model.scores[`humaneval${scenario}-${name}`] ?? null : null);
  if (languages.every((name) => valueOf(name) === null)) return null;
  // A printed mean of the same languages was computed before rounding.
  const asked = averaged.filter((name) => PAPER_LANGUAGES.has(name)).length;
  const known = Object.keys(model.scores).filter((task) => task.startsWith(`humaneval${scenario}-`)).length;
  const printed = asked === known ? model.means[scenario] : undefined;
  return el("tr", { class: "published" },
    el("th", { scope: "row" }, outside(model.name, { class: "model" }), el("span", { class: "badge plain", title: plain(model.sources[scenario] || "") }, "published"),
      outside(model.settings[scenario] || "", { class: "settings" })),
    languages.map(valueOf).map((value) => el("td", { class: value === null ? "none" : "" }, el("span", { class: "number" }, percent(value)))),
    meanCell(averaged, valueOf, printed));
}

function scoreCell(result, k) {
  const score = scoreAt(result, k);
  if (!score) return el("td", { class: "none" }, "–");
  const [, value, , low, high] = score;
  const bar = el("span", { class: "bar" }, el("i", { class: "value" }), low === null ? null : el("i", { class: "interval" }));
  bar.children[0].style.width = `${100 * value}%`;
  if (low !== null) {
    bar.children[1].style.left = `${100 * low}%`;
    bar.children[1].style.width = `${100 * (high - low)}%`;
  }
  const partly = result.lacks.length > 0;
  const title = [
    low === null ? "" : `${percent(low)} to ${percent(high)}`,
    result.problems ? plural(result.problems, "problem") : "", ...result.lacks, result.suspicious ? `${result.suspicious} passes look suspicious` : "",
  ].filter(Boolean).join("\n");
  return el("td", { class: partly ? "partly" : "", title: plain(title) }, el("span", { class: "number" }, percent(value), partly ? "*" : ""), bar);
}

function legend() {
  const scale = el("span", { class: "scale", "aria-hidden": "true" });
  const words = state.vs
    ? [outside(state.model), " better", scale, outside(state.vs), " better"]
    : ["no sample passed", scale, "all passed"];
  return el("div", { class: "legend" }, el("span", { class: "scale-words" }, words),
    el("div", { class: "segments", role: "group", "aria-label": "Order of problems" }, [["", "by number"], ["hard", "hardest first"]].map(([value, label]) =>
      el("button", { type: "button", "aria-pressed": String(state.sort === value), onclick: () => go({ sort: value }, { instead: true }) }, label))));
}

// --- runs and tasks ------------------------------------------------------------------------------------------------

function runSections() {
  const results = chosenResults();
  const sections = [];
  for (const run of index.runs) {
    if (state.vs && run.label !== state.model) continue;
    for (const scenario of Object.keys(SCENARIOS)) {
      const found = results.filter((result) => result.runData === run && result.scenario === scenario);
      if (!found.length) continue;
      const others = state.vs ? found.map((result) => resultOf(state.vs, result.task)).filter(Boolean) : null;
      sections.push(el("section", { class: "run" },
        el("h2", {}, named(SCENARIOS, scenario), el("span", { class: "dim" }, " · ", outside(run.label), state.vs ? [" against ", outside(state.vs)] : null)),
        heatMap(found, others), outcomeBars(found), state.vs ? null : bugTable(found)));
    }
  }
  return sections;
}

function outcomeBars(results) {
  const lines = results.map((result) => {
    const counts = new Map();
    for (const cell of result.cells) for (const outcome of cell.outcomes) add(counts, outcome);
    const total = [...counts.values()].reduce((sum, value) => sum + value, 0);
    const order = Object.keys(OUTCOMES).filter((name) => counts.has(name));
    const bar = el("div", { class: "outcomes" }, order.map((name) => {
      const share = counts.get(name) / total;
      const piece = el("button", {
        type: "button", class: `piece ${outcomeClass(name)}`, title: `${outcomeName(name)}: ${count(counts.get(name))} (${percent(share)} %)`,
        "aria-label": `${outcomeName(name)}: ${counts.get(name)}`,
        onclick: () => go({ task: result.scenario, lang: result.language, verdict: name, model: result.runData.label, ...NOWHERE }),
      });
      piece.style.flexGrow = String(counts.get(name));
      return piece;
    }));
    return [el("span", { class: "label" }, named(LANGUAGES, result.language)), bar, el("span", { class: "total" }, count(total))];
  });
  const there = new Set(results.flatMap((result) => result.cells.flatMap((cell) => cell.outcomes)));
  const key = Object.keys(OUTCOMES).filter((name) => there.has(name)).map((name) => el("span", {}, outcomeMark(name), outcomeName(name)));
  return el("details", { class: "more", open: true }, el("summary", {}, "How the samples ended"),
    el("div", { class: "bars" }, lines), el("div", { class: "key" }, key));
}

function bugTable(results) {
  const kinds = [...new Set(results.flatMap((result) => Object.keys(result.bugTypes)))].sort(naturally);
  if (kinds.length < 2) return null;
  return el("details", { class: "more" }, el("summary", {}, "pass@1 by kind of bug"),
    el("div", { class: "scroll" }, el("table", { class: "bugs" },
      el("thead", {}, el("tr", {}, el("td", {}), results.map((result) => el("th", { scope: "col" }, named(LANGUAGES, result.language))))),
      el("tbody", {}, kinds.map((kind) => el("tr", {},
        el("th", { scope: "row" }, el("a", { href: address({ ...NOWHERE, bug: kind }) }, outside(kind))),
        results.map((result) => {
          const values = result.bugTypes[kind];
          return el("td", { title: values ? plural(values[0], "problem") : "" }, values ? percent(values[1]) : "–");
        })))))));
}
