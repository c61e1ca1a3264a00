"""The scraping step: rows of metadata in, the same rows with the file before and after out, failures kept aside."""

from __future__ import annotations

import hashlib
import os
import queue
import re
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import orjson

from octopack_data.commitpack.git import TRANSIENT, Failure, Limits, Remote, check_git
from octopack_data.commitpack.hosts import Pace
from octopack_data.commitpack.journal import Journal
from octopack_data.commitpack.languages import has_listed_suffix
from octopack_data.commitpack.scraper import Decoding, Scraped, Scraper, Strategy, Target
from octopack_data.pipeline import Batch, BatchFunction, Judgement, Outcome, Step, Unit
from octopack_data.shards import explain_os_error, read_lines

NOISE_MESSAGES = frozenset({"initial commit", "please\n", "please", "lalala"})
"""Whole messages that the reference drops before it scrapes."""

_OWN_COLUMNS = ("dropped_by", "repo", "error", "tried")


def prefilter(row: dict[str, Any]) -> str | None:
    """Return why a row is not worth scraping, by the reference's three rules, or None."""
    if not has_listed_suffix(row["new_file"]):
        return "extension"
    if row["message"] == "Update " + row["old_file"]:
        return "update_file"
    if row["message"] in NOISE_MESSAGES:
        return "noise_message"
    return None


def key_of(line: bytes) -> str:
    """Return the key of a metadata row: the same line is the same work."""
    return hashlib.blake2b(line, digest_size=16).hexdigest()


def target_of(key: str, row: dict[str, Any]) -> Target:
    """Return what is to be scraped for a row; its repositories keep their order and are named once."""
    repositories = tuple(dict.fromkeys(name for name in row["repos"].split(",") if name))
    return Target(key, row["commit"], row["old_file"], row["new_file"], repositories)


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
    batch_bytes: ClassVar[int] = 1 << 9  # two or three rows: they grow two hundred times here, some to 20 MB

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
            result = self._journal.wait_for(key_of(line), self._state.check)
            scraped = _SCRAPED.match(result)
            if scraped is None:
                failed = orjson.loads(result)
                outcome.dropped.append((position, failed.pop("reason")))
                row |= failed
                continue
            repository = scraped[1].decode()
            outcome.kept.append(_with_contents(row, repository, result[scraped.end() : -1]))
            first_listed = target_of("", row).repositories[0]
            outcome.tallies["repositories"]["first" if repository == first_listed else "fork"] += 1
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


_SCRAPED = re.compile(rb'\{"repo":"([^"]*)",(?="old_contents":)')


def _with_contents(row: dict[str, Any], repository: str, contents: bytes) -> bytes:
    """Return a row with contents, which stay the bytes they are in the journal: some have many megabytes."""
    first = {name: row[name] for name in ("commit", "old_file", "new_file")}
    rest = {name: row[name] for name in row if name not in first and name not in ("old_contents", "new_contents")}
    return b"".join((orjson.dumps(first)[:-1], b",", contents, b",", orjson.dumps(rest | {"repo": repository})[1:]))


def _as_json(scraped: Scraped) -> bytes:
    if scraped.contents is not None:
        contents = {"old_contents": scraped.contents.old, "new_contents": scraped.contents.new}
        return orjson.dumps({"repo": scraped.repository} | contents)
    assert scraped.failure is not None
    tried = [{"repo": name, "reason": reason} for name, reason in scraped.tried]
    return orjson.dumps(
        {"reason": scraped.failure.value, "repo": scraped.repository, "error": scraped.detail, "tried": tried}
    )
