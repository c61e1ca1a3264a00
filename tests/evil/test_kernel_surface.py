"""A program that asks the kernel for what only attacks need."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import platform

import pytest

# name: number on x86_64, arguments that a kernel without the filter would accept or refuse with another error
CALLS = {
    "io_uring_setup": (425, "1, ctypes.byref(buffer)"),
    "userfaultfd": (323, "1"),
    "bpf": (321, "0, ctypes.byref(buffer), 64"),
    "perf_event_open": (298, "ctypes.byref(buffer), 0, -1, -1, 0"),
    "add_key": (248, "b'user', b'octopack-evil', b'x', 1, -3"),
    "keyctl": (250, "0, -3, 1"),
    "request_key": (249, "b'user', b'octopack-evil', None, -3"),
    "ptrace": (101, "0, 0, 0, 0"),
    "process_vm_readv": (310, "os.getpid(), None, 0, None, 0, 0"),
    "unshare": (272, "0x10000000"),
    "setns": (308, "os.open('/proc/self/ns/net', os.O_RDONLY), 0"),
    "clone with a user namespace": (56, "0x10000011, 0, 0, 0, 0"),
    "mount": (165, "b'none', b'/tmp', b'tmpfs', 0, None"),
    "pivot_root": (155, "b'/', b'/'"),
    "kexec_load": (246, "0, 0, 0, 0"),
    "init_module": (175, "0, 0, b''"),
    "open_by_handle_at": (304, "-100, ctypes.byref(buffer), 0"),
    "shmget": (29, "0, 4096, 0o1600"),
    "personality": (135, "0x0040000"),
    "fsopen": (430, "b'tmpfs', 0"),
    "syslog": (103, "3, ctypes.byref(buffer), 64"),
    "seccomp": (317, "2, 0, ctypes.byref(buffer)"),
    "memfd_create": (319, "b'octopack-evil', 0"),
    "vmsplice": (278, "1, None, 0, 0"),
    "AF_ALG": (41, "38, 5, 0"),
    "AF_VSOCK": (41, "40, 1, 0"),
    "AF_PACKET": (41, "17, 3, 0"),
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86_64")
def test_the_kernel_says_no(arena):
    lines = [
        "import ctypes, errno, os",
        "libc = ctypes.CDLL(None, use_errno=True)",
        "buffer = ctypes.create_string_buffer(256)",
    ]
    for name, (number, arguments) in CALLS.items():
        lines.append(f"result = libc.syscall({number}, {arguments})")
        lines.append("if result == 0 and os.getpid() != me: os._exit(0)")
        lines.append(
            f"assert result == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS), ({name!r}, result, ctypes.get_errno())"
        )
    lines.insert(0, "import os\nme = os.getpid()")
    verdict = arena.attack("python", "\n".join(lines))
    # calling C functions is itself held against a program: that its own checks held shows in the reference's verdict
    assert verdict.reference_passed, verdict
