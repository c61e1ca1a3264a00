"""The report on a pack: tables for the terminal, and a page of HTML that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from octopack_tasks.pack.findings import TITLES, Check, Finding, Severity
from octopack_tasks.pack.validation import Validation
from octopack_tasks.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def summary(validation: Validation) -> str:
    """One line that says what was checked and how much was found."""
    problems = ", ".join(f"{count} in {language}" for language, count in validation.problems.items())
    found = ", ".join(_counted(validation.count(severity), severity.value) for severity in Severity)
    how = "" if validation.settings["executed"] else "; nothing was run (--quick)"
    return f"{printable(validation.folder)}: {problems or 'no problems'}; {found}{how}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def print_report(validation: Validation, console: Console, show: int) -> None:
    """Print the findings by check, then the first ones themselves.

    Args:
        validation: The report.
        console: Where to print.
        show: How many errors and warnings of each check are printed; its notes are where there are no more of them.
    """
    from rich.table import Table
    from rich.text import Text

    languages = list(validation.problems)
    table = Table("check", "what it means", *(severity.value for severity in Severity), *languages)
    for check, counts in validation.by_check().items():
        found = [finding for finding in validation.findings if finding.check is check]
        by_language = (sum(finding.language == language for finding in found) for language in languages)
        numbers = (str(counts[severity] or "") for severity in Severity)
        table.add_row(check.value, TITLES[check], *numbers, *(str(count or "") for count in by_language))
    if validation.findings:
        console.print(table)
    for severity in Severity:
        for check in Check:
            found = [each for each in validation.findings if each.check is check and each.severity is severity]
            if severity is Severity.NOTE and len(found) > show:
                continue  # the table says how many; a page is the better place to look at them
            for finding in found[:show]:
                line = Text(f"{severity.value} {check.value} ", style=_STYLES[severity])
                console.print(
                    line.append(printable(f"{_place(finding)}{finding.message}"), style="none"), soft_wrap=True
                )
            if len(found) > show:
                console.print(f"  {len(found) - show} more {check.value} {severity.value}s (--show, --html, --json)")
    console.print(summary(validation), markup=False, soft_wrap=True)


def _place(finding: Finding) -> str:
    place = finding.task_id or finding.language
    if finding.field and f"`{finding.field}`" not in finding.message:
        place = f"{place} ({finding.field})"
    return f"{place}: " if place else ""


# --- HTML -------------------------------------------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --error: #b3261e; --warning: #9a6700; --note: #57606a; }
@media (prefers-color-scheme: dark) { :root { --error: #f2b8b5; --warning: #e3b341; --note: #9aa4ae; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { background: var(--soft); padding: .6rem; margin: .4rem 0; white-space: pre-wrap; font-size: .85rem; }
.error { color: var(--error); } .warning { color: var(--warning); } .note { color: var(--note); }
summary { cursor: pointer; }
"""


def html_report(validation: Validation) -> str:
    """The whole report as one page; what it quotes from the pack and its programs is escaped."""
    title = f"Check of {validation.folder}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(summary(validation))}</p>",
        *_settings(validation),
        *_overview(validation),
        *_sections(validation),
        "</body></html>",
    ]
    # The names of folders can hold bytes that are no text.
    return "\n".join((*parts, "")).encode("utf-8", "backslashreplace").decode("utf-8")


def _settings(validation: Validation) -> Iterator[str]:
    effort = validation.settings.get("effort")
    if effort:
        said = (
            f"Right and buggy solutions ran {effort['repeat']} times, {effort['repeat_chance']} times where the code "
            f"draws on chance; {effort['mutants']} changes to each right solution; limit {effort['timeout']:g} s of "
            "CPU time a program."
        )
        yield f"<p>{html.escape(said)}</p>"
    images = {
        f"{environment['backend']} {environment['image']}"
        for environment in validation.settings.get("sandboxes", {}).values()
    }
    if images:
        yield f"<p>Sandbox: {html.escape(', '.join(sorted(images)))}</p>"


def _overview(validation: Validation) -> Iterator[str]:
    languages = list(validation.problems)
    numbers = "".join(
        f'<th class="number">{html.escape(name)}</th>' for name in (*(each.value for each in Severity), *languages)
    )
    yield f"<table><thead><tr><th>check</th><th>what it means</th>{numbers}</tr></thead><tbody>"
    for check, counts in validation.by_check().items():
        found = [finding for finding in validation.findings if finding.check is check]
        cells = [counts[severity] for severity in Severity]
        cells += [sum(finding.language == language for finding in found) for language in languages]
        row = "".join(f'<td class="number">{cell or ""}</td>' for cell in cells)
        link = f'<a href="#{check.value}">{check.value}</a>'
        yield f"<tr><td>{link}</td><td>{html.escape(TITLES[check])}</td>{row}</tr>"
    yield "</tbody></table>"


def _sections(validation: Validation) -> Iterator[str]:
    for check in validation.by_check():
        found = [finding for finding in validation.findings if finding.check is check]
        yield f'<h2 id="{check.value}">{html.escape(check.value)}: {html.escape(TITLES[check])}</h2>'
        yield "<table><thead><tr><th>row</th><th>field</th><th>what was found</th></tr></thead><tbody>"
        yield from _rows(found)
        yield "</tbody></table>"


def _rows(found: Sequence[Finding]) -> Iterator[str]:
    for finding in found:
        message = html.escape(finding.message)
        if finding.detail:
            detail = html.escape(finding.detail)
            message = f"<details><summary>{message}</summary><pre>{detail}</pre></details>"
        yield (
            f'<tr><td class="{finding.severity.value}">{html.escape(finding.task_id or finding.language)}<br>'
            f"{finding.severity.value}</td><td>{html.escape(finding.field)}</td><td>{message}</td></tr>"
        )
