"""Go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from octopack_tasks.errors import UserError
from octopack_tasks.languages.base import BraceLanguage, Execution
from octopack_tasks.languages.syntax import (
    ALWAYS,
    Grammar,
    decoded,
    descendants,
    encoded,
    field_names,
    identifiers,
    leaves,
    parse,
    text_of,
)
from octopack_tasks.problems import Problem

if TYPE_CHECKING:
    from tree_sitter import Node

# The packages whose import the reference adds where they are used.
_PACKAGES = ("math", "strings", "fmt", "strconv", "time", "bytes", "regexp", "sort", "math/rand", "crypto/md5")
# Others of the standard library that solutions may use.
_MORE_PACKAGES = """
    bufio cmp container/heap container/list container/ring context crypto/sha1 crypto/sha256 encoding/base64
    encoding/binary encoding/hex encoding/json errors hash/fnv io log maps math/big math/bits math/cmplx os reflect
    runtime slices sync sync/atomic unicode unicode/utf8
""".split()  # noqa: SIM905 - words read better without quotes
# Go begins a walk over a map at a random place. Where a test hands over a map of several kinds of keys, the row's own
# right solution depends on it and fails in a quarter of all runs (Go/95): one order of the keys must do.
_OF_A_MAP = re.compile(
    r"^(\s*assert\.Equal\()(true|false), (\w+\(map\[interface\{\}\]interface\{\}\{.*,.*\}\))\)$", re.MULTILINE
)
_IN_SOME_ORDER = """
func inSomeOrder(want bool, answer func() bool) bool {
    for i := 0; i < 99; i++ {
        if answer() == want {
            return want
        }
    }
    return !want
}
"""
_DECLARATIONS = (
    *("parameter_declaration", "variadic_parameter_declaration", "var_spec", "const_spec"),
    *("short_var_declaration", "range_clause"),
)


def _names(node: Node) -> Iterator[str]:
    if node.type == "function_declaration":
        yield from field_names(node, "name")
    elif node.type == "method_declaration":
        receiver = node.child_by_field_name("receiver")
        if receiver is not None:
            yield from [text_of(leaf) for leaf in leaves(receiver) if leaf.type == "type_identifier"][:1]
    elif node.type == "import_declaration":
        yield ALWAYS
    elif node.type in ("type_declaration", "var_declaration", "const_declaration"):
        for spec in descendants(node, "type_spec", "type_alias", "var_spec", "const_spec"):
            yield from field_names(spec, "name")


def _imports(node: Node) -> Iterator[tuple[str, str]]:
    """Name and path of each package that is imported."""
    for spec in descendants(node, "import_spec"):
        path = "".join(field_names(spec, "path")).strip('"`')
        name = "".join(field_names(spec, "name"))
        yield (ALWAYS if name in (".", "_") else name or path.split("/")[-1]), path


def _bound(node: Node) -> Iterator[str]:
    if node.type in ("function_declaration", "method_declaration"):
        yield from (name for name, _ in _variables(node))


def _signature(node: Node) -> str:
    if node.type == "method_declaration":
        return ".".join((*_names(node), *field_names(node, "name")))
    return "" if node.type in ("import_declaration", "package_clause") else ",".join(_names(node))


def _used_packages(program: Node) -> Iterator[str]:
    """Names before a dot, where no variable of that name has been declared yet."""
    for declaration in program.named_children:
        if declaration.type == "import_declaration":
            continue
        variables = dict(reversed(list(_variables(declaration))))
        for selector in descendants(declaration, "selector_expression", "qualified_type"):
            operand = selector.child_by_field_name("operand") or selector.child_by_field_name("package")
            if operand is not None and operand.type in ("identifier", "package_identifier"):
                name = text_of(operand)
                if operand.start_byte < variables.get(name, operand.end_byte):
                    yield name


def _variables(node: Node) -> Iterator[tuple[str, int]]:
    """Variables and where their declarations end, in order."""
    for found in descendants(node, *_DECLARATIONS):
        names = field_names(found, "name")
        if found.type in ("short_var_declaration", "range_clause"):
            names = identifiers(found.child_by_field_name("left"))
        yield from ((name, found.end_byte) for name in names)


class Go(BraceLanguage):
    """Go: unused imports are errors, so the program's imports follow from what it uses."""

    name = "go"
    title = "Go"
    extension = "go"
    fence = "go"
    # "struct" has no newline before it: it also ends a completion that says "construct" or "structure".
    stop_words = ("\n//", "\nfunc main(", "struct", "\nfunc")
    execution = Execution("go", timeout=20, num_workers=4)
    grammar = Grammar("tree_sitter_go", _names, _signature, _bound)
    definition = r"^func\s+{name}\s*[\[(]"

    def candidate(self, solution: str, problem: Problem) -> str:
        """Package clause, the tests' imports, the imports the program uses, then the solution."""
        return self.candidates([solution], problem)[0]

    def candidates(self, solutions: Sequence[str], problem: Problem) -> list[str]:
        """As `candidate`, but an import that one solution brings along is gone for all later ones, too.

        The reference loses it that way when it scores several samples of a problem in one call; nothing else than
        that comparison should use this.
        """
        _check_imports(problem)
        setup = problem.test_setup + "\n"
        texts = []
        for solution in solutions:
            setup = _without_imports_of(solution, setup)
            imports = _missing_imports(f"{setup}{solution}\n\n{problem.test}")
            if "package main" in setup:
                solution = solution.replace("package main", "")
            texts.append(setup + imports + solution)
        return texts

    def framed(self, code: str, problem: Problem) -> str:
        """Package clause and exactly those imports that the code and the tests use, then the code.

        Where a package lies is known from the imports of the code, of the tests and of the row, and from the standard
        library.
        """
        data = re.sub(rb"^package\s+main\b[ \t]*;?", b"", encoded(code), flags=re.MULTILINE)
        root = parse(self.grammar, data + b"\n")
        nodes = [node for node in root.named_children if node.type == "import_declaration"]
        specs = [spec for node in nodes for spec in _imports(node)]
        brought = own = dict(specs)
        used = {*_used_packages(root), *_used_packages(_parsed(problem.test)), ALWAYS}
        if not used.issuperset(own) or len(own) < len(specs) or _come_late(nodes, root):
            # What is imported and not used, or twice, or behind another declaration, does not compile.
            for node in reversed(nodes):
                data = data[: node.start_byte] + data[node.end_byte :]
            own = {}
        setup = problem.test_setup + "\n"
        tested = dict(_imports(_parsed(setup)))
        for name, path in tested.items():
            if name in own or name not in used:
                setup = setup.replace(f'"{path}"', "", 1)
        defined = {name for node in root.named_children if node not in nodes for name in _names(node)}
        paths = {path.split("/")[-1]: path for path in (*_PACKAGES, *_MORE_PACKAGES)}
        paths.update([*_imports(_parsed(problem.imports)), *brought.items()])
        lacking = [name for name in paths if name in used and name not in {*own, *tested, *defined}]
        imports = "".join(f"    {_import(name, paths[name])}\n" for name in lacking)
        return setup + (f"import (\n{imports})\n" if imports else "") + decoded(data)

    def tests(self, problem: Problem) -> str:
        """The tests, with maps that are made anew until their keys come in an order that suits the answer."""
        changed, count = _OF_A_MAP.subn(r"\1\2, inSomeOrder(\2, func() bool { return \3 }))", problem.test)
        return changed + _IN_SOME_ORDER if count else problem.test


def _parsed(text: str) -> Node:
    return parse(Go.grammar, encoded(text) + b"\n")


def _come_late(imports: Sequence[Node], root: Node) -> bool:
    others = [
        node.start_byte for node in root.named_children if node.type.endswith("_declaration") and node not in imports
    ]
    return bool(imports and others) and imports[-1].start_byte > others[0]


def _import(name: str, path: str) -> str:
    if name == ALWAYS:
        return f'_ "{path}"'
    return f'"{path}"' if path.split("/")[-1] == name else f'{name} "{path}"'


def _check_imports(problem: Problem) -> None:
    for line in problem.imports.split("\n"):
        package = re.sub(r'import|[()"]', "", line).strip()
        if package and package not in _PACKAGES:
            raise UserError(
                f"{problem.task_id} imports {package!r}, but only these imports can be added to its programs: "
                f"{', '.join(_PACKAGES)}. Mend the column `import` of the dataset"
            )


def _without_imports_of(solution: str, setup: str) -> str:
    """`setup` without the quoted package names that occur in `solution`, wherever they occur in it."""
    for line in setup.split("\n"):
        package = re.sub(r"import|[()]", "", line).strip()
        if package.startswith('"') and package in solution:
            setup = setup.replace(package, "")
    return setup


def _missing_imports(program: str) -> str:
    """An import block for packages that `program` seems to use and nowhere quotes, in a fixed order.

    A package counts as used when its name and a dot stand in a line that is not a comment. As in the reference, the
    last part of its path alone is imported, so "math/rand" and "crypto/md5" end as a compile error.
    """
    names = [path.split("/")[-1] for path in _PACKAGES if f'"{path}"' not in program]
    code = [line for line in program.split("\n") if not line.strip().startswith("//")]
    used = [name for name in names if any(f"{name}." in line for line in code)]
    return "import (\n" + "".join(f'    "{name}"\n' for name in used) + ")\n" if used else ""
