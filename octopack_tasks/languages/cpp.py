"""C++."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from octopack_tasks.languages.base import BraceLanguage, Execution
from octopack_tasks.languages.syntax import ALWAYS, Grammar, descendants, encoded, field_names, leaves, parse, text_of
from octopack_tasks.problems import Problem

if TYPE_CHECKING:
    from tree_sitter import Node

_INCLUDES = """\
using namespace std;
#include<stdlib.h>
#include<algorithm>
#include<cmath>
#include<math.h>
#include<numeric>
#include<stdio.h>
#include<vector>
#include<set>
#include<map>
#include<queue>
#include<stack>
#include<list>
#include<deque>
#include<boost/any.hpp>
#include<string>
#include<climits>
#include<cstring>
#include<iostream>
#include<sstream>
#include<fstream>
"""

# Functions of C that these headers declare in the global namespace, beside which a problem's own is an overload.
_C_FUNCTIONS = frozenset(
    """
    abort abs acos acosh asctime asin asinh atan atan2 atanh atexit atof atoi atol atoll bsearch calloc cbrt ceil clock
    copysign cos cosh ctime difftime div erf erfc exit exp exp2 expm1 fabs fclose fdim feof ferror fflush fgetc fgets
    floor fma fmax fmin fmod fopen fprintf fputc fputs fread free frexp fscanf fseek ftell fwrite getc getchar getenv
    gmtime hypot isalnum isalpha isblank iscntrl isdigit isgraph islower isprint ispunct isspace isupper isxdigit labs
    ldexp ldiv lgamma llabs lldiv llrint llround localtime log log10 log1p log2 logb lrint lround malloc memchr memcmp
    memcpy memmove memset mktime modf nearbyint nextafter perror pow printf putc putchar puts qsort rand realloc
    remainder remove rename rewind rint round scanf setbuf sin sinh snprintf sprintf sqrt srand sscanf strcat strchr
    strcmp strcoll strcpy strcspn strerror strftime strlen strncat strncmp strncpy strpbrk strrchr strspn strstr strtod
    strtok strtol strtoul strxfrm system tan tanh tgamma time tmpfile tolower toupper trunc ungetc
    """.split()  # noqa: SIM905 - words read better without quotes
)
_TYPES = ("struct_specifier", "class_specifier", "union_specifier", "enum_specifier")
_VARIABLES = ("parameter_declaration", "optional_parameter_declaration", "declaration", "for_range_loop")
_CONDITIONS = ("preproc_ifdef", "preproc_if", "linkage_specification", "declaration_list", "template_declaration")


def _names(node: Node) -> Iterator[str]:
    if node.type in ("preproc_include", "using_declaration"):
        yield ALWAYS
    elif node.type in _TYPES:
        yield from _types(node.child_by_field_name("name"))
    elif node.type in ("preproc_def", "preproc_function_def", "alias_declaration", "namespace_alias_definition"):
        yield from field_names(node, "name")
    elif node.type == "namespace_definition":
        yield from field_names(node, "name")
        for child in node.named_children:
            yield from _names(child)
    elif node.type in _CONDITIONS:
        for child in node.named_children:
            yield from _names(child)
    elif node.type in ("function_definition", "declaration", "type_definition"):
        specifier = node.child_by_field_name("type")
        if specifier is not None and specifier.type in _TYPES and specifier.child_by_field_name("body"):
            yield from _names(specifier)
        for declarator in node.children_by_field_name("declarator"):
            yield from _declared(declarator)


def _types(node: Node | None) -> Iterator[str]:
    if node is not None:
        yield from (text_of(leaf) for leaf in leaves(node) if leaf.type == "type_identifier")


def _declared(declarator: Node) -> Iterator[str]:
    """What a declarator declares: a name, for methods their class, for operators the types that they are for."""
    if declarator.type in ("identifier", "type_identifier"):
        yield text_of(declarator)
    elif declarator.type == "qualified_identifier":
        scope = declarator.child_by_field_name("scope")
        yield text_of(next(leaves(scope))) if scope is not None else text_of(declarator)
    elif declarator.type == "function_declarator" and any(declarator.children_by_field_name("declarator")):
        function = declarator.children_by_field_name("declarator")[0]
        if function.type == "operator_name":
            yield from _types(declarator.child_by_field_name("parameters"))
        else:
            yield from _declared(function)
    else:
        for child in declarator.children_by_field_name("declarator") or declarator.named_children[:1]:
            yield from _declared(child)


def _bound(node: Node) -> Iterator[str]:
    for function in descendants(node, "function_definition", "lambda_expression"):
        for found in descendants(function, *_VARIABLES):
            for declarator in found.children_by_field_name("declarator"):
                yield from _declared(declarator)


def _signature(node: Node) -> str:
    if node.type in _TYPES:
        return text_of(node.child_by_field_name("name") or node) if node.child_by_field_name("body") else ""
    if node.type == "template_declaration" and node.named_children:
        inner = _signature(node.named_children[-1])
        return f"template {inner}" if inner else ""
    if node.type == "function_definition":
        function = next(descendants(node, "function_declarator"), None)
        return "" if function is None else f"{_name(function)}({_parameter_types(function)})"
    return ""


def _name(function: Node) -> str:
    return "".join(field_names(function, "declarator"))


def _parameter_types(function: Node) -> str:
    parameters = function.child_by_field_name("parameters")
    return "" if parameters is None else "".join(text_of(t) for t in leaves(parameters) if t.type != "identifier")


class Cpp(BraceLanguage):
    """C++."""

    name = "cpp"
    title = "C++"
    extension = "cpp"
    fence = "cpp"
    execution = Execution("cpp", timeout=60, num_workers=4)
    grammar = Grammar("tree_sitter_cpp", _names, _signature, _bound)
    definition = r"\b{name}\s*\([^;{}]*\)[^;{}()]*\{"

    def candidate(self, solution: str, problem: Problem) -> str:
        """The includes that solutions may rely on, then the solution up to a `main`: the tests bring their own."""
        return (_INCLUDES + solution.split("int main")[0]).strip()

    def framed(self, code: str, problem: Problem) -> str:
        """The includes that solutions may rely on, then the code.

        Where the problem's function has the name of one of C, such as `strlen`, the tests' literals would prefer that
        one, so that any code would pass: the tests get the overload that the code defines.
        """
        return (_INCLUDES + code).strip() + self._own_overload(code, problem.entry_point)

    def _own_overload(self, code: str, name: str) -> str:
        if name not in _C_FUNCTIONS:
            return ""
        for definition in descendants(parse(self.grammar, encoded(code)), "function_definition"):
            function = definition.child_by_field_name("declarator")
            result = definition.child_by_field_name("type")
            if function is not None and result is not None and _name(function) == name:
                parameters = text_of(function.child_by_field_name("parameters") or function)
                return f"\n{text_of(result)} (*const own_{name}){parameters} = {name};\n#define {name} own_{name}"
        return f"\n#define {name} own_{name}"  # there is none: C's must not stand in for it
