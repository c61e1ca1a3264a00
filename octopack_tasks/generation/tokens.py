"""A prompt as the tokens that a model reads."""

from __future__ import annotations

from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.prompts import Prompt


def prompt_token_ids(tokenizer: Any, prompt: Prompt) -> list[int]:
    """The tokens of a prompt; a chat prompt through the model's own template.

    Raises:
        UserError: The model has no chat template.
    """
    if not prompt.is_chat:
        return list(tokenizer(prompt.text)["input_ids"])
    if not tokenizer.chat_template:
        raise UserError(
            f"the model has no chat template, which the prompt format {prompt.format!r} needs; choose another --prompt"
        )
    text = tokenizer.apply_chat_template(
        [dict(message) for message in prompt.messages],
        tokenize=False,
        add_generation_prompt=not prompt.prefill,
        continue_final_message=bool(prompt.prefill),
    )
    # The template has written the special tokens already.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def encoder_token_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens that an encoder reads."""
    return list(tokenizer(text)["input_ids"])
