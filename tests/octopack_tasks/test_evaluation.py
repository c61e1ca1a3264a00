"""Generate and score: completions in, numbers out; whatever fails, what was done is kept."""

from __future__ import annotations

import gzip
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stand_ins import StandInModel, StandInSandbox

import octopack_tasks.evaluation as evaluation
from octopack_tasks import UserError, get_task, load_problems
from octopack_tasks.comparison import compare, sign_flip_test
from octopack_tasks.evaluation import (
    ModelChoice,
    evaluate,
    generate,
    generate_and_score,
    import_recordings,
    load,
    score,
    start,
    status_of,
)
from octopack_tasks.generation import Finish, Sampling, Stop, open_backend
from octopack_tasks.judging import note_environment
from octopack_tasks.merging import merge
from octopack_tasks.plans import Plan, Shard, TaskPlan, TooLong
from octopack_tasks.readings import CORRECTED, PAPER
from octopack_tasks.recordings import merged_generations, read_recordings
from octopack_tasks.results import NO_ANSWER, summarize
from octopack_tasks.runs import Run
from sandboxes import SandboxError, Status, Verdict

MODEL = ModelChoice("stand-in", "model")


def plan_of(*names: str, n_samples: int = 2, **options: Any) -> Plan:
    return Plan(tuple(TaskPlan(name, n_samples=n_samples, max_length=99_999) for name in names), "starter", **options)


def run_plan(folder: Path, plan: Plan, model: Any = None, sandbox: Any = None, **options: Any) -> Run:
    works = plan.load()
    model = model or StandInModel()
    with Run(folder).locked() as run:
        start(run, plan, works, MODEL)
        generate_and_score(run, plan, works, lambda: model, sandbox or StandInSandbox(), **options)
    return Run(folder)


def test_a_problem_is_judged_while_the_model_still_writes(tmp_path: Path) -> None:
    sandbox = StandInSandbox()
    judged_meanwhile = []

    class Watched(StandInModel):
        def generate(self, requests: Any) -> Iterator[Any]:
            for completion in super().generate(requests):
                yield completion
                deadline = time.monotonic() + 60  # a judge that works meanwhile gets there, however busy the machine is
                while len(judged_meanwhile) == 40 and not sandbox.judged and time.monotonic() < deadline:
                    time.sleep(0.01)
                judged_meanwhile.append(sandbox.judged)

    run_plan(tmp_path, plan_of("humanevalfixtests-python", n_samples=5), Watched(), sandbox)
    assert 0 < judged_meanwhile[-2] < sandbox.judged == 50


def test_a_failing_model_loses_nothing_and_the_same_command_goes_on(tmp_path: Path) -> None:
    plan = plan_of("humanevalfixtests-python", n_samples=3)
    with pytest.raises(ConnectionError):
        run_plan(tmp_path / "run", plan, StandInModel(fails_after=10))
    run = Run(tmp_path / "run")
    assert len(run.samples("humanevalfixtests-python")) == 10
    assert len(run.judgements("humanevalfixtests-python", "paper")) == 9  # of the three problems that were complete
    (status,) = status_of(run, load(run))
    assert (status.samples, status.expected, status.judged, status.is_complete) == (10, 30, 9, False)
    assert len(status.lacking) == 7

    model = StandInModel()
    run_plan(tmp_path / "run", plan, model)
    assert [request.samples for request in model.asked] == [(1, 2)] + [(0, 1, 2)] * 6
    assert model.closed
    run_plan(tmp_path / "other", plan)
    assert run.judgements("humanevalfixtests-python", "paper") == Run(tmp_path / "other").judgements(
        "humanevalfixtests-python", "paper"
    )
    assert status_of(run, load(run))[0].is_complete


def test_a_complete_run_loads_no_model(tmp_path: Path) -> None:
    plan = plan_of("humanevalfixtests-python")
    run_plan(tmp_path, plan)
    sandbox = StandInSandbox()
    with Run(tmp_path).locked() as run:
        generate_and_score(run, plan, plan.load(), lambda: pytest.fail("it loads the model"), sandbox)
    assert sandbox.judged == 0


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    run_plan(tmp_path, plan_of("humanevalfixtests-python"))
    other = plan_of("humanevalfixtests-python", sampling=Sampling(temperature=0.8))
    with pytest.raises(UserError, match=r"sampling\.temperature is 0\.2, not 0\.8"):
        run_plan(tmp_path, other)
    plan = plan_of("humanevalfixtests-python")
    with Run(tmp_path).locked() as run, pytest.raises(UserError, match=r"model\.name is model, not another"):
        start(run, plan, plan.load(), ModelChoice("stand-in", "another"))


def test_recorded_answers_that_have_changed_are_not_taken_for_those_of_the_run(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    plan = plan_of("humanevalfixtests-python", n_samples=1)
    choice = ModelChoice("replay", str(answers))

    def replay(text: str) -> Run:
        lines = [{"task_id": problem.task_id, "completion": text} for problem in load_problems("python", "starter")]
        answers.write_text("\n".join(map(json.dumps, lines)))
        with Run(tmp_path / "run").locked() as run:
            start(run, plan, plan.load(), choice)
            generate(run, plan, plan.load(), lambda: choice.open(plan.sampling))
        return run

    assert replay("a").manifest["loaded_model"]["fingerprint"] == choice.fingerprint()
    replay("a")
    with pytest.raises(UserError, match=r"answers\.jsonl has changed since .*run was begun with it"):
        replay("b")


def test_weights_of_one_size_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    weights = bytearray(range(256)) * 20_000
    (tmp_path / "model.safetensors").write_bytes(weights)
    choice = ModelChoice("vllm", str(tmp_path))
    before = choice.fingerprint()
    assert choice.fingerprint() == before
    (tmp_path / "model.safetensors").write_bytes(bytes(byte ^ 1 for byte in weights))
    assert choice.fingerprint() not in (before, None)
    assert ModelChoice("vllm", "name/on-the-hub").fingerprint() is None
    assert ModelChoice("replay", "canonical").fingerprint() is None


def test_a_run_that_came_to_nothing_is_begun_anew(tmp_path: Path) -> None:
    plan = plan_of("humanevalfixtests-python")
    with Run(tmp_path).locked() as run:
        start(
            run, plan, plan.load(), ModelChoice("stand-in", "misspelt"), ["octopack", "evaluate", "--model", "misspelt"]
        )
    run = run_plan(tmp_path, plan)
    assert run.manifest["settings"]["model"]["name"] == "model"
    assert "misspelt" not in run.manifest["command"]


def test_a_run_goes_on_where_its_dataset_lies_now(tmp_path: Path) -> None:
    rows = [json.dumps(problem.to_row()) for problem in load_problems("python", "starter")]
    for place, lines in (("there", rows), ("here", rows), ("other", rows[::-1])):
        (tmp_path / place).mkdir()
        (tmp_path / place / "python.jsonl").write_text("\n".join(lines))

    def plan_at(place: str) -> Plan:
        return Plan(plan_of("humanevalfixtests-python").tasks, str(tmp_path / place))

    with pytest.raises(ConnectionError):
        run_plan(tmp_path / "run", plan_at("there"), StandInModel(fails_after=5))
    (tmp_path / "there" / "python.jsonl").unlink()
    run = run_plan(tmp_path / "run", plan_at("here"))
    assert status_of(run, load(run))[0].is_complete
    with pytest.raises(UserError, match=r"other settings: dataset is .*here, not .*other; .*dataset_sha256"):
        run_plan(tmp_path / "run", plan_at("other"))


def test_a_run_goes_on_at_another_pace_and_its_parts_are_put_together(tmp_path: Path) -> None:
    shards = [plan_of("humanevalfixtests-python", shard=Shard(index, 2)) for index in range(2)]
    runs = [run_plan(tmp_path / str(index), plan, StandInModel()) for index, plan in enumerate(shards)]
    with runs[0].locked():
        for options in ({"concurrency": 64, "requests_per_minute": 90}, {"concurrency": 2}, {"batch_size": 1}):
            start(runs[0], shards[0], shards[0].load(), ModelChoice("stand-in", "model", options=options))
        assert runs[0].manifest["settings"]["model"]["options"] == {"batch_size": "1"}
        with pytest.raises(UserError, match=r"other settings: model\.options\.dtype is absent, not float16"):
            start(runs[0], shards[0], shards[0].load(), ModelChoice("stand-in", "model", options={"dtype": "float16"}))
    merge(runs, merged := Run(tmp_path / "merged"))
    assert all(status.is_complete for status in status_of(merged, load(merged)))


def test_keys_are_in_no_file(tmp_path: Path) -> None:
    plan = plan_of("humanevalfixtests-python")
    command = [
        *("octopack", "evaluate", "--tasks", "humanevalfixtests-python"),
        *("--model-args", "concurrency=2,api_key=SECRET,max_retries=3"),
        *("--model-args=token=SECRET", '--model-args=extra_body={"api_key": "SECRET"}'),
    ]
    options = {"api_key": "SECRET", "extra_body": {"api_key": "SECRET", "top_k": 4}}
    with Run(tmp_path).locked() as run:
        start(run, plan, plan.load(), ModelChoice("openai", "model", options=options), command)
    assert "SECRET" not in (tmp_path / "manifest.json").read_text()
    assert run.manifest["command"][5] == "concurrency=2,api_key=***,max_retries=3"
    assert "'top_k': 4" in run.manifest["settings"]["model"]["options"]["extra_body"]


def test_another_environment_is_refused_until_asked_for(tmp_path: Path) -> None:
    plan = plan_of("humanevalfixtests-python")
    run_plan(tmp_path, plan)
    other = StandInSandbox(digest="4567")
    with Run(tmp_path).locked() as run:
        with pytest.raises(UserError, match=r"digest is 0123, not 4567.*--again"):
            score(run, load(run), other)
        run.drop_judgements("paper")
        score(run, load(run), other)
        assert run.manifest["scoring"]["paper"]["digest"] == "4567"
    assert other.judged == 20


def test_a_fault_of_the_sandbox_is_no_wrong_answer(tmp_path: Path) -> None:
    class Faulty(StandInSandbox):
        def stream(self, programs: Any) -> Iterator[tuple[int, Verdict]]:
            for index, verdict in super().stream(programs):
                if index % 7:
                    yield index, verdict
            raise SandboxError("3 program(s) could not be judged")

    plan = plan_of("humanevalfixtests-python")
    with pytest.raises(UserError, match="Completions and verdicts are kept"):
        run_plan(tmp_path, plan, sandbox=Faulty())
    run = Run(tmp_path)
    assert len(run.samples("humanevalfixtests-python")) == 20
    assert len(run.judgements("humanevalfixtests-python", "paper")) == 14
    with run.locked():
        score(run, load(run), StandInSandbox())
    assert len(run.judgements("humanevalfixtests-python", "paper")) == 20


@pytest.mark.parametrize("language", ["python", "go", "rust"])
def test_describe_then_synthesize_in_one_go(tmp_path: Path, language: str) -> None:
    model = StandInModel()
    run = run_plan(
        tmp_path,
        plan_of(f"humanevalexplaindescribe-{language}", f"humanevalexplainsynthesize-{language}", n_samples=3),
        model,
    )
    described, asked = model.asked[:10], model.asked[10:]
    assert [request.samples for request in described] == [(0, 1, 2)] * 10
    assert [request.samples for request in asked] == [(0,)] * 30
    assert [request.problem.candidate for request in asked[:4]] == [0, 1, 2, 0]
    works = load(run)
    results = summarize(run, works, "paper")
    synthesized = results[f"humanevalexplainsynthesize-{language}"]
    assert (synthesized.samples, synthesized.missing) == (30, 0)
    assert (synthesized.problems, synthesized.scores[0].problems) == (10, 10)  # each with three descriptions
    assert results[f"humanevalexplaindescribe-{language}"].scores == ()

    # The descriptions of that run, in a run of its own.
    later = StandInModel()
    run_plan(tmp_path / "later", plan_of(f"humanevalexplainsynthesize-{language}", descriptions=str(tmp_path)), later)
    assert [request.prompt for request in later.asked] == [request.prompt for request in asked]


def test_descriptions_in_the_references_shape(tmp_path: Path) -> None:
    texts = [[f"description {index} {candidate}" for candidate in range(2)] for index in range(10)]
    file = tmp_path / "generations.json"
    file.write_text(json.dumps(texts))
    model = StandInModel()
    run_plan(tmp_path / "run", plan_of("humanevalexplainsynthesize-python", descriptions=str(file)), model)
    assert ["description 3 1" in request.prompt.text for request in model.asked].count(True) == 1
    with pytest.raises(UserError, match="needs descriptions"):
        plan_of("humanevalexplainsynthesize-python").load()


def test_prompts_that_are_too_long_are_counted_then_refused_or_skipped(tmp_path: Path) -> None:
    problems = load_problems("python", "starter")
    task = get_task("humanevalfixtests-python")
    lengths = sorted(len(task.prompt(problem).text) for problem in problems)
    context = lengths[6]  # seven prompts have no room
    plan = plan_of("humanevalfixtests-python")
    with pytest.raises(UserError, match=rf"^4 prompt\(s\) leave no room.*context of {context} tokens.*--too-long skip"):
        run_plan(tmp_path / "fail", plan, StandInModel(context_length=context))
    assert Run(tmp_path / "fail").samples(task.name) == []
    run = run_plan(tmp_path / "skip", plan, StandInModel(context_length=context), too_long=TooLong.SKIP)
    samples = run.samples(task.name)
    assert sum(sample.finish is Finish.PROMPT_TOO_LONG for sample in samples) == 8
    result = summarize(run, load(run), "paper")[task.name]
    assert (result.too_long, result.samples, result.missing) == (8, 20, 0)


def test_failures_of_extraction_are_told_from_wrong_code(tmp_path: Path) -> None:
    answers = {
        problem.task_id: ["Sorry, no.", problem.buggy_solution] for problem in load_problems("python", "starter")
    }
    results = _evaluated(answers, passes=lambda source: False)
    assert results["humanevalfixtests-python"].outcomes == {NO_ANSWER: 10, "failed": 10}


def _evaluated(completions: Any, passes: Any, **options: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "open_sandbox", lambda *_, **__: StandInSandbox(passes))
        return evaluate("humanevalfixtests-python", completions, dataset="starter", **options)


def test_the_library_function_scores_given_completions() -> None:
    problems = load_problems("python", "starter")
    right = {
        problem.task_id: ["\n" + problem.canonical_solution, "\n" + problem.buggy_solution] for problem in problems
    }
    wanted = {f"{problem.canonical_solution.rstrip()}\n\n{problem.test}" for problem in problems}
    results = _evaluated(right, passes=lambda source: any(text in source for text in wanted), ks=[1, 2])
    result = results["humanevalfixtests-python"]
    assert (result.pass_at(1), result.pass_at(2)) == (0.5, 1.0)
    assert sum(kind.problems for kind in result.bug_types.values()) == 10
    with pytest.raises(UserError, match=r"no pass@3"):
        result.pass_at(3)
    json.dumps(results.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("completions", "message"),
    [
        ({}, "no completions are given"),
        ({"StarterPython/0": []}, "no completions are given"),
        ({"StarterPython/0": ["text"]}, "no completions for StarterPython/1"),
        ({"StarterPython/0": ["text"], "Other/0": ["text"]}, "1 of 2 completions are .* not have .'Other/0'"),
        ({"StarterPython/0": ["a"], "StarterPython/1": ["a", "b"]}, "1 for StarterPython/0, 2 for StarterPython/1"),
        ({"StarterPython/0": "text"}, "must be a list of strings, not 'text'"),
        ({"StarterPython/0": [None]}, r"must be a list of strings, not \[None\]"),
    ],
)
def test_completions_that_do_not_fit_are_refused(completions: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        _evaluated(completions, passes=lambda _: True)


def test_a_run_of_other_completions_is_not_taken_for_these(tmp_path: Path) -> None:
    def all_are(text: str) -> dict[str, list[str]]:
        return {problem.task_id: [text] for problem in load_problems("python", "starter")}

    _evaluated(all_are("a"), passes=lambda _: True, out=tmp_path)
    (again,) = _evaluated(all_are("a"), passes=lambda _: False, out=tmp_path).values()
    assert again.pass_at(1) == 1, "the same is not judged again"
    with pytest.raises(UserError, match=r"other settings: model\.revision"):
        _evaluated(all_are("b"), passes=lambda _: True, out=tmp_path)


def test_a_run_is_complete_when_every_reading_it_is_scored_with_is(tmp_path: Path) -> None:
    plan = plan_of("humanevalfixtests-python", stop=Stop.NEVER)
    works = plan.load()
    with Run(tmp_path).locked() as run:
        start(run, plan, works, MODEL)
        generate_and_score(run, plan, works, StandInModel, StandInSandbox(), reading=CORRECTED)
        assert status_of(run, works)[0].is_complete
        note_environment(run, PAPER, StandInSandbox())
        assert (status_of(run, works)[0].judged, status_of(run, works)[0].is_complete) == (0, False)
        score(run, works, StandInSandbox())
        assert status_of(run, works)[0].is_complete


@pytest.mark.parametrize("language", ["python", "go"])
def test_lm_eval_gives_the_same_score_for_the_same_completions(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = pytest.importorskip("octopack_tasks.harnesses.lm_eval.task")
    name = f"humanevalfixtests-{language}"
    problems = load_problems(language, "starter")
    texts = {
        problem.task_id: ["\n" + problem.canonical_solution, "\n" + problem.buggy_solution, f"\n  {number}"]
        for number, problem in enumerate(problems)
    }

    class Pool(StandInSandbox):
        def run(self, programs: Any) -> list[Verdict]:
            return [verdict for _, verdict in self.stream(programs)]

    monkeypatch.setattr(plugin, "open_for", lambda *_: Pool())
    theirs = plugin.HumanEvalPackTask({"task": name, "metadata": {"dataset": "starter", "n_samples": 3}})
    documents = list(theirs.dataset["test"])
    read = theirs.read([texts[document["task_id"]] for document in documents], documents)
    scores = [theirs.process_results(document, [row]) for document, row in zip(documents, read, strict=True)]

    monkeypatch.setattr(evaluation, "open_sandbox", lambda *_, **__: Pool())
    ours = evaluate(name, texts, dataset="starter", ks=[1, 2, 3])[name]
    for k in (1, 2, 3):
        values = [value for row in scores for key, value in row.items() if key.startswith(f"pass@{k}")]
        assert len(values) == len(problems)
        assert sum(values) / len(values) == pytest.approx(ours.pass_at(k))


@pytest.mark.parametrize("prompt", ["instruct", "octocoder", "chat", "chat-without-prefill", "issue", "file"])
@pytest.mark.parametrize("model", ["canonical", "buggy"])
def test_replayed_solutions_come_back_whole(model: str, prompt: str) -> None:
    task = get_task("humanevalfixtests-java")
    plan = Plan((TaskPlan(task.name, prompt),), "starter")
    (work,) = plan.load()
    backend = open_backend("replay", model)
    requests = [work.request(problem, [0], Stop.PAPER) for problem in work.problems]
    for completion in backend.generate(requests):
        problem = completion.request.problem
        body = problem.canonical_solution if model == "canonical" else problem.buggy_solution
        solution = task.solution(problem, completion.text, prompt)
        assert "".join(solution.split()) == "".join((problem.declaration + body).split())


def test_recorded_answers_are_replayed(tmp_path: Path) -> None:
    plan = plan_of("humanevalfixtests-python")
    first = run_plan(tmp_path / "first", plan)
    replay = open_backend("replay", str(tmp_path / "first"))
    second = run_plan(tmp_path / "second", plan, replay)
    name = "humanevalfixtests-python"
    assert [s.completion for s in first.samples(name)] == [s.completion for s in second.samples(name)]
    with pytest.raises(UserError, match="holds no sample 2 of"):
        run_plan(tmp_path / "third", plan_of(name, n_samples=3), replay)
    with pytest.raises(UserError, match="takes canonical, buggy or"):
        open_backend("replay", "cannonical")


def test_a_file_of_completions_is_replayed_for_the_tasks_and_the_dataset_that_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCTOPACK_DATASET", str(tmp_path / "none"))
    name = "humanevalfixtests-python"
    ids = [problem.task_id for problem in load_problems("python", "starter")]
    lines = [{"task_id": task_id, "completion": f"{task_id} {sample}"} for task_id in ids for sample in range(2)]
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)))
    logged = [{"doc": {"task_id": id_}, "resps": [[f"{id_} {sample}" for sample in range(2)]]} for id_ in ids]
    (tmp_path / f"samples_{name}_2026-01-01.jsonl").write_text("\n".join(map(json.dumps, logged)))
    for number, file in enumerate(sorted(tmp_path.glob("*.jsonl"))):
        run = run_plan(tmp_path / str(number), plan_of(name), open_backend("replay", str(file)))
        assert {sample.completion for sample in run.samples(name)} == {line["completion"] for line in lines}
    descriptions = tmp_path / "descriptions.json"
    descriptions.write_text(json.dumps([["one", "two"]] * 10))
    plan = plan_of("humanevalexplainsynthesize-python", descriptions=str(descriptions))
    run = run_plan(tmp_path / "explained", plan, open_backend("replay", str(tmp_path / "lines.jsonl")))
    for sample in run.samples("humanevalexplainsynthesize-python"):
        assert sample.completion == f"{sample.task_id} {sample.candidate}"


# --- completions made elsewhere ---------------------------------------------------------------------------------------


def _imported(tmp_path: Path, *files: Path, sandbox: Any = None, **options: Any) -> Any:
    recordings = read_recordings(files, "starter", **options)
    with Run(tmp_path / "imported").locked() as run:
        import_recordings(run, recordings, "starter", ["command"])
        works = load(run)
        score(run, works, sandbox or StandInSandbox())
        return summarize(run, works, "paper")


def _answers(task_name: str) -> list[list[str]]:
    task = get_task(task_name)
    return [
        [task.answer(problem, "\n" + body) for body in (problem.canonical_solution, problem.buggy_solution)]
        for problem in load_problems(task.language.name, "starter")
    ]


def test_generations_files_of_all_languages_at_once(tmp_path: Path) -> None:
    for language in ("python", "go", "rust"):
        name = f"humanevalfixtests-{language}"
        (tmp_path / f"generations_{name}.json").write_text(json.dumps(_answers(name)))
        (tmp_path / f"references_{name}.json").write_text("[]")
    results = _imported(tmp_path, tmp_path)
    assert {result.samples for result in results.values()} == {20}
    assert set(results) == {f"humanevalfixtests-{language}" for language in ("python", "go", "rust")}


def test_the_same_completions_in_every_shape_give_the_same_verdicts(tmp_path: Path) -> None:
    name = "humanevalfixtests-python"
    problems = load_problems("python", "starter")
    texts = {
        problem.task_id: ["\n" + problem.canonical_solution, "\n" + problem.buggy_solution] for problem in problems
    }
    lines = [{"task_id": task_id, "completion": text} for task_id, both in texts.items() for text in both]
    logged = [
        {"doc": {"task_id": task_id}, "resps": [both], "filter": reading}
        for reading in ("paper", "other")
        for task_id, both in texts.items()
    ]
    shapes = {
        f"generations_{name}.json": json.dumps(_answers(name)),
        f"samples_{name}_2026-01-01T00-00-00.000000.jsonl": "\n".join(map(json.dumps, logged)),
        "lines.jsonl": "".join(json.dumps(line) + "\n" for line in lines),
    }
    scores = []
    for number, (file, content) in enumerate(shapes.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / file).write_text(content)
        result = _imported(folder, folder / file, task=name if file == "lines.jsonl" else None)[name]
        scores.append((result.scores, result.outcomes, result.samples))
    whole = _evaluated(texts, passes=StandInSandbox().passes)[name]
    assert scores == [(whole.scores, whole.outcomes, 20)] * 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is not JSON"),
        ("{}", "must hold a list of lists"),
        ('[["a"], "b"]', "item 1 must be a list of strings"),
        ('[["a"], [3]]', "item 1 must be a list of strings"),
        ('[["a"], []]', "item 1 is empty"),
        ('[["a"]]', r"holds samples of 1 problems, but starter \(python\) has 10.*--limit"),
        (json.dumps([["def stranger(): pass"]] * 10), "seem to answer another dataset"),
    ],
)
def test_a_generations_file_that_does_not_fit(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "generations_humanevalfixtests-python.json"
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        read_recordings([file], "starter")


def test_a_compressed_file_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl.gz"
    file.write_bytes(gzip.compress(b"{}"))
    with pytest.raises(UserError, match=r"it is compressed: gunzip -k .*samples\.jsonl\.gz"):
        read_recordings([file], "starter", "humanevalfixtests-python")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "line 1 is not JSON"),
        ("[" * 100_000, "line 1 is not JSON"),
        ("[]", "line 1 must be an object"),
        ('{"completion": "x"}', "must have a string `task_id`"),
        ('{"task_id": "Python/0"}', "must have a string `completion`"),
        ('{"task_id": "Python/999", "completion": "x"}', "line 1: no problem 'Python/999' .*; name the --dataset"),
        ('{"doc": {}, "resps": [["x"]]}', "is not a sample logged by lm-eval"),
        ('{"doc": {"task_id": "StarterPython/0", "test": "other"}, "resps": ["x"]}', "line 1: .*`test` differs"),
        ('[{"task_id": "StarterPython/0"}]', "item 0 must have a string `completion`"),
        ('{"task_id": "StarterPython/0", "completion": "x", "prompt_format": "none"}', "unknown prompt format 'none'"),
        ("", "holds no samples"),
    ],
)
def test_json_lines_that_do_not_fit(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(UserError, match=message):
        read_recordings([file], "starter", "humanevalfixtests-python")


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_makes_no_sense(tmp_path: Path, limit: int) -> None:
    file = tmp_path / "generations_humanevalexplainsynthesize-python.json"
    file.write_text(json.dumps([["def"]] * 10))
    with pytest.raises(UserError, match="--limit must be 1 or more"):
        read_recordings([file], "starter", limit=limit)


def test_json_lines_as_other_programs_write_them(tmp_path: Path) -> None:
    name = "humanevalfixtests-python"
    rows = [{"task_id": problem.task_id, "completion": "\n    pass"} for problem in load_problems("python", "starter")]
    lines = [json.dumps(row) for row in rows]
    contents = {
        "mark.jsonl": "\ufeff" + "\n".join(lines),
        "windows.jsonl": "\r\n".join([*lines, ""]),
        "list.json": json.dumps(rows, indent=2),
        "indented.jsonl": json.dumps(rows, indent=2),
        "blank.jsonl": "\n\n".join(lines),
    }
    for file, content in contents.items():
        (tmp_path / file).write_bytes(content.encode())
        (recording,) = read_recordings([tmp_path / file], "starter", name)
        assert [sample.task_id for sample in recording.samples] == [row["task_id"] for row in rows]


@pytest.mark.parametrize("name", ["humanevalfixtests-go", "humanevalexplainsynthesize-python"])
def test_the_prompt_format_of_samples_is_told_by_what_was_asked(tmp_path: Path, name: str) -> None:
    task = get_task(name)
    problem = replace(task.load("starter")[0], description="It adds.", candidate=0)
    file = tmp_path / f"samples_{name}_2026-01-01T00-00-00.000000.jsonl"
    told = {}
    for prompt_format in task.formats:
        prompt = task.prompt(problem, prompt_format)
        template = f"<user>{prompt.text}</user><assistant>{prompt.prefill}" if prompt.is_chat else prompt.text
        asked = [template, [json.dumps(prompt.messages)]] if prompt.is_chat else [template]
        for arguments in ({"gen_args_0": {"arg_0": text}} for text in asked):
            record = {"doc": problem.to_row(), "resps": [["text"]], "arguments": arguments}
            file.write_text(json.dumps(record))
            (recording,) = read_recordings([file], "starter")
            told[prompt_format] = recording.prompt
            assert task.prompt(problem, recording.prompt).messages == prompt.messages
    assert {told[each] for each in ("instruct", "octocoder", "chat")} == {"instruct", "octocoder", "chat"}
    file.write_text(json.dumps({**record, "arguments": {"gen_args_0": {"arg_0": "What else?"}}}))
    with pytest.raises(UserError, match="of no format that we know; name the format with --prompt"):
        read_recordings([file], "starter")
    assert read_recordings([file], "starter", prompt="chat")[0].prompt == "chat"
    odd: tuple[Any, ...] = ({}, [], 3, [{}], "[{", '[{"role": "user"}]')
    for no_prompt in odd:
        file.write_text(json.dumps({**record, "arguments": {"gen_args_0": {"arg_0": no_prompt}}}))
        assert read_recordings([file], "starter")[0].prompt == "instruct"
    file.write_text(json.dumps({"task_id": problem.task_id, "completion": "text", "prompt_format": "chat"}))
    assert read_recordings([file], "starter")[0].prompt == "chat"


def test_a_task_that_is_not_named_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text('{"task_id": "x", "completion": "x"}')
    with pytest.raises(UserError, match="--tasks"):
        read_recordings([file], "starter")


def test_generations_of_one_job_a_problem_are_merged() -> None:
    parts = [
        (Path("generations_10.json"), [["k"], ["l"]]),
        (Path("generations_2.json"), [["c"], ["d"]]),
        (Path("generations_0.json"), [["a", "b"]]),
    ]
    assert merged_generations(parts) == [["a", "b"], ["c", "d"], ["k", "l"]]


# --- parts of a run, and two runs -------------------------------------------------------------------------------------


def test_shards_put_together_equal_the_whole(tmp_path: Path) -> None:
    names = ("humanevalfixtests-python", "humanevalexplaindescribe-js", "humanevalexplainsynthesize-js")
    whole = run_plan(tmp_path / "whole", plan_of(*names))
    shards = [run_plan(tmp_path / f"shard{index}", plan_of(*names, shard=Shard(index, 3))) for index in range(3)]
    for shard, name in zip(shards[1:], ("model-0613", "model-1106"), strict=True):
        shard.write_manifest({**shard.manifest, "served_as": [name]})
    merged = Run(tmp_path / "merged")
    merge(shards, merged)
    assert merged.manifest["served_as"] == ["model-0613", "model-1106"]
    assert merged.manifest["settings"]["tasks"] == whole.manifest["settings"]["tasks"]
    works = load(merged)
    assert all(status.is_complete for status in status_of(merged, works))
    assert summarize(merged, works, "paper").tasks == summarize(whole, load(whole), "paper").tasks


def test_shards_without_any_problem_are_put_together_with_the_others(tmp_path: Path) -> None:
    names = ("humanevalfixtests-python", "humanevalexplaindescribe-js", "humanevalexplainsynthesize-js")
    shards = [run_plan(tmp_path / f"shard{index}", plan_of(*names, shard=Shard(index, 12))) for index in range(12)]
    assert [len(load(shard)) for shard in shards] == [3] * 10 + [0] * 2
    merged = Run(tmp_path / "merged")
    merge(shards[::-1], merged)
    assert all(status.is_complete for status in status_of(merged, load(merged)))
    with pytest.raises(UserError, match="nothing to merge"):
        merge(shards[10:], Run(tmp_path / "empty"))
    assert not (tmp_path / "empty").exists()


def test_shards_of_a_dataset_in_several_places_are_put_together(tmp_path: Path) -> None:
    rows = [json.dumps(problem.to_row()) for problem in load_problems("python", "starter")]
    shards = []
    for index in range(2):
        (tmp_path / f"node{index}").mkdir()
        (tmp_path / f"node{index}" / "python.jsonl").write_text("\n".join(rows))
        tasks = plan_of("humanevalfixtests-python").tasks
        plan = Plan(tasks, str(tmp_path / f"node{index}"), shard=Shard(index, 2))
        shards.append(run_plan(tmp_path / f"shard{index}", plan))
    merged = Run(tmp_path / "merged")
    merge(shards, merged)
    assert all(status.is_complete for status in status_of(merged, load(merged)))
    (tmp_path / "node0" / "python.jsonl").write_text("\n".join(rows[::-1]))
    with pytest.raises(UserError, match=r"has changed since .*shard0"):
        merge(shards, Run(tmp_path / "again"))
    assert not (tmp_path / "again").exists()


def test_remains_of_an_interrupted_import_or_merge_are_not_taken_for_samples(tmp_path: Path) -> None:
    part = run_plan(tmp_path / "part", plan_of("humanevalfixtests-python"))
    with Run(tmp_path / "remains").locked() as remains:
        remains.add_samples("humanevalfixtests-python", part.samples("humanevalfixtests-python"))
        with pytest.raises(UserError, match="holds samples but no manifest"):
            merge([part], Run(tmp_path / "remains"))
        with pytest.raises(UserError, match="holds samples but no manifest"):
            import_recordings(remains, [], "starter", [])


def test_parts_of_different_runs_are_not_merged(tmp_path: Path) -> None:
    first = run_plan(tmp_path / "a", plan_of("humanevalfixtests-python"))
    second = run_plan(tmp_path / "b", plan_of("humanevalfixtests-python", sampling=Sampling(seed=1)))
    third = run_plan(tmp_path / "c", plan_of("humanevalfixtests-python", n_samples=1))
    for other, what in ((second, r"sampling\.seed"), (third, "n_samples")):
        with pytest.raises(UserError, match=what):
            merge([first, other], Run(tmp_path / "merged"))
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "a/b", "1/0", "1/2/3"])
def test_shards_that_do_not_exist(text: str) -> None:
    with pytest.raises(UserError, match="0 <= i < n"):
        Shard.parse(text)


def test_two_runs_are_compared(tmp_path: Path) -> None:
    first = run_plan(tmp_path / "a", plan_of("humanevalfixtests-python"), sandbox=StandInSandbox(lambda _: False))
    second = run_plan(
        tmp_path / "b",
        plan_of("humanevalfixtests-python", sampling=Sampling(top_p=0.5)),
        sandbox=StandInSandbox(lambda _: True, digest="9"),
    )
    comparison = compare(first, second)
    assert any("sampling.top_p is 0.95, not 0.5" in line for line in comparison.settings)
    assert any("sandbox.digest" in line for line in comparison.settings)
    (task,) = comparison.tasks
    assert (task.problems, task.first, task.second, len(task.flips)) == (10, 0.0, 1.0, 10)
    assert task.p_value == pytest.approx(2 / 2**10)
    assert task.flips[0].causes == ("failed", "passed")
    same = compare(first, first)
    assert (same.settings, same.tasks[0].flips, same.tasks[0].p_value) == ((), (), 1.0)
    with pytest.raises(UserError, match="unknown reading 'both'; there are: paper, corrected"):
        compare(first, second, "both")


def test_the_descriptions_of_a_problem_count_together_when_runs_are_compared(tmp_path: Path) -> None:
    names = ("humanevalexplaindescribe-python", "humanevalexplainsynthesize-python")
    never = run_plan(tmp_path / "a", plan_of(*names, n_samples=2), sandbox=StandInSandbox(lambda _: False))
    always = run_plan(tmp_path / "b", plan_of(*names, n_samples=3), sandbox=StandInSandbox(lambda _: True))
    (task,) = compare(never, always).tasks
    assert (task.problems, len(task.flips), task.p_value) == (10, 10, pytest.approx(2 / 2**10))
    assert {(flip.first.samples, flip.second.samples) for flip in task.flips} == {(2, 3)}


def test_the_sign_flip_test_is_exact_mcnemar_for_single_samples() -> None:
    # 8 problems won, 2 lost: the binomial test of 2 or fewer of 10, both sides.
    expected = 2 * sum(math.comb(10, wins) for wins in range(3)) / 2**10
    assert sign_flip_test([1.0] * 8 + [-1.0] * 2 + [0.0] * 50) == pytest.approx(expected)
    assert sign_flip_test([1.0] * 20 + [-1.0] * 20) == 1.0
    assert sign_flip_test([1.0] * 40) < 0.001


def test_a_run_generated_for_one_reading_is_not_scored_under_a_wider_one(tmp_path: Path) -> None:
    class Wider(type(PAPER)):  # type: ignore[misc]
        name = "wider"
        needs_whole_completions = True

    plan = plan_of("humanevalfixtests-python")
    works = plan.load()
    with Run(tmp_path / "cut").locked() as run:
        start(run, plan, works, MODEL)
        generate(run, plan, works, StandInModel)
        with pytest.raises(UserError, match="--stop never"):
            score(run, works, StandInSandbox(), reading=Wider())
    whole = plan_of("humanevalfixtests-python", stop=Stop.NEVER)
    with Run(tmp_path / "whole").locked() as run:
        start(run, whole, works, MODEL)
        generate(run, whole, works, StandInModel)
        score(run, works, StandInSandbox(), reading=Wider())
        score(run, works, StandInSandbox(), reading=PAPER)
        assert len(run.judgements(works[0].task.name, "wider")) == len(run.judgements(works[0].task.name, "paper"))
    assert {judgement.verdict.status for judgement in run.judgements(works[0].task.name, "wider")} == {
        Status.PASSED,
        Status.FAILED,
    }
