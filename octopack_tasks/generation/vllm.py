"""The vLLM backend: the offline engine, which ends each sequence as soon as its answer is complete."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from octopack_tasks.errors import UserError
from octopack_tasks.generation.backends import Closing
from octopack_tasks.generation.fingerprint import fingerprint
from octopack_tasks.generation.protocol import Backend, Completion, Finish, Request, Sampling
from octopack_tasks.generation.stopping import Watch
from octopack_tasks.generation.tokens import prompt_token_ids

if TYPE_CHECKING:
    from vllm import RequestOutput

_AHEAD = 4
"""Sequences kept in the engine's queue, as a multiple of those that run at once: it never waits for us."""

_NUCLEUS = "octopack_tasks.generation.nucleus:Nucleus"

_ON_CPU = {
    "enforce_eager": True,  # compiling takes longer than most evaluations do
    "enable_chunked_prefill": False,  # vLLM 0.32 cannot rewind a CPU's random generator after a part of a prompt
}


def open_model(model: str, sampling: Sampling, revision: str | None = None, **engine_args: Any) -> Backend:
    """Load a model.

    Args:
        model: Name on the hub or folder.
        sampling: How completions are drawn.
        revision: Revision on the hub.
        engine_args: What `vllm.EngineArgs` takes, such as `dtype`, `tensor_parallel_size` or `max_model_len`.

    Raises:
        UserError: vLLM is not installed, or cannot load the model.
    """
    return Vllm(model, sampling, revision, engine_args)


@dataclass
class _Sequence:
    request: Request
    sample: int
    watch: Watch
    tokens: int = 0


class Vllm(Closing):
    """A model in vLLM's engine.

    The samples of a problem are sequences of their own with one prompt, whose computation they share through the
    prefix cache (as vLLM's own `n` does), so that each has its own seed and its own end.
    """

    def __init__(self, model: str, sampling: Sampling, revision: str | None, engine_args: Mapping[str, Any]) -> None:
        self._sampling = sampling
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")  # its notes would bury our progress
        # A core in a process of its own outlives a killed run, and keeps the accelerator's memory from the next.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        try:
            from vllm import EngineArgs, LLMEngine
            from vllm.platforms import current_platform
        except ImportError as error:
            raise UserError(
                f"the backend vllm needs vLLM ({error}): pip install 'octopack[vllm]', or use --backend transformers"
            ) from error
        is_cpu = current_platform.is_cpu()
        defaults = _ON_CPU if is_cpu else {}
        arguments = {"enable_prefix_caching": True, "disable_log_stats": True, **defaults, **engine_args}
        # An accelerator has kernels for top-p. vLLM takes no processors of logits beside speculative decoding.
        self._nucleus = is_cpu and sampling.top_p < 1 and not sampling.top_k and "speculative_config" not in arguments
        if self._nucleus:
            arguments["logits_processors"] = [*(arguments.get("logits_processors") or ()), _NUCLEUS]
        try:
            configured = EngineArgs(model=model, revision=revision, seed=sampling.seed, **arguments)
        except TypeError as error:
            raise UserError(f"--model-args: {error}; it takes the fields of vllm.EngineArgs") from None
        try:
            self._engine = LLMEngine.from_engine_args(configured)
        except Exception as error:  # whatever its configuration, the hub, or its workers raise
            reason = " ".join(str(error).split())[:500] or type(error).__name__
            raise UserError(f"vLLM could not load {model!r}: {reason}") from error
        config = self._engine.model_config
        self.context_length: int | None = config.max_model_len
        self._tokenizer = self._engine.get_tokenizer()
        self._at_once = self._engine.vllm_config.scheduler_config.max_num_seqs
        self._description = {
            "model": model,
            "revision": revision,
            "fingerprint": fingerprint(model, config.hf_config),
            "dtype": str(config.dtype),
            "context_length": config.max_model_len,
        }

    @property
    def description(self) -> Mapping[str, Any]:
        """See `Backend`."""
        return self._description

    def prompt_tokens(self, request: Request) -> int | None:
        """See `Backend`."""
        return len(prompt_token_ids(self._tokenizer, request.prompt))

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """See `Backend`."""
        waiting = ((request, sample) for request in requests for sample in request.samples)
        running: dict[str, _Sequence] = {}
        count = 0
        prompt: tuple[Request, list[int]] | None = None
        try:
            while True:
                while len(running) < _AHEAD * self._at_once and (following := next(waiting, None)):
                    request, sample = following
                    if prompt is None or prompt[0] is not request:
                        prompt = request, prompt_token_ids(self._tokenizer, request.prompt)
                    name = str(count)
                    count += 1
                    self._add(name, request, sample, prompt[1])
                    running[name] = _Sequence(request, sample, Watch(request.is_complete))
                if not running:
                    return
                yield from self._step(running)
        finally:
            with contextlib.suppress(Exception):  # an engine that died has nothing left to end
                self._engine.abort_request(list(running))

    def _add(self, name: str, request: Request, sample: int, prompt: list[int]) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        drawn = self._sampling
        parameters = SamplingParams(
            temperature=drawn.temperature,
            top_p=1.0 if drawn.is_greedy or self._nucleus else drawn.top_p,
            extra_args={"top_p": drawn.top_p} if self._nucleus else None,
            top_k=0 if drawn.is_greedy else drawn.top_k,
            seed=None if drawn.is_greedy else request.seed(sample, drawn.seed),
            max_tokens=request.room(len(prompt), self.context_length),
            # Some prompt formats end with a special token, which has to be seen.
            skip_special_tokens=False,
            output_kind=RequestOutputKind.DELTA,
        )
        self._engine.add_request(name, {"prompt_token_ids": prompt}, parameters)

    def _step(self, running: dict[str, _Sequence]) -> Iterator[Completion]:
        """Let every running sequence grow by one token; yield those that have ended."""
        try:
            outputs = self._engine.step()
        except Exception as error:
            reason = " ".join(str(error).split())[:500] or type(error).__name__
            raise UserError(f"vLLM broke down: {reason}. What was generated is kept: run the command again") from error
        complete = []
        for output in cast("list[RequestOutput]", outputs):
            sequence = running.get(output.request_id)
            if sequence is None:  # it was ended a moment ago
                continue
            grown = output.outputs[0]
            sequence.tokens += len(grown.token_ids)
            is_complete = sequence.watch.add(grown.text)
            if not (is_complete or output.finished):
                continue
            if is_complete and not output.finished:
                complete.append(output.request_id)
            del running[output.request_id]
            if is_complete:
                finish = Finish.COMPLETE
            else:
                finish = Finish.LENGTH if grown.finish_reason == "length" else Finish.END
            yield Completion(sequence.request, sequence.sample, sequence.watch.text, sequence.tokens, finish)
        if complete:
            self._engine.abort_request(complete)

    def close(self) -> None:
        """See `Backend`."""
        self._engine.engine_core.shutdown()
