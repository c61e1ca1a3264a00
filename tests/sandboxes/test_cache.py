"""What is remembered between runs, and what must not be."""

from __future__ import annotations

import sqlite3

import pytest

from sandboxes import Limits, Program, Status, Verdict
from sandboxes.cache import VerdictCache, cache_path, is_lasting, program_key

GOOD = Program("python", "a program")


def test_a_second_run_asks_no_worker(open_fake, backend):
    with open_fake(cache=True) as sandbox:
        [first] = sandbox.run([GOOD])
    with open_fake(cache=True) as sandbox:
        [second] = sandbox.run([GOOD])
    assert backend.judged == ["a program"]
    assert not first.cached
    assert second.cached
    assert second.status is first.status


def test_without_the_cache_a_second_run_asks_again(open_fake, backend):
    for _ in range(2):
        with open_fake(cache=False) as sandbox:
            sandbox.run([GOOD])
    assert backend.judged == ["a program"] * 2
    assert not cache_path().exists()


def test_another_image_is_asked_again(open_fake, backend):
    for digest in ("sha256:one", "sha256:two"):
        backend.digest = digest
        with open_fake(cache=True) as sandbox:
            sandbox.run([GOOD])
    assert backend.judged == ["a program"] * 2


def test_a_key_depends_on_everything_that_a_verdict_depends_on():
    variants = [
        program_key(GOOD, "here"),
        program_key(GOOD, "there"),
        program_key(Program("rust", "a program"), "here"),
        program_key(Program("python", "another program"), "here"),
        program_key(Program("python", "a program", 3), "here"),
        program_key(Program("python", "a program", None, Limits(cpu_seconds=1)), "here"),
    ]
    assert len(set(variants)) == len(variants)
    assert program_key(Program("python", "\ud800"), "here")


@pytest.mark.parametrize(
    ("verdict", "lasting"),
    [
        (Verdict(Status.PASSED), True),
        (Verdict(Status.FAILED), True),
        (Verdict(Status.SANDBOX_ERROR), False),
        (Verdict(Status.TIMEOUT, run_seconds=10.0), True),
        (Verdict(Status.TIMEOUT, run_seconds=0.1, wall_seconds=100.0), False),
        (Verdict(Status.TIMEOUT, stage="compile", compile_seconds=60.0), True),
    ],
)
def test_faults_and_timeouts_that_load_may_have_caused_are_not_kept(verdict, lasting, open_fake, backend):
    assert is_lasting(verdict, Limits()) is lasting
    if verdict.status is Status.SANDBOX_ERROR:
        return
    backend.behaviour = lambda program, worker: verdict if program.source == GOOD.source else None
    for _ in range(2):
        with open_fake(cache=True) as sandbox:
            sandbox.run([GOOD])
    assert len(backend.judged) == (1 if lasting else 2)


def test_a_damaged_file_is_set_aside(open_fake, backend, caplog):
    cache_path().parent.mkdir(parents=True)
    cache_path().write_bytes(b"this is no database" * 100)
    with open_fake(cache=True) as sandbox:
        assert sandbox.run([GOOD])[0].passed
    assert "damaged" in caplog.text
    with open_fake(cache=True) as sandbox:
        assert sandbox.run([GOOD])[0].cached


def test_a_full_disk_costs_the_cache_and_not_the_run(open_fake, backend, caplog):
    with open_fake(cache=True) as sandbox:
        # what SQLite answers where the disk is full
        sandbox._cache._connection.execute("PRAGMA max_page_count = 1")
        verdicts = sandbox.run([Program("python", "x" * 100 + str(number)) for number in range(200)])
    assert all(verdict.passed for verdict in verdicts)
    assert "no longer cached" in caplog.text


def test_a_folder_that_cannot_be_written_costs_the_cache_and_not_the_run(open_fake, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OCTOPACK_CACHE", str(tmp_path / "file" / "below"))
    with open_fake(cache=True) as sandbox:
        assert sandbox.run([GOOD])[0].passed
    assert "not cached" in caplog.text


def test_a_verdict_of_another_version_is_forgotten(tmp_path):
    path = tmp_path / "verdicts.sqlite3"
    cache = VerdictCache(path)
    cache.put("key", Verdict(Status.PASSED))
    cache.close()
    with sqlite3.connect(path) as connection:
        connection.execute('UPDATE verdicts SET verdict = \'{"status": "passed", "new_field": 1}\'')
    reopened = VerdictCache(path)
    assert reopened.get("key") is None
    reopened.close()


def test_two_processes_may_share_a_file(tmp_path):
    one, two = VerdictCache(tmp_path / "v.sqlite3"), VerdictCache(tmp_path / "v.sqlite3")
    one.put("key", Verdict(Status.FAILED, stderr="why"))
    found = two.get("key")
    assert found is not None
    assert found.cached
    assert found.stderr == "why"
    one.close()
    two.close()
