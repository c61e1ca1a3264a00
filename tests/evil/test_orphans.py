"""A program that forks, leaves its session and outlives its parent."""

from __future__ import annotations

import pytest

from sandboxes import Status

CODE = {
    "python": """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            time.sleep(1)
    os._exit(0)
""",
    "cpp": """
if (fork() == 0) {
    setsid();
    if (fork() == 0) for (;;) sleep(1);
    _exit(0);
}
""",
    "js": """
require('child_process').spawn('sleep', ['1000'], {detached: true, stdio: 'ignore'}).unref()
""",
    "typescript": """
require('child_process').spawn('sleep', ['1000'], {detached: true, stdio: 'ignore'}).unref()
""",
    "java": """
new ProcessBuilder("setsid", "sleep", "1000").start();
""",
    "go": """
command := exec.Command("sleep", "1000")
command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
command.Start()
""",
    "rust": """
let _ = std::process::Command::new("setsid").arg("sleep").arg("1000").spawn();
""",
}
DECLARATIONS = {"cpp": "#include <unistd.h>", "go": 'import "os/exec"\nimport "syscall"'}


@pytest.mark.parametrize("language", CODE)
def test_an_orphan_dies_with_its_program(arena, language):
    verdict = arena.attack(language, CODE[language], DECLARATIONS.get(language, ""))
    # its tests did hold: what it left is ended, not counted
    assert verdict.status in (Status.PASSED, Status.FAILED, Status.TIMEOUT)
