"""Every attack runs against every backend; afterwards nothing of it may be left."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandboxes import Limits, Program, Sandbox, SandboxUnavailable, Status, Verdict, open_sandbox

MARK = "octopack-evil"
"""In the name of every file that an attack makes outside its folder."""
QUICK = Limits(cpu_seconds=1.0, wall_seconds=5.0, compile_cpu_seconds=4.0, memory_bytes=512 << 20)

# where an attack's code goes: beside the solution, and into the function that the tests call
_TEMPLATES = {
    "python": (
        "{declarations}\ndef add(a, b):\n{body}\n    return a + b\n\n",
        "def check(add):\n    assert add(1, 2) == 3\n\ncheck(add)\n",
        "    ",
    ),
    "cpp": (
        "{declarations}\nint add(int a, int b) {{\n{body}\n    return a + b;\n}}\n",
        "#undef NDEBUG\n#include <assert.h>\nint main() {\n    assert (add(1, 2) == 3);\n}\n",
        "    ",
    ),
    "js": (
        "{declarations}\nconst add = (a, b) => {{\n{body}\n  return a + b\n}}\n",
        "const testAdd = () => {\n  console.assert(add(1, 2) === 3)\n}\n\ntestAdd()\n",
        "  ",
    ),
    "java": (
        "import java.util.*;\nimport java.io.*;\nimport java.nio.file.*;\n{declarations}\nclass Solution {{\n"
        "    public int add(int a, int b) throws Exception {{\n{body}\n        return a + b;\n    }}\n}}\n",
        "public class Main {\n    public static void main(String[] args) throws Exception {\n"
        "        Solution s = new Solution();\n        if (s.add(1, 2) != 3) {\n"
        "            throw new AssertionError();\n        }\n    }\n}\n",
        "        ",
    ),
    "go": (
        'package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n\n{declarations}\n\n'
        "func Add(a int, b int) int {{\n{body}\n    return a + b\n}}\n\n",
        "func TestAdd(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(3, Add(1, 2))\n}\n",
        "    ",
    ),
    "rust": (
        "fn main(){{}}\n{declarations}\nfn add(a: i32, b: i32) -> i32 {{\n{body}\n    a + b\n}}\n",
        "#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn test_add() {\n"
        "        assert_eq!(add(1, 2), 3);\n    }\n}\n",
        "    ",
    ),
    "typescript": (
        "{declarations}\nconst add = (a: number, b: number): number => {{\n{body}\n  return a + b\n}}\n",
        "const testAdd = () => {\n  console.assert(add(1, 2) === 3)\n}\n\ntestAdd()\n",
        "  ",
    ),
}


def hostile(language: str, body: str = "", declarations: str = "", limits: Limits = QUICK) -> Program:
    """A right solution with an attack inside: `body` runs when its tests call it."""
    template, tests, indent = _TEMPLATES[language]
    inner = "\n".join(indent + line if line else "" for line in body.strip("\n").splitlines())
    solution = template.format(declarations=declarations, body=inner)
    return Program(language, solution + tests, len(solution), limits)


@dataclass
class Arena:
    """One sandbox with a single worker, so that whatever an attack leaves lies in the next program's way."""

    sandbox: Sandbox
    backend: str
    leftovers: Callable[[], Counter[str]]
    reopened: Callable[..., Sandbox]
    _warm: set[tuple[Any, ...]] = field(default_factory=set)
    """Languages that have run on the workers there are."""

    program = staticmethod(hostile)

    def require(self, language: str) -> None:
        """Skip the test where the sandbox has no such language."""
        if language not in self.sandbox.environment.toolchains:
            pytest.skip(f"{self.backend} has no {language} here")

    def attack(self, language: str, body: str = "", declarations: str = "", limits: Limits = QUICK) -> Verdict:
        """Run an attack, then assert that nothing of it is left and that the worker still judges rightly."""
        program = hostile(language, body, declarations, limits)
        self.require(language)
        warm = language, *map(id, self.sandbox._pool._alive)
        if warm not in self._warm:
            # what a language keeps warm is there before the attack, so that nothing new may be there after it
            [before] = self.sandbox.run([_once_more(language)])
            assert before.passed, before
            self._warm.add(warm)
        quiet = self.leftovers()
        [verdict] = self.sandbox.run([program])
        assert verdict.status is not Status.SANDBOX_ERROR, verdict.detail
        self.assert_nothing_left(quiet)
        [after] = self.sandbox.run([_once_more(language)])
        assert after.passed, after
        return verdict

    def assert_nothing_left(self, quiet: Counter[str]) -> None:
        """No process and no file beyond those that were there before."""
        deadline = time.monotonic() + 60
        while (left := self.leftovers() - quiet) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left
        for folder in ("/tmp", "/var/tmp", "/dev/shm", str(Path.home())):
            assert not list(Path(folder).glob(f"*{MARK}*")), f"an attack wrote to the host's {folder}"


_runs = iter(range(1_000_000_000))


def _once_more(language: str) -> Program:
    """A right program that no cache can know yet."""
    return hostile(language, declarations=("# " if language == "python" else "// ") + f"run {next(_runs)}")


@pytest.fixture(scope="session", params=["docker", "bubblewrap"])
def arena(
    request: pytest.FixtureRequest, sandbox_options: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Arena]:
    """An arena on each backend; skipped, with the reason, where this machine has it not."""
    backend = request.param
    temporary = tmp_path_factory.mktemp("work")

    def reopened(workers: int) -> Sandbox:
        return open_sandbox(backend, workers=workers, cache=False, **sandbox_options[backend])

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr("tempfile.tempdir", None)
        try:
            sandbox = reopened(workers=1)
        except SandboxUnavailable as error:
            pytest.skip(f"{backend}: {error}")
        with sandbox:
            leftovers = _docker_leftovers() if backend == "docker" else _host_leftovers(temporary)
            yield Arena(sandbox, backend, leftovers, reopened)


def _docker_leftovers() -> Callable[[], Counter[str]]:
    from docker.errors import APIError

    from sandboxes.backends.docker import connect, owned_containers

    client = connect()

    def look() -> Counter[str]:
        left: Counter[str] = Counter()
        for container, _ in owned_containers(client, of_this_process=True):
            try:
                rows = container.top(ps_args="-eo pid,user,comm")["Processes"]
                files = _files_in(container)
            except APIError:  # one that was replaced, and is just going away
                continue
            left.update(f"process {row[-1]} of {row[1]}" for row in rows if row[-1] not in ("ps", "find"))
            left.update(line for line in files if "/run/octopack" not in line)
        return left

    return look


def _files_in(container: Any) -> list[str]:
    """Every file that a program could have left in a container."""
    for _ in range(20):
        output = container.exec_run(["find", "/work", "/tmp", "/dev/shm", "/run", "-mindepth", "1"]).output
        lines: list[str] = output.decode("utf-8", "replace").splitlines()
        # A daemon may lose what a command says that ends at once: without the supervisor's own folder, which is looked
        # at last, it is not all.
        if "/run/octopack" in lines:
            return lines
    pytest.fail("the daemon tells nothing of what lies in a container")


def _host_leftovers(temporary: Path) -> Callable[[], Counter[str]]:
    def look() -> Counter[str]:
        left = Counter(f"process {name}" for name in _descendants(os.getpid()))
        left.update(str(path) for path in temporary.rglob("*"))
        return left

    return look


def _descendants(pid: int) -> Iterator[str]:
    """The names of all processes below a process; each may end while they are looked at."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in (task / "children").read_text().split():
                    with suppress(OSError):
                        yield Path(f"/proc/{child}/comm").read_text().strip()
                        yield from _descendants(int(child))
