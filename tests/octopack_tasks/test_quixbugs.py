"""QuixBugs' layout, with two small programs of our own in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from octopack_tasks import TASKS, find_tasks, get_task
from octopack_tasks.errors import UserError
from octopack_tasks.evaluation import evaluate
from octopack_tasks.generation import Sampling, open_backend
from octopack_tasks.quixbugs import load_quixbugs
from octopack_tasks.tasks import FURTHER_TASKS, GROUPS

DOUBLES = '''\
from itertools import chain

def doubles(numbers, times=2):
    for number in chain(numbers):
        yield (number * {factor},)


"""
Multiples
doubles

Input:
    numbers: whole numbers

Output:
    A generator of one-tuples
"""
'''
LAST = """\
def last(node):
    while node.successor{condition}:
        node = node.successor
    return node.value

def unused(node):
    return node

'''
The value of the last node
'''
"""
NODE = """\
class Node:
    def __init__(self, value, successor=None):
        self.value, self.successor = value, successor
"""
TEST_LAST = """\
import pytest
from node import Node

if pytest.use_correct:
    from correct_python_programs.last import last
else:
    from python_programs.last import last

end = Node(3)

def test1():
    assert last(Node(1, Node(2, end))) == 3

def test2():
    assert last(end) == 3
"""
JAVA = """\
package {package};
import java.util.*;

/**
 * @author somebody
 */
public class DOUBLES {{
    public static List<Integer> doubles(List<Integer> numbers, int times) {{
        List<Integer> found = new ArrayList<Integer>();
        for (int number : numbers) {{
            found.add(number * {factor});
        }}
        return found;
    }}
}}
"""
JAVA_LAST = """\
package {package};
public class LAST {{
    static Node step(Node node) {{
        return {step};
    }}

    public static String last(Node node) {{
        while (node.successor != null) {{
            node = step(node);
        }}
        return node.value;
    }}
}}
"""
JAVA_NODE = """\
package java_programs;
public class Node {
    String value;
    Node successor;
    public Node(String value, Node successor) {
        this.value = value;
        this.successor = successor;
    }
}
"""
DOUBLES_TEST = """\
package java_testcases.junit;


public class DOUBLES_TEST {
    @org.junit.Test(timeout = 3000)
    public void test_0() throws java.lang.Exception {
        java.util.List result = java_programs.DOUBLES.doubles(java.util.Arrays.asList(1, 2), (int)3);
        org.junit.Assert.assertEquals("3,6", java_testcases.junit.QuixFixOracleHelper.format(result));
    }

    @org.junit.Ignore
    @org.junit.Test(timeout = 3000)
    public void test_1() throws java.lang.Exception {
        org.junit.Assert.assertEquals(1.0, 2.0, 0.5);
    }
}
"""
LAST_TEST = """\
package java_testcases.junit;

import static org.junit.Assert.assertEquals;
import java.util.List;
import org.junit.Test;
import java_programs.LAST;
import java_programs.Node;

public class LAST_TEST {
    @Test
    public void test1() {
        assertEquals("b", LAST.last(new Node("a", new Node("b", null))));
        assertEquals(1.0, 1.01, 0.1);
    }
}
"""
HELPER = """\
package java_testcases.junit;

public class QuixFixOracleHelper {
    public static String format(Iterable<?> out) {
        String text = "";
        for (Object one : out) {
            text += (text.isEmpty() ? "" : ",") + one;
        }
        return text;
    }
}
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("QuixBugs")
    files = {
        "python_programs/doubles.py": DOUBLES.format(factor=2),
        "correct_python_programs/doubles.py": DOUBLES.format(factor="times"),
        "python_programs/last.py": LAST.format(condition=".successor"),
        "correct_python_programs/last.py": LAST.format(condition=""),
        "python_programs/node.py": NODE,
        "correct_python_programs/node.py": NODE,
        "json_testcases/doubles.json": "[[[1, 2]], [[2], [4]]]\n[[[3], 5], [[15]]]\n\n",
        "python_testcases/test_last.py": TEST_LAST,
        "python_testcases/node.py": NODE,
        "java_programs/DOUBLES.java": JAVA.format(package="java_programs", factor="2"),
        "correct_java_programs/DOUBLES.java": JAVA.format(package="correct_java_programs", factor="times"),
        "java_programs/LAST.java": JAVA_LAST.format(package="java_programs", step="node"),
        "correct_java_programs/LAST.java": JAVA_LAST.format(package="correct_java_programs", step="node.successor"),
        "java_programs/Node.java": JAVA_NODE,
        "java_testcases/junit/DOUBLES_TEST.java": DOUBLES_TEST,
        "java_testcases/junit/LAST_TEST.java": LAST_TEST,
        "java_testcases/junit/QuixFixOracleHelper.java": HELPER,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_python_program_is_taken_apart(checkout: Path) -> None:
    problem = load_quixbugs("python", checkout).get("QuixBugsPython/doubles")
    assert problem.declaration == "from itertools import chain\n\n\ndef doubles(numbers, times=2):\n"
    assert problem.buggy_solution == "    for number in chain(numbers):\n        yield (number * 2,)\n"
    assert problem.canonical_solution == problem.buggy_solution.replace("2", "times")
    assert problem.docstring.startswith("Multiples\ndoubles\nInput:")
    assert problem.prompt.startswith(problem.declaration)
    assert problem.instruction.startswith("Write a Python function `doubles(numbers, times=2)` to solve")


def test_what_stands_below_the_function_and_the_class_of_its_arguments_are_given_above_it(checkout: Path) -> None:
    problem = load_quixbugs("python", checkout).get("QuixBugsPython/last")
    assert problem.declaration == f"{NODE}\n\ndef unused(node):\n    return node\n\n\ndef last(node):\n"
    assert "pytest" not in problem.test
    assert problem.test.endswith("test1()\ntest2()\n")


def test_a_java_program_is_a_class_solution(checkout: Path) -> None:
    problems = load_quixbugs("java", checkout)
    problem = problems.get("QuixBugsJava/doubles")
    assert "package" not in problem.prompt
    assert "somebody" not in problem.prompt
    assert "class Solution {\n    /**\n    Multiples" in problem.prompt
    assert "Solution.doubles(java.util.Arrays.asList(1, 2), (int)3)" in problem.test
    assert "new Tests().test_0();" in problem.test
    assert "new Tests().test_1();" not in problem.test  # QuixBugs leaves it out
    # the bug of the other one is in a method above
    assert problems.get("QuixBugsJava/last").buggy_solution.startswith("        return node;\n    }\n")
    assert "class Node {" in problems.get("QuixBugsJava/last").declaration


@pytest.mark.parametrize("language", ["python", "java"])
def test_right_programs_pass_and_buggy_ones_fail(checkout: Path, language: str) -> None:
    for model, expected in (("canonical", 1.0), ("buggy", 0.0)):
        backend = open_backend("replay", model, sampling=Sampling())
        results = evaluate(f"quixbugs-{language}", backend, dataset=str(checkout))
        assert results[f"quixbugs-{language}"].pass_at(1) == expected


def test_the_tasks_are_beside_those_of_humanevalpack() -> None:
    assert {"quixbugs-python", "quixbugs-java"} <= set(FURTHER_TASKS)
    assert not set(FURTHER_TASKS) & set(TASKS)
    assert not any(task.startswith("quixbugs") for members in GROUPS.values() for task in members)
    assert [task.name for task in find_tasks(["quixbugs-*"])] == ["quixbugs-python", "quixbugs-java"]
    assert all(task.name in TASKS for task in find_tasks(["*-python"]))
    assert get_task("quixbugs-java").formats == get_task("humanevalfixdocs-java").formats


@pytest.mark.parametrize(
    ("broken", "text", "message"),
    [
        ("python_programs/doubles.py", "def doubles(:\n", "doubles.py is not Python"),
        ("python_programs/doubles.py", "def other():\n    pass\n", "has no function 'doubles'"),
        ("python_programs/doubles.py", "def doubles(numbers, times=2):\n    pass\n", "has no documentation"),
        ("correct_python_programs/doubles.py", "def doubles(a):\n    pass\n", "begins its function in another way"),
        ("json_testcases/doubles.json", "[[1], 2]\n{\n", "doubles.json line 2: a case is a list"),
        ("json_testcases/doubles.json", "17\n", "doubles.json line 1: a case is a list"),
        ("json_testcases/doubles.json", "[[NaN], 1]", "doubles.json line 1: a case is a list"),
        pytest.param(
            "json_testcases/doubles.json", "[" * 100_000, "doubles.json line 1: a case is a list", id="too deep"
        ),
        ("json_testcases/doubles.json", "\n\n", "doubles.json holds no case"),
        ("python_testcases/test_last.py", "x = 1\n", "has no function whose name begins with `test`"),
        ("python_programs/doubles.py", "\udcff", "cannot be read"),
    ],
)
def test_broken_files_are_named(checkout: Path, tmp_path: Path, broken: str, text: str, message: str) -> None:
    root = shutil.copytree(checkout, tmp_path / "copy")
    (root / broken).write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UserError, match=message):
        load_quixbugs("python", root)


@pytest.mark.parametrize(
    ("language", "missing", "message"),
    [
        (
            "python",
            "python_programs/last.py",
            "correct_python_programs has a program 'last', and .*python_programs has",
        ),
        ("python", "correct_python_programs/last.py", "has a program 'last', and .*correct_python_programs has none"),
        ("java", "java_programs/LAST.java", "correct_java_programs has a program 'last', and .*java_programs has none"),
        ("java", "java_testcases/junit/LAST_TEST.java", r"LAST_TEST\.java cannot be read"),
        ("java", "python_programs/last.py", r"python_programs/last\.py cannot be read"),
        ("python", "python_testcases/test_last.py", r"last has no tests: .*json_testcases/last\.json"),
        ("python", "json_testcases/doubles.json", r"doubles has no tests: .*json_testcases/doubles\.json"),
    ],
)
def test_files_that_are_missing_are_named(
    checkout: Path, tmp_path: Path, language: str, missing: str, message: str
) -> None:
    root = shutil.copytree(checkout, tmp_path / "copy")
    (root / "java_programs" / "LAST.class").write_bytes(b"")  # QuixBugs has compiled programs beside the others
    (root / "python_testcases" / "test_doubles.py").write_text(
        "from load_testdata import load_json_testcases\n\ndef test_doubles(x):\n    assert doubles(*x)\n"
    )
    assert len(load_quixbugs(language, root)) == 2
    (root / missing).unlink()
    with pytest.raises(UserError, match=message):
        load_quixbugs(language, root)


@pytest.mark.parametrize("language", ["python", "java"])
def test_windows_files_give_the_same_rows(checkout: Path, tmp_path: Path, language: str) -> None:
    root = shutil.copytree(checkout, tmp_path / "copy")
    for file in root.rglob("*.*"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert load_quixbugs(language, root).problems == load_quixbugs(language, checkout).problems


@pytest.mark.parametrize("dataset", [None, "starter", "no/such/folder"])
def test_without_a_checkout_the_message_says_where_to_get_one(
    dataset: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OCTOPACK_DATASET", raising=False)
    with pytest.raises(UserError, match=r"git clone https://github\.com/jkoppel/QuixBugs"):
        get_task("quixbugs-python").problems(dataset)
