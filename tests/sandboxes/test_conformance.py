"""The demands on any sandbox (`octopack sandbox verify`), in every language, on every backend.

Where a backend is absent this is skipped, as other tests are; where it is there and does not work, this fails.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from sandboxes import LANGUAGES, Program, SandboxUnavailable, Status, open_sandbox
from sandboxes.backends.docker import connect
from sandboxes.conformance import Check, language_checks, run_conformance

PASSED = frozenset({Status.PASSED})


def absent(backend: str, runtime: str | None = None) -> str | None:
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


@pytest.mark.parametrize("backend", [pytest.param("docker", marks=pytest.mark.docker), "bubblewrap"])
def test_every_demand_is_met(backend, sandbox_options):
    if reason := absent(backend):
        pytest.skip(reason)
    options = {"languages": LANGUAGES} | sandbox_options[backend]
    with open_sandbox(backend, workers=1, cache=False, **options) as sandbox:
        outcomes = list(run_conformance(sandbox, options["languages"]))
    assert len(outcomes) > 6 * len(options["languages"])
    assert [outcome for outcome in outcomes if not outcome.met] == []


@pytest.mark.docker
def test_on_gvisor_every_language_gives_the_right_verdicts():
    if reason := absent("docker", "runsc"):
        pytest.skip(reason)
    checks = [check for language in LANGUAGES for check in language_checks(language)]
    checks.append(Check("it is gVisor", Program("python", "assert ' 4.4.0 ' in open('/proc/version').read()"), PASSED))
    with open_sandbox("docker", LANGUAGES, workers=1, cache=False, runtime="runsc") as sandbox:
        verdicts = sandbox.run([check.program for check in checks])
    wrong = {
        check.name: verdict
        for check, verdict in zip(checks, verdicts, strict=True)
        if verdict.status not in check.expected
    }
    assert wrong == {}
