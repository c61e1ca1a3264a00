"""Samples per second: ours against a plain transformers loop, from the same model, prompts and machine, in one run.

    python benchmarks/generation.py --model .cache/smollm2 --dataset starter

The baseline is what the reference harness does: one problem after the other, `num_return_sequences` as batch size, the
task's completeness check on every decoded sequence of the batch after every token, an end only when all are complete.
Ours is the vLLM backend: one queue, each sequence ends on its own. The third row is ours without ending early, so that
the table shows what the engine gives and what the early end gives. Samples and lengths are the same for all three;
every way is measured after it has generated something. The early end must not change a solution: as batches differ in
their rounding, two runs are not compared, but each whole completion is read once whole and once cut where ours ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octopack_tasks import get_task
from octopack_tasks.generation import Completion, Request, Sampling, Stop, Watch, open_backend
from octopack_tasks.plans import Plan, TaskPlan

TASKS = "humanevalfixtests-python,humanevalsynthesize-cpp,humanevalsynthesize-js"
BATCH = 5  # the paper's


@dataclass(frozen=True)
class Measured:
    """What one way took for one task."""

    samples: int
    tokens: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.samples / self.seconds:8.3f} samples/s {self.tokens / self.samples:7.0f} tokens/sample"


def requests_of(task: str, arguments: argparse.Namespace, n_samples: int, stop: Stop) -> list[Request]:
    """The same prompts for every way."""
    plan = TaskPlan(task, arguments.prompt, n_samples, arguments.max_length)
    (work,) = Plan((plan,), arguments.dataset, limit=arguments.problems).load()
    return [work.request(problem, range(n_samples), stop) for problem in work.problems]


def measure(backend: Any, requests: list[Request]) -> tuple[Measured, list[Completion]]:
    """Ours, on one task."""
    started = time.perf_counter()
    completions = list(backend.generate(requests))
    seconds = time.perf_counter() - started
    return Measured(len(completions), sum(each.tokens or 0 for each in completions), seconds), completions


class Loop:
    """The plain loop."""

    def __init__(self, model: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._torch = torch
        self._model: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(model)

    def measure(self, requests: list[Request], sampling: Sampling) -> Measured:
        """One prompt after the other, so many samples at once."""
        from transformers import StoppingCriteriaList

        samples = tokens = 0
        started = time.perf_counter()
        for request in requests:
            inputs = self._tokenizer(request.prompt.text, return_tensors="pt")
            start = inputs["input_ids"].shape[1]
            task, prompt_format = get_task(request.task), request.prompt.format

            def all_complete(
                ids: Any, scores: Any, start: int = start, task: Any = task, form: str = prompt_format, **_: Any
            ) -> Any:
                texts = self._tokenizer.batch_decode(ids[:, start:])
                done = all(task.is_complete(text, form) or "<|im_end|>" in text for text in texts)
                return self._torch.full((len(texts),), done)

            for _ in range(0, len(request.samples), BATCH):
                with self._torch.inference_mode():
                    grown = self._model.generate(
                        **inputs,
                        do_sample=True,
                        temperature=sampling.temperature,
                        top_p=sampling.top_p,
                        top_k=0,
                        max_length=request.max_length,
                        num_return_sequences=BATCH,
                        pad_token_id=self._tokenizer.eos_token_id,
                        stopping_criteria=StoppingCriteriaList([all_complete]),
                    )
                samples += BATCH
                tokens += BATCH * (grown.shape[1] - start)
        return Measured(samples, tokens, time.perf_counter() - started)


def ended_early(completion: Completion) -> str:
    """What ours would have kept of a whole completion, with tokens of three characters."""
    request, task = completion.request, get_task(completion.request.task)
    watch = Watch(lambda text: task.is_complete(text, request.prompt.format))
    for index in range(0, len(completion.text), 3):
        if watch.add(completion.text[index : index + 3]):
            break
    return watch.text


def has_other_solution(completion: Completion) -> bool:
    """Whether ending a whole completion early would change its solution."""
    request, task = completion.request, get_task(completion.request.task)
    whole, cut = (
        task.solution(request.problem, text, request.prompt.format)
        for text in (completion.text, ended_early(completion))
    )
    return whole != cut


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--dataset", default="starter")
    parser.add_argument("--prompt", default="instruct")
    parser.add_argument("--problems", type=int, default=40, help="problems of each task for ours")
    parser.add_argument("--baseline-problems", type=int, default=3, help="the slow loop does so many of them; 0: none")
    parser.add_argument("--n-samples", type=int, default=5)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--model-args", type=json.loads, default={}, help="options of vLLM, as JSON")
    parser.add_argument("--out", type=Path, help="write the numbers there as JSON, too")
    arguments = parser.parse_args()
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "6")  # GiB, enough for all that run at once
    sampling = Sampling()
    rows: dict[str, dict[str, Any]] = {}
    tasks = arguments.tasks.split(",")
    ways: dict[str, dict[str, Measured]] = {task: {} for task in tasks}
    with open_backend("vllm", arguments.model, sampling=sampling, options=arguments.model_args) as backend:
        list(backend.generate(requests_of(tasks[0], arguments, 1, Stop.PAPER)[:2]))
        for task in tasks:
            early, _ = measure(backend, requests_of(task, arguments, arguments.n_samples, Stop.PAPER))
            print(f"{task}: ours                   {early}", flush=True)
            whole, completions = measure(backend, requests_of(task, arguments, arguments.n_samples, Stop.NEVER))
            print(f"{task}: ours, no early end     {whole}", flush=True)
            changed = sum(map(has_other_solution, completions))
            print(f"{task}: solutions changed by ending early: {changed} of {len(completions)}", flush=True)
            ways[task] = {"ours": early, "ours without early end": whole}
            rows[task] = {"changed": changed}
    if arguments.baseline_problems:
        loop = Loop(arguments.model)
        loop.measure(requests_of(tasks[0], arguments, BATCH, Stop.PAPER)[:1], sampling)
        for task in tasks:
            requests = requests_of(task, arguments, arguments.n_samples, Stop.PAPER)
            requests = requests[:: max(1, len(requests) // arguments.baseline_problems)][: arguments.baseline_problems]
            ways[task]["plain loop"] = loop.measure(requests, sampling)
            print(f"{task}: plain loop, batch {BATCH}    {ways[task]['plain loop']}", flush=True)
    for task, measured in ways.items():
        ours, whole = measured["ours"], measured["ours without early end"]
        rows[task]["fewer_tokens"] = (whole.tokens / whole.samples) / (ours.tokens / ours.samples)
        print(f"{task}: {rows[task]['fewer_tokens']:.2f} times fewer tokens", flush=True)
        if base := measured.get("plain loop"):
            rows[task]["speedup"] = (ours.samples / ours.seconds) / (base.samples / base.seconds)
            print(f"{task}: {rows[task]['speedup']:.1f} times the samples per second of the plain loop")
        rows[task] |= {name: vars(value) for name, value in measured.items()}
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
