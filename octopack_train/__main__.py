"""`python -m octopack_train RECIPE.yaml`: one process of a launched run."""

from __future__ import annotations

import sys

from octopack_train.errors import TrainingError
from octopack_train.methods import run_method
from octopack_train.recipe import load_recipe


def main() -> int:
    """Train in this process and return the exit status."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--fresh"]
    if not arguments:
        print("usage: python -m octopack_train RECIPE.yaml [key=value ...] [--fresh]", file=sys.stderr)  # noqa: T201
        return TrainingError.exit_code
    try:
        run_method(load_recipe(arguments[0], arguments[1:]), fresh="--fresh" in sys.argv)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
