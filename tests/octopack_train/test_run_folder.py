"""What a run's folder refuses before anything is trained."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from octopack_train.errors import TrainingError
from octopack_train.recipe import Recipe
from octopack_train.run_folder import RunFolder


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_is_no_output_folder(tmp_path: Path, make_recipe: Callable[..., Recipe], below: str):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TrainingError, match="file is a file: choose another output"):
        RunFolder(tmp_path / "file" / below).check(make_recipe(), fresh=False)


def test_a_folder_without_permission_is_told_before_the_training(
    tmp_path: Path, make_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
):
    run = RunFolder(tmp_path / "a" / "b")
    run.check(make_recipe(), fresh=False)
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))  # root may write everywhere
    with pytest.raises(TrainingError, match="no permission to write in"):
        run.check(make_recipe(), fresh=False)
    assert asked == [(tmp_path, os.W_OK)]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, make_recipe: Callable[..., Recipe]):
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(TrainingError, match="is not empty and not a training run"):
        RunFolder(tmp_path).check(make_recipe(), fresh=True)
