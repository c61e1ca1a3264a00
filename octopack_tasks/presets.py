"""Presets: the exact settings with which the paper ran its models, and the scores it published for them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.generation.protocol import Sampling
from octopack_tasks.plans import TaskPlan
from octopack_tasks.tasks import Task

_RESOURCES = Path(__file__).parent / "resources"


@dataclass(frozen=True)
class PresetTask:
    """How the paper ran a scenario.

    Attributes:
        prompt: Prompt format.
        n_samples: Completions a problem.
        max_length: Most tokens of prompt and completion together; None: the API's own limit.
        batch_size: Sequences generated together; None for hosted models.
    """

    prompt: str
    n_samples: int
    max_length: int | None = None
    batch_size: int | None = None


@dataclass(frozen=True)
class Preset:
    """How the paper ran a model.

    Attributes:
        name: Name of the preset.
        title: Name of the model in the paper.
        model: Its name on the hub or at the API.
        architecture: `decoder`, `encoder-decoder` or `api`.
        precision: `bf16` or `fp16`; None for hosted models.
        trust_remote_code: Whether the paper ran code from the model's repository. Never done without being asked:
            give `--model-args trust_remote_code=true`.
        sampling: How completions were drawn.
        tasks: Settings by scenario.
        scores: The model's name among the published scores; None where none are published.
        notes: What else there is to know.
    """

    name: str
    title: str
    model: str
    architecture: str
    precision: str | None
    trust_remote_code: bool
    sampling: Sampling
    tasks: Mapping[str, PresetTask]
    scores: str | None
    notes: tuple[str, ...]

    @property
    def backend(self) -> str:
        """The backend that suits the architecture."""
        return {"api": "openai", "encoder-decoder": "transformers"}.get(self.architecture, "vllm")

    def options(self, backend: str) -> dict[str, Any]:
        """Options of a backend that follow from the preset."""
        options: dict[str, Any] = {}
        if backend in ("vllm", "transformers") and self.precision:
            options["dtype"] = {"bf16": "bfloat16", "fp16": "float16"}[self.precision]
        if backend == "transformers":
            sizes = [task.batch_size for task in self.tasks.values() if task.batch_size]
            options["batch_size"] = max(sizes, default=1)
        return options

    def task_plan(
        self,
        task: Task,
        *,
        prompt: str | None = None,
        n_samples: int | None = None,
        max_length: int | None = None,
        max_new_tokens: int | None = None,
    ) -> TaskPlan:
        """The plan for a task; what is given here stands over the preset.

        Raises:
            UserError: The paper has no settings for the scenario.
        """
        planned = self.tasks.get(task.scenario.name)
        if planned is None:
            raise UserError(
                f"the preset {self.name} has no settings for {task.scenario.name}; it has: {', '.join(self.tasks)}"
            )
        return TaskPlan(
            task.name,
            prompt or planned.prompt,
            planned.n_samples if n_samples is None else n_samples,
            max_length if max_length is not None else planned.max_length or 2048,
            max_new_tokens,
        )


@cache
def presets() -> Mapping[str, Preset]:
    """All presets by name."""
    import yaml

    found = {}
    for path in sorted((_RESOURCES / "presets").glob("*.yaml")):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        found[path.stem] = _preset(path.stem, values)
    return found


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UserError: There is none.
    """
    try:
        return presets()[name]
    except KeyError:
        raise UserError(f"unknown preset {name!r}; there are: {', '.join(presets())}") from None


def _preset(name: str, values: Mapping[str, Any]) -> Preset:
    model, sampling = values["model"], values["sampling"]
    fields = ("prompt", "n_samples", "max_length", "batch_size")
    drawn = {key: sampling[key] for key in ("temperature", "top_p", "top_k", "seed") if key in sampling}
    return Preset(
        name=name,
        title=values["title"],
        model=model["id"],
        architecture=model["architecture"],
        precision=model.get("precision"),
        trust_remote_code=model.get("trust_remote_code", False),
        sampling=Sampling(**drawn),
        tasks={
            scenario: PresetTask(**{key: task[key] for key in fields if key in task})
            for scenario, task in values["tasks"].items()
        },
        scores=values.get("scores"),
        notes=tuple(values.get("notes", ())),
    )


@dataclass(frozen=True)
class PublishedScores:
    """A row of a table of published scores.

    Attributes:
        table_id: Name of the table.
        table: What the table shows.
        scenario: The scenario it is about.
        metric: What the numbers are, such as `pass@1`; a row's own, where the table has several.
        task: The task it is about, where the columns are not languages; "" otherwise.
        model: The model.
        preset: The preset with its settings; None where there is none.
        scores: In percent, by column, mostly languages.
        source: Where it was published.
        sampling: How the completions were drawn, as far as that is known: `temperature`, `top_p`, `n_samples`.
        printed_mean: The mean that the source prints; None where it prints none.
        note: What is odd about the row; "" for nothing.
    """

    table_id: str
    table: str
    scenario: str
    metric: str
    task: str
    model: str
    preset: str | None
    scores: Mapping[str, float]
    source: str
    sampling: Mapping[str, float]
    printed_mean: float | None
    note: str


@cache
def published_scores() -> Sequence[PublishedScores]:
    """All published scores, in the order of their tables."""
    return tuple(_rows(_published()))


def published_parameters() -> Mapping[str, float]:
    """The number of parameters by model of the published scores, where it is known."""
    parameters: Mapping[str, float] = _published()["parameters"]
    return parameters


@cache
def _published() -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads((_RESOURCES / "published_scores.json").read_text(encoding="utf-8"))
    return content


def _rows(content: Mapping[str, Any]) -> Iterator[PublishedScores]:
    for table in content["tables"]:
        for row in table["rows"]:
            source = content["sources"].get(row["source"], row["source"])
            yield PublishedScores(
                table_id=table["id"],
                table=table["title"],
                scenario=table.get("scenario", ""),
                metric=row.get("metric", table["metric"]),
                task=row.get("task", ""),
                model=row["model"],
                preset=row.get("preset"),
                scores=row["scores"],
                source=f"{source}, {row['where']}" if "where" in row else source,
                sampling=content["samplings"][row["sampling"]],
                printed_mean=row.get("printed_mean"),
                note=row.get("note", ""),
            )
