"""lm-eval's YAML files, which follow from the registry of tasks and groups.

After a change to the registry: `python -m octopack_tasks.harnesses.lm_eval.task_files` writes them anew.
"""

from __future__ import annotations

from octopack_tasks.harnesses.lm_eval import TASK_FOLDER
from octopack_tasks.tasks import FURTHER_TASKS, GROUPS, TASKS, get_task

_AGGREGATE = """aggregate_metric_list:
  - metric: pass@1
    aggregation: mean
    weight_by_size: true
"""


def task_files() -> dict[str, str]:
    """The text of each file by its name."""
    tasks = {f"{name}.yaml": f"include: _task\ntask: {name}\n" for name in TASKS | FURTHER_TASKS}
    return tasks | {f"{name}.yaml": _group_file(name) for name in GROUPS}


def _group_file(name: str) -> str:
    members = "".join(f"  - {member}\n" for member in _members(name))
    is_scored = any(get_task(task).is_executed for task in GROUPS[name])
    return f"group: {name}\ntask:\n{members}{_AGGREGATE if is_scored else ''}metadata:\n  version: 1\n"


def _members(name: str) -> list[str]:
    """Tasks, and in a group of several languages the largest groups that it is made of."""
    tasks = list(GROUPS[name])
    if len({get_task(task).language.name for task in tasks}) == 1:
        return tasks
    groups = []
    for group in sorted(GROUPS, key=lambda group: -len(GROUPS[group])):
        if group != name and set(GROUPS[group]) <= set(tasks):
            groups.append(group)
            tasks = [task for task in tasks if task not in GROUPS[group]]
    return groups + tasks


def write_task_files() -> None:
    """Write the files that are missing or differ, and delete those of tasks that are no more."""
    files = task_files()
    for path in TASK_FOLDER.glob("*.yaml"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        path = TASK_FOLDER / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_task_files()
