"""The lm-eval plugin: tasks that `lm_eval --tasks` finds with no other flag.

The whole adapter lives in this folder, so that a new interface of lm-eval is met in one place: `tasks/` (YAML files),
`task.py` (what lm-eval asks of a task), `hooks.py` (how lm-eval finds the tasks and checks a run before it loads a
model), `octopack.pth` and `_octopack_autoload.py` (what arms the hooks).
"""

from __future__ import annotations

from pathlib import Path

TASK_FOLDER = Path(__file__).parent / "tasks"
"""The folder of our YAML files; what `octopack lm-eval-path` prints."""
