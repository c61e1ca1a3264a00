"""The prompt formats, by name: how a question is put to a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from octopack_tasks.errors import UserError

END_OF_TEXT = "<|endoftext|>"
DEFAULT_FORMAT = "instruct"
ENCODER_FORMAT = "instructcodet5p"


@dataclass(frozen=True)
class Question:
    """What is asked, before a prompt format gives it its form.

    Attributes:
        instruction: The request.
        context: The code or description it is about; None where the instruction says it all.
        start: How the answer begins, given to the model; empty where it is free.
        file_name: Name of the file whose content is the context, if the answer is an edit of it.
        fence: Info string of a fenced code block that holds the answer; None where the answer is prose.
    """

    instruction: str
    context: str | None
    start: str
    file_name: str | None = None
    fence: str | None = None


@dataclass(frozen=True)
class Prompt:
    """A question in the form that a model receives.

    Attributes:
        format: Name of the prompt format.
        text: The whole prompt; in a chat format the user's turn.
        prefill: Chat formats: how the assistant's turn begins, for backends that can continue a message. The
            completion is what follows it.
    """

    format: str
    text: str
    prefill: str = ""

    @property
    def is_chat(self) -> bool:
        """Whether it is meant for the model's own chat template."""
        return is_chat(self.format)

    @property
    def messages(self) -> tuple[Mapping[str, str], ...]:
        """The turns of a chat: the user's, and the assistant's where it has to be continued."""
        turns: tuple[Mapping[str, str], ...] = ({"role": "user", "content": self.text},)
        return (*turns, {"role": "assistant", "content": self.prefill}) if self.prefill else turns


_Render: TypeAlias = Callable[[Question], str]


@dataclass(frozen=True)
class _Format:
    """One prompt format.

    Attributes:
        render: The prompt of a question; None where the format is for edits only.
        render_edit: The prompt of a question whose answer is an edit, where that differs.
        source: Where the format comes from.
    """

    render: _Render | None
    render_edit: _Render | None = None
    source: str = "the paper's repository"


def _joined(question: Question) -> str:
    return question.instruction if question.context is None else f"{question.instruction}\n{question.context}"


def _joined_context_first(question: Question) -> str:
    return question.instruction if question.context is None else f"{question.context}\n{question.instruction}"


def _between(before: str, after: str, *, strip: bool = False) -> _Render:
    """The request between two fixed strings, then the start of the answer."""

    def render(question: Question) -> str:
        request = _joined(question)
        return before + (request.strip() if strip else request) + after + question.start

    return render


def _continue(question: Question) -> str:
    if question.context is not None:
        raise UserError(
            "prompt format 'continue' shows the start of the answer alone, so it only works for humanevalsynthesize; "
            "choose 'instruct' for fixing and explaining"
        )
    return question.start


def _instruct(question: Question) -> str:
    return f"{_joined_context_first(question)}\n\n{question.start}"


def _commit(question: Question) -> str:
    return f"<commit_before>{question.context}<commit_msg>{question.instruction}<commit_after>"


def _commit_then_start(question: Question) -> str:
    return _commit(question) + question.start


def _file(question: Question) -> str:
    return (
        f"<file_name>\n{question.file_name}\n<commit_before>\n{question.context}\n"
        f"<commit_msg>\n{question.instruction}<commit_after>\n{question.start}"
    )


def _diff_carper(question: Question) -> str:
    return f"<NME> {question.file_name}\n<BEF> {question.context}\n<MSG> {question.instruction}\n<DFF>"


def _issue(question: Question) -> str:
    return (
        f"<issue_start>username_0: {question.instruction}\n\n```{question.context}```\nUpvotes: 100"
        f"<issue_comment>username_1: Sure, here is the fixed code.\n\n```{question.start}"
    )


_ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request."
    "\n\n### Instruction:\n"
)
_DEEPSEEK = (
    "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you "
    "only answer questions related to computer science. For politically sensitive questions, security and privacy "
    "issues, and other non-computer science questions, you will refuse to answer\n### Instruction:\n"
)
_TULU = _between("<|user|>\n", "\n<|assistant|>\n")
_CHATML = _between("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")

_FORMATS: Mapping[str, _Format] = MappingProxyType(
    {
        "continue": _Format(_continue),
        "instruct": _Format(_instruct),
        "octocoder": _Format(_between("Question: ", "\n\nAnswer:\n")),
        "octogeex": _Format(_between("Question: ", "\n\nAnswer:\n", strip=True)),
        "starchat": _Format(_between("<|system|>\n<|end|>\n<|user|>\n", "<|end|>\n<|assistant|>\n")),
        "starcodercommit": _Format(_between("<commit_before><commit_msg>", "<commit_after>"), _commit_then_start),
        "instructcodet5p": _Format(_between(_ALPACA, "\n\n### Response:")),
        "wizardcoder": _Format(_between(_ALPACA, "\n\n### Response:\n")),
        "codellama": _Format(_between("[INST] ", " [/INST] ", strip=True)),
        "deepseek": _Format(_between(_DEEPSEEK, "\n### Response:\n", strip=True)),
        "tulu": _Format(_TULU),
        "gritlm": _Format(_TULU),
        "zephyr": _Format(_between("<|user|>\n", "</s>\n<|assistant|>\n")),
        "yi": _Format(_CHATML),
        "starchat2": _Format(_CHATML),
        "codeqwen": _Format(_CHATML),
        "codegemma": _Format(_between("<start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n")),
        "codellama-70b": _Format(
            _between("Source: user\n\n ", " Source: assistant\nDestination: user \n\n", strip=True)
        ),
        "aurora-m": _Format(_between("### Instruction:\n", "\n### Response:\n")),
        "file": _Format(None, _file),
        "diff": _Format(None, _commit),
        "diff-carper": _Format(None, _diff_carper),
        "issue": _Format(None, _issue),
    }
)
PAPER_FORMATS = tuple(_FORMATS)
EDIT_FORMATS = tuple(name for name, form in _FORMATS.items() if form.render is None)
"""Formats that show code to be edited, for the two fix scenarios only."""

CHAT = "chat"
CHAT_WITHOUT_PREFILL = "chat-without-prefill"
CHAT_FORMATS = (CHAT, CHAT_WITHOUT_PREFILL)
"""Formats of our own, for the chat template of the model: `chat` continues a message of the assistant that begins the
answer; `chat-without-prefill` is for servers that cannot do that, so the model writes a whole answer."""

FORMATS = PAPER_FORMATS + CHAT_FORMATS


def is_chat(format: str) -> bool:  # noqa: A002 - the word of the field, as in the command's option
    """Whether the format is meant for the model's own chat template."""
    return format in CHAT_FORMATS


def render(question: Question, format: str = DEFAULT_FORMAT) -> Prompt:  # noqa: A002
    """Put a question into a prompt format.

    The text is stripped at both ends: a model then emits the newline after the start of its answer itself, as it saw
    in training.

    Raises:
        UserError: The format is unknown or does not suit the question.
    """
    if format in CHAT_FORMATS:
        return _chat(question, format)
    form = _FORMATS.get(format)
    if form is None:
        raise UserError(f"unknown prompt format {format!r}; there are: {', '.join(FORMATS)}")
    is_edit = question.file_name is not None
    rendered_by = form.render_edit if is_edit and form.render_edit else form.render
    if rendered_by is None:
        raise UserError(
            f"prompt format {format!r} shows code to be edited, so it only works for humanevalfixtests and "
            f"humanevalfixdocs; choose one of: {', '.join(name for name in FORMATS if name not in EDIT_FORMATS)}"
        )
    return Prompt(format, rendered_by(question).strip())


def _chat(question: Question, format: str) -> Prompt:  # noqa: A002
    text = _joined(question).strip()
    if question.fence is None:
        return Prompt(format, text)
    start = f"```{question.fence}\n{question.start.strip()}"
    if format == CHAT:
        return Prompt(format, text, prefill=start)
    return Prompt(format, f"{text}\n\nAnswer with the complete code in one code block. It starts with:\n{start}\n```")


def encoder_text(question: Question, format: str = ENCODER_FORMAT) -> str:  # noqa: A002
    """What the encoder of an encoder-decoder model reads: the prompt without the start of the answer.

    Raises:
        UserError: The format is another than `instructcodet5p`, or the scenario has no encoder prompt.
    """
    if format != ENCODER_FORMAT:
        raise UserError(f"encoder-decoder models need the prompt format {ENCODER_FORMAT!r}, not {format!r}")
    if question.file_name is not None:
        raise UserError("the fix scenarios have no encoder prompt; evaluate encoder-decoder models on the other tasks")
    return render(Question(question.instruction, question.context, start=""), format).text


def stop_words(language_stop_words: tuple[str, ...], format: str) -> tuple[str, ...]:  # noqa: A002
    """The strings that end a completion in a prompt format, in the order in which they cut it.

    Any name is accepted: that a format exists is checked where a prompt is rendered.
    """
    words: tuple[str, ...] = language_stop_words
    if format.startswith("edit"):  # formats that the reference removed, except here
        words += ("<commit_before>", "<commit_msg>", "<commit_after>")
    elif format == "starchat":
        words += ("<|end|>",)
    elif format == "diff":
        words = ("<commit_before>", "<commit_msg>", "<commit_after>")
    elif format == "diff-carper":
        words = ("<BEF>", "<MSG>", "<DFF>", "\\ No newline at end of file")
    elif format == "issue":
        words += ("```",)
    elif format in CHAT_FORMATS:
        words = ()  # a chat model ends its turn; the answer may hold prose and several functions
    return (*words, END_OF_TEXT)
