"""Tables: the right numbers, published scores marked, half runs labelled and never averaged."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from report_runs import LANGUAGES, invented_run

from octopack_tasks.errors import UserError
from octopack_tasks.report.formats import Cell, Column, Table, percent_text
from octopack_tasks.report.inputs import Settings
from octopack_tasks.report.published import find_published
from octopack_tasks.report.standings import entries_of
from octopack_tasks.report.tables import scores_table, summary_table, tables, write_tables

GO = "humanevalfixtests-go"


def rows_of(table: Table) -> dict[str, dict[str, Any]]:
    """The rows of a table by model, as JSON has them."""
    return {row["model"]: row for row in json.loads(table.json())["rows"]}


def test_scores_are_those_of_the_run() -> None:
    run = invented_run()
    row = rows_of(scores_table(entries_of([run], []), "fixtests"))["my-model"]
    for result in run.results:
        assert row[result.language] == result.scores[0].value
    assert row["mean"] == pytest.approx(sum(result.scores[0].value for result in run.results) / 6)


def test_the_tables_of_the_paper_come_out() -> None:
    """Scores and means as printed, except the means of which a note says that they are wrong."""
    entries = entries_of([], find_published(["all"]))
    text = scores_table(entries, "explainsynthesize").markdown()
    assert "| OctoCoder † | 35.1 | 24.5 | 27.3 | 21.1 | 24.1 | 14.8 | 24.5 |" in text
    assert "| BLOOMZ † | 14.7 | 8.8 | 12.1 | 8.5 | 0.6 | 0.0 | 7.5 |" in text
    fix = scores_table(entries, "fixtests").markdown()
    assert "| GPT-4 † | 47.0 | 48.2 | 50.0 | 50.6 | 47.6 | 43.3 | 47.8 |" in fix
    assert "| StarCoder † | 8.7 | 15.7 | 13.3 | 20.1 | 15.6 | 6.7 | 13.4 |" in fix
    assert "StarChat-beta: The printed mean (11.2) is wrong" in fix
    assert "WizardCoder † | 15.5B | 25.7 | - | 27.5 | 40.1 |" in summary_table(entries).markdown()


def test_main_tables_equal_the_recorded_facts(shared: Path) -> None:
    """Means are the printed ones, which come from scores before rounding; but not those that are wrong."""
    recorded = json.loads((shared / "facts" / "results.json").read_text(encoding="utf-8"))["tables"]
    entries = entries_of([], find_published(["all"]))
    names = {
        "HumanEvalFix": "fixtests",
        "HumanEvalFixDocs": "fixdocs",
        "HumanEvalExplain": "explainsynthesize",
        "HumanEvalSynthesize": "synthesize",
    }
    wrong = set()
    for name, scenario in names.items():
        rows = rows_of(scores_table(entries, scenario))
        for model, row in recorded[name].items():
            ours = rows[f"{model.removesuffix(' (instruct format)')} †"]
            assert [100 * ours[language] for language in LANGUAGES] == pytest.approx(row["per_language"])
            is_wrong = abs(row["avg_printed"] - row["avg_recomputed"]) > 0.1
            expected = row["avg_recomputed"] if is_wrong else row["avg_printed"]
            assert 100 * ours["mean"] == pytest.approx(expected, abs=0.006)
            if is_wrong:
                wrong.add((name, model))
    assert wrong == {
        ("HumanEvalFix", "BLOOMZ"),
        ("HumanEvalFix", "StarChat-beta"),
        ("HumanEvalFixDocs", "StarCoder (instruct format)"),
    }


def test_only_languages_that_the_runs_have_are_shown() -> None:
    table = scores_table(entries_of([invented_run(languages=["python"])], find_published(["octocoder"])), "fixtests")
    assert [column.name for column in table.columns] == ["model", "python"]
    assert rows_of(table)["OctoCoder †"]["python"] == pytest.approx(0.304)


def test_half_a_run_is_labelled_and_has_no_mean() -> None:
    whole = invented_run("whole")
    half = invented_run("half", lacks={GO: ("3 of 32 samples lack a verdict",)})
    table = scores_table(entries_of([whole, half], []), "fixtests")
    rows = rows_of(table)
    assert rows["whole"]["mean"] is not None
    assert rows["half"]["mean"] is None
    assert rows["half"]["go"] is not None
    (line,) = [line for line in table.markdown().splitlines() if line.startswith("| half ")]
    assert line.count(r"\*") == 1
    assert line.endswith("| - |")
    assert any(
        "half, humanevalfixtests-go: half a run (3 of 32 samples lack a verdict)" in note for note in table.notes
    )
    assert rows_of(summary_table(entries_of([whole, half], [])))["half"]["fixtests"] is None


def test_means_are_over_the_papers_languages() -> None:
    run = invented_run(languages=[*LANGUAGES, "typescript"])
    table = scores_table(entries_of([run], find_published(["octocoder"])), "fixtests")
    rows = rows_of(table)
    assert rows["my-model"]["typescript"] is not None
    assert rows["OctoCoder †"]["mean"] == pytest.approx(0.27)
    assert rows["my-model"]["mean"] == pytest.approx(sum(rows["my-model"][name] for name in LANGUAGES) / 6)
    assert table.notes[-1] == "Means are over Python, JavaScript, Java, Go, C++, Rust."


def test_other_benchmarks_have_a_table_of_their_own() -> None:
    entries = entries_of([invented_run(languages=["python"]), _quixbugs_run()], find_published(["octocoder"]))
    made = {table.name: table for table in tables(entries)}
    assert [row["model"] for row in json.loads(made["scores-quixbugs"].json())["rows"]] == ["quick"]
    assert [row["model"] for row in json.loads(made["scores-fixtests"].json())["rows"]] == ["OctoCoder †", "my-model"]


def _quixbugs_run() -> Any:
    import dataclasses

    run = invented_run("quick", languages=["python"], dataset_problems=40)
    return dataclasses.replace(run, results=(dataclasses.replace(run.results[0], task="quixbugs-python"),))


def test_published_scores_are_marked_with_their_sampling() -> None:
    table = scores_table(entries_of([invented_run()], find_published(["octocoder,gpt-4"])), "fixtests")
    sources = [note for note in table.notes if note.startswith("† Published scores")]
    assert [note for note in sources if "(OctoCoder)" in note and "n=20, temperature 0.2, top_p 0.95" in note]
    assert [note for note in sources if "(GPT-4)" in note and "n=1, " in note]
    assert all("arXiv 2308.07124v2" in note for note in sources)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings("octocoder", 20, 0.2, 0.95), []),
        (Settings("octocoder", 20, 0.0), ["Sampling differs: ", "n=20, greedy (my-model)"]),
        (Settings("octocoder", 20, 0.8, 0.95), ["Sampling differs: ", "temperature 0.8, top_p 0.95 (my-model)"]),
        (Settings("octocoder", 1, 0.2, 0.95), ["Sampling differs: ", "n=1, temperature 0.2, top_p 0.95 (my-model)"]),
        (Settings("instruct", 20, 0.2, 0.95), ["Prompt formats differ: octocoder (OctoCoder †); instruct (my-model)."]),
    ],
)
def test_settings_that_differ_are_noted(settings: Settings, expected: list[str]) -> None:
    run = invented_run(settings=settings, problems=2)
    notes = list(scores_table(entries_of([run], find_published(["octocoder"])), "fixtests").notes)
    differing = [note for note in notes if "differ" in note]
    assert len(differing) == bool(expected)
    assert all(part in differing[0] for part in expected)


def test_another_reading_and_another_dataset_are_noted() -> None:
    run = invented_run(readings=["corrected"], dataset_problems=5)
    notes = scores_table(entries_of([run], find_published(["octocoder"]), "corrected"), "fixtests", "corrected").notes
    assert "Readings differ: paper (OctoCoder †); corrected (my-model)." in notes
    assert "Other problems: 5 of each language (my-model); published scores are of 164." in notes


def test_explanations_are_drawn_as_often_as_their_descriptions() -> None:
    run = invented_run(scenarios=["explainsynthesize"], settings=Settings("instruct", 1, 0.2, 0.95))
    (first, *others) = run.results
    import dataclasses

    described = {("Python/0", number): tally for number, tally in enumerate(first.tallies.values())}
    run = dataclasses.replace(run, results=(dataclasses.replace(first, tallies=described), *others[:0]))
    (entry,) = entries_of([run], [])
    assert [settings.n_samples for settings in entry.settings("explainsynthesize")] == [8]


def test_all_four_files_of_every_table_are_written(tmp_path: Path) -> None:
    runs = [invented_run(readings=["paper", "corrected"], scenarios=["fixtests", "synthesize"])]
    written = write_tables(runs, find_published(["octocoder"]), tmp_path / "new")
    names = {path.name for path in written}
    for table in ("summary", "scores-fixtests", "scores-synthesize", "pass-at-k", "failures", "bug-types"):
        for suffix in ("md", "tex", "csv", "json"):
            assert {f"{table}.{suffix}", f"{table}-corrected.{suffix}"} <= names
    assert all(path.stat().st_size for path in written)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "new" / "pass-at-k.csv").read_text())))
    assert len(rows) == 12
    for row, result in zip(rows, runs[0].results[:12], strict=True):
        by_task = {each.task: each for each in runs[0].results if each.reading == "paper"}
        score = by_task[row["task"]].scores[0]
        assert (float(row["pass_at_k"]), float(row["low"]), float(row["high"])) == (score.value, score.low, score.high)
        assert result.is_whole
        assert row["whole"] == "True"


def test_failures_and_bugs() -> None:
    run = invented_run(lacks={GO: ("half",)})
    made = {table.name: table for table in tables(entries_of([run], find_published(["octocoder", "bloomz"])))}
    failures = json.loads(made["failures"].json())["rows"]
    for row in failures:
        outcomes = run.result(row["task"]).outcomes  # type: ignore[union-attr]
        assert (row["samples"], row["passed"]) == (sum(outcomes.values()), outcomes["passed"])
    bugs = json.loads(made["bug-types"].json())
    assert [row["task"] for row in bugs["rows"] if row["model"] == "OctoCoder †"] == ["humanevalfixtests-python"]
    assert not [row for row in bugs["rows"] if row["model"] == "BLOOMZ †"]
    assert bugs["problems"]["humanevalfixtests-python"]["value misuse"] == 4
    assert GO not in bugs["problems"]


def test_names_do_no_harm() -> None:
    """A model's name is only text: no markup, no end of a cell, no LaTeX."""
    name = "a|b_$x^2$ <script>\\input{x}</script> 100% & #1 ~"
    (table,) = [Table("t", name, (Column("model", name, is_number=False),), ((Cell(name, name),),), (name,))]
    markdown = table.markdown()
    assert "<script>" not in markdown
    assert markdown.splitlines()[4].count(" |") == 1
    latex = table.latex()
    assert "\\input" not in latex
    assert latex.count(r"a|b\_\$x\textasciicircum{}2\$") == 4
    assert json.loads(table.json())["rows"] == [{"model": name}]
    assert next(csv.DictReader(io.StringIO(table.csv()))) == {"model": name}


@pytest.mark.parametrize("name", ["[2pt] mine", "* mine"])
def test_a_name_is_no_option_of_the_line_before_it(name: str) -> None:
    row = (Cell(name, name), Cell("1", 1))
    table = Table("t", "c", (Column("model", name, is_number=False), Column("k", "k")), (row, row))
    latex = table.latex()
    assert latex.count(f"\n{{}}{name} & ") == 3
    assert f"\n{name}" not in latex


def test_long_tables_go_over_pages() -> None:
    row = (Cell("x", "x"),)
    assert r"\begin{tabular}" in Table("t", "c", (Column("a", "a"),), (row,) * 50).latex()
    long = Table("t", "c", (Column("a", "a"),), (row,) * 51).latex()
    assert r"\begin{longtable}{r}" in long
    assert long.count(r"\midrule") == 2  # the head is repeated


@pytest.mark.parametrize(
    ("share", "text"), [(0.0745, "7.5"), (0.1335, "13.4"), (0.304, "30.4"), (0.0, "0.0"), (1, "100.0")]
)
def test_halves_are_rounded_up_as_in_the_paper(share: float, text: str) -> None:
    assert percent_text(share) == text


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not write"):
        write_tables([invented_run()], [], tmp_path / "file" / "below")
