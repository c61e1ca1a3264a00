"""A program that writes outside its folder, directly and through links."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

from pathlib import Path

WRITES = """
import os
for path in ("/octopack-evil", "/etc/octopack-evil", "/usr/octopack-evil", "/opt/octopack-evil", "/opt/octopack/octopack-evil",
             "/run/octopack/octopack-evil", "/home/octopack-evil", "/root/octopack-evil", "/var/octopack-evil"):
    try:
        open(path, "w").close()
    except OSError:
        continue
    raise SystemExit("wrote " + path)
# opened and not written: a sandbox that fails this test must not harm the machine that runs it
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
             "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/kernel/uevent_helper", "/proc/irq/default_smp_affinity"):
    try:
        open(path, "r+").close()
    except OSError:
        continue
    raise SystemExit("may write " + path)
for path in ("/proc/self/uid_map", "/proc/1/oom_score_adj", "/proc/self/oom_score_adj"):
    try:
        with open(path, "r+") as file:
            file.write("-1000")
            file.flush()
    except OSError:
        continue
    raise SystemExit("wrote " + path)
"""
LINKS = """
import os
os.symlink("/", "octopack-evil-root")
os.symlink("/etc/passwd", "octopack-evil-passwd")
os.symlink("/usr/bin", "octopack-evil-bin")
os.symlink("../..", "octopack-evil-up")
try:
    open("octopack-evil-root/etc/octopack-evil", "w")
except OSError:
    pass
else:
    raise SystemExit("wrote through a link")
here = os.getcwd()
moved = here + "-octopack-evil-moved"
try:
    os.rename(here, moved)
    os.symlink("/usr", here)
except OSError:
    pass
"""


def test_nothing_outside_can_be_written(arena):
    verdict = arena.attack("python", WRITES)
    assert verdict.passed, verdict


def test_clearing_up_follows_no_link(arena):
    verdict = arena.attack("python", LINKS)
    assert verdict.passed, verdict
    # what the links pointed to is still there: in the sandbox, and on this machine
    assert arena.attack("python", "import os\nassert os.path.exists('/usr/bin/env') and os.listdir('/etc')").passed
    assert Path("/etc/passwd").exists()
