"""Checks a run of our tasks before lm-eval loads the model: hours are too late to say that a folder is missing."""

from __future__ import annotations

import logging
import math
import sys
from pathlib import Path
from typing import Any

from octopack_tasks.descriptions import Missing
from octopack_tasks.errors import UserError
from octopack_tasks.harnesses.lm_eval import TASK_FOLDER
from octopack_tasks.harnesses.lm_eval.settings import Settings
from octopack_tasks.tasks import GROUPS, Task, get_task

logger = logging.getLogger("lm_eval.octopack")


def check_run(run: Any, task_manager: Any) -> None:
    """Stop `lm_eval run` with one line and exit code 2 where our tasks could not be scored.

    Args:
        run: lm-eval's `EvaluatorConfig`, its task names resolved.
        task_manager: lm-eval's `TaskManager`.
    """
    tasks = _our_tasks(run.tasks, task_manager)
    if not tasks:
        return
    try:
        _check(run, tasks)
    except Exception as error:
        exit_code = getattr(error, "exit_code", None)
        if not isinstance(exit_code, int):
            raise
        print(f"octopack: {error}", file=sys.stderr)  # noqa: T201 - a command's last word
        sys.exit(exit_code)


def _our_tasks(names: list[Any], task_manager: Any) -> list[Task]:
    """The tasks of ours among the names of a run; a user's own file of the same name is the user's."""
    found: dict[str, Task] = {}
    for name in names:
        entry = task_manager.task_index.get(name) if isinstance(name, str) else None
        if entry is not None and entry.yaml_path and TASK_FOLDER.resolve() in Path(entry.yaml_path).resolve().parents:
            found.update({member: get_task(member) for member in GROUPS.get(name, (name,))})
    return list(found.values())


def _check(run: Any, tasks: list[Task]) -> None:
    from octopack_tasks.harnesses.lm_eval.formats import choose_format
    from octopack_tasks.harnesses.lm_eval.sandbox import ensure_works

    settings = Settings.from_metadata(run.metadata or {})
    is_whole = run.limit is None and not run.samples
    for task in tasks:
        chosen = choose_format(settings.prompt, chat_template=bool(run.apply_chat_template), task=task)
        problems = task.problems(settings.dataset, settings.descriptions, Missing.ERROR if is_whole else Missing.KEEP)
        if run.limit is not None:
            asked = math.ceil(len(problems) * run.limit) if run.limit < 1 else int(run.limit)
            for problem in problems[:asked]:  # a missing description shows only when its question is asked
                task.prompt(problem, chosen)
    describing = [task.name for task in tasks if not task.is_executed]
    if describing and not run.log_samples:
        raise UserError(
            f"{describing[0]} writes descriptions, and "
            "only logged samples keep them: add --log_samples --output_path DIR"
        )
    if settings.n_samples > 1 and run.use_cache and not (run.gen_kwargs or {}).get("do_sample", True):
        logger.warning("--use_cache gives all %d samples of a problem the same answer", settings.n_samples)
    languages = tuple(dict.fromkeys(task.language.name for task in tasks if task.is_executed))
    if languages and not run.predict_only:
        ensure_works(settings, languages)
