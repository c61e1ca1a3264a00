"""Near-duplicates, decontamination, redaction, statistics, kinds of task, and the page to look at."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from commit_rows import commit, write_rows

from octopack_data.classification import ModelClassifier
from octopack_data.commitpackft.filters import Semantics
from octopack_data.commitpackft.step import CommitPackFT
from octopack_data.decontamination import Benchmark, Decontamination, load_benchmark
from octopack_data.errors import DataError
from octopack_data.executors import run_units
from octopack_data.look import diff_lines, html_page, print_sample, take_sample
from octopack_data.near_duplicates import DropDuplicates, MinHashConfig, find_duplicates
from octopack_data.pipeline import Batch, Job, discover_units, summarise
from octopack_data.redaction import Redaction, redact
from octopack_data.shards import iter_rows
from octopack_data.statistics import (
    CommitStatistics,
    category,
    category_names,
    draw_subjects,
    markdown,
    spread,
    summary_json,
)

# ----------------------------------------------------------------------------------------------------- near-duplicates


def words(*numbers: int) -> str:
    return " ".join(f"word{number}" for number in numbers)


def test_of_near_duplicates_the_first_stays(tmp_path: Path) -> None:
    pytest.importorskip("datasketch")
    text = words(*range(120))
    rows_a = [commit(1, new_contents=text), commit(2, new_contents=words(*range(500, 620)))]
    rows_b = [commit(3, new_contents=text + " extra"), commit(4, new_contents=words(*range(900, 1020)))]
    write_rows(tmp_path / "in" / "a.jsonl", rows_a)
    with write_rows(tmp_path / "in" / "b.jsonl", rows_b).open("ab") as file:
        file.write(b"{broken\n" + orjson.dumps(commit(5, new_contents=text.upper())) + b"\n")
    units = discover_units([tmp_path / "in"])
    config = MinHashConfig(columns=("new_contents",))
    job = Job(DropDuplicates(config, find_duplicates(units, config, "commit")), tmp_path / "out", keep_dropped=True)
    run_units(job, units)
    assert summarise(job, units).statistics.rows_out == 3
    kept = [row["commit"] for name in "ab" for row in iter_rows(tmp_path / "out" / f"{name}.jsonl")]
    assert [int(name, 16) for name in kept] == [1, 2, 4]
    dropped = list(iter_rows(tmp_path / "out" / "_dropped" / "b.jsonl"))
    assert [(int(row["commit"], 16), int(row["duplicate_of"], 16)) for row in dropped] == [(3, 1), (5, 1)]
    assert dropped[0]["similarity"] >= 0.8


def test_short_texts_are_compared_whole() -> None:
    config = MinHashConfig(columns=("a",))
    assert config.runs({"a": " x = 1 "}) == {b"x = 1"}
    assert len(config.runs({"a": words(*range(7))})) == 3


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": 1.1}, {"permutations": 2}, {"ngram": 0}])
def test_impossible_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        MinHashConfig(**wrong)


# ------------------------------------------------------------------------------------------------------ decontamination


@pytest.fixture(scope="module")
def benchmark() -> Benchmark:
    return load_benchmark("starter")


def test_benchmark_texts_are_found_whatever_their_dress(benchmark: Benchmark) -> None:
    problem, column, _ = benchmark.texts[0]
    from octopack_tasks.problems import load_problems

    text = next(getattr(p, column) for p in load_problems("python", "starter") if p.task_id == problem)
    dressed = "x = 1\n" + text.upper().replace("\n", "\n\t// ")
    kinds = {(hit.problem, hit.column): hit.kind for hit in benchmark.hits(dressed)}
    assert kinds[problem, column] == "exact"


def test_a_run_of_words_is_a_hit_and_a_shorter_one_is_none() -> None:
    long = tuple(words(*range(40)).split())
    benchmark = Benchmark((("Python/7", "docstring", long),))
    hits = benchmark.hits("x " + " ".join(long[5 : 5 + benchmark.ngram]) + " y")
    assert [(hit.problem, hit.column, hit.kind) for hit in hits] == [("Python/7", "docstring", "ngram")]
    assert benchmark.hits(" ".join(long[5 : 4 + benchmark.ngram])) == []


def test_rows_of_numbers_are_no_hit() -> None:
    numbers = Benchmark((("Python/7", "test", ("check", *["0"] * 30, "own")),))
    assert numbers.hits("0 " * 40) == []


def test_runs_that_many_problems_share_are_no_hit() -> None:
    frame = tuple(words(*range(20)).split())
    shared_by_all = Benchmark(tuple((f"Rust/{number}", "test", (f"own{number}", *frame)) for number in range(13)))
    assert shared_by_all.hits(" ".join(frame)) == []
    assert [hit.kind for hit in shared_by_all.hits("own3 " + " ".join(frame))] == ["exact"]


def test_innocent_code_is_not_hit(benchmark: Benchmark) -> None:
    assert benchmark.hits("def add(a, b):\n    return a + b\n" * 50) == []
    assert benchmark.hits("") == []


def test_dropped_rows_tell_what_was_found(benchmark: Benchmark) -> None:
    problem, column, texts = benchmark.texts[0]
    row = commit(1, new_contents=" ".join(texts))
    clean = commit(2)
    step = Decontamination(benchmark)
    outcome = step.start()(Batch([orjson.dumps(row), orjson.dumps(clean)], [row, clean]))
    assert outcome.dropped == [(0, "benchmark text")]
    assert len(outcome.kept) == 1
    assert {"problem": problem, "column": column}.items() <= dict(row)["benchmark_hits"][0].items()  # type: ignore[index]
    assert step.explain(row)[0].passed is False
    chain = CommitPackFT(None, benchmark=benchmark)
    reason = chain.start()(Batch([orjson.dumps(row)], [commit(1, new_contents=" ".join(texts))])).dropped
    assert reason == [(0, "benchmark text")]


def test_runs_too_short_to_mean_anything_are_refused() -> None:
    with pytest.raises(DataError, match="everyday code"):
        load_benchmark("starter", ngram=3)


# ------------------------------------------------------------------------------------------------------------ redaction


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail bob.smith+x@mail.example.org now", "mail <EMAIL> now"),
        ("@decorator\ndef f(a): return a@b", "@decorator\ndef f(a): return a@b"),
        ("git@github.com:a/b.git", "<EMAIL>:a/b.git"),
        ("k = 'AKIAIOSFODNN7ABCDEFG'", "k = '<KEY>'"),
        (f"t = ghp_{'a1B2' * 9}", "t = <KEY>"),
        (f"AIza{'x1_-Y' * 7} end", "<KEY> end"),
        ('api_key = "9f8a7b6c5d4e3f2a"', 'api_key = "<KEY>"'),
        ("password: 'changeme_please'", "password: 'changeme_please'"),
        ('password = "correct-horse-battery"', 'password = "correct-horse-battery"'),
        ("url = https://user:s3cr3t99@host/x", "url = https://user:<KEY>@host/x"),
        ("url = https://user:${TOKEN}@host/x", "url = https://user:${TOKEN}@host/x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "<KEY> RSA PRIVATE KEY-----"),
        ("token = get_token(user)", "token = get_token(user)"),
    ],
)
def test_redaction(text: str, expected: str) -> None:
    assert redact(text)[0] == expected


def test_redaction_is_fast_on_hostile_text() -> None:
    hostile = (
        "a" * 50_000 + "@",
        "eyJ" * 20_000,
        "-----BEGIN PRIVATE KEY-----" * 300,
        "password='" * 5000,
        "://a:b" * 9000,
    )
    for text in hostile:
        before = time.process_time()
        redact(text)
        assert time.process_time() - before < 20, text[:20]  # quadratic work would take hours


def test_rows_without_secrets_are_copied() -> None:
    row = commit(1, new_contents="x = 'AKIAIOSFODNN7ABCDEFG'")
    lines = [b'{"raw": "line"}', orjson.dumps(row)]
    outcome = Redaction().start()(Batch(lines, [commit(0), row]))
    assert outcome.kept[0] == lines[0]
    assert orjson.loads(outcome.kept[1])["new_contents"] == "x = '<KEY>'"
    assert outcome.tallies["redacted"]["rows changed"] == 1


@pytest.mark.parametrize("columns", [("prompt", "completion"), ("inputs", "targets")])
def test_text_that_is_laid_out_already_is_looked_at_too(benchmark: Benchmark, columns: tuple[str, str]) -> None:
    secret = dict.fromkeys(columns, "x = 'AKIAIOSFODNN7ABCDEFG'")
    outcome = Redaction().start()(Batch([orjson.dumps(secret)], [secret]))
    assert orjson.loads(outcome.kept[0]) == dict.fromkeys(columns, "x = '<KEY>'")
    copied = {columns[0]: "q", columns[1]: " ".join(benchmark.texts[0][2])}
    assert Decontamination(benchmark).start()(Batch([orjson.dumps(copied)], [copied])).dropped == [
        (0, "benchmark text")
    ]


def test_additions_are_off_unless_asked_for() -> None:
    row = commit(1, new_contents=f"x = 'AKIAIOSFODNN7ABCDEFG' # a@b.example.org\n{commit()['new_contents']}")
    line = orjson.dumps(row)
    assert CommitPackFT(None).start()(Batch([line], [row])).kept == [line]
    redacted = CommitPackFT(None, redacted=True).start()(Batch([line], [dict(row)])).kept
    assert b"AKIA" not in redacted[0]
    assert b"a@b.example.org" not in redacted[0]


# ----------------------------------------------------------------------------------------------------------- statistics


def test_counts_of_a_data_set(tmp_path: Path) -> None:
    rows = [commit(i, subject="Fix broken total of it", lang=("Go", "Ruby")[i % 3 == 0]) for i in range(9)]
    rows.append(commit(9, subject="Add tests | for <b>", license="isc"))
    path = write_rows(tmp_path / "in.jsonl", rows)
    job = Job(CommitStatistics(), tmp_path / "out")
    units = discover_units([path])
    run_units(job, units)
    statistics = summarise(job, units).statistics
    data = summary_json(statistics)
    assert data["rows"] == 10
    assert [(row["language"], row["rows"]) for row in data["languages"]] == [("Go", 6), ("Ruby", 4)]
    assert data["categories"] == {"bug fixes": 9, "testing": 1}
    assert data["lengths"]["subject words"]["median"] == 5
    assert data["licenses"] == {"mit": 9, "isc": 1}
    assert "| Go | 6 |" in markdown(statistics)
    assert not (tmp_path / "out" / "in.jsonl").exists()
    assert len(draw_subjects(units, 4, 0)) == 4
    assert draw_subjects(units, 4, 0) == draw_subjects(units, 4, 0)


def test_quantiles() -> None:
    assert spread({}).most == 0
    s = spread({str(value): 1 for value in range(1, 101)})
    assert (s.least, s.quarter, s.median, s.three_quarters, s.ninety_nine, s.most, s.mean) == (
        1,
        25,
        50,
        75,
        99,
        100,
        50.5,
    )


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        ("Fix crash when reading", "bug fixes"),
        ("Add unit tests for reader", "testing"),
        ("Update README with usage", "documentation"),
        ("Bump lodash to 4.17", "dependencies"),
        ("Add a parser of dates", "new features"),
        ("Rename variables", "refactoring"),
        ("Zzz", "other"),
    ],
)
def test_kinds_of_task(subject: str, kind: str) -> None:
    assert category(subject) == kind


class Server:
    """An OpenAI-compatible server on loopback that answers as told."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.questions: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.questions.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                status, answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def say(self, *texts: str) -> None:
        self.answers = [(200, {"choices": [{"message": {"content": text}}]}) for text in texts]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_a_model_tells_the_kind(server: Server) -> None:
    classifier = ModelClassifier(server.url, "m", category_names(), parallel=1)
    server.say("Bug fixes.", "This is `testing`, clearly", "no idea", "- refactoring")
    counts = classifier.count(["a", "b", "c", "d"])
    assert counts == {"bug fixes": 1, "testing": 1, "other": 1, "refactoring": 1}
    assert server.questions[0]["model"] == "m"


def test_a_busy_server_is_asked_again_and_a_refusal_is_told(server: Server) -> None:
    classifier = ModelClassifier(server.url, "m", category_names(), parallel=1)
    server.answers = [(503, {}), (200, {"choices": [{"message": {"content": "testing"}}]})]
    assert classifier.classify("x") == "testing"
    server.answers = [(404, {"error": "no such model"})]
    with pytest.raises(DataError, match="answered 404"):
        classifier.classify("x")
    server.answers = [(200, {"unexpected": 1})]
    with pytest.raises(DataError, match="no usable answer"):
        classifier.classify("x")
    with pytest.raises(DataError, match="expected http"):
        ModelClassifier("ftp://x", "m", category_names()).classify("x")


# ------------------------------------------------------------------------------------------------------------- looking


@pytest.fixture
def hostile_rows(tmp_path: Path) -> Path:
    rows = [commit(i) for i in range(30)] + [commit(100 + i, subject="fix lower case of the values") for i in range(20)]
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    rows.append(commit(999, subject=f"Fix {evil} in the total", new_contents=f"{evil}\n\x1b[2J\x1b]0;owned\x07"))
    return write_rows(tmp_path / "rows.jsonl", rows)


def test_a_sample_has_every_reason_and_does_not_depend_on_shards(hostile_rows: Path, tmp_path: Path) -> None:
    step = CommitPackFT(None, semantics=Semantics.PAPER)
    sample = take_sample(step, discover_units([hostile_rows]), each=2, seed=1)
    assert sample.counts == {"kept": 31, "P10 no capital letter first": 20}
    assert [s.reason for s in sample.specimens] == [None] * 8 + ["P10 no capital letter first"] * 2
    lines = hostile_rows.read_bytes().splitlines(keepends=True)
    for name, part in (("a", lines[30:]), ("b", lines[:30])):
        (tmp_path / "parts").mkdir(exist_ok=True)
        (tmp_path / "parts" / f"{name}.jsonl").write_bytes(b"".join(part))
    other = take_sample(step, discover_units([tmp_path / "parts"]), each=2, seed=1)
    assert [s.row["commit"] for s in other.specimens] == [s.row["commit"] for s in sample.specimens]


def test_what_commits_contain_is_shown_and_not_obeyed(hostile_rows: Path) -> None:
    from io import StringIO

    from rich.console import Console

    sample = take_sample(CommitPackFT(None), discover_units([hostile_rows]), each=20, seed=0)
    page = html_page(sample, "<title>")
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("<article") == len(sample.specimens)
    assert "Content-Security-Policy" in page
    terminal = StringIO()
    print_sample(sample, Console(file=terminal, width=100, no_color=True))
    assert "\x1b]0" not in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()
    assert "dropped: P10 no capital letter first" in terminal.getvalue()


def test_diffs_are_cut() -> None:
    assert diff_lines("a\n", "b\n")[1:3] == ["-a", "+b"]
    many = diff_lines("", "\n".join(map(str, range(500))), most=10)
    assert len(many) == 11
    assert many[-1].endswith("more lines @@")
    assert "too long" in diff_lines("x" * 300_000, "y")[0]
    assert max(map(len, diff_lines("", "z" * 5000))) < 500
