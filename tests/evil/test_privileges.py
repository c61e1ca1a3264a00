"""A program that tries to become someone else: setuid files, capabilities, su."""

from __future__ import annotations

from sandboxes import Limits

CODE = """
import ctypes, os, shutil, subprocess
libc = ctypes.CDLL(None, use_errno=True)
me = os.getuid()
for call in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.seteuid(0)):
    try:
        call()
    except OSError:
        continue
    assert me == 0 or os.getuid() == me, "changed user"
shutil.copy("/usr/bin/id", "octopack-evil-id")
try:
    os.chmod("octopack-evil-id", 0o6755)
    os.chown("octopack-evil-id", 0, 0)
except OSError:
    pass
for command in (["su", "-c", "id"], ["sudo", "-n", "id"], ["mount", "-t", "tmpfs", "x", "/mnt"], ["chroot", "/", "id"],
                ["unshare", "-r", "id"], ["newgrp"], ["passwd", "-d", "root"]):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        continue
    assert done.returncode != 0, command
status = open("/proc/self/status").read()
effective = int(status.split("CapEff:")[1].split()[0], 16)
assert effective == 0, hex(effective)
assert "NoNewPrivs:\\t1" in status
"""


def test_nobody_rises(arena):
    verdict = arena.attack("python", CODE, limits=Limits(cpu_seconds=30))  # su takes its time to say no
    # calling C functions is itself held against a program: that its own checks held shows in the reference's verdict
    assert verdict.reference_passed, verdict
