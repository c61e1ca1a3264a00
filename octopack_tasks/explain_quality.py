"""How near descriptions of code are to its documentation, without running anything: BLEU, METEOR and ROUGE-L."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeAlias

import typer

from octopack_tasks.descriptions import Descriptions, read_descriptions
from octopack_tasks.errors import UserError
from octopack_tasks.languages import LANGUAGES, get_language
from octopack_tasks.problems import ProblemSet

if TYPE_CHECKING:
    from octopack_tasks.runs import Run

# ruff: noqa: UP045 - typer on Python 3.10 reads Optional only

Metric: TypeAlias = Callable[[str, str], float]
"""Takes the documentation and a description, and gives 0 to 1."""

METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L")

# In place of a count of 0, which would make the whole product 0; nlg-eval's value.
_TINY = 1e-15
_TASK = re.compile(r"humanevalexplaindescribe-?([a-z]+)")


@dataclass(frozen=True)
class Quality:
    """The scores of the descriptions in one language, 0 to 100, mean over problems.

    Attributes:
        language: The language of the code.
        problems: How many problems are described.
        descriptions: How many descriptions there are.
        best: By metric, the best of a problem's descriptions, as the reference counts: it grows with their number.
        mean: By metric, the mean of a problem's descriptions.
    """

    language: str
    problems: int
    descriptions: int
    best: Mapping[str, float]
    mean: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "language": self.language,
            "problems": self.problems,
            "descriptions": self.descriptions,
            "best": dict(self.best),
            "mean": dict(self.mean),
        }


def explain_quality(problems: ProblemSet, descriptions: Descriptions, *, synonyms: bool = False) -> Quality:
    """Score descriptions against the documentation of their problems.

    Args:
        problems: The problems.
        descriptions: What a model wrote about them; problems without any do not count.
        synonyms: Whether METEOR also matches synonyms, which needs WordNet's data.

    Raises:
        UserError: A library or WordNet is not there, or nothing is described.
    """
    metrics = load_metrics(synonyms=synonyms)
    described = [(problem.docstring, texts) for problem in problems if (texts := descriptions.get(problem.task_id))]
    if not described:
        raise UserError(f"no problem of {problems.dataset} ({problems.language}) has a description")
    best, mean = {}, {}
    for name, metric in metrics.items():
        scores = [[100 * metric(docstring, text or "") for text in texts] for docstring, texts in described]
        best[name] = sum(map(max, scores)) / len(scores)
        mean[name] = sum(sum(of_one) / len(of_one) for of_one in scores) / len(scores)
    return Quality(problems.language, len(described), sum(len(texts) for _, texts in described), best, mean)


def load_metrics(*, synonyms: bool = False) -> dict[str, Metric]:
    """The metrics by name, in the order of `METRICS`.

    Raises:
        UserError: A library or WordNet is not there.
    """
    try:
        from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
        from nltk.translate.meteor_score import single_meteor_score
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise UserError(f"{error}: pip install 'octopack[explain]'") from None
    smoothing = SmoothingFunction(epsilon=_TINY).method1
    wordnet = _wordnet() if synonyms else _NoSynonyms()
    rouge = RougeScorer(["rougeL"], tokenizer=_RougeWords())

    def bleu(order: int) -> Metric:
        weights = (1 / order,) * order

        def score(docstring: str, description: str) -> float:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # counts of 0 are usual here, and smoothed
                found = sentence_bleu([docstring.split()], description.split(), weights, smoothing)
            return min(float(found), 1.0)

        return score

    def meteor(docstring: str, description: str) -> float:
        return float(single_meteor_score(_words(docstring), _words(description), wordnet=wordnet))

    def rouge_l(docstring: str, description: str) -> float:
        return float(rouge.score(docstring, description)["rougeL"].fmeasure)

    return {**{f"BLEU-{order}": bleu(order) for order in range(1, 5)}, "METEOR": meteor, "ROUGE-L": rouge_l}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


class _RougeWords:
    """The words of ROUGE, as rouge-score finds them; it knows the letters of English alone, this those of all."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self._stem = PorterStemmer().stem

    def tokenize(self, text: str) -> list[str]:
        return [self._stem(word) if len(word) > 3 else word for word in re.findall(r"[^\W_]+", text.lower())]


class _NoSynonyms:
    """Stands in for WordNet, whose data no wheel holds: no word has synonyms."""

    def synsets(self, word: str) -> list[Any]:
        return []


def _wordnet() -> Any:
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        raise UserError(
            "--synonyms needs WordNet's data, which no Python package holds: python -m nltk.downloader wordnet (or set "
            "NLTK_DATA to a folder with corpora/wordnet); without --synonyms METEOR matches words and their stems"
        ) from None
    return wordnet


# --- the command ------------------------------------------------------------------------------------------------------


def register(application: typer.Typer) -> None:
    """Add the command to `application`."""
    application.command("explain-quality")(show_quality)


def show_quality(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run, lm-eval's samples, or the reference's generations file.")
    ],
    languages: Annotated[
        Optional[list[str]],
        typer.Option("--language", "-l", help="Of which code; may be repeated.", show_default="as the names say"),
    ] = None,
    dataset: Annotated[
        Optional[str],
        typer.Option(
            help="The problems that are described; a run knows its own.",
            envvar="OCTOPACK_DATASET",
            show_default="bigcode/humanevalpack",
        ),
    ] = None,
    synonyms: Annotated[
        bool, typer.Option("--synonyms/--no-synonyms", help="METEOR matches synonyms, too; needs WordNet's data.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score descriptions of humanevalexplaindescribe against the documentation: BLEU, METEOR, ROUGE-L.

    Nothing is run. These say how alike words are, not whether a description is right: humanevalexplainsynthesize does.

    Examples:
        octopack explain-quality runs/octocoder

        octopack explain-quality generations_humanevalexplaindescribepython_octocoder.json --dataset data/humanevalpack
    """
    from rich.console import Console
    from rich.progress import track

    from octopack_tasks.commands import is_typed
    from octopack_tasks.runs import Run

    load_metrics(synonyms=synonyms)  # what is missing is said before anything is read
    for name in languages or ():
        get_language(name)
    run = Run(path.expanduser())
    if run.exists:
        # What the environment says is for commands without a run: this one knows its problems.
        described = list(_described_in_run(run, languages, dataset if is_typed(context, "dataset") else None))
    else:
        described = list(_described(path.expanduser(), languages, dataset))
    found = [
        explain_quality(problems, descriptions, synonyms=synonyms)
        for problems, descriptions in track(described, "languages", console=Console(stderr=True), transient=True)
    ]
    if as_json:
        typer.echo(json.dumps({"synonyms": synonyms, "languages": [quality.to_json() for quality in found]}, indent=2))
        return
    _print_table(found)


def _described(
    path: Path, languages: Sequence[str] | None, dataset: str | None
) -> Iterator[tuple[ProblemSet, Descriptions]]:
    from octopack_tasks.tasks import get_task

    for language in languages or _languages_named(path):
        problems = get_task(f"humanevalexplaindescribe-{language}").load(dataset)
        yield problems, read_descriptions(path, problems)


def _described_in_run(
    run: Run, languages: Sequence[str] | None, dataset: str | None
) -> Iterator[tuple[ProblemSet, Descriptions]]:
    from octopack_tasks.evaluation import load
    from octopack_tasks.recordings import descriptions_of_run

    works = {work.task.language.name: work for work in load(run, dataset) if not work.task.is_executed}
    missing = [name for name in languages or () if name not in works]
    if missing or not works:
        raise UserError(f"the run {run.folder} has no humanevalexplaindescribe-{(missing or ['<language>'])[0]}")
    for language in languages or works:
        yield works[language].whole, descriptions_of_run(run, language, works[language].whole)


def _languages_named(path: Path) -> list[str]:
    """The languages that names of files say."""
    if not path.exists():
        raise UserError(f"there is no file or folder {path}")
    files = sorted(path.rglob("*.json*")) if path.is_dir() else [path]
    matches = (_TASK.search(file.name) for file in files if not file.name.startswith(("results_", "references_")))
    named = {language for match in matches if match for language in LANGUAGES if match.group(1) == language}
    if not named:
        raise UserError(f"no file name of {path} says of which language its descriptions are: add --language")
    return [language for language in LANGUAGES if language in named]


def _print_table(found: Sequence[Quality]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("language", "problems", "descriptions", "", *METRICS)
    for quality in found:
        counts = (get_language(quality.language).title, str(quality.problems), str(quality.descriptions))
        is_single = quality.descriptions == quality.problems
        for label, scores in (("", quality.mean),) if is_single else (("best", quality.best), ("mean", quality.mean)):
            table.add_row(*counts, label, *(f"{scores[name]:.1f}" for name in METRICS))
            counts = ("", "", "")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
