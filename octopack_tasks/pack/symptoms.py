"""What a bug does, told from the verdict on its program."""

from __future__ import annotations

import enum
import re

from sandboxes import Status, Verdict


class Symptom(str, enum.Enum):
    """The failure symptoms of HumanEvalPack."""

    INCORRECT_OUTPUT = "incorrect output"
    """Also an exception: HumanEvalPack has no symptom of its own for it."""
    INFINITE_LOOP = "infinite loop"
    STACK_OVERFLOW = "stackoverflow"


_STACK_OVERFLOW = re.compile(
    r"RecursionError|StackOverflowError|Maximum call stack size|stack overflow|has overflowed its stack|stack exceeds",
    re.IGNORECASE,
)
# What a compiler would have said in a language that has one.
_NOT_COMPILED = re.compile(
    r"^\s*(?:\w+\.)?(NameError|UnboundLocalError|TypeError|AttributeError|SyntaxError|IndentationError|ReferenceError)\b",
    re.MULTILINE,
)


def symptom_of(verdict: Verdict) -> Symptom | None:
    """The symptom that a verdict shows; None where the program passed, or where it is no program.

    A name that does not exist and a type that does not fit are no bugs of a function but no program: most languages
    refuse to compile them.
    """
    if verdict.status in (Status.PASSED, Status.COMPILE_ERROR, Status.SANDBOX_ERROR):
        return None
    said = f"{verdict.stderr}\n{verdict.detail}"
    if _STACK_OVERFLOW.search(said):
        return Symptom.STACK_OVERFLOW
    if verdict.status in (Status.TIMEOUT, Status.MEMORY_LIMIT):
        return Symptom.INFINITE_LOOP
    return None if _NOT_COMPILED.search(said) else Symptom.INCORRECT_OUTPUT


def is_crash(verdict: Verdict) -> bool:
    """Whether the program died of an exception or a signal, not of a test that did not hold."""
    return verdict.status is Status.RUNTIME_ERROR
