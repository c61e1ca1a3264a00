"""Which prompt format a run of lm-eval uses."""

from __future__ import annotations

from octopack_tasks.errors import UserError
from octopack_tasks.prompts import CHAT, DEFAULT_FORMAT, is_chat
from octopack_tasks.tasks import Task


def choose_format(prompt: str | None, *, chat_template: bool, task: Task) -> str:
    """The prompt format of a run.

    Args:
        prompt: What the user asked for, if anything.
        chat_template: Whether lm-eval applies the model's chat template.
        task: The task that is run.

    Raises:
        UserError: The format is unknown, does not suit the task, or would wrap the question twice or not at all.
    """
    chosen = prompt or (CHAT if chat_template else DEFAULT_FORMAT)
    task.check_format(chosen)
    if chat_template and not is_chat(chosen):
        raise UserError(
            f"prompt={chosen} already gives the question a form, and --apply_chat_template would wrap it a second "
            f"time: use one of the two (prompt={CHAT} is made for chat templates)"
        )
    if is_chat(chosen) and not chat_template:
        raise UserError(f"prompt={chosen} needs the model's chat template: add --apply_chat_template")
    return chosen
