"""docs/library.md does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandboxes import SandboxUnavailable, open_sandbox

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_examples_of_the_library_page_run() -> None:
    try:
        open_sandbox(languages=["python"]).close()
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox here: {error}")
    code = "\n".join(re.findall(r"```python\n(.*?)```", (DOCS / "library.md").read_text(), re.DOTALL))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.strip().splitlines()[0], done.stdout, done.stdout.strip().splitlines()[-1]
    assert re.fullmatch(r"pass@1 = 100\.0%, \{'passed': \d+\}", first)
    assert "failed" in second
    assert re.fullmatch(r"pass@1 = 0\.0% of \d+ problems", third)
