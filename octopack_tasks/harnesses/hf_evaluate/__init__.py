"""The reference's metric for Hugging Face `evaluate`, with programs in our sandboxes.

Scripts that load the metric change one line, from `from evaluate import load` to

    from octopack_tasks.harnesses.hf_evaluate import load

after which `load("Muennighoff/code_eval_octopack")` gives this metric and every other name what it gave before.
`evaluate.load(METRIC)` does without the import.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

METRIC = str(Path(__file__).parent / "code_eval_octopack")
"""The folder of the metric, for `evaluate.load`."""


def load(path: str, *args: Any, **kwargs: Any) -> Any:
    """`evaluate.load`, with ours in the place of the reference's metric."""
    import evaluate  # type: ignore[import-untyped]

    is_the_metric = path.rstrip("/").rsplit("/", 1)[-1] == "code_eval_octopack"
    return evaluate.load(METRIC if is_the_metric else path, *args, **kwargs)
