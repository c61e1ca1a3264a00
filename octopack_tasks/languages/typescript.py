"""TypeScript."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from octopack_tasks.languages import js
from octopack_tasks.languages.syntax import Grammar, descendants, field_names, identifiers

if TYPE_CHECKING:
    from tree_sitter import Node

# Declarations that may repeat: overloads of a function stand beside it, and interfaces of one name are one.
_REPEATABLE = ("function_signature", "interface_declaration", "internal_module", "ambient_declaration")
_DECLARATIONS = (*_REPEATABLE, "type_alias_declaration", "enum_declaration", "abstract_class_declaration")
_PARAMETERS = ("required_parameter", "optional_parameter")


def _names(node: Node) -> Iterator[str]:
    if node.type == "import_statement":
        for clause in node.named_children:
            if clause.type in ("import_clause", "import_require_clause"):
                yield from identifiers(clause)
    elif node.type in ("export_statement", "ambient_declaration", "expression_statement") and _declared(node):
        for child in node.named_children:
            yield from _names(child)
    elif node.type in _DECLARATIONS:
        yield from field_names(node, "name")
    else:
        yield from js.names(node)


def _declared(node: Node) -> bool:
    """Whether a node is only put around declarations, as `namespace A { }` is in an expression's place."""
    return node.type != "expression_statement" or any(child.type == "internal_module" for child in node.named_children)


def _bound(node: Node) -> Iterator[str]:
    """Variables and parameters of functions, and the parameters of their types; not the types that they have."""
    for parameter in descendants(node, *_PARAMETERS):
        yield from identifiers(parameter.child_by_field_name("pattern"))
    for arrow in descendants(node, "arrow_function"):
        yield from identifiers(arrow.child_by_field_name("parameter"))
    for function in descendants(node, *js.FUNCTIONS, "function_expression", "arrow_function", "method_definition"):
        for declarator in descendants(function, "variable_declarator"):
            yield from identifiers(declarator.child_by_field_name("name"))
    for parameter in descendants(node, "type_parameter"):
        yield from field_names(parameter, "name")


def _signature(node: Node) -> str:
    """See `Item`: a type and a value may share a name."""
    if node.type == "export_statement":
        declaration = node.child_by_field_name("declaration")
        return "" if declaration is None else _signature(declaration)
    if node.type == "expression_statement" or node.type in _REPEATABLE:
        return ""
    return ("type " if node.type == "type_alias_declaration" else "") + ",".join(_names(node))


class TypeScript(js.JavaScript):
    """TypeScript: JavaScript with types; the paper does not have it."""

    name = "typescript"
    title = "TypeScript"
    extension = "ts"
    fence = "typescript"
    execution = None
    grammar = Grammar("tree_sitter_typescript", _names, _signature, _bound, dialect="typescript")
    definition = (
        r"(\bfunction\s*\*?\s*{name}\s*[<(]"
        r"|\b{name}\s*(:[^\n;]*?)?(?<![=!<>])=(?![=>])\s*(async\b|function\b|[(<]|\w+\s*=>))"
    )
