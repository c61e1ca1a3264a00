"""Queueing, order, deduplication, retry: on workers that live in this process."""

from __future__ import annotations

import itertools
import threading

import pytest

from sandboxes import Program, SandboxError, Status, Verdict
from sandboxes.errors import WorkerFault


def programs(*sources: str, language: str = "python") -> list[Program]:
    return [Program(language, source) for source in sources]


def test_verdicts_come_in_the_order_of_the_programs(open_fake):
    with open_fake() as sandbox:
        verdicts = sandbox.run(programs("good 1", "fail 2", "good 3"))
    assert [verdict.status for verdict in verdicts] == [Status.PASSED, Status.FAILED, Status.PASSED]


def test_identical_programs_run_once(open_fake, backend):
    with open_fake() as sandbox:
        verdicts = sandbox.run(programs(*["same"] * 50, "other"))
    assert all(verdict.passed for verdict in verdicts)
    assert sorted(backend.judged) == ["other", "same"]
    assert [verdict.cached for verdict in verdicts[:50]].count(False) == 1


def test_programs_that_differ_in_language_limits_or_offset_are_not_identical(open_fake, backend):
    from sandboxes import Limits

    variants = [
        Program("python", "same"),
        Program("rust", "same"),
        Program("python", "same", 2),
        Program("python", "same", limits=Limits(cpu_seconds=3)),
    ]
    with open_fake() as sandbox:
        sandbox.run(variants)
    assert backend.judged == ["same"] * 4


def test_a_stream_is_read_only_as_far_as_workers_need(open_fake):
    read = itertools.count()

    def source():
        for number in range(20_000):
            next(read)
            yield Program("python", f"program {number}")

    with open_fake() as sandbox:
        stream = sandbox.stream(source())
        seen = {next(stream)[0] for _ in range(10)}
        assert len(seen) == 10
        # `next` on the counter counts itself
        assert next(read) <= 10 + 2 * 64 + 1
        seen |= {index for index, _ in stream}
    assert seen == set(range(20_000))


def test_an_abandoned_stream_leaves_the_sandbox_usable(open_fake, backend):
    with open_fake() as sandbox:
        stream = sandbox.stream(programs(*(f"program {number}" for number in range(100))))
        next(stream)
        stream.close()
        assert sandbox.run(programs("afterwards"))[0].passed


def test_several_threads_may_share_a_sandbox(open_fake):
    results: dict[int, list[Verdict]] = {}
    with open_fake() as sandbox:

        def ask(number: int) -> None:
            results[number] = sandbox.run(programs(*(f"{number} {i} {'fail' if i % 2 else ''}" for i in range(100))))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 8
    for verdicts in results.values():
        assert [verdict.passed for verdict in verdicts] == [True, False] * 50


def test_programs_of_a_language_are_batched_fairly(open_fake, backend):
    backend.batch = {"rust": 8}
    gate = threading.Event()
    backend.behaviour = lambda program, worker: None if "add" in program.source else (gate.wait(60), None)[1]

    def source():
        yield from programs(*(f"program {number}" for number in range(40)), language="rust")
        gate.set()  # all of them wait now

    with open_fake() as sandbox:
        assert len(list(sandbox.stream(source()))) == 40
    sizes = [len(batch) for batch in backend.batches if "add" not in batch[0]]
    assert max(sizes) == 8
    assert sum(sizes) == 40


def test_a_fault_is_tried_again_on_a_fresh_worker(open_fake, backend):
    faults = iter([WorkerFault("killed"), WorkerFault("killed again")])

    def behave(program, worker):
        if program.source == "unlucky" and (fault := next(faults, None)):
            raise fault
        return

    backend.behaviour = behave
    with open_fake() as sandbox:
        verdicts = sandbox.run(programs("a", "unlucky", "b"))
    assert all(verdict.passed for verdict in verdicts)
    assert backend.judged.count("unlucky") == 3
    assert backend.judged.count("a") == backend.judged.count("b") == 1
    assert sum(worker.closed for worker in backend.workers) == len(backend.workers)


def test_a_supervisor_that_cannot_tell_is_replaced(open_fake, backend):
    answers = iter([Verdict(Status.SANDBOX_ERROR, detail="the disk is full")])
    judges = []

    def behave(program, worker):
        if program.source != "unclear":
            return None
        judges.append(worker)
        return next(answers, None)

    backend.behaviour = behave
    with open_fake(workers=1) as sandbox:
        assert sandbox.run(programs("unclear"))[0].passed
    assert len(judges) == 2
    assert judges[0] is not judges[1]


def test_a_lasting_fault_is_raised_and_never_a_wrong_answer(open_fake, backend):
    def behave(program, worker):
        if "cursed" in program.source:
            raise WorkerFault("the supervisor was killed")
        return

    backend.behaviour = behave
    with open_fake() as sandbox:
        with pytest.raises(SandboxError, match=r"1 program.*program 1: the supervisor was killed") as raised:
            sandbox.run(programs("a", "cursed", "fail", "b"))
        assert sandbox.run(programs("later"))[0].passed
    statuses = [verdict and verdict.status for verdict in raised.value.verdicts]
    assert statuses == [Status.PASSED, None, Status.FAILED, Status.PASSED]
    assert raised.value.failed == ((1, "the supervisor was killed"),)
    assert backend.judged.count("cursed") == 3


def test_in_a_batch_only_the_fault_itself_is_raised(open_fake, backend):
    backend.batch = {"rust": 8}

    def behave(program, worker):
        if "cursed" in program.source:
            raise WorkerFault("killed")
        return

    backend.behaviour = behave
    with open_fake(workers=1) as sandbox, pytest.raises(SandboxError) as raised:
        sandbox.run(programs(*(f"program {i}" for i in range(6)), "cursed", language="rust"))
    assert [index for index, _ in raised.value.failed] == [6]


def test_a_daemon_that_comes_back_costs_no_verdict(open_fake, backend):
    def behave(program, worker):
        if program.source == "first" and not backend.failing_starts and len(backend.workers) < 3:
            backend.failing_starts = 2
            raise WorkerFault("the daemon was stopped")
        return

    backend.behaviour = behave
    with open_fake(workers=1) as sandbox:
        assert all(verdict.passed for verdict in sandbox.run(programs("first", "second")))


def test_a_daemon_that_stays_away_ends_the_run_with_a_reason(open_fake, backend):
    def behave(program, worker):
        if "add" not in program.source and len(backend.judged) > 3:
            backend.failing_starts = 10**6
            raise WorkerFault("the daemon was stopped")
        return

    backend.behaviour = behave
    with open_fake() as sandbox:
        with pytest.raises(SandboxError, match="the fake daemon is away"):
            sandbox.run(programs(*(f"program {number}" for number in range(500))))
        with pytest.raises(SandboxError, match="the fake daemon is away"):
            sandbox.run(programs("another"))


def test_progress_is_told(open_fake):
    told = []
    with open_fake() as sandbox:
        sandbox.run(programs("a", "b", "b"), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_progress_bar_goes_to_standard_error(open_fake, capsys):
    with open_fake() as sandbox:
        sandbox.run(programs("a", "b"), progress=True)
    captured = capsys.readouterr()
    assert not captured.out
    assert "2/2" in captured.err


def test_an_unknown_language_is_an_error_before_anything_runs(open_fake, backend):
    with open_fake() as sandbox, pytest.raises(ValueError, match="program 1 is in 'go'; this sandbox was opened for"):
        sandbox.run([Program("python", "a"), Program("go", "b")])
    assert not backend.judged


def test_in_a_stream_a_bad_program_ends_it_after_the_others(open_fake):
    with open_fake() as sandbox:
        stream = sandbox.stream([Program("python", "a"), Program("python", "b", 99)])
        assert next(stream)[1].passed
        with pytest.raises(ValueError, match="test_offset 99 lies outside"):
            next(stream)


def test_an_error_of_the_caller_s_iterable_is_the_caller_s(open_fake):
    def source():
        yield Program("python", "a")
        raise KeyError("mine")

    with open_fake() as sandbox:
        with pytest.raises(KeyError, match="mine"):
            list(sandbox.stream(source()))
        assert sandbox.run(programs("b"))[0].passed


def test_a_closed_sandbox_says_so(open_fake):
    sandbox = open_fake()
    sandbox.close()
    sandbox.close()
    with pytest.raises(ValueError, match="closed"):
        sandbox.run(programs("a"))


def test_closing_wakes_whoever_waits(open_fake, backend):
    stuck = threading.Event()

    def behave(program, worker):
        if program.source == "stuck":
            stuck.set()
            while not worker.closed:
                threading.Event().wait(0.01)
            raise WorkerFault("closed")
        return

    backend.behaviour = behave
    sandbox = open_fake()
    failures = []

    def ask() -> None:
        try:
            sandbox.run(programs("stuck"))
        except (SandboxError, ValueError) as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert stuck.wait(60)
    sandbox.close()
    thread.join(60)
    assert not thread.is_alive()
    assert failures


def test_more_memory_than_a_worker_has_is_refused(open_fake, backend):
    from sandboxes import Limits

    large = Limits(memory_bytes=64 << 30)
    with open_fake() as sandbox, pytest.raises(ValueError, match="program 0 may use 68,719,476,736 bytes of memory"):
        sandbox.run([Program("python", "a", limits=large)])
    with open_fake(limits=large) as sandbox:
        assert sandbox.run([Program("python", "a", limits=large)])[0].passed


def test_each_language_has_its_own_default_limits(open_fake, backend):
    from sandboxes import Limits
    from sandboxes.supervisor.protocol import DEFAULT_LIMITS

    seen = []
    backend.behaviour = lambda program, worker: seen.append((program.source, program.limits))
    with open_fake() as sandbox:
        sandbox.run([Program("python", "a"), Program("rust", "b"), Program("rust", "c", limits=Limits(cpu_seconds=1))])
    with open_fake(limits=Limits(cpu_seconds=7)) as sandbox:
        sandbox.run([Program("rust", "d")])
    assert dict(pair for pair in seen if len(pair[0]) == 1) == {
        "a": DEFAULT_LIMITS["python"],
        "b": DEFAULT_LIMITS["rust"],
        "c": Limits(cpu_seconds=1),
        "d": Limits(cpu_seconds=7),
    }
