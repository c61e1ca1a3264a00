"""The training methods by name."""

from __future__ import annotations

from pathlib import Path

from octopack_train import faults
from octopack_train.recipe import Method, Recipe
from octopack_train.run_folder import RunFolder
from octopack_train.sft import Report


def run_method(recipe: Recipe, *, fresh: bool = False, report: Report = print) -> RunFolder:
    """Train with the recipe's method in this process; see `octopack_train.sft.train` for the arguments."""
    with faults.writing(Path(recipe.output), faults.RESUMES):
        if recipe.method is Method.GRPO:
            from octopack_train import grpo

            return grpo.train(recipe, fresh=fresh, report=report)
        from octopack_train import sft

        return sft.train(recipe, fresh=fresh, report=report)
