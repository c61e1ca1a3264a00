"""Java."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from octopack_tasks.languages.base import BraceLanguage, Execution
from octopack_tasks.languages.syntax import (
    ALWAYS,
    FRAME,
    Frame,
    Grammar,
    Item,
    Pieces,
    decoded,
    descendants,
    encoded,
    field_names,
    leaves,
    text_of,
)
from octopack_tasks.problems import Problem

if TYPE_CHECKING:
    from tree_sitter import Node

# The head of the class, not the words "class Solution" in a comment before it.
_CLASS = re.compile(
    rb"(?:^|(?<=[;}])|(?<=\*/))[ \t]*(?:@\w+(?:\([^()]*\))?\s+)*(?:(?:public|final|abstract|static)\s+)*"
    rb"class\s+Solution\b\s*(?:<[^;{}]*>\s*)?(?:(?:extends|implements)\b[^;{}]*)?(?://[^\n]*\n\s*)*\{",
    re.MULTILINE,
)
_MEMBERS = Frame(b"class Solution {", b"}")
_TYPES = ("class_declaration", "interface_declaration", "enum_declaration", "record_declaration")
_INSIDE = ("method_declaration", "field_declaration", "constructor_declaration", "static_initializer", "block")


def _names(node: Node) -> Iterator[str]:
    if node.type in ("static_initializer", "block", "constructor_declaration"):
        yield ALWAYS
    elif node.type == "import_declaration":
        last = [leaf for leaf in leaves(node) if leaf.type in ("identifier", "*", "asterisk")][-1]
        yield text_of(last)  # `*` is ALWAYS
    elif node.type in ("field_declaration", "local_variable_declaration"):
        for declarator in node.children_by_field_name("declarator"):
            yield from field_names(declarator, "name")
    elif node.type != "package_declaration":
        yield from field_names(node, "name")


def _bound(node: Node) -> Iterator[str]:
    for function in descendants(node, "method_declaration", "constructor_declaration", "lambda_expression"):
        for found in descendants(function, "formal_parameter", "variable_declarator", "enhanced_for_statement"):
            yield from field_names(found, "name")


def _signature(node: Node) -> str:
    if node.type in ("method_declaration", "constructor_declaration"):
        parameters = node.child_by_field_name("parameters")
        types = "" if parameters is None else "".join(text_of(t) for t in leaves(parameters) if t.type != "identifier")
        return f"{''.join(field_names(node, 'name'))}({types})"
    if node.type == "import_declaration":
        return text_of(node)
    return "".join(_names(node)) if node.type not in ("static_initializer", "block", "package_declaration") else ""


class Java(BraceLanguage):
    """Java: functions are methods, so a prompt leaves the class open, too."""

    name = "java"
    title = "Java"
    extension = "java"
    fence = "java"
    execution = Execution("java", timeout=10, num_workers=1)
    grammar = Grammar("tree_sitter_java", _names, _signature, _bound)
    definition = r"\b{name}\s*\([^;{}]*\)[^;{}()]*\{"
    open_braces = 2

    def truncate_unbalanced(self, completion: str) -> str:
        """A `main` is cut off, then what follows the last brace, and the class is closed if just that is missing."""
        main = completion.find("public static void main")
        if main >= 0:
            completion = completion[:main] + "}"
        completion = super().truncate_unbalanced(completion)
        if completion.count("{") - 1 == completion.count("}"):
            completion += "\n}"
        return completion

    def candidate(self, solution: str, problem: Problem) -> str:
        """The solution without an empty `Main`, which some models add and the tests define."""
        return solution.replace("public class Main {\n    }", "").strip()

    def without_main(self, code: str) -> str:
        """The code up to a class `Main`, and no public class: the file is named after the tests' `Main`."""
        code = re.split(r"^\s*(?:public\s+)?(?:final\s+)?class\s+Main\b", code, maxsplit=1, flags=re.MULTILINE)[0]
        return re.sub(r"\bpublic\s+(?=(?:final\s+)?class\s+Solution\b)", "", code)

    def items(self, text: str) -> list[Item]:
        """Imports, the class `Solution` as a head, its members and its end, then the other classes."""
        data = encoded(text)
        head = _CLASS.search(data)
        if head is None:
            whole = _flat(Pieces(self.grammar, data))
            members = [item for item in whole if item.kind in _INSIDE]
            if not members:
                return whole
            rest, opening, closing = whole, "\n\nclass Solution {\n", "\n}"
        else:
            before = _flat(Pieces(self.grammar, data[: head.start()]))
            pieces = Pieces(self.grammar, data, head.end(), _MEMBERS)
            members = _flat(pieces)
            rest = before + _flat(Pieces(self.grammar, data, pieces.position))
            lead = decoded(data[before[-1].end if before else 0 : head.start()])
            # The file is named after the tests' class, so this one cannot be public.
            opening = ("\n\n" if lead.strip() else lead) + decoded(head.group()).replace("public ", "")
            closing = decoded(data[members[-1].end if members else head.end() : pieces.position])
            closing = closing if pieces.is_closed and closing.strip() == "}" else "\n}"
        return [
            *(item for item in rest if item.kind == "import_declaration"),
            Item(opening, uses=frozenset(re.findall(r"\w+", opening)), signature="Solution", kind=FRAME),
            *members,
            Item(closing, kind=FRAME),
            *(item for item in rest if item.kind in _TYPES),
        ]

    def framed(self, code: str, problem: Problem) -> str:
        """The code as it stands."""
        return code.strip()


def _flat(pieces: Iterable[list[Item]]) -> list[Item]:
    return [item for items in pieces for item in items]
