"""Gives each row the licence of its repository, and keeps the rows under an allowed one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from octopack_data.commitpack.languages import UNKNOWN, with_field
from octopack_data.errors import DataError
from octopack_data.pipeline import Batch, BatchFunction, Judgement, Outcome, Step
from octopack_data.shards import fingerprint_of, iter_rows


def load_licenses(path: Path) -> dict[str, str]:
    """Return the licence of each repository in a table.

    Rows hold `license` and either `repos` (a comma list, as the published table) or `repo_name` (as the public table of
    GitHub's data set). Of two rows for one repository the later one counts, as in the reference.

    Raises:
        DataError: no such file, or a row without these columns.
    """
    licenses: dict[str, str] = {}
    for number, row in enumerate(iter_rows(path), start=1):
        names, value = row.get("repos", row.get("repo_name")), row.get("license")
        if not isinstance(names, str) or not isinstance(value, str):
            raise DataError(
                f"{path}, row {number}: expected the text columns 'license' and 'repos' (or 'repo_name'), "
                f"here are {', '.join(map(str, row)) or 'none'}"
            )
        for name in names.split(","):
            licenses[name] = value
    return licenses


def license_of(repos: str, licenses: Mapping[str, str]) -> str:
    """Return the licence of the first listed repository that the table knows, or "unknown"."""
    return next((licenses[name] for name in repos.split(",") if name in licenses), UNKNOWN)


@cache
def _content_hash(path: Path, changed: int) -> str:
    """Return the hash of a file; the engine asks for it once for each shard."""
    del changed
    return fingerprint_of(path).hexdigest()


@dataclass(frozen=True)
class LicensesStep(Step):
    """Sets the column `license` and drops what is not allowed.

    Attributes:
        table: file with the licence of each repository; None takes the licence that the row already has.
        allowed: identifiers to keep.
        keep_unknown: whether rows without a known licence are kept, as in the published data.
    """

    table: Path | None
    allowed: tuple[str, ...]
    keep_unknown: bool = False

    name: ClassVar[str] = "commitpack-licenses"
    columns: ClassVar[tuple[str, ...]] = ("repos",)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why rows go."""
        return ("license_unknown", "license_not_allowed")

    def config(self) -> dict[str, object]:
        """Return the contents of the table, and what is allowed."""
        table = _content_hash(self.table, self.table.stat().st_mtime_ns) if self.table else None
        return {"table": table, "allowed": sorted(self.allowed), "keep_unknown": self.keep_unknown}

    def start(self) -> BatchFunction:
        """Load the table; return the function that sets and drops."""
        licenses = load_licenses(self.table) if self.table else None
        allowed = frozenset(self.allowed)

        def attach(batch: Batch) -> Outcome:
            outcome = Outcome(tallies={"licenses": Counter()})
            for position, (line, row) in enumerate(zip(batch.lines, batch.rows, strict=True)):
                found = self._find(row, licenses)
                outcome.tallies["licenses"][found] += 1
                if found == UNKNOWN and not self.keep_unknown:
                    outcome.dropped.append((position, "license_unknown"))
                elif found != UNKNOWN and found not in allowed:
                    outcome.dropped.append((position, "license_not_allowed"))
                else:
                    known = row.get("license") == found
                    outcome.kept.append(line if known else with_field(line, row, "license", found))
            return outcome

        return attach

    @staticmethod
    def _find(row: dict[str, Any], licenses: Mapping[str, str] | None) -> str:
        if licenses is not None:
            return license_of(row["repos"], licenses)
        known = row.get("license")
        return known if known and isinstance(known, str) else UNKNOWN

    def explain(self, row: dict[str, Any]) -> list[Judgement]:
        """Say which licence was found."""
        licenses = load_licenses(self.table) if self.table else None
        found = self._find(row, licenses)
        passed = self.keep_unknown if found == UNKNOWN else found in self.allowed
        return [Judgement("license", passed, f"{found} (of {row['repos']})")]
