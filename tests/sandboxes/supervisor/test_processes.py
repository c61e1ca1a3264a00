"""Limits, and the clearing away of what a program leaves."""

from __future__ import annotations

import pytest

from .conftest import Worker


def test_cpu_time_is_limited(worker: Worker) -> None:
    reply = worker.python("while True: pass", cpu_seconds=0.5)
    assert reply["status"] == "timeout"
    assert reply["run_seconds"] < 3


def test_cpu_time_of_children_counts(worker: Worker) -> None:
    source = "import os\nif os.fork() == 0:\n    while True: pass\nos.wait()\n"
    assert worker.python(source, cpu_seconds=0.5)["status"] == "timeout"


def test_sleeping_counts_as_well(worker: Worker) -> None:
    reply = worker.python("import time\ntime.sleep(60)", cpu_seconds=0.5)
    assert reply["status"] == "timeout"
    assert reply["run_seconds"] < 0.5


def test_a_nap_is_allowed(worker: Worker) -> None:
    assert worker.python("import time\ntime.sleep(0.3)")["status"] == "passed"


@pytest.mark.parametrize("source", ["x = bytearray(3 << 30)", "x = []\nwhile True: x.append(bytearray(1 << 20))"])
def test_memory_is_limited(worker: Worker, source: str) -> None:
    assert worker.python(source, memory_bytes=256 << 20)["status"] == "memory_limit"


def test_300_megabytes_are_fine(worker: Worker) -> None:
    assert worker.python("x = bytearray(300 << 20)\nassert len(x) == 300 << 20")["status"] == "passed"


def test_output_is_limited(worker: Worker) -> None:
    reply = worker.python("while True: print('x' * 1000)", output_bytes=1 << 16)
    assert reply["status"] == "output_limit"
    assert "x" * 100 in reply["stdout"]


def test_threads_files_subprocesses_and_recursion_work(worker: Worker) -> None:
    reply = worker.python(
        "import subprocess, sys, tempfile, threading\n"
        "seen = []\n"
        "threads = [threading.Thread(target=seen.append, args=(i,)) for i in range(4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "assert sorted(seen) == [0, 1, 2, 3]\n"
        "with tempfile.TemporaryFile() as file: assert file.write(b'x') == 1\n"
        "assert subprocess.run(['echo', 'hi'], capture_output=True).stdout == b'hi\\n'\n"
        "sys.setrecursionlimit(10**6)\n"
        "def depth(n): return n and 1 + depth(n - 1)\n"
        "assert depth(20000) == 20000\n"
        "assert sys.stdin.read() == ''\n"
    )
    assert reply["status"] == "passed", reply


def test_what_a_program_starts_does_not_outlive_it(worker: Worker) -> None:
    source = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        open('/proc/self/comm', 'w').write('octopack-ghost')\n"
        "        time.sleep(60)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "time.sleep(0.1)\n"
    )
    assert worker.python(source)["status"] == "passed"
    # without a jail it sees every process of the machine, and any of the others may end while it looks
    look = (
        "import glob\n"
        "for path in glob.glob('/proc/[0-9]*/comm'):\n"
        "    try:\n"
        "        name = open(path).read()\n"
        "    except OSError:\n"
        "        continue\n"
        "    assert 'octopack-ghost' not in name\n"
    )
    assert worker.python(look)["status"] == "passed"
