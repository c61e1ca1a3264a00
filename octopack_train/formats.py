r"""Text layouts: a row of a data set in, a prompt and the completion to learn out.

Templates are those of the reference's fine-tuning scripts (finetuning/starcoder and finetuning/santacoder); the tags of
the commit layouts are plain text, not special tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from octopack_train.errors import TrainingError
from octopack_train.line_diff import line_diff, number_lines


class Format(str, Enum):
    """The layouts that a recipe can name."""

    TEXT = "text"
    PROMPT_COMPLETION = "prompt-completion"
    QUESTION_ANSWER = "question-answer"
    COMMIT = "commit"
    COMMIT_CONTENT = "commit-content"
    COMMIT_DIFF = "commit-diff"
    LINE_DIFF = "line-diff"
    INSTRUCTION_INPUT_OUTPUT = "instruction-input-output"


class Role(str, Enum):
    """What a column is to a layout."""

    TEXT = "text"
    PROMPT = "prompt"
    COMPLETION = "completion"
    OLD = "old"
    NEW = "new"
    MESSAGE = "message"
    FILE = "file"
    DIFF = "diff"
    CONTENT = "content"


DEFAULT_COLUMNS: Mapping[Role, str] = {
    Role.TEXT: "text",
    Role.PROMPT: "prompt",
    Role.COMPLETION: "completion",
    Role.OLD: "old_contents",
    Role.NEW: "new_contents",
    Role.MESSAGE: "subject",
    Role.FILE: "old_file",
    Role.DIFF: "diff",
    Role.CONTENT: "content",
}
"""Column names of the reference's data sets (CommitPack's fields for the commit layouts)."""

_ROLES: Mapping[Format, tuple[Role, ...]] = {
    Format.TEXT: (Role.TEXT,),
    Format.PROMPT_COMPLETION: (Role.PROMPT, Role.COMPLETION),
    Format.QUESTION_ANSWER: (Role.PROMPT, Role.COMPLETION),
    Format.COMMIT: (Role.OLD, Role.MESSAGE, Role.NEW),
    Format.COMMIT_CONTENT: (Role.CONTENT,),
    Format.COMMIT_DIFF: (Role.OLD, Role.MESSAGE, Role.DIFF),
    Format.LINE_DIFF: (Role.OLD, Role.MESSAGE, Role.NEW),
    Format.INSTRUCTION_INPUT_OUTPUT: (Role.OLD, Role.MESSAGE, Role.NEW),
}

_COMMIT_FORMATS = frozenset({Format.COMMIT, Format.COMMIT_CONTENT, Format.COMMIT_DIFF, Format.LINE_DIFF})
_MESSAGE_IN_TARGET_FORMATS = frozenset({Format.COMMIT, Format.COMMIT_DIFF})
_COMMIT_AFTER = "<commit_after>"


@dataclass(frozen=True)
class Example:
    """One training text in two parts.

    Attributes:
        prompt: what the model is given.
        completion: what it should write; the end-of-sequence token is added when the text is tokenised.
    """

    prompt: str
    completion: str

    @property
    def text(self) -> str:
        """The whole text."""
        return self.prompt + self.completion

    def on_token_boundary(self) -> Example:
        """Move blanks at the end of the prompt to the completion.

        Byte-level BPE glues a blank to the word after it, so `"Answer: "` alone ends in a token that never occurs in
        front of a word.
        """
        prompt = self.prompt.rstrip(" ")
        return Example(prompt, self.prompt[len(prompt) :] + self.completion)


@dataclass(frozen=True)
class Layout:
    """How a row becomes an `Example`.

    Attributes:
        format: the template.
        columns: column names by role, where they differ from `DEFAULT_COLUMNS`.
        file_name: put the old file's base name in front (`--add_file_name` of the reference).
        message_in_target: the commit message belongs to the completion (`--compute_loss_on_instruction`).
    """

    format: Format
    columns: Mapping[Role, str]
    file_name: bool = False
    message_in_target: bool = False

    def __post_init__(self) -> None:
        if self.file_name and self.format not in _COMMIT_FORMATS | {Format.INSTRUCTION_INPUT_OUTPUT}:
            raise TrainingError(f"data.file_name needs a commit format, not {self.format.value!r}.")
        if self.message_in_target and self.format not in _MESSAGE_IN_TARGET_FORMATS:
            # The reference silently ignores the line diff here; a recipe that asks for both is a mistake.
            raise TrainingError(f"data.message_in_target does not go with data.format {self.format.value!r}.")

    def required(self) -> dict[Role, str]:
        """Return the columns which a data set must have, by role."""
        roles = _ROLES[self.format] + ((Role.FILE,) if self.file_name else ())
        return {role: self.columns.get(role, DEFAULT_COLUMNS[role]) for role in roles}

    def example(self, row: Mapping[str, Any]) -> Example:
        """Lay out one row.

        Raises:
            TrainingError: a column holds no text, or `commit-content` finds no `<commit_after>`.
        """
        fields: dict[Role, str] = {}
        for role, column in self.required().items():
            value = row[column]
            if not isinstance(value, str):
                raise TrainingError(f"Column {column!r} holds {value!r} where text is needed.")
            fields[role] = value
        example = self._fill(fields)
        if self.file_name:
            base_name = fields[Role.FILE].split("/")[-1]
            return Example(f"<file_name>\n{base_name}\n{example.prompt}", example.completion)
        return example

    def _fill(self, fields: Mapping[Role, str]) -> Example:
        if self.format is Format.TEXT:
            return Example("", fields[Role.TEXT])
        if self.format is Format.PROMPT_COMPLETION:
            return Example(fields[Role.PROMPT], fields[Role.COMPLETION])
        if self.format is Format.QUESTION_ANSWER:
            return Example(f"Question: {fields[Role.PROMPT]}\n\nAnswer: ", fields[Role.COMPLETION])
        if self.format is Format.COMMIT_CONTENT:
            before, tag, after = fields[Role.CONTENT].partition(_COMMIT_AFTER)
            if not tag:
                raise TrainingError(f"No {_COMMIT_AFTER} in the content {fields[Role.CONTENT][:60]!r}.")
            return Example(before + tag, after)
        old, message = fields[Role.OLD].strip(), fields[Role.MESSAGE].strip()
        new = fields[Role.DIFF if self.format is Format.COMMIT_DIFF else Role.NEW]
        if self.format is Format.INSTRUCTION_INPUT_OUTPUT:
            return Example(f"Instructions: {message}\nInput:\n{old}\nOutput:\n", new)
        if self.message_in_target:
            # The message is not stripped here, and only the diff variant has line ends around the tag (reference).
            tag = f"\n{_COMMIT_AFTER}\n" if self.format is Format.COMMIT_DIFF else _COMMIT_AFTER
            return Example(f"<commit_before>\n{old}\n<commit_msg>", fields[Role.MESSAGE] + tag + new)
        if self.format is Format.LINE_DIFF:
            old, new = number_lines(fields[Role.OLD]).rstrip(), line_diff(fields[Role.OLD], new)
        return Example(f"<commit_before>\n{old}\n<commit_msg>\n{message}\n{_COMMIT_AFTER}\n", new)
