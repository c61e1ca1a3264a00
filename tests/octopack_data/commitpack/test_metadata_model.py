"""The five stages against a plain Python reading of the same rules, on random tables full of edges."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

duckdb = pytest.importorskip("duckdb")

from octopack_data.commitpack.duckdb_engine import DuckDBEngine, Sources  # noqa: E402
from octopack_data.commitpack.metadata import STAGES, Reading, Rules, default_rules  # noqa: E402

Row = dict[str, Any]
LANGUAGES = ["Python", "C", "Perl", "Perl 6", "perl", "CSS", "XPython", "Common Lisp", "C ", "R"]
LICENSES = ["mit", "mit", "isc", "apache-2.0", "gpl-3.0", "MIT", "mit ", "bsd-3-clause"]
ENDS = ["", "", "!", " of it", "\n", "\r\n", "  ", "\t", "\u00a0", "\u3000", "\x1c", "\n\nBody\n", "\u200b", "!"]
STARTS = ["", "", "", " ", "\n", "\u2003", "x"]
PATHS = ["a.py", "b.py", "A.py", "", None, "d/\u00e9.py"]


def random_tables(seed: int, rules: Rules) -> dict[str, list[Row]]:
    generator = random.Random(seed)
    repositories = [f"o{n % 3}/r{n}" for n in range(12)]
    stock = [
        *rules.messages,
        "merge",
        "merge branch",
        "Fix it all",
        "Update xconfig.yaml",
        "\u0130 dot",
        "abc",
        "\U0001f600" * 3,
    ]
    commits = []
    for number in range(1200):
        message = generator.choice(STARTS) + generator.choice([str, str.upper, str.title])(generator.choice(stock))
        message += generator.choice(ENDS)
        commits.append(
            {
                "commit": f"{number:040x}",
                "subject": message.split("\n")[0],
                "message": None if generator.random() < 0.01 else message,
                "repo_name": generator.choices([*repositories, "no/body"], k=generator.choice([0, 1, 1, 1, 2, 3])),
                "difference": [
                    generator.choice([{"old_path": p, "new_path": p}, {"old_path": p, "new_path": q}])
                    for p, q in (generator.choices(PATHS, k=2) for _ in range(generator.choice([0, 1, 1, 1, 2, 3])))
                ],
            }
        )
    return {
        "languages": [
            {
                "repo_name": name,
                "language": [{"name": n, "bytes": 1} for n in generator.sample(LANGUAGES, generator.randrange(4))],
            }
            for name in repositories[1:]
        ],
        "licenses": [{"repo_name": name, "license": generator.choice(LICENSES)} for name in repositories[:-1]],
        "commits": commits,
    }


def like(text: str, pattern: str) -> bool:
    parts = (".*" if char == "%" else "." if char == "_" else re.escape(char) for char in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def long_enough(message: str | None, rules: Rules) -> bool:
    return message is not None and rules.longer_than < len(message) < rules.shorter_than


def intended(tables: dict[str, list[Row]], rules: Rules) -> list[list[tuple[Any, ...]]]:
    licenses = {row["repo_name"]: row["license"] for row in tables["licenses"] if row["license"] in rules.licenses}
    listed = {
        row["repo_name"]
        for row in tables["languages"]
        if any(
            entry["name"] in rules.languages or entry["name"].startswith(rules.language_prefixes)
            for entry in row["language"]
        )
    }
    one, two, four, five = [], [], [], []
    for commit in tables["commits"]:
        message = commit["message"]
        if not long_enough(message, rules):
            continue
        stripped = message.strip().lower()
        if stripped in rules.messages or stripped.startswith(rules.message_prefixes):
            continue
        names = sorted({name for name in commit["repo_name"] if name in licenses and name in listed})
        one += [(commit["commit"], name, licenses[name]) for name in names]
        if not names:
            continue
        head = (commit["commit"], ",".join(names), licenses[names[0]])
        two.append(head)
        same = [d for d in commit["difference"] if d["old_path"] == d["new_path"] is not None]
        four += [(*head, d["old_path"]) for d in same]
        if len(same) == 1 and (not rules.count_all_entries or len(commit["difference"]) == 1):
            five.append((*head, same[0]["old_path"]))
    return [one, two, two, four, five]


def literal(tables: dict[str, list[Row]], rules: Rules) -> list[list[tuple[Any, ...]]]:
    parameters = rules.parameters()
    one: list[tuple[Any, ...]] = []
    for commit in tables["commits"]:
        if not long_enough(commit["message"], rules):
            continue
        if any(like(commit["message"].lower(), pattern) for pattern in parameters["message_patterns"]):
            continue
        for name in commit["repo_name"]:
            for row in tables["languages"]:
                for entry in row["language"] if row["repo_name"] == name else []:
                    for known in tables["licenses"]:
                        if (
                            known["repo_name"] == name
                            and any(like(known["license"], pattern) for pattern in parameters["license_patterns"])
                            and any(like(entry["name"], pattern) for pattern in parameters["language_patterns"])
                        ):
                            one.append((commit["commit"], name, known["license"]))
    groups: dict[tuple[str, str], list[str]] = {}
    for commit_id, name, known_license in one:
        groups.setdefault((commit_id, known_license), []).append(name)
    two = [(commit_id, ",".join(sorted(names)), value) for (commit_id, value), names in groups.items()]
    differences = {commit["commit"]: commit["difference"] for commit in tables["commits"]}
    four = [
        (*head, d["old_path"])
        for head in two
        for d in differences[head[0]]
        if d["old_path"] == d["new_path"] is not None
    ]
    left = Counter(row[0] for row in four)
    return [one, two, two, four, [row for row in four if left[row[0]] == 1]]


COLUMNS = [
    ("commit", "unnested_repo_name", "license"),
    ("commit", "repos", "license"),
    ("commit", "repos", "license"),
    ("commit", "repos", "license", "old_file"),
    ("commit", "repos", "license", "old_file"),
]


@pytest.mark.parametrize(
    ("seed", "reading", "count_all"),
    [(1, Reading.INTENDED, False), (2, Reading.INTENDED, True), (3, Reading.LITERAL, False)],
)
def test_every_stage_agrees_with_the_model(tmp_path: Path, seed: int, reading: Reading, count_all: bool) -> None:
    rules = replace(default_rules(), reading=reading, count_all_entries=count_all)
    tables = random_tables(seed, rules)
    paths = {}
    for name, rows in tables.items():
        paths[name] = tmp_path / f"{name}.jsonl"
        paths[name].write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = Sources((paths["languages"],), (paths["licenses"],), (paths["commits"],))
    DuckDBEngine(tmp_path / "out", rules).run(sources)
    model = (intended if reading is Reading.INTENDED else literal)(tables, rules)
    assert len(model[4]) > 10
    for stage, columns, expected in zip(STAGES, COLUMNS, model, strict=True):
        names = ", ".join(f'"{column}"' for column in columns)
        found = duckdb.sql(f"SELECT {names} FROM '{tmp_path / 'out/_stages' / stage.title}.parquet'").fetchall()
        assert Counter(found) == Counter(expected), stage.title
