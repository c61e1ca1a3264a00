"""Scrapes the contents of files before and after each commit: a repository at a time, many commits in one fetch."""

from __future__ import annotations

import hashlib
import os
import queue
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO, Any, ClassVar

import orjson

from octopack_data.commitpack.git import (
    OF_THE_REPOSITORY,
    TRANSIENT,
    Commit,
    Failure,
    Found,
    GitError,
    GitObject,
    Limits,
    ObjectReader,
    Remote,
    Scratch,
    check_git,
    find_paths,
    is_commit_id,
    parse_commit,
    tree_path,
)
from octopack_data.commitpack.hosts import HostGate, Pace, ServerAnswer, ask_server
from octopack_data.commitpack.languages import has_listed_suffix
from octopack_data.pipeline import Batch, BatchFunction, Judgement, Outcome, Step, Unit
from octopack_data.shards import explain_os_error, read_lines

NOISE_MESSAGES = frozenset({"initial commit", "please\n", "please", "lalala"})
"""Whole messages that the reference drops before it scrapes."""

_REFUSED = (Failure.UNREACHABLE, Failure.RATE_LIMITED)
_OF_THE_COMMIT = (
    Failure.PATH_MISSING,
    Failure.NOT_A_FILE,
    Failure.TOO_LARGE,
    Failure.BINARY,
    Failure.ENCODING,
    Failure.BAD_REQUEST,
)
_MAX_RENAMES = 3
_SEARCHED_FOR_NUL = 8000  # as git itself tells binary files
_MISSES_ONE_BY_ONE = 2
_OWN_COLUMNS = ("dropped_by", "repo", "error", "tried")
_CONTENT_COLUMNS = ("commit", "old_file", "new_file", "old_contents", "new_contents", "subject", "message")


class Strategy(str, Enum):
    """How a group of commits is fetched.

    `full` asks for the commits with all files of their two snapshots: one request, best where snapshots are small.
    `blobless` asks for folders only and then for the two files of each commit: two requests, best where they are large.
    `auto` begins with `full` and turns to `blobless` when the transfer gets large.
    """

    AUTO = "auto"
    FULL = "full"
    BLOBLESS = "blobless"


class Decoding(str, Enum):
    """What happens to a file that is not UTF-8: `strict` records a failure, `ignore` leaves bytes out as published."""

    STRICT = "strict"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Contents:
    """The file before and after a commit; empty where it did not exist."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Target:
    """One file of one commit, and the repositories that may have it, in the order in which they are tried."""

    key: str
    commit: str
    old_file: str
    new_file: str
    repositories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scraped:
    """What became of a target: contents and where they are from, or the last failure and all that was tried."""

    target: Target
    repository: str
    contents: Contents | None
    failure: Failure | None = None
    detail: str = ""
    tried: tuple[tuple[str, str], ...] = ()


def prefilter(row: dict[str, Any]) -> str | None:
    """Return why a row is not worth scraping, by the reference's three rules, or None."""
    if not has_listed_suffix(row["new_file"]):
        return "extension"
    if row["message"] == "Update " + row["old_file"]:
        return "update_file"
    if row["message"] in NOISE_MESSAGES:
        return "noise_message"
    return None


# ----------------------------------------------------------------------------------------------- one repository's group


@dataclass
class Scraper:
    """Scrapes groups of targets from one host; used by several threads at once."""

    remote: Remote
    limits: Limits
    pace: Pace
    strategy: Strategy = Strategy.AUTO
    decoding: Decoding = Decoding.STRICT
    follow_renames: bool = True
    max_repositories: int = 12
    scratch: Path | None = None
    _gate: HostGate = field(init=False)
    _dead: dict[str, GitError] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._gate = HostGate(self.remote.host, self.pace)

    def scrape(self, repository: str, targets: Sequence[Target]) -> Iterator[Scraped]:
        """Yield the result of every target, trying `repository` first and then what each target lists after it."""
        tried: dict[str, list[tuple[str, str]]] = {target.key: [] for target in targets}
        waiting: list[tuple[str, Sequence[Target]]] = [(repository, targets)]
        while waiting:
            repository, group = waiting.pop(0)
            following: dict[str, list[Target]] = {}
            for target, result in self._one_repository(repository, group):
                if isinstance(result, Contents):
                    yield Scraped(target, repository, result, tried=tuple(tried[target.key]))
                    continue
                tried[target.key].append((repository, result.reason.value))
                later = target.repositories[: self.max_repositories]
                later = later[later.index(repository) + 1 :] if repository in later else ()
                if later and _worth_another(result.reason):
                    following.setdefault(later[0], []).append(target)
                    continue
                detail = self.remote.redact(result.detail)
                yield Scraped(target, repository, None, result.reason, detail, tuple(tried[target.key]))
            waiting += following.items()

    def _one_repository(
        self, repository: str, targets: Sequence[Target]
    ) -> Iterator[tuple[Target, Contents | GitError]]:
        good: list[Target] = []
        for target in targets:
            fault = self._dead.get(repository) or _fault(target)
            if fault is None:
                good.append(target)
            else:
                yield target, fault
        if not good:
            return
        try:
            url = self.remote.url(repository)
        except GitError as error:
            self._dead[repository] = error
            yield from ((target, error) for target in good)
            return
        yield from self._fetched(repository, url, good, self.strategy, misses=0, renames=0)

    def _fetched(
        self, repository: str, url: str, targets: Sequence[Target], strategy: Strategy, misses: int, renames: int
    ) -> Iterator[tuple[Target, Contents | GitError]]:
        """Fetch the commits of some targets and read them; where that fails, with fewer commits or in another way."""
        if not targets:
            return
        folder = Path(tempfile.mkdtemp(dir=self.scratch, prefix="repository-"))
        scratch = Scratch(folder, self.remote, self.limits)
        try:
            try:
                self._fetch_commits(scratch, url, targets, strategy)
                read = _Reading(self, scratch, url, targets, strategy)
                yield from read.results()
                return
            except GitError as failed:
                error = failed
        finally:
            scratch.remove()
        # Reading never fails after the first result, so from here on every target is still open.
        if error.reason in OF_THE_REPOSITORY:
            renamed = self._renamed(url, error, renames)
            if isinstance(renamed, str):
                yield from self._fetched(repository, renamed, targets, strategy, misses, renames + 1)
                return
            self._dead[repository] = renamed
            yield from ((target, renamed) for target in targets)
            return
        if error.reason is Failure.COMMIT_MISSING and error.commit in {target.commit for target in targets}:
            gone = [target for target in targets if target.commit == error.commit]
            rest = [target for target in targets if target.commit != error.commit]
            yield from ((target, error) for target in gone)
            # Git names one missing commit at a time. After a few, halves find the rest of them faster.
            for part in [rest] if misses < _MISSES_ONE_BY_ONE else _halves(rest):
                yield from self._fetched(repository, url, part, strategy, misses + 1, renames)
            return
        if error.reason in (Failure.TOO_LARGE, Failure.TIMEOUT) and strategy is Strategy.AUTO:
            yield from self._fetched(repository, url, targets, Strategy.BLOBLESS, misses, renames)
            return
        if error.reason in (Failure.TOO_LARGE, Failure.DAMAGED, Failure.COMMIT_MISSING) and len(targets) > 1:
            for part in _halves(targets):
                yield from self._fetched(repository, url, part, strategy, misses, renames)
            return
        yield from ((target, error) for target in targets)

    def _fetch_commits(self, scratch: Scratch, url: str, targets: Sequence[Target], strategy: Strategy) -> None:
        commits = list(dict.fromkeys(target.commit for target in targets))
        blobs = 0 if strategy is Strategy.BLOBLESS else self.limits.file_bytes + 1
        pack = self.limits.full_bytes if strategy is Strategy.AUTO else self.limits.pack_bytes
        self.fetch(scratch, url, commits, blobs=blobs, depth=2, pack_bytes=pack)

    def fetch(
        self, scratch: Scratch, url: str, wants: Sequence[str], *, blobs: int | None, depth: int | None, pack_bytes: int
    ) -> None:
        """Fetch at the host's pace; try again, after a pause, what another try may mend.

        Raises:
            GitError: what git said the last time.
            DataError: the host has turned every request away for too long.
        """
        for attempt in range(1, self.pace.attempts + 1):
            try:
                with self._gate.request():
                    scratch.fetch(url, wants, blobs=blobs, depth=depth, pack_bytes=pack_bytes)
            except GitError as error:
                if error.reason is Failure.PRIVATE and self.remote.token_variable:
                    self._gate.refused(error)  # one repository may be closed; many in a row mean a dead token
                    raise
                if error.reason not in TRANSIENT:
                    self._gate.succeeded()  # the host answers; it is this request that it cannot serve
                    raise
                # Waiting longer for an answer is another run's choice: a timeout is not tried again here.
                last = attempt == self.pace.attempts or error.reason is Failure.TIMEOUT
                if last and error.reason in _REFUSED:
                    self._gate.refused(error)
                if last:
                    raise
                asked = None if error.reason is Failure.UNREACHABLE else self._ask(url)
                wait = asked.retry_after if asked else None
                # A repository may be broken on its server for ever; only the host's own troubles stop everybody.
                self._gate.pause(attempt, wait, everybody=error.reason in _REFUSED or wait is not None)
            else:
                self._gate.succeeded()
                return

    def _ask(self, url: str) -> ServerAnswer | None:
        with self._gate.request():
            return ask_server(url, self.remote.authorization())

    def _renamed(self, url: str, error: GitError, renames: int) -> str | GitError:
        """Return the new URL of a renamed repository, or the error to record."""
        if error.reason is not Failure.RENAMED:
            return error
        answer = self._ask(url)
        place = (answer.location or "").partition("/info/refs")[0] if answer else ""
        name = self.remote.repository_at(place)
        if name is None:
            return GitError(Failure.RENAMED, f"redirected to {place or 'nowhere'}, which is not followed")
        if not self.follow_renames or renames >= _MAX_RENAMES:
            return GitError(Failure.RENAMED, f"renamed to {name}")
        return self.remote.url(name)

    def decode(self, data: bytes) -> str | GitError:
        """Return a file's text, or why it has none."""
        if b"\0" in data[:_SEARCHED_FOR_NUL]:
            return GitError(Failure.BINARY, "a NUL byte near the beginning")
        try:
            return data.decode("utf-8", "ignore" if self.decoding is Decoding.IGNORE else "strict")
        except UnicodeDecodeError as error:
            return GitError(Failure.ENCODING, f"not UTF-8 at byte {error.start}")


def _fault(target: Target) -> GitError | None:
    if not is_commit_id(target.commit):
        return GitError(Failure.BAD_REQUEST, f"not the id of a commit: {target.commit[:60]!r}")
    try:
        tree_path(target.old_file)
        tree_path(target.new_file)
    except GitError as error:
        return error
    return None


def _halves(targets: Sequence[Target]) -> tuple[Sequence[Target], Sequence[Target]]:
    middle = len(targets) // 2
    return targets[:middle], targets[middle:]


def _worth_another(reason: Failure) -> bool:
    """Say whether another repository may have what this one lacks; what is in a commit is the same everywhere."""
    return reason not in _OF_THE_COMMIT


class _Reading:
    """Reads the files of fetched commits."""

    def __init__(
        self, scraper: Scraper, scratch: Scratch, url: str, targets: Sequence[Target], strategy: Strategy
    ) -> None:
        self._scraper = scraper
        self._scratch = scratch
        self._url = url
        self._targets = targets
        self._strategy = strategy

    def results(self) -> Iterator[tuple[Target, Contents | GitError]]:
        """Yield contents or failure of every target.

        Raises:
            GitError: before the first result only: files that were left out could not be fetched either.
        """
        reader = self._scratch.reader()
        try:
            places = self._find(reader)
            if self._strategy is Strategy.BLOBLESS:
                self._fetch_files(places)
                reader.close()  # a reader does not notice what is fetched after its start
                reader = self._scratch.reader()
            for target, place in zip(self._targets, places, strict=True):
                result = self._contents(reader, place)
                if isinstance(result, GitError) and reader.ended:
                    reader.close()  # this file was too much for git; the others may not be
                    reader = self._scratch.reader()
                yield target, result
        finally:
            reader.close()

    def _fetch_files(self, places: Sequence[tuple[Found, Found] | GitError]) -> None:
        blobs = {name for place in places if isinstance(place, tuple) for name in place if isinstance(name, str)}
        if blobs:
            limit = self._scraper.limits.pack_bytes
            self._scraper.fetch(self._scratch, self._url, sorted(blobs), blobs=0, depth=None, pack_bytes=limit)

    def _find(self, reader: ObjectReader) -> list[tuple[Found, Found] | GitError]:
        """Return, for each target, where the old and the new file are, or why they are nowhere."""
        commits = self._commits(reader, {target.commit for target in self._targets})
        parents = self._commits(reader, {c.parent for c in commits.values() if isinstance(c, Commit) and c.parent})
        new_trees = [commits[target.commit] for target in self._targets]
        old_trees = [parents.get(c.parent or "") if isinstance(c, Commit) else None for c in new_trees]
        new_files = _find_in(reader, new_trees, [target.new_file for target in self._targets])
        old_files = _find_in(reader, old_trees, [target.old_file for target in self._targets])
        places: list[tuple[Found, Found] | GitError] = []
        for old, new in zip(old_files, new_files, strict=True):
            if isinstance(new, GitError) or isinstance(old, GitError):
                places.append(new if isinstance(new, GitError) else old)  # type: ignore[arg-type]
            elif old is None and new is None:
                places.append(GitError(Failure.PATH_MISSING, "the file is neither in the commit nor in its parent"))
            else:
                places.append((old, new))
        return places

    def _commits(self, reader: ObjectReader, ids: Iterable[str]) -> dict[str, Commit | GitError]:
        commits: dict[str, Commit | GitError] = {}
        for name, item in reader.read(sorted(ids)):
            if item is None:
                commits[name] = GitError(Failure.COMMIT_MISSING, f"the server did not send {name}", name)
            elif item.kind != "commit" or item.data is None:
                commits[name] = GitError(
                    Failure.BAD_REQUEST, f"{name} is a {item.kind} of {item.size} bytes, no commit"
                )
            else:
                commits[name] = parse_commit(item.data) or GitError(Failure.DAMAGED, f"{name} has no tree")
        return commits

    def _contents(self, reader: ObjectReader, place: tuple[Found, Found] | GitError) -> Contents | GitError:
        if isinstance(place, GitError):
            return place
        try:
            names = [name for name in place if isinstance(name, str)]
            items = dict(reader.read(names, self._scraper.limits.file_bytes))
        except GitError as error:
            return error
        old, new = (self._text(name, items) if isinstance(name, str) else "" for name in place)
        if isinstance(new, GitError):
            return new
        if isinstance(old, GitError):
            return old
        return Contents(old, new)

    def _text(self, name: str, items: dict[str, GitObject | None]) -> str | GitError:
        limit = self._scraper.limits.file_bytes
        item = items[name]
        if item is None:
            if self._strategy is Strategy.BLOBLESS:
                return GitError(Failure.DAMAGED, f"the server did not send {name}")
            return GitError(Failure.TOO_LARGE, f"more than {limit} bytes")
        if item.data is None:
            return GitError(Failure.TOO_LARGE, f"{item.size} bytes, more than {limit}")
        if item.kind != "blob":
            return GitError(Failure.NOT_A_FILE, f"a {item.kind}, not a file")
        return self._scraper.decode(item.data)


def _find_in(reader: ObjectReader, commits: Sequence[Commit | GitError | None], paths: Sequence[str]) -> list[Found]:
    """Return what each path leads to in its commit: nothing where there is no commit."""
    found: list[Found] = [commit if isinstance(commit, GitError) else None for commit in commits]
    there = [(index, commit) for index, commit in enumerate(commits) if isinstance(commit, Commit)]
    wanted = [(commit.tree, tree_path(paths[index])) for index, commit in there]
    for (index, _), place in zip(there, find_paths(reader, wanted), strict=True):
        found[index] = place
    return found


# ------------------------------------------------------------------------------------------------------- one whole unit


def key_of(line: bytes) -> str:
    """Return the key of a metadata row: the same line is the same work."""
    return hashlib.blake2b(line, digest_size=16).hexdigest()


def target_of(key: str, row: dict[str, Any]) -> Target:
    """Return what is to be scraped for a row; its repositories keep their order and are named once."""
    repositories = tuple(dict.fromkeys(name for name in row["repos"].split(",") if name))
    return Target(key, row["commit"], row["old_file"], row["new_file"], repositories)


class Journal:
    """Results of a unit on disk, in the order in which they came; it survives interruption at any byte.

    Args:
        path: the file.
        heading: what the results depend on; a file with another heading is begun anew.
        stands: which results of an interrupted run still stand; the others are asked for again.
    """

    def __init__(self, path: Path, heading: str, stands: Callable[[bytes], bool] = lambda result: True) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        self._changed = threading.Condition()
        self._end = 0
        first = heading.encode() + b"\n"
        if path.is_file():
            self._load(first, stands)
        self._file: IO[bytes] = path.open("r+b" if self._end else "w+b")
        self._file.truncate(self._end)
        if not self._end:
            self._append(first)

    def _load(self, first: bytes, stands: Callable[[bytes], bool]) -> None:
        """Take in the whole lines of an interrupted run, if it was a run over the same rows in the same way."""
        with self._path.open("rb") as file:
            if file.readline() != first:
                return
            self._end = len(first)
            for line in file:
                key, _, result = line.partition(b" ")
                if len(key) != 32 or not result.endswith(b"}\n"):
                    break
                if stands(result):
                    self._places[key.decode()] = (self._end + 33, len(result) - 1)
                self._end += len(line)

    def _append(self, data: bytes) -> int:
        place = self._end
        self._file.seek(place)
        self._file.write(data)
        self._file.flush()
        self._end += len(data)
        return place

    def __contains__(self, key: str) -> bool:
        """Say whether the result of a row is there."""
        return key in self._places

    def add(self, key: str, result: bytes) -> None:
        """Append a result (a JSON object)."""
        with self._changed:
            place = self._append(key.encode() + b" " + result + b"\n")
            self._places[key] = (place + 33, len(result))
            self._changed.notify_all()

    def wait_for(self, key: str, still_hope: Callable[[], bool]) -> bytes:
        """Return the result of a row, waiting until it comes; `still_hope` may raise to end the waiting."""
        with self._changed:
            while key not in self._places:
                still_hope()
                self._changed.wait(0.5)
            place, size = self._places[key]
            self._file.seek(place)
            return self._file.read(size)

    def wake(self) -> None:
        """Let the waiting look again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Close the file."""
        with self._changed:
            self._file.close()


@dataclass(frozen=True)
class ScrapeStep(Step):
    """Adds the contents before and after each commit; every row that has none is kept aside with the reason.

    Attributes:
        remote: where repositories are.
        limits: what one fetch may use.
        pace: how hard the host is asked (in each process).
        strategy: how groups are fetched.
        decoding: what happens to files that are not UTF-8.
        follow_renames: whether a renamed repository is followed to its new name on the same host.
        max_repositories: how many of the repositories that list a commit are tried; the reference tries twelve.
        group: most commits in one fetch.
        prefilters: whether the reference's three rules are asked before anything is fetched.
        retry: take rows that an earlier run put into `_dropped/`, and try those again whose failure may have passed.
        limit: as the engine's: take only the first rows of every file.
    """

    remote: Remote = field(default_factory=Remote)
    limits: Limits = field(default_factory=Limits)
    pace: Pace = field(default_factory=Pace)
    strategy: Strategy = Strategy.AUTO
    decoding: Decoding = Decoding.STRICT
    follow_renames: bool = True
    max_repositories: int = 12
    group: int = 256
    prefilters: bool = True
    retry: bool = False
    limit: int | None = None

    name: ClassVar[str] = "commitpack-scrape"
    columns: ClassVar[tuple[str, ...]] = ("commit", "old_file", "new_file", "message", "repos")
    keep_dropped: ClassVar[bool] = True
    batch_bytes: ClassVar[int] = 1 << 16  # rows grow two hundred times here: 300 bytes in, 64 kB out

    @property
    def reasons(self) -> tuple[str, ...]:
        """The rules asked before scraping, then the failures."""
        first = ("extension", "update_file", "noise_message") if self.prefilters else ()
        return (*(("not_retried",) if self.retry else ()), *first, "no_repository", *(f.value for f in Failure))

    def config(self) -> dict[str, object]:
        """Return what decides the result; how fast and in which way it is fetched does not."""
        return {
            "remote": self.remote.template,
            "limits": asdict(self.limits),
            "decoding": self.decoding.value,
            "follow_renames": self.follow_renames,
            "max_repositories": self.max_repositories,
            "prefilters": self.prefilters,
            "retry": self.retry,
        }

    def start(self) -> BatchFunction:
        """Check that git and the token are there; return a function that scrapes a batch on the spot."""
        self.remote.check()
        check_git()
        return self._scrape_now

    def _scrape_now(self, batch: Batch) -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            run = _UnitRun(self, Path(folder), [(batch.lines, batch.rows)])
            try:
                return run(batch)
            finally:
                run.stop()

    def start_unit(self, function: BatchFunction, unit: Unit, work: Path) -> BatchFunction:
        """Begin to scrape the whole unit in the background; the returned function waits for the rows it is given."""
        del function
        try:
            work.mkdir(parents=True, exist_ok=True)
            return _UnitRun(self, work, _read_unit(unit, self.limit))
        except OSError as error:
            raise explain_os_error(error, work) from error

    def reason_before(self, row: dict[str, Any]) -> str | None:
        """Return why a row is not scraped at all, or None."""
        if self.retry and row.get("dropped_by") not in {failure.value for failure in TRANSIENT}:
            return "not_retried"
        return prefilter(row) if self.prefilters else None

    def explain(self, row: dict[str, Any]) -> list[Judgement]:
        """Say which rule drops a row; where none does, scrape it and say what came of it."""
        reason = self.reason_before(row)
        before = [name for name in self.reasons if name in ("not_retried", "extension", "update_file", "noise_message")]
        judgements = [
            Judgement(name, name != reason, str(row["new_file" if name == "extension" else "message"])[:80])
            for name in (before if reason is None else before[: before.index(reason) + 1])
        ]
        if reason is None:
            outcome = self.start()(Batch([orjson.dumps(row)], [row]))
            if outcome.kept:
                found = orjson.loads(outcome.kept[0])
                sizes = f"{len(found['old_contents'])} -> {len(found['new_contents'])} characters"
                judgements.append(Judgement("scrape", True, f"from {found['repo']}: {sizes}"))
            else:
                judgements.append(Judgement(outcome.dropped[0][1], False, str(row.get("error"))))
        return judgements


def _read_unit(unit: Unit, limit: int | None) -> Iterator[tuple[list[bytes], list[dict[str, Any]]]]:
    """Yield the readable rows of a unit; the engine counts the others."""
    for path in unit.inputs:
        left = limit
        for lines in read_lines(path):
            taken = lines if left is None else lines[:left]
            good: list[bytes] = []
            rows: list[dict[str, Any]] = []
            for line in taken:
                try:
                    row = orjson.loads(line) if isinstance(line, bytes) else None
                except orjson.JSONDecodeError:
                    continue
                if isinstance(row, dict) and all(isinstance(row.get(name), str) for name in ScrapeStep.columns):
                    assert isinstance(line, bytes)
                    good.append(line)
                    rows.append(row)
            yield good, rows
            if left is not None:
                left -= len(taken)
                if left <= 0:
                    break


class _UnitRun:
    """The scraping of one unit: threads that work ahead and write to the journal, and the function that reads it."""

    def __init__(
        self, step: ScrapeStep, work: Path, batches: Iterable[tuple[list[bytes], list[dict[str, Any]]]]
    ) -> None:
        self._step = step
        shutil.rmtree(work / "scratch", ignore_errors=True)
        scratch = work / "scratch"
        scratch.mkdir(parents=True)
        groups: dict[str, list[Target]] = {}
        seen: set[str] = set()
        for lines, rows in batches:
            for line, row in zip(lines, rows, strict=True):
                key = key_of(line)
                if key in seen or step.reason_before(row) is not None:
                    continue
                seen.add(key)
                target = target_of(key, row)
                if target.repositories:
                    groups.setdefault(target.repositories[0], []).append(target)
        heading = hashlib.sha256(orjson.dumps([step.config(), step.version], option=orjson.OPT_SORT_KEYS)).hexdigest()
        self._journal = Journal(work / "journal", heading, _stands)
        self._state = _Work(
            Scraper(
                step.remote,
                step.limits,
                step.pace,
                step.strategy,
                step.decoding,
                step.follow_renames,
                step.max_repositories,
                scratch,
            ),
            self._journal,
        )
        for repository, targets in groups.items():
            left = [target for target in targets if target.key not in self._journal]
            for start in range(0, len(left), step.group):
                self._state.groups.put((repository, left[start : start + step.group]))
        for _ in range(min(step.pace.connections, self._state.groups.qsize())):
            threading.Thread(target=self._state.run, daemon=True).start()

    def __call__(self, batch: Batch) -> Outcome:
        """Return the outcome of a batch, waiting for what has not been scraped yet."""
        outcome = Outcome(tallies={"repositories": Counter()})
        for position, (line, row) in enumerate(zip(batch.lines, batch.rows, strict=True)):
            reason = self._step.reason_before(row)
            for name in _OWN_COLUMNS:
                row.pop(name, None)
            if reason is None and not target_of("", row).repositories:
                reason = "no_repository"
            if reason is not None:
                outcome.dropped.append((position, reason))
                continue
            result = orjson.loads(self._journal.wait_for(key_of(line), self._state.check))
            if "reason" in result:
                row |= {name: result[name] for name in ("repo", "error", "tried")}
                outcome.dropped.append((position, result["reason"]))
                continue
            row |= result
            first = {name: row[name] for name in _CONTENT_COLUMNS if name in row}
            outcome.kept.append(orjson.dumps(first | row))
            first_listed = target_of("", row).repositories[0]
            outcome.tallies["repositories"]["first" if result["repo"] == first_listed else "fork"] += 1
        return outcome

    def stop(self) -> None:
        """Let the threads end after the group they are at."""
        self._state.stopped.set()

    def __del__(self) -> None:
        self.stop()


class _Work:
    """What the threads of a unit share; they know nothing of the unit itself, so it can be forgotten."""

    def __init__(self, scraper: Scraper, journal: Journal) -> None:
        self.groups: queue.SimpleQueue[tuple[str, list[Target]]] = queue.SimpleQueue()
        self.stopped = threading.Event()
        self._scraper = scraper
        self._journal = journal
        self._fault: BaseException | None = None

    def check(self) -> bool:
        """Say that results may still come.

        Raises:
            BaseException: what ended a thread.
        """
        if self._fault is not None:
            raise self._fault
        return True

    def run(self) -> None:
        """Scrape groups until none is left."""
        try:
            while not self.stopped.is_set():
                repository, targets = self.groups.get_nowait()
                for scraped in self._scraper.scrape(repository, targets):
                    self._journal.add(scraped.target.key, _as_json(scraped))
        except queue.Empty:
            return
        except OSError as error:
            self._fault = explain_os_error(error, self._scraper.scratch or Path(os.curdir))
        except BaseException as error:  # whatever it is, the waiting thread must hear of it
            self._fault = error
        self.stopped.set()
        self._journal.wake()


_PASSING = tuple(b'{"reason":"%s"' % failure.value.encode() for failure in (*TRANSIENT, Failure.PRIVATE))


def _stands(result: bytes) -> bool:
    """Say whether a result holds for a later run: an outage, or a dead token, may have ended the one that wrote it."""
    return not result.startswith(_PASSING)


def _as_json(scraped: Scraped) -> bytes:
    if scraped.contents is not None:
        contents = {"old_contents": scraped.contents.old, "new_contents": scraped.contents.new}
        return orjson.dumps(contents | {"repo": scraped.repository})
    assert scraped.failure is not None
    tried = [{"repo": name, "reason": reason} for name, reason in scraped.tried]
    return orjson.dumps(
        {"reason": scraped.failure.value, "repo": scraped.repository, "error": scraped.detail, "tried": tried}
    )
