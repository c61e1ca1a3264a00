"""A program that reads the host: its files, its environment, its sockets."""

from __future__ import annotations

from pathlib import Path

CODE = """
import glob, os
for path in ("/etc/shadow", "/root/.ssh", "/var/run/docker.sock", "/run/docker.sock", SECRET):
    try:
        open(path).read()
    except OSError:
        continue
    raise SystemExit("read " + path)
assert "octopack-evil-variable" not in os.environ
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        assert b"octopack-evil" + b"-variable" not in open(path, "rb").read()
    except OSError:
        pass
assert not os.path.exists("/sys/kernel/debug/tracing") or not os.access("/sys/kernel/debug/tracing", os.R_OK)
for path in ("/dev/mem", "/dev/kmem", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/proc/kcore"):
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        continue
    if os.stat(path).st_rdev != os.stat("/dev/null").st_rdev:
        raise SystemExit("opened " + path)
"""


def test_the_host_cannot_be_read(arena, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("octopack-evil-variable", "secret")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    verdict = arena.attack("python", CODE.replace("SECRET", repr(str(secret))))
    assert verdict.passed, verdict
