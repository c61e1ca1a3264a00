"""What a run's folder refuses before anything is trained."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from octopack_train.errors import TrainingError
from octopack_train.faults import RESUMES
from octopack_train.recipe import Recipe
from octopack_train.run_folder import RunFolder, new_folder


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


def manifest(**files: str) -> str:
    return json.dumps({"files": files})


def checkpoint(run: RunFolder) -> None:
    folder = run.checkpoints / "checkpoint-1"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text('{"global_step": 1, "max_steps": 4}')


def test_a_folder_in_which_another_process_trains_is_left_alone(tmp_path: Path, make_recipe: Callable[..., Recipe]):
    run = RunFolder(tmp_path / "run")
    code = f"""
from octopack_train.recipe import load_recipe
from octopack_train.run_folder import RunFolder
from pathlib import Path
with RunFolder(Path({str(run.path)!r})).begin(load_recipe("tiny"), '{{"files": {{}}}}', fresh=False):
    print("begun", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"begun\n"
        before = run.recipe_file.read_text()
        for fresh in (False, True):
            with (
                pytest.raises(TrainingError, match="Another process trains in"),
                run.begin(make_recipe(), manifest(), fresh=fresh),
            ):
                pass
        assert run.recipe_file.read_text() == before
        other.kill()
        other.wait()
    with run.begin(make_recipe(), manifest(), fresh=False):
        pass


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path, make_recipe: Callable[..., Recipe]):
    run = RunFolder(tmp_path / "run")
    with run.begin(make_recipe(), manifest(rows="1"), fresh=False):
        pass
    with run.begin(make_recipe(), manifest(rows="2"), fresh=False):  # nothing has been learnt yet
        checkpoint(run)
    with run.begin(make_recipe(), manifest(rows="2"), fresh=False):
        pass
    with (
        pytest.raises(TrainingError, match=r"^more, rows changed since"),
        run.begin(make_recipe(), manifest(rows="1", more="2"), fresh=False),
    ):
        pass
    assert json.loads(run.manifest_file.read_text()) == {"files": {"rows": "2"}}
    with run.begin(make_recipe(), manifest(rows="1"), fresh=True):
        assert run.last_checkpoint() is None


def test_what_a_full_disk_advises_is_no_other_run(tmp_path: Path, make_recipe: Callable[..., Recipe]):
    run = RunFolder(tmp_path / "run")
    with run.begin(make_recipe(), manifest(), fresh=False):
        checkpoint(run)
    assert "train.keep_checkpoints=1" in RESUMES
    run.check(make_recipe("train.keep_checkpoints=1"), fresh=False)
    with pytest.raises(TrainingError, match=r"other settings \(train\.seed\)"):
        run.check(make_recipe("train.keep_checkpoints=1", "train.seed=1"), fresh=False)


def test_a_fresh_start_leaves_nothing_half_written(tmp_path: Path, make_recipe: Callable[..., Recipe]):
    run = RunFolder(tmp_path / "run")
    with run.begin(make_recipe(), manifest(), fresh=False):
        (run.path / "adapter.partial").mkdir()
    with run.begin(make_recipe(), manifest(), fresh=True):
        assert not (run.path / "adapter.partial").exists()


def write_half(file: Path) -> None:
    file.write_text("half")
    raise OSError(28, "No space left on device")


def test_a_new_folder_is_there_when_it_is_complete_or_not_at_all(tmp_path: Path):
    target, partial = tmp_path / "model", tmp_path / "model.partial"
    partial.mkdir()
    (partial / "old").write_text("of a process that was killed")
    with pytest.raises(TrainingError, match="is full"), new_folder(target) as folder:
        write_half(folder / "weights")
    assert list(tmp_path.iterdir()) == []
    with new_folder(target) as folder:
        (folder / "weights").write_text("whole")
    assert [file.name for file in target.iterdir()] == ["weights"]
    with pytest.raises(TrainingError, match="exists: choose another folder"), new_folder(target):
        pass
