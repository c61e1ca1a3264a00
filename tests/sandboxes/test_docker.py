"""The containers themselves: what they may, that they go away, and what is said where Docker does not work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from sandboxes import Program, SandboxUnavailable, open_sandbox
from sandboxes.backends.docker import OWNER_LABEL, image_name, owned_containers
from sandboxes.smoke import smoke_program

pytestmark = pytest.mark.docker


@pytest.fixture
def client(docker_client):
    docker_client.images.get(image_name("all"))
    return docker_client


def mine(client):
    return [container for container, _ in owned_containers(client, of_this_process=True)]


def test_a_container_may_do_next_to_nothing(client, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # the daemon may be on another machine, with other cores
    with open_sandbox("docker", ["python"], workers=1, cache=False):
        [container] = mine(client)
        host = container.attrs["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert sorted(capability.removeprefix("CAP_") for capability in host["CapAdd"]) == [
        "CHOWN",
        "KILL",
        "SETGID",
        "SETUID",
    ]
    assert host["Privileged"] is False
    assert not host["Binds"]
    assert not host["Devices"]
    assert host["PidsLimit"] > 0
    assert 0 < host["Memory"] == host["MemorySwap"]
    assert host["NanoCpus"] == min(2, client.info()["NCPU"]) * 10**9
    assert {"/work", "/tmp", "/run"} == set(host["Tmpfs"])
    assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"])
    [profile] = [option for option in host["SecurityOpt"] if option.startswith("seccomp=")]
    for call in (
        "io_uring_setup",
        "userfaultfd",
        "bpf",
        "perf_event_open",
        "keyctl",
        "ptrace",
        "unshare",
        "setns",
        "mount",
    ):
        assert f'"{call}"' not in profile


def test_closing_leaves_no_container(client):
    with open_sandbox("docker", ["python"], workers=2, cache=False) as sandbox:
        sandbox.run([Program("python", f"assert {number} >= 0") for number in range(4)])
        assert mine(client)
    assert not mine(client)


def test_workers_are_started_once_for_many_programs(client):
    with open_sandbox("docker", ["python"], workers=1, cache=False) as sandbox:
        [before] = mine(client)
        verdicts = sandbox.run([smoke_program("python"), Program("python", "raise SystemExit(3)")] * 3)
        assert [verdict.passed for verdict in verdicts] == [True, False] * 3
        assert [container.id for container in mine(client)] == [before.id]


OWNER = """
import sys, time
from sandboxes import Program, open_sandbox
sandbox = open_sandbox("docker", ["python"], workers=1, cache=False)
print("open", flush=True)
sandbox.run([Program("python", "import time\\ntime.sleep(60)")])
"""


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_owner_leaves_no_container(client, signal_number, wait_until):
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert owner.stdout.readline() == b"open\n"
        wait_until(lambda: any(pid == owner.pid for pid in owners(client)))
        time.sleep(0.5)
        owner.send_signal(signal_number)
        owner.wait(120)
        wait_until(lambda: owner.pid not in owners(client))
    finally:
        owner.kill()
        owner.wait()


def owners(client):
    containers = client.containers.list(all=True, filters={"label": OWNER_LABEL}, ignore_removed=True)
    return [int(container.labels[OWNER_LABEL].split(":")[2]) for container in containers]


def test_what_a_dead_owner_left_is_removed_at_the_next_start(client):
    *machine, _, _ = _own_label(client).split(":")
    # a process that cannot be: above the kernel's largest number
    label = ":".join([*machine, "99999999", "1"])
    left = client.containers.create(image_name("all"), ["sleep", "1000"], labels={OWNER_LABEL: label})
    elsewhere = client.containers.create(
        image_name("all"), ["sleep", "1000"], labels={OWNER_LABEL: "another-boot:1:99999999:1"}
    )
    try:
        with open_sandbox("docker", ["python"], workers=1, cache=False):
            pass
        remaining = {container.id for container in client.containers.list(all=True, ignore_removed=True)}
        assert left.id not in remaining
        assert elsewhere.id in remaining
    finally:
        elsewhere.remove(force=True)


def _own_label(client):
    with open_sandbox("docker", ["python"], workers=1, cache=False):
        return mine(client)[0].labels[OWNER_LABEL]


def test_no_daemon_is_said_before_anything_else(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(
        SandboxUnavailable, match=r"no Docker daemon answers at unix:///nonexistent/docker.sock: install"
    ):
        open_sandbox("docker", ["python"])


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give root's rights up")
def test_no_right_to_the_daemon_is_told_from_no_daemon(client):
    code = """
import os
import docker, requests.adapters, docker.transport, sandboxes.backends.docker
from sandboxes import SandboxUnavailable, open_sandbox
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    open_sandbox("docker", ["python"])
except SandboxUnavailable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "HOME": "/"})
    assert "no right to use the Docker daemon" in done.stdout, done
    assert "usermod -aG docker" in done.stdout


def test_no_image_names_the_command_that_builds_it(client, monkeypatch):
    monkeypatch.setattr("sandboxes.backends.docker.image_name", lambda language: f"octopack-absent:{language}")
    with pytest.raises(SandboxUnavailable, match="run `octopack sandbox build --language go`"):
        open_sandbox("docker", ["go"])
    with pytest.raises(SandboxUnavailable, match="has no image 'octopack-absent:1'"):
        open_sandbox("docker", ["go"], image="octopack-absent:1")


def test_the_image_of_one_language_runs_it_and_no_other_is_scored_zero(client):
    from sandboxes.images import BASE_IMAGE, build_image

    name = "octopack-test:python-alone"
    build_image(client, "python", name, lambda line: None)
    try:
        with open_sandbox("docker", ["python"], image=name, workers=1, cache=False) as sandbox:
            assert [verdict.passed for verdict in sandbox.run([smoke_program("python")])] == [True]
        with pytest.raises(SandboxUnavailable, match="has no toolchain for rust"):
            open_sandbox("docker", ["rust"], image=name)
    finally:
        client.images.remove(name, force=True)
    with pytest.raises(SandboxUnavailable):
        open_sandbox("docker", ["python"], image=BASE_IMAGE)


def test_an_unknown_runtime_is_an_error(client):
    with pytest.raises(SandboxUnavailable, match="has no runtime 'nonesuch'"):
        open_sandbox("docker", ["python"], runtime="nonesuch")


def test_the_environment_names_a_runtime_and_no_other_sandbox_stands_in_for_it(client, monkeypatch):
    monkeypatch.setenv("OCTOPACK_SANDBOX_RUNTIME", "nonesuch")
    for backend in ("docker", "auto"):
        with pytest.raises(SandboxUnavailable, match="has no runtime 'nonesuch'"):
            open_sandbox(backend, ["python"])
