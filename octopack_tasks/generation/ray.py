"""The ray executor: copies of a model on an existing Ray cluster, each with a part of the prompts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.generation.backends import Closing, open_backend, require
from octopack_tasks.generation.protocol import Backend, Completion, Request, Sampling


def open_model(
    model: str,
    sampling: Sampling,
    revision: str | None = None,
    backend: str = "vllm",
    replicas: int | None = None,
    gpus: float | None = None,
    address: str = "auto",
    **options: Any,
) -> Backend:
    """Load copies of a model on a cluster.

    Args:
        model: As the backend takes it.
        sampling: How completions are drawn.
        revision: Revision on the hub.
        backend: What runs each copy.
        replicas: How many copies; None: as many as the cluster's GPUs allow, at least one.
        gpus: GPUs of a copy; None: its `tensor_parallel_size`, where the cluster has GPUs.
        address: The cluster.
        options: Options of the backend.

    Raises:
        UserError: Ray is not installed, there is no such cluster, or the model cannot be loaded there.
    """
    if replicas is not None:
        require("replicas", replicas, "a whole number above 0", isinstance(replicas, int) and replicas > 0)
    if gpus is not None:
        require("gpus", gpus, "a number from 0", isinstance(gpus, int | float) and gpus >= 0)
    try:
        import ray as library
    except ImportError as error:
        raise UserError(f"--executor ray needs Ray ({error}): pip install 'octopack[ray]'") from None
    ray: Any = library
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(
                f"there is no Ray cluster at {address!r} ({' '.join(str(error).split())[:200]}); start one with "
                "`ray start --head`, or give --model-args address=..."
            ) from error
    there = ray.cluster_resources().get("GPU", 0)
    each = gpus if gpus is not None else (float(options.get("tensor_parallel_size", 1)) if there else 0.0)
    count = replicas or max(1, int(there // each) if each else 1)
    return Cluster(count, each, (backend, model, sampling, revision, options))


class _Replica:
    """One copy, in a process of its own somewhere on the cluster."""

    def __init__(
        self, backend: str, model: str, sampling: Sampling, revision: str | None, options: Mapping[str, Any]
    ) -> None:
        self._backend = open_backend(backend, model, sampling=sampling, revision=revision, options=options)

    def describe(self) -> tuple[dict[str, Any], int | None]:
        return dict(self._backend.description), self._backend.context_length

    def prompt_tokens(self, request: Request) -> int | None:
        return self._backend.prompt_tokens(request)

    def generate(self, requests: list[Request]) -> Iterator[Completion]:
        yield from self._backend.generate(iter(requests))


class Cluster(Closing):
    """Copies of a model; see `open_model`."""

    def __init__(self, replicas: int, gpus: float, arguments: tuple[Any, ...]) -> None:
        import ray

        replica: Any = ray.remote(num_gpus=gpus)(_Replica)
        self._replicas = [replica.remote(*arguments) for _ in range(replicas)]
        described = self._get([each.describe.remote() for each in self._replicas])
        self._description: Mapping[str, Any]
        self.context_length: int | None
        self._description, self.context_length = described[0]

    @property
    def description(self) -> Mapping[str, Any]:
        """See `Backend`. How many copies there are changes no completion, so it is not part of it."""
        return self._description

    def prompt_tokens(self, request: Request) -> int | None:
        """See `Backend`."""
        (tokens,) = self._get([self._replicas[0].prompt_tokens.remote(request)])
        return None if tokens is None else int(tokens)

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """See `Backend`."""
        import ray

        wanted = list(requests)
        streams: list[Any] = [
            replica.generate.options(num_returns="streaming").remote(wanted[index :: len(self._replicas)])
            for index, replica in enumerate(self._replicas)
        ]
        while streams:
            finished: list[Any] = ray.wait(streams, num_returns=1)[0]
            ready = finished[0]
            try:
                completion = next(ready)
            except StopIteration:
                streams.remove(ready)
                continue
            yield self._get([completion])[0]

    def close(self) -> None:
        """See `Backend`: the copies end, the cluster stays."""
        import ray

        for replica in self._replicas:
            ray.kill(replica)
        self._replicas = []

    def _get(self, references: list[Any]) -> list[Any]:
        import ray

        try:
            return list(ray.get(references))
        except ray.exceptions.RayError as error:
            cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
            reason = " ".join(str(cause).split())[-500:]
            raise UserError(
                f"a copy of the model failed on the cluster: {reason}. What was generated is kept"
            ) from error
