"""The examples of docs/sandboxes.md run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandboxes import SandboxUnavailable, open_sandbox

DOCS = Path(__file__).parents[2] / "docs" / "sandboxes.md"
EXAMPLES = [
    text
    for text in re.findall(r"^```python\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    if "ray" not in text  # tests/sandboxes/test_ray.py has a cluster
]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(example, capsys):
    try:
        open_sandbox(languages=["python"], workers=1).close()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    exec(compile(example, str(DOCS), "exec"), {})
    assert capsys.readouterr().out in ("", "passed\n")


def test_the_table_of_limits_is_that_of_the_code():
    from sandboxes import Limits

    text = DOCS.read_text(encoding="utf-8")
    limits = Limits()
    for name, shown in {
        "cpu_seconds": f"{limits.cpu_seconds:g}",
        "compile_cpu_seconds": f"{limits.compile_cpu_seconds:g}",
        "memory_bytes": f"{limits.memory_bytes >> 30} GiB",
        "output_bytes": f"{limits.output_bytes >> 20} MiB",
        "file_bytes": f"{limits.file_bytes >> 20} MiB",
        "processes": f"{limits.processes}",
    }.items():
        assert f"| `{name}` | {shown} |" in text, name
