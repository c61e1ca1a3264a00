"""What a user may set with `lm_eval --metadata key=value`, read and checked in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from octopack_tasks.errors import UserError
from octopack_tasks.readings import PAPER, Reading, get_readings
from sandboxes.backends import BACKENDS, BackendName


@dataclass(frozen=True)
class Settings:
    """The options of a run.

    lm-eval merges the model's arguments into the same mapping, so keys that are not ours are left alone.

    Attributes:
        prompt: Prompt format; None: `chat` where lm-eval applies a chat template, `instruct` otherwise.
        n_samples: Completions drawn for each problem.
        k: The k's of pass@k; empty: every k from 1 to `n_samples`.
        dataset: Where the problems come from; None: OCTOPACK_DATASET, else the hub.
        descriptions: File or folder of descriptions for explainsynthesize.
        sandbox: Sandbox backend; None: OCTOPACK_SANDBOX, else the first that works.
        workers: Programs judged at the same time; None: one a core.
        verdict_cache: Whether verdicts may come from the cache on disk.
        readings: How completions are read, one score for each; more than one with `reading=both`.
    """

    prompt: str | None = None
    n_samples: int = 1
    k: tuple[int, ...] = ()
    dataset: str | None = None
    descriptions: Path | None = None
    sandbox: BackendName | None = None
    workers: int | None = None
    verdict_cache: bool = True
    readings: tuple[Reading, ...] = (PAPER,)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Settings:
        """Read the settings from lm-eval's metadata.

        Raises:
            UserError: A value has the wrong type or range.
        """
        n_samples = _positive("n_samples", metadata.get("n_samples", 1))
        ks = metadata.get("k", ())
        k = tuple(sorted({_positive("k", value) for value in (ks if isinstance(ks, list | tuple) else [ks])}))
        if k and k[-1] > n_samples:
            raise UserError(
                f"k={k[-1]} needs at least {k[-1]} samples a problem, but n_samples is {n_samples}: "
                f"pass --metadata n_samples={k[-1]} or a smaller k"
            )
        descriptions = metadata.get("descriptions", metadata.get("load_data_path"))
        workers = metadata.get("workers")
        dataset, prompt = metadata.get("dataset"), metadata.get("prompt")
        return cls(
            prompt=None if prompt is None else str(prompt),
            n_samples=n_samples,
            k=k,
            dataset=None if dataset is None else str(dataset),
            descriptions=None if descriptions is None else Path(str(descriptions)),
            sandbox=_backend(metadata.get("sandbox")),
            workers=None if workers is None else _positive("workers", workers),
            verdict_cache=_boolean("verdict_cache", metadata.get("verdict_cache", True)),
            readings=get_readings(str(metadata.get("reading", PAPER.name))),
        )

    @property
    def ks(self) -> tuple[int, ...]:
        """The k's for which pass@k is reported."""
        return self.k or tuple(range(1, self.n_samples + 1))


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"--metadata {name}={value!r} must be a whole number, 1 or more")
    return value


def _backend(value: Any) -> BackendName | None:
    if value is not None and value not in BACKENDS:
        raise UserError(f"--metadata sandbox={value!r} is unknown: choose from {', '.join(BACKENDS)}")
    return cast("BackendName | None", value)


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"--metadata {name}={value!r} must be True or False")
    return value
