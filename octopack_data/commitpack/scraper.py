"""Scrapes the contents of files before and after commits from one host, many commits of a repository in one fetch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import urljoin

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
    find_paths,
    is_commit_id,
    parse_commit,
    tree_path,
)
from octopack_data.commitpack.hosts import HostGate, Pace, ServerAnswer, ask_server

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
        location = answer.location if answer else None
        place = urljoin(f"{url}/info/refs", location).partition("/info/refs")[0] if location else ""
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
            return GitError(Failure.TOO_LARGE, f"more than {limit} bytes")  # the same words in every strategy
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
