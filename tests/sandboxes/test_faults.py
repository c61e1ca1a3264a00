"""Faults are not failures: killed workers, killed supervisors, vanished images and daemons."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from docker.errors import APIError

from sandboxes import Program, SandboxError, SandboxUnavailable, open_sandbox
from sandboxes.backends.docker import connect, image_name, owned_containers
from sandboxes.payload import WORK

PROGRAMS = [Program("python", f"import time\ntime.sleep(0.2)\nassert {number} % 3\n", 0) for number in range(30)]
RIGHT = [bool(number % 3) for number in range(30)]


@pytest.fixture(params=["docker", "bubblewrap"])
def sandbox(request):
    try:
        opened = open_sandbox(request.param, ["python"], workers=2, cache=False)
    except SandboxUnavailable as error:
        pytest.skip(f"{request.param}: {error}")
    with opened:
        yield opened


def supervisors(innermost: bool = False) -> list[int]:
    """Pids, on this machine, of the supervisors that this process started: in containers, as children, or in bwraps.

    Threads, processes and containers of other tests may end while they are looked at.
    """
    pids = []
    with suppress(SandboxUnavailable):
        for container, _ in owned_containers(connect(), of_this_process=True):
            with suppress(APIError):
                for row in container.top(ps_args="-eo pid,args")["Processes"]:
                    if "/sandboxes/supervisor" in row[1]:
                        pids.append(int(row[0]))
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                with suppress(OSError):
                    if b"/sandboxes/supervisor" in Path(f"/proc/{child}/cmdline").read_bytes():
                        pids.append(_innermost(int(child)) if innermost else int(child))
    return pids


def _innermost(pid: int) -> int:
    """The supervisor itself below a bwrap: the first descendant that is no bwrap."""
    while Path(f"/proc/{pid}/comm").read_text().strip() == "bwrap":
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return pid


@pytest.mark.parametrize("innermost", [False, True])
def test_a_killed_supervisor_costs_no_verdict(sandbox, innermost):
    killed = []

    def kill() -> None:
        time.sleep(0.7)
        # all of them: other tests may hold sandboxes open in this process, which start other workers when they need
        for pid in supervisors(innermost):
            with suppress(ProcessLookupError):  # the first of a container takes the others with it
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    verdicts = sandbox.run(PROGRAMS)
    killer.join()
    assert killed
    assert [verdict.passed for verdict in verdicts] == RIGHT


def test_a_killed_container_costs_no_verdict():
    with _docker() as sandbox:
        client = connect()

        def kill() -> None:
            time.sleep(0.7)
            for container, _ in owned_containers(client, of_this_process=True):
                container.kill("SIGKILL")

        killer = threading.Thread(target=kill)
        killer.start()
        verdicts = sandbox.run(PROGRAMS)
        killer.join()
    assert [verdict.passed for verdict in verdicts] == RIGHT


def test_a_full_work_folder_costs_no_verdict():
    with _docker() as sandbox:
        fill = ["sh", "-c", f"head -c 3g /dev/zero > {WORK}/filler; true"]
        for container, _ in owned_containers(connect(), of_this_process=True):
            container.exec_run(fill, user="0:0")
        verdicts = sandbox.run(PROGRAMS)
    assert [verdict.passed for verdict in verdicts] == RIGHT


_INTERRUPTED = """
import sys
from sandboxes import Program, open_sandbox
with open_sandbox(sys.argv[1], ["python"], workers=2, cache=False) as sandbox:
    print("ready", flush=True)
    sandbox.run([Program("python", f"import os\\nos.execvp('sleep', ['sleep', '{sys.argv[2]}{n}'])") for n in range(4)])
"""


@pytest.mark.parametrize("sandbox", ["docker", "bubblewrap"], indirect=True)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_its_owner(sandbox, how, request, wait_until):
    backend = request.node.callspec.params["sandbox"]
    seconds = f"98{os.getpid()}{int(how)}"  # tells these sleepers from all others

    def sleepers() -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if process.read_bytes().startswith(f"sleep\0{seconds}".encode()):
                    found.append(process.parent.name)
            except OSError:
                continue
        return found

    owner = subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED, backend, seconds], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"ready\n"
    wait_until(sleepers)
    owner.send_signal(how)
    owner.wait(120)
    wait_until(lambda: not sleepers())


def test_what_was_judged_before_a_fault_is_not_judged_again():
    with _docker() as sandbox:
        judged = []
        real = sandbox._pool._start
        sandbox._pool._start = lambda language: _counting(real(language), judged)
        for container, _ in owned_containers(connect(), of_this_process=True):
            container.kill("SIGKILL")
        verdicts = sandbox.run(PROGRAMS)
        # on fresh workers only: each program once
        assert sorted(judged) == sorted(program.source for program in PROGRAMS)
    assert [verdict.passed for verdict in verdicts] == RIGHT


def _counting(worker, judged):
    real = worker.judge

    def judge(programs):
        verdicts = real(programs)
        judged.extend(program.source for program in programs)
        return verdicts

    worker.judge = judge
    return worker


def test_an_image_removed_in_mid_run_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr("sandboxes.pool.START_PAUSES", (0.1,))
    client = _client()
    # an image of its own id, which nobody else needs
    container = client.api.create_container(image_name("all"), ["true"])
    image = client.api.commit(container["Id"], "octopack-sandbox-test", "vanishing")["Id"]
    client.api.remove_container(container["Id"])
    with open_sandbox("docker", ["python"], workers=1, cache=False, image="octopack-sandbox-test:vanishing") as sandbox:
        for owned, _ in owned_containers(client, of_this_process=True):
            owned.remove(force=True)
        client.images.remove(image, force=True)
        with pytest.raises(SandboxError, match=r"could not be judged.*No such image.*octopack sandbox build"):
            sandbox.run(PROGRAMS[:3])


@pytest.mark.skipif(shutil.which("dockerd") is None or os.getuid() != 0, reason="needs root and dockerd")
def test_a_daemon_killed_in_mid_run_and_restarted_costs_no_verdict(tmp_path, monkeypatch, wait_until):
    archive = tmp_path / "image.tar"
    with archive.open("wb") as file:
        # Python and its libraries alone: a daemon of its own would take minutes to load six compilers
        running = _client().containers.run(
            image_name("all"), ["sleep", "300"], detach=True, network_mode="none", init=True
        )
        try:
            for part in running.exec_run(["sh", "-c", _PYTHON_ALONE], stream=True).output:
                file.write(part)
        finally:
            running.remove(force=True)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with _Daemon(tmp_path, wait_until) as daemon:
        connect().api.import_image(src=str(archive), repository="python-alone", tag="test")
        with open_sandbox("docker", ["python"], workers=1, cache=False, image="python-alone:test") as sandbox:

            def restart() -> None:
                time.sleep(1.0)
                daemon.kill()
                time.sleep(1.0)
                daemon.start()

            restarting = threading.Thread(target=restart)
            restarting.start()
            verdicts = sandbox.run(PROGRAMS)
            restarting.join()
        assert [verdict.passed for verdict in verdicts] == RIGHT


def _client():
    try:
        return connect()
    except SandboxUnavailable as error:
        pytest.skip(str(error))


def _docker():
    try:
        return open_sandbox("docker", ["python"], workers=2, cache=False)
    except SandboxUnavailable as error:
        pytest.skip(str(error))


_PYTHON_ALONE = (
    "tar -c --ignore-failed-read --exclude=__pycache__ --exclude='libLLVM*' --exclude='librustc*' "
    "--exclude='libclang*' --exclude='libjvm*' --exclude='libnode*' --exclude='libicu*' "
    "/bin /lib /lib64 /etc /usr/bin/python3* /usr/bin/env /usr/bin/*sh /usr/lib/python3* /usr/lib64 "
    "/usr/lib/*-linux-gnu/*.so* /usr/lib/*-linux-gnu/blas /usr/lib/*-linux-gnu/lapack 2>/dev/null"
)


class _Daemon:
    """A Docker daemon of the test's own, beside the machine's."""

    def __init__(self, folder: Path, wait_until) -> None:
        self.folder = folder
        self._wait_until = wait_until
        self.address = f"unix://{folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # pid files of killed processes: their numbers may be taken, or be zombies' that nobody has waited for yet
        for left in ("docker.pid", "docker.sock", "exec/containerd/containerd.pid"):
            (self.folder / left).unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                # in a network namespace of its own: a daemon without a bridge removes the machine's docker0
                "unshare",
                "--net",
                "dockerd",
                f"--host={self.address}",
                f"--data-root={self.folder}/data",
                f"--exec-root={self.folder}/exec",
                f"--pidfile={self.folder}/docker.pid",
                "--bridge=none",
                "--iptables=false",
            ],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "dockerd.log").open("ab"),
            start_new_session=True,
        )

        def answers() -> bool:
            try:
                connect().close()
            except SandboxUnavailable:
                return False
            return True

        self._wait_until(answers)

    def kill(self) -> None:
        """Kill it with the containerd that it started."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if str(self.folder).encode() in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                continue
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            target = line.split()[4]
            if target.startswith(str(self.folder)):
                subprocess.run(["umount", "-l", target], capture_output=True)
