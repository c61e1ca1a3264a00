"""What a check can find in a pack, and how bad that is."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any


class Severity(str, enum.Enum):
    """How bad a finding is."""

    ERROR = "error"
    """Scores are wrong: a right answer fails, a wrong one passes, or a row cannot be read."""
    WARNING = "warning"
    """Scores are worse than they could be, or a row says something that is not so."""
    NOTE = "note"
    """Something to look at; it may be meant."""


class Check(str, enum.Enum):
    """What is checked."""

    # rows
    UNREADABLE = "unreadable"
    FIELD = "field"
    DUPLICATE = "duplicate"
    # one row by itself
    ENTRY_POINT = "entry-point"
    SIGNATURE = "signature"
    DOCSTRING = "docstring"
    INSTRUCTION = "instruction"
    PROMPT = "prompt"
    LEAK = "leak"
    PRINTS = "prints"
    BUG_TYPE = "bug-type"
    # the same problem in several languages
    MISSING = "missing"
    KIND_DIFFERS = "kind-differs"
    NAME_DIFFERS = "name-differs"
    DOCSTRING_DIFFERS = "docstring-differs"
    EXAMPLES_DIFFER = "examples-differ"
    TESTS_DIFFER = "tests-differ"
    # in the sandbox
    UNSOLVABLE = "unsolvable"
    EXAMPLES_FAIL = "examples-fail"
    BUGGY_PASSES = "buggy-passes"
    UNTESTED = "untested"
    WEAK_TESTS = "weak-tests"
    SYMPTOM = "symptom"
    FLAKY = "flaky"
    SLOW = "slow"


TITLES: dict[Check, str] = {
    Check.UNREADABLE: "a file or a row cannot be read",
    Check.FIELD: "a field is missing, of the wrong type, or blank",
    Check.DUPLICATE: "a name, or what only one problem should say, occurs twice",
    Check.ENTRY_POINT: "the function has another name than the row says",
    Check.SIGNATURE: "the signature is not the one in the code",
    Check.DOCSTRING: "the documentation is not the one in the prompt",
    Check.INSTRUCTION: "the instruction does not say what signature and documentation say",
    Check.PROMPT: "prompt and declaration do not begin the same function",
    Check.LEAK: "what a model is shown holds the solution",
    Check.PRINTS: "tests or solution print",
    Check.BUG_TYPE: "the bug is not of the type that the row says",
    Check.MISSING: "a problem is not there in every language",
    Check.KIND_DIFFERS: "the kind of the bug is not the same in all languages",
    Check.NAME_DIFFERS: "the function has another name in other languages",
    Check.DOCSTRING_DIFFERS: "the documentation says something else in other languages",
    Check.EXAMPLES_DIFFER: "the documentation has not the examples of other languages",
    Check.TESTS_DIFFER: "the tests are not those of other languages",
    Check.UNSOLVABLE: "the right solution fails",
    Check.EXAMPLES_FAIL: "the right solution fails the examples of its documentation",
    Check.BUGGY_PASSES: "the buggy solution passes",
    Check.UNTESTED: "a solution that only fails passes: the tests do not call it",
    Check.WEAK_TESTS: "a change to the right solution is not noticed by the tests",
    Check.SYMPTOM: "the bug does not do what the row says",
    Check.FLAKY: "the same program does not always get the same verdict",
    Check.SLOW: "the right solution takes long",
}
"""What it means that a check has found something."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or may be.

    Attributes:
        check: What was checked.
        severity: How bad it is.
        language: In which language; empty where it is about all.
        task_id: In which row; empty where it is about a file. A row without a name goes by file and line.
        field: In which field; empty where it is about several.
        message: What is wrong, in one line.
        detail: What shows it: output, a change, a difference; any number of lines.
    """

    check: Check
    severity: Severity
    language: str
    task_id: str
    field: str
    message: str
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return {**dataclasses.asdict(self), "check": self.check.value, "severity": self.severity.value}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Finding:
        """The inverse of `to_json`."""
        return cls(**{**values, "check": Check(values["check"]), "severity": Severity(values["severity"])})
