// What differs between two texts: by line, and within lines that replace each other by word.

const MOST_CELLS = 4e6;

/** The longest common subsequence of two lists as steps ["=" | "-" | "+", index in a, index in b]. */
function steps(a, b) {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let endA = a.length, endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) { endA--; endB--; }
  const found = [];
  for (let i = 0; i < start; i++) found.push(["=", i, i]);
  const rows = endA - start, columns = endB - start;
  if (rows * columns > MOST_CELLS) {
    for (let i = start; i < endA; i++) found.push(["-", i, -1]);
    for (let j = start; j < endB; j++) found.push(["+", -1, j]);
  } else {
    const width = columns + 1;
    const longest = new Uint16Array((rows + 1) * width);
    for (let i = rows - 1; i >= 0; i--)
      for (let j = columns - 1; j >= 0; j--)
        longest[i * width + j] = a[start + i] === b[start + j]
          ? longest[(i + 1) * width + j + 1] + 1
          : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    let i = 0, j = 0;
    while (i < rows || j < columns) {
      if (i < rows && j < columns && a[start + i] === b[start + j]) found.push(["=", start + i++, start + j++]);
      else if (i < rows && (j === columns || longest[(i + 1) * width + j] >= longest[i * width + j + 1]))
        found.push(["-", start + i++, -1]);
      else found.push(["+", -1, start + j++]);
    }
  }
  for (let i = endA, j = endB; i < a.length; i++, j++) found.push(["=", i, j]);
  return found;
}

/** The rows of a diff: {sign, a, b, text, changes}; changes are the [from, to] of words that differ, where known. */
function diffRows(before, after) {
  const a = before.split("\n"), b = after.split("\n");
  const clean = (lines) => lines.map((line) => line.trimEnd());
  const rows = steps(clean(a), clean(b)).map(([sign, i, j]) => ({
    sign, a: i, b: j, text: sign === "-" ? a[i] : b[j], changes: null,
  }));
  for (let at = 0; at < rows.length; at++) {
    if (rows[at].sign === "=") continue;
    const end = rows.findIndex((row, index) => index >= at && row.sign === "=");
    const block = rows.slice(at, end < 0 ? rows.length : end);
    const gone = block.filter((row) => row.sign === "-"), come = block.filter((row) => row.sign === "+");
    if (gone.length === come.length) gone.forEach((row, index) => markWords(row, come[index]));
    at += block.length - 1;
  }
  return rows;
}

function markWords(gone, come) {
  const split = (text) => text.match(/\w+|\s+|[^\w\s]/g) || [];
  const a = split(gone.text), b = split(come.text);
  if (a.length * b.length > 250000) return;
  const found = steps(a, b);
  const same = found.filter(([sign, i]) => sign === "=" && a[i].trim()).length;
  if (same * 3 < Math.min(a.length, b.length)) return; // hardly alike: the whole lines differ
  gone.changes = spans(found, a, "-", 1);
  come.changes = spans(found, b, "+", 2);
}

function spans(found, words, sign, which) {
  const changed = new Set(found.filter((step) => step[0] === sign).map((step) => step[which]));
  const marks = [];
  let at = 0;
  words.forEach((word, index) => {
    if (changed.has(index)) {
      const last = marks[marks.length - 1];
      if (last && last[1] === at) last[1] = at + word.length;
      else marks.push([at, at + word.length]);
    }
    at += word.length;
  });
  return marks;
}
