"""Python."""

from __future__ import annotations

import re
import textwrap
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from octopack_tasks.languages.base import Execution, Language
from octopack_tasks.languages.syntax import (
    ALWAYS,
    Grammar,
    Item,
    broken_item,
    descendants,
    encoded,
    field_names,
    identifiers,
    items_of_nodes,
    leaves,
    parse,
    text_of,
)
from octopack_tasks.problems import Problem

if TYPE_CHECKING:
    from tree_sitter import Node

_IMPORTS = """\
import math
import re
import sys
import copy
import datetime
import itertools
import collections
import heapq
import statistics
import functools
import hashlib
import numpy
import numpy as np
import string
from typing import *
from collections import *
"""

_FUTURE = re.compile(r"^from[ \t]+__future__[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)\n?", re.MULTILINE)
# Strings, comments, brackets, and at last the beginnings of strings that do not end.
_TOKEN = re.compile(
    rb"#[^\n]*|(\"{3}|'{3})(?:[^\\]|\\.)*?\1|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|[()\[\]{}]|\"{3}|'{3}",
    re.DOTALL,
)
# How many of the lines at which a statement may end are tried (a decorator ends with what it decorates).
_MORE_LINES = 4
# How often a text is read again from within what was taken for a string: in code that does not parse, a few times.
_MOST_READINGS = 100
# Where a statement begins: neither in an indented line, nor at what only goes on with one before.
_START = re.compile(rb"^(?![ \t]*$)(?![ \t#)\]}])(?!(?:else|elif|except|finally)\b)", re.MULTILINE)
_CLOSING_LINE = re.compile(rb"^[)\]}]", re.MULTILINE)
_COMPOUND = ("if_statement", "try_statement", "with_statement", "for_statement", "while_statement")
_DEFINITIONS = ("function_definition", "class_definition", "decorated_definition")
_BINDINGS = {
    "assignment": "left",
    "augmented_assignment": "left",
    "for_statement": "left",
    "for_in_clause": "left",
    "named_expression": "name",
    "function_definition": "parameters",
    "lambda": "parameters",
    "as_pattern": "alias",
}


def _names(node: Node) -> Iterator[str]:
    if node.type in ("function_definition", "class_definition"):
        yield from field_names(node, "name")
    elif node.type == "decorated_definition":
        yield from _names(node.named_children[-1])
    elif node.type == "future_import_statement" or any(
        child.type == "wildcard_import" for child in node.named_children
    ):
        yield ALWAYS
    elif node.type in ("import_statement", "import_from_statement"):
        for name in node.children_by_field_name("name"):
            alias = name.child_by_field_name("alias")
            yield text_of(alias) if alias is not None else text_of(name).split(".")[0]
    elif node.type == "expression_statement" and node.named_children:
        yield from _names_of_expression(node.named_children[0])
    elif node.type in _COMPOUND:
        yield from _names_of_compound(node)


def _names_of_compound(node: Node) -> Iterator[str]:
    """What the statements in a statement define, however deep they stand; each is looked at once."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if found.type in _COMPOUND or found.type == "block" or found.type.endswith("_clause"):
            waiting += reversed(found.named_children)
        else:
            yield from _names(found)


def _names_of_expression(expression: Node) -> Iterator[str]:
    target = expression.child_by_field_name("left")
    if target is not None:
        # `table[key] = value` and `point.x = 1` belong to `table` and `point`.
        roots = target.named_children if target.type in ("pattern_list", "tuple_pattern", "list_pattern") else [target]
        yield from (text_of(next(leaves(root))) for root in roots)
    elif expression.type == "call":
        function = expression.child_by_field_name("function")
        if function is not None and function.type == "attribute":
            yield ALWAYS  # such as sys.setrecursionlimit(10**6)


def _bound(node: Node) -> Iterator[str]:
    """Variables and parameters of functions, those shared with the module apart."""
    if node.type in _DEFINITIONS:
        shared = {name for found in descendants(node, "global_statement") for name in identifiers(found)}
        for found in descendants(node, *_BINDINGS):
            yield from set(_targets(found.child_by_field_name(_BINDINGS[found.type]))) - shared


def _targets(node: Node | None) -> Iterator[str]:
    if node is None or node.type in ("attribute", "subscript", "type"):
        return
    if node.type in ("typed_default_parameter", "default_parameter"):
        yield from _targets(node.child_by_field_name("name"))
    elif node.type == "identifier":
        yield text_of(node)
    else:
        for child in node.named_children:
            yield from _targets(child)


def _signature(node: Node) -> str:
    return "".join(_names(node)) if node.type in _DEFINITIONS else ""


class Python(Language):
    """Python: a function ends at the first line that is not indented."""

    name = "python"
    title = "Python"
    extension = "py"
    fence = "python"
    stop_words = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\nassert")
    execution = Execution("python", timeout=10, num_workers=4)
    grammar = Grammar("tree_sitter_python", _names, _signature, _bound)
    definition = (
        r"^([ \t]*(async[ \t]+)?def[ \t]+{name}[ \t]*\("
        r"|{name}[ \t]*(:[ \t]*[\w.]+(\[[^=\n]*\])?[ \t]*)?=(?!=))"
    )

    def is_complete(self, completion: str) -> bool:
        """Whether a line starts at column 0, the rest of the prompt's last line included."""
        return any(_ends_function(line) for line in completion.split("\n"))

    def truncate(self, completion: str) -> str:
        """Everything before the first line that starts at column 0."""
        lines = completion.split("\n")
        for index, line in enumerate(lines):
            if _ends_function(line):
                return "\n".join(lines[:index])
        return completion

    def candidate(self, solution: str, problem: Problem) -> str:
        """The imports that solutions may rely on, then the solution."""
        return (_IMPORTS + solution).strip()

    def items(self, text: str) -> list[Item]:
        """The items: what begins at column 0, comments and lines that close a statement apart."""
        data = encoded(text)
        starts = [match.start() for match in _START.finditer(data)]
        ends = [_end_of_code(data, end) for end in (*starts[1:], len(data))]
        tokens = _Tokens(data, ends[-1])
        items: list[Item] = []
        start = index = 0
        while index < len(starts):
            for last in islice(_last_lines(tokens, starts[index], ends, index), _MORE_LINES):
                root = parse(self.grammar, data[start : ends[last]] + b"\n")
                if not root.has_error:
                    items += items_of_nodes(self.grammar, root.named_children, data, start, ends[last], start)
                    break
            else:
                last = index
                broken = broken_item(self.grammar, data, start, ends[index])
                items += self._before_stray_bracket(data, start, ends[index]) or [
                    replace(broken, is_closed=index + 1 < len(starts))
                ]
            index = last + 1
            start = ends[last]
        return items

    def _before_stray_bracket(self, data: bytes, start: int, end: int) -> list[Item]:
        """The items before a line that begins with a closing bracket, which need not close one of theirs."""
        bracket = _CLOSING_LINE.search(data, start, end)
        if bracket is None:
            return []
        end = _end_of_code(data, bracket.start())
        root = parse(self.grammar, data[start:end] + b"\n")
        return [] if root.has_error else items_of_nodes(self.grammar, root.named_children, data, start, end, start)

    def joints(self, given: str, completion: str) -> Iterator[str]:
        """As it stands, on a line of its own, indented there, or with all its lines indented."""
        yield given.rstrip() + completion
        if not completion.startswith("\n"):
            yield given.rstrip() + "\n" + completion
            yield given.rstrip() + "\n    " + completion
        if re.search(r"^(return|yield)\b", completion, re.MULTILINE):
            yield given.rstrip() + "\n" + textwrap.indent(completion.strip("\n"), "    ")

    def framed(self, code: str, problem: Problem) -> str:
        """The imports that solutions may rely on, behind those from `__future__`, then the code."""
        first = "".join(match.group().rstrip() + "\n" for match in _FUTURE.finditer(code))
        return (first + _IMPORTS + _FUTURE.sub("", code)).strip()


def _end_of_code(data: bytes, end: int) -> int:
    """Where the code before `end` ends; comments at column 0 belong to what follows."""
    while end > 0:
        start = data.rfind(b"\n", 0, end) + 1
        line = data[start:end]
        if line.strip() and not line.startswith(b"#"):
            return end
        end = start - 1
    return 0


class _Tokens:
    """The strings, comments and brackets of a text, each read once, however many statements are looked at.

    What stands behind a token is read the same from wherever reading began. A text may be long, and hostile.
    """

    def __init__(self, data: bytes, end: int) -> None:
        self._data = data
        self._end = end
        self._readings = 0
        self._read_from(0)

    def _read_from(self, start: int) -> None:
        self._readings += 1
        self._unread = _TOKEN.finditer(self._data, start, self._end)
        self.starts: list[int] = []
        self.ends: list[int] = []
        self._open: list[int] = []
        self._closing: dict[int, int | None] = {}

    def has(self, number: int) -> bool:
        """Whether there is a token of that number."""
        while number >= len(self.starts):
            token = next(self._unread, None)
            if token is None:
                return False
            kind = token.group()
            if kind in (b"(", b"[", b"{"):
                self._open.append(len(self.starts))
                self._closing[len(self.starts)] = None
            elif kind in (b")", b"]", b"}") and self._open:
                self._closing[self._open.pop()] = len(self.starts)
            elif kind in (b'"""', b"'''"):  # neither it nor what is open here is ever closed
                self._open.clear()
                self._closing[len(self.starts)] = None
            self.starts.append(token.start())
            self.ends.append(token.end())
        return True

    def first(self, start: int) -> int | None:
        """The number of the first token from `start` on; None where this lies within a string once too often."""
        while (not self.starts or self.starts[-1] < start) and self.has(len(self.starts)):
            pass
        number = bisect_left(self.starts, start)
        if number == 0 or self.ends[number - 1] <= start:
            return number
        if self._readings > _MOST_READINGS:
            return None
        self._read_from(start)
        return 0

    def last_of(self, number: int) -> int | None:
        """The bracket that closes a token, or the token itself; None where it does not end, or a string in it."""
        if number in self._closing:
            while self._closing[number] is None and self.has(len(self.starts)):
                pass
        return self._closing.get(number, number)


def _last_lines(tokens: _Tokens, start: int, ends: Sequence[int], index: int) -> Iterator[int]:
    """Which of `ends[index:]` a statement that begins at `start` can have: where no bracket and no string is open."""
    number = tokens.first(start)
    while number is not None and tokens.has(number):
        while ends[index] <= tokens.starts[number]:
            yield index
            index += 1
        number = tokens.last_of(number)
        if number is not None:
            while ends[index] < tokens.ends[number]:
                index += 1  # within brackets or a string
            number += 1
    if number is not None:
        yield from range(index, len(ends))


def _ends_function(line: str) -> bool:
    return bool(line.strip()) and line[0] not in " \t"
