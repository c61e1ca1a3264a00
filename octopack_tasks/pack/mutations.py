"""Small syntactic mutations of a function, by the six bug types of the paper.

The grammars of the six languages name most of their nodes alike, so one set of rules serves them all; a language added
later is mutated as far as its grammar uses these names, too.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from octopack_tasks.languages import Language
from octopack_tasks.languages.syntax import decoded, encoded, parse, text_of

if TYPE_CHECKING:
    from tree_sitter import Node


class BugType(str, enum.Enum):
    """The bug types of HumanEvalPack (paper, table 2)."""

    MISSING_LOGIC = "missing logic"
    EXCESS_LOGIC = "excess logic"
    VALUE_MISUSE = "value misuse"
    OPERATOR_MISUSE = "operator misuse"
    VARIABLE_MISUSE = "variable misuse"
    FUNCTION_MISUSE = "function misuse"


@dataclass(frozen=True)
class Mutant:
    """Code with one change.

    Attributes:
        code: All of it.
        bug_type: What kind of bug the change is.
        description: The change, for people: "`<` becomes `<=` in `if a < b:`".
        span: The characters of the original that the change replaces, as start and end.
        replacement: What it puts there.
        change: The change without names and spelling of one language; mutants of a problem's solutions in two
            languages that agree in it are most likely the same bug.
    """

    code: str
    bug_type: BugType
    description: str
    span: tuple[int, int]
    replacement: str
    change: str


def mutants(
    code: str,
    language: Language,
    bug_types: Iterable[BugType] = tuple(BugType),
    within: tuple[int, int] | None = None,
) -> Iterator[Mutant]:
    """All mutants of some code, each once, by bug type and then in the order of the code.

    Nothing says that a mutant compiles or that it behaves in another way.

    Args:
        code: Whole items, such as a declaration and its solution.
        language: Its language.
        bug_types: Which mutations are made, and in which order.
        within: Only changes within these characters (start and end), such as the solution's.
    """
    data = encoded(code)
    root = parse(language.grammar, data + b"\n")
    start, end = (0, len(code)) if within is None else within
    first, last = len(encoded(code[:start])), len(encoded(code[:end]))
    try:
        function = _Function.of(data, root, language)
    except RecursionError:  # nested deeper than any function that somebody wrote
        return
    seen = {data}
    for bug_type in dict.fromkeys(bug_types):
        for place in function.places:
            if place.node.start_byte < first or place.node.end_byte > last:
                continue
            for edit in _RULES[bug_type](place, function):
                changed = data[: edit.start] + encoded(edit.text) + data[edit.end :]
                if changed in seen or (not root.has_error and parse(language.grammar, changed + b"\n").has_error):
                    continue
                seen.add(changed)
                yield Mutant(
                    code=decoded(changed),
                    bug_type=bug_type,
                    description=f"{edit.description} in `{_line(data, place.node.start_byte)}`",
                    span=(len(decoded(data[: edit.start])), len(decoded(data[: edit.end]))),
                    replacement=edit.text,
                    change=f"{bug_type.value}: {edit.change}",
                )


# --- places: the nodes of a function, and what has to be known about where they stand --------------------------------

_BINDERS = frozenset(
    """
    assignment assignment_expression assignment_statement short_var_declaration for_statement for_in_statement
    for_in_clause for_range_loop range_clause for_expression let_declaration
    """.split()  # noqa: SIM905 - words read better without quotes
)
"""Nodes whose field `left` or `pattern` is what they bind; in all others `left` is an operand."""
_BINDING_FIELDS = frozenset({"left", "pattern", "name", "declarator", "parameters", "parameter", "alias"})
_READING_FIELDS = frozenset(
    {"value", "right", "body", "arguments", "subscript", "index", "condition", "type", "object"}
)
_SKIPPED = ("comment", "import", "include", "use_declaration", "macro_definition")


@dataclass(frozen=True)
class _Place:
    """A node and where it stands."""

    node: Node
    parent: Node | None
    field: str | None
    is_bound: bool
    """Whether it is a name that gets a value here."""


@dataclass(frozen=True)
class _Function:
    """The code around the places."""

    data: bytes
    places: tuple[_Place, ...]
    variables: Mapping[str, int]
    """Parameters and variables, and where each stands first."""
    calls: tuple[tuple[str, bool], ...]
    """The names that are called, and whether they are methods."""
    has_blocks_by_indentation: bool

    @classmethod
    def of(cls, data: bytes, root: Node, language: Language) -> _Function:
        places = tuple(_places(root))
        bound = {name for node in root.named_children for name in language.grammar.bound(node)}
        variables: dict[str, int] = {}
        calls: dict[tuple[str, bool], None] = {}
        for place in places:
            name = text_of(place.node)
            is_target = place.is_bound and place.field == "left"
            if place.node.type == "identifier" and (name in bound or is_target) and name != "_":
                variables.setdefault(name, place.node.start_byte)
            if (callee := _callee(place.node)) is not None:
                calls[text_of(callee), callee.type != "identifier"] = None
        return cls(data, places, variables, tuple(calls), language.name == "python")

    def indentation(self, position: int) -> str | None:
        """The white space before a position in its line; None where anything else stands there."""
        before = decoded(self.data[self.data.rfind(b"\n", 0, position) + 1 : position])
        return None if before.strip() else before


def _places(
    node: Node, parent: Node | None = None, field: str | None = None, *, is_bound: bool = False
) -> Iterator[_Place]:
    if any(word in node.type for word in _SKIPPED):
        return
    yield _Place(node, parent, field, is_bound)
    for index, child in enumerate(node.children):
        name = node.field_name_for_child(index)
        bound = is_bound
        if name in _READING_FIELDS and not (name == "object" and is_bound):
            bound = False
        elif name in _BINDING_FIELDS and (name not in ("left", "pattern") or node.type in _BINDERS):
            # Java: the name of a call is no binding, nor are its arguments
            bound = node.type not in ("method_invocation", "keyword_argument") and not _is_augmented(node)
        yield from _places(child, node, name, is_bound=bound)


def _line(data: bytes, position: int) -> str:
    start = data.rfind(b"\n", 0, position) + 1
    return decoded(data[start:].split(b"\n", 1)[0]).strip()


# --- edits ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Edit:
    """One change of the bytes of a code."""

    start: int
    end: int
    text: str
    description: str
    change: str


_Rule: TypeAlias = Callable[[_Place, _Function], Iterator[_Edit]]


def _replace(node: Node, text: str, context: Node | None = None) -> _Edit:
    """Another text in the place of a node; `context` is what tells two such changes apart."""
    old = text_of(node)
    around = context or node
    shift = around.start_byte
    whole = around.text or b""
    after = whole[: node.start_byte - shift] + encoded(text) + whole[node.end_byte - shift :]
    description = f"`{_brief(old)}` becomes `{_brief(text)}`" if text else f"`{_brief(old)}` is gone"
    return _Edit(
        node.start_byte,
        node.end_byte,
        text,
        description,
        f"{normalized(text_of(around))} -> {normalized(decoded(after))}",
    )


def _insert(position: int, text: str, description: str, change: str) -> _Edit:
    return _Edit(position, position, text, description, change)


def _brief(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."


_SPELLINGS = (
    (re.compile(r"\band\b"), "&&"),
    (re.compile(r"\bor\b"), "||"),
    (re.compile(r"\bnot\b"), "!"),
    (re.compile(r"([!=]=)="), r"\1"),
    (re.compile(r"//"), "/"),
    (re.compile(r"\b(?:Math|math|std|this|self)(?:\.|::)"), ""),
    (re.compile(r"\b(?:let|const|var|auto|int|mut|if|while|elif|else|return)\b"), ""),
    (re.compile(r"(?<=\d)(?:\.0+)?(?:[uif]\d\d|u?size|[uUlL]+|f)?\b"), ""),
    (re.compile(r"[\s;_(){}:&]|(?<![-+*/<>=!])$"), ""),
)


def normalized(text: str) -> str:
    """Code without what is spelled in another way in another language."""
    for pattern, instead in _SPELLINGS:
        text = pattern.sub(instead, text)
    return text.lower().replace("'", '"')


# --- operator misuse --------------------------------------------------------------------------------------------------

_OPERATORS: Mapping[str, tuple[str, ...]] = {
    "<": ("<=", ">"),
    "<=": ("<", ">="),
    ">": (">=", "<"),
    ">=": (">", "<="),
    "==": ("!=",),
    "!=": ("==",),
    "===": ("!==",),
    "!==": ("===",),
    "+": ("-", "*"),
    "-": ("+",),
    "*": ("+", "/"),
    "/": ("*", "%"),
    "//": ("*", "%"),
    "%": ("/", "*"),
    "**": ("*",),
    "+=": ("-=", "*="),
    "-=": ("+=",),
    "*=": ("+=",),
    "/=": ("*=",),
    "//=": ("*=",),
    "%=": ("/=",),
    "++": ("--",),
    "--": ("++",),
    "and": ("or",),
    "or": ("and",),
    "&&": ("||",),
    "||": ("&&",),
    "&": ("|",),
    "|": ("&",),
    "^": ("&", "|"),
    "<<": (">>",),
    ">>": ("<<",),
    "..": ("..=",),
    "..=": ("..",),
    "in": ("not in",),
    "not in": ("in",),
}
_OPERATIONS = frozenset(
    """
    binary_operator binary_expression comparison_operator boolean_operator augmented_assignment
    augmented_assignment_expression assignment_expression compound_assignment_expr assignment_statement
    update_expression inc_statement dec_statement range_expression
    """.split()  # noqa: SIM905 - words read better without quotes
)
_AUGMENTED = re.compile(r"[-+*/%&|^<>]+=|\+\+|--")


def _is_augmented(node: Node) -> bool:
    """Whether an assignment, by its operator, goes on with the value that was there."""
    return any(not child.is_named and _AUGMENTED.fullmatch(child.type) for child in node.children)


def _operator_misuse(place: _Place, function: _Function) -> Iterator[_Edit]:
    node, parent = place.node, place.parent
    if parent is None or parent.type not in _OPERATIONS:
        return
    operator = text_of(node)
    # the one named operator is Python's `not in` in some versions of its grammar
    if not node.is_named or node.type in ("not in", "is not"):
        for other in _OPERATORS.get(operator, ()):
            if other == "/" and function.has_blocks_by_indentation:
                other = "//"  # of two whole numbers, as `/` is in the other languages
            yield _replace(node, other, parent)


# --- value misuse -----------------------------------------------------------------------------------------------------

_NUMBERS = frozenset(
    """
    integer float number number_literal decimal_integer_literal decimal_floating_point_literal int_literal
    float_literal integer_literal
    """.split()  # noqa: SIM905 - words read better without quotes
)
_CHARACTERS = frozenset({"char_literal", "character_literal", "rune_literal"})
_STRINGS = frozenset({"string", "string_literal", "interpreted_string_literal"}) | _CHARACTERS
_BOOLEANS = {"true": "false", "false": "true", "True": "False", "False": "True"}
_NUMBER = re.compile(r"(\d+)((?:\.\d*)?(?:[uif](?:8|16|32|64|128|size)|[uUlLfF]+)?)")
_STRING = re.compile(r"""(["'])([^"'\\{}\n]+)\1""")


def _value_misuse(place: _Place, function: _Function) -> Iterator[_Edit]:
    node = place.node
    text = text_of(node)
    if node.type in _NUMBERS and (number := _NUMBER.fullmatch(text)):
        value, rest = int(number.group(1)), number.group(2)
        for other in (value + 1, value - 1):
            if other >= 0:
                yield _replace(node, f"{other}{rest}", _expression_of(place))
    elif node.type in _STRINGS and not _is_documentation(place) and (string := _STRING.fullmatch(text)):
        quote, content = string.groups()
        for changed in _other_strings(content):
            if node.type not in _CHARACTERS or len(changed) == 1:
                yield _replace(node, f"{quote}{changed}{quote}", _expression_of(place))
    elif _number_operand(node) is not None:  # `n + 1` becomes `n`
        yield from (_replace(node, text_of(operand)) for operand in _operands(node) if operand.type not in _NUMBERS)
    elif text in _BOOLEANS and node.type in ("true", "false", "boolean_literal"):
        yield _replace(node, _BOOLEANS[text], _expression_of(place))


def _other_strings(content: str) -> Iterator[str]:
    if content.swapcase() != content:
        yield content.swapcase()
    if len(content) > 1:
        yield content[:-1]
    elif content.isdigit():
        yield str((int(content) + 1) % 10)
    elif content.isascii() and content.isalpha():
        yield chr(ord(content) + 1) if content not in "zZ" else chr(ord(content) - 1)
    elif content == " ":
        yield "_"


def _is_documentation(place: _Place) -> bool:
    return place.parent is not None and place.parent.type == "expression_statement"


def _expression_of(place: _Place) -> Node:
    """The smallest expression around a value: it tells two equal values of a function apart."""
    parent = place.parent
    if parent is not None and parent.type == "expression_list":  # Go's, of one value most often
        parent = parent.parent
    if parent is None or parent.end_byte - parent.start_byte > 60 or "block" in parent.type:
        return place.node
    return parent


# --- variable misuse --------------------------------------------------------------------------------------------------


_NEAREST = 20  # Of long functions: else their mutants are as many as the square of their lines.


def _variable_misuse(place: _Place, function: _Function) -> Iterator[_Edit]:
    node = place.node
    name = text_of(node)
    if node.type == "identifier" and name in function.variables and not place.is_bound and not _is_label(place):
        others = [other for other, first in function.variables.items() if other != name and first < node.start_byte]
        for other in others[-_NEAREST:]:
            yield _replace(node, other, _expression_of(place))
    arguments = _arguments(node)
    if len(arguments) == 2 and text_of(arguments[0]) != text_of(arguments[1]):
        first_one, second = arguments
        between = function.data[first_one.end_byte : second.start_byte]
        swapped = text_of(second) + decoded(between) + text_of(first_one)
        description = f"`{_brief(text_of(first_one))}` and `{_brief(text_of(second))}` change places"
        change = f"{normalized(text_of(node))} swapped"
        yield _Edit(first_one.start_byte, second.end_byte, swapped, description, change)


def _is_label(place: _Place) -> bool:
    """Whether an identifier is the name of an attribute, of a function that is called, or of a keyword argument."""
    if place.parent is None:
        return False
    if place.parent.type == "attribute":
        return place.field == "attribute"
    return place.parent.type in ("keyword_argument", "method_invocation") and place.field == "name"


# --- function misuse --------------------------------------------------------------------------------------------------

_PAIRS = """
    max min|ceil floor|round floor|any all|some every|upper lower|toUpperCase toLowerCase|to_uppercase to_lowercase
    to_ascii_uppercase to_ascii_lowercase|ToUpper ToLower|toupper tolower|isupper islower|isUpperCase isLowerCase
    is_uppercase is_lowercase|is_ascii_uppercase is_ascii_lowercase|IsUpper IsLower|startswith endswith
    startsWith endsWith|starts_with ends_with|HasPrefix HasSuffix|find rfind|index rindex|indexOf lastIndexOf
    Index LastIndex|push unshift|pop shift|push_back push_front|pop_back pop_front|append insert|lstrip rstrip
    trimStart trimEnd|trim_start trim_end|isalpha isdigit|isLetter isDigit|IsLetter IsDigit
    is_alphabetic is_numeric|isalpha isalnum|first last|front back|begin end|union intersection|keys values
    add remove|sorted reversed|sort reverse|len sum|sum max|sum len|lower_bound upper_bound|min_by max_by
    take skip|filter map|sin cos|sqrt cbrt|split splitlines|swapcase lower|swapcase upper|max_element min_element
"""


def _partners() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for pair in re.split(r"[|\n]", _PAIRS):
        if pair.strip():
            one, other = pair.split()
            found.setdefault(one, []).append(other)
            found.setdefault(other, []).append(one)
    return {name: tuple(others) for name, others in found.items()}


_PARTNERS = _partners()
_CALLS = ("call", "call_expression", "method_invocation")
_MEMBERS = {
    "attribute": "attribute",
    "member_expression": "property",
    "field_expression": "field",
    "selector_expression": "field",
    "scoped_identifier": "name",
    "qualified_identifier": "name",
}
"""Nodes that look something up in an object, and their field that names it."""


def _callee(node: Node) -> Node | None:
    """The name of the function that a node calls."""
    if node.type not in _CALLS:
        return None
    function = node.child_by_field_name("function") or node.child_by_field_name("name")
    if function is not None and function.type in _MEMBERS:
        function = function.child_by_field_name(_MEMBERS[function.type])
    return function if function is not None and function.type.endswith("identifier") else None


def _arguments(node: Node) -> list[Node]:
    arguments = node.child_by_field_name("arguments") if node.type in _CALLS else None
    return [] if arguments is None or arguments.type == "generator_expression" else arguments.named_children


def _function_misuse(place: _Place, function: _Function) -> Iterator[_Edit]:
    callee = _callee(place.node)
    if callee is None:
        return
    name = text_of(callee)
    is_method = callee.type != "identifier"
    called = (other for other, other_is_method in function.calls if other_is_method == is_method)
    for other in dict.fromkeys((*_PARTNERS.get(name, ()), *called)):
        if other != name:
            yield _replace(callee, other, place.node)


# --- missing logic ----------------------------------------------------------------------------------------------------

_STATEMENTS = ("expression_statement", "assignment_statement", "inc_statement", "dec_statement", "send_statement")
_JUMPS = ("break_statement", "continue_statement", "break_expression", "continue_expression")
_CHOICES = ("if_statement", "if_expression")
_BLOCKS = ("block", "statement_block", "compound_statement", "statement_list")
_NOT = ("not_operator", "unary_operator", "unary_expression")


def _missing_logic(place: _Place, function: _Function) -> Iterator[_Edit]:
    node = place.node
    if _is_statement(place, function):
        yield _without_statement(place, function)
    if node.type in _CHOICES and (alternative := node.child_by_field_name("alternative")) is not None:
        yield _without_alternative(node, alternative)
    if _number_operand(node) is None:
        for operand in _operands(node):
            yield _replace(node, text_of(operand))
    if node.type in _NOT and node.named_children:
        yield _replace(node, text_of(node.named_children[-1]))
    callee, arguments = _callee(node), _arguments(node)
    if callee is not None and len(arguments) == 1 and "argument" not in arguments[0].type:
        yield _replace(node, text_of(arguments[0]))
    if callee is not None and callee.type != "identifier" and not arguments:
        receiver = _receiver(node)
        if receiver is not None:
            yield _replace(node, text_of(receiver))


def _receiver(call: Node) -> Node | None:
    """The object whose method is called."""
    function = call.child_by_field_name("function") or call
    for field in ("object", "argument", "operand", "value"):
        if (found := function.child_by_field_name(field)) is not None:
            return found
    return None


def _is_statement(place: _Place, function: _Function) -> bool:
    """Whether a node is a statement without which a program may still compile."""
    node = place.node
    if node.type in _JUMPS:
        return place.parent is not None and place.parent.type != "expression_statement"
    if node.type in _CHOICES:
        is_value = place.parent is not None and place.parent.type not in (*_BLOCKS, "expression_statement")
        return node.child_by_field_name("alternative") is None and not is_value
    if node.type not in _STATEMENTS or not node.named_children:
        return False
    inner = node.named_children[0]
    if inner.type in ("string", *_CHOICES) or "for" in inner.type or "while" in inner.type or "return" in inner.type:
        return False
    # the first assignment of a variable is its declaration
    if function.has_blocks_by_indentation and inner.type == "assignment":
        target = inner.child_by_field_name("left")
        return target is not None and function.variables.get(text_of(target), 0) < target.start_byte
    return True


def _without_statement(place: _Place, function: _Function) -> _Edit:
    node, parent = place.node, place.parent
    is_alone = parent is not None and len(parent.named_children) == 1
    text = "pass" if function.has_blocks_by_indentation and is_alone else ""
    edit = _replace(node, text)
    start, end = edit.start, edit.end
    rest = function.data[end:].split(b"\n", 1)[0]
    if not text and not rest.strip() and function.indentation(start) is not None:  # its lines go, too
        start = function.data.rfind(b"\n", 0, start) + 1
        end = min(end + len(rest) + 1, len(function.data))
    description = f"`{_brief(text_of(node))}` is gone"
    return _Edit(start, end, text, description, f"without {normalized(text_of(node))}")


def _without_alternative(node: Node, alternative: Node) -> _Edit:
    start = alternative
    before = alternative.prev_sibling
    if before is not None and before.type == "else":
        start = before
    begin = start.start_byte
    while begin > 0 and (node.text or b"")[begin - 1 - node.start_byte : begin - node.start_byte].isspace():
        begin -= 1
    change = f"without else {normalized(text_of(alternative))}"
    end = node.end_byte if start is alternative and alternative.type == "elif_clause" else alternative.end_byte
    return _Edit(begin, end, "", f"`{_brief(text_of(alternative))}` is gone", change)


_ARITHMETIC = ("binary_operator", "binary_expression", "boolean_operator")


def _operands(node: Node) -> list[Node]:
    """The operands of arithmetic and of `and` and `or`; a comparison cannot lose one."""
    if node.type not in _ARITHMETIC:
        return []
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    operator = node.child_by_field_name("operator")
    if left is None or right is None or operator is None or _COMPARISON.fullmatch(text_of(operator)):
        return []
    return [left, right]


def _number_operand(node: Node) -> Node | None:
    """The operand of arithmetic that is a number in the code; the paper calls a missing one a wrong value."""
    return next((operand for operand in _operands(node) if operand.type in _NUMBERS), None)


_COMPARISON = re.compile(r"[<>]=?|[!=]==?|in|instanceof")

# --- excess logic -----------------------------------------------------------------------------------------------------

_CONDITIONAL = (*_CHOICES, "while_statement", "while_expression", "elif_clause", "conditional_expression")
_PARENTHESES = ("parenthesized_expression", "condition_clause")
_LOOPS = frozenset(
    """
    for_statement while_statement for_in_statement enhanced_for_statement for_range_loop for_expression
    while_expression loop_expression
    """.split()  # noqa: SIM905 - words read better without quotes
)
_ASSIGNMENTS = ("assignment", "assignment_expression", "assignment_statement")
_ENDINGS = ("return", "break", "continue", "throw", "raise")


def _excess_logic(place: _Place, function: _Function) -> Iterator[_Edit]:
    node = place.node
    if _is_statement(place, function) and node.type in _STATEMENTS and _changes_something(node):
        indentation = function.indentation(node.start_byte)
        if indentation is not None:
            again = f"\n{indentation}{text_of(node)}"
            change = f"twice {normalized(text_of(node))}"
            yield _insert(node.end_byte, again, f"`{_brief(text_of(node))}` happens twice", change)
    if place.field == "condition" and place.parent is not None and place.parent.type in _CONDITIONAL:
        yield _negated(node, function)
    if node.type in _LOOPS and (edit := _early_break(node, function)) is not None:
        yield edit
    yield from _longer(place)
    if (operand := _operations_end(place)) is not None:
        for more in (" + 1", " - 1"):
            change = f"{normalized(text_of(operand))} -> {normalized(text_of(operand))}{more.replace(' ', '')}"
            yield _insert(
                operand.end_byte, more, f"`{_brief(text_of(operand))}` is followed by `{more.strip()}`", change
            )


def _longer(place: _Place) -> Iterator[_Edit]:
    """An operand once more, a string with one more character, a sum in the place of an assignment."""
    node = place.node
    operands, operator = _operands(node), node.child_by_field_name("operator")
    if operands and operator is not None and text_of(operator) in ("+", "*") and operands[0].type == "identifier":
        yield _replace(node, f"{text_of(node)} {text_of(operator)} {text_of(operands[0])}")
    if node.type in _STRINGS - _CHARACTERS and not _is_documentation(place):
        text = text_of(node)
        if text in ('""', "''"):
            yield _replace(node, f"{text[0]} {text[0]}", _expression_of(place))
        elif string := _STRING.fullmatch(text):
            quote, content = string.groups()
            yield _replace(node, f"{quote}{content}{content[-1]}{quote}", _expression_of(place))
    if node.type == "=" and place.parent is not None and place.parent.type in _ASSIGNMENTS:
        yield _replace(node, "+=", place.parent)


def _changes_something(node: Node) -> bool:
    """Whether a second time makes a difference: an assignment of a value does not, a call or an increment may."""
    inner = node if node.type != "expression_statement" else node.named_children[0]
    if inner.type in _CALLS:
        return True
    return _is_augmented(inner)


def _negated(condition: Node, function: _Function) -> _Edit:
    word = "not " if function.has_blocks_by_indentation else "!"
    inner = text_of(condition)
    change = f"negated {normalized(inner)}"
    text = f"({word}{inner})" if condition.type in _PARENTHESES else f"{word}({inner})"
    description = f"`{_brief(inner)}` becomes `{_brief(text)}`"
    return _Edit(condition.start_byte, condition.end_byte, text, description, change)


def _early_break(loop: Node, function: _Function) -> _Edit | None:
    body = loop.child_by_field_name("body")
    statements = [] if body is None else _statements(body)
    if not statements or any(word in statements[-1].type for word in _ENDINGS):
        return None
    last = statements[-1]
    if last.type == "expression_statement" and any(word in last.named_children[0].type for word in _ENDINGS):
        return None
    indentation = function.indentation(last.start_byte)
    if indentation is None:
        return None
    word = "break" if function.has_blocks_by_indentation else "break;"
    loops = [place.node for place in function.places if place.node.type in _LOOPS]
    return _insert(
        last.end_byte,
        f"\n{indentation}{word}",
        f"the loop ends after its first turn: `break` after `{_brief(text_of(last))}`",
        f"break at the end of loop {loops.index(loop) + 1}",
    )


def _statements(body: Node) -> list[Node]:
    inner = body.named_children
    if len(inner) == 1 and inner[0].type == "statement_list":  # Go
        inner = inner[0].named_children
    return [child for child in inner if "comment" not in child.type]


_VALUES = frozenset({"identifier", "call", "call_expression", "method_invocation", *_ARITHMETIC})
_HOLDERS = ("return_statement", "return_expression", "assignment", "variable_declarator", "let_declaration")


def _operations_end(place: _Place) -> Node | None:
    """A value that arithmetic could go on from: one that is returned or stored, or the last operand of arithmetic."""
    node, parent = place.node, place.parent
    if parent is None or place.is_bound or node.type not in _VALUES:
        return None
    if node.type in _ARITHMETIC and not _operands(node):
        return None
    is_returned = parent.type in ("return_statement", "return_expression", "expression_list")
    is_stored = parent.type in _HOLDERS and place.field in ("right", "value")
    is_argument = parent.type in ("argument_list", "arguments")
    is_result = parent.type == "block" and parent.next_sibling is None and node.next_named_sibling is None
    return node if is_returned or is_stored or is_argument or is_result else None


_RULES: Mapping[BugType, _Rule] = {
    BugType.MISSING_LOGIC: _missing_logic,
    BugType.EXCESS_LOGIC: _excess_logic,
    BugType.VALUE_MISUSE: _value_misuse,
    BugType.OPERATOR_MISUSE: _operator_misuse,
    BugType.VARIABLE_MISUSE: _variable_misuse,
    BugType.FUNCTION_MISUSE: _function_misuse,
}
