"""CommitPackFT as a step of the engine: rows of CommitPack in, instruction-like commits out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from octopack_data.commitpack.languages import UNKNOWN, directory_name
from octopack_data.commitpackft.filters import COLUMNS, Edit, Recipe, Semantics, recipe
from octopack_data.commitpackft.judge import Judge
from octopack_data.commitpackft.models import MODELS, Model
from octopack_data.commitpackft.tokens import TokenCounter, counter_for, tokenizer_identity
from octopack_data.decontamination import CONTAMINATED, Benchmark, tally
from octopack_data.pipeline import Batch, BatchFunction, Judgement, Outcome, Step
from octopack_data.redaction import redact

OTHER_LANGUAGE = "language not chosen"


@dataclass(frozen=True)
class CommitPackFT(Step):
    """The whole filter chain, with the additions that are off in the published recipe.

    Attributes:
        tokenizer_json: text of the tokenizer, None to leave the token rule out.
        tokenizer_name: how the user called it.
        semantics: which reading of the recipe.
        model: preset of the token rule and of the columns written.
        seed: of the random rule.
        starts: verbs a subject must start with instead of the recipe's own; None for those.
        languages: folder names (`python`, `c++`) of the languages to keep; None for all.
        by_language: write every language to a folder of its own, as the published data set has it.
        exact_reasons: count a dropped row under the first rule of the list that drops it (see `Judge`).
        redacted: replace secrets and e-mail addresses in kept rows.
        benchmark: drop rows that hold benchmark text; None to keep them.
    """

    name: ClassVar[str] = "commitpackft"
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = COLUMNS

    tokenizer_json: str | None
    tokenizer_name: str = ""
    semantics: Semantics = Semantics.PAPER
    model: Model = MODELS["starcoder"]
    seed: int = 0
    starts: tuple[str, ...] | None = None
    languages: frozenset[str] | None = None
    by_language: bool = False
    exact_reasons: bool = True
    redacted: bool = False
    benchmark: Benchmark | None = None

    @property
    def routed(self) -> bool:  # type: ignore[override]  # a choice of the user here, not of the class
        """Whether rows go to one folder for each language."""
        return self.by_language

    @property
    def recipe(self) -> Recipe:
        """The ordered rules; kept outside of the step, which travels to other processes as they cannot."""
        return recipe(self.semantics, self.seed, self.starts)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The rules in order, those of the additions around them."""
        chosen = () if self.languages is None else (OTHER_LANGUAGE,)
        rules = tuple(r for r in self.recipe.reasons if self.tokenizer_json is not None or r != self.recipe.tokens)
        return (*chosen, *rules, *(() if self.benchmark is None else (CONTAMINATED,)))

    def config(self) -> Mapping[str, object]:
        """Everything that changes the output, the parameters of every rule included."""
        steps = [s for s in (*self.recipe.before_tokens, *self.recipe.after_tokens) if not isinstance(s, Edit)]
        counted = self.tokenizer_json is not None
        return {
            "semantics": self.semantics.value,
            "model": self.model.name,
            "tokens": {
                "tokenizer": tokenizer_identity(self.tokenizer_name, self.tokenizer_json or "") if counted else None,
                "layout": self.model.bounds.layout,
                "minimum": self.model.bounds.minimum,
                "maximum": self.model.bounds.maximum,
            },
            "seed": self.seed,
            "starts": list(self.starts) if self.starts else None,
            "languages": sorted(self.languages) if self.languages is not None else None,
            "by_language": self.by_language,
            "exact_reasons": self.exact_reasons,
            "redacted": self.redacted,
            "benchmark": self.benchmark.identity() if self.benchmark else None,
            "rules": [{"rule": s.reason, "source": s.source, **s.parameters} for s in steps],
        }

    def _judge(self) -> Judge:
        counter: TokenCounter | None = None
        if self.tokenizer_json is not None:
            counter = counter_for(self.tokenizer_json, self.tokenizer_name)
        return Judge(self.recipe, counter, self.model.bounds, self.exact_reasons)

    def start(self) -> BatchFunction:
        """Load the tokenizer and return the filter function."""
        judge = self._judge().judge
        languages, benchmark, by_language = self.languages, self.benchmark, self.by_language

        def function(batch: Batch) -> Outcome:
            outcome = Outcome(routes=[] if by_language else None)
            kept, dropped = outcome.kept, outcome.dropped
            kept_languages: Counter[str] = Counter()
            for position, row in enumerate(batch.rows):
                if languages is not None and directory_name(row["lang"]) not in languages:
                    dropped.append((position, OTHER_LANGUAGE))
                    continue
                reason, subject = judge(row)
                if reason is not None:
                    dropped.append((position, reason))
                    continue
                if benchmark is not None and self._contaminated(benchmark, row, outcome):
                    dropped.append((position, CONTAMINATED))
                    continue
                kept.append(self._written(batch.lines[position], row, subject, outcome))
                kept_languages[row["lang"]] += 1
                if outcome.routes is not None:
                    outcome.routes.append(_safe_folder(row["lang"]))
            outcome.tallies["languages"] = kept_languages
            return outcome

        return function

    @staticmethod
    def _contaminated(benchmark: Benchmark, row: dict[str, Any], outcome: Outcome) -> bool:
        hits = benchmark.hits(f"{row['old_contents']}\n{row['new_contents']}")
        counts = outcome.tallies.setdefault("benchmark hits", Counter())
        counts.update(tally(hits))
        return bool(hits)

    def _written(self, line: bytes, row: dict[str, Any], subject: str, outcome: Outcome) -> bytes:
        """Return the line to write: the raw one when nothing about the row changes."""
        columns = self.model.columns
        if columns is not None and not self.redacted and subject == row["subject"] and tuple(row) == columns:
            return line
        row = row | {"subject": subject}
        if self.redacted:
            counts = outcome.tallies.setdefault("redacted", Counter())
            for column in ("old_contents", "new_contents", "subject", "message"):
                if isinstance(row.get(column), str):
                    row[column], found = redact(row[column])
                    counts.update(found)
        if columns is None:
            return orjson.dumps(
                {"inputs": f"{row['old_contents']}\n\n{row['subject']}", "targets": f"\n{row['new_contents']}"}
            )
        return orjson.dumps({column: row[column] for column in columns if column in row})

    def explain(self, row: dict[str, Any]) -> list[Judgement]:
        """Say what every rule makes of a row, up to the one that drops it."""
        lines: list[Judgement] = []
        if self.languages is not None:
            lines.append(Judgement(OTHER_LANGUAGE, directory_name(row["lang"]) in self.languages, row["lang"]))
        if not lines or lines[-1].passed:
            lines.extend(Judgement(*line) for line in self._judge().explain(row))
        if lines[-1].passed and self.benchmark is not None:
            hits = self.benchmark.hits(f"{row['old_contents']}\n{row['new_contents']}")
            shown = ", ".join(f"{hit.problem} {hit.column} ({hit.kind})" for hit in hits[:5]) or "none found"
            lines.append(Judgement(CONTAMINATED, not hits, shown))
        return lines


def _safe_folder(lang: str) -> str:
    """Return the folder of a language.

    `lang` is text from a file: it must not lead out of the output folder, nor be longer than a name can be (255 bytes).
    """
    folder = "".join(c if c.isprintable() and c not in "./\\" else "-" for c in directory_name(lang[:60]))
    return folder.lstrip("_") or UNKNOWN
