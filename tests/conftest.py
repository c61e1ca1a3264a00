"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded facts beside the project; tests that read it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared (recorded facts of the reference) beside the project")
    return SHARED
