"""What a program costs: ours, the reference's plain commands and the floor, from one run on the same programs.

    python benchmarks/sandbox.py [--dataset FOLDER] [--languages go,rust] [--problems 40] [--image NAME]

Everything happens in one hardened container a language, one program at a time. A figure is the CPU time of the whole
container (compilers, programs, warm servers and the supervisor itself) divided by the number of programs, after both
sides have warmed up on a few. Rounds of ours and of the plain commands alternate, so that other load hits both alike.
The floor is what ours takes for an empty program in the same way.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SUPERVISOR = Path(__file__).resolve().parent.parent / "sandboxes" / "supervisor"
ROUNDS = 4
TARGETS = {"python": 8.0, "java": 8.0, "rust": 5.0, "cpp": 3.5, "go": 2.5, "js": 1.5, "typescript": 4.0}
EMPTY = {
    "python": "",
    "cpp": "int main(){}\n",
    "js": "",
    "java": "public class Main { public static void main(String[] args) {} }\n",
    "go": 'package main\nimport "testing"\nfunc TestNothing(t *testing.T) {}\n',
    "rust": "fn main(){}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn nothing() {}\n}\n",
    "typescript": "",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dataset", default="starter", help="a folder of <language>.jsonl, or a name (default: starter)"
    )
    parser.add_argument("--languages", default=",".join(TARGETS))
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--image", help="default: the image with all languages")
    options = parser.parse_args()
    rows = []
    print(f"{'language':10}{'ours':>9}{'plain':>9}{'floor':>9}{'ratio':>8}{'target':>8}   CPU seconds a program")
    for language in options.languages.split(","):
        row = measure(language, programs(language, options.dataset, options.problems), options.image)
        rows.append(row)
        print(
            f"{language:10}{row['ours']:9.4f}{row['plain']:9.4f}{row['floor']:9.4f}{row['plain'] / row['ours']:7.1f}x"
            f"{TARGETS[language]:7.1f}x   {row['programs']} programs, verdicts equal: {row['equal']}",
            flush=True,
        )
    ours, plain = sum(row["ours_wall"] for row in rows), sum(row["plain_wall"] for row in rows)
    print(f"wall-clock time of all, one worker each: ours {ours:.1f} s, plain {plain:.1f} s, ratio {plain / ours:.1f}x")


def programs(language: str, dataset: str, count: int) -> list[tuple[str, int | None]]:
    """Canonical solutions with their tests: source, and where the tests begin."""
    from octopack_tasks.problems import load_problems
    from octopack_tasks.tasks import get_task

    task = get_task(f"humanevalsynthesize-{language}")
    found = []
    for problem in list(load_problems(language, dataset))[:count]:
        program = task.program(problem, problem.prompt + problem.canonical_solution)
        found.append((program.source, program.test_offset))
    return found


def measure(language: str, jobs: list[tuple[str, int | None]], image: str | None) -> dict[str, Any]:
    """Measure one language in a container of its own."""
    from docker.types import Ulimit

    from sandboxes.backends.docker import connect, image_name

    client = connect()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "jobs.json").write_text(json.dumps({"language": language, "programs": jobs}))
        container = client.containers.run(
            image or image_name("all"),
            ["python3", "-I", "-B", "/bench/sandbox.py", "--inside"],
            detach=True,
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            cap_add=["SETUID", "SETGID", "CHOWN", "KILL"],
            security_opt=["no-new-privileges"],
            tmpfs={"/work": "exec,mode=755", "/tmp": "exec,mode=1777"},
            ulimits=[Ulimit(name="nofile", soft=4096, hard=4096)],
            volumes={
                str(SUPERVISOR): {"bind": "/opt/bench/supervisor", "mode": "ro"},
                str(Path(__file__).resolve()): {"bind": "/bench/sandbox.py", "mode": "ro"},
                str(Path(folder) / "jobs.json"): {"bind": "/bench/jobs.json", "mode": "ro"},
            },
        )
        try:
            status = container.wait()["StatusCode"]
            output = container.logs(stdout=True, stderr=False).decode()
            if status != 0:
                sys.exit(f"{language}: {container.logs().decode()[-2000:]}")
        finally:
            container.remove(force=True)
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def inside() -> None:
    """In the container: measure, and print one line of JSON."""
    sys.path.insert(0, "/opt/bench")
    from supervisor.jails import UidJail
    from supervisor.languages import Setting, strategy
    from supervisor.processes import become_subreaper
    from supervisor.protocol import Program

    request = json.loads(Path("/bench/jobs.json").read_text())
    language, jobs = request["language"], request["programs"]
    become_subreaper()
    work = Path("/work")
    one = strategy(language, Setting(UidJail(work), Path("/opt/octopack/warm"), work))
    every = [Program(language, source, offset) for source, offset in jobs]
    plain = Plain(language)
    one.judge_all(every[:16])  # Both sides warm up.
    plain.passes(every[0].source)
    figures = {"ours": 0.0, "plain": 0.0, "ours_wall": 0.0, "plain_wall": 0.0}
    equal = 0
    size = -(-len(every) // ROUNDS)
    for start in range(0, len(every), size):
        part = every[start : start + size]
        before, began = cpu_seconds(), time.monotonic()
        verdicts = one.judge_all(part)
        figures["ours"] += cpu_seconds() - before
        figures["ours_wall"] += time.monotonic() - began
        before, began = cpu_seconds(), time.monotonic()
        results = [plain.passes(program.source) for program in part]
        figures["plain"] += cpu_seconds() - before
        figures["plain_wall"] += time.monotonic() - began
        equal += sum(verdict.passed == result for verdict, result in zip(verdicts, results, strict=True))
    # Each empty program differs from the others in a comment.
    mark = "#" if language == "python" else "//"
    empty = [Program(language, f"{EMPTY[language]}{mark} {number}\n") for number in range(16)]
    before = cpu_seconds()
    one.judge_all(empty)
    floor = (cpu_seconds() - before) / len(empty)
    one.close()
    count = len(every)
    print(
        json.dumps(
            {
                "ours": figures["ours"] / count,
                "plain": figures["plain"] / count,
                "floor": floor,
                "ours_wall": figures["ours_wall"],
                "plain_wall": figures["plain_wall"],
                "programs": count,
                "equal": f"{equal}/{count}",
            }
        )
    )


class Plain:
    """The reference's commands, as they are, in a folder of their own; MultiPL-E's for what the reference lacks."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "GO111MODULE": "off",
            "GOPATH": "/usr/share/gocode",
            "GOCACHE": str(self.folder / "cache"),
            "CARGO_HOME": str(self.folder / "cargo"),
        }
        self.file = {
            "cpp": "test.cpp",
            "js": "test.js",
            "java": "Main.java",
            "go": "main_test.go",
            "typescript": "test.ts",
        }.get(language, "p.py")
        self.commands = {
            "python": [["python3", "p.py"]],
            "cpp": [["g++", "-std=c++17", "test.cpp", "-lcrypto", "-lssl"], ["./a.out"]],
            "js": [["node", "test.js"]],
            "java": [["javac", "Main.java"], ["java", "-cp", ".", "Main"]],
            "go": [["go", "test", "-timeout=20s", "main_test.go"]],
            "typescript": [["tsc", "--target", "esnext", "--module", "commonjs", "test.ts"], ["node", "test.js"]],
            "rust": [["cargo", "check", "--bin", "test"], ["cargo", "test", "--bin", "test"]],
        }[language]
        if language == "js":
            self.environment["NODE_PATH"] = "/opt/octopack/warm/js/node_modules"
        if language == "rust":
            self.folder = self.folder / "project"
            subprocess.run(["cp", "-r", "/opt/octopack/warm/rust/project", str(self.folder)], check=True)
            self.file = "src/bin/test.rs"

    def passes(self, source: str) -> bool:
        """Whether the reference would call it passed."""
        (self.folder / self.file).write_text(source)
        for command in self.commands:
            result = subprocess.run(
                command,
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                check=False,
                stdin=subprocess.DEVNULL,
            )
            if command[0] == "node":
                return not result.stdout and not result.stderr
            if result.returncode != 0:
                return False
        return True


def cpu_seconds() -> float:
    """CPU time of this container so far."""
    for path in ("/sys/fs/cgroup/cpuacct/cpuacct.usage", "/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage"):
        if Path(path).exists():
            return int(Path(path).read_text()) / 1e9
    fields = dict(line.split() for line in Path("/sys/fs/cgroup/cpu.stat").read_text().splitlines())
    return int(fields["usage_usec"]) / 1e6


if __name__ == "__main__":
    if "--inside" in sys.argv:
        inside()
    else:
        main()
