"""A table as Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError

EMPTY = "-"
"""Stands in printed tables where there is no value."""
_ROWS_OF_A_PAGE = 50
_LATEX_FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Begins a box that is made narrower if it is wider than the text."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its key in CSV and JSON.
        title: Its heading in print.
        is_number: Whether its values are aligned to the right.
        group: A heading that it shares with its neighbours, in LaTeX; "" for none.
    """

    name: str
    title: str
    is_number: bool = True
    group: str = ""


@dataclass(frozen=True)
class Cell:
    """A value of a table.

    Attributes:
        text: How it is printed.
        value: What CSV and JSON hold: a number keeps all its digits there.
    """

    text: str
    value: Any


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Name of its files.
        caption: What it shows, in one sentence.
        columns: Its columns.
        rows: Its rows, a cell for each column.
        notes: What must be known to read it; printed below.
        details: More for JSON alone, such as where numbers come from.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def markdown(self) -> str:
        """The table in Markdown."""
        heads = (f"{column.group}: {column.title}" if column.group else column.title for column in self.columns)
        lines = [
            _markdown_text(self.caption),
            "",
            _markdown_line(map(_markdown_text, heads)),
            _markdown_line("--:" if column.is_number else "---" for column in self.columns),
            *(_markdown_line(_markdown_text(cell.text) for cell in row) for row in self.rows),
        ]
        if self.notes:
            lines += ["", *(f"- {_markdown_text(note)}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """The table in LaTeX, for a document that uses booktabs and, as the first line says, graphicx or longtable."""
        alignment = "".join("r" if column.is_number else "l" for column in self.columns)
        head = [r"\toprule", *self._latex_groups(), _latex_line(column.title for column in self.columns), r"\midrule"]
        body = [_latex_line(cell.text for cell in row) for row in self.rows]
        caption = rf"\caption{{{_latex_text(self.caption)}}}\label{{tab:{self.name}}}"
        notes = [r"\par\smallskip\noindent", r"\begin{minipage}{\linewidth}\footnotesize"] if self.notes else []
        notes += [rf"{_latex_text(note)}\par" for note in self.notes]
        notes += [r"\end{minipage}"] if self.notes else []
        if len(self.rows) > _ROWS_OF_A_PAGE:
            lines = [r"% needs \usepackage{booktabs,longtable}", r"{\footnotesize\setlength{\tabcolsep}{4pt}"]
            lines += [rf"\begin{{longtable}}{{{alignment}}}", rf"{caption} \\", *head, r"\endfirsthead"]
            lines += [*head, r"\endhead", r"\bottomrule", r"\endfoot", *body, r"\end{longtable}}", *notes]
        else:
            lines = [r"% needs \usepackage{booktabs,graphicx}", r"\begin{table}", r"\centering", caption]
            lines += [_LATEX_FITTED, rf"\begin{{tabular}}{{{alignment}}}", *head, *body]
            lines += [r"\bottomrule", r"\end{tabular}}", *notes, r"\end{table}"]
        return "\n".join(lines) + "\n"

    def _latex_groups(self) -> list[str]:
        """The line of shared headings, and the rules below each; nothing where there are none."""
        if not any(column.group for column in self.columns):
            return []
        spans: list[tuple[str, int, int]] = []
        for index, column in enumerate(self.columns, start=1):
            if spans and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1], index)
            else:
                spans.append((column.group, index, index))
        heads = [rf"\multicolumn{{{last - first + 1}}}{{c}}{{{_latex_text(group)}}}" for group, first, last in spans]
        rules = [rf"\cmidrule(lr){{{first}-{last}}}" for group, first, last in spans if group]
        return [" & ".join(heads) + r" \\", " ".join(rules)]

    def csv(self) -> str:
        """The table in CSV: values with all their digits."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in self.columns])
        writer.writerows(["" if cell.value is None else cell.value for cell in row] for row in self.rows)
        return file.getvalue()

    def json(self) -> str:
        """The table in JSON: an object for each row."""
        names = [column.name for column in self.columns]
        rows = [dict(zip(names, (cell.value for cell in row), strict=True)) for row in self.rows]
        content = {"caption": self.caption, "rows": rows, "notes": list(self.notes), **self.details}
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def write(self, folder: Path) -> list[Path]:
        """Write all four files.

        Raises:
            UserError: The folder cannot be written.
        """
        written = []
        for suffix, content in (("md", self.markdown), ("tex", self.latex), ("csv", self.csv), ("json", self.json)):
            path = folder / f"{self.name}.{suffix}"
            write_text(path, content())
            written.append(path)
        return written


def write_text(path: Path, text: str) -> None:
    """Write a file and the folder it is in.

    Raises:
        UserError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"could not write {path}: {error.strerror or error}") from None


def text_cell(text: str) -> Cell:
    """A cell of plain text."""
    return Cell(text, text)


def number_cell(value: float | None, form: str = ",.1f") -> Cell:
    """A cell of a number, which may lack, printed in a form."""
    return Cell(EMPTY if value is None else format(value, form), value)


def percent_cell(share: float | None) -> Cell:
    """A cell of a share, which may lack: printed in percent, kept as it is."""
    return Cell(EMPTY if share is None else percent_text(share), share)


def percent_text(share: float, digits: int = 1) -> str:
    """A share in percent. Halves are rounded up, as in the paper, also where their last bit is a little low."""
    return f"{100 * share + 1e-9:.{digits}f}"


def _markdown_line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _markdown_text(text: str) -> str:
    # Names of models and languages come from outside: they must neither end the cell nor become markup.
    escaped = re.sub(r"([\\`*_\[\]|$~])", r"\\\1", text.replace("\n", " "))
    return escaped.replace("<", "&lt;").replace(">", "&gt;")


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\n": " ",
    "†": r"\textdagger{}",
    "±": r"$\pm$",
}


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _latex_line(texts: Iterable[str]) -> str:
    line = " & ".join(map(_latex_text, texts)) + r" \\"
    # LaTeX would take a bracket or a star for an option of the line end or rule before it.
    return f"{{}}{line}" if line.startswith(("[", "*")) else line
