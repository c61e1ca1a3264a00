"""Workers on a Ray cluster: a real one, on this machine."""

from __future__ import annotations

import pytest
from ray_cluster import own_cluster

from sandboxes import Program, SandboxUnavailable, open_sandbox

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    with own_cluster():
        yield


def test_programs_are_judged_by_actors_and_killed_actors_cost_no_verdict(cluster):
    programs = [Program("python", f"import time\ntime.sleep(0.05)\nassert {number} % 3\n", 0) for number in range(40)]
    try:
        sandbox = open_sandbox("ray", ["python"], cache=False)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    with sandbox:
        assert sandbox.environment.workers == 2
        assert sandbox.environment.backend in ("ray (docker)", "ray (bubblewrap)")
        assert sandbox.environment.toolchains["python"].startswith("Python 3")
        assert [verdict.passed for verdict in sandbox.run(programs)] == [bool(number % 3) for number in range(40)]
        for worker in list(sandbox._pool._alive)[:1]:
            ray.kill(worker._actor)
        again = [Program("python", program.source + "# again\n", 0) for program in programs]
        assert [verdict.passed for verdict in sandbox.run(again)] == [bool(number % 3) for number in range(40)]


def test_what_a_node_lacks_is_said_in_its_words(cluster, monkeypatch):
    with pytest.raises(SandboxUnavailable, match=r"on a Ray node: .*'octopack-absent:1'"):
        open_sandbox("ray", ["python"], workers=1, image="octopack-absent:1")


def test_without_a_cluster_it_says_how_to_start_one(monkeypatch):
    if ray.is_initialized():
        ray.shutdown()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(SandboxUnavailable, match="ray start --head"):
        open_sandbox("ray", ["python"])
