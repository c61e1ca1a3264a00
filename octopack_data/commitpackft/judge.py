"""Applies a recipe to rows: cheap rules first, tokens only where they decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from octopack_data.commitpackft.filters import Commit, Edit, Recipe, Rule
from octopack_data.commitpackft.models import TokenBounds
from octopack_data.commitpackft.tokens import TokenCounter


class Decision(NamedTuple):
    """What the rules make of a row: the reason it is dropped for, or None, and the cleaned subject."""

    reason: str | None
    subject: str


_Section = tuple[Callable[[str], str] | None, tuple[tuple[Callable[[Commit], bool], str], ...]]
"""An edit, or none, and the rules up to the next one."""


def _sections(steps: tuple[Rule | Edit, ...]) -> list[_Section]:
    sections: list[_Section] = []
    change: Callable[[str], str] | None = None
    rules: list[tuple[Callable[[Commit], bool], str]] = []
    for step in steps:
        if isinstance(step, Rule):
            rules.append((step.keeps, step.reason))
        else:
            sections.append((change, tuple(rules)))
            change, rules = step.change, []
    return [*sections, (change, tuple(rules))]


def _first_failing(sections: list[_Section], commit: Commit) -> str | None:
    for change, rules in sections:
        if change is not None:
            commit.set_subject(change(commit.subject))
        for keeps, reason in rules:
            if not keeps(commit):
                return reason
    return None


class Judge:
    """Applies a recipe to rows: the cheap rules first, tokens counted only where they decide.

    Args:
        recipe: the ordered rules.
        counter: counts tokens; None leaves the token rule out.
        bounds: of the token rule.
        exact_reasons: give the first rule of the list that drops a row. Otherwise a row that a cheap rule behind the
            token rule drops is counted there without its tokens being counted: the kept rows are the same.
    """

    def __init__(
        self, recipe: Recipe, counter: TokenCounter | None, bounds: TokenBounds, exact_reasons: bool = True
    ) -> None:
        self._before = _sections(recipe.before_tokens)
        self._after = _sections(recipe.after_tokens)
        self._recipe = recipe
        self._counter = counter
        self._bounds = bounds
        self._exact = exact_reasons

    def decide(self, row: dict[str, Any]) -> Decision:
        """Return the decision on one row (columns: `COLUMNS`)."""
        return Decision(*self.judge(row))

    def judge(self, row: dict[str, Any]) -> tuple[str | None, str]:
        """Return the fields of the decision; for the inner loop, where making a `Decision` would be felt."""
        commit = Commit(row)
        reason = _first_failing(self._before, commit)
        if reason is not None:
            return reason, commit.subject
        before = commit.subject
        reason = _first_failing(self._after, commit)
        if self._counter is not None and (reason is None or self._exact) and not self._tokens_fit(commit, before):
            reason = self._recipe.tokens
        return reason, commit.subject

    def _tokens(self, commit: Commit, subject: str) -> int:
        assert self._counter is not None
        return self._bounds.count(self._counter, commit.old, subject, commit.new)

    def _tokens_fit(self, commit: Commit, subject: str) -> bool:
        return self._bounds.minimum <= self._tokens(commit, subject) <= self._bounds.maximum

    def explain(self, row: dict[str, Any]) -> list[tuple[str, bool, str]]:
        """Return (rule, passed, value decided on) for every rule up to the one that drops the row."""
        commit = Commit(row)
        lines: list[tuple[str, bool, str]] = []
        for step in (*self._recipe.before_tokens, None, *self._recipe.after_tokens):
            if isinstance(step, Edit):
                before = commit.subject
                commit.set_subject(step.change(before))
                changed = "unchanged" if commit.subject == before else f"{before!r} -> {commit.subject!r}"
                lines.append((step.reason, True, changed))
            elif step is None:
                if self._counter is None:
                    continue
                count = self._tokens(commit, commit.subject)
                shown = f"more than {self._bounds.maximum}" if count > self._bounds.maximum else str(count)
                passed = self._bounds.minimum <= count <= self._bounds.maximum
                allowed = f"{self._bounds.minimum}..{self._bounds.maximum}"
                lines.append((self._recipe.tokens, passed, f"{shown} tokens, allowed {allowed}"))
            else:
                lines.append((step.reason, step.keeps(commit), str(step.shows(commit))))
            if not lines[-1][1]:
                break
        return lines
