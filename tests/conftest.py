"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A shell that starts the tests in the background has them ignore Ctrl-C, and what tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Terminals, shells and CI services say with these where lines are wrapped and whether they are coloured.
for _name in ("LINES", "TERMINAL_WIDTH", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE"):
    os.environ.pop(_name, None)
os.environ |= {"COLUMNS": "80", "TERM": "xterm"}

# The same examples each time, however long a busy machine takes for one; `--hypothesis-profile=default` tries others.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded facts beside the project; tests that read it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared (recorded facts of the reference) beside the project")
    return SHARED


@pytest.fixture(scope="session")
def sandbox_options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By backend, what makes `open_sandbox` run all six languages: bubblewrap borrows the toolchains of the image."""
    from sandboxes import SandboxUnavailable
    from sandboxes.backends.docker import connect, image_name
    from sandboxes.images import export_root

    try:
        client = connect()
        image = client.images.get(image_name("all"))
    except Exception as error:  # no daemon, or no image: bubblewrap then has what this machine has
        reason = str(error)
        try:
            connect()
        except SandboxUnavailable:
            return {"docker": {}, "bubblewrap": {"languages": ["python"]}}
        pytest.fail(f"run `octopack sandbox build` first: {reason}")
    # gigabytes that do not change: kept beside this machine's other temporary files for the next run
    root = Path(tempfile.gettempdir()) / f"octopack-test-root-{image.id.removeprefix('sha256:')[:16]}"
    if not root.exists():
        for outdated in root.parent.glob("octopack-test-root-*"):
            shutil.rmtree(outdated, ignore_errors=True)
        export_root(client, image_name("all"), root)
    return {"docker": {}, "bubblewrap": {"root": root}}
