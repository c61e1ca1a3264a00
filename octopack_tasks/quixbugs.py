"""QuixBugs as problems: the programs and tests of a checkout of jkoppel/QuixBugs, as rows of HumanEvalPack's schema.

Nothing of QuixBugs is shipped. A program is taken apart into what stands above its function and the body, right and
buggy, so that prompts, programs and scores come about as for every other problem.
"""

from __future__ import annotations

import ast
import json
import os
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.languages import get_language
from octopack_tasks.pack.wording import Wording
from octopack_tasks.problems import Problem, ProblemSet

LANGUAGES = ("python", "java")
"""The languages that QuixBugs is written in."""

_REPOSITORY = "https://github.com/jkoppel/QuixBugs"
_FOLDERS = {
    "python": ("python_programs", "correct_python_programs"),
    "java": ("java_programs", "correct_java_programs"),
}
_NO_PROGRAMS = ("node", "weightededge")
# Cases that QuixBugs' own tests leave out, too: even right programs take minutes.
_SLOW = {"knapsack": 6404180, "levenshtein": "amanaplanacanalpanama"}


def load_quixbugs(language: str, folder: str | os.PathLike[str]) -> ProblemSet:
    """Read the programs of a language.

    Args:
        language: `python` or `java`.
        folder: A checkout.

    Raises:
        UserError: It is no checkout, or a program in it cannot be read; the message names the file.
    """
    root = Path(folder).expanduser()
    missing = [name for name in (*_FOLDERS[language], "python_programs") if not (root / name).is_dir()]
    if missing:
        raise UserError(
            f"quixbugs-{language} needs a checkout of QuixBugs, which is not shipped: git clone {_REPOSITORY}, then "
            f"--dataset QuixBugs, or --metadata dataset=QuixBugs in lm-eval ({os.fspath(folder)!r} has no folder "
            f"{missing[0]!r})"
        )
    read = _python_problem if language == "python" else _java_problem
    problems = tuple(read(root, name) for name in _program_names(root, language))
    if not problems:
        raise UserError(f"{root / _FOLDERS[language][0]} holds no program that {_FOLDERS[language][1]} has, too")
    return ProblemSet(language, os.fspath(folder), problems)


def _program_names(root: Path, language: str) -> list[str]:
    """The names of the programs, as the Python ones are called."""
    buggy, correct = ({*_programs_in(root / folder, language)} for folder in _FOLDERS[language])
    for name in sorted(buggy ^ correct):
        there, lacking = _FOLDERS[language] if name in buggy else reversed(_FOLDERS[language])
        raise UserError(
            f"{root / there} has a program {name!r}, and {root / lacking} has none: the checkout is not whole"
        )
    return sorted(buggy)


def _programs_in(folder: Path, language: str) -> Iterator[str]:
    for file in folder.glob(f"*.{get_language(language).extension}"):
        name = file.stem.lower()
        if not name.endswith("_test") and name not in _NO_PROGRAMS and name[:1] not in ("_", "."):
            yield name


def _problem(
    *,
    language: str,
    title: str,
    name: str,
    prompt: str,
    declaration: str,
    right: str,
    buggy: str,
    test: str,
    signature: str,
    documentation: str,
) -> Problem:
    return Problem(
        language=language,
        task_id=f"{title}/{name}",
        prompt=prompt,
        declaration=declaration,
        canonical_solution=right,
        buggy_solution=buggy,
        test=test,
        entry_point=name,
        docstring=documentation,
        instruction=Wording(signature, documentation).instruction(language),
        signature=signature,
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from None


@dataclass(frozen=True)
class _Parts:
    """A program, taken apart.

    Attributes:
        head: What stands above the function.
        signature: The line, or lines, that begin the function.
        body: The rest of the function, and what follows.
    """

    head: str
    signature: str
    body: str


def _joined(right: _Parts, buggy: _Parts, file: Path) -> str:
    """What stands above the function: of both programs, as one of them may import more."""
    if right.signature.split() != buggy.signature.split():
        raise UserError(f"{file}: the right program begins its function in another way than the buggy one")
    more = [line for line in right.head.split("\n") if line.strip() and line not in buggy.head.split("\n")]
    return "".join(f"{line}\n" for line in more if line.startswith(("import ", "from "))) + buggy.head


# --- Python -----------------------------------------------------------------------------------------------------------


def _python_problem(root: Path, name: str) -> Problem:
    file = root / "python_programs" / f"{name}.py"
    correct_file = root / "correct_python_programs" / f"{name}.py"
    buggy = _python_parts(file, name)
    right = _python_parts(correct_file, name)
    test = _python_test(root, name)
    head = _python_classes(root, test) + _joined(right, buggy, correct_file)
    documentation = _documentation(file)
    shown = textwrap.indent(documentation, "    ").lstrip()
    signature = buggy.signature.strip().removeprefix("def ").rstrip(":")
    return _problem(
        language="python",
        name=name,
        title="QuixBugsPython",
        prompt=f'{head}{buggy.signature}    """ {shown}\n    """\n',
        declaration=head + buggy.signature,
        right=right.body,
        buggy=buggy.body,
        test=test,
        signature=signature,
        documentation=documentation,
    )


def _python_parts(file: Path, name: str) -> _Parts:
    code = _read(file)
    body, found = _parsed(code, file).body, None
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            found = node
    if found is None:
        raise UserError(f"{file} has no function {name!r}")
    lines = code.split("\n")
    strings = [node for node in body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    for node in strings:  # documentation, and other solutions
        for index in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[index] = ""
    first, inside, end = found.lineno - 1, found.body[0].lineno - 1, found.end_lineno
    # what stands below the function would be cut from an answer: it is given with what stands above
    around = [text for text in ("\n".join(part).strip("\n") for part in (lines[:first], lines[end:])) if text.strip()]
    return _Parts(
        head="".join(f"{text}\n\n\n" for text in around),
        signature="\n".join(lines[first:inside]).rstrip() + "\n",
        body="\n".join(lines[inside:end]).rstrip() + "\n",
    )


def _parsed(code: str, file: Path) -> ast.Module:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{file} is not Python: {error}") from None


def _documentation(file: Path) -> str:
    """The last string of a Python program: what it does, what it takes, what it returns."""
    for node in reversed(_parsed(_read(file), file).body):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return re.sub(r"\n{2,}", "\n", textwrap.dedent(node.value.value).strip()).replace('"""', "'''")
    raise UserError(f"{file} has no documentation: a string at its end that says what the program does")


# A result may be a generator or hold tuples where the file says list; QuixBugs' own tests turn them into lists, too.
_PLAIN = """\
def plain(value):
    if isinstance(value, (str, int, float, type(None))):
        return value
    return [plain(item) for item in value]
"""


def _python_test(root: Path, name: str) -> str:
    file = root / "json_testcases" / f"{name}.json"
    if not file.is_file():
        return _pytest_test(root, name)
    lines = []
    for arguments, expected in _json_cases(file):
        if arguments and arguments[0] == _SLOW.get(name):
            continue
        call = f"{name}({', '.join(map(repr, arguments))})"
        if name == "sqrt":  # its second argument is how far the result may be off
            lines.append(f"    assert abs({call} - {expected!r}) <= {arguments[-1]!r}\n")
        else:
            lines.append(f"    assert plain({call}) == {expected!r}\n")
    if not lines:  # anything would pass
        raise UserError(f"{file} holds no case")
    return f"\n{_PLAIN}\ndef check({name}):\n{''.join(lines)}\ncheck({name})\n"


def _json_cases(file: Path) -> Iterator[tuple[list[Any], Any]]:
    for number, line in enumerate(_read(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            arguments, expected = json.loads(line, parse_constant=_no_number)
        except (ValueError, TypeError, RecursionError):
            raise UserError(f"{file} line {number}: a case is a list of arguments and a result, as JSON") from None
        yield arguments if isinstance(arguments, list) else [arguments], expected


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _pytest_test(root: Path, name: str) -> str:
    """The tests of the programs on graphs and lists: QuixBugs' own functions, called one after the other."""
    file = root / "python_testcases" / f"test_{name}.py"
    # Where the cases are in a file of their own, QuixBugs' function does no more than read them.
    if not file.is_file() or "load_json_testcases" in _read(file):
        raise UserError(f"{name} has no tests: {root} lacks json_testcases/{name}.json or {file.relative_to(root)}")
    tree = _parsed(_read(file), file)
    tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]
    kept = [node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom, ast.If))]
    if not tests:
        raise UserError(f"{file} has no function whose name begins with `test`")
    code = ast.unparse(ast.Module(kept, []))
    return f"\n{code}\n\n" + "".join(f"{test}()\n" for test in tests)


def _python_classes(root: Path, test: str) -> str:
    """The class of QuixBugs that the tests of a program make its arguments of; a model is shown it."""
    if not re.search(r"\bNode\b", test):
        return ""
    return _read(root / "python_testcases" / "node.py").strip("\n") + "\n\n\n"


# --- Java -------------------------------------------------------------------------------------------------------------

# Stands in for the parts of JUnit that QuixBugs' tests use.
_ASSERTIONS = """\
static class Assertions {
    static void assertEquals(Object expected, Object actual) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError("expected " + expected + ", not " + actual);
        }
    }

    static void assertEquals(double expected, double actual, double tolerance) {
        if (!(Math.abs(expected - actual) <= tolerance)) {
            throw new AssertionError("expected " + expected + ", not " + actual);
        }
    }
}
"""
_NOT_OURS = re.compile(
    r"^\s*(package|import (static )?(org\.junit|java_programs|correct_java_programs))\b.*\n", re.MULTILINE
)
_METHOD_HEAD = (
    r"^[ \t]*(?:public |private |protected |static |final |<[^>{{}}]*> ?)+"
    r"[\w<>\[\], .?]+\b{name}\s*\([^)]*\)[^{{;]*\{{[ \t]*\n"
)
_TEST_METHOD = re.compile(r"((?:^[ \t]*@[^\n]*\n)+)[ \t]*public void (\w+)\s*\(", re.MULTILINE)


def _java_problem(root: Path, name: str) -> Problem:
    buggy_file, right_file = (_java_file(root / folder, name) for folder in _FOLDERS["java"])
    buggy, right = _java_parts(buggy_file, name), _java_parts(right_file, name)
    if _code_of(right.head) != _code_of(buggy.head):  # the bug is above the method, in one that it calls
        buggy, right = _java_parts(buggy_file), _java_parts(right_file)
    if right.signature.split() != buggy.signature.split():
        raise UserError(f"{right_file}: the right program begins its method in another way than the buggy one")
    test, imports = _java_test(root, buggy_file.stem)
    classes = _java_classes(root, f"{buggy.head}\n{buggy.signature}\n{buggy.body}\n{test}")
    lines = dict.fromkeys([*imports, *re.findall(r"^import .*;", right.head + "\n" + buggy.head, re.MULTILINE)])
    own = re.sub(r"^import .*;\n*", "", buggy.head, flags=re.MULTILINE)
    head = "".join(f"{line}\n" for line in lines) + "\n" + classes + own
    documentation = _documentation(root / "python_programs" / f"{name}.py").replace("*/", "* /")
    comment = textwrap.indent(documentation, "    ")
    return _problem(
        language="java",
        name=name,
        title="QuixBugsJava",
        prompt=f"{head}    /**\n{comment}\n     */\n{buggy.signature}",
        declaration=head + buggy.signature,
        right=right.body,
        buggy=buggy.body,
        test=test,
        signature=buggy.signature.strip().rstrip("{").strip(),
        documentation=documentation,
    )


def _java_file(folder: Path, name: str) -> Path:
    return next(file for file in folder.iterdir() if file.stem.lower() == name and file.suffix == ".java")


def _code_of(head: str) -> list[str]:
    return re.sub(r"^import .*;|//.*", "", head, flags=re.MULTILINE).split()


def _java_parts(file: Path, name: str = r"\w+") -> _Parts:
    """The program as a class `Solution`, from its imports to its end, divided at the (first) method of that name."""
    code = re.sub(r"/\*.*?\*/", "", _NOT_OURS.sub("", _read(file)), flags=re.DOTALL)
    code = re.sub(rf"\b(?:\w+_programs\.)?{file.stem}\b", "Solution", code)
    code = re.sub(r"\bpublic class Solution\b", "class Solution", code)
    methods = list(re.finditer(_METHOD_HEAD.format(name=name), code, re.MULTILINE))
    if not methods or "class Solution" not in code:
        raise UserError(f"{file} has no class {file.stem} with a method {file.stem.lower()!r}")
    method = methods[0]
    head = re.sub(r"\n\s*\n+", "\n\n", code[: method.start()]).strip() + "\n"
    return _Parts(head, method.group().strip("\n") + "\n", code[method.end() :].rstrip() + "\n")


def _java_test(root: Path, class_name: str) -> tuple[str, list[str]]:
    """QuixBugs' JUnit tests as a class `Main`, and the imports it needs."""
    folder = root / "java_testcases" / "junit"
    text = _read(folder / f"{class_name}_TEST.java")
    names = [name for notes, name in _TEST_METHOD.findall(text) if "Test" in notes and "Ignore" not in notes]
    if not names:
        raise UserError(f"{folder / f'{class_name}_TEST.java'} has no method with @Test")
    text = re.sub(r"^\s*@(?:org\.junit\.)?(?:Test|Ignore)\b.*\n", "", _NOT_OURS.sub("", text), flags=re.MULTILINE)
    text = re.sub(r"\borg\.junit\.Assert\.|\bjava_testcases\.junit\.|\bjava_programs\.", "", text)
    text = re.sub(rf"\b{class_name}\b", "Solution", text)
    text = re.sub(rf"\bpublic class {class_name}_TEST\b", "static class Tests extends Assertions", text)
    classes = [_ASSERTIONS, text]
    if "QuixFixOracleHelper" in text:
        classes.append("static " + _java_class(folder / "QuixFixOracleHelper.java"))
    imports = ["import java.util.*;", *re.findall(r"^import .*;", text, re.MULTILINE)]
    inner = "\n\n".join(re.sub(r"^import .*;\n", "", part, flags=re.MULTILINE).strip() for part in classes)
    calls = "".join(f"        new Tests().{name}();\n" for name in names)
    main = f"public static void main(String[] args) throws Exception {{\n{calls}    }}"
    return f"public class Main {{\n{textwrap.indent(inner, '    ')}\n\n    {main}\n}}\n", imports


def _java_classes(root: Path, code: str) -> str:
    """The classes of QuixBugs that a program works on."""
    files = [root / _FOLDERS["java"][0] / f"{name}.java" for name in ("Node", "WeightedEdge")]
    return "".join(f"{_java_class(file)}\n" for file in files if re.search(rf"\b{file.stem}\b", code))


def _java_class(file: Path) -> str:
    """A class, such that it may stand in the file of another one."""
    code = re.sub(r"^import [^;]*;\n|/\*.*?\*/", "", _NOT_OURS.sub("", _read(file)), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"\bpublic (?=(?:final |abstract )?class\b)", "", code).strip() + "\n"
