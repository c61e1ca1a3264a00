"""JavaScript: node runs the program through `resources/run.js`, which alone holds the key.

Leaving early (`process.exit`, `process.reallyExit`, `process.abort`, a swallowed exception) never reaches the line that
writes the key; a `return` at top level is found by parsing; a failed `console.assert` spoils the key even where the
program silences the streams. As in the reference, a program that prints anything, to either stream, fails.

Left over: a program that shadows `console` in its own scope hollows out its assertions; when none of its tests' ran, it
is not proven.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import subprocess
from pathlib import Path
from typing import ClassVar

from ..processes import Command
from ..protocol import Status, Verdict
from .base import KEY_BYTES, RESOURCES, Case, Strategy, build, finished, first_line, new_key, stopped

QUICK = ["--single-threaded"]  # Most programs end before helper threads have started.
_REASONS = (
    "a test did not hold, and it hid that",
    "it returns before its tests",
    "no assertion of its tests ran",
    "it reaches into the runtime",
)
_LOOKS = (
    (r"\.prototype\s*(\.|\[)[^=\n]*=[^=]|\b__proto__\b|setPrototypeOf", "it changes prototypes"),
    (r"\b(Object\.is|JSON\.\w+|Array\.\w+|Math\.\w+)\s*=[^=]", "it replaces a built-in function"),
    (r"\b(const|let|var|function|class)\s+console\b", "it shadows console"),
    (r"\bprocess\s*\.\s*(exit|reallyExit|abort|kill|on|once|exitCode)\b", "it interferes with how a program ends"),
    (
        r"\b(inspector|getHeapSnapshot|setFlagsFromString|_debugProcess|SIGUSR1|worker_threads)\b|/proc/",
        "it may look inside",
    ),
    (r"(?<!\.)\b(valueOf|toString|toJSON)\s*(:|=|\(\s*\)\s*\{)|\btoPrimitive\b", "it defines conversion of its own"),
)


class JavaScript(Strategy):
    """JavaScript programs."""

    language = "js"
    resources: ClassVar[tuple[str, ...]] = ("run.js", "js-md5.js")
    prepared = 2

    def version(self) -> str:
        """See `Strategy`."""
        return "node " + first_line("node", "--version")

    def prepare(self, warm: Path) -> None:
        """See `Strategy`."""
        modules = warm / "node_modules" / "js-md5"
        modules.mkdir(parents=True)
        (modules / "index.js").write_bytes((RESOURCES / "js-md5.js").read_bytes())
        (warm / "run.js").write_bytes((RESOURCES / "run.js").read_bytes())
        with contextlib.suppress(OSError):  # Not every build of node can make a snapshot.
            build(warm, "node", *QUICK, "--snapshot-blob", "run.blob", "--build-snapshot", "run.js")

    @functools.cached_property
    def _start(self) -> list[str]:
        """How programs start."""
        return self.started(self.warm / "run.blob", self.warm / "run.js")

    @staticmethod
    def started(snapshot: Path, script: Path) -> list[str]:
        """How node starts: from the snapshot where that works (it is bound to the machine's kind), else plainly."""
        start = ["node", *QUICK, "--snapshot-blob", str(snapshot)]
        trial = subprocess.run(start, capture_output=True, check=False, stdin=subprocess.DEVNULL, cwd="/")
        return start if trial.returncode == 0 else ["node", str(script)]

    def judge(self, case: Case) -> Verdict:
        """See `Strategy`."""
        case.box.write("test.js", case.program.source.encode("utf-8", "surrogatepass"))
        return self.judge_script(case, case.candidate)

    def judge_script(self, case: Case, candidate: str) -> Verdict:
        """Judge the script `test.js` in a case's box; `candidate` is its part that came from a model."""
        key = new_key()
        expects = "1" if "console.assert" in case.tests else "0"
        argv = [*self._start, "test.js", expects]
        env = {"NODE_PATH": str(self.warm / "node_modules"), "OPENSSL_CONF": "/dev/null"}
        outcome = self.execute(case, Command(case.running(), argv, env=env, key=key))
        if verdict := stopped(case, outcome):
            return verdict
        message, note = outcome.evidence[:KEY_BYTES], outcome.evidence[KEY_BYTES:]
        # The reference looks at what the program printed, not at its exit status.
        reference = not outcome.stdout and not outcome.stderr and outcome.exit_code >= 0
        if reference and message != key and message[:1] == b"!" and outcome.exit_code == 0:
            reason = _REASONS[min(message[1], len(_REASONS) - 1)]
            return case.verdict(Status.FAILED, outcome, reference=True, detail=f"not proven: {reason}")
        if reference and message == key and note == b"console.assert":
            case.suspicious.append("it replaces console.assert")
        elif reference and note:
            message = b"forged"
        if (
            outcome.exit_code == 1
            and re.search(rb"^SyntaxError", outcome.stderr, re.MULTILINE)
            and not outcome.evidence
        ):
            return case.verdict(Status.COMPILE_ERROR, outcome, stage="compile", detail="it does not parse")
        if outcome.exit_code == 0 and outcome.stdout and not outcome.stderr:
            return case.verdict(Status.FAILED, outcome, detail="it prints, which the reference counts as a failure")
        case.suspicious += [why for pattern, why in _LOOKS if re.search(pattern, candidate)]
        held = b"Assertion failed" not in outcome.stderr
        return finished(
            case, dataclasses.replace(outcome, evidence=message), key, reference=reference, failed_by_test=not held
        )


STRATEGY = JavaScript
