"""What every backend must do, whatever it is made of: run with `octopack sandbox verify` and by the tests.

A check is a program and the verdicts that are right for it. Checks of isolation pass when the attack they make does
nothing: their tests assert that they were held off, so an escape shows as a verdict that is not `passed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sandboxes.sandbox import Sandbox
from sandboxes.smoke import edited_program, smoke_program, wrong_program
from sandboxes.supervisor.protocol import Limits, Program, Status, Verdict
from sandboxes.toolchains import toolchain


@dataclass(frozen=True)
class Check:
    """One demand on a sandbox.

    Attributes:
        name: What it demands, in a few words.
        program: What is run.
        expected: The verdicts that meet it.
    """

    name: str
    program: Program
    expected: frozenset[Status]


@dataclass(frozen=True)
class Outcome:
    """What a sandbox did with a check."""

    check: Check
    verdict: Verdict

    @property
    def met(self) -> bool:
        """Whether the demand is met."""
        return self.verdict.status in self.check.expected


_PASSED = frozenset({Status.PASSED})
_NOT_PASSED = frozenset(Status) - {Status.PASSED, Status.SANDBOX_ERROR}

_BROKEN = "\n%%% this is no program\n"


def language_checks(language: str) -> Iterator[Check]:
    """What must hold in every language."""
    example = toolchain(language).example
    endless = replace(edited_program(language, example.loops), limits=Limits(cpu_seconds=1.0))
    early = edited_program(language, example.leaves_early)
    rejected = frozenset({Status.COMPILE_ERROR}) if example.is_compiled else _NOT_PASSED
    yield Check("a right answer passes", smoke_program(language), _PASSED)
    yield Check("a wrong answer fails", wrong_program(language), frozenset({Status.FAILED}))
    yield Check("what does not compile is no pass", edited_program(language, more=_BROKEN), rejected)
    yield Check("leaving before the tests is no pass", early, _NOT_PASSED)
    yield Check("an endless loop ends", endless, frozenset({Status.TIMEOUT}))
    yield Check("the next program is not harmed", smoke_program(language), _PASSED)


_HELD_OFF = {
    "it is not root, and cannot become it": """
import os
assert os.getuid() != 0 or open("/proc/self/uid_map").read().split()[1] != "0"
try:
    os.setuid(0)
except OSError:
    pass
try:
    open("/etc/octopack-was-here", "w")
    raise SystemExit("wrote to /etc")
except OSError:
    pass
""",
    "there is no network": """
import socket
for address in (("1.1.1.1", 53), ("10.0.0.1", 80), ("169.254.169.254", 80)):
    try:
        socket.create_connection(address, timeout=2)
        raise SystemExit("connected to " + repr(address))
    except OSError:
        pass
""",
    "it sees no environment but its own": """
import os
assert not any(word in name.upper() for name in os.environ for word in ("TOKEN", "SECRET", "KEY", "PASSWORD"))
""",
    "it cannot make namespaces": """
import subprocess
try:
    assert subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode != 0
except FileNotFoundError:
    pass
""",
    "it cannot look into whoever judges it": """
import os
for name in ("mem", "environ", "fd/0"):
    try:
        open(f"/proc/{os.getppid()}/{name}", "rb").close()
    except OSError:
        continue
    assert os.stat(f"/proc/{os.getppid()}").st_uid == os.getuid(), name
""",
    "it cannot signal what is not its own": """
import os
for entry in os.listdir("/proc"):
    if entry.isdigit() and int(entry) not in (os.getpid(), os.getppid()):
        try:
            os.kill(int(entry), 0)
        except OSError:
            continue
        # what it may signal has its own identity: itself in another thread group, or its jail's first process
        assert os.stat("/proc/" + entry).st_uid == os.getuid()
""",
    "it may use threads, subprocesses and files": """
import subprocess, sys, tempfile, threading
thread = threading.Thread(target=lambda: None)
thread.start()
thread.join()
assert subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True).stdout == b"42\\n"
with tempfile.TemporaryFile() as file:
    file.write(b"x" * 100000)
assert sys.stdin.read() == ""
""",
}
_STOPPED = {
    "memory without bound ends": (
        "blocks = []\nwhile True:\n    blocks.append(bytearray(b'x' * (16 << 20)))\n",
        Limits(memory_bytes=256 << 20),
        _NOT_PASSED,
    ),
    "output without bound ends": (
        "import sys\nwhile True:\n    sys.stdout.write('x' * 65536)\n",
        Limits(),
        frozenset({Status.OUTPUT_LIMIT}),
    ),
    "sleeping forever ends": (
        "import time\ntime.sleep(10000)\n",
        Limits(wall_seconds=2.0),
        frozenset({Status.TIMEOUT}),
    ),
    "a fork bomb ends": (
        "import os\nwhile True:\n    os.fork()\n",
        Limits(cpu_seconds=2.0, wall_seconds=5.0),
        _NOT_PASSED,
    ),
    "filling the disk ends": (
        "f = open('big', 'wb')\nwhile True:\n    f.write(b'x' * (1 << 20))\n",
        Limits(file_bytes=8 << 20),
        _NOT_PASSED,
    ),
}


def isolation_checks() -> Iterator[Check]:
    """What must hold against a hostile program; in Python, which is enough to reach every layer."""
    for name, code in _HELD_OFF.items():
        yield Check(name, edited_program("python", more=code), _PASSED)
    for name, (code, limits, expected) in _STOPPED.items():
        yield Check(name, replace(edited_program("python", more=code), limits=limits), expected)
    yield Check("the next program is not harmed by any of it", edited_program("python", more="# after all\n"), _PASSED)


def run_conformance(sandbox: Sandbox, languages: Sequence[str]) -> Iterator[Outcome]:
    """Run every check that concerns `languages`, in order, one after the other."""
    checks = [check for language in languages for check in language_checks(language)]
    if "python" in languages:
        checks += isolation_checks()
    for check in checks:
        [verdict] = sandbox.run([check.program])
        yield Outcome(check, verdict)
