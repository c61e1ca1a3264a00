from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from octopack_tasks import load_problems
from octopack_tasks.errors import UserError
from octopack_tasks.evaluation import evaluate
from octopack_tasks.explain_quality import METRICS, explain_quality, load_metrics, register

TASK = "humanevalexplaindescribe-python"
PROBLEMS = load_problems("python", "starter")

pytest.importorskip("nltk", reason="needs the extra `explain`")
pytest.importorskip("rouge_score", reason="needs the extra `explain`")


def run(*arguments: str) -> str:
    application = typer.Typer()
    register(application)
    application.command("other")(lambda: None)
    result = CliRunner().invoke(application, ["explain-quality", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("metric", "documentation", "description", "expected"),
    [
        ("BLEU-1", "a b c", "a b d", 2 / 3),
        ("BLEU-2", "a b c", "a b d", (2 / 3 * 1 / 2) ** 0.5),
        ("BLEU-1", "a b c d", "a b", 2.718281828459045**-1),  # shorter: exp(1 - 4 / 2)
        ("BLEU-4", "a b c d e", "a b c d e", 1.0),
        ("METEOR", "a b c", "a b c", 1 - 0.5 * (1 / 3) ** 3),
        ("METEOR", "It counts.", "it count .", 1 - 0.5 * (1 / 3) ** 3),  # case, stems and marks do not matter
        ("ROUGE-L", "the first of three", "the three", 2 / 3),
    ],
)
def test_values_that_can_be_checked_by_hand(metric: str, documentation: str, description: str, expected: float) -> None:
    assert load_metrics()[metric](documentation, description) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_scores_lie_between_0_and_1_whatever_is_written(metric: str) -> None:
    score = load_metrics()[metric]
    for documentation in ("Return the sum.", ""):
        for description in ("", " ", "?", "Return the sum.", "ß\u2028\ud800", "x " * 500):
            assert 0 <= score(documentation, description) <= 1
    assert score("Return the sum.", "") == 0


@pytest.mark.parametrize(
    "documentation",
    [
        "Возвращает сумму всех чисел.",
        "Gibt die Größe der Wörter zurück.",
        "返回 所有 数字 的 总和",
        "أعد مجموع الأرقام كلها",
    ],
)
def test_documentation_need_not_be_english(documentation: str) -> None:
    first, *others = documentation.split()
    for name, score in load_metrics().items():
        assert score(documentation, documentation) > 0.99, name
        assert 0 < score(documentation, " ".join(others)) < 1, name
        assert score(documentation, first[::-1]) < 0.01, name


def test_rouge_of_english_is_that_of_the_library() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    library = RougeScorer(["rougeL"], use_stemmer=True)
    score = load_metrics()["ROUGE-L"]
    described = [problem.docstring + " It's snake_case's 2nd word; (see f(x)=1.5)\tTwice\n" for problem in PROBLEMS]
    for documentation in described:
        for description in described:
            assert score(documentation, description) == library.score(documentation, description)["rougeL"].fmeasure


def test_the_best_of_several_descriptions_and_their_mean() -> None:
    problem = PROBLEMS[0]
    quality = explain_quality(PROBLEMS, {problem.task_id: (problem.docstring, "")})
    assert (quality.problems, quality.descriptions) == (1, 2)
    assert quality.best["BLEU-4"] == pytest.approx(100)
    assert quality.mean["BLEU-4"] == pytest.approx(50)


def test_problems_weigh_alike_and_those_without_descriptions_do_not_count() -> None:
    first, second = PROBLEMS[:2]
    quality = explain_quality(PROBLEMS, {first.task_id: (first.docstring,) * 3, second.task_id: ("",)})
    assert quality.problems == 2
    assert quality.mean["ROUGE-L"] == pytest.approx(50)
    with pytest.raises(UserError, match="no problem of starter"):
        explain_quality(PROBLEMS, {})


def test_a_run_a_generations_file_and_samples_of_lm_eval_give_the_same(tmp_path: Path) -> None:
    texts = {problem.task_id: [f"It is about {problem.entry_point}.", "Returns a value."] for problem in PROBLEMS}
    evaluate(TASK, texts, dataset="starter", out=tmp_path / "run")
    generations = tmp_path / "generations_humanevalexplaindescribepython_model.json"
    generations.write_text(json.dumps(list(texts.values())))
    samples = tmp_path / "logged" / f"samples_{TASK}_2026.jsonl"
    samples.parent.mkdir()
    lines = [{"doc": {"task_id": task_id}, "filtered_resps": both} for task_id, both in texts.items()]
    samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = [
        json.loads(run(str(path), *options, "--json"))
        for path, options in (
            (tmp_path / "run", ()),
            (generations, ("--dataset", "starter")),
            (samples.parent, ("--dataset", "starter")),
        )
    ]
    assert found[0] == found[1] == found[2]
    (quality,) = found[0]["languages"]
    assert (quality["language"], quality["problems"], quality["descriptions"]) == ("python", 10, 20)
    assert set(quality["best"]) == set(METRICS)
    assert "Python" in run(str(tmp_path / "run"))


def test_a_run_knows_its_problems_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {problem.task_id: ["It counts."] for problem in PROBLEMS}
    evaluate(TASK, texts, dataset="starter", out=tmp_path / "run")
    monkeypatch.setenv("OCTOPACK_DATASET", str(tmp_path / "nowhere"))
    assert json.loads(run(str(tmp_path / "run"), "--json"))["languages"][0]["descriptions"] == 10
    with pytest.raises(UserError, match="nowhere"):
        run(str(tmp_path / "run"), "--dataset", str(tmp_path / "nowhere"))


def test_bad_input_is_named(tmp_path: Path) -> None:
    unnamed = tmp_path / "answers.json"
    unnamed.write_text("[]")
    with pytest.raises(UserError, match="add --language"):
        run(str(unnamed), "--dataset", "starter")
    with pytest.raises(UserError, match="there is no file or folder"):
        run(str(tmp_path / "none"))
    with pytest.raises(UserError, match="unknown language 'cobol'"):
        run(str(unnamed), "--language", "cobol")
    with pytest.raises(UserError, match="no problem of starter"):
        run(str(unnamed), "--language", "go", "--dataset", "starter")
    nested = tmp_path / "humanevalexplaindescribe-python.json"
    nested.write_text("[" * 100_000)
    with pytest.raises(UserError, match="is not JSON"):
        run(str(nested), "--dataset", "starter")
    texts = {problem.task_id: ["    return 1\n"] for problem in PROBLEMS}
    evaluate(TASK, texts, dataset="starter", out=tmp_path / "run")
    with pytest.raises(UserError, match="has no humanevalexplaindescribe-go"):
        run(str(tmp_path / "run"), "--language", "go")


def test_synonyms_need_data_that_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
    try:
        nltk.corpus.wordnet.ensure_loaded()
    except LookupError:
        with pytest.raises(UserError, match=r"nltk\.downloader wordnet"):
            load_metrics(synonyms=True)
    else:
        assert load_metrics(synonyms=True)["METEOR"]("the car", "the automobile") > 0.9
