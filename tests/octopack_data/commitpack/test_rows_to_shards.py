"""Opt-out, licences, languages and shards: the recorded rows, and rows that are not among them."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octopack_data.commitpack.languages import (
    UNKNOWN,
    LanguagesStep,
    Lookup,
    directory_name,
    has_listed_suffix,
    language_finder,
    load_languages,
    load_table,
    with_field,
)
from octopack_data.commitpack.licenses import LicensesStep, license_of, load_licenses
from octopack_data.commitpack.opt_out import OptOutStep, Policy, keep_as_scripts, keep_strictly, load_logins
from octopack_data.commitpack.shard import PUBLISHED_COLUMNS, Cutter, ShardStep, units_by_language
from octopack_data.errors import DataError
from octopack_data.executors import run_units
from octopack_data.pipeline import Batch, Job, Outcome, Step, discover_units, summarise
from octopack_data.shards import ShardFormat, iter_rows

Row = dict[str, Any]


@pytest.fixture(scope="module")
def recorded(shared: Path) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = defaultdict(list)
    with (shared / "golden/data/optout_languages_shard.jsonl").open() as file:
        for line in file:
            row = json.loads(line)
            rows[row["kind"]].append(row)
    return rows


def batch_of(rows: list[Row]) -> Batch:
    return Batch([json.dumps(row).encode() for row in rows], [dict(row) for row in rows])


def apply(step: Step, rows: list[Row]) -> Outcome:
    return step.start()(batch_of(rows))


# ----------------------------------------------------------------------------------------------------------- opt-out


def test_opt_out_agrees_with_the_recorded_rows(recorded: dict[str, list[Row]]) -> None:
    for row in recorded["opt_out"]:
        logins = frozenset(row["opted_out"])
        for policy, kept in ((Policy.SCRIPTS, row["scripts_kept"]), (Policy.STRICT, row["strict_kept"])):
            outcome = apply(OptOutStep(logins, policy), [{"repos": row["repos"]}])
            assert bool(outcome.kept) == kept, (row, policy)
            assert outcome.dropped == ([] if kept else [(0, "opted_out")])
            if kept and policy is Policy.STRICT:
                assert json.loads(outcome.kept[0])["repos"] == row["strict_repos"]


@given(st.lists(st.sampled_from(["a/x", "A/y", "b/x", "c/z", "a/x", "", "a"]), min_size=1, max_size=5))
def test_the_strict_policy_leaves_nobody_behind(names: list[str]) -> None:
    repos = ",".join(names)
    left = keep_strictly(repos, frozenset({"a"}))
    wanted = [n for i, n in enumerate(names) if n.split("/")[0].lower() != "a" and n not in names[:i]]
    assert left == (",".join(wanted) if wanted else None)
    assert (keep_as_scripts(repos, frozenset({"a"})) is None) == (len(names) == 1 and names[0] in ("a/x", "a"))


def test_an_unchanged_row_keeps_its_bytes() -> None:
    line = b'{ "repos":"b/x" ,  "n": 1.0}'
    outcome = OptOutStep(frozenset({"a"})).start()(Batch([line], [json.loads(line)]))
    assert outcome.kept == [line]


def test_contents_are_credited_to_a_repository_that_is_left() -> None:
    row = {"repos": "a/x,b/x", "repo": "a/x"}
    (line,) = apply(OptOutStep(frozenset({"a"})), [row]).kept
    assert json.loads(line) == {"repos": "b/x", "repo": "b/x"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no login"), ("# none\n\n", "no login"), ("a\nb/c\n", "line 2: 'b/c'"), ("@a", "1: '@a'")],
)
def test_wrong_lists_of_logins(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "logins.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_logins(path)
    with pytest.raises(DataError, match="cannot read"):
        load_logins(tmp_path / "nowhere.txt")


def test_a_list_of_logins(tmp_path: Path) -> None:
    path = tmp_path / "logins.txt"
    path.write_bytes(b"\xef\xbb\xbfzero-0\n# asked for it\none\r\n\n  two[bot]  \n")
    assert load_logins(path) == {"zero-0", "one", "two[bot]"}


# ---------------------------------------------------------------------------------------------------------- licences


def test_licences_agree_with_the_recorded_rows(recorded: dict[str, list[Row]], tmp_path: Path) -> None:
    for row in recorded["license"]:
        path = tmp_path / "table.jsonl"
        path.write_text("".join(json.dumps(entry) + "\n" for entry in row["license_table"]))
        table = load_licenses(path)
        assert license_of(row["repos"], table) == row["license"]
        step = LicensesStep(path, ("mit", "isc", "apache-2.0", "bsd-3-clause"), keep_unknown=True)
        (line,) = apply(step, [{"repos": row["repos"]}]).kept
        assert json.loads(line)["license"] == row["license"]


def test_only_allowed_licences_stay(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text('{"repo_name": "a/x", "license": "gpl-3.0"}\n{"repos": "b/x,c/x", "license": "mit"}\n')
    rows = [{"repos": "a/x,b/x"}, {"repos": "b/x"}, {"repos": "z/z"}, {"repos": "z/z,c/x", "license": "gpl-3.0"}]
    outcome = apply(LicensesStep(path, ("mit",)), rows)
    assert [json.loads(line) for line in outcome.kept] == [
        {"repos": "b/x", "license": "mit"},
        {"repos": "z/z,c/x", "license": "mit"},
    ]
    assert outcome.dropped == [(0, "license_not_allowed"), (2, "license_unknown")]
    assert outcome.tallies["licenses"] == {"gpl-3.0": 1, "mit": 2, "unknown": 1}


def test_without_a_table_the_rows_own_licence_counts() -> None:
    rows = [{"repos": "a/x", "license": "mit"}, {"repos": "a/x", "license": "gpl-3.0"}, {"repos": "a/x"}]
    outcome = apply(LicensesStep(None, ("mit",)), rows)
    assert outcome.kept == [json.dumps(rows[0]).encode()]
    assert outcome.dropped == [(1, "license_not_allowed"), (2, "license_unknown")]


def test_a_licence_that_is_no_text_is_unknown() -> None:
    rows = [{"repos": "a/x", "license": odd} for odd in (["mit"], {"key": "mit"}, 7, None, "")]
    outcome = apply(LicensesStep(None, ("mit",)), rows)
    assert outcome.dropped == [(place, "license_unknown") for place in range(5)]
    kept = apply(LicensesStep(None, ("mit",), keep_unknown=True), rows).kept
    assert [json.loads(line)["license"] for line in kept] == ["unknown"] * 5


def test_a_wrong_table_of_licences(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text('{"repos": "a/x", "license": "mit"}\n{"repos": "a/x", "licence": "mit"}\n')
    with pytest.raises(DataError, match="row 2: expected the text columns 'license'"):
        load_licenses(path)


# --------------------------------------------------------------------------------------------------------- languages


def test_languages_agree_with_the_recorded_rows(recorded: dict[str, list[Row]]) -> None:
    columns = {
        "language_as_used": Lookup.USED,
        "language_as_written": Lookup.WRITTEN,
        "language_longest_suffix": Lookup.LONGEST,
    }
    finders = {column: language_finder(lookup) for column, lookup in columns.items()}
    for row in recorded["language"]:
        for column, find in finders.items():
            assert find(row["new_file"]) == row[column], (row["new_file"], column)
        assert has_listed_suffix(row["new_file"]) == row["passes_scrape_filter"], row


def test_folders_agree_with_the_recorded_rows(recorded: dict[str, list[Row]]) -> None:
    for row in recorded["directory_name"]:
        assert directory_name(row["language"]) == row["directory"]


def test_the_table_covers_the_published_languages(shared: Path) -> None:
    published = {
        line.split(":")[0].removeprefix("data/")
        for line in (shared / "data/commitpack/line_counts.txt").read_text().splitlines()
        if line.startswith("data/")
    }
    assert len(published) == 350
    assert published - {directory_name(language) for language in load_languages()} == {UNKNOWN}


def test_no_suffix_has_two_languages() -> None:
    suffixes = Counter(suffix for group in load_languages().values() for suffix in group)
    assert len(load_languages()) == 358
    assert len(suffixes) == 853
    assert set(suffixes.values()) == {1}


@pytest.mark.parametrize(
    ("path", "longest", "used"),
    [
        ("a/b.html.hl", "HTML", UNKNOWN),
        ("a.b/Makefile", "Makefile", UNKNOWN),
        ("a/Makefile", "Makefile", "Makefile"),
        ("x.C", "C++", "C++"),
        ("x.c", "C", "C"),
        ("x.PY", UNKNOWN, UNKNOWN),
        ("x.tar.py", "Python", "Python"),
        (".py", "Python", "Python"),
        ("", UNKNOWN, UNKNOWN),
        ("py", UNKNOWN, UNKNOWN),
        ("a.py/", UNKNOWN, UNKNOWN),
        ("a.py/b", UNKNOWN, UNKNOWN),
        ("notDockerfile", UNKNOWN, UNKNOWN),
    ],
)
def test_lookups_that_differ(path: str, longest: str, used: str) -> None:
    assert language_finder(Lookup.LONGEST)(path) == longest
    assert language_finder(Lookup.USED)(path) == used


@given(st.text(alphabet="ab./Mpyhtml", max_size=12))
def test_the_longest_suffix_is_found(path: str) -> None:
    name = path.split("/")[-1]
    fitting = [
        (len(suffix), language)
        for language, suffixes in load_languages().items()
        for suffix in suffixes
        if (name.endswith(suffix) if suffix.startswith(".") else name == suffix)
    ]
    assert language_finder()(path) == (max(fitting)[1] if fitting else UNKNOWN)


def test_rows_go_to_the_folder_of_their_language() -> None:
    rows = [{"new_file": "a.py"}, {"new_file": "a.zzz"}, {"new_file": "a.rpy", "lang": "wrong"}]
    outcome = apply(LanguagesStep(), rows)
    assert [json.loads(line)["lang"] for line in outcome.kept] == ["Python", UNKNOWN, "Ren'Py"]
    assert outcome.routes == ["python", "unknown", "renpy"]
    known = apply(LanguagesStep(keep_unknown=False), rows)
    assert known.dropped == [(1, "unknown_language")]


def test_a_column_is_added_to_the_raw_line() -> None:
    assert with_field(b'{"a": 1.0}  ', {"a": 1.0}, "lang", 'C"') == b'{"a": 1.0,"lang":"C\\""}'
    assert json.loads(with_field(b'{"lang": "x", "a": 1}', {"lang": "x", "a": 1}, "lang", "C")) == {"lang": "C", "a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected an object of lists"),
        ('{"C": ".c"}', "expected an object of lists"),
        ('{"C": [".c"], "D": [".c"]}', "belongs to both 'C' and 'D'"),
    ],
)
def test_wrong_language_tables(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_table(path)


# ------------------------------------------------------------------------------------------------------------ shards


def cut(sizes: list[int], limit: int) -> list[list[int]]:
    cutter = Cutter(limit)
    parts: dict[int, list[int]] = {}
    for size in sizes:
        parts.setdefault(cutter.part_of(size), []).append(size)
    assert list(parts) == list(range(1, len(parts) + 1))
    return list(parts.values())


def test_parts_agree_with_the_recorded_shards(recorded: dict[str, list[Row]]) -> None:
    for row in recorded["shard"]:
        text = row["text"].replace("\r\n", "\n").replace("\r", "\n")  # the reference reads in text mode
        lines = list(text.split("\n"))
        sizes = [len(line.encode()) + 1 for line in lines[:-1]] + ([len(lines[-1].encode())] if lines[-1] else [])
        expected = [(shard["bytes"], shard["lines"]) for shard in row["shards"] if shard["lines"]]
        assert [(sum(part), len(part)) for part in cut(sizes, row["limit_bytes"])] == expected, row["case"]


@given(st.lists(st.integers(1, 50), min_size=1), st.integers(1, 60))
def test_parts_are_full_and_in_order(sizes: list[int], limit: int) -> None:
    parts = cut(sizes, limit)
    assert [size for part in parts for size in part] == sizes
    for part, following in itertools.pairwise(parts):
        assert sum(part) <= limit or len(part) == 1
        assert sum(part) + following[0] > limit


def published_row(number: int, **more: Any) -> Row:
    return {column: f"{column} {number}" for column in PUBLISHED_COLUMNS} | {"lang": "Python"} | more


def write_rows(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def shards_of(output: Path) -> Iterator[Path]:
    return (path for path in sorted(output.rglob("*-0*")) if ".octopack" not in path.parts)


@pytest.mark.parametrize("kind", [ShardFormat.JSONL, ShardFormat.JSONL_ZST, ShardFormat.PARQUET])
def test_exact_rows_in_are_rows_out(tmp_path: Path, kind: ShardFormat) -> None:
    rows = [published_row(n) for n in range(50)]
    write_rows(tmp_path / "in/python/b.jsonl", rows[20:])
    write_rows(tmp_path / "in/python/a.jsonl", rows[:20])
    write_rows(
        tmp_path / "in/common-lisp/a.jsonl", [published_row(n, lang="Common Lisp", repo="a/x") for n in range(3)]
    )
    units = units_by_language([tmp_path / "in"])
    job = Job(ShardStep(limit=2000), tmp_path / "out", kind)
    run_units(job, units)
    assert summarise(job, units).statistics.rows_out == 53
    names = [path.relative_to(tmp_path / "out").as_posix() for path in shards_of(tmp_path / "out")]
    assert names[0] == f"common-lisp/common-lisp-0001.{kind.value}"
    assert names[1:3] == [f"python/python-0001.{kind.value}", f"python/python-0002.{kind.value}"]
    found = [row for path in shards_of(tmp_path / "out") if "python" in path.name for row in iter_rows(path)]
    assert found == rows
    lisp = list(iter_rows(tmp_path / "out" / names[0]))
    assert all(tuple(row) == PUBLISHED_COLUMNS for row in lisp)
    if kind is ShardFormat.JSONL:
        sizes = [path.stat().st_size for path in shards_of(tmp_path / "out")]
        assert max(sizes) <= 2000


def test_other_rows_stay_byte_for_byte(tmp_path: Path) -> None:
    text = '{"k": 0}           \n{"k":  1}\n'
    (tmp_path / "ruby.jsonl").write_text(text)
    run_units(Job(ShardStep(limit=20), tmp_path / "out"), units_by_language([tmp_path / "ruby.jsonl"]))
    assert "".join(path.read_text() for path in shards_of(tmp_path / "out")) == text


def test_a_row_in_the_wrong_folder_is_told(tmp_path: Path) -> None:
    write_rows(tmp_path / "in/ruby/a.jsonl", [published_row(1)])
    with pytest.raises(DataError, match="the folder 'ruby' holds a row whose lang is 'Python'"):
        run_units(Job(ShardStep(), tmp_path / "out"), units_by_language([tmp_path / "in"]))


def test_rows_without_a_language_are_told(tmp_path: Path) -> None:
    write_rows(tmp_path / "in/part.jsonl", [{"commit": "1", "new_file": "a.py"}])
    with pytest.raises(DataError, match="rows without the column 'lang'"):
        run_units(Job(ShardStep(), tmp_path / "out"), units_by_language([tmp_path / "in"]))


def test_the_steps_after_each_other(tmp_path: Path) -> None:
    rows = [
        {
            "commit": f"{n:040d}",
            "old_file": path,
            "new_file": path,
            "old_contents": "",
            "new_contents": "x" * n,
            "subject": "s",
            "message": "s\n",
            "repos": repos,
            "repo": repos.split(",")[0],
        }
        for n, (path, repos) in enumerate(
            [("a.py", "o/a"), ("a.rb", "o/a,p/a"), ("b.py", "p/a"), ("c.py", "q/a"), ("d.zzz", "p/a"), ("e.py", "r/a")]
        )
    ]
    write_rows(tmp_path / "raw/one.jsonl", rows[:3])
    write_rows(tmp_path / "raw/two.jsonl", rows[3:])
    table = tmp_path / "table.jsonl"
    table.write_text('{"repos": "p/a,o/a", "license": "mit"}\n{"repos": "q/a", "license": "gpl-3.0"}\n')
    steps = [OptOutStep(frozenset({"O"})), LicensesStep(table, ("mit",)), LanguagesStep()]
    source = tmp_path / "raw"
    for number, step in enumerate(steps):
        job = Job(step, tmp_path / str(number))
        units = discover_units([source])
        run_units(job, units)
        summarise(job, units)
        source = tmp_path / str(number)
    run_units(Job(ShardStep(), tmp_path / "final"), units_by_language([source]))
    found = {path.name: [row["commit"][-1] for row in iter_rows(path)] for path in shards_of(tmp_path / "final")}
    assert found == {"python-0001.jsonl": ["2"], "ruby-0001.jsonl": ["1"], "unknown-0001.jsonl": ["4"]}
    ruby = next(iter_rows(tmp_path / "final/ruby/ruby-0001.jsonl"))
    assert tuple(ruby) == PUBLISHED_COLUMNS
    assert (ruby["repos"], ruby["license"], ruby["lang"]) == ("p/a", "mit", "Ruby")
