"""Leaves out the repositories of owners who asked for it, and the rows that are found nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import orjson

from octopack_data.errors import DataError
from octopack_data.pipeline import Batch, BatchFunction, Judgement, Outcome, Step

_LOGIN = re.compile(r"[A-Za-z0-9_.\[\]-]+")


class Policy(str, Enum):
    """How far an owner's wish reaches.

    `strict` removes every repository of the owners from a row, whatever the case of the login, and drops the row when
    none is left. `scripts` is what the published data were made with: a row goes only if it names one repository,
    once, of an owner spelled exactly so; a repository named twice escapes.
    """

    STRICT = "strict"
    SCRIPTS = "scripts"


def load_logins(path: Path) -> frozenset[str]:
    """Return the logins in a file, one a line; blank lines and lines that start with "#" are passed over.

    Raises:
        DataError: no such file, a line that cannot be a login, or no login at all.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()  # a byte order mark is no part of the first login
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot read the list of opted-out logins ({error})") from error
    logins = []
    for number, line in enumerate(lines, start=1):
        login = line.strip()
        if not login or login.startswith("#"):
            continue
        if not _LOGIN.fullmatch(login):  # it would match nobody, and the wish of its owner would go unheard
            raise DataError(f"{path}, line {number}: {login!r} is not a login; give one a line, no repositories")
        logins.append(login)
    if not logins:
        raise DataError(f"{path}: no login in the list; an empty list would leave everybody in")
    return frozenset(logins)


def keep_strictly(repos: str, logins: frozenset[str]) -> str | None:
    """Return the repositories that are left, each once, or None; `logins` are in lower case."""
    left = [name for name in dict.fromkeys(repos.split(",")) if name.partition("/")[0].lower() not in logins]
    return ",".join(left) if left else None


def keep_as_scripts(repos: str, logins: frozenset[str]) -> str | None:
    """Return the repositories unchanged, or None where the only one is an opted-out owner's."""
    return None if "," not in repos and repos.partition("/")[0] in logins else repos


@dataclass(frozen=True)
class OptOutStep(Step):
    """Drops the rows of opted-out owners.

    Attributes:
        logins: owners who opted out.
        policy: how far that reaches.
    """

    logins: frozenset[str]
    policy: Policy = Policy.STRICT

    name: ClassVar[str] = "commitpack-opt-out"
    columns: ClassVar[tuple[str, ...]] = ("repos",)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The one reason."""
        return ("opted_out",)

    def config(self) -> dict[str, object]:
        """Return the list and the policy."""
        return {"logins": sorted(self.logins), "policy": self.policy.value}

    def start(self) -> BatchFunction:
        """Return the function that drops and shortens."""
        strict = self.policy is Policy.STRICT
        keep = keep_strictly if strict else keep_as_scripts
        logins = frozenset(login.lower() for login in self.logins) if strict else self.logins

        def opt_out(batch: Batch) -> Outcome:
            outcome = Outcome()
            for position, (line, row) in enumerate(zip(batch.lines, batch.rows, strict=True)):
                repos = keep(row["repos"], logins)
                if repos is None:
                    outcome.dropped.append((position, "opted_out"))
                elif repos == row["repos"]:
                    outcome.kept.append(line)
                else:
                    outcome.kept.append(orjson.dumps(_shortened(row, repos)))
            return outcome

        return opt_out

    def explain(self, row: dict[str, Any]) -> list[Judgement]:
        """Say which repositories are left."""
        outcome = self.start()(Batch([orjson.dumps(row)], [row]))
        left = orjson.loads(outcome.kept[0])["repos"] if outcome.kept else "none"
        return [Judgement("opted_out", bool(outcome.kept), f"repositories {row['repos']!r}, left: {left!r}")]


def _shortened(row: dict[str, Any], repos: str) -> dict[str, Any]:
    """Return the row with fewer repositories; a commit is the same in each, so the contents stay."""
    row = {**row, "repos": repos}
    if "repo" in row and row["repo"] not in repos.split(","):
        row["repo"] = repos.partition(",")[0]
    return row
