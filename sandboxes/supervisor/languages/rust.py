"""Rust: one crate for several programs, each a module of its own; one process a program.

`cargo` itself, linking and loading the standard library's metadata cost most, so the programs of a batch become
modules of one crate, compiled by one plain `rustc` on prebuilt crates with a fast linker. Each runs in a process of
its own, in which only its own tests are called. A module that does not compile is taken out and judged alone, and so
is any program with something in it that might know the difference (attributes, macros, `unsafe`, paths from the
root). Alone, the program is first checked as the binary it is, then compiled as a library crate that keeps its root.

A pass needs the key, which the supervisor stamps into the linked executable for each run. The trusted main function
calls every test function, each on a thread of its own as the standard harness does, and writes the key when all have
returned. Exiting, a panic hook that exits, or tests that are configured away (`#![cfg(not(test))]`) never get there.
The executable runs once (`Secret`), so that no program starts itself to try an answer.

Left over: `unsafe` code that searches its own memory for the key; reported as suspicious.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..processes import Command, Outcome
from ..protocol import Program, Status, Verdict
from .base import (
    RESOURCES,
    SECRET_PLACE,
    Case,
    Secret,
    Strategy,
    build,
    compile_failure,
    finished,
    first_line,
    require,
    stopped,
)

BATCH = 16
_REGISTRY = "/usr/share/cargo/registry"
_TESTS = re.compile(r"#\[cfg\(test\)\]\s*mod\s+(\w+)\s*\{")
_TEST = re.compile(r"#\s*\[\s*test\s*\]\s*(?://[^\n]*\n\s*)*fn\s+(\w+)\s*\(\s*\)\s*\{")
_MARK = re.compile(r"#\s*\[\s*test\s*\]")
_EMPTY_MAIN = re.compile(r"^fn main\(\)\s*\{\s*\}", re.MULTILINE)
_ALONE = re.compile(
    r"#(?!\[(derive\(|allow\(|inline|must_use\]|cfg\(test\)\]))|"
    r"\b(unsafe|macro_rules|extern|crate|mod|super|asm|include\w*|global_asm|option_env|no_mangle|link_section)\b|\boctopack"
)
_ALONE_IN_CODE = re.compile(r"\b(union|env|cfg|file|line|column|module_path|type_name|macro)\b")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_PLAIN = re.compile(r"(?:[^\"'/#]+|/(?![/*])|//[^\n]*|/\*(?:(?!/\*|\*/).)*\*/)*", re.DOTALL)
"""The beginning of a text in which what looks like a comment is one: no quote stands before it, none is nested."""
_NOT_CODE = re.compile(
    r"//[^\n]*|/\*.*?(?:\*/|\Z)|\br(#*)\".*?(?:\"\1|\Z)|\"(?:\\.|[^\"\\])*(?:\"|\Z)|'(?:\\[^\n']+|[^'\\\n])'|'\\''",
    re.DOTALL,
)
_NAMED = re.compile(r"\b((?:debug_)?assert)\b(?!\s*!)")
"""A macro that is named and not called, in code."""
_BROKEN = re.compile(rb"^p(\d+)\.rs:\d+:\d+: error", re.MULTILINE)
_LOOKS = (
    (r"\bmacro_rules\s*!\s*(?:r#)?(assert\w*|panic|vec|matches)\b", "it redefines {0}!"),
    (r"\bas\s+(?:r#)?(assert\w*|panic|vec|matches)\b", "it redefines {0}!"),
    (r"\b((?:debug_)?assert_(?:eq|ne))\b(?!\s*!)", "it redefines {0}!"),
    (r"\bmacro_rules\s*!\s*(?:r#)?\$|\bmacro_rules\b(?!\s*!)", "it defines macros by macros"),
    (
        r"(?<!\*)\b(?:struct|enum|type|trait|union|const|static|fn|mod)\s+(?:r#)?"
        r"(Vec|String|Option|Some|None|Ok|Err|Box|bool|char|str|[iu](?:8|16|32|64|128|size)|f32|f64)\b",
        "it redefines {0}",
    ),
    (r"\bas\s+(?:r#)?(Vec|String|Option|Some|None|Ok|Err|Box)\b", "it redefines {0}"),
    (r"\b(PartialEq|PartialOrd|Eq|Ord|Deref|Not|Neg|Sub)\b[^{};]{0,999}?\bfor\b", "it defines comparison of its own"),
    (r"\b(PartialEq|PartialOrd|Ord)\s+as\b", "it defines comparison of its own"),
    (r"!\s*[({\[][^;{}]{0,999}\b(PartialEq|PartialOrd|Ord|Not|Neg|Sub)\b", "it defines comparison of its own"),
    (r"\b(set_hook|catch_unwind|process\s*::\s*(exit|abort))\b", "it interferes with how a program ends"),
    (r"\bunsafe\b|no_mangle|link_section|export_name", "it contains unsafe code or linker attributes"),
    (r"\bcfg(_attr)?\s*!?\s*\(|#\s*!\s*\[", "it changes how it is compiled"),
    (r"\binclude(_str|_bytes)?\s*!", "it includes files"),
    (r"/proc/|\bcurrent_exe\b", "it may read memory"),
)
_MAIN = """#![allow(warnings)]

%(modules)s

static SECRET: [u8; 64] = [%(secret)s];

fn is_first_run() -> bool {
    use std::io::Read;
    use std::os::unix::io::FromRawFd;
    let mut ticket = [0u8; 32];
    let found = unsafe { std::fs::File::from_raw_fd(4) }.read_exact(&mut ticket).is_ok();
    found && unsafe { std::ptr::read_volatile(&SECRET) }[..32] == ticket
}

fn tell() {
    let secret = unsafe { std::ptr::read_volatile(&SECRET) };
    let key = &secret[32..];
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") 1isize => _, in("rdi") 3, in("rsi") key.as_ptr(),
            in("rdx") key.len(), out("rcx") _, out("r11") _);
    }
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("svc 0", in("x8") 64, inlateout("x0") 3isize => _, in("x1") key.as_ptr(), in("x2") key.len());
    }
}

fn main() {
    if !is_first_run() {
        std::process::exit(1);
    }
    let process = std::process::id();
    let which = std::env::args().nth(1).unwrap_or_default();
    let tests: &[(&str, fn())] = match which.as_str() {
        %(branches)s
        _ => &[],
    };
    let mut returned = 0;
    for (name, test) in tests {
        // The standard harness's threads have 2 MiB; an honest program may count on that and more does no harm.
        let thread = std::thread::Builder::new().name(name.to_string()).stack_size(64 << 20).spawn(*test);
        if thread.unwrap().join().is_ok() {
            returned += 1;
        }
    }
    if tests.is_empty() || returned < tests.len() || std::process::id() != process {
        std::process::exit(101);
    }
    tell();
}
"""


@dataclass(frozen=True)
class _Parts:
    """A program's text with its tests made callable: `path` is the module that holds them."""

    text: str
    path: str
    names: tuple[str, ...]


class Rust(Strategy):
    """Rust programs."""

    language = "rust"
    resources = ("rust",)
    prepared = 2

    def version(self) -> str:
        """See `Strategy`."""
        require(f"{_REGISTRY}/regex-1*", f"{_REGISTRY}/md5-0*")
        return first_line("rustc", "--version")

    def prepare(self, warm: Path) -> None:
        """See `Strategy`."""
        project = warm / "project"
        shutil.copytree(RESOURCES / "rust", project)
        config = project / ".cargo"
        config.mkdir()
        (config / "config.toml").write_text(
            f'[source.crates-io]\nreplace-with = "local"\n[source.local]\ndirectory = "{_REGISTRY}"\n'
            "[net]\noffline = true\n"
        )
        env = {"CARGO_HOME": str(warm / "cargo"), "CARGO_TERM_COLOR": "never"}
        build(project, "cargo", "check", "--bin", "test", env=env)
        build(project, "cargo", "test", "--bin", "test", env=env)
        crates = warm / "crates"
        crates.mkdir()
        deps = project / "target" / "debug" / "deps"
        for path in deps.glob("*.rlib"):
            shutil.copy(path, crates)
        for name in ("rand", "regex", "md5"):
            next(crates.glob(f"lib{name}-*.rlib")).rename(crates / f"lib{name}.rlib")
        shutil.rmtree(project / "target" / "debug" / "incremental", ignore_errors=True)
        (warm / "linker").write_text(_linker(warm))
        (warm / "as_tests").write_text(" ".join(_as_tests(warm)))
        (warm / "try").unlink()

    def judge(self, case: Case) -> Verdict:
        """See `Strategy`."""
        return self._judge_alone(case)

    def judge_all(self, programs: Sequence[Program]) -> list[Verdict]:
        """See `Strategy`."""
        verdicts: list[Verdict] = []
        for start in range(0, len(programs), BATCH):
            with ExitStack() as stack:
                cases = [
                    self.case(one, stack.enter_context(self.jail.box())) for one in programs[start : start + BATCH]
                ]
                verdicts += self._judge_together(cases)
        return verdicts

    def judge_one(self, program: Program) -> Verdict:
        """See `Strategy`."""
        return self.judge_all([program])[0]

    def _rustc(self, case: Case, *arguments: str) -> Outcome:
        warm = self.warm
        argv = ["rustc", "--edition", "2021", "-C", "debuginfo=0", "-L", str(warm / "crates"), "-A", "warnings"]
        argv += ["-C", "link-arg=-fuse-ld=" + (warm / "linker").read_text()]
        for name in ("rand", "regex", "md5"):
            argv += ["--extern", f"{name}={warm}/crates/lib{name}.rlib"]
        return self.compile(case, Command(case.compiling(), [*argv, *arguments], env={"RUST_BACKTRACE": "0"}))

    def _as_tests(self) -> list[str]:
        return (self.warm / "as_tests").read_text().split()

    def _judge_together(self, cases: Sequence[Case]) -> list[Verdict]:
        verdicts: dict[int, Verdict] = {}
        parts = {number: _parts(case) for number, case in enumerate(cases)}
        together = {number: part for number, part in parts.items() if part is not None and _may_share(cases[number])}
        while together:
            outcome, broken = self._compile_together(cases, together)
            if outcome.stopped is None and outcome.exit_code == 0:
                home = cases[next(iter(together))]
                with self.sealed(home, "test") as executable:
                    verdicts |= self._run_each(cases, together, executable)
                break
            if not broken:
                break
            for number in broken:
                together.pop(number, None)
        for number, case in enumerate(cases):
            if number not in verdicts:
                verdicts[number] = self._judge_alone(case)
        return [verdicts[number] for number in range(len(cases))]

    def _compile_together(self, cases: Sequence[Case], parts: dict[int, _Parts]) -> tuple[Outcome, set[int]]:
        """Compile modules as one crate; the outcome, and which modules the compiler complains about."""
        home = cases[next(iter(parts))]
        for number, part in parts.items():
            home.box.write(f"p{number}.rs", part.text.encode("utf-8", "replace"))
        main = _main("".join(f"mod p{number};\n" for number in parts), {n: (f"p{n}::", p) for n, p in parts.items()})
        home.box.write("main.rs", main.encode())
        before = home.compile_seconds
        outcome = self._rustc(home, *self._as_tests(), "--error-format=short", "-o", "test", "main.rs")
        share = (home.compile_seconds - before) / len(parts)
        home.compile_seconds = before
        for number in parts:
            cases[number].compile_seconds += share
        return outcome, {int(number) for number in _BROKEN.findall(outcome.stderr)}

    def _judge_alone(self, case: Case) -> Verdict:
        """Check the program as it stands, then run its tests from a crate that has it as a library."""
        case.box.write("test.rs", case.program.source.encode("utf-8", "replace"))
        if failure := compile_failure(case, self._rustc(case, "--crate-name", "test", "--emit=metadata", "test.rs")):
            return failure
        part = _parts(case)
        if part is not None:
            case.box.write("program.rs", part.text.encode("utf-8", "replace"))
            case.box.write("main.rs", _main("", {0: ("program::", part)}).encode())
            library = self._rustc(
                case, *self._as_tests(), "--crate-type", "rlib", "--crate-name", "program", "program.rs"
            )
            if library.exit_code == 0 and library.stopped is None:
                outcome = self._rustc(case, "--extern", "program=libprogram.rlib", "-o", "test", "main.rs")
                if outcome.exit_code == 0 and outcome.stopped is None:
                    with self.sealed(case, "test") as executable:
                        return self._run_each([case], {0: part}, executable)[0]
        return self._judge_by_harness(case, usual=part is not None)

    def _judge_by_harness(self, case: Case, *, usual: bool) -> Verdict:
        """Run the tests by the standard harness: what the reference would say, and weaker proof.

        Where they are of the usual kind (`usual`), only a program that tells a library from a binary gets here.
        """
        if failure := compile_failure(
            case, self._rustc(case, "--crate-name", "test", "--test", "-o", "test", "test.rs")
        ):
            return failure
        with self.sealed(case, "test") as executable:
            outcome = self.execute_sealed(case, executable, data_bytes=_data_bytes(case))
        if verdict := stopped(case, outcome):
            return verdict
        expected = len(_MARK.findall(case.tests or case.program.source))
        said = re.search(rb"^test result: ok\. (\d+) passed; 0 failed; 0 ignored", outcome.stdout, re.MULTILINE)
        if outcome.exit_code == 0 and usual:
            detail = "not proven: it compiles as a binary and not as a library"
            return case.verdict(Status.FAILED, outcome, reference=True, detail=detail)
        if outcome.exit_code == 0 and expected and said and int(said[1]) >= expected:
            case.suspicious.append(
                "its tests are of a kind that only the standard harness can run, which can be fooled"
            )
            self._look(case)
            return case.verdict(Status.PASSED, outcome, reference=True)
        failed = b"assertion" in outcome.stdout
        return finished(case, outcome, b"-", reference=outcome.exit_code == 0, failed_by_test=failed)

    def _run_each(self, cases: Sequence[Case], parts: dict[int, _Parts], executable: Path) -> dict[int, Verdict]:
        verdicts, place = {}, SECRET_PLACE
        for number in parts:
            case = cases[number]
            secret = Secret()
            try:
                place = secret.stamp(executable, place)
            except ValueError:
                verdicts[number] = case.verdict(
                    Status.FAILED, None, detail="not proven: it copies what marks the secret's place"
                )
                continue
            data_bytes = _data_bytes(case)
            outcome = self.execute_sealed(case, executable, str(number), secret=secret, data_bytes=data_bytes)
            if verdict := stopped(case, outcome):
                verdicts[number] = verdict
                continue
            self._look(case)
            failed = b"panicked at" in outcome.stderr and b"assertion" in outcome.stderr
            verdicts[number] = finished(
                case, outcome, secret.key, reference=outcome.exit_code == 0, failed_by_test=failed
            )
        return verdicts

    @staticmethod
    def _look(case: Case) -> None:
        text = _PLAIN.sub(lambda found: _COMMENT.sub(" ", found[0]), case.program.source[: _tests_begin(case)], count=1)
        text += "\n" + _COMMENT.sub(" ", text)
        for pattern, why in _LOOKS:
            if found := re.search(pattern, text):
                case.suspicious.append(why.format(*found.groups()))
        if found := _NAMED.search(_NOT_CODE.sub(" ", text)):
            case.suspicious.append(f"it redefines {found[1]}!")


_AS_TESTS = ("--cfg", "test")
_AS_TESTS_NEWER = (*_AS_TESTS, "-A", "explicit_builtin_cfgs_in_flags")


def _as_tests(warm: Path) -> tuple[str, ...]:
    """The options that compile for tests: newer compilers refuse the first by a lint that older ones do not know."""
    try:
        build(warm, "rustc", *_AS_TESTS_NEWER, "--emit=metadata", "-o", "try.rmeta", "try.rs")
    except OSError:
        return _AS_TESTS
    return _AS_TESTS_NEWER


def _data_bytes(case: Case) -> int:
    return 2 * case.limits.memory_bytes + (1 << 30)


def _linker(warm: Path) -> str:
    """The fastest linker that works here."""
    (warm / "try.rs").write_text("fn main() {}\n")
    for linker in ("mold", "lld", "bfd"):
        try:
            build(warm, "rustc", "-C", f"link-arg=-fuse-ld={linker}", "-o", "try", "try.rs")
        except OSError:
            continue
        return linker
    raise OSError("rustc cannot link: is a C compiler installed?")


def _parts(case: Case) -> _Parts | None:
    """The program with its test functions made callable; None where its tests are not of the usual kind."""
    source, begin = case.program.source, _tests_begin(case)
    if begin < 0:
        return None
    tests = source[begin:]
    module = _TESTS.search(tests)
    names = _TEST.findall(tests)
    if (
        module is None
        or not names
        or len(names) != len(_MARK.findall(tests))
        or re.search(r"should_panic|#\[ignore", tests)
    ):
        return None
    calls = ", ".join(f'("{module[1]}::{name}", {name} as fn())' for name in names)
    entry_name = f"OCTOPACK_{secrets.token_hex(8)}"  # A module that the program puts in the tests' place has no such.
    entry = f"pub const {entry_name}: &[(&str, fn())] = &[{calls}];"
    tests = tests[: module.start()] + f"#[cfg(test)] pub mod {module[1]} {{ {entry}" + tests[module.end() :]
    tests = _MARK.sub("", tests)
    return _Parts(source[:begin] + tests, f"{module[1]}::{entry_name}", tuple(names))


def _tests_begin(case: Case) -> int:
    """Where the tests begin: where we were told, else at the last test module; negative where there is none."""
    offset = case.program.test_offset
    return case.program.source.rfind("#[cfg(test)]") if offset is None else offset


def _may_share(case: Case) -> bool:
    text = case.program.source[: _tests_begin(case)]
    code = _COMMENT.sub(" ", text)  # Not for what matters most: a string may hold the beginning of a comment.
    return len(_EMPTY_MAIN.findall(code)) == 1 and not _ALONE.search(text) and not _ALONE_IN_CODE.search(code)


def _main(modules: str, parts: dict[int, tuple[str, _Parts]]) -> str:
    branches = "\n        ".join(f'"{number}" => {prefix}{part.path},' for number, (prefix, part) in parts.items())
    return _MAIN % {"modules": modules, "branches": branches, "secret": ", ".join(map(str, SECRET_PLACE))}


STRATEGY = Rust
