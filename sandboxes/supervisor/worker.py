"""One worker: reads programs from its standard input, judges one at a time, writes verdicts to its standard output.

Start it with `python3 -I -B <folder of this package> [options]`:

    --jail uid|bwrap|none   what keeps a program in (see `jails`); default none
    --work FOLDER           an empty folder for programs (a tmpfs); default: a new one below the temporary folder
    --warm FOLDER           prepared things: made by `--prepare`, used where they fit the toolchains; optional, with
                            --root by default the root's own; what is missing is made and kept in the user's cache
    --languages a,b         only these; default: every language whose toolchain answers
    --seccomp FILE          for bwrap: a system call filter (BPF) for programs
    --root FOLDER           for bwrap: an exported image's root; default: this machine's own system folders
    --prepare               build the prepared things into --warm (default: the cache) and end

Both directions carry frames of `protocol` (four bytes of length, then a JSON object):

    out  {"protocol": 1, "languages": ["python", ...], "toolchains": {"python": "Python 3.13.5", ...}, "pid": 7}
    in   {"id": 1, "language": "python", "source": "...", "test_offset": 120, "limits": {"cpu_seconds": 10, ...}}
    out  {"id": 1, "status": "passed", "reference_passed": true, ...}           all fields of `Verdict.to_json()`
    in   {"id": 2, "batch": [{"language": "rust", "source": "...", ...}, ...]}    one language a batch
    out  {"id": 2, "batch": [{"status": "passed", ...}, ...]}                    in the order of the request

`test_offset` and `limits` may be absent or null. A batch gives the verdicts that its programs would get alone; Rust
and Go judge it sooner (16 programs a batch), the others no later. A request that cannot be understood gets
{"id": ..., "error": "..."} and harms nothing.

The worker ends with status 0 at the end of its input. When it cannot vouch for its own cleanliness any more (something
of a program could not be started, ended or removed) it answers `sandbox_error` and ends with status 3: start another
one and ask again. Its standard error is for people. One container should hold one worker: the container's
memory, processes and tmpfs are then one program's.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .jails import Jail, NoJail, UidJail
from .languages import Setting, Strategy, strategy
from .namespaces import CACHE, NamespaceJail, enter_outer
from .processes import SandboxFault, become_subreaper
from .protocol import LANGUAGES, PROTOCOL_VERSION, Limits, Program, Status, Verdict, read_frame, write_frame

WORN_OUT = 3
"""The exit status of a worker that must be replaced."""


def main(arguments: Sequence[str]) -> int:
    """Run the worker; its exit status."""
    options = _parse(arguments)
    if options.jail == "bwrap":
        others = ["--languages", ",".join(options.languages)]
        warm = ["--warm", str(options.warm or "/opt/octopack/warm")] if options.root is not None else []
        enter_outer(
            [*others, *warm, *(["--prepare"] if options.prepare else [])], options.root, options.seccomp, _cache()
        )
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)  # Nothing but frames may reach the host.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    work = Path(options.work or tempfile.mkdtemp(prefix="octopack-"))
    become_subreaper()
    jail = _jail(options.jail, work, options.seccomp)
    scratch = {"uid": work, "namespaces": CACHE}.get(options.jail) or _cache()
    setting = Setting(jail, options.warm, scratch)
    strategies, toolchains = _start(options.languages, setting)
    try:
        if options.prepare:
            return _prepare(strategies, options.warm)
        write_frame(
            replies,
            {"protocol": PROTOCOL_VERSION, "languages": list(strategies), "toolchains": toolchains, "pid": os.getpid()},
        )
        while (request := read_frame(requests)) is not None:
            answer, healthy = _answer(request, strategies)
            write_frame(replies, {"id": request.get("id"), **answer})
            if not healthy:
                return WORN_OUT
        return 0
    except (BrokenPipeError, KeyboardInterrupt):
        return 0
    finally:
        for one in strategies.values():
            one.close()
        if options.work is None:
            _remove_empty(work)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="supervisor", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--jail", choices=("uid", "bwrap", "none", "namespaces"), default="none")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--warm", type=Path)
    parser.add_argument("--languages", type=lambda text: text.split(","), default=list(LANGUAGES))
    parser.add_argument("--seccomp", type=Path)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--prepare", action="store_true")
    return parser.parse_args(arguments)


def _cache() -> Path:
    """Where prepared things are kept between supervisors that run without an image."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path(os.environ.get("HOME") or tempfile.gettempdir()) / ".cache")
    return Path(base) / "octopack" / "warm"


def _jail(kind: str, work: Path, seccomp: Path | None) -> Jail:
    if kind == "uid":
        return UidJail(work)
    if kind == "namespaces":
        return NamespaceJail(work, seccomp)
    return NoJail(work)


def _start(languages: Sequence[str], setting: Setting) -> tuple[dict[str, Strategy], dict[str, str]]:
    """The strategies whose toolchain answers, and the toolchains' versions."""
    strategies, versions = {}, {}
    for language in languages:
        one = strategy(language, setting)
        try:
            versions[language] = one.version()
        except OSError as error:
            print(f"{language}: {error}", file=sys.stderr)  # noqa: T201
            continue
        strategies[language] = one
    return strategies, versions


def _prepare(strategies: dict[str, Strategy], warm: Path | None) -> int:
    """Prepare what makes programs start fast, in the folder of an image or in this user's cache."""
    for language, one in strategies.items():
        if warm is not None:
            one.prepare_marked(warm / language)
        else:
            _ = one.warm
    return 0


def _answer(request: dict[str, Any], strategies: dict[str, Strategy]) -> tuple[dict[str, Any], bool]:
    """The reply to a request, and whether the worker is still fit for another one."""
    try:
        programs = [_program(item) for item in request.get("batch", [request])]
        if len({program.language for program in programs}) != 1:
            raise ValueError("a batch holds programs of one language")
        language = programs[0].language
        if language not in strategies:
            raise ValueError(f"no toolchain for {language!r} here; there is {', '.join(strategies) or 'none'}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}, True
    healthy = True
    try:
        verdicts = strategies[language].judge_all(programs)
    except (SandboxFault, OSError) as error:
        verdicts = [Verdict(Status.SANDBOX_ERROR, detail=f"{type(error).__name__}: {error}")] * len(programs)
        healthy = False
    if "batch" in request:
        return {"batch": [verdict.to_json() for verdict in verdicts]}, healthy
    return verdicts[0].to_json(), healthy


def _program(item: dict[str, Any]) -> Program:
    limits, offset = item.get("limits"), item.get("test_offset")
    source = item["source"]
    if not isinstance(source, str) or not (offset is None or (isinstance(offset, int) and 0 <= offset <= len(source))):
        raise ValueError("source must be text and test_offset a place in it")
    return Program(item["language"], source, offset, None if limits is None else Limits(**limits))


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        print(f"left behind: {error}", file=sys.stderr)  # noqa: T201
