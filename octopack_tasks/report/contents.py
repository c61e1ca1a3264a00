"""The first page of a report: what it covers, its figures, and links to everything else. No script, no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path, PurePath

from octopack_tasks.report.inputs import ReportRun
from octopack_tasks.report.published import PublishedModel
from octopack_tasks.report.viewer import FILE as VIEWER

FILE = "index.html"
"""Name of the page in a report."""

_STYLE = (Path(__file__).parent / "page" / "contents.css").read_text(encoding="utf-8")


def write_contents(
    runs: Sequence[ReportRun], published: Sequence[PublishedModel], files: Iterable[Path], out: Path
) -> list[Path]:
    """Write the page.

    Args:
        runs: The runs of the report.
        published: The published models beside them.
        files: The other files of the report, below `out`.
        out: The folder of the report.
    """
    path = out / FILE
    names = sorted(PurePath(file.relative_to(out)).as_posix() for file in files)
    path.write_text(_page(runs, published, names), encoding="utf-8", newline="\n")
    return [path]


def _page(runs: Sequence[ReportRun], published: Sequence[PublishedModel], names: Sequence[str]) -> str:
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    figures = sorted((name for name in names if name.endswith(".png")), key=lambda name: "overview" not in name)
    others = [name for name in names if not name.startswith("figures/") and name != VIEWER]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            # A page from disk has no origin of its own: its figures are files.
            '<meta http-equiv="Content-Security-Policy" '
            f"content=\"default-src 'none'; style-src 'sha256-{digest}'; img-src data: file: http: https:\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<title>OctoPack report</title><link rel="icon" href="data:,"><style>{_STYLE}</style></head><body>',
            "<h1>OctoPack report</h1>",
            *(
                [f'<p class="lead"><a class="open" href="{VIEWER}">Look at the samples</a></p>']
                if VIEWER in names
                else []
            ),
            "<h2>Runs</h2>" if runs else "<h2>Published scores</h2>",
            *map(_run, runs),
            *_published(published, are_beside=bool(runs)),
            *(["<h2>Figures</h2>"] if figures else []),
            *(_figure(name, names) for name in figures),
            "<h2>Files</h2>",
            *_by_folder(others),
            "</body></html>",
            "",
        ]
    )


def _run(run: ReportRun) -> str:
    tasks = list(dict.fromkeys(result.task for result in run.results))
    shown = ", ".join(tasks[:6]) + (f" and {len(tasks) - 6} more" if len(tasks) > 6 else "")
    lines = [f"<b>{_text(run.label)}</b> {_text(run.model)}, from {_text(run.origin.value)}: {_text(shown)}"]
    lines += [f'<span class="half">Not whole: {_text(lack)}</span>' for lack in run.lacks[:3]]
    if len(run.lacks) > 3:
        lines.append(f'<span class="half">and {len(run.lacks) - 3} more tasks</span>')
    lines += [f'<span class="half">{_text(note)}</span>' for note in run.notes]
    return f'<p class="run">{"<br>".join(lines)}</p>'


def _published(published: Sequence[PublishedModel], *, are_beside: bool) -> list[str]:
    if not published:
        return []
    names = ", ".join(_text(model.name) for model in published)
    return [f'<p class="run">{"Published scores beside them: " if are_beside else ""}{names}</p>']


def _figure(name: str, names: Sequence[str]) -> str:
    stem = name.removesuffix(".png")
    links = " ".join(
        f'<a href="{_text(f"{stem}.{suffix}")}">{suffix.upper()}</a>'
        for suffix in ("pdf", "svg", "png")
        if f"{stem}.{suffix}" in names
    )
    title = _text(PurePath(stem).name)
    image = f'<img src="{_text(name)}" alt="{title}" loading="lazy">'
    return f"<figure>{image}<figcaption>{title} {links}</figcaption></figure>"


def _by_folder(names: Sequence[str]) -> list[str]:
    """A list for each folder, where files that differ in their suffix alone share a line."""
    lines = []
    for stem in dict.fromkeys(str(PurePath(name).with_suffix("")) for name in names):
        same = [name for name in names if str(PurePath(name).with_suffix("")) == stem]
        links = " ".join(f'<a href="{_text(name)}">{_text(PurePath(name).suffix.lstrip("."))}</a>' for name in same)
        lines.append(f"<li>{_text(stem)} {links}</li>")
    return ["<ul>", *lines, "</ul>"]


def _text(text: str) -> str:
    return escape(text.encode("utf-8", "replace").decode("utf-8"))
