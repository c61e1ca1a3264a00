"""Java: a warm compiler keeps running; every program gets a small virtual machine of its own.

A pass needs the key. `resources/Launch.java` reads it before any class of the program exists, keeps it in local
variables of its own stack frame, calls `Main.main`, and writes it when that has returned. `System.exit`,
`Runtime.halt`, shutdown hooks and static initialisers end the machine without it; the launcher is one that
programs cannot read, so the kernel does not let them open their own memory; classes of the program's own that
are called `Arrays` or `AssertionError` change what the tests mean, as the reference allows, and are reported.

The compiler is the JDK's, kept warm (`resources/Compile.java`): sources go in and class files come out over pipes,
without annotation processors, so nothing of a program is executed there. What it rejects or chokes on is compiled
once more by a plain `javac` in the program's own box, under its limits: that one's verdict counts.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import re
import select
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..processes import Command, Process
from ..protocol import Verdict
from ..removal import remove
from .base import (
    KEY_BYTES,
    RESOURCES,
    Case,
    Setting,
    Strategy,
    build,
    compile_failure,
    finished,
    first_line,
    new_key,
    of_tests,
    stopped,
    unproven_end,
)

_QUICK = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto"]
_COMPILER_UID = 19_999
_CLASS_NAME = re.compile(r"[\w$.]+", re.UNICODE)
_NUMBER = struct.Struct(">i")
_SAMPLE = """
import java.util.*;
import java.util.stream.*;
class Solution {
    public List<Integer> run(List<Integer> numbers) {
        Map<String, Integer> counts = new HashMap<>();
        for (int n : numbers) counts.merge(String.format("%d", n), 1, Integer::sum);
        StringBuilder text = new StringBuilder();
        for (String part : "a b c".split(" ")) text.append(part).append(Optional.of(part).get().toUpperCase());
        Collections.sort(numbers);
        return numbers.stream().filter(n -> n > 1).map(n -> n * 2).collect(Collectors.toList());
    }
}
public class Main {
    public static void main(String[] args) {
        Solution s = new Solution();
        List<Integer> numbers = new ArrayList<>(Arrays.asList(3, 1, 2));
        List<Boolean> correct = Arrays.asList(s.run(numbers).equals(Arrays.asList(4, 6)));
        if (correct.contains(false)) throw new AssertionError();
    }
}
"""
_DECLARED = re.compile(r"\b(?:class|interface|enum|record)\s+(\w+)")
_ESCAPE = re.compile(r"\\u+([0-9a-fA-F]{4})")
_NOT_CODE = re.compile(
    r"//[^\n\r]*|/\*.*?(?:\*/|\Z)|\"\"\"(?:\\.|[^\\])*?(?:\"\"\"|\Z)|"
    r"\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?",
    re.DOTALL,
)
_LOOKS = (
    (
        rb"java/lang/Runtime(?!\w)|\x00\x04exit|addShutdownHook|UncaughtExceptionHandler",
        "it interferes with how a program ends",
    ),
    (
        rb"sun/misc/|jdk/internal/|java/lang/reflect/|java/lang/ProcessHandle|java/lang/management|com/sun/management|"
        rb"java/lang/StackWalker|java/lang/foreign|getDeclaredField|etAccessible|\x00\x07forName|/proc/|"
        rb"privateLookupIn|\x00\x09findClass|loadLibrary|\x00\x04load\x01",
        "it looks inside the virtual machine",
    ),
    (rb"getResource|java/lang/ClassLoader|\.class\b", "it may read its tests"),
)
"""What a class file says of a class, whatever its source looks like: names that it refers to."""
_COMPARES = re.compile(rb"(?:equals\(#\)Z|compareTo\(#\)I)".replace(b"#", rb"\[*(?:[BCDFIJSZ]|L[^;]+;)"))
"""Of one parameter of any type: tests may call another method than the library's."""
_RECORDS_OWN = re.compile(rb"\x2a\x2b\xba..\x00\x00\xac", re.DOTALL)
"""The body of `equals` that the compiler gives a record."""
_CONSTANT_BYTES = {
    3: 4,
    4: 4,
    5: 8,
    6: 8,
    7: 2,
    8: 2,
    9: 4,
    10: 4,
    11: 4,
    12: 4,
    15: 3,
    16: 2,
    17: 4,
    18: 4,
    19: 2,
    20: 2,
}


class Java(Strategy):
    """Java programs."""

    language = "java"
    resources = ("Launch.java", "Compile.java")

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._server: subprocess.Popen[bytes] | None = None

    def version(self) -> str:
        """See `Strategy`."""
        return first_line("javac", "--version")

    def prepare(self, warm: Path) -> None:
        """See `Strategy`."""
        sources = [str(RESOURCES / name) for name in ("Launch.java", "Compile.java")]
        build(warm, "javac", "-d", "classes", *sources)
        build(
            warm,
            "jar",
            "cf",
            "launch.jar",
            "-C",
            "classes",
            "octopack/Launch.class",
            "-C",
            "classes",
            "octopack/Launch$Loader.class",
        )
        build(warm, "jar", "cf", "compile.jar", "-C", "classes", "octopack")
        (warm / "empty").mkdir()
        sample = warm / "sample"
        sample.mkdir()
        (sample / "Main.java").write_text(_SAMPLE)
        build(sample, "javac", "-proc:none", "Main.java")
        # Archives of loaded classes: the virtual machines start from them instead of from class files.
        subprocess.run(
            [
                "java",
                *_QUICK,
                f"-XX:ArchiveClassesAtExit={warm}/launch.jsa",
                "-cp",
                f"{warm}/launch.jar",
                "octopack.Launch",
            ],
            cwd=sample,
            input=bytes(KEY_BYTES),
            capture_output=True,
            check=True,
        )
        text = _SAMPLE.encode()
        subprocess.run(
            [
                "java",
                *_QUICK,
                f"-XX:ArchiveClassesAtExit={warm}/compile.jsa",
                "-cp",
                f"{warm}/compile.jar",
                "octopack.Compile",
                f"{warm}/empty",
            ],
            cwd=sample,
            input=(_NUMBER.pack(len(text)) + text) * 3,
            capture_output=True,
            check=True,
        )

    def judge(self, case: Case) -> Verdict:
        """See `Strategy`."""
        source = case.program.source.encode("utf-8", "replace")
        classes = self._compile_warm(case, source)
        if classes is None or not _write(case, classes):
            case.box.write("Main.java", source)
            command = Command(case.compiling(), ["javac", "-proc:none", "-J-Xmx1g", "-J-XX:+UseSerialGC", "Main.java"])
            if failure := compile_failure(case, self.compile(case, command)):
                return failure
            (case.box.path / "Main.java").unlink()
            classes = {path.stem: path.read_bytes() for path in case.box.path.rglob("*.class")}
        return self._run(case, classes)

    def _run(self, case: Case, classes: Mapping[str, bytes]) -> Verdict:
        key = new_key()
        warm = self.warm
        heap = max(16, case.limits.memory_bytes >> 20)
        argv = [
            str(self._launcher),
            *_QUICK,
            f"-Xmx{heap}m",
            f"-XX:SharedArchiveFile={warm}/launch.jsa",
            "-XX:+DisableAttachMechanism",
        ]
        argv += ["-cp", f"{warm}/launch.jar", "octopack.Launch"]
        use = case.running()
        # The machine itself needs threads and memory beside the program's.
        use = dataclasses.replace(use, processes=use.processes + 32, memory_bytes=use.memory_bytes + (128 << 20))
        outcome = self.execute(case, Command(use, argv, stdin=key))
        stdout, stderr = outcome.stdout.split(key), outcome.stderr.split(key)
        evidence = key * (len(stdout) + len(stderr) - 2)
        outcome = dataclasses.replace(outcome, stdout=b"".join(stdout), stderr=b"".join(stderr), evidence=evidence)
        if verdict := stopped(case, outcome):
            return verdict
        if verdict := unproven_end(case, outcome, _unescaped(case.candidate), _NOT_CODE):
            return verdict
        self._look(case, classes)
        failed = re.search(rb'^Exception in thread "main" java\.lang\.AssertionError', outcome.stderr, re.MULTILINE)
        return finished(case, outcome, key, reference=outcome.exit_code == 0, failed_by_test=failed is not None)

    @functools.cached_property
    def _launcher(self) -> Path:
        """A copy of the launcher that programs may run but not read: the kernel keeps their memory file from them."""
        real = Path(shutil.which("java") or "java").resolve()
        code = real.read_bytes()
        home = self.setting.scratch / f"java-{hashlib.sha256(bytes(real) + code).hexdigest()[:16]}"
        if not home.exists():
            self.setting.scratch.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(dir=self.setting.scratch))
            made.chmod(0o755)
            for entry in real.parent.parent.iterdir():
                if entry.name != "bin":
                    (made / entry.name).symlink_to(entry)
            (made / "bin").mkdir()
            (made / "bin" / "java").write_bytes(code)
            (made / "bin" / "java").chmod(0o111 if self.jail.runs_unread else 0o755)
            try:
                made.rename(home)
            except OSError:  # Another supervisor that shares the cache was sooner.
                remove(made)
        return home / "bin" / "java"

    @staticmethod
    def _look(case: Case, classes: Mapping[str, bytes]) -> None:
        """Note what the candidate's classes do that may hollow out its tests: Main and the classes beside it."""
        theirs = set(_DECLARED.findall(case.tests))
        own = {name for name in classes if name.partition("$")[0] not in theirs}
        for name in own:
            referred = {one for one in theirs if _utf8(one) in classes[name]}
            if used := of_tests(referred, " ".join(referred)):
                case.suspicious.append(used)
            case.suspicious += [why for pattern, why in _LOOKS if re.search(pattern, classes[name])]
            if any(
                _COMPARES.fullmatch(method) and not _RECORDS_OWN.fullmatch(body)
                for method, body in _methods(classes[name])
            ):
                case.suspicious.append("it defines comparison of its own")
        if shadowed := sorted(own & set(re.findall(r"\w+", case.tests)) - {"Solution"}):
            case.suspicious.append(f"it declares {', '.join(shadowed)}, which its tests use")

    def _compile_warm(self, case: Case, source: bytes) -> dict[str, bytes] | None:
        """The class files, by name; None where the plain compiler must decide."""
        if len(source) > 1 << 20:
            return None
        try:
            server = self._serving()
            before = _cpu_seconds(server.pid)
            answer = _ask(server, source, case.limits.compile_cpu_seconds)
            case.compile_seconds += _cpu_seconds(server.pid) - before
        except (OSError, ValueError):
            self._end_server()
            return None
        return answer

    def _serving(self) -> subprocess.Popen[bytes]:
        if self._server is None:
            warm = self.warm
            argv = [
                "java",
                *_QUICK,
                "-Xmx512m",
                f"-XX:SharedArchiveFile={warm}/compile.jsa",
                "-cp",
                f"{warm}/compile.jar",
            ]
            uid = _COMPILER_UID if self.jail.has_uids else None
            self._server = subprocess.Popen(
                [*argv, "octopack.Compile", f"{warm}/empty"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
                user=uid,
                group=uid,
                extra_groups=None if uid is None else [],
            )
        return self._server

    def _end_server(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.communicate()
            self._server = None

    def close(self) -> None:
        """See `Strategy`."""
        self._end_server()


def _ask(server: subprocess.Popen[bytes], source: bytes, seconds: float) -> dict[str, bytes] | None:
    """One compilation; None where it was not successful."""
    assert server.stdin is not None
    assert server.stdout is not None
    deadline = time.monotonic() + seconds
    server.stdin.write(_NUMBER.pack(len(source)) + source)
    server.stdin.flush()

    fd = server.stdout.fileno()

    def read(count: int) -> bytes:
        """See `Strategy`."""
        data = b""
        while len(data) < count:
            if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise ValueError("the compiler takes too long")
            part = os.read(fd, count - len(data))
            if not part:
                raise ValueError("the compiler is gone")
            data += part
        return data

    def number() -> int:
        """See `Strategy`."""
        return int(_NUMBER.unpack(read(4))[0])

    result = number()
    read(number())
    classes = {}
    for _ in range(number()):
        name = read(number()).decode()
        classes[name] = read(number())
    if result == 2:
        raise ValueError("the compiler failed")
    if result != 0 or not all(_CLASS_NAME.fullmatch(name) for name in classes):
        return None
    return classes


def _unescaped(source: str) -> str:
    """A source as javac reads it: escapes of characters come before everything else."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), source)


def _write(case: Case, classes: Mapping[str, bytes]) -> bool:
    """Write the class files; False where the program has too many or too long names for that: javac tells it so."""
    try:
        for name, code in classes.items():
            case.box.write(name.replace(".", "/") + ".class", code)
    except OSError:
        for path in case.box.path.iterdir():
            remove(path)
        return False
    return True


def _utf8(text: str) -> bytes:
    """A text as it stands in a class file."""
    data = text.encode()
    return b"\x01" + len(data).to_bytes(2, "big") + data


def _methods(code: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The methods that a class file declares: name and descriptor in one, and the instructions."""
    at = 8
    texts: dict[int, bytes] = {}

    def number(size: int = 2) -> int:
        nonlocal at
        at += size
        return int.from_bytes(code[at - size : at], "big")

    def text(size: int) -> bytes:
        nonlocal at
        at += size
        return code[at - size : at]

    slot, slots = 1, number()
    while slot < slots:
        tag = number(1)
        if tag == 1:
            texts[slot] = text(number())
        else:
            at += _CONSTANT_BYTES[tag]
        slot += 2 if tag in (5, 6) else 1
    at += 6
    text(2 * number())  # The interfaces.
    for kind in ("field", "method"):
        for _ in range(number()):
            at += 2
            signature, body = texts[number()] + texts[number()], b""
            for _ in range(number()):
                name, content = texts[number()], text(number(4))
                if name == b"Code":
                    body = content[8 : 8 + int.from_bytes(content[4:8], "big")]
            if kind == "method":
                yield signature, body


def _cpu_seconds(pid: int) -> float:
    return Process.of(pid).cpu_seconds


STRATEGY = Java
