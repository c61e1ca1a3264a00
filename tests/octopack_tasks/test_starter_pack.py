"""The starter pack keeps HumanEvalPack's schema and rules, and says the same in all languages."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import octopack_tasks
from octopack_tasks import LANGUAGES, PAPER_LANGUAGES, STARTER_PACK, get_language, get_task, load_problems
from octopack_tasks.pack.mutations import BugType, mutants
from sandboxes import Program, Status, open_sandbox

STARTER = Path(octopack_tasks.__file__).parent / "resources" / "starter_pack"

PREFIXES = {
    "python": "StarterPython",
    "cpp": "StarterCPP",
    "js": "StarterJavaScript",
    "java": "StarterJava",
    "go": "StarterGo",
    "rust": "StarterRust",
    "typescript": "StarterTypeScript",
}

_HEAD = "task_id prompt canonical_solution test declaration example_test"
_TAIL = "buggy_solution bug_type failure_symptoms entry_point signature"
COLUMNS = {
    "python": f"{_HEAD.replace('test decl', 'test text decl')} {_TAIL} docstring instruction",
    "java": f"{_HEAD.replace('test decl', 'test text decl')} {_TAIL} docstring instruction",
    "cpp": f"{_HEAD} {_TAIL} docstring instruction",
    "js": f"{_HEAD} {_TAIL} docstring instruction",
    "typescript": f"{_HEAD} {_TAIL} docstring instruction",
    "rust": f"task_id prompt declaration canonical_solution test example_test {_TAIL} docstring instruction",
    "go": "task_id prompt import docstring declaration canonical_solution test test_setup example_test "
    f"{_TAIL} instruction",
}

_LIKE_JAVASCRIPT = ("js", "typescript")

# HumanEvalPack rows whose columns do not follow from each other by the rules: its own known slips.
ODD_ROWS = {
    "Python/142",  # the docstring still begins with a quote that its prompt has lost
}

Row = dict[str, str]


def read(file: Path) -> list[Row]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    return {language: read(STARTER / f"{language}.jsonl") for language in LANGUAGES}


# The rules by which HumanEvalPack's columns follow from each other, one function a column.


def tidy(text: str) -> str:
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


def last_line(text: str) -> str:
    return [line.strip() for line in text.split("\n") if line.strip()][-1]


def line_comment(prompt: str) -> str:
    """The last block of `//` comments of a prompt."""
    block: list[str] = []
    for line in map(str.strip, reversed(prompt.split("\n"))):
        if line.startswith("//"):
            block.insert(0, line.strip("/").strip())
        elif block:
            break
    return "\n".join(line for line in block if line)


def block_comment(prompt: str) -> str:
    """What stands in the last `/* */` of a prompt."""
    return re.split(r"/\*|\*/", prompt)[-2]


def derived_signature(language: str, row: Row) -> str:
    if language == "python":
        return python_parts(row)[0].strip().strip(":")
    if language == "rust":
        return row["declaration"].split("fn ")[-1].split("{")[0].strip()
    if language == "cpp":
        lines = [line.strip() for line in row["prompt"].split("\n") if line.strip()]
        return next(line for line in reversed(lines) if row["entry_point"] in line and line.endswith("{")).strip("{")
    signature = last_line(row["prompt"]).strip("{").strip()
    return signature.removesuffix("=>").strip() if language in _LIKE_JAVASCRIPT else signature


def python_parts(row: Row) -> list[str]:
    parts = re.split(r"'''|\"\"\"", row["prompt"].split("def ")[-1])
    assert len(parts) == 3, "one docstring, quoted with three quotes"
    return parts


def derived_docstring(language: str, row: Row) -> str:
    prompt = row["prompt"]
    if language == "python":
        return tidy(python_parts(row)[1])
    if language == "go" or "*/" not in prompt:
        return line_comment(prompt)
    if language == "rust":
        lines = (line.strip() for line in block_comment(prompt).strip("*").split("\n"))
        return "\n".join(line for line in lines if line not in ("", '"'))
    return tidy(block_comment(prompt) if language in _LIKE_JAVASCRIPT else block_comment(prompt).strip("*"))


def derived_instruction(language: str, row: Row) -> str:
    title = get_language(language).title
    return f"Write a {title} function `{row['signature']}` to solve the following problem:\n{row['docstring']}"


def check_derived_columns(language: str, row: Row) -> None:
    name = row["task_id"]
    assert derived_signature(language, row) == row["signature"], name
    assert derived_docstring(language, row) == row["docstring"], name
    assert derived_instruction(language, row) == row["instruction"], name


@pytest.mark.parametrize("language", PAPER_LANGUAGES)
def test_rules_are_those_of_humanevalpack(language: str, shared: Path) -> None:
    for row in read(shared / "data" / "humanevalpack" / f"{language}.jsonl"):
        if row["task_id"] not in ODD_ROWS:
            check_derived_columns(language, row)


@pytest.mark.parametrize("language", PAPER_LANGUAGES)
def test_columns_are_those_of_humanevalpack(language: str, shared: Path, rows: dict[str, list[Row]]) -> None:
    real = read(shared / "data" / "humanevalpack" / f"{language}.jsonl")
    assert list(real[0]) == COLUMNS[language].split()


@pytest.mark.parametrize("language", LANGUAGES)
def test_schema(language: str, rows: dict[str, list[Row]]) -> None:
    assert len(rows[language]) == 10
    for index, row in enumerate(rows[language]):
        assert list(row) == COLUMNS[language].split()
        assert row["task_id"] == f"{PREFIXES[language]}/{index}"
        assert all(isinstance(value, str) for value in row.values())
        assert all(value for column, value in row.items() if column != "import"), row["task_id"]
    written = "".join(json.dumps(row) + "\n" for row in rows[language])
    assert (STARTER / f"{language}.jsonl").read_text(encoding="utf-8") == written


@pytest.mark.parametrize("language", LANGUAGES)
def test_columns_follow_by_rule(language: str, rows: dict[str, list[Row]]) -> None:
    for row, python in zip(rows[language], rows["python"], strict=True):
        check_derived_columns(language, row)
        words = python["entry_point"].split("_")
        capitals = "".join(word.capitalize() for word in words)
        expected = {"go": capitals, "java": words[0] + capitals[len(words[0]) :]}
        expected |= dict.fromkeys(_LIKE_JAVASCRIPT, expected["java"])
        assert row["entry_point"] == expected.get(language, python["entry_point"])
        assert row["entry_point"] in row["declaration"]


def test_prompt_is_declaration_plus_documentation(rows: dict[str, list[Row]]) -> None:
    comments = {"python": r' {4}""".*?"""\n', "java": r" {4}/\*\*.*?\*/\n", "go": r"(?m)^// .*\n"}
    for language, table in rows.items():
        comment = comments.get(language, r"/\*.*?\*/\n")
        for row in table:
            code = re.sub(comment, "", row["prompt"], flags=re.DOTALL if language != "go" else 0)
            code = code.removeprefix("fn main(){}\n").removeprefix(row.get("import") or "\0")
            assert re.sub(r"\n+", "\n", code).strip() == re.sub(r"\n+", "\n", row["declaration"]).strip()


def test_rust_prompt_follows_by_rule(rows: dict[str, list[Row]]) -> None:
    for row in rows["rust"]:
        before, head = row["declaration"].split("\nfn ")
        comment = "/*" + block_comment(row["prompt"]) + "*/"
        assert row["prompt"] == f"fn main(){{}}\n{before}\n{comment}\nfn {head}"


def test_rust_needs_no_crate(rows: dict[str, list[Row]]) -> None:
    for row in rows["rust"]:
        for used in re.findall(r"\buse (\w+)", row["prompt"] + row["test"]):
            assert used in ("std", "super"), row["task_id"]


# The same problem in every language.


def prose(row: Row) -> str:
    return row["docstring"].split("\n>>> ")[0]


def literals(code: str) -> list[str]:
    """Numbers and strings of a piece of code, sorted: languages differ in which side the expected value stands on."""
    without_types = re.sub(r"\[\](int|string)|<\w+>|\btest\w*\b", "", code)
    return sorted(token.strip("'\"") for token in re.findall(r"'[^']*'|\"[^\"]*\"|-?\b\d+\b", without_types))


def assertions(language: str, test: str, row: Row) -> list[list[str]]:
    call = re.escape(row["entry_point"]) + r"\("
    definition = r"def |fn |func |check\(|const test"
    return [
        literals(line)
        for line in test.split("\n")
        if re.search(rf"(?<!\w){call}", line) and not re.match(rf"\s*({definition})", line)
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_says_the_same_as_python(language: str, rows: dict[str, list[Row]]) -> None:
    for row, python in zip(rows[language], rows["python"], strict=True):
        assert prose(row) == prose(python)
        for column in ("bug_type", "failure_symptoms"):
            assert row[column] == python[column]
        for column in ("test", "example_test"):
            assert assertions(language, row[column], row) == assertions("python", python[column], python), row[
                "task_id"
            ]
        examples = row["docstring"].split("\n>>> ")[1:]
        assert [literals(example) for example in examples] == assertions(language, row["example_test"], row)


@pytest.mark.parametrize("language", LANGUAGES)
def test_tests_are_more_than_the_examples(language: str, rows: dict[str, list[Row]]) -> None:
    for row in rows[language]:
        checks = assertions(language, row["test"], row)
        assert len(checks) >= 6
        assert not [check for check in assertions(language, row["example_test"], row) if check in checks]


# Changes of a value that make no difference: what is added before `% 24`, and a roll before the first that is no six.
SAME_BEHAVIOUR = {
    ("StarterPython/4", "`wake - bed + 24` becomes `wake - bed` in `return (wake - bed + 24) % 24`"),
    ("StarterPython/6", "`0` becomes `1` in `previous = 0`"),
}


def test_every_value_in_a_right_solution_is_tested() -> None:
    changed = [
        (problem, mutant)
        for problem in load_problems("python", STARTER_PACK)
        for mutant in mutants(
            problem.declaration + problem.canonical_solution, get_language("python"), [BugType.VALUE_MISUSE]
        )
    ]
    task = get_task("humanevalfixtests-python")
    programs = [task.program(problem, mutant.code) for problem, mutant in changed]
    with open_sandbox("process", ["python"], cache=False, unsafe=True) as sandbox:  # programs of our own
        verdicts = sandbox.run(programs)
    passed = {
        (problem.task_id, mutant.description)
        for (problem, mutant), verdict in zip(changed, verdicts, strict=True)
        if verdict.passed
    }
    assert passed == SAME_BEHAVIOUR


def test_all_bug_types_appear(rows: dict[str, list[Row]]) -> None:
    assert Counter(row["bug_type"] for row in rows["python"]) == {
        "value misuse": 2,
        "missing logic": 2,
        "excess logic": 2,
        "operator misuse": 2,
        "variable misuse": 1,
        "function misuse": 1,
    }
    assert {row["failure_symptoms"] for row in rows["python"]} == {"incorrect output"}


# Solutions pass unharmed through what the benchmark does to a model's answer, and are judged as they should be.


@pytest.mark.parametrize("kind", ["canonical_solution", "buggy_solution"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_solutions_survive_truncation(language: str, kind: str) -> None:
    for problem in load_problems(language, STARTER_PACK):
        completion = getattr(problem, kind)
        assert kept(completion, language) == completion.rstrip(), problem.task_id
        assert get_language(language).is_complete(completion) == (language != "python")


def kept(completion: str, language: str) -> str:
    for word in get_language(language).stop_words:
        completion = completion.split(word)[0]
    return get_language(language).truncate(completion).rstrip()


def test_bugs_are_small(rows: dict[str, list[Row]]) -> None:
    for table in rows.values():
        for row in table:
            right, wrong = row["canonical_solution"].split("\n"), row["buggy_solution"].split("\n")
            assert 1 <= len(set(right) ^ set(wrong)) <= 4, row["task_id"]


@pytest.mark.docker
@pytest.mark.parametrize("language", LANGUAGES)
def test_canonical_solutions_pass_and_buggy_ones_fail(
    language: str, sandbox_options: dict[str, dict[str, Any]]
) -> None:
    """A buggy solution must fail at an assertion: that it compiles, and that the tests run, are part of the promise."""
    programs: list[Program] = []
    expected: list[tuple[str, Status]] = []
    for problem in load_problems(language, STARTER_PACK):
        examples = dataclasses.replace(problem, test=problem.example_test)
        for task, tested, completion, status in (
            ("fixtests", problem, problem.canonical_solution, Status.PASSED),
            ("fixtests", examples, problem.canonical_solution, Status.PASSED),
            ("synthesize", problem, problem.canonical_solution, Status.PASSED),
            ("fixtests", problem, problem.buggy_solution, Status.FAILED),
            ("synthesize", problem, problem.buggy_solution, Status.FAILED),
        ):
            benchmark = get_task(f"humaneval{task}-{language}")
            programs.append(benchmark.program(tested, benchmark.solution(tested, f"\n{completion}")))
            expected.append((problem.task_id, status))
    # Verdicts of earlier runs must not stand in for today's.
    with open_sandbox("docker", [language], cache=False, **sandbox_options["docker"]) as sandbox:
        verdicts = sandbox.run(programs)
    statuses = [(name, verdict.status) for (name, _), verdict in zip(expected, verdicts, strict=True)]
    assert statuses == expected
