"""Which system calls a sandboxed program may make: one allow list, as Docker's JSON profile and as a BPF filter.

Everything not named here answers ENOSYS (so that C libraries fall back where they can). What Docker's own profile
allows and this one does not, because programs that only compute never need it and kernels had holes there: io_uring,
ptrace and process_vm_*, System V IPC and message queues (both outlive their processes), memfd_create (memory that no
process's size shows), vmsplice, userfaultfd, keys, bpf, perf, seccomp filters of one's own, file handles, mounts, and
every way into a new namespace.
"""

from __future__ import annotations

import platform
import struct
from typing import Any

# name:number on x86_64:number on aarch64 ("-": the machine has no such call), from Linux's headers
_ALLOWED = {
    "processes": """
        clone:56:220 fork:57:- vfork:58:- execve:59:221 execveat:322:281 exit:60:93 exit_group:231:94 wait4:61:260
        waitid:247:95 kill:62:129 tkill:200:130 tgkill:234:131 pidfd_open:434:434 pidfd_send_signal:424:424
        getpid:39:172 getppid:110:173 gettid:186:178 getpgid:121:155 getpgrp:111:- setpgid:109:154 getsid:124:156
        setsid:112:157 set_tid_address:218:96 set_robust_list:273:99 get_robust_list:274:100 rseq:334:293
        arch_prctl:158:- prctl:157:167 membarrier:324:283 futex:202:98 futex_waitv:449:449 restart_syscall:219:128
    """,
    "identity": """
        getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177 getgroups:115:158 getresuid:118:148
        getresgid:120:150 setuid:105:146 setgid:106:144 setgroups:116:159 setresuid:117:147 setresgid:119:149
        setreuid:113:145 setregid:114:143 capget:125:90 capset:126:91
    """,
    "limits": """
        getrlimit:97:163 setrlimit:160:164 prlimit64:302:261 getrusage:98:165 times:100:153 sysinfo:99:179
        uname:63:160 getcpu:309:168 getpriority:140:141 setpriority:141:140 ioprio_get:252:31 ioprio_set:251:30
        sched_yield:24:124 sched_getaffinity:204:123 sched_setaffinity:203:122 sched_getattr:315:275
        sched_getparam:143:121 sched_getscheduler:145:120 sched_get_priority_max:146:125
        sched_get_priority_min:147:126 sched_rr_get_interval:148:127 sched_setscheduler:144:119
        sched_setparam:142:118
    """,
    "memory": """
        brk:12:214 mmap:9:222 munmap:11:215 mprotect:10:226 mremap:25:216 madvise:28:233 msync:26:227 mincore:27:232
        mlock:149:228 mlock2:325:284 munlock:150:229 mlockall:151:230 munlockall:152:231
        pkey_alloc:330:289 pkey_free:331:290 pkey_mprotect:329:288
    """,
    "signals": """
        rt_sigaction:13:134 rt_sigpending:127:136 rt_sigprocmask:14:135 rt_sigqueueinfo:129:138 rt_sigreturn:15:139
        rt_sigsuspend:130:133 rt_sigtimedwait:128:137 rt_tgsigqueueinfo:297:240 sigaltstack:131:132 signalfd:282:-
        signalfd4:289:74 pause:34:-
    """,
    "time": """
        alarm:37:- clock_getres:229:114 clock_gettime:228:113 clock_nanosleep:230:115 nanosleep:35:101
        gettimeofday:96:169 time:201:- getitimer:36:102 setitimer:38:103 timer_create:222:107 timer_delete:226:111
        timer_getoverrun:225:109 timer_gettime:224:108 timer_settime:223:110 timerfd_create:283:85
        timerfd_gettime:287:87 timerfd_settime:286:86
    """,
    "descriptors": """
        read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 preadv:295:69 pwritev:296:70
        preadv2:327:286 pwritev2:328:287 lseek:8:62 close:3:57 close_range:436:436 dup:32:23 dup2:33:- dup3:292:24
        fcntl:72:25 ioctl:16:29 flock:73:32 pipe:22:- pipe2:293:59 poll:7:- ppoll:271:73 select:23:- pselect6:270:72
        epoll_create:213:- epoll_create1:291:20 epoll_ctl:233:21 epoll_wait:232:- epoll_pwait:281:22
        epoll_pwait2:441:441 eventfd:284:- eventfd2:290:19 inotify_init:253:- inotify_init1:294:26
        inotify_add_watch:254:27 inotify_rm_watch:255:28 sendfile:40:71 splice:275:76 tee:276:77
        copy_file_range:326:285 readahead:187:213 fadvise64:221:223 fsync:74:82 fdatasync:75:83 sync:162:81
        sync_file_range:277:84 syncfs:306:267 fallocate:285:47 ftruncate:77:46 truncate:76:45 getrandom:318:278
    """,
    "files": """
        open:2:- openat:257:56 openat2:437:437 creat:85:- access:21:- faccessat:269:48 faccessat2:439:439 stat:4:-
        lstat:6:- fstat:5:80 newfstatat:262:79 statx:332:291 statfs:137:43 fstatfs:138:44 getcwd:79:17 chdir:80:49
        fchdir:81:50 getdents:78:- getdents64:217:61 mkdir:83:- mkdirat:258:34 rmdir:84:- rename:82:-
        renameat:264:38 renameat2:316:276 link:86:- linkat:265:37 unlink:87:- unlinkat:263:35 symlink:88:-
        symlinkat:266:36 readlink:89:- readlinkat:267:78 chmod:90:- fchmod:91:52 fchmodat:268:53 fchmodat2:452:452
        chown:92:- fchown:93:55 lchown:94:- fchownat:260:54 umask:95:166 utime:132:- utimes:235:- utimensat:280:88
        futimesat:261:- mknod:133:- mknodat:259:33 getxattr:191:8 lgetxattr:192:9 fgetxattr:193:10 listxattr:194:11
        llistxattr:195:12 flistxattr:196:13 setxattr:188:5 lsetxattr:189:6 fsetxattr:190:7 removexattr:197:14
        lremovexattr:198:15 fremovexattr:199:16
    """,
    "sockets": """
        socketpair:53:199 bind:49:200 connect:42:203 listen:50:201 accept:43:202 accept4:288:242 getsockname:51:204
        getpeername:52:205 getsockopt:55:209 setsockopt:54:208 sendto:44:206 recvfrom:45:207 sendmsg:46:211
        recvmsg:47:212 sendmmsg:307:269 recvmmsg:299:243 shutdown:48:210
    """,
}

_NAMESPACE_FLAGS = 0x7E020080
"""CLONE_NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET | NEWNS | NEWTIME, as `clone` takes them."""
_SOCKET_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET and AF_INET6 (there is no network to reach with them), AF_NETLINK (name look-ups ask it)."""
_PERSONALITIES = (0, 0xFFFFFFFF)
"""PER_LINUX, and the value that only asks."""
_EPERM, _ENOSYS = 1, 38

_CHECKED_NUMBERS = {"socket": (41, 198), "personality": (135, 92)}
"""On x86_64 and on aarch64."""


def _numbers(machine: str) -> dict[str, int]:
    column = {"x86_64": 1, "aarch64": 2}[machine]
    calls = (entry.split(":") for group in _ALLOWED.values() for entry in group.split())
    return {call[0]: int(call[column]) for call in calls if call[column] != "-"}


def docker_profile() -> dict[str, Any]:
    """The allow list in the JSON form of Docker's `--security-opt seccomp=`."""

    def rule(names: list[str], *arguments: dict[str, Any], action: str = "SCMP_ACT_ALLOW") -> dict[str, Any]:
        return {"names": names, "action": action, "args": list(arguments)}

    def equals(value: int) -> dict[str, Any]:
        return {"index": 0, "value": value, "op": "SCMP_CMP_EQ"}

    names = sorted((_numbers("x86_64") | _numbers("aarch64")).keys() - {"clone"})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _ENOSYS,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": [
            rule(names),
            # value: the mask, valueTwo: what must remain of the flags under it
            rule(["clone"], {"index": 0, "value": _NAMESPACE_FLAGS, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}),
            # its flags lie in memory where no filter sees them; C libraries fall back to clone
            {**rule(["clone3"], action="SCMP_ACT_ERRNO"), "errnoRet": _ENOSYS},
            *(rule(["socket"], equals(family)) for family in _SOCKET_FAMILIES),
            *(rule(["personality"], equals(value)) for value in _PERSONALITIES),
        ],
    }


# classic BPF: operations, and where `struct seccomp_data` keeps its fields
_LOAD, _EQUAL, _AT_LEAST, _ABOVE, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x25, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENT_0_AT = 0, 4, 16
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000


def bpf_filter(machine: str | None = None) -> bytes:
    """The allow list as a BPF program, the form that `bwrap --seccomp` and `prctl` take.

    Args:
        machine: "x86_64" or "aarch64"; None: this machine's.

    Raises:
        ValueError: The machine is of another kind.
    """
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURE:
        raise ValueError(f"no system call table for {machine}: sandboxes run on x86_64 and aarch64")
    column = ("x86_64", "aarch64").index(machine)
    code: list[tuple[int, int, int, int]] = []

    def emit(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        code.append((operation, if_true, if_false, value))

    emit(_LOAD, _ARCHITECTURE_AT)
    emit(_EQUAL, _ARCHITECTURE[machine], 1, 0)
    emit(_RETURN, _KILL_PROCESS)
    emit(_LOAD, _NUMBER_AT)
    if machine == "x86_64":
        emit(_AT_LEAST, _X32_BIT, 0, 1)
        emit(_RETURN, _KILL_PROCESS)
    numbers = _numbers(machine)
    clone = numbers.pop("clone")
    for low, high in _runs(sorted(numbers.values())):
        emit(_AT_LEAST, low, 0, 2)
        emit(_ABOVE, high, 1, 0)
        emit(_RETURN, _ALLOW)
    emit(_EQUAL, clone, 0, 4)
    emit(_LOAD, _ARGUMENT_0_AT)
    emit(_BITS, _NAMESPACE_FLAGS, 0, 1)
    emit(_RETURN, _ERRNO | _EPERM)
    emit(_RETURN, _ALLOW)
    for name, values in (("socket", _SOCKET_FAMILIES), ("personality", _PERSONALITIES)):
        emit(_EQUAL, _CHECKED_NUMBERS[name][column], 0, 2 * len(values) + 2)
        emit(_LOAD, _ARGUMENT_0_AT)
        for value in values:
            emit(_EQUAL, value, 0, 1)
            emit(_RETURN, _ALLOW)
        emit(_RETURN, _ERRNO | _EPERM)
    emit(_RETURN, _ERRNO | _ENOSYS)
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Sorted numbers as first and last of each unbroken run."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
