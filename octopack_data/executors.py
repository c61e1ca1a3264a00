"""Who runs which unit: local processes, or datatrove's Slurm and Ray executors with our function as their one step."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from octopack_data.errors import DataError
from octopack_data.intake import no_report
from octopack_data.pipeline import (
    STATE_FOLDER,
    BatchFunction,
    Job,
    Progress,
    Unit,
    pending,
    run_unit,
    summarise,
    take_share,
)

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.queues import Queue


class Executor(str, Enum):
    """Where the units are run."""

    LOCAL = "local"
    SLURM = "slurm"
    RAY = "ray"


# ----------------------------------------------------------------------------------------------------------- local

_job: Job
_function: BatchFunction
_reports: Queue[Progress]


def _exit_with_parent(parent: int) -> None:
    """End this worker soon after its parent is gone: nobody would read its result."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _start_worker(job: Job, parent: int, reports: Queue[Progress]) -> None:
    global _job, _function, _reports
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends the workers
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    _job, _reports = job, reports
    _function = job.step.start()


def _work(unit: Unit) -> None:
    run_unit(_job, unit, _function, _reports.put)


def run_units(
    job: Job, units: Sequence[Unit], workers: int = 1, report: Callable[[Progress], None] = no_report
) -> None:
    """Make those of the given units that are not there, in this process or in `workers` others.

    The first failure ends the run and leaves finished units in place.

    Raises:
        DataError: a unit failed, or a worker died (usually: killed for memory).
    """
    if not units:
        return
    if min(workers, len(units)) <= 1:
        function = job.step.start()
        for unit in units:
            run_unit(job, unit, function, report)
        return
    _run_in_processes(job, units, workers, report)


def _run_in_processes(job: Job, units: Sequence[Unit], workers: int, report: Callable[[Progress], None]) -> None:
    """The same, in others.

    Raises:
        DataError: a unit failed, or a worker died (usually: killed for memory).
    """
    import queue as queues
    from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import active_children, get_context

    context = get_context("spawn")  # a forked tokenizer or progress thread may hang
    reports: Queue[Progress] = context.Queue()
    pool = ProcessPoolExecutor(
        min(workers, len(units)),
        mp_context=context,
        initializer=_start_worker,
        initargs=(job, os.getpid(), reports),
    )

    def drain() -> None:
        while True:
            try:
                report(reports.get_nowait())
            except queues.Empty:
                return

    try:
        waiting: set[Future[None]] = {pool.submit(_work, unit) for unit in units}
        while waiting:
            finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
            drain()
            for future in finished:
                future.result()
    except KeyboardInterrupt:
        for child in active_children():
            child.terminate()
        raise
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process ended unexpectedly (killed for memory, or it could not start); finished shards are kept: "
            "run the same command again, with fewer --workers if memory is short"
        ) from error
    finally:
        # A worker leaves only when all that it has to report is read.
        leaving = threading.Thread(target=pool.shutdown, kwargs={"cancel_futures": True})
        leaving.start()
        while leaving.is_alive():
            drain()
            leaving.join(0.05)
        drain()


# --------------------------------------------------------------------------------------------------------- clusters


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a cluster is asked for.

    Attributes:
        tasks: number of tasks the units are spread over.
        workers: tasks running at the same time; -1 for no limit.
        partition: Slurm partition.
        time: Slurm time limit of one task.
        memory_gb: memory of one task.
        environment: shell line that activates the environment on a Slurm node; by default the bin folder of this
            Python is put first in PATH.
        sbatch: further `sbatch` options.
    """

    tasks: int
    workers: int = -1
    partition: str = ""
    time: str = "24:00:00"
    memory_gb: int = 4
    environment: str = ""
    sbatch: dict[str, str] = field(default_factory=dict)


def _run_rank(data: object, rank: int, world_size: int, *, job: Job, units: Sequence[Unit]) -> None:
    """Do one task's share; the signature is that of a datatrove pipeline step."""
    del data
    share = take_share(units, rank, world_size)
    run_units(job, pending(job, share))
    summarise(job, units)  # whichever task is last finds all records and writes the manifest


def submit(executor: Executor, job: Job, units: Sequence[Unit], cluster: Cluster) -> str:
    """Run the units on a cluster: Ray is waited for, Slurm gets a job array.

    The output folder must be on storage that every node shares. What is there already is not made again.

    Returns:
        What happened, in a sentence.

    Raises:
        DataError: datatrove or the cluster is missing, or tasks failed (Ray).
    """
    try:
        from datatrove.executor import (  # type: ignore[import-untyped]
            RayPipelineExecutor,
            SlurmPipelineExecutor,
        )
    except ImportError as error:
        raise DataError(
            f"--executor {executor.value} needs datatrove ({error}); install it with: pip install 'octopack[cluster]'"
        ) from error
    # Tasks may start in another folder.
    job = replace(job, output=job.output.resolve())
    units = tuple(Unit(unit.name, tuple(path.resolve() for path in unit.inputs)) for unit in units)
    step: Callable[..., Any] = partial(_run_rank, job=job, units=units)
    logs = str(job.output / STATE_FOLDER / "cluster")
    common: dict[str, Any] = {
        "pipeline": [step],
        "tasks": min(cluster.tasks, len(units)),
        "workers": cluster.workers,
        "logging_dir": logs,
        "skip_completed": False,  # our own records know better: they compare input and configuration
        "mem_per_cpu_gb": cluster.memory_gb,
    }
    if executor is Executor.RAY:
        _run_on_ray(RayPipelineExecutor, common)
        if missing := len(pending(job, units)):
            raise DataError(f"{missing} of {len(units)} shards failed on Ray; the reasons are in {logs}/logs")
        return f"{len(units)} shards done on Ray"
    if not cluster.partition:
        raise DataError("--executor slurm needs --partition NAME (see: sinfo)")
    if shutil.which("sbatch") is None:
        raise DataError("sbatch was not found: run this on a login node of the Slurm cluster")
    slurm = SlurmPipelineExecutor(
        time=cluster.time,
        partition=cluster.partition,
        job_name=f"octopack-{job.step.name}",
        env_command=cluster.environment or f'export PATH="{os.path.dirname(sys.executable)}:$PATH"',  # noqa: PTH120
        sbatch_args=dict(cluster.sbatch),
        qos="",
        **common,
    )
    slurm.run()
    return (
        f"Slurm job {slurm.job_id} submitted with {common['tasks']} tasks; logs in {logs}. "
        "Run the same command with --dry-run to see what is left"
    )


def _run_on_ray(executor: Any, common: dict[str, Any]) -> None:
    try:
        import ray
    except ImportError as error:
        raise DataError("--executor ray needs Ray; install it with: pip install 'octopack[ray]'") from error
    if not ray.is_initialized():
        # RAY_ADDRESS names a cluster; without it Ray starts on this machine.
        ray.init(log_to_driver=False, include_dashboard=False)
    executor(**common).run()
