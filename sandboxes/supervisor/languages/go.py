"""Go: compiled and vetted directly, several programs linked into one executable, one process a program.

`go test` compiles, vets, compiles a generated main package, and links; the linking costs most. Here the same tools are
called directly on prebuilt packages, and the programs of a batch share the main package and the link. Each program is a
package of its own there and runs in a process of its own, in which only its own tests are called.

A program may share a link only where its package has no code that runs by itself (`init`, initialisers of package
variables), as its object file shows, and neither compiler directives nor `unsafe`; others are linked alone.

A pass needs the key, which the supervisor stamps into the linked executable for each run (`resources/first.go`, which
also sees to it that the executable runs once). The generated main package writes it after `testing` has reported
success and every test function of the trusted text has been seen to return: `os.Exit`, `runtime.Goexit`, `t.SkipNow`
and an `init` that ends the process all miss that. A `TestMain` of the program's is called as `go test` does; since it
may exit the process itself, the key is then written as soon as the last test function has returned and none has failed.

Not supported, unlike in the reference: cgo and `go:embed`.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from ..processes import Command, Outcome
from ..protocol import Program, Status, Verdict
from .base import (
    RESOURCES,
    SECRET_PLACE,
    Case,
    Secret,
    Setting,
    Strategy,
    build,
    compile_failure,
    finished,
    first_line,
    of_tests,
    require,
    stopped,
    unproven_end,
)

BATCH = 16
_SHARED_BYTES = 4 << 20  # What is larger would cost the others.
_SAMPLE = """package main

import (
    "testing"
    "github.com/stretchr/testify/assert"
)

func TestSample(t *testing.T) {
    assert.New(t).Equal(1, 1)
}
"""
_PATH = "octopack/p{}"
_FIRST = "octopack/first"
"""Go initialises packages in the order of their paths: this one before any program's."""
_TEST = re.compile(r"^[ \t]*func\s+(Test(?![a-z])\w*)\s*\(\s*(?:\w+\s+)?\*\s*testing\s*\.\s*T\s*,?\s*\)", re.MULTILINE)
_TEST_MAIN = re.compile(r"^[ \t]*func\s+TestMain\s*\(", re.MULTILINE)
_NOT_CODE = re.compile(
    r"//[^\n]*|/\*.*?(?:\*/|\Z)|`[^`]*(?:`|\Z)|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?", re.DOTALL
)
_ALONE = re.compile(r'"unsafe"|"C"|//go:|//line|/\*line')
_PREDECLARED = (
    "true|false|nil|iota|len|cap|append|copy|panic|error|any|bool|byte|rune|string|u?int(?:8|16|32|64)?|float(?:32|64)"
)
_OF_TESTS = ("assert", "require", "math", "reflect", "cmp", "slices", "strings", "sort", "bytes", "errors", "fmt")
"""Packages that tests use; a program that does not import them may declare something of their name."""
_LOOKS = (
    (r'["`](unsafe|reflect|runtime|runtime/debug|os/signal|syscall|plugin)["`]', "it imports {0}"),
    (r'(?s)^(?:(?!\nfunc\b).)*"[^"\n]*\\(?:x|u00|[0-7]{3})', "it hides what it imports"),
    (rf"\b(?:const|var|type)(?:\s+|\s*\(\s*)(?:\w+\s*,\s*)*({_PREDECLARED})\b", "it redefines {0}"),
    (rf"\bfunc\s+({_PREDECLARED})\s*\(", "it redefines {0}"),
    (rf"(?m)^[ \t]*(?:\w+[ \t]*,[ \t]*)*({_PREDECLARED})\b[^=!<>:\n(){{]*=(?!=)", "it redefines {0}"),
    (r"(?m)^[ \t]*(true|false|nil)[ \t]*$", "it redefines {0}"),
    (r"//go:\w+", "it uses compiler directives"),
    (r"\bos\s*\.\s*Exit\b|\bGoexit\b|\bSkip(Now|f)?\s*\(", "it interferes with how a program ends"),
    (r"\bfunc\s+(init|TestMain)\s*\(", "it defines {0}"),
    (r"/proc/", "it may read memory"),
)


class Go(Strategy):
    """Go programs."""

    language = "go"
    resources = ("first.go",)
    prepared = 3

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._tools = Path()

    def version(self) -> str:
        """See `Strategy`."""
        require("/usr/share/gocode/src/github.com/stretchr/testify/assert")
        return first_line("go", "version")

    def prepare(self, warm: Path) -> None:
        """See `Strategy`."""
        env = {
            "GO111MODULE": "off",
            "GOPATH": "/usr/share/gocode",
            "GOCACHE": str(warm / "cache"),
            "CGO_ENABLED": "0",
            "GOTELEMETRY": "off",
            "GOFLAGS": "",
        }
        listing = build(
            warm, "go", "list", "-export", "-deps", "-f", "{{if .Export}}{{.ImportPath}}={{.Export}}{{end}}",
            "std", "github.com/stretchr/testify/assert", env=env,
        )  # fmt: skip
        (warm / "packages").mkdir()
        packages = {}
        for number, line in enumerate(listing.splitlines()):
            name, _, export = line.partition("=")
            # A copy: older toolchains keep these files in GOROOT itself, maybe on another file system.
            packages[name] = str(shutil.copyfile(export, warm / "packages" / f"{number}.a"))
        (warm / "importcfg").write_text("".join(f"packagefile {name}={path}\n" for name, path in packages.items()))
        tools = build(warm, "go", "env", "GOTOOLDIR", env=env).strip()
        place = ",".join(map(str, SECRET_PLACE))
        (warm / "first.go").write_text((RESOURCES / "first.go").read_text().replace("SECRET_PLACE", place))
        compiler = [f"{tools}/compile", "-o", "first.a", "-p", _FIRST, "-complete", "-importcfg", "importcfg", "-pack"]
        build(warm, *compiler, "first.go", env={**env, "GOROOT": _root(compiler[0])})
        vet = {
            "ID": "main", "Compiler": "gc", "ImportPath": "main", "NonGoFiles": [], "IgnoredFiles": [],
            "ModulePath": "",
            "ModuleVersion": "", "ImportMap": {name: name for name in (*packages, "unsafe")}, "PackageFile": packages,
            "Standard": {name: True for name in packages if "." not in name.partition("/")[0]}, "PackageVetx": {},
            "VetxOnly": False, "GoVersion": "", "SucceedOnTypecheckFailure": False, "GoFiles": ["main_test.go"],
            "Dir": ".", "VetxOutput": "vetx",
        }  # fmt: skip
        (warm / "vet.json").write_text(json.dumps(vet))
        build(warm, "rm", "-rf", "cache")
        (warm / "main_test.go").write_text(_SAMPLE)
        # The flags that `go test` itself passes on this toolchain, from what it says it does (-n: it does nothing).
        trace = build(warm, "sh", "-c", "go test -n -c -o sample main_test.go 2>&1", env=env)
        flags = {
            "vet": [word for word in _words(trace, "/vet ", "$WORK/b001/vet.cfg", "-atomic") if word.startswith("-")],
            "link": [
                word for word in _words(trace, "/link ", "-importcfg", "runtime.godebugDefault") if "godebug" in word
            ],
            "tools": tools,
        }
        (warm / "flags.json").write_text(json.dumps(flags))
        build(warm, "rm", "-rf", "cache", "main_test.go")

    def judge(self, case: Case) -> Verdict:
        """See `Strategy`."""
        return self._judge_together([case])[0]

    def judge_all(self, programs: Sequence[Program]) -> list[Verdict]:
        """See `Strategy`."""
        verdicts: list[Verdict] = []
        for start in range(0, len(programs), BATCH):
            with ExitStack() as stack:
                cases = [
                    self.case(program, stack.enter_context(self.jail.box()))
                    for program in programs[start : start + BATCH]
                ]
                verdicts += self._judge_together(cases)
        return verdicts

    def _judge_together(self, cases: Sequence[Case]) -> list[Verdict]:
        verdicts: dict[int, Verdict] = {}
        together: list[int] = []
        for number, case in enumerate(cases):
            if failure := self._compile(case, number):
                verdicts[number] = failure
                continue
            code = (case.box.path / "p.a").read_bytes()
            for name in _OF_TESTS:
                own = rf"{_PATH.format(number)}\.{name}\b".encode()
                if re.search(rf"\b{name}\.", case.tests) and re.search(own, code):
                    case.suspicious.append(f"it declares {name}, which its tests use")
            if self._can_share(case, number, code):
                together.append(number)
            else:
                verdicts[number] = self._link_and_run(cases, [number])[number]
        if together:
            verdicts |= self._link_and_run(cases, together)
        return [verdicts[number] for number in range(len(cases))]

    def _compile(self, case: Case, number: int) -> Verdict | None:
        """Compile and vet one program as a package; its verdict where that fails."""
        flags = json.loads((self.warm / "flags.json").read_text())
        tools = flags["tools"]
        case.box.write("main_test.go", case.program.source.encode("utf-8", "surrogatepass"))
        case.box.write("vet.cfg", (self.warm / "vet.json").read_bytes())
        compiler = [
            f"{tools}/compile",
            "-o",
            "p.a",
            "-p",
            _PATH.format(number),
            "-complete",
            "-c=1",
            "-D",
            ".",
            "-importcfg",
        ]
        steps = (
            [*compiler, str(self.warm / "importcfg"), "-pack", "main_test.go"],
            [f"{tools}/vet", *flags["vet"], "vet.cfg"],
        )
        for argv in steps:
            outcome = self.compile(case, self._tool(case, argv))
            if failure := compile_failure(case, outcome):
                return failure
        return None

    @staticmethod
    def _tool(case: Case, argv: list[str]) -> Command:
        # Small inputs: collecting garbage would cost more than it frees.
        return Command(case.compiling(), argv, env={"GOGC": "400", "GOMAXPROCS": "1", "GOROOT": _root(argv[0])})

    @staticmethod
    def _can_share(case: Case, number: int, code: bytes) -> bool:
        if len(code) > _SHARED_BYTES or _ALONE.search(case.program.source):
            return False
        return re.search(_PATH.format(number).encode() + rb"\.(map\.)?init", code) is None

    def _link_and_run(self, cases: Sequence[Case], numbers: list[int]) -> dict[int, Verdict]:
        """Link programs into one executable and run each in its own process."""
        home = cases[numbers[0]]
        tools = json.loads((self.warm / "flags.json").read_text())
        imports = (self.warm / "importcfg").read_text() + f"packagefile {_FIRST}={self.warm}/first.a\n"
        for number in numbers:
            case = cases[number]
            name = f"p{number}.a"
            if len(numbers) == 1:
                (case.box.path / "p.a").rename(home.box.path / name)
            else:
                shutil.copyfile(case.box.path / "p.a", home.box.path / name)
            imports += f"packagefile {_PATH.format(number)}={name}\n"
        home.box.write("importcfg", imports.encode())
        home.box.write("main.go", _main_package(cases, numbers).encode())
        before = home.compile_seconds
        tool = tools["tools"]
        for argv in (
            [
                f"{tool}/compile",
                "-o",
                "main.a",
                "-p",
                "main",
                "-complete",
                "-c=1",
                "-importcfg",
                "importcfg",
                "-pack",
                "main.go",
            ],
            [
                f"{tool}/link",
                "-s",
                "-w",
                "-importcfg",
                "importcfg",
                "-buildmode=exe",
                *tools["link"],
                "-o",
                "test",
                "main.a",
            ],
        ):
            outcome = self.compile(home, self._tool(home, argv))
            if outcome.stopped is not None or outcome.exit_code != 0:
                break
        share = (home.compile_seconds - before) / len(numbers)
        home.compile_seconds = before
        for number in numbers:
            cases[number].compile_seconds += share
        if outcome.stopped is not None or outcome.exit_code != 0:
            if len(numbers) > 1:
                return {number: self._link_and_run(cases, [number])[number] for number in numbers}
            failure = compile_failure(home, outcome)
            assert failure is not None
            return {numbers[0]: failure}
        verdicts = {}
        place = SECRET_PLACE
        with self.sealed(home, "test") as executable:
            for number in numbers:
                secret = Secret()
                try:
                    place = secret.stamp(executable, place)
                except ValueError:
                    verdicts[number] = cases[number].verdict(
                        Status.FAILED, None, detail="not proven: it copies what marks the secret's place"
                    )
                    continue
                verdicts[number] = self._run(cases[number], executable, number, secret)
        return verdicts

    def _run(self, case: Case, executable: Path, number: int, secret: Secret) -> Verdict:
        arguments = ("-test.paniconexit0", "-test.timeout=0", "-test.run=.", str(number))
        outcome = self.execute_sealed(case, executable, *arguments, secret=secret)
        if verdict := stopped(case, outcome):
            return verdict
        if verdict := unproven_end(case, outcome, case.candidate, _NOT_CODE):
            return verdict
        code = _NOT_CODE.sub(" ", case.candidate)
        for pattern, why in _LOOKS:
            # A declaration may stand anywhere in its line.
            if found := re.search(pattern, case.candidate) or re.search(pattern, re.sub(r"[;(]", "\n", code)):
                case.suspicious.append(why.format(*found.groups()))
        if used := of_tests(_tests(case.tests), code):
            case.suspicious.append(used)
        return finished(
            case, outcome, secret.key, reference=outcome.exit_code == 0, failed_by_test=_failed_by_test(outcome)
        )


def _failed_by_test(outcome: Outcome) -> bool:
    return b"--- FAIL" in outcome.stdout and b"panic:" not in outcome.stdout + outcome.stderr


def _main_package(cases: Sequence[Case], numbers: Sequence[int]) -> str:
    """The main package that runs one program's tests and writes the key after the last of them."""
    imports, branches = [], []
    for number in numbers:
        case = cases[number]
        tests = _tests(case.program.source)
        expected = _tests(case.tests) if case.program.test_offset is not None else tests
        calls = []
        for name in tests:
            after = f'seen("{name}", t)' if name in expected else ""
            calls.append(f'{{"{name}", func(t *testing.T) {{ p{number}.{name}(t); {after} }}}},')
        called = "".join(calls)
        imports.append(f'p{number} "{_PATH.format(number)}"\n')
        main = f"func(m *testing.M) {{ p{number}.TestMain(m) }}" if _TEST_MAIN.search(case.program.source) else "nil"
        branches.append(
            f'case "{number}":\ntests = []testing.InternalTest{{{called}}}\n'
            f"expected = {max(1, len(expected))}\nmain_ = {main}\n"
            f"_ = p{number}.{tests[0]}\n"
            if tests
            else f'case "{number}":\nvar _ p{number}.none\n'
        )
    return f"""package main

import (
"os"
"reflect"
"sync"
"sync/atomic"
"testing"
"testing/internal/testdeps"
"{_FIRST}"
{"".join(imports)})

func main() {{
    var tests []testing.InternalTest
    var names sync.Map
    var returned, failed atomic.Int64
    var expected int64
    var main_ func(m *testing.M)
    seen := func(name string, t *testing.T) {{
        if t.Failed() {{
            failed.Add(1)
        }}
        // Each counts once: the program may have its tests run again and again.
        if _, again := names.LoadOrStore(name, true); again {{
            return
        }}
        if returned.Add(1) == expected && main_ != nil && failed.Load() == 0 {{
            first.Tell()
        }}
    }}
    // What the program's own initialisers made of the arguments names no tests, or these.
    which := ""
    if len(os.Args) == 5 {{
        which = os.Args[4]
        os.Args = os.Args[:4]
    }}
    switch which {{
    {"".join(branches)}
    default:
        os.Exit(2)
    }}
    m := testing.MainStart(testdeps.TestDeps{{}}, tests, nil, nil, nil)
    if main_ != nil {{
        main_(m)
        os.Exit(int(reflect.ValueOf(m).Elem().FieldByName("exitCode").Int()))
    }}
    status := m.Run()
    if status == 0 && returned.Load() == expected {{
        first.Tell()
    }}
    os.Exit(status)
}}
"""


def _tests(text: str) -> list[str]:
    """The names of the test functions in a text."""
    return list(dict.fromkeys(_TEST.findall(_NOT_CODE.sub(" ", text))))


def _root(tool: str) -> str:
    return str(Path(tool).parents[3])


def _words(trace: str, tool: str, *marks: str) -> list[str]:
    """The words of the last traced command line that runs a tool and contains a mark."""
    lines = [line for line in trace.splitlines() if tool in line and any(mark in line for mark in marks)]
    return shlex.split(lines[-1]) if lines else []


STRATEGY = Go
