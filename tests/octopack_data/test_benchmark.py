"""The benchmark runs, and the baseline written from the facts keeps the same rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "commitpackft.py"


def test_the_baseline_keeps_the_same_rows(tmp_path: Path, tokenizer_json: str) -> None:
    pytest.importorskip("transformers", reason="the baseline counts tokens as the reference does")
    (tmp_path / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--tokenizer", str(tmp_path), "--rows", "400", "--more-rows", "400"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "rows, equal, subjects included" in done.stdout
    assert "kept by both: 0 rows" not in done.stdout
    assert "of orjson" in done.stdout
