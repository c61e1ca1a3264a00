"""What can be wrong with one row by itself, and be seen without running it."""

from __future__ import annotations

import difflib
import itertools
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from octopack_tasks.corrected import function_name
from octopack_tasks.errors import UserError
from octopack_tasks.languages import Language, get_language
from octopack_tasks.languages.syntax import encoded, leaves, parse, text_of
from octopack_tasks.pack.findings import Check, Finding, Severity
from octopack_tasks.pack.mutations import BugType
from octopack_tasks.pack.symptoms import Symptom
from octopack_tasks.pack.wording import rust_documentation, wording
from octopack_tasks.problems import Problem

if TYPE_CHECKING:
    from tree_sitter import Node

# Lines that are too short to tell anything are no leak (the limit with which the paper cleans descriptions), unless
# they are all that there is: then the whole solution is looked for, if it says more than `x + y`.
_SHORT_LINE = 20
_SHORT_SOLUTION = 10


def row_findings(problem: Problem) -> Iterator[Finding]:
    """What is wrong with a row."""
    for check in (assembly_findings, _names, _words, _heads, _leaks, _tests, print_findings, _bug):
        yield from check(problem)


def assembly_findings(problem: Problem) -> Iterator[Finding]:
    """What keeps a row from being made into a program."""
    try:
        get_language(problem.language).assemble(problem.declaration + problem.canonical_solution, problem)
    except UserError as error:
        message = str(error).removeprefix(f"{problem.task_id} ")
        yield _finding(Check.UNSOLVABLE, Severity.ERROR, problem, "import", f"no program can be made: it {message}")


def _finding(check: Check, severity: Severity, problem: Problem, field: str, message: str, detail: str = "") -> Finding:
    return Finding(check, severity, problem.language, problem.task_id, field, message, detail)


def _names(problem: Problem) -> Iterator[Finding]:
    name = function_name(problem)
    if name != problem.entry_point:
        message = f"the code defines `{name}`, the row says `{problem.entry_point}`: models are asked to fix that"
        yield _finding(Check.ENTRY_POINT, Severity.WARNING, problem, "entry_point", message)
    for field, code in (("test", problem.test), ("declaration", problem.declaration), ("prompt", problem.prompt)):
        if not _occurs(name, code):
            message = f"`{name}` does not occur in field `{field}`"
            yield _finding(Check.ENTRY_POINT, Severity.ERROR, problem, field, message)


def _occurs(name: str, code: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", code) is not None


def _words(problem: Problem) -> Iterator[Finding]:
    name = function_name(problem)
    fields = {"prompt": problem.prompt, "declaration": problem.declaration}
    if problem.language == "rust":
        fields["prompt"] = rust_documentation(problem.prompt, problem.declaration)
    try:
        derived = wording(problem.language, fields, name, problem.task_id)
    except UserError as error:
        yield _finding(
            Check.DOCSTRING, Severity.WARNING, problem, "prompt", str(error).removeprefix(f"{problem.task_id}: ")
        )
    else:
        for check, field, value, expected in (
            (Check.SIGNATURE, "signature", problem.signature, derived.signature),
            (Check.DOCSTRING, "docstring", problem.docstring, derived.docstring),
        ):
            if value.split() != expected.split():
                message = f"field `{field}` is not what the code says"
                yield _finding(check, Severity.WARNING, problem, field, message, _difference(expected, value))
    for field, value in (("signature", problem.signature), ("docstring", problem.docstring)):
        if " ".join(value.split()) not in " ".join(problem.instruction.split()):
            message = f"field `instruction` does not hold the field `{field}`"
            yield _finding(Check.INSTRUCTION, Severity.WARNING, problem, "instruction", message)
    title = get_language(problem.language).title
    if title not in problem.instruction:
        message = f"field `instruction` does not say that it is about {title}"
        yield _finding(Check.INSTRUCTION, Severity.WARNING, problem, "instruction", message)


def _difference(expected: str, found: str) -> str:
    """The lines that differ, those that are expected with a minus."""
    lines = difflib.unified_diff(expected.split("\n"), found.split("\n"), "code", "row", lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith("@@"))


def _heads(problem: Problem) -> Iterator[Finding]:
    """Prompt and declaration are the same code, with and without documentation."""
    language = get_language(problem.language)
    head = [line.strip() for line in problem.declaration.split("\n") if line.strip()][-1]
    if _squeezed(head) not in _squeezed(problem.prompt):
        message = f"the declaration ends with `{head}`, which the prompt does not hold"
        yield _finding(Check.PROMPT, Severity.ERROR, problem, "declaration", message)
    depth, declared_depth = (_open_braces(language, code) for code in (problem.prompt, problem.declaration))
    if depth != declared_depth:
        message = (
            f"the declaration leaves {declared_depth} braces open, the prompt {depth}: it holds a part of the body"
        )
        yield _finding(Check.PROMPT, Severity.ERROR, problem, "declaration", message)
    helpers, declared = (
        _helpers(language, start, problem) for start in (problem.prompt, language.declaration(problem))
    )
    for field, lacking in (("declaration", helpers - declared), ("prompt", declared - helpers)):
        if lacking:
            other = "prompt" if field == "declaration" else "declaration"
            names = ", ".join(f"`{name}`" for name in sorted(lacking))
            message = f"the {other} defines {names}, the {field} does not"
            yield _finding(Check.PROMPT, Severity.WARNING, problem, field, message)


def _open_braces(language: Language, code: str) -> int:
    braces = [text_of(leaf) for leaf in leaves(parse(language.grammar, encoded(code) + b"\n"))]
    return braces.count("{") - braces.count("}")


def _helpers(language: Language, start: str, problem: Problem) -> set[str]:
    """What stands before the function, imports apart."""
    items = language.items(start + problem.canonical_solution)
    given = len(encoded(start.rstrip()))
    return {name for item in items if item.end <= given for name in item.implements} - {"main", "*", ""}


def _leaks(problem: Problem) -> Iterator[Finding]:
    solution = _telling_lines(problem.canonical_solution)
    in_prompt = _lines_in(problem.prompt, solution)
    for field in ("prompt", "declaration", "instruction", "test"):
        found = _lines_in(getattr(problem, field), solution)
        if found and not (field == "declaration" and found == in_prompt):  # the same code twice
            is_much = len(found) > 1 and 2 * len(found) >= len(solution)
            severity = Severity.WARNING if is_much else Severity.NOTE
            if len(found) == len(solution):
                severity = Severity.ERROR
            message = f"field `{field}` holds {len(found)} of the {len(solution)} longer lines of the solution"
            if len(found) == len(solution):
                message = f"field `{field}` holds the solution"
            yield _finding(Check.LEAK, severity, problem, field, message, "\n".join(found))


def _lines_in(text: str, lines: Sequence[str]) -> list[str]:
    """Those of the lines that a text holds, however they are spaced."""
    shown = _squeezed(text)
    return [line for line in lines if _squeezed(line) in shown]


def _telling_lines(code: str) -> list[str]:
    lines = [line.strip() for line in code.split("\n")]
    lines = [line for line in lines if line.strip("{}") and not line.startswith(("#", "//", "/*", "*"))]
    whole = "\n".join(lines)
    return [line for line in lines if len(line) > _SHORT_LINE] or [whole] * (len(_squeezed(whole)) > _SHORT_SOLUTION)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _tests(problem: Problem) -> Iterator[Finding]:
    if calls_in_tests(problem) == 1:
        message = "the tests call the function in one place only"
        yield _finding(Check.WEAK_TESTS, Severity.NOTE, problem, "test", message)


def calls_in_tests(problem: Problem) -> int:
    """In how many places the tests call the function by its name."""
    # By tokens, as in Rust's macros there are no nodes of calls.
    tokens = [text_of(leaf) for leaf in leaves(tree_of_tests(problem))]
    name = function_name(problem)
    return sum(token == name and follower == "(" for token, follower in itertools.pairwise(tokens))


def tree_of_tests(problem: Problem) -> Node:
    """The syntax tree of the tests."""
    return parse(get_language(problem.language).grammar, encoded(problem.test) + b"\n")


_PRINTING = {
    "python": r"\bprint\s*\(|\bsys\.std(?:out|err)\b",
    "cpp": r"\bcout\b|\bcerr\b|\bf?printf\s*\(|\bputs\s*\(",
    "js": r"\bconsole\.(?:log|info|error|warn|table|dir)\s*\(|\bprocess\.std(?:out|err)\b",
    "typescript": r"\bconsole\.(?:log|info|error|warn|table|dir)\s*\(|\bprocess\.std(?:out|err)\b",
    "java": r"\bSystem\.(?:out|err)\b",
    "go": r"\bfmt\.(?:Print|Fprint)|(?<![\w.])println?\s*\(",
    "rust": r"\be?print(?:ln)?!|\bdbg!",
}


def print_findings(problem: Problem) -> Iterator[Finding]:
    """The usual ways to print; what prints in another way is seen when it runs."""
    pattern = _PRINTING.get(problem.language)
    if pattern is None:
        return
    for field in ("test", "canonical_solution", "buggy_solution"):
        lines = [line.strip() for line in getattr(problem, field).split("\n") if re.search(pattern, line)]
        lines = [line for line in lines if not line.startswith(("#", "//", "/*", "*"))]
        if lines:
            message = f"field `{field}` prints, which costs time and hides what a solution prints: `{lines[0]}`"
            yield _finding(Check.PRINTS, Severity.WARNING, problem, field, message, "\n".join(lines))


def repetition_findings(problems: Sequence[Problem]) -> Iterator[Finding]:
    """The problems of one language that say what an earlier one says: most likely rows that were copied."""
    for field in ("docstring", "test"):
        first: dict[str, Problem] = {}
        for problem in problems:
            text = _squeezed(getattr(problem, field))
            other = first.setdefault(text, problem)
            if text and other is not problem:
                message = f"field `{field}` is that of {other.task_id}, word by word"
                yield _finding(Check.DUPLICATE, Severity.WARNING, problem, field, message)


# --- the bug ----------------------------------------------------------------------------------------------------------

_Token: TypeAlias = tuple[str, str]  # its text, and the type of its node


def _bug(problem: Problem) -> Iterator[Finding]:
    types = [kind.value for kind in BugType]
    if problem.bug_type and problem.bug_type not in types:
        message = f"field `bug_type` is {problem.bug_type!r}, none of: {', '.join(types)}"
        yield _finding(Check.BUG_TYPE, Severity.WARNING, problem, "bug_type", message)
    symptoms = [symptom.value for symptom in Symptom]
    if problem.failure_symptoms and problem.failure_symptoms not in symptoms:
        message = f"field `failure_symptoms` is {problem.failure_symptoms!r}, none of: {', '.join(symptoms)}"
        yield _finding(Check.SYMPTOM, Severity.WARNING, problem, "failure_symptoms", message)
    removed, added = _change(problem)
    # Python's tokens do not tell how far a line is indented.
    is_same = problem.language != "python" or problem.canonical_solution.rstrip() == problem.buggy_solution.rstrip()
    if not (removed or added) and is_same:
        message = "the buggy solution is the right one (comments and white space apart)"
        yield _finding(Check.BUGGY_PASSES, Severity.ERROR, problem, "buggy_solution", message)
    contradiction = _CONTRADICTIONS.get(problem.bug_type)
    if (removed or added) and contradiction is not None and (reason := contradiction(removed, added)):
        detail = f"gone:  {' '.join(text for text, _ in removed)}\nadded: {' '.join(text for text, _ in added)}"
        message = f"the row says {problem.bug_type!r}, but {reason}"
        yield _finding(Check.BUG_TYPE, Severity.NOTE, problem, "bug_type", message, detail)


def _change(problem: Problem) -> tuple[list[_Token], list[_Token]]:
    """The tokens of the right solution that the buggy one lacks, and those that it has instead or besides."""
    right, buggy = _parted(*(_tokens(problem, body) for body in (problem.canonical_solution, problem.buggy_solution)))
    removed: list[_Token] = []
    added: list[_Token] = []
    matcher = difflib.SequenceMatcher(None, right, buggy, autojunk=False)
    for operation, start, end, other_start, other_end in matcher.get_opcodes():
        if operation != "equal":
            removed += right[start:end]
            added += buggy[other_start:other_end]
    return removed, added


def _parted(right: list[_Token], buggy: list[_Token]) -> tuple[list[_Token], list[_Token]]:
    """Both without what they begin and end with alike: what is left is short, and comparing takes its square."""
    same = sum(1 for _ in itertools.takewhile(bool, map(operator.eq, right, buggy)))
    right, buggy = right[same:], buggy[same:]
    same = sum(1 for _ in itertools.takewhile(bool, map(operator.eq, reversed(right), reversed(buggy))))
    return right[: len(right) - same], buggy[: len(buggy) - same]


def _tokens(problem: Problem, body: str) -> list[_Token]:
    given = len(encoded(problem.declaration))
    root = parse(get_language(problem.language).grammar, encoded(problem.declaration + body) + b"\n")
    return [
        (text_of(leaf), leaf.type)
        for leaf in leaves(root)
        if leaf.end_byte > given and not leaf.type.endswith("comment") and leaf.text
    ]


def _is_operator(token: _Token) -> bool:
    text = token[0]
    return re.fullmatch(r"[-+*/%<>=!&|^~.?]+", text) is not None or text in ("and", "or", "not", "in", "is", "as")


def _is_name(token: _Token) -> bool:
    return "identifier" in token[1]


def _has(tokens: Sequence[_Token], is_wanted: Callable[[_Token], bool]) -> bool:
    return any(map(is_wanted, tokens))


_Contradiction: TypeAlias = Callable[[Sequence[_Token], Sequence[_Token]], str]
_CONTRADICTIONS: dict[str, _Contradiction] = {
    "missing logic": lambda removed, added: "" if removed else "nothing of the right solution is gone",
    "excess logic": lambda removed, added: "" if added else "nothing is added to the right solution",
    "operator misuse": lambda removed, added: "" if _has([*removed, *added], _is_operator) else "no operator changes",
    "variable misuse": lambda removed, added: "" if _has([*removed, *added], _is_name) else "no name changes",
    "function misuse": lambda removed, added: "" if _has([*removed, *added], _is_name) else "no name changes",
    "value misuse": lambda removed, added: (
        "only an operator changes" if len(removed) == len(added) == 1 and _is_operator(removed[0]) else ""
    ),
}
"""By type of bug, what about a change cannot be: a reason, or nothing."""
