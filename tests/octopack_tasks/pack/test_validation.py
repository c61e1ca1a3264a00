"""`octopack pack validate`: every fault that it knows, planted in a sound pack; programs run in a real sandbox."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from octopack_tasks.errors import UserError
from octopack_tasks.languages import LANGUAGES
from octopack_tasks.pack import rows, trials, validation
from octopack_tasks.pack.command import register
from octopack_tasks.pack.findings import TITLES, Check, Finding, Severity
from octopack_tasks.pack.report import html_report, print_report
from octopack_tasks.pack.trials import Effort, Subject, draws_on_chance, run_trials
from octopack_tasks.pack.validation import SandboxChoice, Validation, validate_pack
from octopack_tasks.problems import Problem, load_problems
from sandboxes import Program, Sandbox, Status, Verdict, open_sandbox

STARTER = Path(validation.__file__).parents[1] / "resources" / "starter_pack"
EFFORT = Effort(repeat=2, repeat_chance=24, mutants=2, timeout=0.5)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a pack: rows by language."""

    def write_(**rows: list[Any]) -> Path:
        folder = tmp_path / "pack"
        folder.mkdir(exist_ok=True)
        for language, lines in rows.items():
            text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in lines)
            (folder / f"{language}.jsonl").write_text(text)
        return folder

    return write_


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of these tests are our own: they run without isolation, and are not remembered."""

    def opened(*_: Any, **__: Any) -> Sandbox:
        return open_sandbox("process", ["python"], workers=2, cache=False, unsafe=True)

    monkeypatch.setattr(validation, "open_sandbox", opened)


def starter(language: str, index: int = 0) -> dict[str, Any]:
    """A sound row."""
    return json.loads((STARTER / f"{language}.jsonl").read_text().splitlines()[index])


def found(checked: Validation, check: Check) -> list[Finding]:
    return [finding for finding in checked.findings if finding.check is check]


def one(checked: Validation, check: Check) -> Finding:
    (finding,) = found(checked, check)
    return finding


def quick(folder: Path, *languages: str) -> Validation:
    return validate_pack(folder, languages or None, effort=None)


# --- rows -------------------------------------------------------------------------------------------------------------


def test_the_starter_pack_is_sound() -> None:
    checked = quick(STARTER)
    assert checked.findings == []
    assert set(checked.problems) == set(LANGUAGES)


@pytest.mark.parametrize(
    ("row", "check", "field", "message"),
    [
        ('{"task_id": "Mine/0"', Check.UNREADABLE, "", "not a JSON object"),
        ("[1]", Check.UNREADABLE, "", "must be a JSON object, not list"),
        pytest.param("[" * 100_000, Check.UNREADABLE, "", "not a JSON object: ", id="too deep"),
        ({"test": None}, Check.FIELD, "test", "field `test` must be a string, not NoneType"),
        ({"prompt": 7}, Check.FIELD, "prompt", "field `prompt` must be a string, not int"),
        ({"entry_point": " "}, Check.FIELD, "entry_point", "field `entry_point` must not be blank"),
        ({"docstring": "\ud800"}, Check.FIELD, "docstring", "is not valid Unicode at character 0"),
        ({"bug_type": ""}, Check.FIELD, "bug_type", "field `bug_type` is missing or empty"),
        ({"test": {}}, Check.FIELD, "test", "field `test` must be a string, not dict"),
    ],
)
def test_rows_that_are_wrong_are_named(row: Any, check: Check, field: str, message: str, write: Write) -> None:
    sound = starter("python")
    folder = write(python=[sound, {**sound, "task_id": "Mine/0", **row} if isinstance(row, dict) else row])
    finding = one(quick(folder, "python"), check)
    assert finding.task_id == ("Mine/0" if isinstance(row, dict) else "python.jsonl line 2")
    assert (finding.language, finding.field) == ("python", field)
    assert message in finding.message
    assert quick(folder, "python").problems["python"] == (2 if field == "bug_type" else 1)


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"canonical_solution": ""}, "canonical_solution", "field `canonical_solution` is missing or empty"),
        ({"docstring": ""}, "docstring", "field `docstring` is missing or empty"),
        ({"test": "a = 1\nb = '\0'\n"}, "test", "field `test` holds the control character '\\x00' in line 2"),
        ({"prompt": "a\r\nb"}, "prompt", "field `prompt` holds the control character '\\r' in line 1"),
        ({"more": "\x1b[2J"}, "more", "field `more` holds the control character '\\x1b' in line 1"),
    ],
)
def test_fields_that_can_be_read_and_are_wrong_all_the_same(
    changed: dict[str, str], field: str, message: str, write: Write
) -> None:
    finding = one(quick(write(python=[starter("python") | changed]), "python"), Check.FIELD)
    assert (finding.severity, finding.task_id, finding.field) == (Severity.WARNING, "StarterPython/0", field)
    assert finding.message == f"{message} (python.jsonl line 1)"


def test_a_field_that_stands_twice_in_a_row(write: Write) -> None:
    row = json.dumps(starter("python")).replace('{"task_id"', '{"test": "", "task_id"', 1)
    finding = one(quick(write(python=[row]), "python"), Check.FIELD)
    assert (finding.task_id, finding.field) == ("StarterPython/0", "test")
    assert finding.message == "field `test` occurs twice, and the last one counts (python.jsonl line 1)"


def test_windows_files_are_as_good_as_others(write: Write) -> None:
    folder = write(python=[starter("python"), starter("python", 1)])
    (folder / "python.jsonl").write_bytes(
        b"\xef\xbb\xbf" + (folder / "python.jsonl").read_bytes().replace(b"\n", b"\r\n")
    )
    checked = quick(folder, "python")
    assert checked.findings == []
    assert checked.problems == {"python": 2}


@pytest.mark.parametrize("field", ["docstring", "test"])
def test_rows_that_were_copied(field: str, write: Write) -> None:
    first, second = starter("python"), starter("python", 1)
    second[field] = first[field].replace(" ", "  ")
    finding = one(quick(write(python=[first, second]), "python"), Check.DUPLICATE)
    assert (finding.task_id, finding.field, finding.severity) == ("StarterPython/1", field, Severity.WARNING)
    assert finding.message == f"field `{field}` is that of StarterPython/0, word by word"


@pytest.mark.parametrize("name", ["", "\ud800", "Mine/\x1b[2J", "Mine/0\nMine/1", None, 3])
def test_rows_without_a_name_go_by_their_line(name: Any, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    checked = quick(write(python=[starter("python") | {"task_id": name}]), "python")
    finding = one(checked, Check.FIELD)
    assert (finding.task_id, finding.field) == ("python.jsonl line 1", "task_id")
    assert html_report(checked).encode()
    print_report(checked, Console(), show=9)
    assert "\x1b[2J" not in capsys.readouterr().out


def test_a_terminal_is_given_no_orders(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    checked = quick(write(python=[starter("python") | {"entry_point": "seats\x1b[2J"}]), "python")
    print_report(checked, Console(), show=9)
    printed = capsys.readouterr().out
    assert "\x1b[2J" not in printed
    assert "seats\\x1b[2J" in printed


def test_all_faults_of_a_row_are_named(write: Write) -> None:
    checked = quick(write(python=[{"task_id": "Mine/0", "prompt": " "}]), "python")
    fields = {finding.field for finding in found(checked, Check.FIELD) if finding.severity is Severity.ERROR}
    assert {"prompt", "declaration", "canonical_solution", "buggy_solution", "test", "entry_point"} <= fields


def test_a_name_that_occurs_twice(write: Write) -> None:
    finding = one(
        quick(write(python=[starter("python"), starter("python", 1) | {"task_id": "StarterPython/0"}])), Check.DUPLICATE
    )
    assert (finding.task_id, finding.field) == ("StarterPython/0", "task_id")
    assert "line 1" in finding.message
    assert "line 2" in finding.message


def test_languages_that_are_missing(write: Write) -> None:
    folder = write(python=[starter("python")], rust=[], cobol=[{}])
    checked = quick(folder)
    missing = {finding.language: finding.severity for finding in found(checked, Check.MISSING)}
    assert missing == {
        "cpp": Severity.WARNING,
        "js": Severity.WARNING,
        "java": Severity.WARNING,
        "go": Severity.WARNING,
    } | {
        "rust": Severity.ERROR  # the problem is
    }
    assert {f.message.split(" is ")[0] for f in found(checked, Check.UNREADABLE)} == {"rust.jsonl", "cobol.jsonl"}
    asked = one(quick(folder, "python", "go"), Check.MISSING)
    assert (asked.language, asked.severity) == ("go", Severity.ERROR)


def test_what_is_no_pack(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no pack"):
        quick(tmp_path / "nowhere")
    with pytest.raises(UserError, match="unknown language 'cobol'"):
        quick(STARTER, "cobol")


@pytest.mark.parametrize(
    ("change", "check", "field", "severity"),
    [
        ({"entry_point": "seat_count"}, Check.ENTRY_POINT, "entry_point", Severity.WARNING),
        ({"test": "assert True"}, Check.ENTRY_POINT, "test", Severity.ERROR),
        ({"signature": "seats_left(rows: int)"}, Check.SIGNATURE, "signature", Severity.WARNING),
        ({"docstring": "Nothing."}, Check.DOCSTRING, "docstring", Severity.WARNING),
        ({"instruction": "Write a Python function."}, Check.INSTRUCTION, "instruction", Severity.WARNING),
        ({"prompt": 'def seats_left(a):\n    """Seats."""\n'}, Check.PROMPT, "declaration", Severity.ERROR),
        (
            {"declaration": "def f():\n    return 1\n\ndef seats_left(rows: int, seats: int, sold: int) -> int:\n"},
            Check.PROMPT,
            "prompt",
            Severity.WARNING,
        ),
        ({"bug_type": "off by one"}, Check.BUG_TYPE, "bug_type", Severity.WARNING),
        (
            {"bug_type": "missing logic", "buggy_solution": "    return 1 + max(rows * seats - sold, 0)\n"},
            Check.BUG_TYPE,
            "bug_type",
            Severity.NOTE,
        ),
        ({"failure_symptoms": "smoke"}, Check.SYMPTOM, "failure_symptoms", Severity.WARNING),
    ],
)
def test_rows_that_contradict_themselves(
    change: dict[str, str], check: Check, field: str, severity: Severity, write: Write
) -> None:
    findings = found(quick(write(python=[starter("python") | change]), "python"), check)
    assert (field, severity) in [(finding.field, finding.severity) for finding in findings]
    assert {finding.task_id for finding in findings} == {"StarterPython/0"}


def test_a_bug_that_is_none(write: Write) -> None:
    row = starter("js")
    row["buggy_solution"] = row["canonical_solution"].replace("rows", "rows ").replace("}", "} // wrong")
    assert one(quick(write(js=[row]), "js"), Check.BUGGY_PASSES).field == "buggy_solution"


def test_a_declaration_that_holds_a_part_of_the_body(write: Write) -> None:
    row = starter("js")
    row["declaration"] += "  if (rows > 0) {\n"
    row["prompt"] = row["prompt"].replace("/*", "/* if (rows > 0) {", 1)
    finding = one(quick(write(js=[row]), "js"), Check.PROMPT)
    assert (finding.field, finding.severity) == ("declaration", Severity.ERROR)
    assert "leaves 2 braces open, the prompt 1" in finding.message


def test_a_prompt_that_holds_the_solution(write: Write) -> None:
    row = starter("python")
    row["prompt"] = row["prompt"].replace("A cinema", "    return max(rows*seats - sold, 0)\n    A cinema")
    leak = one(quick(write(python=[row]), "python"), Check.LEAK)
    assert (leak.field, leak.severity) == ("prompt", Severity.ERROR)
    assert leak.detail == "return max(rows * seats - sold, 0)"


@pytest.mark.parametrize("field", ["prompt", "declaration", "instruction", "test"])
@pytest.mark.parametrize("solution", ["    return max(rows * seats - sold, 0)\n", "    left = rows\n    return left\n"])
def test_every_field_that_models_are_shown_may_leak(field: str, solution: str, write: Write) -> None:
    row = starter("python") | {"canonical_solution": solution}
    assert found(quick(write(python=[row]), "python"), Check.LEAK) == []
    row[field] = f"# {' '.join(solution.split())}\n{row[field]}"
    leak = one(quick(write(python=[row]), "python"), Check.LEAK)
    assert (leak.field, leak.severity) == (field, Severity.ERROR)
    assert leak.message == f"field `{field}` holds the solution"


def test_a_short_solution_that_tests_happen_to_hold_is_no_leak(write: Write) -> None:
    row = starter("cpp") | {"canonical_solution": "    x+y;\n}\n"}
    row["test"] += "// x+y;"
    assert found(quick(write(cpp=[row]), "cpp"), Check.LEAK) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_tests_with_one_case(language: str, write: Write) -> None:
    row = starter(language)
    call = rf"(?<!\w){row['entry_point']}\(\d"
    _, *others = [line for line in row["test"].split("\n") if re.search(call, line)]
    for line in others:
        row["test"] = row["test"].replace(f"{line}\n", "")
    finding = one(quick(write(**{language: [row]}), language), Check.WEAK_TESTS)
    assert (finding.field, finding.severity) == ("test", Severity.NOTE)


PRINTING = {
    "python": "print('done')",
    "cpp": 'std::cout << "done";',
    "js": "console.log('done')",
    "typescript": "console.log('done')",
    "java": 'System.out.println("done");',
    "go": 'fmt.Println("done")',
    "rust": 'println!("done");',
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_tests_that_print(language: str, write: Write) -> None:
    row = starter(language)
    assert found(quick(write(**{language: [row]}), language), Check.PRINTS) == []
    row["test"] = f"{row['test']}\n    {PRINTING[language]}\n"
    assert one(quick(write(**{language: [row]}), language), Check.PRINTS).field == "test"


# --- languages against each other -------------------------------------------------------------------------------------


def test_a_problem_that_one_language_lacks(write: Write) -> None:
    folder = write(python=[starter("python"), starter("python", 1)], js=[starter("js")])
    finding = one(quick(folder, "python", "js"), Check.MISSING)
    assert (finding.language, finding.task_id, finding.severity) == ("js", "1", Severity.ERROR)


def test_two_problems_of_a_language_that_one_of_another_could_be(write: Write) -> None:
    rows = [starter("python"), starter("python", 1) | {"task_id": "Other/0"}]
    assert found(quick(write(python=rows), "python"), Check.DUPLICATE) == []
    finding = one(quick(write(python=rows, js=[starter("js")]), "python", "js"), Check.DUPLICATE)
    assert (finding.task_id, finding.field) == ("Other/0", "task_id")
    assert finding.message.startswith("ends like StarterPython/0,")


@pytest.mark.parametrize(
    ("check", "field", "change"),
    [
        (Check.KIND_DIFFERS, "bug_type", {"bug_type": "excess logic"}),
        (
            Check.DOCSTRING_DIFFERS,
            "docstring",
            {"docstring": "Say which of both trains reaches the harbour first today."},
        ),
        (
            Check.EXAMPLES_DIFFER,
            "docstring",
            {"docstring": "Return how many seats are left in a cinema. seatsLeft(1, 1, 1)"},
        ),
        (Check.TESTS_DIFFER, "test", {"test": "const t = () => { console.assert(seatsLeft(5, 4, 99) === 20) }\nt()"}),
    ],
)
def test_a_problem_that_says_something_else_in_one_language(
    check: Check, field: str, change: dict[str, str], write: Write
) -> None:
    rows = {language: [starter(language)] for language in ("python", "java", "rust", "js")}
    rows["js"][0].update(change)
    findings = found(quick(write(**rows), *rows), check)
    assert {(finding.language, finding.field) for finding in findings} == {("js", field)}


def test_of_two_that_differ_both_are_named(write: Write) -> None:
    rows = {language: [starter(language)] for language in ("python", "js")}
    rows["python"][0]["bug_type"] = "excess logic"
    rows["python"][0]["test"] = "\ndef check(seats_left):\n    assert seats_left(5, 4, 0) == 20\n\ncheck(seats_left)"
    checked = quick(write(**rows), *rows)
    assert [finding.language for finding in found(checked, Check.KIND_DIFFERS)] == ["python", "js"]
    severities = {finding.language: finding.severity for finding in found(checked, Check.TESTS_DIFFER)}
    assert severities == {"python": Severity.WARNING, "js": Severity.NOTE}  # the one with fewer is the weaker one


def test_rows_of_any_length_are_compared(write: Write) -> None:
    rows = {language: starter(language) for language in ("python", "js", "java")}
    words = " ".join(f"word{number} about seats" for number in range(20_000))
    for row in rows.values():
        row["docstring"] = words
    rows["js"]["docstring"] = words.replace("word", "other").replace("about seats", "on rows")
    lines = "".join(f"    left_{number} = rows * {number}\n" for number in range(5_000))
    for field in ("canonical_solution", "buggy_solution"):
        rows["python"][field] = lines + rows["python"][field]
    checked = quick(write(**{language: [row] for language, row in rows.items()}), *rows)
    assert {finding.language for finding in found(checked, Check.DOCSTRING_DIFFERS)} == {"js"}
    assert found(checked, Check.BUG_TYPE) == []


def test_a_function_that_has_another_name_in_one_language(write: Write) -> None:
    rows = {language: [starter(language)] for language in ("python", "java", "rust", "js")}
    rows["rust"] = [json.loads(json.dumps(rows["rust"][0]).replace("seats_left", "free_seats"))]
    finding = one(quick(write(**rows), *rows), Check.NAME_DIFFERS)
    assert (finding.language, finding.message) == (
        "rust",
        "the function is `free_seats`, in other languages `seats_left`",
    )


# --- programs ---------------------------------------------------------------------------------------------------------


def checked_in_sandbox(folder: Path) -> Validation:
    return validate_pack(folder, ["python"], EFFORT)


@pytest.mark.usefixtures("executed")
def test_a_row_that_is_no_program_is_named_and_the_others_run(write: Write) -> None:
    imports = {"import": 'import (\n    "slices"\n)\n'}
    folder = write(
        go=[starter("go") | imports], python=[starter("python", 1) | {"canonical_solution": "    return 1\n"}]
    )
    checked = validate_pack(folder, ["go", "python"], EFFORT)
    broken, failing = sorted(found(checked, Check.UNSOLVABLE), key=lambda finding: finding.language)
    assert (broken.task_id, broken.field) == ("StarterGo/0", "import")
    assert broken.message.startswith("no program can be made: it imports 'slices', but only these imports")
    assert failing.task_id == "StarterPython/1"


@pytest.mark.usefixtures("executed")
def test_a_sound_pack_passes(write: Write) -> None:
    checked = checked_in_sandbox(write(python=[starter("python", index) for index in range(4)]))
    assert [f for f in checked.findings if f.severity is Severity.ERROR] == []
    assert checked.settings["effort"]["mutants"] == 2
    assert checked.settings["sandboxes"]["python"]["backend"] == "process"


CALLS_A_HELPER = """\
    return _left(rows, seats, sold)

def _left(rows, seats, sold):
    return max(rows * seats - sold, 0)
"""
RIGHT_AT_TIMES = """\
    import os
    return max(rows * seats - sold, 0) if os.urandom(1)[0] < 230 else -1
"""


def checking(*lines: str) -> str:
    """Tests of these statements."""
    return "\n    ".join(("import os\ndef check(seats_left):", *lines)) + "\n\ncheck(seats_left)"


@pytest.mark.usefixtures("executed")
@pytest.mark.parametrize(
    ("field", "value", "check", "message"),
    [
        ("canonical_solution", "    return 41\n", Check.UNSOLVABLE, "cannot be solved in any scenario: it fails after"),
        ("canonical_solution", "    while True: pass\n", Check.UNSOLVABLE, "(timeout)"),
        ("canonical_solution", "", Check.UNSOLVABLE, "alike (compile_error 2, failed 1)"),
        ("canonical_solution", CALLS_A_HELPER, Check.UNSOLVABLE, "the reading `paper` cuts it off"),
        ("canonical_solution", CALLS_A_HELPER, Check.UNSOLVABLE, "; the reading `corrected` accepts it"),
        ("canonical_solution", RIGHT_AT_TIMES, Check.FLAKY, "the right solution passes in"),
        (
            "declaration",
            "def seats_left(rows):\n",
            Check.UNSOLVABLE,
            "cannot be solved in fixtests: it fails after the",
        ),
        ("buggy_solution", "    return max(seats * rows - sold, 0)\n", Check.BUGGY_PASSES, "passes the tests"),
        ("buggy_solution", "    return max(rows +\n", Check.SYMPTOM, "a compile error, before any test"),
        ("failure_symptoms", "infinite loop", Check.SYMPTOM, "the bug gives 'incorrect output'"),
        (
            "test",
            checking("os.write(1, b'seen\\n')", "assert seats_left(2, 3, 0) == 6"),
            Check.PRINTS,
            "tests or right solution print: 'seen'",
        ),
        (
            "example_test",
            checking("assert seats_left(1, 1, 1) == 1"),
            Check.EXAMPLES_FAIL,
            "fails the examples in `example_test` (failed)",
        ),
        ("test", checking("assert seats_left"), Check.UNTESTED, "do not call it"),
        (
            "test",
            checking("assert seats_left(0, 0, 0) == 0"),
            Check.WEAK_TESTS,
            "of 2 changes to the right solution pass",
        ),
        (
            "test",
            checking("assert seats_left(2, 3, 0) == 6 or os.urandom(1)[0] < 128"),
            Check.FLAKY,
            "the buggy solution passes in",
        ),
    ],
)
def test_what_programs_show(field: str, value: str, check: Check, message: str, write: Write) -> None:
    findings = found(checked_in_sandbox(write(python=[starter("python") | {field: value}])), check)
    assert any(message in finding.message for finding in findings), findings
    assert {finding.task_id for finding in findings} == {"StarterPython/0"}


CHANCE = {
    "python": ["random.random()", "os.urandom(1)", "hash('a')", "{'a', 'b'}", "{x for x in y}", "time.time()"],
    "cpp": ["srand(1);", "time (NULL)", "std::chrono::now()", "unordered_set<int> s;"],
    "js": ["Math.random()", "new Date()", "crypto.randomInt(3)"],
    "java": ["new Random()", "ThreadLocalRandom.current()", "Collections.shuffle(x)", "Instant.now()"],
    "go": ["rand.Intn(3)", "for k := range map[string]int{}", "time.Now()"],
    "rust": ["HashMap::new()", "rand::random()", "Instant::now()"],
}


@pytest.mark.parametrize("language", CHANCE)
def test_code_that_draws_on_chance_runs_more_often(language: str) -> None:
    problem = Problem.from_row(starter(language), language)
    assert not draws_on_chance(problem)
    for code in CHANCE[language]:
        assert draws_on_chance(dataclasses.replace(problem, canonical_solution=code)), code
    ordinary = "{'a': 1, 'b': 2}, {k: v for k, v in x}, {}, randomly, operand.x, time_of_day, set_of, [a, b]"
    assert not draws_on_chance(dataclasses.replace(problem, test=ordinary))


def test_no_check_leaves_out_a_language() -> None:
    for known in (trials._CHANCE, trials._FAILING, rows._PRINTING):
        assert set(known) == set(LANGUAGES)


class BackToFront:
    """Gives verdicts in the order in which nobody asked for them: changed solutions all pass."""

    def stream(self, programs: Iterable[Program]) -> Iterator[tuple[int, Verdict]]:
        for index in reversed(range(len(list(programs)))):
            yield index, Verdict(Status.PASSED)


def test_reports_do_not_depend_on_the_order_of_verdicts() -> None:
    problem = Problem.from_row(starter("python"), "python")
    (outcomes,) = run_trials(cast(Any, BackToFront()), [problem], Effort(mutants=3), lambda *_: None)
    changes = [trial.change for trial, _ in outcomes.verdicts if trial.subject is Subject.MUTANT]
    chosen = [mutant.description for mutant in itertools.islice(trials._chosen(outcomes), 3)]
    assert changes == chosen


@pytest.mark.usefixtures("executed")
def test_a_slow_problem(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octopack_tasks.pack.behaviour.SLOW_SECONDS", 0.0)
    assert one(checked_in_sandbox(write(python=[starter("python")])), Check.SLOW).field == "canonical_solution"


# --- reports ----------------------------------------------------------------------------------------------------------


def test_the_page_is_whole_and_escapes_what_it_quotes(write: Write) -> None:
    evil = "<script>alert(1)</script>"
    page = html_report(quick(write(python=[starter("python") | {"signature": evil, "task_id": evil}]), "python"))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page  # nothing is loaded from elsewhere

    class Balance(HTMLParser):
        open: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in ("meta", "br"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    Balance().feed(page)
    assert Balance.open == []


def test_notes_are_printed_where_they_are_few(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    row = starter("python") | {
        "bug_type": "missing logic",
        "buggy_solution": "    return 1 + max(rows * seats - sold, 0)\n",
    }
    checked = quick(write(python=[row]), "python")
    print_report(checked, Console(width=160), show=1)
    assert "note bug-type StarterPython/0 (bug_type): the row says 'missing logic', but" in capsys.readouterr().out
    print_report(checked, Console(width=160), show=0)
    assert "StarterPython/0" not in capsys.readouterr().out


def test_what_was_found_is_said_where_the_page_cannot_be_written(write: Write, tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    folder = write(python=[starter("python") | {"entry_point": "f"}])
    options = ["-l", "python", "--quick", "--html", str(tmp_path)]
    result = CliRunner().invoke(app, ["pack", "validate", str(folder), *options])
    assert isinstance(result.exception, UserError)
    assert f"{tmp_path} cannot be written: it is a folder" in str(result.exception)
    assert "warning entry-point StarterPython/0" in result.stdout


def test_a_folder_whose_name_is_no_text(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(python=[starter("python")])
    odd = folder.parent / "pack\udcff"
    try:
        folder.rename(odd)
    except (OSError, UnicodeEncodeError) as error:
        pytest.skip(f"no such names here: {error}")
    checked = quick(odd)
    assert "pack\\udcff" in html_report(checked)
    print_report(checked, Console(width=160), show=9)
    assert "pack\\udcff: 1 in python" in capsys.readouterr().out


def test_every_check_has_a_title() -> None:
    assert TITLES.keys() == set(Check)


@pytest.mark.usefixtures("executed")
def test_the_command(write: Write, tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    folder = write(python=[starter("python")])
    sound = CliRunner().invoke(app, ["pack", "validate", str(folder), "-l", "python", "--mutants", "1"])
    assert sound.exit_code == 0, sound.output
    assert "1 in python; 0 errors" in " ".join(sound.stdout.split())
    write(python=[starter("python") | {"canonical_solution": "    return 1\n"}])
    page = tmp_path / "report.html"
    options = ["--json", "--html", str(page), "--mutants", "0"]
    broken = CliRunner().invoke(app, ["pack", "validate", str(folder), "-l", "python", *options])
    assert broken.exit_code == 1
    report = json.loads(broken.stdout)
    assert report["counts"]["error"] == len([f for f in report["findings"] if f["severity"] == "error"]) > 0
    assert "unsolvable" in page.read_text()
    assert Finding.from_json(report["findings"][0]).task_id == "StarterPython/0"


def test_humanevalpack_without_running_it(shared: Path) -> None:
    checked = quick(shared / "data" / "humanevalpack")
    assert {f.task_id for f in found(checked, Check.PROMPT)} == {"Go/10", "Go/32", "Go/38", "Go/50", "CPP/38"}
    assert {f.task_id for f in found(checked, Check.DOCSTRING)} == {"Python/142"}
    # Rust/45, 88 and 133 have the documentation of these.
    assert {f.task_id for f in found(checked, Check.DUPLICATE)} == {"Rust/71", "Rust/116", "Rust/142"}
    leaks = {(f.task_id, f.field) for f in found(checked, Check.LEAK) if f.severity is not Severity.NOTE}
    assert leaks == {
        ("Java/50", "prompt"),
        ("Java/50", "test"),
        ("Go/50", "prompt"),
        ("Rust/38", "prompt"),
        ("Rust/50", "prompt"),
    }
    names = {f.task_id for f in found(checked, Check.ENTRY_POINT)}
    assert names == {"CPP/121", "CPP/156", "JavaScript/114", "Java/99", "Java/101", "Java/114"} | {
        f"Rust/{number}" for number in (61, 71, 85, 116, 120, 121, 142, 156, 161)
    }
    assert {f.task_id for f in found(checked, Check.PRINTS)} == {"Rust/50"}
    assert all(
        len(load_problems(language, shared / "data" / "humanevalpack")) == count
        for language, count in checked.problems.items()
    )


@pytest.mark.docker
def test_known_faults_of_humanevalpack_are_found(shared: Path, write: Write) -> None:
    def published(language: str, *numbers: int) -> list[str]:
        lines = (shared / "data" / "humanevalpack" / f"{language}.jsonl").read_text().splitlines()
        return [lines[number] for number in numbers]

    folder = write(cpp=published("cpp", 10, 23, 38), go=published("go", 10, 32, 38, 50, 72))
    effort = Effort(repeat=1, repeat_chance=1, mutants=0, timeout=5.0)
    checked = validate_pack(folder, ["cpp", "go"], effort, SandboxChoice("docker"))
    causes = {finding.task_id: finding.message for finding in found(checked, Check.UNSOLVABLE)}
    assert set(causes) == {"CPP/38", "Go/10", "Go/32", "Go/38", "Go/50", "Go/72"}
    for name in ("CPP/38", "Go/10", "Go/32", "Go/38", "Go/50"):
        assert causes[name].startswith("cannot be solved in fixtests: it fails after the declaration (compile_error)")
    assert causes["Go/72"].startswith("cannot be solved in any scenario: the reading `paper` cuts it off")
    assert all(cause.endswith("; the reading `corrected` accepts it") for cause in causes.values())
    for check in (Check.BUGGY_PASSES, Check.UNTESTED):
        assert {finding.task_id for finding in found(checked, check)} == {"CPP/23"}
