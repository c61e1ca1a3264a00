"""The backends by name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from octopack_tasks.errors import UserError
from octopack_tasks.generation.protocol import Backend, Sampling

BACKENDS = ("vllm", "transformers", "openai", "replay")
PACE = frozenset(
    {
        *("concurrency", "requests_per_minute", "max_retries", "timeout", "first_pause"),  # of a server
        "batch_size",  # of transformers
        *("replicas", "gpus", "address"),  # of the ray executor
    }
)
"""Options that say how fast completions come and with how much patience, not which: a run may go on with others."""


class Closing:
    """What all backends share: use as a context manager."""

    def close(self) -> None:
        """Release the model."""

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def require(name: str, value: Any, wanted: str, is_so: bool) -> None:
    """Raise a `UserError` about an option of a backend, unless it is so."""
    if not is_so:
        raise UserError(f"--model-args {name} must be {wanted}, not {value!r}")


def open_backend(
    name: str,
    model: str,
    *,
    sampling: Sampling | None = None,
    revision: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Backend:
    """Load a model.

    Args:
        name: One of `BACKENDS`.
        model: Name on the hub or folder; for `openai` the name that the server knows; for `replay` "canonical",
            "buggy", or a run folder or file of completions.
        sampling: How completions are drawn.
        revision: Of a model on the hub.
        options: Options of this backend, see the arguments of its class.

    Raises:
        UserError: The model cannot be loaded, or an option is not one of the backend's.
    """
    # `ray` is an executor: it takes the name of the backend that it runs among its options.
    if name not in (*BACKENDS, "ray"):
        raise UserError(f"unknown backend {name!r}; there are: {', '.join(BACKENDS)}")
    module = importlib.import_module(f"octopack_tasks.generation.{name}")
    arguments = {**({"revision": revision} if revision else {}), **(options or {})}
    try:
        inspect.signature(module.open_model).bind(model, sampling, **arguments)
    except TypeError as error:
        raise UserError(
            f"the backend {name} does not take these options ({error}); it takes: "
            f"{', '.join(list(inspect.signature(module.open_model).parameters)[2:]) or 'none'}"
        ) from None
    if name in ("vllm", "transformers"):
        model = _checked_path(model)
    return cast(Backend, module.open_model(model, sampling or Sampling(), **arguments))


def _checked_path(model: str) -> str:
    """The model; of what can only be a path, the path that it is. The libraries take a path in vain for a name."""
    path = Path(model).expanduser()
    if (model.startswith((".", "/", "~")) or model.count("/") > 1) and not path.exists():
        raise UserError(f"there is no model in {model}: give a folder that is there, or a name on the hub")
    return str(path) if model.startswith("~") else model
