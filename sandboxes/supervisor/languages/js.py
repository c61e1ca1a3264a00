"""JavaScript: node runs the program through `resources/run.js`, which alone holds the key.

Starting costs most: the dynamic linker's work on node's library and the JavaScript that node runs before a program's.
So a warm process has the library loaded and forks; each fork makes a virtual machine of its own, from a snapshot of
the start-up heap, and shares no object, random seed or thread with another. Where node is one executable without a
library, or cannot make snapshots, it is started the usual way.

Leaving early (`process.exit`, `process.reallyExit`, `process.abort`, a swallowed exception) never reaches the line that
writes the key; a `return` at top level is found by parsing; a failed `console.assert` spoils the key even where the
program silences the streams. As in the reference, a program that prints anything, to either stream, fails.

Left over: a program that shadows `console` in its own scope hollows out its assertions; when none of its tests' ran, it
is not proven.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar, NoReturn

from ..processes import Command, Zygote
from ..protocol import Status, Verdict
from .base import KEY_BYTES, RESOURCES, Case, Setting, Strategy, build, finished, first_line, new_key, of_tests, stopped

QUICK = ["--single-threaded", "--inspect-port=192.0.2.1:9229"]
"""Most programs end before helper threads have started; a debugger, which a signal would start, finds no address."""
_LIBRARY = "const v = process.config.variables; v.node_shared ? `libnode.${v.shlib_suffix}` : ''"
_ENTRY = "_ZN4node5StartEiPPc"  # node::Start(int, char**), all that the executable calls.
_REASONS = (
    "a test did not hold, and it hid that",
    "it returns before its tests",
    "no assertion of its tests ran",
    "it reaches into the runtime",
    "its last statement reaches into the tests",
)
_NOTES = {
    "console.assert": "it replaces console.assert",
    "built-in": "it changes built-in functions",
    "worker_threads": "it starts worker threads, which may look inside",
}
_LATE = re.compile(r"\b(async|await|Promise|setTimeout|setImmediate|setInterval|nextTick|queueMicrotask)\b|\.then\b")
"""In tests: they may end after the program's last line."""
_USED = re.compile(r"\b(JSON|Math|Object|Array|String|Number|assert)\s*\.\s*(\w+)")
"""Functions of the library in tests."""
_DEFINED = re.compile(
    r"^(?:async\s+)?(?:function\s*\*?\s*|(?:const|let|var)\s+(?=\w+\s*=\s*(?:async\b|function\b|\(|\w+\s*=>)))(\w+)",
    re.MULTILINE,
)
_ASSERT_MODULE = re.compile(r"[\"'](?:node:)?assert(?:/strict)?[\"']")
_LOOKS = (
    (r"\.prototype\s*(\.|\[)[^=\n]{0,99}=[^=]|\b__proto__\b|setPrototypeOf", "it changes prototypes"),
    (r"\b(Object\.is|JSON\.\w+|Array\.\w+|Math\.\w+)\s*=[^=]", "it replaces a built-in function"),
    (r"\bconsole\b(?!\s*(\.|\?\.))", "it shadows console"),
    (
        r"\b(?:const|let|var|function|class)\s+(JSON|Math|Object|Array|String|Number|Boolean|require)\b",
        "it shadows {0}",
    ),
    (r"\beval\b|\\u(00|\{0*)([46][1-9a-fA-F]|[57][0-9aA])", "it hides its text"),
    (
        r"\b(__filename|callee|caller|prepareStackTrace|openSync|createReadStream|test\.[jt]s)\b|\b(readFile|copyFile)|"
        r"\bmodule\s*\.\s*filename\b",
        "it may read its tests",
    ),
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
    prepared = 4

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._zygote: Zygote | None = None

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
        (warm / "library").write_text(build(warm, "node", "--print", _LIBRARY).strip())

    @functools.cached_property
    def _start(self) -> list[str]:
        """How programs start."""
        return self.started(self.warm / "run.blob", self.warm / "run.js")

    def started(self, snapshot: Path, script: Path) -> list[str]:
        """How node starts: from the snapshot where that works (it is bound to the machine's kind), else plainly."""
        start = [self._node, *QUICK, "--snapshot-blob", str(snapshot)]
        trial = subprocess.run(start, capture_output=True, check=False, stdin=subprocess.DEVNULL, cwd="/")
        return start if trial.returncode == 0 else [self._node, str(script)]

    @functools.cached_property
    def _node(self) -> str:
        """Node's executable; a copy that can be read where programs cannot run what they cannot read."""
        node = Path(shutil.which("node") or "node")
        if self.jail.runs_unread or node.stat().st_mode & stat.S_IROTH:
            return str(node)
        code = node.read_bytes()
        copy = self.setting.scratch / f"node-{hashlib.sha256(code).hexdigest()[:16]}"
        if not copy.exists():
            self.setting.scratch.mkdir(parents=True, exist_ok=True)
            handle, made = tempfile.mkstemp(dir=self.setting.scratch)
            with os.fdopen(handle, "wb") as file:
                file.write(code)
            Path(made).chmod(0o755)
            Path(made).replace(copy)  # whole, or not there: other supervisors share the cache
        return str(copy)

    @functools.cached_property
    def _library(self) -> _Library | None:
        """Node's library, where it has one that can be called."""
        name = (self.warm / "library").read_text()
        try:
            return _Library(name) if name and hasattr(ctypes.CDLL(name), _ENTRY) else None
        except OSError:
            return None

    def _command(self, case: Case, key: bytes, candidate: str) -> Command:
        """Node with the program: forked from the warm process where there is one."""
        late, module = _LATE.search(case.tests), _ASSERT_MODULE.search(case.tests)
        asserts = "module" if module else "console" if "console.assert" in case.tests and not late else ""
        used = ",".join(sorted({f"{owner}.{name}" for owner, name in _USED.findall(case.tests)}))
        argv = [*self._start, "test.js", asserts, str(utf16_units(candidate)), self._node, used]
        env = {"NODE_PATH": str(self.warm / "node_modules"), "OPENSSL_CONF": "/dev/null"}
        if self._library is None:
            return Command(case.running(), argv, env=env, key=key)
        if self._zygote is None:
            self._zygote = Zygote(self.jail, self._library.load, self._library.run)
        return Command(case.running(), env=env, key=key, zygote=self._zygote, payload="\0".join(argv).encode())

    def judge(self, case: Case) -> Verdict:
        """See `Strategy`."""
        case.box.write("test.js", parted(case).encode("utf-8", "surrogatepass"))
        return self.judge_script(case, case.candidate, case.candidate if case.tests else "")

    def judge_script(self, case: Case, candidate: str, before_tests: str = "") -> Verdict:
        """Judge the script `test.js` in a case's box.

        Args:
            case: The case.
            candidate: Its part that came from a model.
            before_tests: What stands in it before the tests, where that is known.
        """
        key = new_key()
        outcome = self.execute(case, self._command(case, key, before_tests))
        if verdict := stopped(case, outcome):
            return verdict
        message, note = outcome.evidence[:KEY_BYTES], outcome.evidence[KEY_BYTES:]
        # The reference looks at what the program printed, not at its exit status.
        reference = not outcome.stdout and not outcome.stderr and outcome.exit_code >= 0
        if reference and message != key and message[:1] == b"!" and outcome.exit_code == 0:
            reason = _REASONS[min(message[1], len(_REASONS) - 1)]
            return case.verdict(Status.FAILED, outcome, reference=True, detail=f"not proven: {reason}")
        notes = note.decode("latin-1").split(",")[:-1]
        if reference and message == key and set(notes) <= _NOTES.keys():
            case.suspicious += [_NOTES[name] for name in notes]
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
        if _LATE.search(case.tests):
            case.suspicious.append("its tests go on after its last line, where nothing is proven")
        for pattern, why in _LOOKS:
            if found := re.search(pattern, candidate):
                case.suspicious.append(why.format(*found.groups()))
        if used := of_tests(_DEFINED.findall(case.tests), candidate):
            case.suspicious.append(used)
        held = b"Assertion failed" not in outcome.stderr
        return finished(
            case, dataclasses.replace(outcome, evidence=message), key, reference=reference, failed_by_test=not held
        )

    def close(self) -> None:
        """See `Strategy`."""
        if self._zygote is not None:
            self._zygote.close()


def parted(case: Case) -> str:
    """The program with an end to its candidate's last statement, where the tests could be read as more of it."""
    if not case.candidate.strip() or case.tests.lstrip()[:1] not in tuple("([`/+-*.,?"):
        return case.program.source
    return f"{case.candidate}\n;{case.tests}"


def utf16_units(text: str) -> int:
    """How long a text is for JavaScript."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class _Library:
    """Node's library in the warm process."""

    def __init__(self, name: str) -> None:
        self.name = name

    def load(self) -> None:
        """Load it, and nothing more: a virtual machine does not survive a fork."""
        self.functions = ctypes.CDLL(self.name, mode=os.RTLD_NOW)

    def run(self, payload: bytes) -> NoReturn:
        """In a forked child: become node, with the arguments that `payload` lists."""
        arguments = payload.split(b"\0")
        text = ctypes.create_string_buffer(payload)  # In one piece, as a kernel hands them over: node counts on it.
        pointers = (ctypes.c_void_p * (len(arguments) + 1))()
        address = ctypes.addressof(text)
        for number, argument in enumerate(arguments):
            pointers[number] = address
            address += len(argument) + 1
        os._exit(self.functions[_ENTRY](len(arguments), pointers))


STRATEGY = JavaScript
