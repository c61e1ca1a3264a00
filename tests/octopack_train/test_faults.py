from collections.abc import Callable
from pathlib import Path

import pytest

from octopack_train.errors import TrainingError
from octopack_train.faults import RESUMES, DownloadError, downloads, memory, writing
from octopack_train.recipe import Recipe


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (ConnectionError("Connection broken: IncompleteRead(10 bytes read)"), "broke off.*same command again"),
        (OSError("We couldn't connect to the hub and couldn't find it in the cached files"), "broke off"),
        (TimeoutError("timed out"), "broke off"),
        (OSError("403 Client Error: you must accept the terms, GatedRepoError"), "accept its terms"),
        (OSError("x/y is not a local folder and is not a valid model identifier"), "check the name"),
        (RuntimeError("Error while deserializing header: incomplete metadata"), "cut short"),
        (ValueError("something else"), r"Cannot load the model x: ValueError: something else\.$"),
    ],
)
def test_what_goes_wrong_while_loading_becomes_one_line(fault: Exception, complaint: str):
    with pytest.raises(TrainingError, match=complaint) as caught, downloads("the model x"):
        raise fault
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, DownloadError) == ("broke off" in str(caught.value))


def test_an_interrupted_download_is_found_behind_other_errors():
    fault = ValueError("could not build the data set")
    fault.__cause__ = ConnectionError("connection reset by peer")
    with pytest.raises(DownloadError), downloads("the data set x"):
        raise fault


def test_the_reason_behind_an_error_that_says_nothing_is_told():
    fault = RuntimeError("An error occurred.")
    fault.__cause__ = ValueError("half a surrogate pair in row 7")
    fault.__cause__.__context__ = KeyError("from another attempt at reading it")
    complaint = r"RuntimeError: An error occurred; ValueError: half a surrogate pair in row 7\.$"
    with pytest.raises(TrainingError, match=complaint), downloads("the data set x"):
        raise fault


@pytest.mark.parametrize("fault", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_out_of_memory_says_what_to_change(fault: Exception, make_recipe: Callable[..., Recipe]):
    recipe = make_recipe("train.batch_size=4", "train.gradient_accumulation=2")
    advice = r"gradient_checkpointing=true.*batch_size=2 train\.gradient_accumulation=4"
    with pytest.raises(TrainingError, match=advice), memory(recipe):
        raise fault


def test_memory_that_runs_out_while_loading_is_no_broken_download(make_recipe: Callable[..., Recipe]):
    fault = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    with pytest.raises(TrainingError, match="Out of memory"), memory(make_recipe()), downloads("the model x"):
        raise fault


@pytest.mark.parametrize(
    "fault",
    [
        OSError(28, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 8280064 vs 8279952"),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_told_as_one(fault: Exception):
    full = r"The disk of runs/x is full.*\(or set train\.keep_checkpoints=1; "
    with pytest.raises(TrainingError, match=full) as caught, writing(Path("runs/x"), RESUMES):
        raise fault
    assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match="shape"), writing(Path("runs/x")):
        raise RuntimeError("shape mismatch")


def test_a_place_that_cannot_be_written_is_told_as_one(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("")
    complaint = r"Cannot write .*/file/x: choose another place"
    with pytest.raises(TrainingError, match=complaint) as caught, writing(file / "x"):
        (file / "x").write_text("")
    assert "\n" not in str(caught.value)


def test_other_faults_pass_through(make_recipe: Callable[..., Recipe]):
    with pytest.raises(RuntimeError, match="shape"), memory(make_recipe()):
        raise RuntimeError("shape mismatch")
