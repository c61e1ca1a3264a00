"""One declared signature, and calls of its function, spelled in every language."""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from octopack_tasks.errors import UserError
from octopack_tasks.pack.building import entry_point_in

Value: TypeAlias = "int | float | str | bool | list[Value]"

_SCALARS = ("int", "float", "str", "bool")
_LARGEST = 2**31 - 1
"""Java's `int`, Rust's `i32` and C++'s `int` hold no more."""
_TOLERANCE = "1e-6"
"""How far the result of a right solution may be from the expected number."""
# Names that some of the languages do not allow; the compilers would say so in words about other things.
_RESERVED = frozenset(
    """
    auto bool boolean break byte case catch char class const continue def default delete do double else enum false
    float fn for func function go goto if impl import in int interface let long loop map match mod mut new null
    operator package private public range ref return self short signed static string struct super switch template this
    throw true try type typeof union unsafe unsigned use using var void where while with yield and or not pass lambda
    from global is None True False except raise del elif async await final main
    """.split()  # noqa: SIM905 - words read better without quotes
)


@dataclass(frozen=True)
class Type:
    """A type of a parameter or of the result.

    Attributes:
        name: `int`, `float`, `str`, `bool` or `list`.
        item: What a list holds.
    """

    name: str
    item: Type | None = None

    def accepts(self, value: object) -> bool:
        """Whether a value is of this type; a whole number is a `float`, too."""
        if self.item is not None:
            return isinstance(value, list) and all(map(self.item.accepts, value))
        if self.name == "float":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        return type(value).__name__ == self.name

    def __str__(self) -> str:
        return self.name if self.item is None else f"list[{self.item}]"


@dataclass(frozen=True)
class Signature:
    """The head of a function.

    Attributes:
        name: Its name, in snake_case.
        parameters: Names and types of its parameters.
        result: Type of what it returns.
    """

    name: str
    parameters: tuple[tuple[str, Type], ...]
    result: Type

    @classmethod
    def parse(cls, text: str) -> Signature:
        """Read a signature such as `count_vowels(text: str, twice: bool) -> int`.

        Raises:
            UserError: It is not of that form, or uses a type or a name that not every language has.
        """
        form = "a signature reads name(parameter: type, ...) -> type, such as count_vowels(text: str) -> int"
        try:
            (function,) = ast.parse(f"def {text.strip().removeprefix('def ').rstrip(':')}: ...").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise UserError(f"{form}; not {text!r}") from None
        if not isinstance(function, ast.FunctionDef) or function.returns is None or len(function.body) != 1:
            raise UserError(f"{form}; not {text!r}")
        given = function.args
        if given.vararg or given.kwarg or given.kwonlyargs or given.posonlyargs or given.defaults or not given.args:
            raise UserError(f"{form}, with at least one parameter and no defaults; not {text!r}")
        parameters = tuple((argument.arg, _type(argument.annotation, text)) for argument in given.args)
        for name in (function.name, *(name for name, _ in parameters)):
            if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or name in _RESERVED:
                raise UserError(
                    f"{name!r} in {text!r} is no name for all languages: it must be in snake_case and no reserved word"
                )
        if len({name for name, _ in parameters} | {function.name}) <= len(parameters):
            raise UserError(f"two things have the same name in {text!r}")
        return cls(function.name, parameters, _type(function.returns, text))

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}: {kind}' for name, kind in self.parameters)}) -> {self.result}"


def _type(node: ast.expr | None, text: str) -> Type:
    if isinstance(node, ast.Name) and node.id in _SCALARS:
        return Type(node.id)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in ("list", "List"):
        return Type("list", _type(node.slice, text))
    named = "a missing type" if node is None else repr(ast.unparse(node))
    raise UserError(f"{named} in {text!r}: the types that every language has are {', '.join(_SCALARS)} and list[...]")


@dataclass(frozen=True)
class Case:
    """A call and what it returns.

    Attributes:
        arguments: Its arguments.
        result: What it returns.
    """

    arguments: tuple[Value, ...]
    result: Value

    @classmethod
    def parse(cls, text: str, signature: Signature, where: str) -> Case:
        """Read a case such as `count_vowels("hello") == 2`.

        Args:
            text: The case.
            signature: Of which function.
            where: For messages: where it stands.

        Raises:
            UserError: It is not of that form, or a value is not of the declared type.
        """
        wrong = f"{where}: a case reads {signature.name}(values) == value, with values as in Python; not {text!r}"
        try:
            comparison = ast.parse(text, mode="eval").body
            if not (
                isinstance(comparison, ast.Compare) and [type(operator) for operator in comparison.ops] == [ast.Eq]
            ):
                raise UserError(wrong)
            call = comparison.left
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == signature.name) or call.keywords:
                raise UserError(wrong)
            arguments = tuple(ast.literal_eval(argument) for argument in call.args)
            result = ast.literal_eval(comparison.comparators[0])
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(wrong) from None
        if len(arguments) != len(signature.parameters):
            raise UserError(f"{where}: {text!r} has {len(arguments)} values for {len(signature.parameters)} parameters")
        for value, (name, kind) in zip(
            (*arguments, result), (*signature.parameters, ("the result", signature.result)), strict=True
        ):
            if not kind.accepts(value):
                raise UserError(f"{where}: {name} is {value!r} in {text!r}, which is no {kind}")
            _check_range(value, f"{where}: {text!r}")
        return cls(arguments, result)


def _check_range(value: object, where: str) -> None:
    if isinstance(value, list):
        for item in value:
            _check_range(item, where)
    elif isinstance(value, int) and abs(value) > _LARGEST:
        raise UserError(f"{where} has {value}, which is more than 32 bits hold, and so than Java's and Rust's int")
    elif isinstance(value, float) and not abs(value) < float("inf"):
        raise UserError(f"{where} has {value}, which not every language can write")
    elif isinstance(value, str) and re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", value):
        raise UserError(f"{where} has a control character, which not every language can write in a string")


class Spelling(ABC):
    """How a language spells signatures, values and tests.

    Attributes:
        name: The language.
        types: Its names of the scalar types.
        unwritten: What stands in place of a solution that is not written yet.
    """

    name: ClassVar[str]
    types: ClassVar[dict[str, str]] = {}
    unwritten: ClassVar[str] = "    // write the solution here\n}\n"

    def function(self, signature: Signature) -> str:
        """The function's name."""
        return entry_point_in(self.name, signature.name)

    def parameter(self, name: str) -> str:
        """A parameter's name."""
        return name

    @abstractmethod
    def type(self, kind: Type) -> str:
        """A type."""

    @abstractmethod
    def head(self, signature: Signature) -> str:
        """The line that begins the function."""

    def opening(self, signature: Signature) -> str:
        """What stands above the function."""
        return ""

    @abstractmethod
    def prompt(self, opening: str, documentation: Sequence[str], head: str) -> str:
        """What a model completes: the documentation in its place between `opening` and `head`."""

    def value(self, value: Value, kind: Type) -> str:
        """A value."""
        if isinstance(value, list):
            assert kind.item is not None
            return self.list_of([self.value(item, kind.item) for item in value], kind)
        if isinstance(value, str):
            return _quoted(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        return repr(float(value)) if kind.name == "float" else str(value)

    @abstractmethod
    def list_of(self, items: Sequence[str], kind: Type) -> str:
        """A list."""

    def call(self, signature: Signature, case: Case) -> str:
        """A call of the function."""
        pairs = zip(case.arguments, signature.parameters, strict=True)
        return f"{self.function(signature)}({', '.join(self.value(value, kind) for value, (_, kind) in pairs)})"

    def examples(self, signature: Signature, cases: Sequence[Case]) -> list[str]:
        """Calls and results as lines of documentation."""
        return [
            line
            for case in cases
            for line in (f">>> {self.call(signature, case)}", self.value(case.result, signature.result))
        ]

    def tests(self, signature: Signature, cases: Sequence[Case]) -> str:
        """A test of the cases, as program text that runs it."""
        spelled = [(case, self.call(signature, case), self.value(case.result, signature.result)) for case in cases]
        return self.test_program(signature, [self.check(signature, *each) for each in spelled])

    @abstractmethod
    def check(self, signature: Signature, case: Case, call: str, expected: str) -> str:
        """What tests one case, whose call and result are spelled already."""

    @abstractmethod
    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        """The program text around the checks."""


def _quoted(text: str) -> str:
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        text = text.replace(character, escaped)
    return f'"{text}"'


class _Python(Spelling):
    name = "python"
    unwritten = "    pass  # write the solution here\n"

    def type(self, kind: Type) -> str:
        return str(kind)

    def head(self, signature: Signature) -> str:
        return f"def {signature}:\n"

    def prompt(self, opening: str, documentation: Sequence[str], head: str) -> str:
        inner = "\n".join(f"    {line}" for line in documentation).lstrip()
        return f'{opening}\n\n{head}    """ {inner}\n    """\n'

    def value(self, value: Value, kind: Type) -> str:
        return str(value) if isinstance(value, bool) else super().value(value, kind)

    def list_of(self, items: Sequence[str], kind: Type) -> str:
        return f"[{', '.join(items)}]"

    def check(self, signature: Signature, case: Case, call: str, expected: str) -> str:
        is_number = signature.result.name == "float"
        test = f"abs({call} - {expected}) < {_TOLERANCE}" if is_number else f"{call} == {expected}"
        return f"    assert {test}\n"

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        name = self.function(signature)
        return f"\n\n\n\n\ndef check({name}):\n{''.join(checks)}\ncheck({name})"


class _Cpp(Spelling):
    name = "cpp"
    types: ClassVar = {"int": "int", "float": "double", "str": "string", "bool": "bool"}

    def type(self, kind: Type) -> str:
        return self.types[kind.name] if kind.item is None else f"vector<{self.type(kind.item)}>"

    def head(self, signature: Signature) -> str:
        parameters = ",".join(f"{self.type(kind)} {name}" for name, kind in signature.parameters)
        return f"{self.type(signature.result)} {self.function(signature)}({parameters}){{\n"

    def opening(self, signature: Signature) -> str:
        spelled = " ".join(self.type(kind) for kind in (signature.result, *(kind for _, kind in signature.parameters)))
        headers = [header for header in ("string", "vector") if header in spelled]
        return "".join(f"#include<{header}>\n" for header in ("algorithm", *headers)) + "using namespace std;\n"

    def prompt(self, opening: str, documentation: Sequence[str], head: str) -> str:
        return "/*\n" + "\n".join(documentation) + f"\n*/\n{opening}{head}"

    def list_of(self, items: Sequence[str], kind: Type) -> str:
        return f"{self.type(kind)}{{{', '.join(items)}}}"

    def check(self, signature: Signature, case: Case, call: str, expected: str) -> str:
        is_number = signature.result.name == "float"
        test = f"fabs({call} - {expected}) < {_TOLERANCE}" if is_number else f"{call} == {expected}"
        # the second parentheses keep the commas of lists from the macro
        return f"    assert (({test}));\n"

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        return f"#undef NDEBUG\n#include<assert.h>\nint main(){{\n{''.join(checks)}}}\n"


class _JavaScript(Spelling):
    name = "js"
    unwritten = "  // write the solution here\n}\n\n"

    def parameter(self, name: str) -> str:
        return entry_point_in("js", name)

    def type(self, kind: Type) -> str:
        return ""

    def head(self, signature: Signature) -> str:
        parameters = ", ".join(self.parameter(name) for name, _ in signature.parameters)
        return f"const {self.function(signature)} = ({parameters}) => {{\n"

    def opening(self, signature: Signature) -> str:
        return "\n"

    def prompt(self, opening: str, documentation: Sequence[str], head: str) -> str:
        return f"{opening.lstrip()}/* " + "\n  ".join(documentation) + f"\n  */\n{head}"

    def list_of(self, items: Sequence[str], kind: Type) -> str:
        return f"[{', '.join(items)}]"

    def check(self, signature: Signature, case: Case, call: str, expected: str) -> str:
        test = f"{call} === {expected}"
        if signature.result.name == "float":
            test = f"Math.abs({call} - {expected}) < {_TOLERANCE}"
        elif signature.result.item is not None:
            test = f"JSON.stringify({call}) === JSON.stringify({expected})"
        return f"  console.assert({test})\n"

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        name = self.function(signature)
        test_name = f"test{name[:1].upper()}{name[1:]}"
        return f"const {test_name} = () => {{\n{''.join(checks)}}}\n\n{test_name}()\n"


class _TypeScript(_JavaScript):
    name = "typescript"
    types: ClassVar[dict[str, str]] = {"int": "number", "float": "number", "str": "string", "bool": "boolean"}

    def type(self, kind: Type) -> str:
        return self.types[kind.name] if kind.item is None else f"{self.type(kind.item)}[]"

    def head(self, signature: Signature) -> str:
        parameters = ", ".join(f"{self.parameter(name)}: {self.type(kind)}" for name, kind in signature.parameters)
        return f"const {self.function(signature)} = ({parameters}): {self.type(signature.result)} => {{\n"


class _Java(Spelling):
    name = "java"
    types: ClassVar = {"int": "int", "float": "double", "str": "String", "bool": "boolean"}
    unwritten = "        // write the solution here\n    }\n}"
    _boxes: ClassVar = {"int": "Integer", "float": "Double", "str": "String", "bool": "Boolean"}

    def parameter(self, name: str) -> str:
        return entry_point_in("java", name)

    def type(self, kind: Type) -> str:
        return self.types[kind.name] if kind.item is None else self._boxed(kind)

    def _boxed(self, kind: Type) -> str:
        return self._boxes[kind.name] if kind.item is None else f"List<{self._boxed(kind.item)}>"

    def head(self, signature: Signature) -> str:
        parameters = ", ".join(f"{self.type(kind)} {self.parameter(name)}" for name, kind in signature.parameters)
        return f"    public {self.type(signature.result)} {self.function(signature)}({parameters}) {{\n"

    def opening(self, signature: Signature) -> str:
        return "import java.util.*;\nimport java.lang.*;\n\nclass Solution {\n"

    def prompt(self, opening: str, documentation: Sequence[str], head: str) -> str:
        inner = "\n".join(f"    {line}" for line in documentation)
        return f"{opening}    /**\n{inner}\n     */\n{head}"

    def list_of(self, items: Sequence[str], kind: Type) -> str:
        # solutions may change the list that they are given
        assert kind.item is not None
        return f"new ArrayList<{self._boxed(kind.item)}>(Arrays.asList({', '.join(items)}))"

    def check(self, signature: Signature, case: Case, call: str, expected: str) -> str:
        call = f"s.{call}"
        test = f"{call} == {expected}"
        if signature.result.name == "float":
            test = f"Math.abs({call} - {expected}) < {_TOLERANCE}"
        elif signature.result.name in ("str", "list"):
            test = f"{call}.equals({expected})"
        return f"                {test}"

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        return (
            "public class Main {\n    public static void main(String[] args) {\n        Solution s = new Solution();\n"
            "        List<Boolean> correct = Arrays.asList(\n" + ",\n".join(checks) + "\n        );\n"
            "        if (correct.contains(false)) {\n            throw new AssertionError();\n        }\n    }\n}"
        )


class _Go(Spelling):
    name = "go"
    types: ClassVar = {"int": "int", "float": "float64", "str": "string", "bool": "bool"}
    unwritten = "    // write the solution here\n}\n\n"

    def parameter(self, name: str) -> str:
        return entry_point_in("js", name)

    def type(self, kind: Type) -> str:
        return self.types[kind.name] if kind.item is None else f"[]{self.type(kind.item)}"

    def head(self, signature: Signature) -> str:
        parameters = ", ".join(f"{self.parameter(name)} {self.type(kind)}" for name, kind in signature.parameters)
        return f"func {self.function(signature)}({parameters}) {self.type(signature.result)} {{\n"

    def opening(self, signature: Signature) -> str:
        return "\n"

    def prompt(self, opening: str, documentation: Sequence[str], head: str) -> str:
        return opening + "".join(f"// {line}\n" for line in documentation) + head

    def list_of(self, items: Sequence[str], kind: Type) -> str:
        return f"{self.type(kind)}{{{', '.join(items)}}}"

    def check(self, signature: Signature, case: Case, call: str, expected: str) -> str:
        test = f"Equal({expected}, {call})"
        if signature.result.name == "float":
            test = f"InDelta({expected}, {call}, {_TOLERANCE})"
        elif case.result == []:
            test = f"Empty({call})"  # a nil slice is as good as an empty one
        return f"    assert.{test}\n"

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        head = f"func Test{self.function(signature)}(t *testing.T) {{\n    assert := assert.New(t)\n"
        return f"{head}{''.join(checks)}}}\n"


class _Rust(Spelling):
    name = "rust"
    types: ClassVar = {"int": "i32", "float": "f64", "str": "String", "bool": "bool"}

    def type(self, kind: Type) -> str:
        return self.types[kind.name] if kind.item is None else f"Vec<{self.type(kind.item)}>"

    def _parameter_type(self, kind: Type) -> str:
        return self.type(kind).replace("String", "&str")

    def head(self, signature: Signature) -> str:
        parameters = ", ".join(f"{name}: {self._parameter_type(kind)}" for name, kind in signature.parameters)
        return f"fn {self.function(signature)}({parameters}) -> {self.type(signature.result)} {{\n"

    def opening(self, signature: Signature) -> str:
        return "\n"

    def prompt(self, opening: str, documentation: Sequence[str], head: str) -> str:
        # `building` puts it into the declaration
        inner = "\n".join(f"    {line}" for line in documentation)
        return f"/*\n{inner}\n*/\n"

    def list_of(self, items: Sequence[str], kind: Type) -> str:
        return f"vec![{', '.join(items)}]"

    def check(self, signature: Signature, case: Case, call: str, expected: str) -> str:
        test = f"assert_eq!({call}, {expected});"
        if signature.result.name == "float":
            test = f"assert!(({call} - ({expected})).abs() < {_TOLERANCE});"
        elif case.result == []:
            test = f"assert!({call}.is_empty());"  # an empty list has no type of its own
        elif signature.result.name == "bool":
            test = f"assert!({'' if case.result else '!'}{call});"
        return f"        {test}\n"

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        return (
            "\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n"
            f"    fn test_{self.function(signature)}() {{\n{''.join(checks)}    }}\n}}\n"
        )


SPELLINGS: dict[str, Spelling] = {
    spelling.name: spelling for spelling in (_Python(), _Cpp(), _JavaScript(), _Java(), _Go(), _Rust(), _TypeScript())
}
