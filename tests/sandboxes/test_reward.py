"""The reward for reinforcement learning, alone and inside TRL's own trainer."""

from __future__ import annotations

import pytest

from sandboxes import SandboxError, SandboxUnavailable, Status, Verdict, open_sandbox
from sandboxes.errors import WorkerFault
from sandboxes.reward import TestsPass, code_of

RIGHT = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a - b\n"
TESTS = "def check(add):\n    assert add(1, 2) == 3\n\ncheck(add)\n"


@pytest.mark.parametrize(
    ("completion", "code"),
    [
        (RIGHT, RIGHT),
        (f"Here:\n```python\n{RIGHT}```\nDone.", RIGHT),
        (f"First:\n```python\n{WRONG}```\nNo, rather:\n```\n{RIGHT}```", RIGHT),
        ([{"role": "assistant", "content": f"```py\n{RIGHT}```"}], RIGHT),
        ("```python\nunfinished", "```python\nunfinished"),
    ],
)
def test_the_code_is_the_last_fenced_block(completion, code):
    assert code_of(completion) == code


def test_a_batch_is_judged_at_once_and_identical_completions_once(open_fake, backend):
    with open_fake() as sandbox:
        reward = TestsPass(sandbox)
        assert reward(["p"] * 3, ["good", "fail", "good"], tests=["t"] * 3) == [1.0, 0.0, 1.0]
    assert len(backend.judged) == 2


def test_cheating_does_not_pay(open_fake, backend):
    backend.behaviour = lambda program, worker: Verdict(
        Status.PASSED, suspicious=("always equal",) if "cheat" in program.source else ()
    )
    with open_fake() as sandbox:
        assert TestsPass(sandbox)(["p"] * 2, ["cheat", "honest"], tests=["t"] * 2) == [0.0, 1.0]


def test_a_fault_is_raised_and_never_a_zero(open_fake, backend):
    def behave(program, worker):
        if "cursed" in program.source:
            raise WorkerFault("killed")
        return

    backend.behaviour = behave
    with open_fake() as sandbox, pytest.raises(SandboxError):
        TestsPass(sandbox)(["p"], ["cursed"], tests=["t"])


def test_languages_may_differ_by_row(open_fake, backend):
    with open_fake() as sandbox:
        rewards = TestsPass(sandbox)(["p"] * 2, ["a", "b"], tests=["t"] * 2, language=["python", "rust"])
    assert rewards == [1.0, 1.0]


def test_a_missing_column_is_named(open_fake):
    with open_fake() as sandbox, pytest.raises(ValueError, match="no column 'tests'; it has answer"):
        TestsPass(sandbox)(["p"], ["a"], answer=["b"])


def test_trl_trains_on_it(tmp_path):
    """One step of the real trainer, on a model too small to learn, rewarded by a real sandbox."""
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    try:
        sandbox = open_sandbox("auto", ["python"], workers=1, cache=False)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    letters = {text: number for number, text in enumerate(["<pad>", "</s>", *map(chr, range(32, 127)), "\n"])}
    model = tokenizers.models.BPE(vocab=letters, merges=[], unk_token="<pad>")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(model), pad_token="<pad>", eos_token="</s>"
    )
    config = transformers.LlamaConfig(
        vocab_size=len(letters),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        pad_token_id=0,
        eos_token_id=1,
    )
    rows = datasets.Dataset.from_dict({"prompt": ["def add(a, b):"] * 2, "tests": [TESTS] * 2})
    seen = []

    class Recorded(TestsPass):
        def __call__(self, prompts, completions, **columns):
            seen.append(super().__call__(prompts, completions, **columns))
            return seen[-1]

    arguments = trl.GRPOConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=2,
        num_generations=2,
        max_completion_length=8,
        max_steps=1,
        report_to=[],
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        disable_tqdm=True,
    )
    with sandbox:
        trainer = trl.GRPOTrainer(
            model=transformers.LlamaForCausalLM(config),
            reward_funcs=[Recorded(sandbox)],
            args=arguments,
            train_dataset=rows,
            processing_class=tokenizer,
        )
        trainer.train()
    assert seen == [[0.0, 0.0]]
    assert any("rewards/tests_pass/mean" in entry for entry in trainer.state.log_history)


def test_a_right_completion_pays_in_a_real_sandbox():
    try:
        sandbox = open_sandbox("auto", ["python"], workers=1, cache=False)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    with sandbox:
        rewards = TestsPass(sandbox)(["p"] * 3, [RIGHT, WRONG, "no code"], tests=[TESTS] * 3)
    assert rewards == [1.0, 0.0, 0.0]
