"""Top-p for vLLM on a CPU: the same tokens stay, without the sort of the whole vocabulary.

The sort is half of a small model's step. The tokens that stay are the nucleus of Holtzman et al., "The Curious Case of
Neural Text Degeneration" (2020).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from vllm.v1.sample.logits_processor import LogitsProcessor

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.v1.sample.logits_processor import BatchUpdate

_CANDIDATES = 64
"""The most likely tokens looked at first. At the paper's temperature a nucleus is rarely wider than a few tokens."""
_WIDER = 16
"""Where a nucleus is wider than the candidates, so many times more are looked at."""


def keep_nucleus(logits: torch.Tensor, top_p: float, candidates: int = _CANDIDATES) -> torch.Tensor:
    """Keep the most likely tokens of each row whose probabilities sum to `top_p`, the last one whole; drop the others.

    Args:
        logits: Shape (sequences, vocabulary), after the temperature. Left as they are.
        top_p: Above 0 and at most 1.
        candidates: How many of the most likely tokens of a row are looked at first.

    Returns:
        The logits of the tokens that stay, minus infinity elsewhere; the shape of `logits`.
    """
    candidates = min(candidates, logits.shape[1])
    values, tokens = logits.topk(candidates, dim=1)
    probabilities = logits.softmax(dim=1).gather(1, tokens)
    stays = probabilities.cumsum(dim=1) - probabilities < top_p  # what is likelier does not suffice
    kept = torch.full_like(logits, -torch.inf).scatter_(1, tokens, values.masked_fill(~stays, -torch.inf))
    wider = stays[:, -1].nonzero().squeeze(1)
    if candidates < logits.shape[1] and len(wider):
        kept[wider] = keep_nucleus(logits[wider], top_p, candidates * _WIDER)
    return kept


class Nucleus(LogitsProcessor):
    """Applies the top-p that requests carry as `extra_args["top_p"]`, one for all requests of an engine."""

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        self._top_p = 1.0

    def is_argmax_invariant(self) -> bool:
        """The most likely token stays; and only such processors see logits after the temperature."""
        return True

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Learn the top-p from a request that comes."""
        for _, parameters, *_ in batch_update.added if batch_update else ():
            self._top_p = (parameters.extra_args or {}).get("top_p", 1.0)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """See `keep_nucleus`."""
        return logits if self._top_p == 1 else keep_nucleus(logits, self._top_p)
