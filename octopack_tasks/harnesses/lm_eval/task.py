"""What lm-eval asks of a task, answered by the library: documents, requests, a scoring filter, numbers."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.filter import Filter, FilterEnsemble
from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask

from octopack_tasks.descriptions import Missing
from octopack_tasks.harnesses.lm_eval.formats import choose_format
from octopack_tasks.harnesses.lm_eval.sandbox import ensure_works, open_for
from octopack_tasks.harnesses.lm_eval.settings import Settings
from octopack_tasks.metrics import pass_at_k
from octopack_tasks.problems import Problem, dataset_name
from octopack_tasks.prompts import DEFAULT_FORMAT
from octopack_tasks.readings import PAPER, Attempt, Reading
from octopack_tasks.tasks import get_task
from sandboxes import Verdict

logger = logging.getLogger("lm_eval.octopack")


class HumanEvalPackTask(ConfigurableTask):  # type: ignore[misc]  # lm-eval has no types
    """One of the tasks. Its options are `lm_eval --metadata` (see `Settings`)."""

    VERSION = 1

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        config = dict(config or {})
        config.pop("class", None)
        self._task = get_task(config["task"])
        self._settings = Settings.from_metadata(config.get("metadata") or {})
        self._format = self._settings.prompt or DEFAULT_FORMAT
        self._task.check_format(self._format)
        self._problems = self._task.problems(self._settings.dataset, self._settings.descriptions, missing=Missing.KEEP)
        self._record: dict[str, Any] = {}
        generation = dict(config.get("generation_kwargs") or {})
        generation.setdefault("until", self._stop_words())
        self._default_until = generation["until"]
        config.update(
            dataset_path=dataset_name(self._settings.dataset),
            test_split="test",
            generation_kwargs=generation,
            repeats=self._settings.n_samples,
            num_fewshot=0,
            target_delimiter="",
            metric_list=[{"metric": "bypass", "aggregation": "bypass", "higher_is_better": True}],
        )
        super().__init__(config=config)
        if self._task.is_executed:
            names = [f"pass@{k}" for k in self._settings.ks]
            self._metric_fn_list = dict.fromkeys(names)
            self._metric_fn_kwargs: dict[str, dict[str, Any]] = {name: {} for name in names}
            self._aggregation_list = dict.fromkeys(names, mean)
            self._higher_is_better = dict.fromkeys(names, True)
            self.config.metric_list = [{"metric": name, "aggregation": "mean"} for name in names]
        self._filters = [
            FilterEnsemble(name=reading.name, filters=[partial(_Score, self, reading)])
            for reading in self._settings.readings
        ]

    # --- documents ----------------------------------------------------------------------------------------------------

    def download(self, *_: Any, **__: Any) -> None:
        """Make the documents from our problems; lm-eval's own loading is not needed."""
        rows = [{"index": index, **problem.to_row()} for index, problem in enumerate(self._problems)]
        self.dataset = {"test": datasets.Dataset.from_list(rows)}

    def _problem(self, doc: dict[str, Any]) -> Problem:
        index: int = doc["index"]
        return self._problems[index]

    def doc_to_text(self, doc: dict[str, Any], doc_to_text: Any = None) -> str:
        """The prompt; with a chat template the user's turn."""
        return self._task.prompt(self._problem(doc), self._format).text

    def doc_to_prefix(self, doc: dict[str, Any]) -> str | None:
        """How the assistant's turn begins, where a chat template is applied."""
        return self._task.prompt(self._problem(doc), self._format).prefill or None

    def doc_to_target(self, doc: dict[str, Any], doc_to_target: Any = None) -> str:
        """The canonical solution; it is only logged."""
        return self._problem(doc).canonical_solution

    # --- requests -----------------------------------------------------------------------------------------------------

    def build_all_requests(self, *, apply_chat_template: bool = False, **arguments: Any) -> None:
        """Build the requests, once the format is settled and the sandbox has been seen to work."""
        self._format = choose_format(self._settings.prompt, chat_template=apply_chat_template, task=self._task)
        generation = self.config.generation_kwargs
        if generation.get("until") == self._default_until:
            generation["until"] = self._stop_words()
        self._warn_of_identical_samples(generation)
        if self._is_scored:
            ensure_works(self._settings, (self._task.language.name,))
        super().build_all_requests(apply_chat_template=apply_chat_template, **arguments)

    def _stop_words(self) -> list[str]:
        """What ends a completion: where a reading needs it whole, nothing that may stand in a solution."""
        is_whole = any(reading.needs_whole_completions for reading in self._settings.readings)
        return list(self._task.stop_words(self._format, whole=is_whole))

    @property
    def _is_scored(self) -> bool:
        """Whether programs are run: not for descriptions, nor under --predict_only."""
        return self._task.is_executed and "bypass" not in self._metric_fn_list

    def _warn_of_identical_samples(self, generation: dict[str, Any]) -> None:
        n = self._settings.n_samples
        if n > 1 and not generation.get("do_sample", False):
            logger.warning("n_samples=%d without do_sample: all samples of a problem will be the same", n)
        elif n > 1 and "seed" in generation:
            logger.warning("n_samples=%d with a fixed seed: all samples of a problem may be the same; drop `seed`", n)

    # --- scores -------------------------------------------------------------------------------------------------------

    def read(
        self, responses: Sequence[Sequence[str]], docs: Sequence[dict[str, Any]], reading: Reading = PAPER
    ) -> list[list[str]]:
        """Read all completions of the task and judge them together.

        Args:
            responses: For each document its completions.
            docs: The documents.
            reading: How they are read.

        Returns:
            For each document a JSON string for each completion: `solution`, and where programs are run `has_answer`
            (False tells a failure of extraction from wrong code), `program`, `verdict`, `passed`, `reference_passed`,
            `suspicious`, `detail` and `stderr`.
        """
        problems = [self._problem(doc) for doc in docs]
        self._describe_run()
        if self._settings.n_samples > 1 and len(docs) > 1 and all(len(set(texts)) == 1 for texts in responses):
            logger.warning("%s: the samples of each problem are all the same (--use_cache?)", self._task.name)
        attempts = [
            [reading.attempt(self._task, problem, text, self._format) for text in texts]
            for problem, texts in zip(problems, responses, strict=True)
        ]
        if not self._is_scored:
            return [[json.dumps({"solution": attempt.solution}) for attempt in group] for group in attempts]
        programs = [
            reading.programs(self._task, problem, [attempt.solution for attempt in group])
            for problem, group in zip(problems, attempts, strict=True)
        ]
        no_answer = sum(not attempt.has_answer for group in attempts for attempt in group)
        self._record.setdefault("no_answer", {})[reading.name] = no_answer
        self._record.setdefault("changed_tests", {})[reading.name] = reading.changed_tests(self._task, problems)
        try:
            with open_for(self._settings, (self._task.language.name,)) as sandbox:
                verdicts = iter(sandbox.run([program for group in programs for program in group]))
                self._record["sandbox"] = sandbox.environment.to_json()
        except Exception as error:
            file = self._save_completions(problems, responses)
            mend = f"octopack score {file} --dataset {self._problems.dataset}"
            error.args = (f"{error} (nothing is lost, the completions are kept: {mend})", *error.args[1:])
            raise
        return [
            [_sample(attempt, program.source, next(verdicts)) for attempt, program in zip(*group, strict=True)]
            for group in zip(attempts, programs, strict=True)
        ]

    def _describe_run(self) -> None:
        self._record.update(
            octopack_version=version("octopack"),
            lm_eval_version=version("lm_eval"),
            reading=[reading.name for reading in self._settings.readings],
            prompt=self._format,
            n_samples=self._settings.n_samples,
            dataset=self._problems.dataset,
            dataset_sha256=self._problems.sha256,
            dataset_rows=len(self._problems),
        )

    def _save_completions(self, problems: Sequence[Problem], responses: Sequence[Sequence[str]]) -> Path:
        file = Path(f"unscored_{self._task.name}_{time.strftime('%Y-%m-%dT%H-%M-%S')}.jsonl").absolute()
        with file.open("w", encoding="utf-8") as sink:
            for problem, texts in zip(problems, responses, strict=True):
                for text in texts:
                    sample = {
                        "task": self._task.name,
                        "prompt_format": self._format,
                        "task_id": problem.task_id,
                        "completion": text,
                    }
                    sink.write(json.dumps(sample) + "\n")
        return file

    def process_results(self, doc: dict[str, Any], results: Sequence[Sequence[str]]) -> dict[str, float]:
        """The numbers of one document, from what `read` said of its samples."""
        if not self._is_scored:
            return {"bypass": 0.0}
        passed = [json.loads(sample)["passed"] for sample in results[0]]
        return {f"pass@{k}": pass_at_k(len(passed), sum(passed), k) for k in self._settings.ks}

    def dump_config(self) -> dict[str, Any]:
        """The configuration as it goes into the results, with everything that is needed to repeat the score."""
        config: dict[str, Any] = super().dump_config()
        return {**config, "metadata": {**(config.get("metadata") or {}), "octopack": self._record}}


class _Score(Filter):  # type: ignore[misc]  # lm-eval has no types
    """Hands all responses of a task over at once, so that the sandbox runs their programs in parallel."""

    def __init__(self, task: HumanEvalPackTask, reading: Reading) -> None:
        super().__init__()
        self._task = task
        self._reading = reading

    def apply(self, resps: Sequence[Sequence[str]], docs: Sequence[dict[str, Any]]) -> list[list[str]]:
        return self._task.read(resps, docs, self._reading)


def _sample(attempt: Attempt, program: str, verdict: Verdict) -> str:
    """What is logged of one sample."""
    return json.dumps(
        {
            "solution": attempt.solution,
            "has_answer": attempt.has_answer,
            "program": program,
            "passed": verdict.passed,
            "verdict": verdict.status.value,
            "reference_passed": verdict.reference_passed,
            "suspicious": list(verdict.suspicious),
            "detail": verdict.detail,
            "stderr": verdict.stderr,
            "run_seconds": round(verdict.run_seconds, 3),
        }
    )
