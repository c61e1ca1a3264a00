"""The five stages: parity with the recorded rows, every rule on tables made here, and the text for BigQuery."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from octopack_data.errors import DataError
from octopack_data.shards import lock

duckdb = pytest.importorskip("duckdb")
sqlglot = pytest.importorskip("sqlglot")

from octopack_data.commitpack.duckdb_engine import DuckDBEngine, Sources, find_table_files, group_by_repository  # noqa: E402
from octopack_data.commitpack.metadata import (  # noqa: E402
    METADATA_COLUMNS,
    STAGES,
    Reading,
    Rules,
    default_rules,
    load_rules,
    stage_query,
    why_query,
)

Row = dict[str, Any]


def write_rows(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_rows(path: Path) -> list[Row]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        return [json.loads(line) for line in file]


def stage_rows(output: Path, stage: int) -> list[Row]:
    path = output / "_stages" / f"{STAGES[stage - 1].title}.parquet"
    relation = duckdb.sql(f"SELECT * FROM '{path}'")
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def counted(rows: list[Row], columns: tuple[str, ...]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row[column] for column in columns) for row in rows)


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "data" / "commitpack_sql"


def golden_sources(golden: Path) -> Sources:
    return Sources((golden / "languages.jsonl",), (golden / "licenses.jsonl",), (golden / "commits.jsonl.gz",))


@pytest.mark.parametrize("reading", list(Reading))
def test_every_stage_agrees_with_the_recorded_rows(golden: Path, tmp_path: Path, reading: Reading) -> None:
    DuckDBEngine(tmp_path, replace(default_rules(), reading=reading)).run(golden_sources(golden))
    for stage in (1, 2, 3, 4, 5):
        expected = read_rows(golden / reading.value / f"stage{stage}.jsonl")
        found = stage_rows(tmp_path, stage)
        for row in found:
            row["repo"] = row.pop("unnested_repo_name", None)
            row["n_difference"] = len(row.get("difference") or [])
        columns = tuple(expected[0])
        assert counted(found, columns) == counted(expected, columns), f"stage {stage}"


def test_counting_all_entries_agrees_with_the_recorded_rows(golden: Path, tmp_path: Path) -> None:
    DuckDBEngine(tmp_path, replace(default_rules(), count_all_entries=True)).run(golden_sources(golden))
    expected = read_rows(golden / "intended" / "stage5_all_entries_counted.jsonl")
    columns = tuple(expected[0])
    assert counted(stage_rows(tmp_path, 5), columns) == counted(expected, columns)


def test_reasons_agree_with_the_recorded_fate_of_every_commit(golden: Path, tmp_path: Path) -> None:
    words = {
        "no repository with an allowed license and a listed language": "repository",
        "message length": "message_length",
        "noise message": "stock_message",
        "merge message": "message_prefix",
        "no entry with equal, non-null paths": "no_edited_file",
        "more than one file": "several_files",
        None: "kept",
    }
    fate = read_rows(golden / "fate.jsonl")
    result = DuckDBEngine(tmp_path, default_rules()).run(golden_sources(golden), count_reasons=True)
    assert result.reasons is not None
    expected = Counter(words[row["intended_reason"]] for row in fate)
    assert {reason: count for reason, count in result.reasons.items() if count} == expected
    engine = DuckDBEngine(tmp_path, default_rules())
    for row in fate[::23]:
        assert (engine.explain(golden_sources(golden), row["commit"]) or "kept") == words[row["intended_reason"]]


def test_the_literal_reading_names_the_stage_that_loses_a_commit(golden: Path, tmp_path: Path) -> None:
    engine = DuckDBEngine(tmp_path, replace(default_rules(), reading=Reading.LITERAL))
    left = [{row["commit"] for row in read_rows(golden / "literal" / f"stage{stage}.jsonl")} for stage in range(1, 6)]
    commits = [row["commit"] for row in read_rows(golden / "commits.jsonl.gz")]

    def loses(commit_id: str) -> str:
        stages = (stage for stage, there in zip(STAGES, left, strict=True) if commit_id not in there)
        return next((f"stage {stage.title}" for stage in stages), "kept")

    result = engine.run(golden_sources(golden), count_reasons=True)
    assert result.reasons is not None
    assert {reason: n for reason, n in result.reasons.items() if n} == Counter(map(loses, commits))
    lost = {loses(commit_id): commit_id for commit_id in commits}
    assert {"stage 1_base", "stage 4_files", "stage 5_single_file", "kept"} == set(lost)
    for reason, commit_id in lost.items():
        assert (engine.explain(golden_sources(golden), commit_id) or "kept") == reason


# ------------------------------------------------------------------------------- rows that are not among the recorded


def tables(folder: Path, commits: list[Row]) -> Sources:
    """Three small tables; repositories are named after what they hold."""
    languages = [
        {"repo_name": "ok/py", "language": [{"name": "Python", "bytes": 1}]},
        {"repo_name": "ok/poly", "language": [{"name": n, "bytes": 1} for n in ("Go", "C", "Perl 5", "CSS")]},
        {"repo_name": "ok/isc", "language": [{"name": "Ruby", "bytes": 1}]},
        {"repo_name": "bad/license", "language": [{"name": "Python", "bytes": 1}]},
        {"repo_name": "bad/language", "language": [{"name": "CSS", "bytes": 1}]},
        {"repo_name": "bad/none", "language": []},
    ]
    licenses = [
        {"repo_name": "ok/py", "license": "mit"},
        {"repo_name": "ok/poly", "license": "apache-2.0"},
        {"repo_name": "ok/isc", "license": "isc"},
        {"repo_name": "bad/license", "license": "gpl-3.0"},
        {"repo_name": "bad/language", "license": "mit"},
        {"repo_name": "bad/none", "license": "mit"},
    ]
    return Sources(
        (write_rows(folder / "languages.jsonl", languages),),
        (write_rows(folder / "licenses.jsonl", licenses),),
        (write_rows(folder / "commits.jsonl", commits),),
    )


def commit(
    name: str, *, message: str = "Fix the total\n", repos: tuple[str, ...] = ("ok/py",), files: Any = "a.py"
) -> Row:
    pairs = [(files, files)] if isinstance(files, str) else files
    return {
        "commit": name,
        "subject": message.split("\n")[0],
        "message": message,
        "repo_name": list(repos),
        "difference": [{"old_path": old, "new_path": new} for old, new in pairs],
    }


CASES = [
    (commit("kept"), None),
    (commit("gpl", repos=("bad/license",)), "repository"),
    (commit("css", repos=("bad/language",)), "repository"),
    (commit("nothing", repos=("bad/none",)), "repository"),
    (commit("unheard", repos=("nobody/knows",)), "repository"),
    (commit("no repo", repos=()), "repository"),
    (commit("one good", repos=("bad/license", "ok/py")), None),
    (commit("five", message="12345"), "message_length"),
    (commit("six", message="123456"), None),
    (commit("9999", message="x" * 9_999), None),
    (commit("10000", message="x" * 10_000), "message_length"),
    (commit("stock", message="Update README\n"), "stock_message"),
    (commit("stock nbsp", message="\u00a0 Pi Push\t\r\n"), "stock_message"),
    (commit("stock ideographic blank", message="\u3000First commit\u2003"), "stock_message"),
    (commit("stock inside", message="Update README and code"), None),
    (commit("underscore", message="Update Xconfig.yaml"), None),
    (commit("percent", message="Fix 100% of it"), None),
    (commit("quote", message="Can't you see I'm updating the time?\n"), "stock_message"),
    (commit("merge", message="Merge it all\n"), "message_prefix"),
    (commit("merge later", message="Do merge it\n"), None),
    (commit("rename", files=[("a.py", "b.py")]), "no_edited_file"),
    (commit("nulls", files=[(None, None)]), "no_edited_file"),
    (commit("none", files=[]), "no_edited_file"),
    (commit("two", files=[("a", "a"), ("b", "b")]), "several_files"),
    (commit("one and rename", files=[("a", "a"), ("b", "c")]), None),
    (commit("two licences", repos=("ok/py", "ok/isc", "ok/poly")), None),
    (commit("named twice", repos=("ok/poly", "ok/poly")), None),
]


def test_every_rule_of_the_intended_reading(tmp_path: Path) -> None:
    sources = tables(tmp_path / "in", [row for row, _ in CASES])
    engine = DuckDBEngine(tmp_path / "out", default_rules())
    result = engine.run(sources, count_reasons=True)
    kept = {row["commit"]: row for row in stage_rows(tmp_path / "out", 5)}
    assert set(kept) == {row["commit"] for row, reason in CASES if reason is None}
    assert result.reasons == {
        reason: sum(1 for _, why in CASES if (why or "kept") == reason) for reason in result.reasons or {}
    }
    assert kept["two licences"]["repos"] == "ok/isc,ok/poly,ok/py"
    assert kept["two licences"]["license"] == "isc"  # of the first repository in the list
    assert kept["named twice"]["repos"] == "ok/poly"
    assert kept["one good"]["repos"] == "ok/py"
    for row, reason in CASES:
        assert engine.explain(sources, row["commit"]) == reason, row["commit"]


def test_the_literal_reading_differs_where_it_should(tmp_path: Path) -> None:
    sources = tables(tmp_path / "in", [row for row, _ in CASES])
    DuckDBEngine(tmp_path / "out", replace(default_rules(), reading=Reading.LITERAL)).run(sources)
    kept = {row["commit"]: row for row in stage_rows(tmp_path / "out", 5)}
    intended = {row["commit"] for row, reason in CASES if reason is None}
    assert set(kept) - intended == {"stock", "stock nbsp", "stock ideographic blank", "quote"}
    assert intended - set(kept) == {"underscore", "two licences"}
    assert kept["named twice"]["repos"] == ",".join(["ok/poly"] * 6)  # three listed languages, named twice


def test_rules_are_parameters(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("licenses: [gpl-3.0]\nmessages: []\nmessage_prefixes: [fix]\nlonger_than: 3\n")
    rules = load_rules(path)
    assert rules.languages == default_rules().languages
    rows = [
        commit("gpl", message="test\n", repos=("bad/license",)),
        commit("fix", message="Fix\n", repos=("bad/license",)),
        commit("mit", repos=("ok/py",)),
    ]
    DuckDBEngine(tmp_path / "out", rules).run(tables(tmp_path / "in", rows))
    assert [row["commit"] for row in stage_rows(tmp_path / "out", 5)] == ["gpl"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("licences: [mit]", "unknown rule 'licences'"),
        ("licenses: mit", "must be a list of texts"),
        ("licenses: [1]", "must be a list of texts"),
        ("longer_than: five", "must be int"),
        ("count_all_entries: 1", "must be bool"),
        ("- mit", "mapping"),
        ("licenses: [mit", "not YAML"),
    ],
)
def test_wrong_rules_are_told_apart(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_rules(path)


def test_only_what_changed_is_run_again(tmp_path: Path) -> None:
    rows = [row for row, _ in CASES]
    sources = tables(tmp_path / "in", rows)
    engine = DuckDBEngine(tmp_path / "out", default_rules())
    assert [stage.reused for stage in engine.run(sources).stages] == [False] * 5
    before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.parquet")}
    assert [stage.reused for stage in engine.run(sources).stages] == [True] * 5
    strict = DuckDBEngine(tmp_path / "out", replace(default_rules(), count_all_entries=True))
    assert [stage.reused for stage in strict.run(sources).stages] == [True] * 4 + [False]
    assert [stage.reused for stage in engine.run(sources).stages] == [True] * 4 + [False]
    assert {path: path.read_bytes() for path in (tmp_path / "out").glob("*.parquet")} == before
    tables(tmp_path / "in", [*rows, commit("new")])
    assert not any(stage.reused for stage in engine.run(sources).stages)


def test_what_an_interrupted_run_left_is_removed(tmp_path: Path) -> None:
    stages = tmp_path / "out/_stages"
    (stages / "spill").mkdir(parents=True)
    for name in ("spill/duckdb_temp_storage-0.tmp", "tmp_.1_base.parquet.tmp", "1_base.parquet"):
        (stages / name).write_text("cut short")
    DuckDBEngine(tmp_path / "out", default_rules()).run(tables(tmp_path / "in", [commit("kept")]))
    assert not [path for path in stages.rglob("*") if path.name.endswith(".tmp")]
    assert [row["commit"] for row in stage_rows(tmp_path / "out", 5)] == ["kept"]


def test_the_order_of_the_input_does_not_change_the_shards(tmp_path: Path) -> None:
    rows = [commit(f"{n:03d}", repos=(f"ok/{'py' if n % 2 else 'poly'}",)) for n in range(200)]
    outputs = []
    for name, order in (("one", rows), ("two", rows[::-1])):
        result = DuckDBEngine(tmp_path / name, default_rules()).run(
            tables(tmp_path / f"in-{name}", order), rows_per_shard=60
        )
        outputs.append([path.read_bytes() for path in result.shards])
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 2  # a shard ends only where a repository ends


def test_grouping_published_metadata(tmp_path: Path) -> None:
    rows = [
        {column: f"{column}{n}" for column in METADATA_COLUMNS} | {"repos": f"o/r{n % 7},z/fork"} for n in range(100)
    ]
    write_rows(tmp_path / "a.jsonl", rows[:40])
    write_rows(tmp_path / "b.jsonl", rows[40:])
    shards = group_by_repository([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], tmp_path / "out", rows_per_shard=20)
    found = [duckdb.sql(f"SELECT * FROM '{path}'").fetchall() for path in shards]
    assert Counter(row for shard in found for row in shard) == Counter(tuple(row.values()) for row in rows)
    homes = [{row[3] for row in shard} for shard in found]
    assert sum(map(len, homes)) == len(set.union(*homes)) == 7


def test_broken_lines_are_kept_aside(tmp_path: Path) -> None:
    sources = tables(tmp_path / "in", [commit("good"), commit("fine")])
    with sources.commits[0].open("a") as file:
        file.write('{"commit": "cut sh\n{"commit": ["not text"]}\n[]\n')
    result = DuckDBEngine(tmp_path / "out", default_rules()).run(sources)
    assert result.broken == 3
    assert (tmp_path / "out" / "_broken" / "commits.jsonl").read_text().splitlines() == [
        '{"commit": "cut sh',
        '{"commit": ["not text"]}',
        "[]",
    ]
    assert {row["commit"] for row in stage_rows(tmp_path / "out", 5)} == {"good", "fine"}


def test_empty_files_and_odd_sizes_of_languages_are_no_fault(tmp_path: Path) -> None:
    sources = tables(tmp_path / "in", [commit("good")])
    (tmp_path / "in" / "0.jsonl").touch()
    write_rows(sources.languages[0], [{"repo_name": "ok/py", "language": [{"name": "Python", "bytes": "many"}]}])
    with_empty = Sources(sources.languages, sources.licenses, (tmp_path / "in" / "0.jsonl", *sources.commits))
    DuckDBEngine(tmp_path / "out", default_rules()).run(with_empty)
    assert {row["commit"] for row in stage_rows(tmp_path / "out", 5)} == {"good"}


def test_little_memory_is_enough_and_long_lines_are_read(tmp_path: Path) -> None:
    sources = tables(tmp_path / "in", [commit("good")])
    DuckDBEngine(tmp_path / "little", default_rules(), memory="200MB", threads=2).run(sources)
    assert {row["commit"] for row in stage_rows(tmp_path / "little", 5)} == {"good"}
    long = commit("long") | {"parents": "x" * (17 << 20)}  # above what a reader makes room for at first
    write_rows(sources.commits[0], [commit("good"), long])
    result = DuckDBEngine(tmp_path / "long", default_rules()).run(sources)
    assert result.broken == 0
    assert {row["commit"] for row in stage_rows(tmp_path / "long", 5)} == {"good", "long"}


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    sources = tables(tmp_path / "in", [commit("good")])
    engine = DuckDBEngine(tmp_path / "out", default_rules())
    held = lock(tmp_path / "out" / "_stages" / "lock")
    assert held is not None
    with held, pytest.raises(DataError, match="another run is at work there"):
        engine.run(sources)
    engine.run(sources)
    assert not (tmp_path / "out" / "_stages" / "lock").exists()


def test_grouping_refuses_what_it_would_overwrite_or_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lies in the output folder"):
        group_by_repository([tmp_path / "out" / "commitpackmeta-00001.parquet"], tmp_path / "out")
    (tmp_path / "cut.jsonl").write_text('{"commit": "cut sh\n')
    with pytest.raises(DataError, match="Malformed JSON"):
        group_by_repository([tmp_path / "cut.jsonl"], tmp_path / "out")


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    sources = tables(tmp_path / "in", [commit("good")])
    write_rows(sources.licenses[0], [{"repo_name": "ok/py", "licence": "mit"}])
    with pytest.raises(DataError, match=r"licenses\.jsonl: no column 'license' \(columns here: repo_name, licence\)"):
        DuckDBEngine(tmp_path / "out", default_rules()).run(sources)
    with pytest.raises(DataError, match="--memory lots: not a size"):
        DuckDBEngine(tmp_path / "out", default_rules(), memory="lots").run(sources)
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="no such file or folder; --commits"):
        find_table_files(tmp_path / "nowhere", "commits")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \*\.parquet"):
        find_table_files(tmp_path / "empty", "commits")


def test_parquet_tables_give_the_same_rows(tmp_path: Path) -> None:
    sources = tables(tmp_path / "in", [row for row, _ in CASES])
    expected = DuckDBEngine(tmp_path / "json", default_rules()).run(sources)
    parquet = []
    for name, (path,) in (
        ("languages", sources.languages),
        ("licenses", sources.licenses),
        ("commits", sources.commits),
    ):
        target = tmp_path / f"{name}.parquet"
        duckdb.sql(f"COPY (SELECT * FROM read_json('{path}', format = 'newline_delimited')) TO '{target}'")
        parquet.append((target,))
    found = DuckDBEngine(tmp_path / "parquet", default_rules()).run(Sources(*parquet))
    assert [path.read_bytes() for path in found.shards] == [path.read_bytes() for path in expected.shards]


# ------------------------------------------------------------------------------------------------ text for BigQuery


@pytest.mark.parametrize("reading", list(Reading))
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.title)
def test_the_text_for_bigquery_is_valid_and_complete(stage: Any, reading: Reading) -> None:
    rules: Rules = replace(default_rules(), reading=reading)
    names = {
        "commits": "bigquery-public-data.github_repos.commits",
        "licenses": "p.d.licenses",
        "languages": "p.d.languages",
    }
    query = stage_query(stage, rules, "bigquery", names)
    parsed = sqlglot.parse_one(query.sql, read="bigquery")
    read = {".".join(filter(None, (t.catalog, t.db, t.name))) for t in parsed.find_all(sqlglot.exp.Table)}
    own = {other.table for other in STAGES if other.number < stage.number}
    assert read <= own | set(names.values())
    assert {p.this.name for p in parsed.find_all(sqlglot.exp.Parameter)} == set(query.parameters)
    assert "--" not in query.sql
    assert "/*" not in query.sql
    columns = parsed.named_selects
    if stage.number == 5:
        assert tuple(columns) == METADATA_COLUMNS


def test_the_text_that_explains_is_valid_for_bigquery() -> None:
    query = why_query(default_rules(), "bigquery", {})
    assert sqlglot.parse_one(query.sql, read="bigquery").named_selects == ["commit", "reason"]
    assert "repositories" in query.sql
    assert {"licenses", "messages", "count_all_entries"} <= set(query.parameters)
