"""Training on CPUs: what the trainer's GPU kernels save, in plain PyTorch.

On a GPU, attention kernels skip other documents and TRL's fused loss never holds all logits. On a CPU both fall back to
the whole square of positions and to float32 products over the whole vocabulary for every token: more than half of the
time of a small model. Here attention runs document by document, and only tokens with loss meet the vocabulary.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from octopack_train.packing import IGNORED

if TYPE_CHECKING:
    import torch

DOCUMENT_ATTENTION = "octopack_documents"
"""Name under which `document_attention` is known to transformers."""


def register_document_attention() -> str:
    """Make `document_attention` known to transformers and return its name."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(DOCUMENT_ATTENTION, document_attention)
    AttentionMaskInterface.register(DOCUMENT_ATTENTION, sdpa_mask)  # for batches without document boundaries
    return DOCUMENT_ATTENTION


def document_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    cu_seq_lens_q: torch.Tensor | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each document of one packed row.

    Args:
        module: the attention layer.
        query: shape (1, heads, tokens, units).
        key: shape (1, key heads, tokens, units).
        value: the same.
        attention_mask: read only where there are no boundaries.
        cu_seq_lens_q: document boundaries, beginning with 0 and ending with the number of tokens (TRL's collator).
        options: scaling, dropout and what else transformers passes.
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if cu_seq_lens_q is None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return output, None
    # PyTorch's backward pass through short attention takes a third of the time in float32.
    wide = [states.float() for states in (query, key, value)]
    parts = []
    for start, end in pairwise(cu_seq_lens_q.tolist()):
        queries, keys, values = (states[:, :, start:end] for states in wide)
        parts.append(sdpa_attention_forward(module, queries, keys, values, None, **options)[0])
    return torch.cat(parts, dim=1).to(query.dtype), None


def learnt_tokens_loss(
    model: torch.nn.Module, inputs: dict[str, Any], count: torch.Tensor | int | None
) -> torch.Tensor:
    """Return the mean cross entropy of the next tokens, with logits only where a row of the batch has loss.

    Args:
        model: a causal language model of transformers.
        inputs: a batch with `labels`.
        count: tokens to divide by (those of a whole optimiser step); None: those of this batch.
    """
    import torch

    targets = inputs["labels"][:, 1:]
    columns = (targets != IGNORED).any(dim=0).nonzero().squeeze(1)
    others = {name: value for name, value in inputs.items() if name != "labels"}
    logits = model(**others, use_cache=False, logits_to_keep=columns).logits
    kept = targets[:, columns]
    total = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), kept.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    number = (kept != IGNORED).sum() if count is None else torch.as_tensor(count)
    return total / number.clamp(min=1)


def cpu_trainer() -> type[Any]:
    """Return TRL's SFTTrainer with `learnt_tokens_loss`."""
    from trl.trainer.sft_trainer import SFTTrainer

    class CpuSFTTrainer(SFTTrainer):
        """SFTTrainer with a loss that suits CPUs."""

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Return the loss; the trainer divides by the learnt tokens of all devices and averages over devices."""
            loss = learnt_tokens_loss(model, inputs, num_items_in_batch)
            if self.args.average_tokens_across_devices and num_items_in_batch is not None:
                loss = loss * self.accelerator.num_processes
            return (loss, None) if return_outputs else loss

    return CpuSFTTrainer
