// The heat map: a cell for each problem and language; a comparison shows by how much the second run is better.

const LABEL = 44;
const HEIGHT = 17;
const AXIS = 15;
const NARROWEST = 9;
const WIDEST = 26;
const SHORT = { js: "JS", typescript: "TS" };

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function mixed(from, to, weight) {
  const numbers = (color) => color.match(/[\da-f]{2}/gi).map((pair) => parseInt(pair, 16));
  const a = numbers(from), b = numbers(to);
  return `rgb(${a.map((value, i) => Math.round(value + (b[i] - value) * weight)).join(" ")})`;
}

/** The colour between bad and good of a share of 0 to 1 (or a difference of -1 to 1, halved). */
function heat(share, colors) {
  return share < 0.5 ? mixed(colors.bad, colors.middle, share * 2) : mixed(colors.middle, colors.good, share * 2 - 1);
}

/** A heat map of the results of one run and scenario, by language; `others` are those of the run it is compared with. */
function heatMap(results, others) {
  const byLanguage = Object.keys(LANGUAGES)
    .map((language) => results.find((result) => result.language === language)).filter(Boolean);
  const keys = [...new Set(byLanguage.flatMap((result) => result.cells.map((cell) => cell.problem.key)))].sort(naturally);
  const grid = byLanguage.map((result) => {
    const other = others && others.find((each) => each.task === result.task);
    const cells = new Map(result.cells.map((cell) => [cell.problem.key, cell]));
    return keys.map((key) => {
      const cell = cells.get(key);
      if (!cell) return null;
      const against = other && other.byId.get(cell.problem.id);
      const difference = others ? (against ? differenceOf(cell, against) : null) : undefined;
      return { cell, other: against, value: others ? (difference === null ? null : (difference + 1) / 2) : cell.share };
    });
  });
  let order = keys.map((_, column) => column);
  if (state.sort === "hard") {
    const mean = (column) => {
      const values = grid.map((row) => row[column]).filter((entry) => entry && entry.value !== null).map((entry) => entry.value);
      return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 2;
    };
    const means = keys.map((_, column) => mean(column));
    order.sort((a, b) => means[a] - means[b] || a - b);
  }
  const canvas = el("canvas", { class: "map", tabindex: "0", role: "img" });
  const judged = results.flatMap((result) => result.cells).filter((cell) => cell.share !== null);
  canvas.setAttribute("aria-label",
    `Heat map of ${keys.length} problems in ${byLanguage.length} languages; ${judged.filter((cell) => cell.share === 1).length} cells passed wholly, ` +
    `${judged.filter((cell) => cell.share === 0).length} not at all. Arrow keys move, Enter opens; the list holds the same samples.`);
  const view = { canvas, grid, keys, order, byLanguage, isComparison: Boolean(others), at: null, cell: 8, perBand: 1 };
  canvas.addEventListener("pointermove", (event) => hover(view, event));
  canvas.addEventListener("pointerleave", () => { view.at = null; $("tip").hidden = true; drawMap(view); });
  canvas.addEventListener("click", (event) => { hover(view, event); openCell(view); });
  canvas.addEventListener("keydown", (event) => mapKey(view, event));
  canvas.addEventListener("blur", () => { view.at = null; $("tip").hidden = true; drawMap(view); });
  view.observer = new ResizeObserver(() => drawMap(view));
  const wrapper = el("div", { class: "map-box" }, canvas);
  view.observer.observe(wrapper);
  view.wrapper = wrapper;
  maps.push(view);
  return wrapper;
}

let maps = [];

function forgetMaps() {
  for (const view of maps) view.observer.disconnect();
  maps = [];
}

function drawMap(view) {
  const width = view.wrapper.clientWidth;
  if (!width) return;
  const { canvas, order, byLanguage } = view;
  const room = width - LABEL - 2;
  // As few bands as leave each cell wide enough to hit; each begins with a round number.
  const wanted = Math.ceil((order.length * NARROWEST) / room);
  view.perBand = wanted > 1 ? 10 * Math.ceil(order.length / wanted / 10) : order.length;
  view.cell = Math.min(WIDEST, room / view.perBand);
  view.bandHeight = byLanguage.length * HEIGHT + AXIS;
  const bands = Math.ceil(order.length / view.perBand);
  const height = bands * view.bandHeight;
  const scale = window.devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const ink = canvas.getContext("2d");
  ink.scale(scale, scale);
  ink.font = `11px ${css("--sans")}`;
  ink.textBaseline = "middle";
  const colors = { bad: css("--heat-bad"), middle: css("--heat-middle"), good: css("--heat-good") };
  const faint = css("--faint"), text = css("--dim"), strong = css("--ink");
  const opened = openedSample();
  order.forEach((column, place) => {
    const band = Math.floor(place / view.perBand), x = LABEL + (place % view.perBand) * view.cell;
    const top = band * view.bandHeight;
    byLanguage.forEach((result, row) => {
      const entry = view.grid[row][column];
      const y = top + row * HEIGHT;
      ink.globalAlpha = entry && isFaded(entry.cell) ? 0.13 : 1;
      ink.fillStyle = entry && entry.value !== null ? heat(entry.value, colors) : faint;
      if (!entry || entry.value === null) ink.fillRect(x + view.cell / 2 - 1.5, y + HEIGHT / 2 - 1.5, 2, 2);
      else ink.fillRect(x, y, view.cell - 1, HEIGHT - 1);
      ink.globalAlpha = 1;
      const isOpened = opened && entry && opened.cell.problem === entry.cell.problem;
      if (isOpened || (view.at && view.at.row === row && view.at.place === place)) {
        ink.strokeStyle = strong;
        ink.lineWidth = 2;
        ink.strokeRect(x - 0.5, y - 0.5, view.cell, HEIGHT);
      }
    });
    const isTick = state.sort === "hard" ? false : (place % view.perBand === 0 || Number(view.keys[column]) % 10 === 0);
    if (isTick && (place % view.perBand) * view.cell < room - 16) {
      ink.fillStyle = text;
      ink.font = `10px ${css("--sans")}`;
      ink.fillText(plain(view.keys[column]).slice(0, 12), x, top + byLanguage.length * HEIGHT + 6);
    }
    if (place % view.perBand === 0) {
      ink.font = `11px ${css("--sans")}`;
      ink.fillStyle = text;
      byLanguage.forEach((result, row) =>
        ink.fillText(SHORT[result.language] || LANGUAGES[result.language], 0, top + row * HEIGHT + HEIGHT / 2));
    }
  });
}

function isFaded(cell) {
  const verdicts = state.verdict ? state.verdict.split(",") : null;
  return (
    (state.lang && cell.result.language !== state.lang) ||
    (state.bug && cell.problem.bugType !== state.bug) ||
    (state.q && !hasText(cell.problem, state.q.trim().toLowerCase())) ||
    (verdicts && !cell.outcomes.some((outcome) => verdicts.includes(outcome)))
  );
}

function hover(view, event) {
  const box = view.canvas.getBoundingClientRect();
  const x = event.clientX - box.left - LABEL, y = event.clientY - box.top;
  const band = Math.floor(y / view.bandHeight), row = Math.floor((y - band * view.bandHeight) / HEIGHT);
  const inBand = Math.floor(x / view.cell), place = band * view.perBand + inBand;
  const isIn = x >= 0 && inBand < view.perBand && place < view.order.length && row >= 0 && row < view.byLanguage.length;
  pointAt(view, isIn ? { row, place } : null);
}

function pointAt(view, at) {
  const before = view.at;
  view.at = at;
  if (before && at && before.row === at.row && before.place === at.place) return;
  drawMap(view);
  const entry = at && view.grid[at.row][view.order[at.place]];
  view.canvas.classList.toggle("points", Boolean(entry));
  const tip = $("tip");
  tip.hidden = !entry;
  if (!entry) return;
  tip.replaceChildren(...cellText(entry));
  const box = view.canvas.getBoundingClientRect();
  const band = Math.floor(at.place / view.perBand);
  const x = box.left + LABEL + (at.place % view.perBand) * view.cell, y = box.top + band * view.bandHeight + (at.row + 1) * HEIGHT + 6;
  tip.style.left = `${Math.max(8, Math.min(x, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${y + tip.offsetHeight > innerHeight ? y - HEIGHT - tip.offsetHeight - 12 : y}px`;
}

function cellText({ cell, other }) {
  const line = (each) => `${each.passed} of ${plural(each.judged, "sample")} passed`;
  return [
    el("b", {}, outside(cell.problem.id), " "), outside(cell.problem.entryPoint), el("br"),
    other ? `${plain(state.model)}: ${line(cell)}` : line(cell),
    ...(other ? [el("br"), `${plain(state.vs)}: ${line(other)}`] : []),
    ...(cell.problem.bugType ? [el("br"), el("span", { class: "dim" }, plain(cell.problem.bugType))] : []),
  ];
}

function openCell(view) {
  const entry = view.at && view.grid[view.at.row][view.order[view.at.place]];
  if (!entry) return;
  $("tip").hidden = true;
  go(placeOf(entry.cell, sampleIn(entry.cell, "")));
}

function mapKey(view, event) {
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  if (event.key === "Enter") openCell(view);
  else if (moves[event.key]) {
    const at = view.at || { row: 0, place: -1 };
    const [down, right] = moves[event.key];
    const limit = (value, most) => Math.max(0, Math.min(most, value));
    pointAt(view, {
      row: limit(at.row + down, view.byLanguage.length - 1), place: limit(at.place + right, view.order.length - 1),
    });
  } else return;
  event.preventDefault();
  event.stopPropagation();
}
