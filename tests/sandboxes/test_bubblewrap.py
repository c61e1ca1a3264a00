"""What bubblewrap workers may use of the machine, and that they leave nothing on it."""

from __future__ import annotations

import os
import subprocess
import threading

import pytest

from sandboxes import Limits, Program, SandboxUnavailable, open_sandbox
from sandboxes.backends.control_groups import ControlGroup


@pytest.fixture
def group():
    made = ControlGroup.make(64, 1 << 30)
    if made is None:
        pytest.skip("this user may not make control groups")
    yield made
    made.remove()


def test_a_group_goes_away(group):
    assert all(folder.is_dir() for folder in group.folders)
    group.remove()
    assert not any(folder.exists() for folder in group.folders)
    group.remove()


def test_a_group_limits_processes_and_memory(group):
    limits = {}
    for folder in group.folders:
        for name in ("pids.max", "memory.limit_in_bytes", "memory.max"):
            if (folder / name).exists():
                limits[name.partition(".")[0]] = (folder / name).read_text().strip()
    assert limits["pids"] == "64"
    assert limits.get("memory", "1073741824") == "1073741824"


def test_no_program_of_a_worker_gets_past_its_group(monkeypatch):
    """Root is not held to RLIMIT_NPROC: a fork bomb must meet another limit before it meets the machine's."""
    made: list[ControlGroup] = []
    real = ControlGroup.make
    monkeypatch.setattr(ControlGroup, "make", lambda *limits: made.append(real(*limits)) or made[-1])
    limits = Limits(cpu_seconds=1, wall_seconds=5, processes=32)
    try:
        sandbox = open_sandbox("bubblewrap", ["python"], workers=1, cache=False, limits=limits)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    with sandbox:
        if made[0] is None:
            pytest.skip("this user may not make control groups")
        folder = next(folder for folder in made[0].folders if (folder / "pids.current").exists())
        most = [0]
        done = threading.Event()

        def look() -> None:
            while not done.wait(0.01):
                most[0] = max(most[0], int((folder / "pids.current").read_text()))

        looking = threading.Thread(target=look)
        looking.start()
        # far more processes than it may have, and far fewer than a machine has
        code = "import subprocess\nfor _ in range(400):\n    subprocess.Popen(['sleep', '3'])\n"
        [verdict] = sandbox.run([Program("python", code, 0)])
        done.set()
        looking.join()
        assert not verdict.passed
        assert 1 <= most[0] <= 32 + 256
        assert sandbox.run([Program("python", "assert True\n", 0)])[0].passed
    assert not folder.exists()


def test_what_a_killed_owner_left_is_removed(group):
    with subprocess.Popen(["true"]) as dead:
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # its number stays taken: nobody has asked for it
        left = [group.folders[0].parent / f"octopack-{pid}-0" for pid in (99999999, dead.pid)]
        for folder in left:
            folder.mkdir()
        mine = ControlGroup.make(16, 1 << 30)
    assert mine is not None
    assert str(os.getpid()) in mine.folders[0].name
    assert not any(folder.exists() for folder in left)
    assert all(folder.exists() for folder in group.folders)
    mine.remove()
