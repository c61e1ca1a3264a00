"""A row of HumanEvalPack as a `Problem`, loaded from the hub, a local folder or the starter pack."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from octopack_tasks.errors import UserError

HUB_DATASET = "bigcode/humanevalpack"
HUB_LANGUAGES = ("python", "cpp", "js", "java", "go", "rust")
"""The languages that it has rows in."""
STARTER_PACK = "starter"
DATASET_VARIABLE = "OCTOPACK_DATASET"

_ADVICE = (
    f"Choose the problems with dataset=NAME or the variable {DATASET_VARIABLE}: a local folder of <language>.jsonl "
    f"files, a dataset on the Hugging Face hub, or `{STARTER_PACK}`, which is built in"
)

# Columns that a row must have, by language: Go's programs are put together from two more.
_REQUIRED = (
    "task_id",
    "prompt",
    "declaration",
    "canonical_solution",
    "buggy_solution",
    "test",
    "entry_point",
    "docstring",
    "instruction",
)
_REQUIRED_TOO = {"go": ("import", "test_setup")}
_OPTIONAL = ("signature", "bug_type", "failure_symptoms", "example_test", "import", "test_setup")
_NOT_BLANK = ("task_id", "prompt", "declaration", "test", "entry_point")


@dataclass(frozen=True)
class Problem:
    """One problem in one language: a row of HumanEvalPack.

    Attributes:
        language: Name of its language, such as `python` (`octopack_tasks.LANGUAGES`).
        task_id: Its name, such as `Python/0`.
        prompt: Imports, declaration and documentation: what a model completes.
        declaration: The same without the documentation.
        canonical_solution: The right body of the function.
        buggy_solution: The same with one bug.
        test: The tests, as program text that runs them.
        entry_point: Name of the function.
        docstring: The documentation alone.
        instruction: The request in natural language.
        signature: The function's head.
        bug_type: One of six kinds of bug, such as `missing logic`.
        failure_symptoms: What the bug does, such as `incorrect output`.
        example_test: The examples of the documentation as a test.
        imports: Go only: the imports of the canonical solution (column `import`).
        test_setup: Go only: package clause and imports of the tests.
        description: Natural language that stands in for the code (explainsynthesize); None together with a
            `candidate` is the reference's null description, which asks with the instruction alone.
        candidate: Index of the description among those of this problem; None where none has been joined.
    """

    language: str
    task_id: str
    prompt: str
    declaration: str
    canonical_solution: str
    buggy_solution: str
    test: str
    entry_point: str
    docstring: str
    instruction: str
    signature: str = ""
    bug_type: str = ""
    failure_symptoms: str = ""
    example_test: str = ""
    imports: str = ""
    test_setup: str = ""
    description: str | None = None
    candidate: int | None = None

    @classmethod
    def from_row(cls, row: Any, language: str, where: str = "row") -> Problem:
        """Read one row.

        Args:
            row: The row as a mapping of column names.
            language: Name of its language.
            where: File and line, for error messages.

        Raises:
            UserError: A column is missing, not a string, blank where it must not be, or not encodable as UTF-8.
        """
        if not isinstance(row, dict):
            raise UserError(f"{where}: a row must be a JSON object, not {type(row).__name__}")
        for column, fault in row_faults(row, language):
            raise UserError(f"{where}: field `{column}` {fault}")
        present = (column for column in (*_REQUIRED, *_OPTIONAL) if row.get(column) is not None)
        values = {"imports" if column == "import" else column: row[column] for column in present}
        return cls(language=language, **values)

    def to_row(self) -> dict[str, str | None]:
        """The row again, with the columns of HumanEvalPack's schema (those a language lacks are empty)."""
        row = {
            column: getattr(self, "imports" if column == "import" else column) for column in (*_REQUIRED, *_OPTIONAL)
        }
        return row if self.candidate is None else {**row, "description": self.description}


def row_faults(row: Mapping[str, Any], language: str) -> Iterator[tuple[str, str]]:
    """Everything that keeps a row from being a problem.

    Yields:
        The column, and what is wrong with it, as "is missing".
    """
    required = (*_REQUIRED, *_REQUIRED_TOO.get(language, ()))
    for column in dict.fromkeys((*required, *_OPTIONAL)):
        value = row.get(column)
        if value is not None or column in required:
            fault = _complaint(column, value, present=column in row)
            if fault:
                yield column, fault


def _complaint(column: str, value: Any, *, present: bool) -> str:
    if not present:
        return "is missing"
    if not isinstance(value, str):
        return f"must be a string, not {type(value).__name__}"
    if column in _NOT_BLANK and not value.strip():
        return "must not be blank"
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"is not valid Unicode at character {error.start} (a lone surrogate)"
    return ""


@dataclass(frozen=True)
class ProblemSet(Sequence[Problem]):
    """The problems of one language, in the order of their source.

    Attributes:
        language: Name of the language.
        dataset: Where they came from, as the user named it.
        problems: The problems.
    """

    language: str
    dataset: str
    problems: tuple[Problem, ...]

    @cached_property
    def sha256(self) -> str:
        """Hash of the content: equal rows give an equal hash, whichever form they were loaded from.

        It covers the columns of the schema; order of columns and columns beyond the schema do not matter, the order
        of the rows does. Joined descriptions are not part of it.
        """
        digest = hashlib.sha256()
        for problem in (problem for problem in self.problems if not problem.candidate):
            row = dataclasses.replace(problem, description=None, candidate=None).to_row()
            digest.update(json.dumps(row, sort_keys=True).encode("ascii") + b"\n")
        return digest.hexdigest()

    @cached_property
    def _by_task_id(self) -> dict[str, Problem]:
        return {problem.task_id: problem for problem in reversed(self.problems)}

    def get(self, task_id: str) -> Problem:
        """The (first) problem of that name.

        Raises:
            UserError: There is none.
        """
        try:
            return self._by_task_id[task_id]
        except KeyError:
            raise UserError(
                f"no problem {task_id!r} among the {len(self)} of {self.dataset} for {self.language}"
            ) from None

    def __len__(self) -> int:
        return len(self.problems)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.problems)

    @overload
    def __getitem__(self, index: int) -> Problem: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Problem, ...]: ...

    def __getitem__(self, index: int | slice) -> Problem | tuple[Problem, ...]:
        return self.problems[index]


def dataset_name(dataset: str | os.PathLike[str] | None = None) -> str:
    """The dataset that is meant: the argument, else the variable `OCTOPACK_DATASET`, else the one on the hub."""
    return os.fspath(dataset or os.environ.get(DATASET_VARIABLE) or HUB_DATASET)


def lasting_dataset_name(dataset: str | os.PathLike[str] | None = None) -> str:
    """The same, such that it means the same in any working folder: a local folder by its whole path."""
    name = dataset_name(dataset)
    folder = Path(name).expanduser()
    is_local = name != STARTER_PACK and folder.is_dir()
    return whole_path(folder) if is_local else name


def whole_path(path: str | os.PathLike[str]) -> str:
    """A path that means the same in any working folder; links in it stay as named."""
    return os.path.abspath(Path(path).expanduser())  # noqa: PTH100 - `resolve` would follow them


def load_problems(language: str, dataset: str | os.PathLike[str] | None = None) -> ProblemSet:
    """Load the problems of a language.

    Args:
        language: Name of the language, such as `python` (`octopack_tasks.LANGUAGES`).
        dataset: A folder of `<language>.jsonl` files, `starter` (built in), or the name of a dataset on the hub
            with HumanEvalPack's columns. None: see `dataset_name`.

    Raises:
        UserError: The folder, the file or the dataset is not there, or a row is malformed.
    """
    name = dataset_name(dataset)
    if name == STARTER_PACK:
        rows = _rows_of_folder(Path(__file__).parent / "resources" / "starter_pack", language, "the starter pack")
    elif Path(name).expanduser().is_dir():
        rows = _rows_of_folder(Path(name).expanduser(), language, name)
    elif _looks_like_a_path(name):
        raise UserError(f"no folder {name!r}. {_ADVICE}")
    elif name == HUB_DATASET and language not in HUB_LANGUAGES:
        raise UserError(f"{name} has no rows in {language!r}, only in {', '.join(HUB_LANGUAGES)}. {_ADVICE}")
    else:
        rows = _rows_of_hub(name, language)
    return _checked(language, name, rows)


def _checked(language: str, dataset: str, rows: Iterable[tuple[str, Any]]) -> ProblemSet:
    problems: dict[str, Problem] = {}
    for where, row in rows:
        problem = Problem.from_row(row, language, where)
        if problem.task_id in problems:
            raise UserError(f"{where}: field `task_id` repeats {problem.task_id!r}")
        problems[problem.task_id] = problem
    if not problems:
        raise UserError(f"{dataset} holds no problem for {language!r}. {_ADVICE}")
    return ProblemSet(language, dataset, tuple(problems.values()))


def _looks_like_a_path(name: str) -> bool:
    # A name on the hub is `owner/name` or `name`.
    return name.startswith((".", "~", "/")) or name.count("/") > 1 or "\\" in name or Path(name).exists()


def _rows_of_folder(folder: Path, language: str, name: str) -> Iterator[tuple[str, Any]]:
    file = folder / f"{language}.jsonl"
    if not file.is_file():
        there = sorted(entry.stem for entry in folder.glob("*.jsonl"))
        raise UserError(
            f"{name} has no file {language}.jsonl (languages there: {', '.join(there) or 'none'}). {_ADVICE}"
        )
    # Bytes and "\n" only: str.splitlines would also split at the Unicode line separators within a row.
    for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
        where = f"{file} line {number}"
        if line.strip():
            try:
                yield where, json.loads(line)
            except (ValueError, RecursionError) as error:  # malformed JSON or UTF-8, or nested too deep
                raise UserError(f"{where}: not a JSON object: {error}") from None


def _rows_of_hub(name: str, language: str) -> Iterator[tuple[str, Any]]:
    try:
        with _without_retries_in_vain():
            table = _hub_table(name, language)
    except Exception as error:  # the hub's client raises whatever its transport raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"could not load {name!r} for {language!r} from the Hugging Face hub ({reason[:300]}). {_ADVICE}"
        ) from error
    for number, row in enumerate(table, start=1):
        yield f"{name} ({language}) row {number}", dict(row)


def _hub_table(name: str, language: str) -> Iterable[Any]:
    import datasets

    # Versions before 4 would offer to run a loading script from the hub; later ones no longer know the option.
    refuse_scripts = {} if int(datasets.__version__.split(".")[0]) >= 4 else {"trust_remote_code": False}
    try:
        table: Iterable[Any] = datasets.load_dataset(name, language, split="test", **refuse_scripts)
    except (RuntimeError, ValueError) as error:
        if "script" not in str(error) and "trust_remote_code" not in str(error):
            raise
        # The dataset has such a script; its rows lie beside it as JSON Lines.
        rows = f"hf://datasets/{name}/data/{language}/data/humanevalpack.jsonl"
        table = datasets.load_dataset("json", data_files=rows, split="train")
    return table


@contextlib.contextmanager
def _without_retries_in_vain() -> Iterator[None]:
    """Where the hub's name cannot even be resolved, use copies on this machine at once, not after 20 s of retries."""
    import urllib.request

    import huggingface_hub.constants as hub

    was_offline = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = was_offline or not (urllib.request.getproxies() or _can_resolve(hub.ENDPOINT))
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = was_offline


def _can_resolve(url: str) -> bool:
    import socket
    import urllib.parse

    try:
        socket.getaddrinfo(urllib.parse.urlsplit(url).hostname, None)
    except OSError:
        return False
    return True
