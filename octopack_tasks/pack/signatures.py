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
# Names that some of the languages do not allow (`string` and `vector`: as C++ programs begin with `using namespace
# std`); the compilers would say so in words about other things.
_RESERVED = frozenset(
    """
    abstract alignas alignof and and_eq arguments as asm assert async auto await become bitand bitor bool boolean
    box break byte case catch chan char char16_t char32_t char8_t class co_await co_return co_yield compl concept
    const const_cast consteval constexpr constinit continue crate debugger decltype def default defer del delete do
    double dyn dynamic_cast elif else enum errno eval except explicit export extends extern fallthrough false final
    finally float fn for friend from func function global go goto if impl implements import in inline instanceof
    int interface is lambda let long loop macro main map match mod move mut mutable namespace native new noexcept
    nonlocal not not_eq null nullptr operator or or_eq override package pass priv private protected pub public raise
    range ref register reinterpret_cast requires return select self short signed sizeof static static_assert
    static_cast strictfp string struct super switch synchronized template this thread_local throw throws trait
    transient true try type typedef typeid typename typeof union unsafe unsigned unsized use using var vector
    virtual void volatile wchar_t where while with xor xor_eq yield
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

    @property
    def is_list_of_floats(self) -> bool:
        """Whether it is a list, of lists or not, of numbers that are only equal within a tolerance."""
        return self.item is not None and (self.item.name == "float" or self.item.is_list_of_floats)

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
        names = [function.name, *(name for name, _ in parameters)]
        for name in names:
            if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or name in _RESERVED:
                raise UserError(
                    f"{name!r} in {text!r} is no name for all languages: it must be in snake_case and no reserved word"
                )
        if function.name == "check":
            raise UserError(f"the function in {text!r} cannot be called 'check': Python's tests are")
        if len({entry_point_in("js", name) for name in names}) < len(names):  # x1 and x_1 are both x1 there
            raise UserError(f"two things have the same name in {text!r}, in some language at least")
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
        is_near: What compares lists of floats, as a part of the test program. No function of a signature has its
            name, as that is not how the language spells names in snake_case.
        absolute: The function for the absolute value, where `holds` compares floats.
        near: The function of `is_near`, where `holds` compares lists of them.
    """

    name: ClassVar[str]
    types: ClassVar[dict[str, str]] = {}
    unwritten: ClassVar[str] = "    // write the solution here\n}\n"
    is_near: ClassVar[str]
    absolute: ClassVar[str] = "Math.abs"
    near: ClassVar[str] = "isNear"

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

    def holds(self, kind: Type, call: str, expected: str) -> str:
        """The condition that a call returns what is expected; floats need only be near."""
        if kind.name == "float":
            return f"{self.absolute}({call} - {expected}) < {_TOLERANCE}"
        if kind.is_list_of_floats:
            return f"{self.near}({call}, {expected})"
        return self.equals(kind, call, expected)

    def equals(self, kind: Type, call: str, expected: str) -> str:
        """The condition that two values without floats are the same."""
        return f"{call} == {expected}"

    def comparison(self, signature: Signature) -> str:
        """What the test program needs to compare results."""
        return self.is_near if signature.result.is_list_of_floats else ""


def _quoted(text: str) -> str:
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        text = text.replace(character, escaped)
    return f'"{text}"'


class _Python(Spelling):
    name = "python"
    absolute = "abs"
    unwritten = "    pass  # write the solution here\n"
    is_near = f"""\
def isNear(found, expected):
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(isNear, found, expected))
    return abs(found - expected) < {_TOLERANCE}


"""

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
        return f"    assert {self.holds(signature.result, call, expected)}\n"

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        name = self.function(signature)
        return f"\n\n\n\n\n{self.comparison(signature)}def check({name}):\n{''.join(checks)}\ncheck({name})"


class _Cpp(Spelling):
    name = "cpp"
    absolute = "fabs"
    types: ClassVar = {"int": "int", "float": "double", "str": "string", "bool": "bool"}
    is_near = f"""\
bool isNear(double found, double expected){{
    return fabs(found - expected) < {_TOLERANCE};
}}
template<class T> bool isNear(const vector<T>& found, const vector<T>& expected){{
    for (size_t i = 0; i < found.size() && i < expected.size(); i++)
        if (!isNear(found[i], expected[i])) return false;
    return found.size() == expected.size();
}}
"""

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
        # the second parentheses keep the commas of lists from the macro
        return f"    assert (({self.holds(signature.result, call, expected)}));\n"

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        body = f"int main(){{\n{''.join(checks)}}}\n"
        return f"#undef NDEBUG\n#include<assert.h>\n{self.comparison(signature)}{body}"


class _JavaScript(Spelling):
    name = "js"
    near = "is_near"
    unwritten = "  // write the solution here\n}\n\n"
    is_near = f"""\
function is_near(found, expected) {{
  if (Array.isArray(expected)) {{
    return found.length === expected.length && expected.every((value, i) => is_near(found[i], value))
  }}
  return Math.abs(found - expected) < {_TOLERANCE}
}}

"""

    def parameter(self, name: str) -> str:
        return entry_point_in("js", name)

    def value(self, value: Value, kind: Type) -> str:
        # older versions end a line, and so a string, at these
        return super().value(value, kind).replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")

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
        return f"  console.assert({self.holds(signature.result, call, expected)})\n"

    def equals(self, kind: Type, call: str, expected: str) -> str:
        if kind.item is not None:
            return f"JSON.stringify({call}) === JSON.stringify({expected})"
        return f"{call} === {expected}"

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        name = self.function(signature)
        test_name = f"test{name[:1].upper()}{name[1:]}"
        return f"{self.comparison(signature)}const {test_name} = () => {{\n{''.join(checks)}}}\n\n{test_name}()\n"


class _TypeScript(_JavaScript):
    name = "typescript"
    types: ClassVar[dict[str, str]] = {"int": "number", "float": "number", "str": "string", "bool": "boolean"}
    is_near = _JavaScript.is_near.replace("(found, expected)", "(found: any, expected: any): boolean", 1)

    def type(self, kind: Type) -> str:
        return self.types[kind.name] if kind.item is None else f"{self.type(kind.item)}[]"

    def head(self, signature: Signature) -> str:
        parameters = ", ".join(f"{self.parameter(name)}: {self.type(kind)}" for name, kind in signature.parameters)
        return f"const {self.function(signature)} = ({parameters}): {self.type(signature.result)} => {{\n"


class _Java(Spelling):
    name = "java"
    types: ClassVar = {"int": "int", "float": "double", "str": "String", "bool": "boolean"}
    unwritten = "        // write the solution here\n    }\n}"
    is_near = f"""\
    static boolean isNear(Object found, Object expected) {{
        if (!(expected instanceof List)) {{
            return Math.abs((Double) found - (Double) expected) < {_TOLERANCE};
        }}
        List<?> some = (List<?>) found, others = (List<?>) expected;
        boolean isNear = some.size() == others.size();
        for (int i = 0; isNear && i < some.size(); i++) {{
            isNear = isNear(some.get(i), others.get(i));
        }}
        return isNear;
    }}

"""
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
        return f"                {self.holds(signature.result, f's.{call}', expected)}"

    def equals(self, kind: Type, call: str, expected: str) -> str:
        return f"{call}.equals({expected})" if kind.name in ("str", "list") else super().equals(kind, call, expected)

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        return (
            f"public class Main {{\n{self.comparison(signature)}"
            "    public static void main(String[] args) {\n        Solution s = new Solution();\n"
            "        List<Boolean> correct = Arrays.asList(\n" + ",\n".join(checks) + "\n        );\n"
            "        if (correct.contains(false)) {\n            throw new AssertionError();\n        }\n    }\n}"
        )


class _Go(Spelling):
    name = "go"
    types: ClassVar = {"int": "int", "float": "float64", "str": "string", "bool": "bool"}
    unwritten = "    // write the solution here\n}\n\n"
    is_near = f"""
func isNear(found, expected float64) bool {{
    return found-expected < {_TOLERANCE} && expected-found < {_TOLERANCE}
}}
"""
    _are_same = """
func areSame[T any](found, expected []T, isSame func(T, T) bool) bool {
    for i := 0; i < len(found) && i < len(expected); i++ {
        if !isSame(found[i], expected[i]) {
            return false
        }
    }
    return len(found) == len(expected)
}
"""
    _is_equal = """
func isEqual[T comparable](found, expected T) bool {
    return found == expected
}
"""

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
        elif self._is_walked(signature.result):
            assert signature.result.item is not None
            test = f"True(areSame({call}, {expected}, {self._same(signature.result.item)}))"
        return f"    assert.{test}\n"

    def _is_walked(self, kind: Type) -> bool:
        """Whether lists are compared item by item: a nil slice may stand in them, or numbers."""
        return kind.is_list_of_floats or (kind.item is not None and kind.item.item is not None)

    def _same(self, kind: Type) -> str:
        """The function that compares two values."""
        if kind.item is not None:
            return f"func(a, b {self.type(kind)}) bool {{ return areSame(a, b, {self._same(kind.item)}) }}"
        return "isNear" if kind.name == "float" else f"isEqual[{self.type(kind)}]"

    def comparison(self, signature: Signature) -> str:
        near = super().comparison(signature)
        return self._are_same + (near or self._is_equal) if self._is_walked(signature.result) else ""

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        head = f"func Test{self.function(signature)}(t *testing.T) {{\n    assert := assert.New(t)\n"
        return f"{head}{''.join(checks)}}}\n{self.comparison(signature)}"


class _Rust(Spelling):
    name = "rust"
    types: ClassVar = {"int": "i32", "float": "f64", "str": "String", "bool": "bool"}
    is_near = f"""\
    trait IsNear {{
        fn is_near(&self, expected: &Self) -> bool;
    }}

    impl IsNear for f64 {{
        fn is_near(&self, expected: &Self) -> bool {{
            (self - expected).abs() < {_TOLERANCE}
        }}
    }}

    impl<T: IsNear> IsNear for Vec<T> {{
        fn is_near(&self, expected: &Self) -> bool {{
            self.len() == expected.len() && self.iter().zip(expected).all(|(a, b)| a.is_near(b))
        }}
    }}

"""

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
        elif signature.result.is_list_of_floats:
            test = f"assert!({call}.is_near(&{expected}));"
        elif signature.result.item is not None and signature.result.item.item is not None:
            # else the type of an empty list in it may be unknown
            test = f"assert_eq!({call}, {expected} as {self._parameter_type(signature.result)});"
        return f"        {test}\n"

    def test_program(self, signature: Signature, checks: Sequence[str]) -> str:
        return (
            f"\n#[cfg(test)]\nmod tests {{\n    use super::*;\n\n{self.comparison(signature)}    #[test]\n"
            f"    fn test_{self.function(signature)}() {{\n{''.join(checks)}    }}\n}}\n"
        )


SPELLINGS: dict[str, Spelling] = {
    spelling.name: spelling for spelling in (_Python(), _Cpp(), _JavaScript(), _Java(), _Go(), _Rust(), _TypeScript())
}
