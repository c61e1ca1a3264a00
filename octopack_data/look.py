"""Kept and dropped commits to look at: a fair sample with diff and reason, in the terminal or as one HTML page."""

from __future__ import annotations

import difflib
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from html import escape
from typing import TYPE_CHECKING, Any

import orjson

from octopack_data.commitpackft.step import CommitPackFT
from octopack_data.options import printable
from octopack_data.pipeline import Batch, Progress, Statistics, Unit, read_batches

if TYPE_CHECKING:
    from rich.console import Console

KEPT = "kept"
DIFF_LINES = 60
"""Lines of a diff that are shown."""

_MAX_DIFF_TEXT = 200_000
_MAX_LINE = 400


@dataclass(frozen=True, slots=True)
class Specimen:
    """A commit with what the rules made of it.

    Attributes:
        row: the commit.
        reason: the rule that drops it, or None.
        subject: the cleaned subject of a kept commit.
    """

    row: dict[str, Any]
    reason: str | None
    subject: str


@dataclass(slots=True)
class Sample:
    """Specimens of every reason, and how many rows there were of each."""

    counts: Counter[str]
    specimens: list[Specimen]
    reasons: tuple[str, ...]
    broken: int = 0

    @property
    def rows(self) -> int:
        """All rows judged."""
        return sum(self.counts.values())


@dataclass(slots=True)
class _Reservoir:
    """Holds the rows whose seeded hash is smallest: a fair draw that does not depend on order or shards."""

    size: int
    seed: int
    _heap: list[tuple[int, int, Specimen]] = field(default_factory=list)
    _seen: int = 0

    def offer(self, line: bytes, specimen: Specimen) -> None:
        digest = int.from_bytes(blake2b(b"%d:" % self.seed + line, digest_size=8).digest(), "big")
        item = (-digest, -self._seen, specimen)
        self._seen += 1
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, item)
        else:
            heapq.heappushpop(self._heap, item)

    def specimens(self) -> list[Specimen]:
        return [specimen for _, _, specimen in sorted(self._heap, key=lambda item: (-item[0], -item[1]))]


def take_sample(
    step: CommitPackFT,
    units: Sequence[Unit],
    each: int,
    seed: int,
    limit: int | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Sample:
    """Judge rows and keep up to `each` specimens of the kept ones and of every reason.

    Args:
        step: the rules.
        units: the rows.
        each: specimens of each reason; four times as many of kept rows.
        seed: of the draw.
        limit: rows of each shard to look at; None for all.
        report: called with what was read.
    """
    function = step.start()
    reservoirs: dict[str, _Reservoir] = {}
    counts: Counter[str] = Counter()
    statistics = Statistics()
    for unit in units:
        left = limit
        for batch in read_batches(unit, step.columns, statistics, report):
            if left is not None:
                batch = Batch(batch.lines[:left], batch.rows[:left])
                left -= len(batch.rows)
            outcome = function(batch)
            dropped = dict(outcome.dropped)
            kept = iter(outcome.kept)
            for position, (line, row) in enumerate(zip(batch.lines, batch.rows, strict=True)):
                reason = dropped.get(position)
                subject = row["subject"] if reason else orjson.loads(next(kept)).get("subject", row["subject"])
                name = reason or KEPT
                counts[name] += 1
                size = each if reason else 4 * each
                reservoirs.setdefault(name, _Reservoir(size, seed)).offer(line, Specimen(row, reason, subject))
            if left == 0:
                break
    order = [KEPT, *step.reasons]
    specimens = [s for name in order if name in reservoirs for s in reservoirs[name].specimens()]
    return Sample(counts, specimens, step.reasons, statistics.broken)


def diff_lines(old: str, new: str, most: int = DIFF_LINES) -> list[str]:
    """Return a unified diff without its file header, cut to `most` lines and long lines shortened."""
    if len(old) + len(new) > _MAX_DIFF_TEXT:
        return [f"@@ too long to show: {len(old):,} and {len(new):,} characters @@"]
    diff = list(difflib.unified_diff(old.split("\n"), new.split("\n"), lineterm="", n=2))[2:]
    shown = [line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]} ..." for line in diff[:most]]
    if len(diff) > most:
        shown.append(f"@@ {len(diff) - most} more lines @@")
    return shown


def print_sample(sample: Sample, console: Console) -> None:
    """Print every specimen with its diff."""
    from rich.panel import Panel
    from rich.text import Text

    styles = {"+": "green", "-": "red", "@": "cyan"}
    for specimen in sample.specimens:
        row = specimen.row
        body = Text()
        body.append(_one_line(row["subject"]) + "\n", "bold")
        if specimen.reason is None and specimen.subject != row["subject"]:
            body.append(f"cleaned: {_one_line(specimen.subject)}\n", "italic")
        body.append(f"{_one_line(row['new_file'])}  {_one_line(row['lang'])}  {row['commit'][:40]}\n", "dim")
        for line in diff_lines(row["old_contents"], row["new_contents"], 24):
            body.append(printable(line) + "\n", styles.get(line[:1], ""))
        title = (
            Text("kept", "bold green") if specimen.reason is None else Text(f"dropped: {specimen.reason}", "bold red")
        )
        console.print(Panel(body, title=title, title_align="left", expand=True))
    table = ", ".join(f"{name} {count:,}" for name, count in sample.counts.most_common())
    console.print(Text(f"{sample.rows:,} rows: {table}"))


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))[:300]


def html_page(sample: Sample, title: str) -> str:
    """Return one self-contained HTML page; whatever the commits contain is shown as text only."""
    buttons = [_button(KEPT, sample.counts[KEPT])]
    buttons += [_button(name, sample.counts[name]) for name in sample.reasons if sample.counts[name]]
    articles = "\n".join(map(_article, sample.specimens))
    total = max(sample.rows, 1)
    lead = f"{sample.rows:,} commits judged, {sample.counts[KEPT]:,} kept ({100 * sample.counts[KEPT] / total:.1f} %)."
    if sample.broken:
        lead += f" {sample.broken:,} lines were no commits."
    return _PAGE.format(
        title=escape(title),
        lead=lead,
        shown=len(sample.specimens),
        buttons="\n".join(buttons),
        articles=articles,
        style=_STYLE,
        script=_SCRIPT,
    )


def _button(name: str, count: int) -> str:
    kind = "keep" if name == KEPT else "drop"
    return (
        f'<button type="button" class="{kind}" aria-pressed="false" data-reason="{escape(name)}">'
        f"{escape(name)} <b>{count:,}</b></button>"
    )


def _article(specimen: Specimen) -> str:
    row = specimen.row
    name = specimen.reason or KEPT
    kind = "drop" if specimen.reason else "keep"
    cleaned = ""
    if specimen.reason is None and specimen.subject != row["subject"]:
        cleaned = f'<p class="cleaned">cleaned: {escape(specimen.subject)}</p>'
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    diff = "".join(
        f'<span class="{kinds.get(line[:1], "same")}">{escape(line)}\n</span>'
        for line in diff_lines(row["old_contents"], row["new_contents"])
    )
    details = " &middot; ".join(
        escape(str(value)) for value in (row["new_file"], row["lang"], row.get("license") or "", row["commit"]) if value
    )
    return (
        f'<article class="{kind}" data-reason="{escape(name)}"><header><span class="tag">{escape(name)}</span>'
        f"<h2>{escape(row['subject'])}</h2></header>{cleaned}"
        f'<p class="details">{details}</p><pre tabindex="0">{diff or "(no lines differ)"}</pre></article>'
    )


_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --paper: #ffffff; --card: #f7f8fa; --line: #dfe2e7;
  --good: #18794e; --good-bg: #e6f6eb; --bad: #b42318; --bad-bg: #feebe9; --hunk: #0b68cb; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #a0a4ab; --paper: #111315; --card: #191c1f;
  --line: #2e3338; --good: #4cc38a; --good-bg: #113123; --bad: #ff8a80; --bad-bg: #3b1512; --hunk: #70b8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
.lead { color: var(--soft); margin: 0 0 1.25rem; }
@media (min-width: 48rem) { .tools { position: sticky; } }
.tools { top: 0; background: var(--paper); padding: .6rem 0; border-bottom: 1px solid var(--line);
  display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; z-index: 1; }
input { font: inherit; padding: .3rem .6rem; border: 1px solid var(--line); border-radius: 6px; min-width: 14rem;
  background: var(--card); color: var(--ink); }
button { font: inherit; font-size: 13px; border: 1px solid var(--line); border-radius: 999px; padding: .15rem .7rem;
  background: var(--card); color: var(--ink); cursor: pointer; }
button b { font-weight: 600; color: var(--soft); margin-left: .2rem; }
button[aria-pressed=true].keep { background: var(--good-bg); border-color: var(--good); color: var(--good); }
button[aria-pressed=true].drop { background: var(--bad-bg); border-color: var(--bad); color: var(--bad); }
article { margin: 1.25rem 0; border: 1px solid var(--line); border-left: 4px solid var(--bad); border-radius: 8px;
  background: var(--card); overflow: hidden; }
article.keep { border-left-color: var(--good); }
article header { display: flex; gap: .75rem; align-items: baseline; padding: .75rem 1rem 0; }
h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
.tag { flex: none; font-size: 12px; font-weight: 600; border-radius: 4px; padding: .1rem .45rem; color: var(--bad);
  background: var(--bad-bg); }
.keep .tag { color: var(--good); background: var(--good-bg); }
.details, .cleaned { margin: .2rem 1rem .6rem; color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.cleaned { font-style: italic; margin-bottom: 0; }
pre { margin: 0; padding: .5rem 0; border-top: 1px solid var(--line); background: var(--paper); overflow-x: auto;
  font: 12.5px/1.45 ui-monospace, monospace; tab-size: 4; }
pre span { display: block; padding: 0 1rem; min-width: max-content; }
.add { background: var(--good-bg); color: var(--good); } .del { background: var(--bad-bg); color: var(--bad); }
.hunk { color: var(--hunk); } .none { color: var(--soft); padding: 2rem 0; }
"""

_SCRIPT = """
const buttons = [...document.querySelectorAll('button[data-reason]')];
const articles = [...document.querySelectorAll('article')];
const search = document.querySelector('input');
const none = document.querySelector('.none');
function show() {
  const chosen = new Set(buttons.filter(b => b.getAttribute('aria-pressed') === 'true').map(b => b.dataset.reason));
  const words = search.value.toLowerCase();
  let shown = 0;
  for (const article of articles) {
    const fits = (!chosen.size || chosen.has(article.dataset.reason))
      && (!words || article.textContent.toLowerCase().includes(words));
    article.hidden = !fits;
    shown += fits;
  }
  none.hidden = shown > 0;
}
for (const button of buttons) button.addEventListener('click', () => {
  button.setAttribute('aria-pressed', button.getAttribute('aria-pressed') !== 'true');
  show();
});
search.addEventListener('input', show);
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p class="lead">{lead} {shown} of them are shown.</p>
<div class="tools"><input type="search" placeholder="Search text" aria-label="Search text">
{buttons}</div>
<main>
{articles}
</main>
<p class="none" hidden>No commit fits.</p>
<script>{script}</script>
</body>
</html>
"""
