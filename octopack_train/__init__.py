"""Recipes that train the models which the tasks evaluate.

from octopack_train import load_recipe, train
run = train(load_recipe("tiny", ["output=runs/first"]))
print(run.final)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from octopack_train.errors import TrainingError
    from octopack_train.methods import run_method as train
    from octopack_train.recipe import Recipe, build_recipe, load_recipe
    from octopack_train.run_folder import RunFolder

__all__ = ["Recipe", "RunFolder", "TrainingError", "build_recipe", "load_recipe", "train"]

_HOMES = {
    "Recipe": "recipe",
    "RunFolder": "run_folder",
    "TrainingError": "errors",
    "build_recipe": "recipe",
    "load_recipe": "recipe",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is used: `octopack --help` imports this package."""
    from importlib import import_module

    if name == "train":
        return import_module("octopack_train.methods").run_method
    if name in _HOMES:
        return getattr(import_module(f"octopack_train.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
