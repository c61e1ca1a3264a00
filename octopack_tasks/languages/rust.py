"""Rust."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from octopack_tasks.languages.base import BraceLanguage, Execution
from octopack_tasks.languages.syntax import (
    ALWAYS,
    Grammar,
    Item,
    decoded,
    descendants,
    encoded,
    field_names,
    leaves,
    parse,
    text_of,
)
from octopack_tasks.problems import Problem

if TYPE_CHECKING:
    from tree_sitter import Node

_MAIN = "fn main(){}\n"
# Where tests draw coefficients from an unseeded generator, a right solution can fail or never end (Rust/32). This one
# always draws the same; the seed is the first with which the row's own right solution ends.
_UNSEEDED = "rand::thread_rng()"
_DRAW = re.compile(r"\.gen(?:_range)?\(([^)]*)\)")
_SEED = 4
_SEEDED = """
struct SeededRng(u64);

impl SeededRng {
    fn gen_range(&mut self, low: i32, high: i32) -> i32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        low + ((self.0 >> 33) % ((high - low) as u64)) as i32
    }
}
"""


def _names(node: Node) -> Iterator[str]:
    if node.type == "impl_item":
        yield from _types_of_impl(node)
    elif node.type == "trait_item":
        yield from (*field_names(node, "name"), *_methods(node))
    elif node.type in ("use_declaration", "extern_crate_declaration"):
        yield ALWAYS  # a trait is used without being named
    else:
        yield from field_names(node, "name")


def _types_of_impl(node: Node) -> Iterator[str]:
    """The type that an `impl` is for; where that is none of the program's own, trait and methods: nobody names it."""
    generic = set(_types(node, "type_parameters"))
    own = [name for name in _types(node, "type") if name not in generic][:1]
    yield from own or [*list(_types(node, "trait"))[:1], *_methods(node)]


def _methods(node: Node) -> Iterator[str]:
    """Methods as they are called: `.name`."""
    for body in node.children_by_field_name("body"):
        for method in body.named_children:
            yield from (f".{name}" for name in field_names(method, "name"))


def _types(node: Node, field: str) -> Iterator[str]:
    child = node.child_by_field_name(field)
    if child is not None:
        yield from (text_of(leaf) for leaf in leaves(child) if leaf.type == "type_identifier")


def _uses(node: Node, path: str = "") -> Iterator[tuple[str, str]]:
    """Name and full path of each thing that a `use` brings."""
    if node.type in ("use_declaration", "use_list"):
        for child in node.named_children:
            if child.type != "visibility_modifier":
                yield from _uses(child, path)
    elif node.type == "scoped_use_list":
        inner = path + "".join(field_names(node, "path")) + "::"
        for child in node.children_by_field_name("list"):
            yield from _uses(child, inner)
    elif node.type == "use_wildcard":
        yield ALWAYS, path + text_of(node)
    elif node.type == "use_as_clause":
        yield "".join(field_names(node, "alias")), path + text_of(node)
    elif node.type == "self":
        yield path.removesuffix("::").split("::")[-1], path.removesuffix("::")
    else:
        yield text_of(node).split("::")[-1], path + text_of(node)


def _bound(node: Node) -> Iterator[str]:
    for function in descendants(node, "function_item"):
        for found in descendants(function, "parameter", "let_declaration", "for_expression", "closure_parameters"):
            pattern = found if found.type == "closure_parameters" else found.child_by_field_name("pattern")
            if pattern is not None:
                yield from (text_of(leaf) for leaf in leaves(pattern) if leaf.type == "identifier")


def _signature(node: Node) -> str:
    return "" if node.type in ("impl_item", "use_declaration", "extern_crate_declaration") else "".join(_names(node))


class Rust(BraceLanguage):
    """Rust: a crate with an empty `main`, whose tests are a module."""

    name = "rust"
    title = "Rust"
    extension = "rs"
    fence = "rust"
    execution = Execution("rust", timeout=300, num_workers=1)
    definition = r"\bfn\s+{name}\s*[<(]"
    grammar = Grammar("tree_sitter_rust", _names, _signature, _bound)

    def declaration(self, problem: Problem) -> str:
        """The declaration after an empty `main`, with which the column `prompt` begins, too."""
        return _MAIN + problem.declaration

    def candidate(self, solution: str, problem: Problem) -> str:
        """The solution up to a second `main`, after a `main` and those declaration lines that it lacks."""
        head = "" if "fn main()" in solution else _MAIN
        for line in (line.strip() for line in problem.declaration.split("\n")):
            is_present = line in solution or (line.startswith("fn") and line.split("(")[0] in solution)
            if not is_present:
                head += line + "\n"
        return head + "fn main()".join(solution.split("fn main()")[:2])

    def items(self, text: str) -> list[Item]:
        """The items, without attributes of a whole crate, which would have to come first."""
        return super().items(re.sub(r"^[ \t]*#!\[.*\][ \t]*$", "", text, flags=re.MULTILINE))

    def framed(self, code: str, problem: Problem) -> str:
        """A `main`, then the code, in which nothing is imported that it has already."""
        data = encoded(code)
        nodes = parse(self.grammar, data + b"\n").named_children
        brought = {name for node in nodes for name in _names(node) if node.type != "impl_item"}
        fresh_of: list[tuple[Node, list[str]]] = []
        for node in (node for node in nodes if node.type == "use_declaration"):
            uses = list(_uses(node))
            fresh = [path for name, path in uses if name in (ALWAYS, "_") or name not in brought]
            if len(fresh) < len(uses):
                fresh_of.append((node, fresh))
            brought.update(name for name, _ in uses)
        for node, fresh in reversed(fresh_of):
            text = encoded("\n".join(f"use {path};" for path in fresh))
            data = data[: node.start_byte] + text + data[node.end_byte :]
        has_main = any("main" in _names(node) for node in nodes if node.type == "function_item")
        return ("" if has_main else _MAIN) + decoded(data)

    def tests(self, problem: Problem) -> str:
        """The tests, with a seeded generator in place of an unseeded one that draws whole numbers from ranges."""
        draws = _DRAW.findall(problem.test)
        if _UNSEEDED not in problem.test or not all(re.fullmatch(r"\d+, \d+", draw) for draw in draws):
            return problem.test
        return problem.test.replace(_UNSEEDED, f"crate::SeededRng({_SEED})") + _SEEDED
