"""The benchmark: what is asked of a model, and what counts as right.

The path of one sample, each step a pure function:

    from octopack_tasks import get_task, load_problems

    task = get_task("humanevalfixtests-python")
    problem = load_problems("python", dataset="starter")[0]
    prompt = task.prompt(problem, format="octocoder")        # prompt.text is what the model reads
    completion = "..."                                       # what the model writes after it
    solution = task.solution(problem, completion, format="octocoder")
    program = task.program(problem, solution)                # a sandboxes.Program, tests included

`task.answer` is what the reference's generations files hold (an edit in the formats `diff` and `diff-carper`),
`task.solution_of_answer` goes on from there. `task.is_complete` and `task.stop_words` say when a model may stop.
Everything a user can mend is a `UserError`, whose message is one line.
"""

from typing import TYPE_CHECKING, Any

from octopack_tasks.descriptions import Missing, join_descriptions, read_descriptions
from octopack_tasks.errors import UserError
from octopack_tasks.languages import LANGUAGES, PAPER_LANGUAGES, Language, get_language
from octopack_tasks.problems import HUB_DATASET, STARTER_PACK, Problem, ProblemSet, dataset_name, load_problems
from octopack_tasks.prompts import (
    CHAT,
    CHAT_FORMATS,
    CHAT_WITHOUT_PREFILL,
    DEFAULT_FORMAT,
    FORMATS,
    PAPER_FORMATS,
    Prompt,
    is_chat,
)
from octopack_tasks.tasks import GROUPS, TASKS, Task, find_tasks, get_task

if TYPE_CHECKING:
    from octopack_tasks.evaluation import evaluate

__all__ = [
    "CHAT",
    "CHAT_FORMATS",
    "CHAT_WITHOUT_PREFILL",
    "DEFAULT_FORMAT",
    "FORMATS",
    "GROUPS",
    "HUB_DATASET",
    "LANGUAGES",
    "PAPER_FORMATS",
    "PAPER_LANGUAGES",
    "STARTER_PACK",
    "TASKS",
    "Language",
    "Missing",
    "Problem",
    "ProblemSet",
    "Prompt",
    "Task",
    "UserError",
    "dataset_name",
    "evaluate",
    "find_tasks",
    "get_language",
    "get_task",
    "is_chat",
    "join_descriptions",
    "load_problems",
    "read_descriptions",
]


def __getattr__(name: str) -> Any:
    """`evaluate` brings the sandboxes along: it is imported when it is first used."""
    if name == "evaluate":
        from octopack_tasks.evaluation import evaluate

        return evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
