"""How a row's signature, documentation and instruction follow from its code: the rules of HumanEvalPack."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from octopack_tasks.errors import UserError
from octopack_tasks.languages import get_language


@dataclass(frozen=True)
class Wording:
    """What a row says in words.

    Attributes:
        signature: The function's head.
        docstring: The documentation alone.
    """

    signature: str
    docstring: str

    def instruction(self, language: str) -> str:
        """The request in natural language."""
        title = get_language(language).title
        return f"Write a {title} function `{self.signature}` to solve the following problem:\n{self.docstring}"


def wording(language: str, fields: Mapping[str, str], entry_point: str, where: str) -> Wording:
    """Take signature and documentation out of a row's code.

    Args:
        language: Its language.
        fields: The row, as in the source: `prompt` and `declaration` are read.
        entry_point: Name of its function.
        where: Which row it is, for the message.

    Raises:
        UserError: The code has no place for them where the language's rule looks, or the language has no rule.
    """
    rule = _RULES.get(language)
    if rule is None:
        raise UserError(f"{where}: no rule says where {language} has its documentation; there are: {', '.join(_RULES)}")
    try:
        return rule(fields, entry_point)
    except _NotFoundError as error:
        raise UserError(f"{where}: field `{error.field}` {error}") from None


class _NotFoundError(Exception):
    """A rule does not find what it looks for; the message goes on after the field's name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _tidy(text: str) -> str:
    """The lines, stripped, without empty ones."""
    return "\n".join(filter(None, (line.strip() for line in text.split("\n"))))


def _lines(prompt: str) -> list[str]:
    """The lines, stripped, without empty ones; at least one."""
    tidy = _tidy(prompt)
    if not tidy:
        raise _NotFoundError("prompt", "is blank: it must end with the head of the function")
    return tidy.split("\n")


def _block_comment(prompt: str) -> str | None:
    """The last block comment, without its marks; None where there is none."""
    parts = re.split(r"/\*|\*/", prompt)
    return parts[-2] if len(parts) >= 3 else None


def _needed_block_comment(prompt: str) -> str:
    comment = _block_comment(prompt)
    if comment is None:
        raise _NotFoundError("prompt", "has no documentation: there must be a comment /* ... */")
    return comment


def _line_comments(prompt: str) -> str:
    """The last run of line comments, without their marks; blank lines do not end it."""
    found: list[str] = []
    for line in reversed(_lines(prompt)):
        if line.startswith("//"):
            found.append(line.strip("/").strip())
        elif found:
            break
    return "\n".join(filter(None, reversed(found)))


def _python(fields: Mapping[str, str], entry_point: str) -> Wording:
    _, definition, function = fields["prompt"].rpartition("def ")
    if not definition:
        raise _NotFoundError("prompt", "has no function: there must be a `def`")
    parts = re.split(r"\"{3}|'{3}", function)
    if len(parts) != 3:
        raise _NotFoundError(
            "prompt",
            "must have exactly one documentation string in triple quotes after its last `def`, "
            f"not {len(parts) - 1} times triple quotes",
        )
    return Wording(parts[0].strip().strip(":"), _tidy(parts[1]))


def _cpp(fields: Mapping[str, str], entry_point: str) -> Wording:
    prompt = fields["prompt"]
    heads = [line for line in _lines(prompt) if entry_point in line and line.endswith("{")]
    if not heads:
        raise _NotFoundError(
            "prompt",
            f"has no line with {entry_point!r} that ends with an opening brace; if the function has another name "
            "there, give it in a file of corrections",
        )
    comment = _block_comment(prompt)
    # A blank before the brace stays, as in the published rows.
    return Wording(heads[-1].strip("{"), _line_comments(prompt) if comment is None else _tidy(comment.strip("*")))


def _java(fields: Mapping[str, str], entry_point: str) -> Wording:
    prompt = fields["prompt"]
    return Wording(_lines(prompt)[-1].strip("{").strip(), _tidy(_needed_block_comment(prompt).strip("*")))


def _js(fields: Mapping[str, str], entry_point: str) -> Wording:
    prompt = fields["prompt"]
    return Wording(_lines(prompt)[-1].strip("{").strip().strip("=>").strip(), _tidy(_needed_block_comment(prompt)))


def _go(fields: Mapping[str, str], entry_point: str) -> Wording:
    prompt = fields["prompt"]
    return Wording(_lines(prompt)[-1].strip("{").strip(), _line_comments(prompt))


def rust_prompt(prompt: str, declaration: str, where: str) -> str:
    """The field `prompt` of a Rust row: the documentation put into the declaration, above its last function.

    Args:
        prompt: The same field of the source, which is the documentation alone.
        declaration: The declaration.
        where: Which row it is, for the message.

    Raises:
        UserError: The declaration has no function where the rule looks for it.
    """
    start = _last_rust_function(declaration)
    if start < 0:
        raise UserError(f"{where}: field `declaration` has no line that begins with `fn` or `pub fn`")
    return f"{_RUST_MAIN}{declaration[:start]}\n{prompt.strip()}\n{declaration[start:].lstrip()}"


def rust_documentation(prompt: str, declaration: str) -> str:
    """The inverse of `rust_prompt`; other prompts are given back as they are."""
    start = _last_rust_function(declaration)
    before, after = f"{_RUST_MAIN}{declaration[:start]}\n", f"\n{declaration[start:].lstrip()}"
    if start < 0 or not (prompt.startswith(before) and prompt.endswith(after)):
        return prompt
    return prompt[len(before) : -len(after)]


_RUST_MAIN = "fn main(){}\n"


def _last_rust_function(declaration: str) -> int:
    return max(declaration.rfind("\nfn "), declaration.rfind("\npub fn "))


def _rust(fields: Mapping[str, str], entry_point: str) -> Wording:
    documentation = []
    for line in fields["prompt"].split("\n"):
        is_mark = line.strip().startswith(("/*", "*/"))
        text = (line.strip("/*") if is_mark else line).strip()
        if text and text != '"':
            documentation.append(text)
    signature = fields["declaration"].rpartition("fn ")[2].partition("{")[0].strip()
    return Wording(signature, "\n".join(documentation))


_RULES: dict[str, Callable[[Mapping[str, str], str], Wording]] = {
    "python": _python,
    "cpp": _cpp,
    "js": _js,
    "typescript": _js,
    "java": _java,
    "go": _go,
    "rust": _rust,
}
