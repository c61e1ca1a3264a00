"""A program that leaves shared memory, semaphores and message queues behind."""

from __future__ import annotations

LEAVES = """
import ctypes, os
from multiprocessing import shared_memory
libc = ctypes.CDLL(None, use_errno=True)
libc.shmget(0x0c70, 4096, 0o1666)
libc.semget(0x0c70, 1, 0o1666)
libc.msgget(0x0c70, 0o1666)
libc.syscall(240, b"octopack-evil", os.O_CREAT | os.O_RDWR, 0o666, None)
try:
    fd = os.open("/dev/shm/octopack-evil", os.O_CREAT | os.O_RDWR, 0o666)
    os.write(fd, b"secret")
    os.open("/dev/shm/sem.octopack-evil", os.O_CREAT | os.O_RDWR, 0o666)
except OSError:
    pass
"""
LOOKS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
assert libc.shmget(0x0c70, 4096, 0o666) == -1
assert libc.semget(0x0c70, 1, 0o666) == -1
assert libc.msgget(0x0c70, 0o666) == -1
assert libc.syscall(240, b"octopack-evil", os.O_RDWR, 0, None) == -1
assert not os.path.exists("/dev/shm/octopack-evil")
assert not os.path.exists("/dev/shm/sem.octopack-evil")
"""


def test_shared_memory_goes_with_its_program(arena):
    arena.attack("python", LEAVES)
    verdict = arena.attack("python", LOOKS)
    # calling C functions is itself held against a program: that its own checks held shows in the reference's verdict
    assert verdict.reference_passed, verdict
