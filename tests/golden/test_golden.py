"""Every row of the recorded facts, held against this package."""

from __future__ import annotations

from pathlib import Path

import pytest

from octopack_tasks.conformance import FILES, FileReport, check_folder

# Rows that the record has of each file, so that a file that is read as empty does not pass.
ROWS = {
    "prompts": 48_708,
    "prompt_texts": 594,
    "prompt_encoder": 1_476,
    "prompt_rejections": 168,
    "references": 2_460,
    "stop_words": 756,
    "postprocess": 14_206,
    "programs": 3_860,
    "programs_multi": 108,
    "diff": 8_640,
    "verdicts": 1_968,  # their programs
    "verdicts_extra": 33,
    "merge": 295,
    "exec_params": 6,
    "process_results_status": 18,
}


@pytest.fixture(scope="module")
def reports(shared: Path) -> dict[str, FileReport]:
    dataset = shared / "data" / "humanevalpack"
    return {report.file: report for report in check_folder(shared / "golden", str(dataset))}


def test_every_file_is_known() -> None:
    assert tuple(ROWS) == FILES


@pytest.mark.parametrize("file", FILES)
def test_no_row_differs(file: str, reports: dict[str, FileReport]) -> None:
    report = reports[file]
    assert report.is_present
    assert report.rows >= ROWS[file]
    assert report.differing == 0, "\n\n".join(f"{row.row}\n{row.detail}" for row in report.first)
