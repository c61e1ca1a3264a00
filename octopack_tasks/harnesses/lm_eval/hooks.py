"""How lm-eval finds our tasks, and how a run of them is checked before its model is loaded.

Each function here is called once, right after lm-eval's module of that name was imported (see `_octopack_autoload`).
lm-eval 0.4.13 has no entry point for tasks; as soon as a release has one, it replaces this file.
"""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from octopack_tasks.harnesses.lm_eval import TASK_FOLDER


def extend_task_manager(module: ModuleType) -> None:
    """Make `TaskManager` search our folder after the built-in tasks and before the user's `include_path`.

    Later folders win in lm-eval, so a user's file of the same name replaces ours.
    """
    original = module.TaskManager.__init__
    signature = inspect.signature(original)
    if not {"include_path", "include_defaults"} <= set(signature.parameters):
        raise TypeError("lm_eval.tasks.TaskManager no longer takes include_path and include_defaults")

    @functools.wraps(original)
    def initialize(self: Any, *args: Any, **kwargs: Any) -> None:
        call = signature.bind(self, *args, **kwargs)
        call.apply_defaults()
        paths = call.arguments["include_path"] or []
        paths = list(paths) if isinstance(paths, list | tuple) else [paths]
        if call.arguments["include_defaults"] and TASK_FOLDER.resolve() not in {Path(p).resolve() for p in paths}:
            call.arguments["include_path"] = [TASK_FOLDER, *paths]
        original(*call.args, **call.kwargs)

    module.TaskManager.__init__ = initialize


def check_before_run(module: ModuleType) -> None:
    """Make `lm_eval run` check our tasks once their names are known: the model is loaded only after that."""
    original = module.EvaluatorConfig.process_tasks

    @functools.wraps(original)
    def process_tasks(self: Any, *args: Any, **kwargs: Any) -> Any:
        task_manager = original(self, *args, **kwargs)
        from octopack_tasks.harnesses.lm_eval.preflight import check_run

        check_run(self, task_manager)
        return task_manager

    module.EvaluatorConfig.process_tasks = process_tasks
