"""A Ray cluster of the test's own, on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def own_cluster() -> Iterator[Any]:
    """Ray with a cluster of two cores, gone afterwards; skips where Ray is not installed."""
    ray = pytest.importorskip("ray")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    for attempts_left in (2, 1, 0):
        try:
            ray.init(
                address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20
            )
            break
        except Exception:  # all that Ray raises where its half a minute to start was too little on a busy machine
            ray.shutdown()
            if not attempts_left:
                raise
    try:
        yield ray
    finally:
        ray.shutdown()
