"""The items of a program (imports, functions, types), found with tree-sitter in text that is only partly a program.

A model's answer goes on after the function: with prose, Markdown, tests, another program, half a line. So the text is
not parsed as a whole. It is taken apart from the front into the shortest pieces that parse without an error; lines that
no piece can begin with are prose and are left out.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tree_sitter import Language, Node

ALWAYS = "*"
"""Among the names of an item: it belongs to every program that it precedes, such as an include or a wildcard import."""
FRAME = "frame"
"""The kind of an item that is no item but text around items, such as the head of a class."""

_OPENING = {"{": "}", "${": "}", "(": ")", "[": "]"}
_CLOSING = frozenset(_OPENING.values())
_ATTACHED = ("attribute_item", "inner_attribute_item")  # Rust: they belong to what follows
# A line that ends a piece by itself may go on in the next: an opening brace, an indented operator, a macro of C.
_GOES_ON = re.compile(rb"\s*(\{|\n[ \t]+(\.|\?|:|&&|\|\||[-+*/%=<>,])|\\\r?\n)")
# How many lines that do not parse alone may make a piece with the next (heads of templates, a type on its own line).
_MORE_LINES = 3
# A text may be long, and hostile. So often what is left of it is lexed anew behind a piece, whatever came before; then
# the tokens found last serve on. And so many tokens are looked at, again and again; the rest is prose then.
_MOST_LEXINGS = 100
_MOST_STEPS = 2_000_000

_QUOTE = re.compile(rb"[\"'`]|/\*")
_Token: TypeAlias = tuple[int, int, str]  # where it begins and ends, and its type


@dataclass(frozen=True)
class Item:
    """One item of a program.

    Attributes:
        text: The item with the white space and comments before it: the texts of all items are the program.
        start: Index of its first byte in the text it was found in.
        names: What it defines, for methods outside of their class the class; may hold `ALWAYS`.
        uses: Which names it uses.
        implements: Which of its names have a body that does something.
        signature: What no other item may share in one program; empty where nothing conflicts.
        is_whole: Whether it parses without an error; if not it is wrong code, or of a syntax that the grammar lacks.
        is_closed: Whether it ends where its brackets close, and not with the text.
        kind: The type of its node; `FRAME` for text around items.
        lead: How many characters of white space and comments its text begins with.
    """

    text: str
    start: int = 0
    names: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    implements: frozenset[str] = frozenset()
    signature: str = ""
    is_whole: bool = True
    is_closed: bool = True
    kind: str = ""
    lead: int = 0

    @property
    def code(self) -> str:
        """The item without the white space and comments before it."""
        return self.text[self.lead :]

    @property
    def end(self) -> int:
        """Index of the byte behind it in the text it was found in."""
        return self.start + len(encoded(self.text))


@dataclass(frozen=True)
class Grammar:
    """What has to be known about the syntax of a language.

    Attributes:
        module: The Python package of its tree-sitter grammar.
        names: The names that a top-level node defines.
        signature: See `Item`.
        bound: The variables and parameters of the functions in a node: to use one is not to use an item of that name.
        dialect: Which of the package's grammars it is, where that has several.
    """

    module: str
    names: Callable[[Node], Iterable[str]]
    signature: Callable[[Node], str]
    bound: Callable[[Node], Iterable[str]]
    dialect: str = ""


@dataclass(frozen=True)
class Frame:
    """Text around a piece that makes it a program, such as a class around methods."""

    before: bytes = b""
    after: bytes = b""


NO_FRAME = Frame()


@functools.cache
def _language(module: str, dialect: str) -> Language:
    from tree_sitter import Language

    return Language(getattr(importlib.import_module(module), f"language_{dialect}" if dialect else "language")())


def parse(grammar: Grammar, data: bytes) -> Node:
    """The root of the syntax tree."""
    from tree_sitter import Parser

    return Parser(_language(grammar.module, grammar.dialect)).parse(data).root_node


def encoded(text: str) -> bytes:
    """The bytes that are parsed; a model may write lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    """The inverse of `encoded`."""
    return data.decode("utf-8", "surrogatepass")


def text_of(node: Node) -> str:
    """The text of a node."""
    return decoded(node.text or b"")


def leaves(node: Node) -> Iterator[Node]:
    """The tokens of a tree in order; comments and attributes are one token each."""
    cursor = node.walk()
    while True:
        found = cursor.node
        assert found is not None
        if not (found.type.endswith("comment") or found.type in _ATTACHED) and cursor.goto_first_child():
            continue
        yield found
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def descendants(node: Node, *types: str) -> Iterator[Node]:
    """All nodes below a node, itself included, that have one of some types; in order, however deep they are."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if found.type in types:
            yield found
        waiting += reversed(found.children)


def identifiers(node: Node | None) -> Iterator[str]:
    """The identifiers in a node, except those that are looked up in an object."""
    if node is not None:
        for leaf in leaves(node):
            if "identifier" in leaf.type and leaf.type not in ("field_identifier", "property_identifier"):
                yield text_of(leaf)


def field_names(node: Node, *fields: str) -> Iterator[str]:
    """The texts of all children in some fields."""
    for field in fields:
        for child in node.children_by_field_name(field):
            yield text_of(child)


def items_of_nodes(
    grammar: Grammar, nodes: Iterable[Node], data: bytes, start: int, end: int, shift: int
) -> list[Item]:
    """The items of the nodes in `data[start:end]`; `shift` leads from the offsets of the nodes to those in `data`."""
    found = [node for node in nodes if not _is_attached(node)]
    items = []
    for index, node in enumerate(found):
        is_last = index == len(found) - 1
        node_end = end if is_last else _with_semicolon(data, node.end_byte + shift)
        names = frozenset(grammar.names(node))
        items.append(
            Item(
                text=decoded(data[start:node_end]),
                start=start,
                names=names,
                uses=frozenset(identifiers(node)) - frozenset(grammar.bound(node)) | frozenset(_called(node)),
                implements=names if _does_something(node) else frozenset(),
                signature=grammar.signature(node),
                is_whole=not node.has_error,
                kind=node.type,
                lead=len(decoded(data[start : node.start_byte + shift])),
            )
        )
        start = node_end
    return items


def _called(node: Node) -> Iterator[str]:
    """The functions that are called by name, and behind a dot the methods.

    `let gcd = gcd(a, b)` is about a variable, and a function of that name.
    """
    for call in descendants(node, "call", "call_expression", "method_invocation"):
        function = call.child_by_field_name("function") or call.child_by_field_name("name")
        if function is not None and function.type == "identifier":
            yield text_of(function)
        elif function is not None:
            yield from (f".{name}" for name in field_names(function, "field", "property"))


def _is_attached(node: Node) -> bool:
    return node.type.endswith("comment") or node.type in _ATTACHED


def _with_semicolon(data: bytes, end: int) -> int:
    match = re.compile(rb"[ \t]*;").match(data, end)
    return match.end() if match else end


def _does_something(node: Node) -> bool:
    body = _first(node, "body")
    if body is None:
        return _first(node, "value") is not None or _first(node, "right") is not None
    if not body.named_children:  # an expression, or an empty block
        return bool(body.is_named and body.type not in ("block", "statement_block", "compound_statement"))
    return any(not child.type.endswith("comment") and not _does_nothing(child) for child in body.named_children)


def _first(node: Node, field: str) -> Node | None:
    """The first node below a node, however deep, that stands in a field."""
    waiting = [node]
    while waiting:
        outer = waiting.pop()
        found = outer.child_by_field_name(field)
        if found is not None:
            return found
        waiting += reversed(outer.named_children)
    return None


def _does_nothing(node: Node) -> bool:
    """Whether a statement of Python is documentation or stands for a body that is yet to come."""
    contents = [child.type for child in node.named_children]
    is_value = node.type == "expression_statement" and contents in (["string"], ["ellipsis"])
    return node.type == "pass_statement" or is_value


def broken_item(grammar: Grammar, data: bytes, start: int, end: int) -> Item:
    """An item that does not parse: wrong code, or a syntax that the grammar does not know.

    It defines what has a body: "returns a vector, { x }" would declare a variable else.
    """
    root = parse(grammar, data[start:end] + b"\n")
    defining = [node for node in root.named_children if _first(node, "body") is not None]
    names = frozenset(name for node in defining for name in grammar.names(node)) - {ALWAYS}
    uses = frozenset(identifiers(root)) - names
    return Item(decoded(data[start:end]), start, names, uses, names, is_whole=False, kind="ERROR")


def has_code(grammar: Grammar, data: bytes) -> bool:
    """Whether a text holds anything but white space, comments and closing brackets."""
    found = leaves(parse(grammar, data + b"\n"))
    return any(not _is_attached(leaf) and leaf.type not in _CLOSING and (leaf.text or b"").strip() for leaf in found)


class Pieces:
    """Takes a text in a brace language apart, from the front.

    Args:
        grammar: The language's.
        data: The text.
        start: Where to begin.
        frame: What makes a piece a program.
    """

    def __init__(self, grammar: Grammar, data: bytes, start: int = 0, frame: Frame = NO_FRAME) -> None:
        self._grammar = grammar
        self._data = data
        self._frame = frame
        self.position = start
        """Where the text that is not taken apart yet begins."""
        self.is_closed = False
        """Whether the frame has been closed."""
        self._tokens_left = self._lexed()
        self._tokens_seen: list[_Token] = []
        self._lexings = self._steps = 0

    def __iter__(self) -> Iterator[list[Item]]:
        """The items piece by piece; in a frame up to the brace that closes it."""
        while self.position < len(self._data):
            items = self._next()
            if items is None:
                return
            if items:
                yield items

    def _next(self) -> list[Item] | None:
        """The next piece; empty for prose, None where the frame closes."""
        data, start = self._data, self.position
        open_brackets: list[str] = []  # what closes them, the innermost last
        first = end = close = -1  # where the first token begins, the last one ends, the last block ends in this line
        has_block = False
        failed: list[tuple[int, bool]] = []
        for token, token_end, kind in self._tokens():
            if first >= 0 and not open_brackets and b"\n" in data[end:token] and not _GOES_ON.match(data, end):
                if items := self._parsed(start, end) or self._parsed(start, close):
                    return items
                failed.append((end if close < 0 else close, has_block))
                close = -1
                if len(failed) > _MORE_LINES:
                    break
            if kind == "}" and "}" not in open_brackets:
                if first < 0:
                    self.position = token_end
                    self.is_closed = bool(self._frame.before)
                    return None if self.is_closed else []
                if not open_brackets and (items := self._parsed(start, end) or self._parsed(start, close)):
                    return items
                break
            first = token if first < 0 else first
            end = token_end
            if kind in _OPENING:
                open_brackets.append(_OPENING[kind])
            elif kind in _CLOSING and kind in open_brackets:
                # One that nothing has opened is wrong code, and does not end anything.
                while open_brackets.pop() != kind:
                    pass
            if kind == "}" and not open_brackets:
                close, has_block = token_end, True
        else:
            if first < 0:
                self.position = len(data)
                return []
            if not open_brackets:
                if items := self._parsed(start, end) or self._parsed(start, close):
                    return items
            elif not failed and b"{" in data[first : _line_end(data, first)]:
                return self._broken(start, len(data.rstrip()), is_closed=False)
            failed.append((end if close < 0 else close, has_block))
        if failed and failed[0][1]:
            return self._broken(start, failed[0][0])
        self.position = _line_end(data, first)
        if _QUOTE.search(data, start, self.position):  # of prose: what follows is no string
            self._lex_again()
        return []

    def _lex_again(self) -> None:
        self._lexings += 1
        if self._lexings < _MOST_LEXINGS:
            self._tokens_left, self._tokens_seen = self._lexed(), []

    def _tokens(self) -> Iterator[_Token]:
        """The tokens of what is left; found once, as far as they are asked for."""
        if self._steps < _MOST_STEPS:
            self._tokens_seen = [token for token in self._tokens_seen if token[0] >= self.position]
            for token in chain(list(self._tokens_seen), self._unseen()):
                self._steps += 1
                yield token

    def _unseen(self) -> Iterator[_Token]:
        for token in self._tokens_left:
            if token[0] >= self.position:
                self._tokens_seen.append(token)
                yield token

    def _lexed(self) -> Iterator[_Token]:
        before = self._frame.before
        shift = self.position - len(before)
        for leaf in leaves(parse(self._grammar, before + self._data[self.position :] + b"\n")):
            token, token_end = leaf.start_byte + shift, min(leaf.end_byte + shift, len(self._data))
            if token >= shift + len(before) and not _is_attached(leaf) and self._data[token:token_end].strip():
                yield token, token_end, leaf.type

    def _nodes(self, start: int, end: int) -> tuple[list[Node], int, bool]:
        before, after = self._frame.before, self._frame.after
        root = parse(self._grammar, before + self._data[start:end] + b"\n" + after)
        nodes = root.named_children
        if before:
            body = next((found for node in nodes if (found := node.child_by_field_name("body"))), None)
            nodes = [] if body is None else body.named_children
        return nodes, start - len(before), root.has_error

    def _parsed(self, start: int, end: int) -> list[Item]:
        if end < 0:
            return []
        nodes, shift, has_error = self._nodes(start, end)
        # "Answer:" before a function would make a labelled statement of it.
        if has_error or all(map(_is_attached, nodes)) or any(node.type == "labeled_statement" for node in nodes):
            return []
        self.position = end
        self._lex_again()
        return items_of_nodes(self._grammar, nodes, self._data, start, end, shift)

    def _broken(self, start: int, end: int, *, is_closed: bool = True) -> list[Item]:
        self.position = end
        self._lex_again()
        return [replace(broken_item(self._grammar, self._data, start, end), is_closed=is_closed)]


def _line_end(data: bytes, position: int) -> int:
    end = data.find(b"\n", position)
    return len(data) if end < 0 else end
