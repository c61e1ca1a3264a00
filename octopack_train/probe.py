"""A quick look at what a model has learnt: held-out bug fixes, greedy answers, tests in a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from octopack_train import synthetic
from octopack_train.errors import TrainingError
from octopack_train.formats import Format, Layout, Role
from octopack_train.model import load_tokenizer
from octopack_train.recipe import ModelSection
from octopack_train.run_folder import RunFolder

_NEW_TOKENS = 128
"""More than any answer needs: the longest fixed function has about 90 tokens."""


@dataclass(frozen=True)
class Probe:
    """Result of a probe.

    Attributes:
        problems: fixes that were asked for.
        passed: answers that passed the tests.
        exact: answers that equal the commit.
    """

    problems: int
    passed: int
    exact: int


def probe(
    model: str,
    *,
    problems: int = 60,
    batch: int = 20,
    sandbox: str | None = None,
    report: Callable[[str], None] = print,
) -> Probe:
    """Ask a model or adapter to fix functions that never occur in `synthetic-fixes` training data.

    An answer is the code in its last fenced block, or all of it.

    Args:
        model: folder or hub name of a model, or folder of an adapter or of a training run.
        problems: how many.
        batch: prompts at a time.
        sandbox: backend of `sandboxes`.
        report: receives progress lines.

    Raises:
        TrainingError: no such model, or no sandbox can be had.
    """
    from sandboxes import Program, SandboxUnavailable, open_sandbox
    from sandboxes.reward import code_of

    commits = synthetic.fix_commits(problems, seed=1, held_out=True)
    try:
        judge = open_sandbox(sandbox, languages=["python"])  # type: ignore[arg-type]
    except (SandboxUnavailable, ValueError) as error:
        raise TrainingError(f"The probe needs a sandbox that runs the answers: {error}") from error
    with judge:
        layout = Layout(Format.QUESTION_ANSWER, {Role.PROMPT: "prompt", Role.COMPLETION: "completion"})
        prompts = [layout.example(commit.row()).on_token_boundary().prompt for commit in commits]
        answers = [code_of(answer).strip() for answer in _greedy(_weights(model), prompts, batch, report)]
        programs = [
            Program("python", f"{answer}\n\n{commit.test}") for answer, commit in zip(answers, commits, strict=True)
        ]
        verdicts = judge.run(programs)
    exact = sum(answer == commit.new_contents.strip() for answer, commit in zip(answers, commits, strict=True))
    return Probe(len(commits), sum(verdict.passed for verdict in verdicts), exact)


def _greedy(name: str, prompts: Sequence[str], batch: int, report: Callable[[str], None]) -> list[str]:
    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    from octopack_train.faults import downloads

    tokenizer = load_tokenizer(ModelSection(name))
    tokenizer.padding_side = "left"
    with downloads(f"the model {name}"):
        loader = AutoPeftModelForCausalLM if _is_adapter(name) else AutoModelForCausalLM
        model = loader.from_pretrained(name, dtype=torch.bfloat16).eval()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    answers: list[str] = []
    for start in range(0, len(prompts), batch):
        inputs = tokenizer(list(prompts[start : start + batch]), return_tensors="pt", padding=True).to(device)
        with torch.no_grad():
            tokens = model.generate(
                **inputs, max_new_tokens=_NEW_TOKENS, do_sample=False, pad_token_id=tokenizer.pad_token_id
            )
        answers += tokenizer.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        report(f"{len(answers)} of {len(prompts)} answers")
    return answers


def _weights(name: str) -> str:
    """Return where the weights of a run folder lie; other names stay as they are."""
    run = RunFolder(Path(name))
    return str(run.final) if run.recipe_file.is_file() else name


def _is_adapter(name: str) -> bool:
    return (Path(name) / "adapter_config.json").is_file()
