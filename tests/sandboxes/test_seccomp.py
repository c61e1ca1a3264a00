"""The list of system calls, in both of its forms."""

from __future__ import annotations

import platform
import struct

import pytest

from sandboxes.seccomp import _numbers, bpf_filter, docker_profile

FORBIDDEN = [
    "io_uring_setup",
    "io_uring_enter",
    "userfaultfd",
    "bpf",
    "perf_event_open",
    "keyctl",
    "add_key",
    "request_key",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pivot_root",
    "kexec_load",
    "init_module",
    "finit_module",
    "open_by_handle_at",
    "shmget",
    "semget",
    "msgget",
    "mq_open",
    "clone3",
    "seccomp",
    "vmsplice",
    "pidfd_getfd",
    "chroot",
    "reboot",
    "swapon",
    "quotactl",
    "acct",
]
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000


def evaluate(program: bytes, architecture: int, number: int, argument: int = 0) -> int:
    """What the kernel would do: an interpreter of the few BPF operations in use."""
    data = struct.pack("<IIQQQQQQQ", number, architecture, 0, argument, 0, 0, 0, 0, 0)
    code = [struct.unpack_from("HBBI", program, offset) for offset in range(0, len(program), 8)]
    accumulator = position = 0
    while True:
        operation, if_true, if_false, value = code[position]
        position += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x06:
            return value
        else:
            holds = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x25: accumulator > value,
                0x45: bool(accumulator & value),
            }[operation]
            position += if_true if holds else if_false


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)])
def test_the_filter_allows_the_list_and_nothing_else(machine, architecture):
    program = bpf_filter(machine)
    numbers = _numbers(machine)
    allowed = set(numbers.values())
    special = {"x86_64": {41, 135}, "aarch64": {198, 92}}[machine]
    for number in range(600):
        if number in special:
            continue
        verdict = evaluate(program, architecture, number)
        assert verdict == (ALLOW if number in allowed else ERRNO | 38), number
    clone = numbers["clone"]
    assert evaluate(program, architecture, clone, 0x11) == ALLOW
    assert evaluate(program, architecture, clone, 0x10000011) == ERRNO | 1
    socket, personality = sorted(special) if machine == "x86_64" else sorted(special, reverse=True)
    assert [evaluate(program, architecture, socket, family) == ALLOW for family in (1, 2, 10, 16, 17, 38, 40)] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip
    assert evaluate(program, architecture, personality, 0xFFFFFFFF) == ALLOW
    assert evaluate(program, architecture, personality, 0x40000) == ERRNO | 1
    assert evaluate(program, 0x40000003, 1) == KILL, "32-bit calls have other numbers"
    if machine == "x86_64":
        assert evaluate(program, architecture, 0x40000001) == KILL


def test_the_profile_names_what_is_allowed_and_nothing_dangerous():
    profile = docker_profile()
    allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert not allowed & set(FORBIDDEN)
    assert {"read", "write", "openat", "execve", "futex", "mmap"} <= allowed
    unconditional = {name for rule in profile["syscalls"] if not rule["args"] for name in rule["names"]}
    assert not {"clone", "socket", "personality"} & unconditional


def test_a_machine_without_a_table_is_an_error():
    with pytest.raises(ValueError, match="no system call table for riscv64"):
        bpf_filter("riscv64")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads the header of x86_64")
def test_the_numbers_are_the_kernel_s():
    from pathlib import Path

    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("needs the kernel's headers (apt-get install linux-libc-dev)")
    kernel = dict(line.split()[1:3] for line in header.read_text().splitlines() if line.startswith("#define __NR_"))
    for name, number in _numbers("x86_64").items():
        if f"__NR_{name}" in kernel:
            assert int(kernel[f"__NR_{name}"]) == number, name
