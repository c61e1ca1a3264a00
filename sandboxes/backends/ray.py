"""Ray: workers are actors of an existing cluster, each with a docker or bubblewrap worker of its node."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sandboxes.backends import Backend, BackendOptions, Place, choose_backend
from sandboxes.errors import SandboxUnavailable, WorkerFault
from sandboxes.supervisor.protocol import Program, Verdict
from sandboxes.workers import START_SECONDS, Hello, Worker, patience


class RayBackend:
    """Spreads workers over a Ray cluster: the one this process is connected to, else the one `ray start` made."""

    def __init__(self, languages: Sequence[str], options: BackendOptions) -> None:
        """Connect.

        Raises:
            SandboxUnavailable: Ray is not installed, or there is no cluster.
        """
        try:
            import ray
        except ImportError as error:
            raise SandboxUnavailable("Ray is not installed: pip install 'octopack[ray]'") from error
        if not ray.is_initialized():
            try:
                # "auto" finds a running cluster and never starts one
                ray.init(address="auto", log_to_driver=False)
            except ConnectionError as error:
                raise SandboxUnavailable(
                    "no Ray cluster answers: start one (`ray start --head`), set RAY_ADDRESS, or call ray.init() first"
                ) from error
        self._cluster_cores = int(cast(Any, ray).cluster_resources().get("CPU", 0)) or 1
        self._actor: Any = ray.remote(num_cpus=1, max_restarts=0)(_NodeWorker)
        self._languages, self._options = tuple(languages), options
        self._place: Place | None = None
        self._comparing = threading.Lock()

    def served_by(self, language: str) -> str:
        """See `Backend`."""
        return "ray"

    def place(self, toolchains: Mapping[str, str]) -> Place:
        """See `Backend`."""
        if self._place is None:
            raise ValueError("asked before the first worker had started")
        return self._place

    def how_to_get(self, language: str) -> str:
        """See `Backend`."""
        return f"the cluster's nodes have no toolchain for {language}: run `octopack doctor` on one"

    def cores(self) -> int:
        """See `Backend`."""
        return self._cluster_cores

    def start(self, language: str) -> Worker:
        """See `Backend`."""
        import ray

        actor = self._actor.remote()
        try:
            hello, place = ray.get(actor.open.remote(self._languages, self._options), timeout=2 * START_SECONDS)
        except (ray.exceptions.RayError, WorkerFault, SandboxUnavailable) as error:
            ray.kill(actor)
            # what was raised on the node; the error itself holds the node's traceback
            cause = getattr(error, "cause", error)
            if isinstance(cause, SandboxUnavailable):
                raise SandboxUnavailable(f"on a Ray node: {cause}") from error
            raise WorkerFault(f"a Ray worker did not start: {cause}") from error
        with self._comparing:
            self._place = self._place or place
            if place != self._place:
                ray.kill(actor)
                raise SandboxUnavailable(
                    f"the Ray nodes differ, so would verdicts: one runs programs in {self._place}, another in {place}"
                )
        return _ActorWorker(actor, hello)


class _NodeWorker:
    """Runs on a node: a local backend's workers, one of each kind."""

    def open(self, languages: Sequence[str], options: BackendOptions) -> tuple[Hello, Place]:
        # named, so that a node's $OCTOPACK_SANDBOX=ray cannot send it round in circles
        self._backend: Backend = choose_backend("auto", languages, options)
        self._workers: dict[str, Worker] = {}
        toolchains: dict[str, str] = {}
        batch: dict[str, int] = {}
        for language in languages:
            kind = self._backend.served_by(language)
            if kind not in self._workers:
                self._workers[kind] = self._backend.start(language)
            hello = self._workers[kind].hello
            if language in hello.toolchains:
                toolchains[language] = hello.toolchains[language]
                batch[language] = hello.batch.get(language, 1)
        local = self._backend.place(toolchains)
        return Hello(toolchains, batch), Place(f"ray ({local.backend})", local.image, local.digest, local.runtime)

    def judge(self, programs: Sequence[Program]) -> list[Verdict]:
        return self._workers[self._backend.served_by(programs[0].language)].judge(programs)


class _ActorWorker:
    """The host's end of a `_NodeWorker`."""

    def __init__(self, actor: Any, hello: Hello) -> None:
        self._actor = actor
        self.hello = hello

    def judge(self, programs: Sequence[Program]) -> list[Verdict]:
        import ray

        try:
            verdicts: list[Verdict] = ray.get(self._actor.judge.remote(list(programs)), timeout=2 * patience(programs))
        except (ray.exceptions.RayError, WorkerFault) as error:
            raise WorkerFault(f"a Ray worker failed: {getattr(error, 'cause', None) or error}") from error
        return verdicts

    def close(self) -> None:
        import ray

        # its sandbox notices that its owner is gone and ends
        ray.kill(self._actor)
