"""Top-p on a CPU keeps what sorting the whole vocabulary keeps."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vllm")

# Imports, not `importorskip`: where vLLM is there and has moved one of these, the tests fail instead of being skipped.
from vllm import SamplingParams  # noqa: E402
from vllm.config import VllmConfig  # noqa: E402
from vllm.v1.sample.logits_processor import BatchUpdate  # noqa: E402
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch  # noqa: E402

from octopack_tasks.generation.nucleus import Nucleus, keep_nucleus  # noqa: E402

VOCABULARY = 5000


def logits_of(temperature: float, sequences: int = 7) -> torch.Tensor:
    """Noise, the sharper the lower the temperature is."""
    return torch.randn(sequences, VOCABULARY, generator=torch.Generator().manual_seed(0)) / temperature


@pytest.mark.parametrize("top_p", [0.01, 0.5, 0.95, 0.999])
@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0, 100.0])
def test_the_same_tokens_stay_as_after_a_sort(temperature: float, top_p: float) -> None:
    logits = logits_of(temperature)
    before = logits.clone()
    kept = keep_nucleus(logits, top_p)
    assert torch.equal(logits, before)
    stays = kept > -torch.inf
    assert torch.equal(kept[stays], logits[stays])
    for row, mask in zip(logits.double(), stays, strict=True):
        probabilities = row.softmax(0)
        mass = probabilities[mask].sum()
        assert mass >= top_p - 1e-5
        assert mass - probabilities[mask].min() <= top_p + 1e-5  # without its last token it would be too little
        assert not mask.all()
        assert probabilities[mask].min() >= probabilities[~mask].max()
    theirs = apply_top_k_top_p_pytorch(logits.clone(), None, torch.full((len(logits),), top_p)) > -torch.inf
    # Sums of thousands of small numbers are rounded, in another order: by a token at the border.
    assert ((theirs ^ stays).sum(1) <= 1 + 0.001 * theirs.sum(1)).all()


def test_rows_of_different_widths_do_not_meet() -> None:
    logits = torch.cat([logits_of(0.02, 2), logits_of(1.0, 2), logits_of(0.02, 1), logits_of(100.0, 1)])
    together = keep_nucleus(logits, 0.9)
    for number, row in enumerate(logits):
        assert torch.equal(together[number], keep_nucleus(row[None], 0.9)[0])
    assert len({int((row > -torch.inf).sum()) for row in together}) >= 3


def test_one_token_stays_however_small_the_share() -> None:
    kept = keep_nucleus(logits_of(1.0), 1e-12)
    assert ((kept > -torch.inf).sum(1) == 1).all()
    assert torch.equal(kept.argmax(1), logits_of(1.0).argmax(1))


def test_a_vocabulary_smaller_than_the_candidates() -> None:
    logits = torch.tensor([[0.0, 1.0, -torch.inf]])
    assert keep_nucleus(logits, 0.99).tolist() == logits.tolist()
    assert keep_nucleus(logits, 0.5).tolist() == [[-torch.inf, 1.0, -torch.inf]]


def test_the_share_comes_with_the_requests() -> None:
    processor = Nucleus(VllmConfig(), torch.device("cpu"), False)
    logits = logits_of(1.0)
    processor.update_state(None)
    assert processor.apply(logits) is logits
    parameters = SamplingParams(temperature=0.2, extra_args={"top_p": 0.5})
    processor.update_state(BatchUpdate(1, removed=[], added=[(0, parameters, None, [])], moved=[]))
    processor.update_state(None)
    assert torch.equal(processor.apply(logits), keep_nucleus(logits, 0.5))
    assert processor.is_argmax_invariant()
