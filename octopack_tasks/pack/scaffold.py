"""A problem as a folder that a person edits: declared once, solved and broken in every language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.languages import LANGUAGES, get_language
from octopack_tasks.pack.building import Corrections, build_row
from octopack_tasks.pack.mutations import BugType
from octopack_tasks.pack.signatures import SPELLINGS, Case, Signature, Spelling
from octopack_tasks.pack.sources import BugKind, SourceRow, write_whole
from octopack_tasks.pack.symptoms import Symptom
from octopack_tasks.problems import Problem

PROBLEM_FILE = "problem.yaml"
BUG_FILE = "bug.yaml"

# HumanEvalPack's task ids name the languages like this.
_TITLES = {"cpp": "CPP"}
_GO_SETUP = 'package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n'
_UNWRITTEN = "write the solution here"
_UNDOCUMENTED = "Say here in a few sentences what the function returns."
# They end a comment or a string, are escapes in one (Python, Java), or stand where rows are searched for a function.
_BREAKS_PROMPTS = re.compile(r'"""|\'\'\'|/\*|\*/|\bdef |(?<!\\)(?:\\\\)*(\\[uUxN])')
_BREAKS = "which ends or breaks the documentation in some language: say it in other words"

_TEMPLATE = """\
# One problem, declared once for all languages. The files beside this one hold its solution in each of them.
signature: "{signature}"

# What a model is told. The function is called {{name}} here: each language spells its name in its own way.
documentation: |
  {undocumented}

# Calls that the documentation shows, one a line, with values as in Python: {name}(...) == ...
examples: |

# Calls that decide whether a solution is right, one a line: normal ones and the corners. The more, the better.
tests: |
"""


@dataclass(frozen=True)
class Solution:
    """The code of a problem in one language.

    Attributes:
        declaration: All up to the line that begins the function, that line included.
        right: The body of the function, and what follows.
        buggy: The same with a bug; None where there is none yet.
    """

    declaration: str
    right: str
    buggy: str | None


@dataclass(frozen=True)
class ProblemFolder:
    """A problem, as its folder declares it.

    Attributes:
        folder: The folder.
        signature: The function.
        documentation: What a model is told, by line; `{name}` stands for the function's name.
        examples: Calls that the documentation shows.
        tests: Calls that decide.
        solutions: The code by language.
        kind: Of what kind the bug is; None where there is none yet.
    """

    folder: Path
    signature: Signature
    documentation: tuple[str, ...]
    examples: tuple[Case, ...]
    tests: tuple[Case, ...]
    solutions: Mapping[str, Solution]
    kind: BugKind | None

    def row(self, language: str, pack: str = "") -> dict[str, str]:
        """Its row in a language; where there is no bug yet, the right solution stands for the buggy one.

        Args:
            language: The language.
            pack: What the task ids begin with.
        """
        spelling, solution = SPELLINGS[language], self.solutions[language]
        name = spelling.function(self.signature)
        documentation = [line.replace("{name}", name) for line in self.documentation]
        documentation += spelling.examples(self.signature, self.examples)
        head = spelling.head(self.signature)
        opening = solution.declaration.removesuffix(head)
        title = _TITLES.get(language, get_language(language).title)
        fields = {
            "task_id": f"{pack}{title}/{self.signature.name}",
            "prompt": spelling.prompt(opening, documentation, head),
            "declaration": solution.declaration,
            "canonical_solution": solution.right,
            "test": spelling.tests(self.signature, self.tests),
            "example_test": spelling.tests(self.signature, self.examples),
        }
        if language == "go":
            fields |= {"import": "", "test_setup": _GO_SETUP}
        buggy = solution.right if solution.buggy is None else solution.buggy
        row = SourceRow(str(self.folder / solution_file(language)), fields, buggy)
        built, _ = build_row(language, row, self.signature.name, self.kind or BugKind("", ""), Corrections({}, ()))
        if _letters(built["docstring"]) != _letters("\n".join(documentation)):
            raise UserError(
                f"{row.where}: the rules of HumanEvalPack take something else for the documentation, most likely a "
                f"comment above the function: {built['docstring'][:80]!r}. Write it with // or leave it out"
            )
        return built

    def problems(self) -> dict[str, Problem]:
        """Its problem by language."""
        return {
            language: Problem.from_row(self.row(language), language, str(self.folder)) for language in self.solutions
        }


def _letters(text: str) -> str:
    """A text without white space and the marks that the rules may take for those of a comment."""
    return re.sub(r'[\s/*"]', "", text)


def solution_file(language: str) -> str:
    """The name of the file with the right solution in a language."""
    return f"solution.{get_language(language).extension}"


def buggy_file(language: str) -> str:
    """The name of the file with the buggy solution in a language."""
    return f"buggy.{get_language(language).extension}"


def spelled_languages(names: Iterable[str] | None = None) -> list[str]:
    """The languages that problems can be declared for, or those of them that are named.

    Raises:
        UserError: A name is none of them.
    """
    for name in names or ():
        get_language(name)
        if name not in SPELLINGS:
            raise UserError(
                f"no rule says how {name!r} spells a signature (octopack_tasks/pack/signatures.py); there are: "
                f"{', '.join(SPELLINGS)}"
            )
    return [name for name in LANGUAGES if name in SPELLINGS and name in (names or SPELLINGS)]


def new_problem(signature: str, parent: Path, languages: Sequence[str] | None = None) -> list[Path]:
    """Begin the folder of a problem; files that exist are left as they are.

    Args:
        signature: Its signature, such as `count_vowels(text: str) -> int`.
        parent: In which folder; the problem's own is named after its function.
        languages: In which languages; None: in all.

    Returns:
        The files that were written.

    Raises:
        UserError: The signature does not fit all languages, or the folder holds a problem with another one.
    """
    declared = Signature.parse(signature)
    folder = parent / declared.name
    if (folder / PROBLEM_FILE).exists():
        there = _signature(folder, _declared(folder))
        if there != declared:
            raise UserError(
                f"{folder} holds another problem, {there}: choose another name, or change its {PROBLEM_FILE}"
            )
    texts = {
        folder / PROBLEM_FILE: _TEMPLATE.format(signature=declared, name=declared.name, undocumented=_UNDOCUMENTED)
    }
    for language in spelled_languages(languages):
        spelling = SPELLINGS[language]
        code = spelling.opening(declared) + spelling.head(declared) + spelling.unwritten
        texts[folder / solution_file(language)] = code.lstrip("\n")
    missing = {file: text for file, text in texts.items() if not file.exists()}
    write_whole(missing)
    return list(missing)


def read_problem(folder: Path, languages: Sequence[str] | None = None) -> ProblemFolder:
    """Read the folder of a problem.

    Args:
        folder: The folder.
        languages: Only these; None: those that it has a solution in.

    Raises:
        UserError: Something is missing, not written yet, or malformed; the message names the file.
    """
    declared = _declared(folder)
    signature = _signature(folder, declared)
    file = folder / PROBLEM_FILE
    documentation = declared.get("documentation")
    if not isinstance(documentation, str) or not documentation.strip() or _UNDOCUMENTED in documentation:
        raise UserError(f"{file}: field `documentation` is not written yet")
    examples = _cases(file, "examples", declared, signature)
    shown = "\n".join(SPELLINGS["python"].examples(signature, examples))
    for field, told in (("documentation", documentation), ("examples", shown)):
        if found := _BREAKS_PROMPTS.search(told):
            raise UserError(f"{file}: field `{field}` holds `{found[1] or found[0]}`, {_BREAKS}")
    tests = _cases(file, "tests", declared, signature)
    if not tests:
        raise UserError(f"{file}: field `tests` is empty: write calls of {signature.name}, one a line")
    chosen = spelled_languages(languages)
    if languages is None:
        chosen = [language for language in chosen if (folder / solution_file(language)).exists()]
        if not chosen:
            raise UserError(f"{folder} has no solution in any language ({solution_file('python')}, ...)")
    return ProblemFolder(
        folder=folder,
        signature=signature,
        documentation=tuple(line.strip() for line in documentation.strip().split("\n")),
        examples=examples,
        tests=tests,
        solutions={language: _solution(folder, language, SPELLINGS[language], signature) for language in chosen},
        kind=_kind(folder / BUG_FILE),
    )


def write_bug(folder: Path, kind: BugKind, codes: Mapping[str, str], description: str) -> list[Path]:
    """Write the buggy solutions of a problem, whole programs by language, and of what kind the bug is."""
    import yaml

    about = {"bug_type": kind.bug_type, "failure_symptoms": kind.failure_symptoms, "description": description}
    texts = {folder / buggy_file(language): code.lstrip("\n") for language, code in codes.items()}
    texts[folder / BUG_FILE] = yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=120)
    write_whole(texts)
    return list(texts)


def write_rows(parent: Path, out: Path, pack: str = "", languages: Sequence[str] | None = None) -> Mapping[str, int]:
    """Write the rows of all problems in a folder, all files or none.

    Args:
        parent: Folder of problem folders.
        out: Folder for `<language>.jsonl`.
        pack: What the task ids begin with.
        languages: Only these; None: those of the problems, which must be the same for all.

    Returns:
        Number of rows by language.

    Raises:
        UserError: A problem is not finished, or lacks a language that others have; nothing was written.
    """
    import json

    if not pack.isprintable():
        raise UserError(f"{pack!r} cannot begin a task id: it must be printable text in one line")
    folders = sorted(file.parent for file in parent.glob(f"*/{PROBLEM_FILE}"))
    if not folders:
        raise UserError(f"{parent} holds no problems (<problem>/{PROBLEM_FILE}); `octopack pack new` begins one")
    problems = [read_problem(folder, languages) for folder in folders]
    chosen = [name for name in spelled_languages() if any(name in problem.solutions for problem in problems)]
    seen: dict[str, Path] = {}
    for problem in problems:
        first = seen.setdefault(problem.signature.name, problem.folder)
        if first != problem.folder:
            raise UserError(f"{problem.folder} and {first} are both about {problem.signature.name}: rename one")
        _check_finished(problem, chosen)
    texts = {
        out / f"{language}.jsonl": "".join(json.dumps(problem.row(language, pack)) + "\n" for problem in problems)
        for language in chosen
    }
    write_whole(texts)
    return dict.fromkeys(chosen, len(problems))


def _check_finished(problem: ProblemFolder, languages: Sequence[str]) -> None:
    for language in languages:
        if language not in problem.solutions:
            raise UserError(
                f"{problem.folder / solution_file(language)} is missing, but other problems are there in {language}: "
                "write it, or name the wanted languages with --language"
            )
    for language in languages:
        if problem.solutions[language].buggy is None:
            raise UserError(
                f"{problem.folder / buggy_file(language)} is missing: write it, or choose a bug with "
                f"`octopack pack bug {problem.folder}`"
            )
    if problem.kind is None:
        raise UserError(f"{problem.folder / BUG_FILE} is missing: it says the bug_type and the failure_symptoms")


def _declared(folder: Path) -> Mapping[str, Any]:
    file = folder / PROBLEM_FILE
    if not file.is_file():
        advice = "`octopack pack new` begins one"
        if any((folder / f"{language}.jsonl").is_file() for language in LANGUAGES):
            advice = "it is a pack: say with --task which of its problems is meant"
        elif any(folder.glob(f"*/{PROBLEM_FILE}")):
            advice = "those in it do: name one of them"
        raise UserError(f"{folder} holds no problem ({PROBLEM_FILE}); {advice}")
    return _mapping(file)


def _mapping(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{file} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file} must hold fields such as `signature: ...`")
    return content


def _signature(folder: Path, declared: Mapping[str, Any]) -> Signature:
    text = declared.get("signature")
    if not isinstance(text, str):
        raise UserError(f"{folder / PROBLEM_FILE}: field `signature` is missing or no text")
    return Signature.parse(text)


def _cases(file: Path, field: str, declared: Mapping[str, Any], signature: Signature) -> tuple[Case, ...]:
    text = declared.get(field) or ""
    if not isinstance(text, str):
        raise UserError(f"{file}: field `{field}` must be a text with one call a line (`{field}: |`)")
    lines = [line.strip() for line in text.split("\n")]
    return tuple(
        Case.parse(line, signature, f"{file}: field `{field}`") for line in lines if line and not line.startswith("#")
    )


def _solution(folder: Path, language: str, spelling: Spelling, signature: Signature) -> Solution:
    file = folder / solution_file(language)
    head = spelling.head(signature)
    declaration, right = _divided(file, head)
    if _UNWRITTEN in right:
        raise UserError(f"{file} is not written yet")
    if spelling.opening(signature).startswith("\n"):
        declaration = "\n" + declaration.lstrip("\n")
    buggy = None
    if (folder / buggy_file(language)).exists():
        before, buggy = _divided(folder / buggy_file(language), head)
        if before.strip() != declaration.strip():
            raise UserError(
                f"{folder / buggy_file(language)} differs from {file.name} above the function already; the bug must be "
                "in the function"
            )
    return Solution(declaration, right, buggy)


def _divided(file: Path, head: str) -> tuple[str, str]:
    """What a file of code says up to the head of the function, and after it."""
    try:
        # -sig: some editors begin a file with a byte order mark, which compilers may not take
        code = file.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from None
    before, found, after = f"\n{code}".partition(f"\n{head}")
    if not found or not after.strip():
        raise UserError(
            f"{file}: the line `{head.strip()}` must begin the function, as {PROBLEM_FILE} declares it, and its body "
            "must follow"
        )
    return f"{before}\n{head}".removeprefix("\n"), after


def _kind(file: Path) -> BugKind | None:
    if not file.exists():
        return None
    content = _mapping(file)
    for field, allowed in (("bug_type", BugType), ("failure_symptoms", Symptom)):
        values = [member.value for member in allowed]
        if content.get(field) not in values:
            raise UserError(f"{file}: field `{field}` is {content.get(field)!r}; there are: {', '.join(values)}")
    return BugKind(content["bug_type"], content["failure_symptoms"])
