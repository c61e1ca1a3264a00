"""JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from octopack_tasks.languages.base import BraceLanguage, Execution
from octopack_tasks.languages.syntax import Grammar, Item, descendants, field_names, identifiers, leaves, text_of
from octopack_tasks.problems import Problem

if TYPE_CHECKING:
    from tree_sitter import Node

FUNCTIONS = ("function_declaration", "generator_function_declaration", "class_declaration")
_VARIABLES = ("lexical_declaration", "variable_declaration")


def names(node: Node) -> Iterator[str]:
    """The names that a top-level node defines."""
    if node.type in FUNCTIONS:
        yield from field_names(node, "name")
    elif node.type in _VARIABLES:
        for declarator in node.children_by_field_name("declarator") or node.named_children:
            yield from _bindings(declarator.child_by_field_name("name"))
    elif node.type == "export_statement":
        for child in node.named_children:
            yield from names(child)
    elif node.type == "expression_statement" and node.named_children:
        expression = node.named_children[0]
        assigned = expression.child_by_field_name("left")
        if assigned is not None and "assignment" in expression.type:  # not a comparison
            yield from (text_of(leaf) for leaf in list(leaves(assigned))[:1])
            yield from (f".{name}" for name in field_names(assigned, "property"))  # a method, perhaps of a prototype


def _bindings(pattern: Node | None) -> Iterator[str]:
    """The variables of a name or of a pattern that takes a value apart."""
    if pattern is not None:
        yield from identifiers(pattern)


def _bound(node: Node) -> Iterator[str]:
    """Variables and parameters of functions; at the top level they are names."""
    for function in descendants(node, *FUNCTIONS, "function_expression", "arrow_function", "method_definition"):
        for field in ("parameters", "parameter"):
            yield from _bindings(function.child_by_field_name(field))
        for declarator in descendants(function, "variable_declarator"):
            yield from _bindings(declarator.child_by_field_name("name"))


def _signature(node: Node) -> str:
    return "" if node.type == "expression_statement" else ",".join(names(node))


class JavaScript(BraceLanguage):
    """JavaScript: a solution is a program as it stands."""

    name = "js"
    title = "JavaScript"
    extension = "js"
    fence = "javascript"
    execution: ClassVar[Execution | None] = Execution("javascript", timeout=10, num_workers=4)
    grammar = Grammar("tree_sitter_javascript", names, _signature, _bound)
    definition = r"(\bfunction\s*\*?\s*{name}\s*\(|\b{name}\s*=\s*(async\b|function\b|\(|\w+\s*=>))"

    def items(self, text: str) -> list[Item]:
        """The items, without the `export` that only modules may have."""
        exported = re.compile(r"^export\s+(default\s+)?(?=(async\s+)?(function|class|const|let|var)\b)", re.MULTILINE)
        return super().items(exported.sub("", text))

    def framed(self, code: str, problem: Problem) -> str:
        """The code as it stands."""
        return code
