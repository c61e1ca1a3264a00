"""What a backend may count on: frames in, frames out, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

from sandboxes.supervisor.protocol import PROTOCOL_VERSION, Status, Verdict

from .conftest import Worker

GOOD, BAD = "assert 1 + 1 == 2\n", "assert 1 + 1 == 3\n"


def test_hello_names_the_protocol_and_the_toolchains(worker: Worker) -> None:
    assert worker.hello["protocol"] == PROTOCOL_VERSION
    assert worker.hello["languages"] == ["python"]
    assert worker.hello["toolchains"]["python"].startswith("Python 3")


def test_a_reply_is_a_verdict(worker: Worker) -> None:
    reply = worker.python(GOOD)
    assert reply.pop("id") == 1
    verdict = Verdict.from_json(reply)
    assert verdict.passed
    assert verdict.reference_passed
    assert not verdict.suspicious
    assert 0 < verdict.run_seconds < 5
    assert verdict.memory_bytes > 0


def test_a_batch_keeps_the_order(worker: Worker) -> None:
    reply = worker.ask(batch=[{"language": "python", "source": source} for source in (GOOD, BAD, GOOD)])
    assert [one["status"] for one in reply["batch"]] == ["passed", "failed", "passed"]


def test_a_request_that_makes_no_sense_harms_nothing(worker: Worker) -> None:
    for request in (
        {"language": "cobol", "source": ""},
        {"language": "python"},
        {"language": "python", "source": 7},
        {"language": "python", "source": "x", "test_offset": 9},
        {"language": "python", "source": "x", "limits": {"cpu_seconds": -1}},
        {"batch": []},
    ):
        assert "error" in worker.ask(**request), request
    assert worker.python(GOOD)["status"] == "passed"


def test_the_input_s_end_ends_the_worker_and_its_folder(tmp_path: Path) -> None:
    worker = Worker("--languages", "python", "--work", str(tmp_path))
    assert worker.python("open('left', 'w').write('x')")["status"] == "passed"
    assert not list(tmp_path.iterdir())
    assert worker.close() == 0
    assert not Path(f"/proc/{worker.hello['pid']}").exists()


def test_a_program_that_does_not_parse(worker: Worker) -> None:
    for source in ("def f(:\n", "x = 1\0", "\ud800 = 1"):
        reply = worker.python(source)
        assert reply["status"] == Status.COMPILE_ERROR, reply
        assert reply["stage"] == "compile"


def test_no_program_sees_another_s_environment(worker: Worker) -> None:
    os.environ["OCTOPACK_TEST_SECRET"] = "1"
    own = Worker("--languages", "python")
    try:
        assert own.python("import os\nassert 'OCTOPACK_TEST_SECRET' not in os.environ")["status"] == "passed"
    finally:
        own.close()
        del os.environ["OCTOPACK_TEST_SECRET"]
