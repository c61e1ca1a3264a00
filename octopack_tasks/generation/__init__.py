"""Completions from language models: one small protocol, and a backend for each way of running a model.

    from octopack_tasks.generation import Sampling, open_backend

    with open_backend("vllm", "bigcode/octocoder", sampling=Sampling(temperature=0.2)) as backend:
        for completion in backend.generate(requests):
            ...

Backends are imported when they are opened, so that a server is evaluated without torch, and a replay without a model.
"""

from octopack_tasks.generation.backends import BACKENDS, PACE, open_backend
from octopack_tasks.generation.protocol import Backend, Completion, Finish, Request, Sampling, Stop
from octopack_tasks.generation.stopping import Watch

__all__ = [
    "BACKENDS",
    "PACE",
    "Backend",
    "Completion",
    "Finish",
    "Request",
    "Sampling",
    "Stop",
    "Watch",
    "open_backend",
]
