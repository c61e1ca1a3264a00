"""The transformers backend: any causal or encoder-decoder model, on one device or spread over several."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.generation.backends import Closing, require
from octopack_tasks.generation.fingerprint import fingerprint
from octopack_tasks.generation.protocol import Backend, Completion, Finish, Request, Sampling
from octopack_tasks.generation.stopping import Watch
from octopack_tasks.generation.tokens import prompt_token_ids


def open_model(
    model: str,
    sampling: Sampling,
    revision: str | None = None,
    batch_size: int = 8,
    dtype: str = "auto",
    device_map: str | None = None,
    trust_remote_code: bool = False,
    **model_kwargs: Any,
) -> Backend:
    """Load a model.

    Args:
        model: Name on the hub or folder.
        sampling: How completions are drawn.
        revision: Revision on the hub.
        batch_size: Sequences generated together.
        dtype: Precision, such as `bfloat16`; `auto` is that of the weights.
        device_map: How accelerate spreads the model, such as `auto`; None: `auto` where there are several devices,
            else the one there is.
        trust_remote_code: Whether to run code from the model's repository.
        model_kwargs: Passed on to `from_pretrained`.

    Raises:
        UserError: transformers is not installed, or cannot load the model.
    """
    require("batch_size", batch_size, "a whole number above 0", isinstance(batch_size, int) and batch_size > 0)
    load = {"revision": revision, "trust_remote_code": trust_remote_code}
    return Transformers(model, sampling, batch_size, load, {"dtype": dtype, "device_map": device_map, **model_kwargs})


class Transformers(Closing):
    """A model of the transformers library.

    Every sequence is drawn with a random generator of its own, so that it does not depend on the others in its batch,
    and ends on its own; a batch ends with its last sequence.
    """

    def __init__(
        self,
        model: str,
        sampling: Sampling,
        batch_size: int,
        load: Mapping[str, Any],
        model_kwargs: Mapping[str, Any],
    ) -> None:
        self._sampling = sampling
        self._batch_size = batch_size
        try:
            import torch
            from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
        except ImportError as error:
            raise UserError(
                f"the backend transformers needs its library ({error}): pip install 'octopack[hf]'"
            ) from None
        arguments = dict(model_kwargs)
        if torch.cuda.device_count() > 1 and arguments["device_map"] is None:
            arguments["device_map"] = "auto"
        try:
            config = AutoConfig.from_pretrained(model, **load)
            self._has_encoder = bool(config.is_encoder_decoder)
            loader: Any = AutoModelForSeq2SeqLM if self._has_encoder else AutoModelForCausalLM
            self._model: Any = loader.from_pretrained(model, **load, **arguments)
            # Left, so that all completions of a batch begin at the same place.
            self._tokenizer: Any = AutoTokenizer.from_pretrained(model, **load, padding_side="left")
        except (OSError, ValueError, ImportError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:500]
            raise UserError(f"transformers could not load {model!r}: {reason}") from error
        if arguments["device_map"] is None and torch.cuda.is_available():
            self._model.to("cuda")
        self._model.eval()
        self._ends = _end_tokens(self._model, self._tokenizer)
        self.context_length: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
        self._description = {
            "model": model,
            "revision": load["revision"],
            "fingerprint": fingerprint(model, config),
            "dtype": str(self._model.dtype),
            "architecture": "encoder-decoder" if self._has_encoder else "decoder",
            "context_length": self.context_length,
            "batch_size": batch_size,
        }

    @property
    def description(self) -> Mapping[str, Any]:
        """See `Backend`."""
        return self._description

    def prompt_tokens(self, request: Request) -> int | None:
        """See `Backend`."""
        return len(self._prompt(request))

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """See `Backend`."""
        # Prompts of similar length share a batch, so that little of it is padding.
        ordered = sorted(requests, key=lambda request: len(request.prompt.text))
        sequences = ((request, sample) for request in ordered for sample in request.samples)
        while batch := list(itertools.islice(sequences, self._batch_size)):
            yield from self._generate(batch)

    def _prompt(self, request: Request) -> list[int]:
        """What the decoder starts with."""
        if self._has_encoder and request.encoder_text is None:
            raise UserError(
                f"{request.task} with the prompt format {request.prompt.format!r} has no encoder prompt; "
                "encoder-decoder models need --prompt instructcodet5p, and cannot be asked the fix tasks"
            )
        ids = prompt_token_ids(self._tokenizer, request.prompt)
        if self._has_encoder:
            ids = [self._padding, *ids]
        return ids

    @property
    def _padding(self) -> int:
        # The reference pads, and starts a decoder, with the end token.
        end = self._tokenizer.eos_token_id
        return int(end if end is not None else self._tokenizer.pad_token_id or 0)

    def _generate(self, batch: Sequence[tuple[Request, int]]) -> list[Completion]:
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        prompts = [self._prompt(request) for request, _ in batch]
        rooms = [
            request.room(len(prompt), self.context_length) for (request, _), prompt in zip(batch, prompts, strict=True)
        ]
        ends = _Ends(self._tokenizer, self._ends, prompts, rooms, [request.is_complete for request, _ in batch])
        inputs = self._padded(prompts)
        if self._has_encoder:
            texts = [request.encoder_text or "" for request, _ in batch]
            encoded = self._padded([list(self._tokenizer(text)["input_ids"]) for text in texts])
            inputs = {
                **encoded,
                "decoder_input_ids": inputs["input_ids"],
                "decoder_attention_mask": inputs["attention_mask"],
            }
        processors = LogitsProcessorList()
        if not self._sampling.is_greedy:
            processors.append(_Draw(self._sampling, [request.seed(n, self._sampling.seed) for request, n in batch]))
        with torch.inference_mode():
            self._model.generate(
                **inputs,
                generation_config=self._generation_config(max(rooms)),
                logits_processor=processors,
                stopping_criteria=StoppingCriteriaList([ends]),
            )
        return [
            Completion(request, sample, text, tokens, finish)
            for (request, sample), (text, tokens, finish) in zip(batch, ends.completions(), strict=True)
        ]

    def _generation_config(self, most_tokens: int) -> Any:
        from transformers import GenerationConfig

        # Of the model's own configuration nothing is taken: its repetition penalties and defaults are not the
        # benchmark's. Greedy, as `_Draw` has drawn; without an end token, as `_Ends` ends sequences.
        configuration: Any = GenerationConfig
        return configuration(
            max_new_tokens=most_tokens,
            do_sample=False,
            pad_token_id=self._padding,
            decoder_start_token_id=self._padding if self._has_encoder else None,
        )

    def _padded(self, rows: Sequence[Sequence[int]]) -> dict[str, Any]:
        import torch

        width = max(map(len, rows))
        ids = [[self._padding] * (width - len(row)) + list(row) for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        device = self._model.device
        return {"input_ids": torch.tensor(ids, device=device), "attention_mask": torch.tensor(mask, device=device)}

    def close(self) -> None:
        """See `Backend`."""
        self._model = None


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens with which the model ends its answer."""
    configured = model.generation_config.eos_token_id
    configured = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in (*configured, tokenizer.eos_token_id) if token is not None)


class _Draw:
    """Draws each sequence's next token with a generator of its own, and leaves that token alone to be taken."""

    def __init__(self, sampling: Sampling, seeds: Sequence[int]) -> None:
        import torch

        self._sampling = sampling
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        logits = scores.float() / self._sampling.temperature
        if self._sampling.top_k:
            lowest = logits.topk(min(self._sampling.top_k, logits.shape[-1])).values[:, -1:]
            logits = logits.masked_fill(logits < lowest, -torch.inf)
        probabilities, tokens = logits.softmax(-1).sort(descending=True, stable=True)
        below = probabilities.cumsum(-1)
        if self._sampling.top_p < 1:
            # A token is kept while those before it do not reach top_p: the first one always is.
            probabilities = probabilities.masked_fill(below - probabilities >= self._sampling.top_p, 0.0)
            below = probabilities.cumsum(-1)
        points = torch.stack([torch.rand((), generator=each) for each in self._generators]).to(below.device)
        ranks = (below <= (points * below[:, -1])[:, None]).sum(-1, keepdim=True)
        ranks = ranks.clamp(max=probabilities.shape[-1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(-1, tokens.gather(-1, ranks), 0.0)


class _Ends:
    """Ends each sequence of a batch at its end token, its length limit, or as soon as its answer is complete."""

    def __init__(
        self,
        tokenizer: Any,
        ends: frozenset[int],
        prompts: Sequence[Sequence[int]],
        rooms: Sequence[int],
        checks: Sequence[Any],
    ) -> None:
        self._tokenizer = tokenizer
        self._ends = ends
        self._start = max(map(len, prompts))
        self._rooms = rooms
        self._written: list[list[int]] = [[] for _ in prompts]
        self._watches = [Watch(check) for check in checks]
        # The prompt's last tokens come along: some tokenizers write the first token of a text in another way.
        self._heads = [list(prompt[-8:]) for prompt in prompts]
        self._skip = [len(self._decode(head)) for head in self._heads]
        self._finish: list[Finish | None] = [None for _ in prompts]

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        for index, token in enumerate(input_ids[:, -1].tolist()):
            if self._finish[index] is None:
                self._grow(index, token)
        return torch.tensor([finish is not None for finish in self._finish], device=input_ids.device)

    def _grow(self, index: int, token: int) -> None:
        if token in self._ends:
            self._finish[index] = Finish.END
            return
        self._written[index].append(token)
        text = self._text(index)
        if text.endswith("\ufffd"):
            text = text.rstrip("\ufffd")  # the bytes of a character that are still to come
        watch = self._watches[index]
        if watch.add(text[len(watch.text) :]):
            self._finish[index] = Finish.COMPLETE
        elif len(self._written[index]) >= self._rooms[index]:
            self._finish[index] = Finish.LENGTH

    def completions(self) -> Iterator[tuple[str, int, Finish]]:
        """Text, tokens and end of each sequence."""
        for index, finish in enumerate(self._finish):
            text = self._watches[index].text if finish is Finish.COMPLETE else self._text(index)
            yield text, len(self._written[index]), finish or Finish.LENGTH

    def _text(self, index: int) -> str:
        return self._decode(self._heads[index] + self._written[index])[self._skip[index] :]

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))
