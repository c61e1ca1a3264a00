"""Faults of machines and networks, told as errors that say what to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from octopack_train.errors import TrainingError
from octopack_train.recipe import Quantization, Recipe


class DownloadError(TrainingError):
    """The hub could not be reached, or broke off."""


_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")
_BROKEN_DOWNLOAD = (
    "connect", "connection", "timed out", "timeout", "incompleteread", "chunkedencoding", "offline", "name resolution",
    "max retries", "temporary failure", "localentrynotfound", "peer closed", "could not reach",
)  # fmt: skip
_CUT_FILE = (
    "incomplete metadata",
    "headertoolarge",
    "invalid header",
    "unexpected eof",
    "pytorchstreamreader",
    "metadataincomplete",
)
_FULL_DISK = ("no space left", "os error 28", "quota exceeded", "pytorchstreamwriter", "unexpected pos")
"""Words of Python, safetensors and PyTorch; the last two are PyTorch's only sign of a write that failed."""
_NO_ACCESS = ("permission denied", "not a directory", "read-only file system", "file exists")


@contextmanager
def downloads(what: str) -> Iterator[None]:
    """Turn whatever the hub libraries raise while loading `what` into one clear error.

    Raises:
        TrainingError: no such repository, no access to it, a download that broke off, a file that was cut short.
    """
    try:
        yield
    except TrainingError:
        raise
    except Exception as error:
        if _is_out_of_memory(error):
            raise
        raise _explain_download(what, error) from error


def _told(error: BaseException) -> str:
    """Return names and words of an error and of those behind it, in lower case."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return " ".join(f"{type(link).__name__} {link}" for link in chain).lower()


def _explain_download(what: str, error: Exception) -> TrainingError:
    told = _told(error)
    short = _one_line(error)
    if "gatedrepo" in told or "403" in told:
        return TrainingError(
            f"No access to {what}: accept its terms on the hub and log in with `hf auth login` ({short})."
        )
    if any(sign in told for sign in _CUT_FILE):
        return TrainingError(f"A file of {what} is cut short: delete it and load it again ({short}).")
    if any(sign in told for sign in _BROKEN_DOWNLOAD):
        return DownloadError(
            f"Loading {what} broke off: check the network and run the same command again, finished files are kept; "
            f"or name a local folder ({short})."
        )
    if "notfound" in told or "404" in told or "doesn't exist" in told or "not a valid model identifier" in told:
        return TrainingError(f"Cannot find {what}, here or on the hub: check the name ({short}).")
    # Libraries hide a damaged row behind an error that says nothing of it.
    reasons = dict.fromkeys(_one_line(link).removesuffix(".") for link in (error, error.__cause__ or error))
    return TrainingError(f"Cannot load {what}: {'; '.join(reasons)}.")


RESUMES = "or set train.keep_checkpoints=1; the run goes on from its last whole checkpoint"
"""What more can be done when the disk of a training run is full."""


@contextmanager
def writing(target: Path, more: str = "") -> Iterator[None]:
    """Say what to do when a file or folder cannot be written.

    Args:
        target: what is written.
        more: what else can be done when the disk is full.

    Raises:
        TrainingError: no space left, or no permission to write there.
    """
    try:
        yield
    except Exception as error:  # OSError, SafetensorError and RuntimeError share no other base
        if isinstance(error, TrainingError):
            raise
        if any(sign in _told(error) for sign in _FULL_DISK):
            hint = f" ({more})" if more else ""
            raise TrainingError(
                f"The disk of {target} is full: free some space{hint} and run the same command again "
                f"({_one_line(error)})."
            ) from error
        if any(sign in _told(error) for sign in _NO_ACCESS):
            raise TrainingError(f"Cannot write {target}: choose another place ({_one_line(error)}).") from error
        raise


@contextmanager
def memory(recipe: Recipe) -> Iterator[None]:
    """Say which options save memory when it runs out.

    Raises:
        TrainingError: no memory left, on the GPU or on the machine.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise TrainingError(f"Out of memory: {memory_advice(recipe)} ({_one_line(error)}).") from error


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)


def memory_advice(recipe: Recipe) -> str:
    """Return the changes that save memory in this recipe, the gentlest first."""
    train = recipe.train
    advice = []
    if not train.gradient_checkpointing:
        advice.append("train.gradient_checkpointing=true")
    if train.batch_size > 1:
        half = train.batch_size // 2
        accumulation = train.gradient_accumulation * train.batch_size // half
        advice.append(f"train.batch_size={half} train.gradient_accumulation={accumulation}")
    if recipe.data.length > 512:
        advice.append(f"data.length={recipe.data.length // 2}")
    if recipe.model.dtype == "float32":
        advice.append("model.dtype=bfloat16")
    if recipe.lora is None:
        advice.append("a lora section")
    elif recipe.model.quantization is Quantization.NONE:
        advice.append("model.quantization=8bit (needs a GPU)")
    advice.append("launch.strategy=fsdp or zero3 over more GPUs")
    return f"try {', or '.join(advice)}"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
