"""The demands on any sandbox (`octopack sandbox verify`), in every language, on every backend.

Where a backend is absent this is skipped, as other tests are; where it is there and does not work, this fails.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from sandboxes import LANGUAGES, SandboxUnavailable, open_sandbox
from sandboxes.backends.docker import connect
from sandboxes.conformance import run_conformance


def absent(backend: str, runtime: str | None) -> str | None:
    """Why a backend is not on this machine."""
    if backend == "bubblewrap":
        if shutil.which("bwrap") is None:
            return "bubblewrap is not installed"
        trial = subprocess.run(
            ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"], capture_output=True, text=True
        )
        return trial.stderr if trial.returncode != 0 else None
    try:
        client = connect()
    except SandboxUnavailable as error:
        return str(error)
    runtimes = client.info()["Runtimes"]
    client.close()
    return f"the daemon has no {runtime}" if runtime and runtime not in runtimes else None


@pytest.mark.parametrize(
    ("backend", "runtime"),
    [
        pytest.param("docker", None, id="docker", marks=pytest.mark.docker),
        pytest.param("docker", "runsc", id="docker-gvisor", marks=pytest.mark.docker),
        pytest.param("bubblewrap", None, id="bubblewrap"),
    ],
)
def test_every_demand_is_met(backend, runtime, sandbox_options):
    if reason := absent(backend, runtime):
        pytest.skip(reason)
    options = {"languages": LANGUAGES} | sandbox_options[backend] | ({"runtime": runtime} if runtime else {})
    with open_sandbox(backend, workers=1, cache=False, **options) as sandbox:
        outcomes = list(run_conformance(sandbox, options["languages"]))
    assert len(outcomes) > 6 * len(options["languages"])
    assert [outcome for outcome in outcomes if not outcome.met] == []
