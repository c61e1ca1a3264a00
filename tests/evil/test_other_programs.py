"""A program that looks for other programs: their folders, their memory, what they left."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

from sandboxes import Limits

LEAVES = """
import os, stat
for folder in (".", "..", "/tmp", "/var/tmp", "/dev/shm", "/run", "/work", "/run/lock", "/dev/mqueue", os.path.expanduser("~")):
    for name in ("octopack-evil-file", "octopack-evil-folder/deep"):
        path = os.path.join(folder, name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write("octopack-evil-secret")
            os.chmod(path, 0o4777)
        except OSError:
            pass
os.makedirs("octopack-evil-locked/in", exist_ok=True)
open("octopack-evil-locked/in/file", "w").close()
os.chmod("octopack-evil-locked/in", 0)
os.chmod("octopack-evil-locked", 0)
"""
LOOKS = """
import os
for folder in (".", "..", "/tmp", "/var/tmp", "/dev/shm", "/run", "/work", "/run/lock", "/dev/mqueue"):
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            assert "octopack-evil" not in name, os.path.join(root, name)
"""
SPIES = """
import glob, time
end = time.monotonic() + 1
while time.monotonic() < end:
    for path in glob.glob("/work/*/*") + glob.glob("/tmp/*/*") + glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/cwd/*"):
        try:
            text = open(path, "rb").read()
        except OSError:
            continue
        assert b"octopack-evil" + b"-password" not in text, path
"""


def test_the_next_program_finds_nothing(arena):
    arena.attack("python", LEAVES)
    assert arena.attack("python", LOOKS).passed


def test_programs_that_run_at_once_do_not_see_each_other(arena):
    # two programs at once need two workers; one worker judges one program at a time
    secret = arena.program(
        "python", "import time\npassword = 'octopack-evil-password'\nopen('mine', 'w').write(password)\ntime.sleep(0.6)"
    )
    with arena.reopened(workers=2) as sandbox:
        verdicts = sandbox.run([secret, arena.program("python", SPIES, limits=Limits())])
    assert all(verdict.passed for verdict in verdicts), verdicts
