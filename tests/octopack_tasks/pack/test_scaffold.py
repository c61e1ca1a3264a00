"""A problem from its declaration to rows that are evaluated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from octopack_tasks import LANGUAGES, load_problems
from octopack_tasks.errors import UserError
from octopack_tasks.evaluation import evaluate
from octopack_tasks.generation import Sampling, open_backend
from octopack_tasks.pack.bugs import propose_bugs
from octopack_tasks.pack.mutations import BugType
from octopack_tasks.pack.scaffold import new_problem, read_problem, solution_file, write_bug, write_rows
from octopack_tasks.pack.signatures import SPELLINGS, Case, Signature
from octopack_tasks.pack.sources import BugKind
from octopack_tasks.pack.symptoms import Symptom
from sandboxes import Program, open_sandbox

SIGNATURE = "heavy_parcels(parcel_weights: list[int], limit: int) -> list[int]"
BODIES = {
    "python": "    heavy = []\n    for weight in parcel_weights:\n        if weight > limit:\n"
    "            heavy.append(weight)\n    return heavy\n",
    "cpp": "    vector<int> heavy;\n    for (int weight : parcel_weights) {\n        if (weight > limit) {\n"
    "            heavy.push_back(weight);\n        }\n    }\n    return heavy;\n}\n",
    "js": "  const heavy = [];\n  for (const weight of parcelWeights) {\n    if (weight > limit) {\n"
    "      heavy.push(weight);\n    }\n  }\n  return heavy;\n}\n",
    "typescript": "  const heavy: number[] = [];\n  for (const weight of parcelWeights) {\n    if (weight > limit) {\n"
    "      heavy.push(weight);\n    }\n  }\n  return heavy;\n}\n",
    "java": "        List<Integer> heavy = new ArrayList<>();\n        for (int weight : parcelWeights) {\n"
    "            if (weight > limit) {\n                heavy.add(weight);\n            }\n        }\n"
    "        return heavy;\n    }\n}",
    "go": "    var heavy []int\n    for _, weight := range parcelWeights {\n        if weight > limit {\n"
    "            heavy = append(heavy, weight)\n        }\n    }\n    return heavy\n}\n",
    "rust": "    let mut heavy = Vec::new();\n    for weight in parcel_weights {\n        if weight > limit {\n"
    "            heavy.push(weight);\n        }\n    }\n    return heavy;\n}\n",
}


@pytest.fixture
def declared(tmp_path: Path) -> Callable[..., Path]:
    """Makes a problem's folder and fills it in."""

    def make(languages: list[str] | None = None) -> Path:
        new_problem(SIGNATURE, tmp_path / "problems", languages)
        folder = tmp_path / "problems" / "heavy_parcels"
        about = {
            "signature": SIGNATURE,
            "documentation": "Return the parcels that weigh more than the limit.\n{name} keeps their order.\n",
            "examples": "heavy_parcels([5, 1, 7], 4) == [5, 7]\n",
            "tests": "# nothing\nheavy_parcels([], 3) == []\nheavy_parcels([3, 4, 2], 3) == [4]\n\n"
            "heavy_parcels([9, 1, 8], 0) == [9, 1, 8]\n",
        }
        (folder / "problem.yaml").write_text(yaml.safe_dump(about))
        for language in languages or SPELLINGS:
            file = folder / solution_file(language)
            unwritten = SPELLINGS[language].unwritten
            code = file.read_text()
            assert code.endswith(unwritten)
            file.write_text(code.removesuffix(unwritten) + BODIES[language])
        return folder

    return make


def test_every_language_has_a_spelling() -> None:
    assert set(SPELLINGS) == set(LANGUAGES) == set(BODIES)


def test_from_new_to_rows_that_are_evaluated_in_all_languages(declared: Callable[..., Path], tmp_path: Path) -> None:
    folder = declared()
    problem = read_problem(folder)
    assert set(problem.solutions) == set(LANGUAGES)
    with open_sandbox(languages=tuple(problem.solutions)) as sandbox:
        proposals = propose_bugs(problem.problems(), sandbox, [BugType.OPERATOR_MISUSE], limit=1)
    (proposal,) = proposals
    assert "`>` becomes `>=`" in proposal.description
    assert proposal.symptom is Symptom.INCORRECT_OUTPUT
    assert set(proposal.mutants) == set(LANGUAGES)
    assert not proposal.lacking
    assert not proposal.similar
    kind = BugKind(proposal.bug_type.value, proposal.symptom.value)
    codes = {language: mutant.code for language, mutant in proposal.mutants.items()}
    write_bug(folder, kind, codes, proposal.description)

    assert write_rows(tmp_path / "problems", tmp_path / "pack", "My") == dict.fromkeys(LANGUAGES, 1)
    for language in LANGUAGES:
        row = json.loads((tmp_path / "pack" / f"{language}.jsonl").read_text())
        assert row["bug_type"] == "operator misuse"
        assert row["buggy_solution"] == row["canonical_solution"].replace("> limit", ">= limit")
        assert row["docstring"].startswith("Return the parcels that weigh more than the limit.\n")
        assert f"{row['entry_point']} keeps their order." in row["docstring"]
        assert row["signature"] in row["instruction"]
        assert row["entry_point"] in row["signature"]
        assert row["task_id"].startswith("My")
    for model, expected in (("canonical", 1.0), ("buggy", 0.0)):
        backend = open_backend("replay", model, sampling=Sampling())
        tasks = [f"humanevalfixtests-{language}" for language in LANGUAGES]
        results = evaluate(tasks, backend, dataset=str(tmp_path / "pack"))
        assert {task: results[task].pass_at(1) for task in tasks} == dict.fromkeys(tasks, expected)


def test_bugs_of_all_types_fail_and_come_in_turn(declared: Callable[..., Path]) -> None:
    problem = read_problem(declared(["python"]))
    with open_sandbox(languages=["python"]) as sandbox:
        proposals = propose_bugs(problem.problems(), sandbox)
        limited = propose_bugs(problem.problems(), sandbox, limit=2)
    # the function has no value and calls one other function
    assert {proposal.bug_type for proposal in proposals} >= set(BugType) - {
        BugType.FUNCTION_MISUSE,
        BugType.VALUE_MISUSE,
    }
    assert len({proposal.bug_type for proposal in proposals[:4]}) == 4
    assert len(limited) <= 2
    assert len({proposal.mutants["python"].code for proposal in proposals}) == len(proposals)
    for proposal in proposals:
        assert proposal.mutants["python"].code not in ("", problem.solutions["python"].right)


def test_a_right_solution_that_fails_is_named(declared: Callable[..., Path]) -> None:
    folder = declared(["python"])
    file = folder / "solution.py"
    file.write_text(file.read_text().replace("> limit", "< limit"))
    with (
        open_sandbox(languages=["python"]) as sandbox,
        pytest.raises(UserError, match="the right solution in python does not pass the tests"),
    ):
        propose_bugs(read_problem(folder).problems(), sandbox)


def test_new_keeps_what_is_there(tmp_path: Path) -> None:
    first = new_problem("half(x: float) -> float", tmp_path, ["python"])
    assert [file.name for file in first] == ["problem.yaml", "solution.py"]
    (tmp_path / "half" / "solution.py").write_text("mine")
    more = new_problem("half(x: float) -> float", tmp_path, ["python", "go"])
    assert [file.name for file in more] == ["solution.go"]
    assert (tmp_path / "half" / "solution.py").read_text() == "mine"
    with pytest.raises(UserError, match="holds another problem"):
        new_problem("half(x: int) -> float", tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("problem.yaml", "heavy_parcels([], 3) == []", "heavy_parcels([]) == []", "has 1 values for 2 parameters"),
        ("problem.yaml", "heavy_parcels([], 3) == []", "heavy_parcels([1.5], 3) == []", "which is no list\\[int\\]"),
        ("problem.yaml", "heavy_parcels([], 3) == []", "heavy_parcels([], 3) is []", "a case reads"),
        ("problem.yaml", "heavy_parcels([], 3) == []", "heavy_parcels([], 3) == [2147483648]", "more than 32 bits"),
        ("problem.yaml", "heavy_parcels([], 3) == []", "light([], 3) == []", "a case reads heavy_parcels"),
        ("problem.yaml", "tests:", "toasts:", "field `tests` is empty"),
        ("problem.yaml", "documentation:", "docs:", "field `documentation` is not written yet"),
        ("problem.yaml", "{name} keeps", "*/ keeps", r"`documentation` holds `\*/`, which ends or breaks"),
        ("problem.yaml", "{name} keeps", "By def it keeps", "`documentation` holds `def `"),
        ("problem.yaml", "{name} keeps", r"C:\users keeps", r"`documentation` holds `\\u`"),
        ("problem.yaml", "signature:", "signature: [", "cannot be read"),
        ("solution.py", "limit: int", "limit", "must begin the function"),
        ("solution.py", "    return heavy", "    # write the solution here", "is not written yet"),
    ],
)
def test_what_is_wrong_is_named(declared: Callable[..., Path], file: str, old: str, new: str, message: str) -> None:
    folder = declared(["python"])
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message):
        read_problem(folder)


def test_rows_are_written_whole_or_not_at_all(declared: Callable[..., Path], tmp_path: Path) -> None:
    folder = declared(["python", "go"])
    with pytest.raises(UserError, match=r"buggy\.py is missing"):
        write_rows(tmp_path / "problems", tmp_path / "pack")
    for name in ("py", "go"):
        (folder / f"buggy.{name}").write_text((folder / f"solution.{name}").read_text().replace("> limit", "< limit"))
    with pytest.raises(UserError, match=r"bug\.yaml is missing"):
        write_rows(tmp_path / "problems", tmp_path / "pack")
    (folder / "bug.yaml").write_text("bug_type: bad luck\nfailure_symptoms: incorrect output\n")
    with pytest.raises(UserError, match="field `bug_type` is 'bad luck'"):
        write_rows(tmp_path / "problems", tmp_path / "pack")
    (folder / "bug.yaml").write_text("bug_type: operator misuse\nfailure_symptoms: incorrect output\n")
    (tmp_path / "problems" / "other").mkdir()
    for name in ("problem.yaml", "solution.py"):
        text = (folder / name).read_text()
        (tmp_path / "problems" / "other" / name).write_text(text.replace("heavy_parcels", "other"))
    with pytest.raises(UserError, match=r"other/solution\.go is missing"):
        write_rows(tmp_path / "problems", tmp_path / "pack")
    assert not (tmp_path / "pack").exists()
    for name in ("problem.yaml", "solution.py"):
        (tmp_path / "problems" / "other" / name).write_text((folder / name).read_text())
    with pytest.raises(UserError, match="are both about heavy_parcels"):
        write_rows(tmp_path / "problems", tmp_path / "pack")
    (tmp_path / "problems" / "other" / "problem.yaml").unlink()
    assert write_rows(tmp_path / "problems", tmp_path / "pack") == {"python": 1, "go": 1}
    assert load_problems("go", tmp_path / "pack")[0].entry_point == "HeavyParcels"
    with pytest.raises(UserError, match="holds no problems"):
        write_rows(tmp_path / "pack", tmp_path / "pack")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f(x)", "a signature reads"),
        ("f(x: int)", "a signature reads"),
        ("f() -> int", "at least one parameter"),
        ("f(x: int = 1) -> int", "no defaults"),
        ("f(x) -> int", "a missing type"),
        ("f(x: dict[str, int]) -> int", "the types that every language has"),
        ("countVowels(x: str) -> int", "must be in snake_case"),
        ("f(func: int) -> int", "no reserved word"),
        ("f(trait: int) -> int", "no reserved word"),  # Rust
        ("f(register: int) -> int", "no reserved word"),  # C++
        ("f(arguments: int) -> int", "no reserved word"),  # TypeScript
        ("f(string: str) -> str", "no reserved word"),  # C++, with `using namespace std`
        ("check(x: int) -> int", "cannot be called 'check'"),  # Python's tests
        ("f(f: int) -> int", "two things have the same name"),
        ("f(x_1: int, x1: int) -> int", "two things have the same name"),  # JavaScript
        ("f(x: " + "list[" * 5000 + "int" + "]" * 5000 + ") -> int", "a signature reads"),
        ("f(x: int) -> int: import os\ndef g()", "a signature reads"),
    ],
)
def test_signatures_that_do_not_fit_all_languages(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Signature.parse(text)


def test_examples_cannot_end_the_documentation(tmp_path: Path) -> None:
    new_problem("shout(text: str) -> str", tmp_path, ["python"])
    folder = tmp_path / "shout"
    (folder / "solution.py").write_text("def shout(text: str) -> str:\n    return text.upper()\n")

    def examples_are(calls: str) -> None:
        about = {"signature": "shout(text: str) -> str", "documentation": "Shout.", "tests": "shout('a') == 'A'"}
        (folder / "problem.yaml").write_text(yaml.safe_dump(about | {"examples": calls}))

    examples_are(r"""shout("\\\\u \"\"\" ü") == "\\\\U \"\"\" Ü" """)
    assert read_problem(folder).row("python")["docstring"].startswith("Shout.")
    for example in ("shout('*/') == '*/'", "shout('x') == '/*'", "shout(\"'''\") == ''"):
        examples_are(example)
        with pytest.raises(UserError, match="field `examples` holds"):
            read_problem(folder)


def test_a_comment_is_not_taken_for_the_documentation(declared: Callable[..., Path]) -> None:
    folder = declared(["cpp"])
    file = folder / "solution.cpp"
    code = file.read_text()
    head = SPELLINGS["cpp"].head(Signature.parse(SIGNATURE))
    file.write_text(code.replace(head, f"// Not needed yet.\nint helper();\n{head}"))
    assert read_problem(folder).row("cpp")["docstring"].startswith("Return the parcels")
    file.write_text(code.replace(head, f"/* Not needed yet. */\nint helper();\n{head}"))
    with pytest.raises(UserError, match=r"solution\.cpp: .* a comment above the function: 'Not needed yet\.'"):
        read_problem(folder).row("cpp")


def test_a_byte_order_mark_is_no_code(declared: Callable[..., Path]) -> None:
    folder = declared(["js"])
    code = (folder / "solution.js").read_text()
    (folder / "solution.js").write_text(code, encoding="utf-8-sig", newline="\r\n")
    solution = read_problem(folder).solutions["js"]
    assert solution.declaration + solution.right == "\n" + code


UNCHANGED = {
    "python": "    return x\n",
    "cpp": "    return x;\n}\n",
    "js": "  return x\n}\n",
    "typescript": "  return x\n}\n",
    "java": "        return x;\n    }\n}",
    "go": "    if len(x) == 1 && len(x[0]) == 0 {\n        x[0] = nil\n    }\n    return x\n}\n",
    "rust": "    x.into_iter().map(|xs| xs.into_iter().map(|each| each.into()).collect()).collect()\n}\n",
}


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (
            "list[list[float]]",
            ["f([[0.1], [], [2]]) == [[0.1000000001], [], [2]]", "f([[]]) == [[]]", "f([]) == []"],
            ["f([[0.1]]) == [[0.1001]]", "f([[0.1, 0.1]]) == [[0.1]]"],
        ),
        (
            "list[list[str]]",
            [
                'f([["a \\u2028", "b"], [], ["\\\\"]]) == [["a \\u2028", "b"], [], ["\\\\"]]',
                "f([[]]) == [[]]",
                "f([]) == []",
            ],
            ["f([[]]) == [[], []]"],
        ),
    ],
)
def test_lists_are_compared_item_by_item_in_every_language(
    kind: str, right: list[str], wrong: list[str], tmp_path: Path
) -> None:
    signature = f"f(x: {kind}) -> {kind}"
    new_problem(signature, tmp_path)
    for language, body in UNCHANGED.items():
        file = tmp_path / "f" / solution_file(language)
        file.write_text(file.read_text().replace(SPELLINGS[language].unwritten, body))
    programs, expected = [], []
    for tests in ("\n".join(right), *wrong):
        about = {"signature": signature, "documentation": "Return it.", "tests": tests}
        (tmp_path / "f" / "problem.yaml").write_text(yaml.safe_dump(about))
        for language, problem in read_problem(tmp_path / "f").problems().items():
            assembled = LANGUAGES[language].assemble(problem.declaration + problem.canonical_solution, problem)
            programs.append(Program(language, assembled.source, assembled.test_offset))
            expected.append((language, tests, tests not in wrong))
    with open_sandbox(languages=tuple(UNCHANGED)) as sandbox:
        verdicts = sandbox.run(programs)
    passed = [(*each[:2], verdict.passed) for each, verdict in zip(expected, verdicts, strict=True)]
    assert passed == expected, [verdict.stderr for verdict in verdicts]
    assert {verdict.status.value for verdict in verdicts} == {"passed", "failed"}  # no comparison is a compile error


def test_values_are_spelled_in_every_language() -> None:
    signature = Signature.parse("f(words: list[str], grid: list[list[float]], yes: bool) -> str")
    case = Case.parse(r'f(["a\"b", "ü\n"], [[1, -2.5], []], True) == "\\"', signature, "here")
    calls = {name: spelling.call(signature, case) for name, spelling in SPELLINGS.items()}
    assert calls == {
        "python": r'f(["a\"b", "ü\n"], [[1.0, -2.5], []], True)',
        "cpp": r'f(vector<string>{"a\"b", "ü\n"}, vector<vector<double>>{vector<double>{1.0, -2.5}, vector<double>{}}, '
        "true)",
        "js": r'f(["a\"b", "ü\n"], [[1.0, -2.5], []], true)',
        "typescript": r'f(["a\"b", "ü\n"], [[1.0, -2.5], []], true)',
        "java": r'f(new ArrayList<String>(Arrays.asList("a\"b", "ü\n")), new ArrayList<List<Double>>(Arrays.asList('
        "new ArrayList<Double>(Arrays.asList(1.0, -2.5)), new ArrayList<Double>(Arrays.asList()))), true)",
        "go": r'F([]string{"a\"b", "ü\n"}, [][]float64{[]float64{1.0, -2.5}, []float64{}}, true)',
        "rust": r'f(vec!["a\"b", "ü\n"], vec![vec![1.0, -2.5], vec![]], true)',
    }


def test_results_of_every_type_are_compared_in_every_language(tmp_path: Path) -> None:
    results = {"int": "3", "float": "0.5", "str": '"a\\"ü"', "bool": "False", "list[str]": '["a"]', "list[int]": "[]"}
    for kind, result in results.items():
        signature = Signature.parse(f"f(x: {kind}) -> {kind}")
        case = Case.parse(f"f({result}) == {result}", signature, "here")
        for spelling in SPELLINGS.values():
            test = spelling.tests(signature, [case])
            assert spelling.call(signature, case) in test
