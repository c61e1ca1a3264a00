"""C++: a precompiled preamble, a fast linker, and a trusted end linked in behind `main`.

A pass needs the key, which the supervisor stamps into the linked executable: the compiler never sees it, so no macro,
`#include` or constant expression can. `resources/start.c` wraps `main` (`--wrap=main`) and writes the key after
`main` has returned 0, by a system call of its own. Exiting anywhere (`exit`, `_Exit`, `quick_exit`, a constructor, a
signal handler, a thread) skips it. In containers the executable cannot be read by the program, nor its memory file
opened.

Three ways remain for the program's text to reach the tests' text, and each is looked for in what the compiler made:
assembly (`.end` would hide the rest of the file), functions that replace the C library's own (`__assert_fail`,
`abort`), and macros. A program whose macros rename anything that its tests mention must also pass with these macros
undone.

Left over: native code that searches its own memory for the key. What is needed for that is reported as suspicious.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from ..processes import Command, Outcome
from ..protocol import Status, Verdict
from .base import (
    KEY_PLACE,
    RESOURCES,
    Case,
    Strategy,
    build,
    compile_failure,
    finished,
    first_line,
    new_key,
    require,
    stamp,
    stopped,
)

STANDARD = "-std=c++17"  # The reference's compiler, g++ 11, has it as its default.
PREAMBLE = (
    "using namespace std;\n"
    "#include<stdlib.h>\n#include<algorithm>\n#include<cmath>\n#include<math.h>\n#include<numeric>\n#include<stdio.h>\n"
    "#include<vector>\n#include<set>\n#include<map>\n#include<queue>\n#include<stack>\n#include<list>\n#include<deque>\n"
    "#include<boost/any.hpp>\n#include<string>\n#include<climits>\n#include<cstring>\n#include<iostream>\n"
    "#include<sstream>\n#include<fstream>\n"
)
"""The lines with which HumanEvalPack's programs begin; other programs compile without the precompiled header."""

_REPLACED = re.compile(
    r"^(__assert_fail|__assert|abort|raise|exit|_exit|_Exit|quick_exit|__libc_start_main|__wrap_main|_start|write|syscall|"
    r"__cxa_atexit|longjmp|sigaction|signal|memcmp|strcmp):",
    re.MULTILINE,
)
_RESERVED = re.compile(r"__wrap_main|__real_main|__libc_start_main")
_DEFINE = re.compile(r"^\s*#\s*define\s+(\w+)", re.MULTILINE)
_WORD = re.compile(r"\w+")
_LOOKS = (
    (r"operator\s*(==|!=|<|>|\(\)|bool|!|&&|\|\|)", "it defines comparison or conversion of its own"),
    (r"\b(atexit|at_quick_exit|quick_exit|_Exit|_exit|abort)\b|\bexit\s*\(", "it interferes with how a program ends"),
    (r"\b(signal|sigaction|setjmp|longjmp|set_terminate)\b", "it handles signals or jumps"),
    (r"\b(constructor|destructor|init_array|section|alias|ifunc|weak)\b", "it uses linker attributes"),
    (
        r"\b(dlsym|mprotect|mmap|getauxval|ptrace|process_vm_\w+|etext|__executable_start)\b|/proc/",
        "it may read memory",
    ),
    (r"\b(__assert_fail|NDEBUG)\b|#\s*define\s+assert\b", "it touches the assertion"),
    (r"(?<!using )\bnamespace\s+(std|__gnu_cxx)\b", "it adds to namespace std"),
)


class Cpp(Strategy):
    """C++ programs."""

    language = "cpp"
    prepared = 2

    def version(self) -> str:
        """See `Strategy`."""
        require("/usr/include/boost/any.hpp", "/usr/include/openssl/md5.h")
        return first_line("g++", "--version")

    def prepare(self, warm: Path) -> None:
        """See `Strategy`."""
        place = ",".join(map(str, KEY_PLACE))
        build(warm, "gcc", "-O2", "-fPIE", f"-DKEY_PLACE={place}", "-c", str(RESOURCES / "start.c"), "-o", "start.o")
        (warm / "preamble.h").write_text(PREAMBLE)
        build(warm, "g++", STANDARD, "-x", "c++-header", "preamble.h", "-o", "preamble.h.gch")
        compiler = ["g++", STANDARD, "-S", "test.cpp", "-o", "test.s"]
        linker = ["g++", "-Wl,--wrap=main", "-Wl,--as-needed", str(warm / "start.o"), "test.o"]
        linker += ["-lcrypto", "-lssl", "-o", "a.out"]
        assembler = ["as", "test.s", "-o", "test.o"]
        (warm / "plain.sh").write_text(_script([compiler, assembler, linker]))
        # What the driver would start, without the driver: it costs as much as the assembler and the linker together.
        compiler = _driven(warm, [*compiler, "-I", str(warm)], "cc1plus")
        if mold := shutil.which("mold"):
            words = _driven(warm, linker, "collect2")
            at = words.index("-plugin") if "-plugin" in words else 0
            words[at : at + 2] = [] if at else words[at : at + 2]
            linker = [mold, *(word for word in words[1:] if not word.startswith("-plugin-opt"))]
        (warm / "fast.sh").write_text(_script([compiler, assembler, linker]))

    def judge(self, case: Case) -> Verdict:
        """See `Strategy`."""
        source = case.program.source
        offset = case.program.test_offset
        verdict = self._judge(case, source)
        if verdict.status is Status.PASSED and offset is not None:
            hidden = self._macros_of_tests(case)
            if hidden:
                undone = "".join(f"#undef {name}\n" for name in hidden)
                text = source[:offset] + "\n" + undone + source[offset:]
                with self.jail.box() as box:
                    again = self._judge(self.case(case.program, box), text)
                if again.status is not Status.PASSED:
                    return case.verdict(
                        Status.FAILED, None, reference=True, detail=f"not proven: its macros change its tests: {hidden}"
                    )
                case.suspicious.append(f"its macros change its tests: {', '.join(hidden)}")
                return self._with_reasons(case, verdict)
        return verdict

    def _with_reasons(self, case: Case, verdict: Verdict) -> Verdict:
        return Verdict.from_json({**verdict.to_json(), "suspicious": case.suspicious})

    @staticmethod
    def _macros_of_tests(case: Case) -> list[str]:
        """Macros of the candidate's that its tests, or the assertion's own definition, mention."""
        text = case.candidate.replace("\\\r\n", "").replace("\\\n", "").replace("%:", "#").replace("??=", "#")
        mentioned = set(_WORD.findall(case.tests))
        return sorted({name for name in _DEFINE.findall(text) if name in mentioned or name.startswith("_")})

    def _judge(self, case: Case, source: str) -> Verdict:
        outcome = self._compile(case, source, fast=True)
        if outcome.stopped is None and outcome.exit_code != 0:
            outcome = self._compile(case, source, fast=False)  # The plain command has the last word, and its own words.
        if failure := compile_failure(case, outcome):
            return failure
        doubt = self._doubt(case)
        key = new_key()
        with self.sealed(case, "a.out") as executable:
            try:
                stamp(executable, key)
            except ValueError:
                doubt = doubt or "it carries a copy of what marks the key's place"
            outcome = self.execute_sealed(case, executable, data_bytes=2 * case.limits.memory_bytes + (1 << 30))
        if verdict := stopped(case, outcome):
            return verdict
        if outcome.exit_code == 0 and doubt:
            return case.verdict(Status.FAILED, outcome, reference=True, detail=f"not proven: {doubt}")
        case.suspicious += [why for pattern, why in _LOOKS if re.search(pattern, case.candidate)]
        return finished(
            case, outcome, key, reference=outcome.exit_code == 0, failed_by_test=b"Assertion `" in outcome.stderr
        )

    def _compile(self, case: Case, source: str, *, fast: bool) -> Outcome:
        """Compile to assembly, assemble and link, as one command."""
        warm = self.warm
        fast = fast and source.startswith(PREAMBLE)
        if fast:
            line = PREAMBLE.count("\n") + 1
            source = f'#include "preamble.h"\n#line {line} "test.cpp"\n' + source[len(PREAMBLE) :]
        case.box.write("test.cpp", source.encode("utf-8", "surrogatepass"))
        script = str(warm / ("fast.sh" if fast else "plain.sh"))
        return self.compile(case, Command(case.compiling(), ["sh", "-e", script]))

    @staticmethod
    def _doubt(case: Case) -> str | None:
        """Why what the compiler made cannot be trusted to run the tests; None for all honest programs."""
        assembly = (case.box.path / "test.s").read_text(encoding="utf-8", errors="replace")
        if replaced := _REPLACED.search(assembly):
            return f"it replaces {replaced[1]} of the C library"
        if _RESERVED.search(assembly):
            return "it reaches into the start-up code"
        if "#APP" in assembly and re.search(r"asm|##", case.candidate):
            return "it contains assembly"
        return None


def _script(commands: list[list[str]]) -> str:
    return "".join(shlex.join(command) + "\n" for command in commands)


def _driven(folder: Path, command: list[str], tool: str) -> list[str]:
    """The command line with which a compiler driver starts one of its tools."""
    shown = build(folder, "sh", "-c", shlex.join([command[0], "-###", *command[1:]]) + " 2>&1")
    for line in shown.splitlines():
        words = shlex.split(line) if line.startswith(" ") else []
        if words and Path(words[0]).name == tool:
            return words
    raise OSError(f"{command[0]} does not say how it starts {tool}")


STRATEGY = Cpp
