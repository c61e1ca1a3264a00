"""The five queries that choose commits, as parameterised SQL in one dialect, and the rules that fill them in.

The files in `sql/` are BigQuery SQL over plain table names. `render` puts real names in their place and translates the
text for the engine that runs it (`duckdb_engine`, `bigquery_engine`), so both run the same source.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octopack_data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlglot import exp

# What Python's str.strip removes; spelled out because SQL engines disagree on what white space is.
WHITESPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())

SOURCE_TABLES: dict[str, tuple[str, ...]] = {
    "languages": ("repo_name", "language"),
    "licenses": ("repo_name", "license"),
    "commits": ("commit", "subject", "message", "repo_name", "difference"),
}
"""The public tables and the columns that the queries read."""

METADATA_COLUMNS = ("commit", "subject", "message", "repos", "license", "old_file", "new_file")
"""Columns of the result, in order."""


class Reading(str, Enum):
    """Which of two readings of the queries to run."""

    INTENDED = "intended"
    LITERAL = "literal"


@dataclass(frozen=True, slots=True)
class Stage:
    """One query: its number, the name of its file, and the table it makes."""

    number: int
    name: str
    table: str

    @property
    def title(self) -> str:
        """The number and name, as in the name of the file."""
        return f"{self.number}_{self.name}"


STAGES = (
    Stage(1, "base", "commits_table_base"),
    Stage(2, "dedup", "commits_table_dedup"),
    Stage(3, "difference", "commits_table_dedup_difference"),
    Stage(4, "files", "commits_table_dedup_files"),
    Stage(5, "single_file", "commits_table_single_file"),
)

REASONS: dict[str, str] = {
    "repository": "no repository with an allowed licence and a listed language",
    "message_length": "message too short or too long",
    "stock_message": "the whole message is a stock message",
    "message_prefix": "the message starts with a listed prefix",
    "no_edited_file": "no changed file kept its path",
    "several_files": "more than one changed file kept its path",
    "several_entries": "more than one changed file, renamed ones included",
}
"""Why the intended reading drops a commit, in the order in which the rules are asked (sql/why_dropped.sql)."""

LITERAL_REASONS: dict[str, str] = {
    "stage 1_base": "lost in stage 1: licences and languages of its repositories, or its message",
    "stage 2_dedup": "lost in stage 2, which groups",
    "stage 3_difference": "lost in stage 3, which joins the changed files",
    "stage 4_files": "lost in stage 4: no changed file kept its path",
    "stage 5_single_file": "lost in stage 5: more than one row, for several files or several licences",
}
"""Where the literal reading loses a commit: its queries are not the rules one by one, so the stage is all there is."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The parameters of the queries; `default_rules` has the paper's values.

    Attributes:
        licenses: identifiers of the licences to keep.
        languages: a repository must hold one of these languages,
        language_prefixes: or one whose name starts so.
        messages: whole messages to drop, in lower case.
        message_prefixes: beginnings of messages to drop, in lower case.
        longer_than: messages must have more code points than this,
        shorter_than: and fewer than this.
        count_all_entries: whether stage 5 also counts changed files that did not keep their path.
        reading: the mended queries, or the reference's as written.
    """

    licenses: tuple[str, ...]
    languages: tuple[str, ...]
    language_prefixes: tuple[str, ...]
    messages: tuple[str, ...]
    message_prefixes: tuple[str, ...]
    longer_than: int
    shorter_than: int
    count_all_entries: bool = False
    reading: Reading = Reading.INTENDED

    def parameters(self) -> dict[str, Any]:
        """Return the value of every query parameter."""
        return {
            "licenses": list(self.licenses),
            "languages": list(self.languages),
            "language_prefixes": list(self.language_prefixes),
            "messages": list(self.messages),
            "message_prefixes": list(self.message_prefixes),
            "longer_than": self.longer_than,
            "shorter_than": self.shorter_than,
            "count_all_entries": self.count_all_entries,
            "whitespace": WHITESPACE,
            # The literal queries ask everything with LIKE, where a prefix is a pattern that ends in "%".
            "license_patterns": list(self.licenses),
            "language_patterns": [*self.languages, *(f"{prefix}%" for prefix in self.language_prefixes)],
            "message_patterns": [*self.messages, *(f"{prefix}%" for prefix in self.message_prefixes)],
        }


def _sql_folder() -> resources.abc.Traversable:
    return resources.files("octopack_data.commitpack") / "sql"


@cache
def default_rules() -> Rules:
    """Return the paper's rules (`sql/rules.yaml`)."""
    import yaml

    return Rules(**_checked(yaml.safe_load((_sql_folder() / "rules.yaml").read_text("utf-8")), "sql/rules.yaml"))


def load_rules(path: Path) -> Rules:
    """Return the paper's rules with the keys of a YAML file put in their place.

    Raises:
        DataError: the file is missing, not YAML, or has an unknown key or a value of the wrong kind.
    """
    import yaml

    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot read the rules ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    return replace(default_rules(), **_checked(data or {}, str(path)))


def _checked(data: object, where: str) -> dict[str, Any]:
    known = {field.name: str(field.type) for field in fields(Rules) if field.name != "reading"}
    if not isinstance(data, dict):
        raise DataError(f"{where}: rules are a mapping of names to values; the names are {', '.join(known)}")
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            raise DataError(f"{where}: unknown rule {key!r}; the rules are {', '.join(known)}")
        if known[key].startswith("tuple"):
            if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
                raise DataError(f"{where}: {key} must be a list of texts, here it is {value!r}")
            values[key] = tuple(dict.fromkeys(value))
        elif type(value).__name__ != known[key]:
            raise DataError(f"{where}: {key} must be {known[key]}, here it is {value!r}")
        else:
            values[key] = value
    return values


@dataclass(frozen=True, slots=True)
class Query:
    """SQL text in the dialect of an engine, and the values of the parameters it names."""

    sql: str
    parameters: Mapping[str, Any]


def stage_source(stage: Stage, reading: Reading) -> str:
    """Return the text of a stage's file; stages 3 to 5 are the same in both readings."""
    literal = _sql_folder() / "literal" / f"{stage.title}.sql"
    if reading is Reading.LITERAL and literal.is_file():
        return literal.read_text("utf-8")
    return (_sql_folder() / f"{stage.title}.sql").read_text("utf-8")


def stage_query(stage: Stage, rules: Rules, dialect: str, tables: Mapping[str, str]) -> Query:
    """Return the query of a stage for an engine.

    Args:
        stage: which of the five.
        rules: values of the parameters, and the reading.
        dialect: `bigquery` or `duckdb`.
        tables: real name of each table the query reads; tables left out keep their name.
    """
    return _render(_parse(stage_source(stage, rules.reading)), rules, dialect, tables)


def why_query(rules: Rules, dialect: str, tables: Mapping[str, str]) -> Query:
    """Return the query that names the first rule of the intended reading that drops each commit."""
    base = _parse(stage_source(STAGES[0], Reading.INTENDED))
    expression = _parse((_sql_folder() / "why_dropped.sql").read_text("utf-8"))
    repositories = next(part for part in base.find_all(_expressions().Subquery) if part.alias == "repositories")
    for table in list(expression.find_all(_expressions().Table)):
        if table.name == "repositories":
            table.replace(repositories.copy())
    return _render(expression, rules, dialect, tables)


def _expressions() -> Any:
    from sqlglot import exp

    return exp


def _parse(text: str) -> exp.Expr:
    import sqlglot

    return sqlglot.parse_one(text, read="bigquery")


def _render(expression: exp.Expr, rules: Rules, dialect: str, tables: Mapping[str, str]) -> Query:
    exp = _expressions()
    named = {parameter.this.name for parameter in expression.find_all(exp.Parameter)}
    values = rules.parameters()
    for table in list(expression.find_all(exp.Table)):
        if table.name in tables and not table.db:
            real = exp.to_table(tables[table.name], dialect="bigquery")
            table.replace(exp.alias_(real, table.alias or table.name, table=True))
    return Query(expression.sql(dialect, comments=False, pretty=True), {name: values[name] for name in sorted(named)})
