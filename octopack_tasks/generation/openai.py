"""The openai backend: any server with OpenAI's interface, such as `vllm serve` or a hosted model."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import queue
import random
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.generation.backends import Closing, require
from octopack_tasks.generation.protocol import Backend, Completion, Finish, Request, Sampling
from octopack_tasks.generation.stopping import Watch
from octopack_tasks.terminal import printable

logger = logging.getLogger("octopack")

_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_LONGEST_PAUSE = 60.0
_LONGEST_ASKED_PAUSE = 24 * 3600.0
"""A server that asks for a longer one is asked again after a day."""
# What OpenAI and vLLM say of a request that is too long: "maximum context length is 2048 tokens. However, you requested
# 2124 tokens (1100 in the messages, 1024 in the completion)", "your request has 1100 input tokens".
_CONTEXT = re.compile(r"context length (?:is|of) (?:only )?(\d+)")
_PROMPT = re.compile(r"(\d+) (?:input tokens|in the messages|in your prompt|in the prompt)")
_BROKEN_OFF = frozenset({"abort", "aborted", "error", "cancelled"})
"""Ends of an answer that are the server's, not the model's: what has come is a part of an answer."""


def open_model(
    model: str,
    sampling: Sampling,
    base_url: str | None = None,
    api_key: str | None = None,
    concurrency: int = 32,
    requests_per_minute: float | None = None,
    max_retries: int = 8,
    timeout: float = 600.0,
    stream: bool = True,
    seeds: bool = True,
    extra_body: Mapping[str, Any] | None = None,
    first_pause: float = 1.0,
) -> Backend:
    """Connect to a server.

    Args:
        model: The name by which the server knows the model.
        sampling: How completions are drawn.
        base_url: Where the server is, `/v1` included; None: `$OPENAI_BASE_URL`, else OpenAI's own.
        api_key: None: `$OPENAI_API_KEY`.
        concurrency: Requests in flight at a time.
        requests_per_minute: Most requests that are begun in a minute; None: no limit of ours.
        max_retries: How often a request is tried again after an overload, a fault of the server or the network.
        timeout: Seconds without a byte from the server after which a request counts as failed.
        stream: Whether to read completions as they are written, which lets them end early.
        seeds: Whether to send each sample's seed.
        extra_body: Fields that are added to every request, such as vLLM's `{"skip_special_tokens": false}`; null
            leaves out a field of ours that the server does not take.
        first_pause: Seconds before the first new attempt; each later pause is twice as long.

    Raises:
        UserError: There is no such server, it refuses the key, or does not have the model.
    """
    where = base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
    require("extra_body", extra_body, 'a JSON object, such as {"top_k": 20}', isinstance(extra_body or {}, Mapping))
    extra = dict(extra_body or {})
    if sampling.top_k and "top_k" not in extra:
        raise UserError(
            f"OpenAI's interface has no top_k; if the server takes it: --model-args 'extra_body={{\"top_k\": "
            f"{sampling.top_k}}}'"
        )
    require("concurrency", concurrency, "a whole number above 0", isinstance(concurrency, int) and concurrency > 0)
    require("max_retries", max_retries, "a whole number from 0", isinstance(max_retries, int) and max_retries >= 0)
    require("timeout", timeout, "a number above 0", _is_number(timeout) and timeout > 0)
    require("first_pause", first_pause, "a number from 0", _is_number(first_pause) and first_pause >= 0)
    if requests_per_minute is not None:
        is_pace = _is_number(requests_per_minute) and requests_per_minute > 0
        require("requests_per_minute", requests_per_minute, "a number above 0", is_pace)
    for name, value in (("stream", stream), ("seeds", seeds)):
        require(name, value, "true or false", isinstance(value, bool))
    key = str(api_key or os.environ.get("OPENAI_API_KEY") or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UserError("the key in OPENAI_API_KEY holds characters that no key has; set it again")
    server = _Server(
        base_url=str(where).rstrip("/"),
        api_key=key,
        pace=_Pace(requests_per_minute),
        max_retries=max_retries,
        timeout=timeout,
        first_pause=first_pause,
    )
    backend = OpenAI(model, sampling, server, concurrency, stream=stream, seeds=seeds, extra=extra)
    server.check_model(model)
    return backend


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class _Pace:
    """Lets requests begin no faster than so many a minute."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, stopped: threading.Event) -> None:
        """Wait for one's turn, or until everything is stopped."""
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + self._gap
        stopped.wait(begin - now)

    def hold(self, seconds: float) -> None:
        """Nobody begins for so long: the server asked for it."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class _Refused(Exception):  # noqa: N818 - not a failure yet: `_Server` decides
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def is_too_long(self) -> bool:
        text = self.message.lower()
        return self.status in (400, 413, 422) and (
            "context_length_exceeded" in text or ("context" in text and ("length" in text or "tokens" in text))
        )

    @property
    def room(self) -> int:
        """The tokens that the prompt leaves for an answer, where the server tells its context and the prompt's."""
        context, prompt = _CONTEXT.search(self.message), _PROMPT.search(self.message)
        return int(context[1]) - int(prompt[1]) if self.is_too_long and context and prompt else 0


class _Interrupted(Exception):  # noqa: N818 - it is tried again
    """The connection broke, or the answer is not one."""


@dataclass
class _Server:
    """A server, with patience."""

    base_url: str
    api_key: str
    pace: _Pace
    max_retries: int
    timeout: float
    first_pause: float

    def __post_init__(self) -> None:
        import requests

        self.stopped = threading.Event()
        self.served_as: set[str] = set()
        self._local = threading.local()
        self._session_of: Any = requests.Session

    def _session(self) -> Any:
        if not hasattr(self._local, "session"):
            self._local.session = self._session_of()
        return self._local.session

    def check_model(self, model: str) -> None:
        """Raise a `UserError` if the server cannot be reached, refuses us, or lists its models without this one."""
        import requests

        try:
            answer = self._session().get(f"{self.base_url}/models", headers=self._headers(), timeout=30)
        except requests.RequestException as error:
            raise UserError(
                f"there is no server at {self.base_url} ({_reason(error)}); give --model-args base_url=http://HOST/v1"
            ) from error
        if answer.status_code in (401, 403):
            raise UserError(f"{self.base_url} refuses the key ({answer.status_code}); set OPENAI_API_KEY")
        try:
            names = [str(entry["id"]) for entry in answer.json()["data"]]
        except (ValueError, KeyError, TypeError):  # not every server lists its models
            return
        if answer.ok and names and model not in names:
            raise UserError(f"{self.base_url} has no model {model!r}; it has: {', '.join(names[:10])}")

    def post(self, path: str, body: Mapping[str, Any], watch: Watch) -> tuple[str, int | None, Finish]:
        """Ask for one completion: its text, its tokens and why it ends.

        Raises:
            _Refused: The server will not answer this request, whenever it is asked.
            UserError: It still did not answer after all attempts.
        """
        pause = self.first_pause
        for attempt in range(self.max_retries + 1):
            watch.text = ""
            self.pace.wait(self.stopped)
            if self.stopped.is_set():
                raise _Interrupted("it is not waited for any more")
            try:
                return self._attempt(path, body, watch)
            except _Refused as refusal:
                if refusal.status not in _RETRIED:
                    raise
                reason, asked = f"{refusal.status}: {refusal.message}", getattr(refusal, "retry_after", None)
            except _Interrupted as error:
                reason, asked = str(error), None
            if attempt < self.max_retries:
                if asked is not None:
                    if asked > _LONGEST_PAUSE:
                        why = printable(reason[:200])
                        logger.warning("%s asks for a pause of %.0f seconds (%s)", self.base_url, asked, why)
                    self.pace.hold(asked)
                # Not all at once again: half of the pause is random.
                if self.stopped.wait(min(pause, _LONGEST_PAUSE) * (0.5 + random.random() / 2)):
                    break
                pause *= 2
        raise UserError(
            f"{self.base_url} did not answer after {self.max_retries + 1} attempts ({reason[:300]}). What was "
            "generated is kept: run the same command again, with a smaller concurrency or requests_per_minute in "
            "--model-args if it is overloaded"
        )

    def _attempt(self, path: str, body: Mapping[str, Any], watch: Watch) -> tuple[str, int | None, Finish]:
        import requests

        try:
            with self._session().post(
                f"{self.base_url}{path}",
                json=body,
                headers=self._headers(),
                timeout=(30, self.timeout),
                stream=bool(body.get("stream")),
            ) as answer:
                if not answer.ok:
                    raise _refusal(answer)
                read = _streamed if body.get("stream") else _whole
                return read(answer, watch, self.served_as)
        except requests.RequestException as error:
            raise _Interrupted(_reason(error)) from error

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _refusal(answer: Any) -> _Refused:
    try:
        content = answer.json()
        error = content.get("error", content)
        message = error if isinstance(error, str) else " ".join(str(error.get(key, "")) for key in ("message", "code"))
    except (ValueError, AttributeError, RecursionError):
        message = answer.text
    refusal = _Refused(answer.status_code, " ".join(message.split())[:500])
    header = answer.headers.get("Retry-After")
    if header:
        refusal.retry_after = _seconds(header)  # type: ignore[attr-defined]
    return refusal


def _seconds(retry_after: str) -> float | None:
    """A `Retry-After` header: seconds, or a date."""
    seconds = math.nan
    with contextlib.suppress(ValueError):
        seconds = float(retry_after)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
    return None if math.isnan(seconds) else min(max(0.0, seconds), _LONGEST_ASKED_PAUSE)


def _streamed(answer: Any, watch: Watch, served_as: set[str]) -> tuple[str, int | None, Finish]:
    """Read server-sent events until the answer is complete; leaving then tells the server to stop."""
    if "json" in answer.headers.get("Content-Type", ""):  # a server that cannot stream
        return _whole(answer, watch, served_as)
    tokens: int | None = None
    pieces = 0
    finish: Finish | None = None
    # Small pieces: where a server does not send in chunks of its own, a larger one is waited for until it is full.
    for line in answer.iter_lines(chunk_size=64):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            break
        said = _said(data, "delta")
        served_as.update(said.model)
        tokens = tokens if said.tokens is None else said.tokens
        pieces += bool(said.text)
        if watch.add(said.text):
            return watch.text, pieces, Finish.COMPLETE
        finish = said.finish or finish
    if finish is None:
        raise _Interrupted("the stream ended before the completion did")  # a part of an answer is none
    return watch.text, tokens if tokens is not None else pieces, finish


def _whole(answer: Any, watch: Watch, served_as: set[str]) -> tuple[str, int | None, Finish]:
    said = _said(answer.content, "message")
    served_as.update(said.model)
    if not said.has_choice:
        raise _Interrupted("the server's answer holds no completion")
    watch.add(said.text)
    return said.text, said.tokens, said.finish or Finish.END


@dataclass(frozen=True)
class _Said:
    """What an answer, or an event of a streamed one, says.

    Attributes:
        has_choice: Whether there is any completion in it.
        text: The text of the completion that it brings.
        finish: Why the completion ends; None where it does not say so.
        tokens: How many tokens the completion has; None where it does not say so.
        model: The name of the model that wrote it, if it says that.
    """

    has_choice: bool
    text: str
    finish: Finish | None
    tokens: int | None
    model: tuple[str, ...]


def _said(data: bytes, chat_field: str) -> _Said:
    """Read a JSON text of the server.

    Raises:
        _Interrupted: It reports a fault, or is not what OpenAI's interface has.
    """
    try:
        content = json.loads(data)
        error, choices, usage = content.get("error"), content.get("choices") or [], content.get("usage") or {}
        choice = choices[0] if choices else {}
        text = choice["text"] if "text" in choice else (choice.get(chat_field) or {}).get("content")
        reason, tokens = choice.get("finish_reason"), usage.get("completion_tokens")
        model = content.get("model")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as fault:
        raise _Interrupted(f"the server's answer makes no sense ({fault!r})") from None
    if error:
        raise _Interrupted(str(error)[:300])
    if not isinstance(text or "", str) or not isinstance(reason or "", str) or not isinstance(tokens or 0, int):
        raise _Interrupted(f"the server's answer makes no sense ({data[:200]!r})")
    if reason in _BROKEN_OFF:
        raise _Interrupted(f"the server broke off the completion ({reason})")
    finish = None if reason is None else Finish.LENGTH if reason == "length" else Finish.END
    return _Said(bool(choices), text or "", finish, tokens, (model,) if model and isinstance(model, str) else ())


def _completions_in(done: queue.SimpleQueue[Completion | BaseException]) -> Iterator[Completion]:
    while not done.empty():
        answer = done.get()
        if isinstance(answer, Completion):
            yield answer


class OpenAI(Closing):
    """A model behind a server; see `open_model`."""

    context_length: int | None = None

    def __init__(
        self,
        model: str,
        sampling: Sampling,
        server: _Server,
        concurrency: int,
        *,
        stream: bool,
        seeds: bool,
        extra: Mapping[str, Any],
    ) -> None:
        self._model = model
        self._sampling = sampling
        self._server = server
        self._concurrency = concurrency
        self._stream = stream
        self._seeds = seeds
        self._extra = extra
        self._warned_of: set[str] = set()

    @property
    def description(self) -> Mapping[str, Any]:
        """See `Backend`."""
        return {"model": self._model, "server": self._server.base_url}

    @property
    def served_as(self) -> tuple[str, ...]:
        """What the server calls the model in its answers, such as the version that a name stands for today."""
        return tuple(sorted(self._server.served_as))

    def prompt_tokens(self, request: Request) -> int | None:
        """See `Backend`: the server counts, and refuses what is too long."""
        return None

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """See `Backend`."""
        wanted = ((request, sample) for request in requests for sample in request.samples)
        waiting: queue.SimpleQueue[tuple[Request, int] | None] = queue.SimpleQueue()
        done: queue.SimpleQueue[Completion | BaseException] = queue.SimpleQueue()

        left = threading.Event()

        def work() -> None:
            while (item := waiting.get()) is not None and not left.is_set():
                try:
                    done.put(self._ask(*item))
                except BaseException as error:  # it is raised again where completions are waited for
                    done.put(error)

        running = threads = 0
        try:
            while True:
                while running < 2 * self._concurrency and (following := next(wanted, None)):
                    waiting.put(following)
                    running += 1
                    if threads < min(running, self._concurrency):
                        # Of the kind that does not keep a process alive: who leaves does not wait for a slow server.
                        threading.Thread(target=work, name=f"openai-{threads}", daemon=True).start()
                        threads += 1
                if not running:
                    return
                answer = done.get()
                running -= 1
                if isinstance(answer, BaseException):
                    yield from _completions_in(done)  # what is there is kept
                    raise answer
                yield answer
        finally:
            self._warn_of_another_model()
            left.set()
            for _ in range(threads):
                waiting.put(None)

    def _warn_of_another_model(self) -> None:
        # A version of the model that was asked for begins with its name: `gpt-4-0613`.
        others = {name for name in self.served_as if not name.startswith(self._model)} - self._warned_of
        if others:
            named = printable(", ".join(sorted(others)))
            logger.warning("%s answers as %s, asked for %s", self._server.base_url, named, self._model)
            self._warned_of |= others

    def close(self) -> None:
        """See `Backend`: what is still in flight is not tried again."""
        self._server.stopped.set()

    def _ask(self, request: Request, sample: int) -> Completion:
        path, body = self._body(request, sample)
        watch = Watch(request.is_complete)
        try:
            try:
                text, tokens, finish = self._server.post(path, body, watch)
            except _Refused as refusal:
                room = refusal.room
                if not 0 < room < body.get("max_tokens", 0) or "max_tokens" in self._extra:
                    raise
                # The prompt fits, the room for the answer does not: it gets what is left, as from other backends.
                text, tokens, finish = self._server.post(path, {**body, "max_tokens": room}, watch)
        except _Refused as refusal:
            if refusal.is_too_long:
                return Completion(request, sample, "", 0, Finish.PROMPT_TOO_LONG)
            advice = "; is the key in OPENAI_API_KEY right?" if refusal.status in (401, 403) else ""
            if request.prompt.prefill and refusal.status in (400, 422):
                advice = "; if the server cannot continue a message: --prompt chat-without-prefill"
            raise UserError(
                f"{self._server.base_url} refused {request.problem.task_id} of {request.task} "
                f"({refusal.status}: {refusal.message[:300]}){advice}"
            ) from None
        return Completion(request, sample, text, tokens, finish)

    def _body(self, request: Request, sample: int) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "model": self._model,
            # The server, not we, knows how long the prompt is: half of the length is room enough for an answer.
            "max_tokens": request.max_new_tokens or max(1, request.max_length // 2),
            "temperature": self._sampling.temperature,
        }
        if not self._sampling.is_greedy:
            body["top_p"] = self._sampling.top_p
        if self._seeds:
            body["seed"] = request.seed(sample, self._sampling.seed)
        if self._stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        body = {name: value for name, value in {**body, **self._extra}.items() if value is not None}
        if not request.prompt.is_chat:
            return "/completions", {**body, "prompt": request.prompt.text}
        body["messages"] = [dict(message) for message in request.prompt.messages]
        if request.prompt.prefill:  # how vLLM's server, and those that follow it, continue a message
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return "/chat/completions", body
