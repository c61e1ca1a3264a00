"""From problems and hand-made bugs to the rows of a pack, by the rules with which HumanEvalPack was built."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.pack.sources import BugKind, SourceRow, read_source, write_whole
from octopack_tasks.pack.wording import rust_prompt, wording
from octopack_tasks.problems import row_faults

_HUMANEVAL_X = Path(__file__).parent / "resources" / "humaneval_x.yaml"

# What HumanEval says of itself at the top of its tests.
_METADATA = ("METADATA = {\n    'author': 'jt',\n    'dataset': 'test'\n}", "METADATA = {}")


@dataclass(frozen=True)
class Text:
    """A text of the published rows that the source does not contain.

    Attributes:
        task_id: Whose it is.
        fields: In which fields.
        text: What the rules give.
        published: What was published in its place.
        reason: Why they differ.
    """

    task_id: str
    fields: Sequence[str]
    text: str
    published: str
    reason: str


@dataclass(frozen=True)
class Corrections:
    """What the rules cannot find.

    Attributes:
        entry_points: By language, the derived names that its code does not have, and those that it has instead.
        texts: Texts of the published rows that the source does not contain.
    """

    entry_points: Mapping[str, Mapping[str, str]]
    texts: Sequence[Text]


@dataclass(frozen=True)
class BuiltPack:
    """What was built.

    Attributes:
        rows: Number of rows by language.
        notes: What a person should look at.
    """

    rows: Mapping[str, int]
    notes: Sequence[str]


def build_pack(
    source: Path, out: Path, languages: Sequence[str] | None = None, corrections: Path | None = None
) -> BuiltPack:
    """Build a pack and write it, all files or none.

    Args:
        source: See `read_source`.
        out: Folder for `<language>.jsonl`.
        languages: Only these; None: all that the source has.
        corrections: File of names and texts that the rules cannot find; None: those of HumanEval-X.

    Raises:
        UserError: Something in the source or the corrections is wrong; nothing was written.
    """
    corrected = read_corrections(corrections or _HUMANEVAL_X)
    found = read_source(source, languages)
    notes: list[str] = []
    texts: dict[Path, str] = {}
    for language, rows in found.rows.items():
        lines = []
        for row, name, kind in zip(rows, found.entry_points, found.kinds, strict=True):
            built, remarks = build_row(language, row, name, kind, corrected)
            notes += remarks
            for field, fault in row_faults(built, language):
                raise UserError(f"{row.where}: field `{field}` {fault}")
            lines.append(json.dumps(built) + "\n")
        texts[out / f"{language}.jsonl"] = "".join(lines)
    write_whole(texts)
    return BuiltPack({language: len(rows) for language, rows in found.rows.items()}, notes)


def build_row(
    language: str, row: SourceRow, name: str, kind: BugKind, corrections: Corrections
) -> tuple[dict[str, str], list[str]]:
    """Build one row of a pack.

    Args:
        language: Its language.
        row: Its source.
        name: The function's name in Python.
        kind: Of what kind its bug is.
        corrections: What the rules cannot find.

    Returns:
        The row, with its fields in the order of the published ones, and remarks for a person.
    """
    built = {
        **row.fields,
        "buggy_solution": row.buggy_solution,
        "bug_type": kind.bug_type,
        "failure_symptoms": kind.failure_symptoms,
    }
    notes = []
    built["entry_point"] = entry_point_in(language, name)
    if built["entry_point"] not in row.fields["declaration"] + row.fields["prompt"]:
        own_name = corrections.entry_points.get(language, {}).get(built["entry_point"])
        if own_name is None:
            notes.append(f"{row.where}: no function {built['entry_point']!r} in fields `declaration` and `prompt`")
        built["entry_point"] = own_name or built["entry_point"]
    if language == "python":
        for metadata in _METADATA:
            built["test"] = built["test"].replace(metadata, "")
    words = wording(language, built, built["entry_point"], row.where)
    built.update(signature=words.signature, docstring=words.docstring, instruction=words.instruction(language))
    if language == "rust":
        built["prompt"] = rust_prompt(row.fields["prompt"], row.fields["declaration"], row.where)
    for text in (text for text in corrections.texts if text.task_id == built["task_id"]):
        # A row of that name in a pack of somebody else's says something else.
        for field in (field for field in text.fields if text.text in built.get(field, "")):
            notes.append(f"{text.task_id}: field `{field}` as published. {text.reason}")
            built[field] = built[field].replace(text.text, text.published, 1)
    return built, notes


def entry_point_in(language: str, name: str) -> str:
    """The name that a function has in a language by its usual spelling.

    As in HumanEvalPack, capitals within the Python name are lost: `minSubArraySum` is `Minsubarraysum` in Go.
    """
    if language not in ("go", "java", "js", "typescript"):
        return name
    title = name.replace("_", " ").title().replace(" ", "")
    return title if language == "go" else title[:1].lower() + title[1:]


def read_corrections(file: Path) -> Corrections:
    """Read a file of corrections, such as the built-in one of HumanEval-X.

    Raises:
        UserError: It is not there, or malformed.
    """
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"corrections {file} cannot be read: {' '.join(str(error).split())}") from None
    try:
        return _corrections(content)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"corrections {file} must hold `entry_points` (language: {{derived name: own name}}) and `texts` (a "
            f"list of task_id, fields, text, published, reason): {type(error).__name__} {error}"
        ) from None


def _corrections(content: Mapping[str, Any]) -> Corrections:
    names = content.get("entry_points") or {}
    return Corrections(
        entry_points={
            str(language): {str(old): str(new) for old, new in renamed.items()} for language, renamed in names.items()
        },
        texts=[Text(**text) for text in content.get("texts") or ()],
    )
