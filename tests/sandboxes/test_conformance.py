"""The demands on any sandbox (`octopack sandbox verify`), in every language, on every backend."""

from __future__ import annotations

import pytest

from sandboxes import LANGUAGES, SandboxUnavailable, open_sandbox
from sandboxes.conformance import run_conformance


@pytest.mark.parametrize(
    ("backend", "runtime"),
    [
        pytest.param("docker", None, id="docker", marks=pytest.mark.docker),
        pytest.param("docker", "runsc", id="docker-gvisor", marks=pytest.mark.docker),
        pytest.param("bubblewrap", None, id="bubblewrap"),
    ],
)
def test_every_demand_is_met(backend, runtime, sandbox_options):
    options = {"languages": LANGUAGES} | sandbox_options[backend]
    try:
        sandbox = open_sandbox(backend, workers=1, cache=False, **options, **({"runtime": runtime} if runtime else {}))
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    with sandbox:
        outcomes = list(run_conformance(sandbox, options["languages"]))
    assert len(outcomes) > 6 * len(options["languages"])
    assert [outcome for outcome in outcomes if not outcome.met] == []
