"""C++: a precompiled preamble, common templates compiled once, and a trusted end linked in behind `main`.

A pass needs the key, which the supervisor stamps into the linked executable: the compiler never sees it, so no macro,
`#include` or constant expression can. `resources/start.c` wraps `main` (`--wrap=main`) and writes the key after
`main` has returned 0, by a system call of its own. Exiting anywhere (`exit`, `_Exit`, `quick_exit`, a constructor, a
signal handler, a thread) skips it; a fork has no key. In containers the executable cannot be read by the program, nor
its memory file opened; nobody can run it again (`Secret`).

Three ways remain for the program's text to reach the tests' text, and each is looked for in what the compiler made:
assembly (`.end` would hide the rest of the file), functions that replace the C library's own (`__assert_fail`,
`abort`), and macros. A program that defines macros must also pass with all of them undone before its tests.

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
    RESOURCES,
    SECRET_PLACE,
    Case,
    Secret,
    Strategy,
    build,
    compile_failure,
    ends_open,
    finished,
    first_line,
    require,
    stopped,
)
from .cpp_instances import build_instances
from .elf import defined_symbols

STANDARD = "-std=c++17"  # The reference's compiler, g++ 11, has it as its default.
PREAMBLE = (
    "using namespace std;\n"
    "#include<stdlib.h>\n#include<algorithm>\n#include<cmath>\n#include<math.h>\n#include<numeric>\n#include<stdio.h>\n"
    "#include<vector>\n#include<set>\n#include<map>\n#include<queue>\n#include<stack>\n#include<list>\n#include<deque>\n"
    "#include<boost/any.hpp>\n#include<string>\n#include<climits>\n#include<cstring>\n#include<iostream>\n"
    "#include<sstream>\n#include<fstream>\n"
)
"""The lines with which HumanEvalPack's programs begin; other programs compile without the precompiled header."""

_OWN_MEANING = re.compile(r"(?<!using )\bnamespace\b|asm|_Z|##|%:%:|redefine_extname")
"""Without one of these no program can add to the library's namespaces, or define a function under a name of its
templates: only then does it mean by them what the common instances do."""
_REPLACED = re.compile(
    r"(__assert_fail|__assert|abort|raise|exit|_exit|_Exit|quick_exit|__libc_start_main|__wrap_main|_start|write|syscall|"
    r"__cxa_atexit|longjmp|sigaction|signal|memcmp|strcmp|_Z\w*__assert\w*)"
)
_RESERVED = re.compile(r"__wrap_main|__real_main|__libc_start_main")
_SPLICE = re.compile(r"(?:\\|\?\?/)[ \t]*\r?\n")
_NOT_CODE = re.compile(
    r"//[^\n]*|/\*.*?(?:\*/|\Z)|(?<![\w$])(?:u8|[uUL])?R\"([^()\\\s]{0,16})\(.*?(?:\)\1\"|\Z)|"
    r"\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?",
    re.DOTALL,
)
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_DOCUMENTATION = re.compile(r"(?:\s*/\*(?:(?!\*/|\\|\?\?/).)*\*/)*", re.DOTALL)
"""Comments that nothing stands before are surely ones, unless a line break hides where they end."""
_DEFINE = re.compile(r"(?:#|%:|\?\?=)\s*define\s+(\w+)")
_OWN_SYMBOLS = re.compile(r"redefine_extname|\b(?:__)?asm(?:__)?\s*\(")
_ATTRIBUTE = re.compile(r"__attribute|\[\s*\[|__assert|noreturn")
_ASSERT = re.compile(r"\bassert\s*\(")
_MAIN = re.compile(r"^main:\n.*?^\t\.size\tmain", re.MULTILINE | re.DOTALL)
_FUNCTION = re.compile(r"^[\w:<>,&*]+[\w:<>,&* ]*[ &*](\w+)\s*\([^(){};]*\)\s*\{", re.MULTILINE)
_WORD = re.compile(r"\w+")
_LOOKS = (
    (r"\boperator\b", "it defines operators of its own"),
    (
        r"\b(?:int|long|float|double|auto|bool|T)\s+(abs|fabs|round|floor|ceil|pow|sqrt)\s*\([^;{]{0,999}\{",
        "it defines {0}",
    ),
    (
        r"[\w>&*]\s+(abs|fabs|round|floor|ceil|pow|sqrt)\s*\([^;{}()]{0,999}\)\s*(?:noexcept\s*)?\{",
        "it defines {0}",
    ),
    (
        r"\btemplate\s*<[^;{}]{0,999}>\s*(?:class|struct|bool|auto|inline)\s+(?:::\s*)?std\s*::\s*(?!hash\b)",
        "it gives templates of the library a meaning of its own",
    ),
    (r"\bnoreturn\b|\b_Noreturn\b|\b__builtin_(unreachable|trap)\b|\bassume\b", "it tells the compiler what is not so"),
    (r"##|%:%:", "it pastes names together"),
    (r"\b(__builtin_(frame_address|return_address|eh_return|longjmp|unwind_init)|naked)\b", "it works on its stack"),
    (r"\b(atexit|at_quick_exit|quick_exit|_Exit|_exit|abort)\b|\bexit\s*\(", "it interferes with how a program ends"),
    (
        r"\b(\w*signal|sig(?:action|set|vec)|\w*(?:setjmp|longjmp)|(?:get|set|swap|make)context|set_terminate)\b",
        "it handles signals or jumps",
    ),
    (r"\b_*(?:libc_)?v?[fF]ork\s*\(|\b(syscall|SYS_\w+)\b", "it forks, and may try its answers out"),
    (r"\binclude\b[^\n]*(__FILE__|test\.cpp)", "it reads its tests"),
    (r"\binterval_lib\b", "it gives comparison another meaning"),
    (r"\b(constructor|destructor|init_array|section|alias|ifunc|weak)\b", "it uses linker attributes"),
    (
        r"\b(dlopen|dlsym|mprotect|mmap|getauxval|ptrace|process_vm_\w+|_?etext|_?edata|__data_start|__bss_start|__executable_start)\b|/proc/",
        "it may read memory",
    ),
    (r"\b(__assert_fail|NDEBUG)\b|#\s*define\s+assert\b", "it touches the assertion"),
    (r"(?<!using )\bnamespace\s+(std|__gnu_cxx)\b", "it adds to namespace std"),
)


class Cpp(Strategy):
    """C++ programs."""

    language = "cpp"
    resources = ("start.c", "common.cpp")
    prepared = 7

    def version(self) -> str:
        """See `Strategy`."""
        require("/usr/include/boost/any.hpp", "/usr/include/openssl/md5.h")
        return first_line("g++", "--version")

    def prepare(self, warm: Path) -> None:
        """See `Strategy`."""
        place = ",".join(map(str, SECRET_PLACE))
        build(warm, "gcc", "-O2", "-fPIE", f"-DSECRET_PLACE={place}", "-c", str(RESOURCES / "start.c"), "-o", "start.o")
        (warm / "preamble.h").write_text(PREAMBLE)
        mold = shutil.which("mold")
        if mold:  # The usual linker would take longer over the instances than the compiler saves.
            build_instances(warm, ["g++", STANDARD], warm / "preamble.h")
        build(warm, "g++", STANDARD, "-x", "c++-header", "preamble.h", "-o", "preamble.h.gch")
        compiler = ["g++", STANDARD, "-S", "test.cpp", "-o", "test.s"]
        linker = ["g++", "-Wl,--wrap=main", "-Wl,--as-needed", str(warm / "start.o"), "test.o"]
        linker += ["-lcrypto", "-lssl", "-o", "a.out"]
        assembler = ["as", "test.s", "-o", "test.o"]
        (warm / "plain.sh").write_text(_script([compiler, assembler, linker]))
        # What the driver would start, without the driver: it costs as much as the assembler and the linker together.
        compiler = _driven(warm, [*compiler, "-I", str(warm)], "cc1plus")
        if mold:
            words = _driven(warm, linker, "collect2")
            at = words.index("-plugin") if "-plugin" in words else 0
            words[at : at + 2] = [] if at else words[at : at + 2]
            # One thread, no process in the background: what helps a large program costs a small one more.
            options = [word for word in words[1:] if not word.startswith("-plugin-opt")]
            linker = [mold, "--threads=1", "--no-fork", *options]
            linker.insert(linker.index("test.o") + 1, str(warm / "instances.o"))
        (warm / "fast.sh").write_text(_script([compiler, assembler, linker]))

    def judge(self, case: Case) -> Verdict:
        """See `Strategy`."""
        source = case.program.source
        offset = case.program.test_offset
        verdict = self._judge(case, source)
        if verdict.status is not Status.PASSED or offset is None:
            return verdict
        names = _macros(case.candidate)
        if not names:
            return verdict
        undone = "".join(f"#undef {name}\n" for name in sorted(names))
        with self.jail.box() as box:
            again = self._judge(self.case(case.program, box), f"{source[:offset]}\n{undone}{source[offset:]}")
        surely = set(_DEFINE.findall(_NOT_CODE.sub(" ", _SPLICE.sub("", case.candidate))))
        mentioned = surely & set(_WORD.findall(case.tests)) or {name for name in surely if name.startswith("_")}
        changed = ", ".join(sorted(mentioned or names))
        if again.status is not Status.PASSED:
            detail = f"not proven: its macros change its tests: {changed}"
            return case.verdict(Status.FAILED, None, reference=True, detail=detail)
        if not mentioned:
            return verdict
        reasons = [*case.suspicious, f"its macros change its tests: {changed}"]
        return Verdict.from_json({**verdict.to_json(), "suspicious": reasons})

    def _judge(self, case: Case, source: str) -> Verdict:
        if "optimize" in case.candidate and case.tests:
            # So that the tests are compiled as the command line says: without leaving out what cannot be.
            offset = len(source) - len(case.tests)
            source = f"{source[:offset]}\n#pragma GCC reset_options\n{source[offset:]}"
        own = _SPLICE.sub("", source[len(PREAMBLE) :])
        fast = source.startswith(PREAMBLE) and not _OWN_MEANING.search(own)
        outcome = self._compile(case, source, fast=fast)
        if fast and outcome.stopped is None and outcome.exit_code != 0:
            outcome = self._compile(case, source, fast=False)  # The plain command has the last word, and its own words.
        if failure := compile_failure(case, outcome):
            return failure
        doubt = self._doubt(case)
        secret = Secret()
        with self.sealed(case, "a.out") as executable:
            try:
                secret.stamp(executable)
            except ValueError:
                return case.verdict(Status.FAILED, None, detail="not proven: it copies what marks the secret's place")
            data_bytes = 2 * case.limits.memory_bytes + (1 << 30)
            outcome = self.execute_sealed(case, executable, secret=secret, data_bytes=data_bytes)
        if verdict := stopped(case, outcome):
            return verdict
        if outcome.exit_code == 0 and doubt:
            return case.verdict(Status.FAILED, outcome, reference=True, detail=f"not proven: {doubt}")
        self._look(case)
        return finished(
            case,
            outcome,
            secret.key,
            reference=outcome.exit_code == 0,
            failed_by_test=b"Assertion `" in outcome.stderr,
        )

    @staticmethod
    def _look(case: Case) -> None:
        candidate = _DOCUMENTATION.sub(" ", case.candidate.removeprefix(PREAMBLE), count=1)
        candidate = _SPLICE.sub("", candidate)
        candidate += "\n" + _COMMENT.sub(" ", candidate)
        candidate = re.sub(r"[ \t]+", " ", candidate)
        for pattern, why in _LOOKS:
            if found := re.search(pattern, candidate):
                case.suspicious.append(why.format(*found.groups()))
        helpers = set(_FUNCTION.findall(case.tests)) - {"main"}
        if overloaded := sorted(helpers & set(_WORD.findall(case.candidate))):
            case.suspicious.append(f"it declares {', '.join(overloaded)}, which its tests define")

    def _compile(self, case: Case, source: str, *, fast: bool) -> Outcome:
        """Compile to assembly, assemble and link, as one command."""
        warm = self.warm
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
        # The object file tells also what is defined as another function's alias.
        if replaced := sorted(filter(_REPLACED.fullmatch, defined_symbols(case.box.path / "test.o"))):
            return f"it replaces {', '.join(replaced)} of the C library"
        if _RESERVED.search(assembly):
            return "it reaches into the start-up code"
        text = _SPLICE.sub("", case.candidate)
        if _OWN_SYMBOLS.search(_COMMENT.sub(" ", text)) or _OWN_SYMBOLS.search(text):
            return "it contains assembly, or names symbols itself"
        if case.tests and (ends_open(text, _NOT_CODE) or case.candidate.rstrip().endswith(("\\", "??/"))):
            return "its last line reaches into the tests"
        if _ATTRIBUTE.search(text) and "](" not in case.tests:
            # Elsewhere what compilers know beforehand (`strlen("")`) is left out, too.
            asserts = len(_ASSERT.findall(_NOT_CODE.sub(" ", case.tests.partition("main")[2])))
            if (main := _MAIN.search(assembly)) and main[0].count("__assert_fail") < asserts:
                case.suspicious.append("the compiler left out assertions of its tests")
        if "#APP" in assembly and re.search(r"asm|##", case.candidate):
            return "it contains assembly"
        return None


def _macros(candidate: str) -> set[str]:
    """The names of the macros that a candidate defines, and perhaps more.

    What looks like a comment or a text may be none to the compiler, so all ways to read it count.
    """
    text = _SPLICE.sub("", candidate)
    ways = (text, _NOT_CODE.sub(" ", text), _COMMENT.sub(" ", text), re.sub(r"//[^\n]*", "", text))
    return {name for way in ways for name in _DEFINE.findall(way)} - {"defined"}


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
