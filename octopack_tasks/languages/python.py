"""Python."""

from __future__ import annotations

import re
import textwrap
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
        items: list[Item] = []
        start = index = 0
        while index < len(starts):
            for last in islice(_last_lines(data, starts[index], ends[index:]), _MORE_LINES):
                root = parse(self.grammar, data[start : ends[index + last]] + b"\n")
                if not root.has_error:
                    items += items_of_nodes(self.grammar, root.named_children, data, start, ends[index + last], start)
                    break
            else:
                last = 0
                broken = broken_item(self.grammar, data, start, ends[index])
                items += self._before_stray_bracket(data, start, ends[index]) or [
                    replace(broken, is_closed=index + 1 < len(starts))
                ]
            index += last + 1
            start = ends[index - 1]
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
    lines = data[:end].split(b"\n")
    while lines and (not lines[-1].strip() or lines[-1].startswith(b"#")):
        lines.pop()
    return len(b"\n".join(lines))


def _last_lines(data: bytes, start: int, ends: Sequence[int]) -> Iterator[int]:
    """Which of `ends` a statement that begins at `start` can have: those at which no bracket and no string is open."""
    depth, index = 0, 0
    for token in _TOKEN.finditer(data, start, ends[-1]):
        while ends[index] <= token.start():
            if depth == 0:
                yield index
            index += 1
        if token.group() in (b'"""', b"'''"):
            return
        while ends[index] < token.end():
            index += 1  # within a string
        depth = max(depth + (token.group() in b"([{") - (token.group() in b")]}"), 0)
    if depth == 0:
        yield from range(index, len(ends))


def _ends_function(line: str) -> bool:
    return bool(line.strip()) and line[0] not in " \t"
