"""A program that kills, stops, traces or writes to whoever judges it."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

CODE = {
    "kill the parent": "import os, signal\ntry:\n    os.kill(os.getppid(), signal.SIGKILL)\nexcept OSError:\n    pass",
    "stop the parent": "import os, signal\ntry:\n    os.kill(os.getppid(), signal.SIGSTOP)\nexcept OSError:\n    pass",
    "kill everything": "import os, signal\ntry:\n    os.kill(-1, signal.SIGKILL)\nexcept OSError:\n    pass",
    "kill the group": "import os, signal\nos.killpg(0, signal.SIGKILL)",
    "kill every pid": """
import os, signal
for pid in list(range(1, 400)):
    if pid != os.getpid():
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
""",
    "stop everything": "import os, signal\ntry:\n    os.kill(-1, signal.SIGSTOP)\nexcept OSError:\n    pass",
    "trace the parent": """
import ctypes, os
libc = ctypes.CDLL(None)
for pid in (os.getppid(), 1):
    assert libc.ptrace(16, pid, 0, 0) == -1
    try:
        open(f"/proc/{pid}/mem", "r+b").close()
    except OSError:
        continue
    if os.stat(f"/proc/{pid}").st_uid != os.getuid():
        raise SystemExit("opened the memory of another")
""",
    "lower its priority": "import os\nfor pid in (1, os.getppid()):\n    try:\n        os.setpriority(os.PRIO_PROCESS, pid, 19)\n    except OSError:\n        pass",
    "change its limits": "import os, resource\nfor pid in (1, os.getppid()):\n    try:\n        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, 1))\n    except OSError:\n        pass",
    "its descriptors": """
import os
for name in os.listdir("/proc/self/fd"):
    try:
        os.write(int(name), b"\\x00\\x00\\x00\\x02{}" * 100)
    except OSError:
        pass
for pid in os.listdir("/proc"):
    for fd in (0, 1, 2, 3, 4, 5):
        try:
            with open(f"/proc/{pid}/fd/{fd}", "wb", buffering=0) as file:
                if int(pid) != os.getpid():
                    file.write(b"\\x00\\x00\\x00\\x02{}")
        except (OSError, ValueError):
            pass
""",
}


@pytest.mark.parametrize("attack", CODE)
def test_the_judge_is_out_of_reach(arena, attack):
    # whatever becomes of the attacker, `attack` asserts that the same worker goes on judging rightly
    assert arena.attack("python", CODE[attack]).status is not None


OTHERS = {
    "cpp": ("kill(getppid(), 9); kill(-1, 9);", "#include <signal.h>\n#include <unistd.h>"),
    "js": ("for (const pid of [process.ppid, 1, -1]) { try { process.kill(pid, 'SIGKILL') } catch (e) { } }", ""),
    "java": (
        "ProcessHandle.current().parent().ifPresent(p -> { try { p.destroyForcibly(); } catch (Exception e) { } });\n"
        "ProcessHandle.allProcesses().forEach(p -> { try { p.destroyForcibly(); } catch (Exception e) { } });",
        "",
    ),
    "go": ("syscall.Kill(syscall.Getppid(), 9)\nsyscall.Kill(-1, 9)", 'import "syscall"'),
    "rust": ('let _ = std::process::Command::new("sh").arg("-c").arg("kill -9 $PPID -1").status();', ""),
}


@pytest.mark.parametrize("language", OTHERS)
def test_no_language_reaches_the_judge(arena, language):
    body, declarations = OTHERS[language]
    assert arena.attack(language, body, declarations).status is not None
