"""Under `corrected` every right solution of every scenario passes and every buggy one fails.

Programs that say the same as those of the reading `paper` in fixtests are judged by `tests/golden_verdicts`, with every
verdict that is known of them; the others run here.
"""

from __future__ import annotations

import ast
import dataclasses
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from octopack_tasks import PAPER_LANGUAGES, Problem, Task, get_language, get_task, load_problems
from octopack_tasks.languages.syntax import descendants, encoded, leaves, parse, text_of
from octopack_tasks.readings import CORRECTED, PAPER, Reading
from sandboxes import Limits, Program, open_sandbox

SCENARIOS = ("fixtests", "fixdocs", "synthesize", "explainsynthesize")
IMPORTS = ("preproc_include", "using_declaration", "import_spec", "package_clause")
# Many buggy solutions never end; how soon they are stopped changes no verdict.
LIMITS = Limits(cpu_seconds=5.0)


def program(reading: Reading, task: Task, problem: Problem, body: str) -> Program:
    start = task.scenario.shown_code(problem, task.language)
    attempt = reading.attempt(task, problem, start[len(start.rstrip()) :] + body, "instruct")
    assert attempt.has_answer
    [made] = reading.programs(task, problem, [attempt.solution])
    return made


def meaning(made: Program) -> object:
    """What of a program a compiler sees: no comments, documentation or layout, imports in any order and once."""
    if made.language == "python":
        tree = ast.parse(made.source)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None and len(node.body) > 1:
                del node.body[0]
        return ast.dump(tree)
    root = parse(get_language(made.language).grammar, encoded(made.source))
    imports = {" ".join(text_of(node).split()) for node in descendants(root, *IMPORTS)}
    imported = {
        leaf.id
        for node in descendants(root, *IMPORTS, "import_declaration")
        if made.language != "java"
        for leaf in leaves(node)
    }
    tokens = [text_of(leaf) for leaf in leaves(root) if leaf.id not in imported and not leaf.type.endswith("comment")]
    return sorted(imports), " ".join(token for token in tokens if token.strip())


def unlike_the_paper(shared: Path, language: str) -> Iterator[tuple[tuple[str, str, str], Program]]:
    """Programs by scenario, problem and kind, each meaning once, but for those which are judged elsewhere as hoped."""
    with gzip.open(shared / "golden" / "verdicts.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    passed = {(row["task_id"], row["kind"]): row["passed"] for row in rows}
    fixtests = get_task(f"humanevalfixtests-{language}")
    for problem in load_problems(language, str(shared / "data" / "humanevalpack")):
        for kind, body in (("canonical", problem.canonical_solution), ("buggy", problem.buggy_solution)):
            known = {repr(meaning(program(PAPER, fixtests, problem, body)))}
            if passed[problem.task_id, kind] is not (kind == "canonical"):
                known = set()
            for scenario in SCENARIOS if kind == "canonical" else ("fixtests", "fixdocs"):
                asked = dataclasses.replace(problem, description="It does something.", candidate=0)
                made = program(CORRECTED, get_task(f"humaneval{scenario}-{language}"), asked, body)
                said = repr(meaning(made))
                if said not in known:
                    known.add(said)
                    yield (scenario, problem.task_id, kind), made


@pytest.mark.docker
@pytest.mark.parametrize("language", PAPER_LANGUAGES)
def test_right_solutions_pass_and_buggy_ones_fail(language: str, shared: Path) -> None:
    jobs = {key: dataclasses.replace(made, limits=LIMITS) for key, made in unlike_the_paper(shared, language)}
    with open_sandbox(languages=[language]) as sandbox:
        verdicts = dict(zip(jobs, sandbox.run(list(jobs.values())), strict=True))
    wrong = {
        key: (verdict.status.value, verdict.detail, verdict.stderr[-300:])
        for key, verdict in verdicts.items()
        if verdict.passed is not (key[2] == "canonical")
    }
    assert not wrong
