"""What a program costs: ours, the reference's plain commands and the floor, from one run on the same programs.

    python benchmarks/sandbox.py cost   [--dataset FOLDER] [--languages go,rust] [--programs 40] [--json FILE]
    python benchmarks/sandbox.py sweep  [--workers 2] ...     all of them in wall-clock time, and with one worker
    python benchmarks/sandbox.py stream [--programs 20000]    memory and rate of a long run, start-up, the cache

`cost` is the table of docs/sandboxes.md. Everything happens in one hardened container a language, one program at a
time. A figure is the CPU time of the whole container (compilers, programs, warm servers and the supervisor itself)
divided by the number of programs, after both sides have warmed up on a few. Rounds of ours and of the plain commands
alternate, so that other load hits both alike. The floor is what ours takes for an empty program in the same way.

`sweep` measures the sandbox as it is used, against as many plain loops in one container. `stream` sends programs that
differ in a comment, so that none is the same as another.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandboxes import Program

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
    parser.add_argument("what", nargs="?", choices=("cost", "sweep", "stream"), default="cost")
    parser.add_argument(
        "--dataset", default="starter", help="a folder of <language>.jsonl, or a name (default: starter)"
    )
    parser.add_argument("--languages", help="default: all that the data set has")
    parser.add_argument(
        "--programs", type=int, help="a language: default 40, the whole data set for sweep; for stream 20000"
    )
    parser.add_argument("--workers", type=int, default=2, help="for sweep and stream (default: 2)")
    parser.add_argument("--image", help="default: the image with all languages")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    if options.languages is None:
        folder = Path(options.dataset)
        has = [one for one in TARGETS if not folder.is_dir() or (folder / f"{one}.jsonl").exists()]
        options.languages = ",".join(has)
    figures = {"cost": cost, "sweep": sweep, "stream": stream}[options.what](options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def cost(options: argparse.Namespace) -> list[dict[str, Any]]:
    """CPU time a program, language by language."""
    rows = []
    say(f"{'language':11}{'ours':>9}{'plain':>9}{'floor':>9}{'ratio':>8}{'target':>8}   CPU seconds a program")
    for language in options.languages.split(","):
        jobs = programs(language, options.dataset, options.programs or 40)
        say(f"{language:11}measuring {len(jobs)} programs ...", end="\r")
        row = in_container({"language": language, "programs": jobs}, options.image)
        rows.append({"language": language, **row})
        say(
            f"{language:11}{row['ours']:9.4f}{row['plain']:9.4f}{row['floor']:9.4f}{row['plain'] / row['ours']:7.1f}x"
            f"{TARGETS[language]:7.1f}x   {row['programs']} programs, verdicts equal: {row['equal']}"
        )
    return rows


def sweep(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Wall-clock time of everything, ours and plain with equally many workers, and ours with one."""
    from sandboxes import Program, open_sandbox

    rows = []
    names = ("ours", "plain", "one worker")
    say(
        f"{'language':11}{'programs':>9}"
        + "".join(f"{name:>12}" for name in names)
        + f"   seconds, {options.workers} workers"
    )
    for language in options.languages.split(","):
        jobs = programs(language, options.dataset, options.programs)
        say(f"{language:11}{len(jobs):9} ...", end="\r")
        row: dict[str, Any] = {"language": language, "programs": len(jobs)}
        for name, workers in (("ours", options.workers), ("one worker", 1)):
            with open_sandbox("docker", languages=[language], workers=workers, cache=False) as sandbox:
                # A batch for every worker, so that all are warm.
                warm = [
                    Program(language, f"{source}\n{comment(language)} {n}", at)
                    for n in range(16 * workers)
                    for source, at in jobs[:1]
                ]
                sandbox.run(warm)
                began = time.monotonic()
                verdicts = sandbox.run([Program(language, source, at) for source, at in jobs])
                row[name] = time.monotonic() - began
                row["passed"] = sum(verdict.passed for verdict in verdicts)
        request = {"language": language, "programs": jobs, "plain_workers": options.workers}
        row |= in_container(request, options.image)
        rows.append(row)
        say(
            f"{language:11}{len(jobs):9}"
            + "".join(f"{row[name]:12.1f}" for name in names)
            + f"   {row['passed']} passed"
        )
    total = {name: sum(row[name] for row in rows) for name in names}
    say(
        f"{'all':11}{sum(row['programs'] for row in rows):9}"
        + "".join(f"{total[name]:12.1f}" for name in names)
        + f"   plain / ours {total['plain'] / total['ours']:.1f}x, one worker / {options.workers} workers "
        f"{total['one worker'] / total['ours']:.2f}x"
    )
    return rows


def stream(options: argparse.Namespace) -> dict[str, Any]:
    """Start-up, rate and memory of a long run, and what the cache makes of asking again."""
    from sandboxes import Program, open_sandbox

    count = options.programs or 20_000
    jobs = programs("python", options.dataset, None)

    def numbered() -> Iterator[Program]:
        for number, (source, at) in zip(range(count), itertools.cycle(jobs), strict=False):
            yield Program("python", f"{source}\n# {number}\n", at)

    figures: dict[str, Any] = {"programs": count, "workers": options.workers}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OCTOPACK_CACHE"] = folder
        began = time.monotonic()
        with open_sandbox("docker", languages=["python"], workers=options.workers, cache=True) as sandbox:
            figures["start_seconds"] = time.monotonic() - began
            say(f"a warm pool of {options.workers} workers after {figures['start_seconds']:.2f} s")
            for name in ("run", "again"):
                began, passed, memory = time.monotonic(), 0, []
                for done, (_, verdict) in enumerate(sandbox.stream(numbered()), start=1):
                    passed += verdict.passed
                    if done % max(1, count // 10) == 0:
                        here, there = resident_megabytes(), container_megabytes()
                        memory.append((here, there))
                        say(f"  {name}: {done} of {count}, {here:.0f} MB here, {there:.0f} MB in containers", end="\r")
                seconds = time.monotonic() - began
                figures[name] = {"seconds": seconds, "passed": passed, "megabytes": memory}
                say(
                    f"{name:6}{count} programs, {passed} passed, in {seconds:.1f} s; memory here {memory[0][0]:.0f} -> "
                    f"{memory[-1][0]:.0f} MB, in containers {memory[0][1]:.0f} -> {memory[-1][1]:.0f} MB" + 20 * " "
                )
    return figures


def say(text: str, end: str = "\n") -> None:
    """Print at once."""
    print(text, end=end, flush=True)


def comment(language: str) -> str:
    """What begins a comment."""
    return "#" if language == "python" else "//"


def resident_megabytes() -> float:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def container_megabytes() -> float:
    """Memory of the processes in this process's sandboxes."""
    from sandboxes.backends.docker import connect, owned_containers

    client, total = connect(), 0.0
    for container, _ in owned_containers(client, of_this_process=True):
        with contextlib.suppress(Exception):
            total += sum(int(row[0]) / 1e3 for row in container.top(ps_args="-o rss,pid")["Processes"])
    return total


def programs(language: str, dataset: str, count: int | None) -> list[tuple[str, int | None]]:
    """Canonical solutions with their tests: source, and where the tests begin.

    In the reading `corrected`, in which all of them end and pass: by the `paper`, Rust/32 runs for ever now and then.
    """
    from octopack_tasks.problems import load_problems
    from octopack_tasks.readings import CORRECTED
    from octopack_tasks.tasks import get_task

    task = get_task(f"humanevalsynthesize-{language}")
    found = []
    for problem in list(load_problems(language, dataset))[:count]:
        (program,) = CORRECTED.programs(task, problem, [problem.prompt + problem.canonical_solution])
        found.append((program.source, program.test_offset))
    return found


def in_container(request: dict[str, Any], image: str | None) -> dict[str, Any]:
    """Measure one language in a container of its own: `inside`, there."""
    from docker.types import Ulimit

    from sandboxes.backends.docker import connect, image_name

    client = connect()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "jobs.json").write_text(json.dumps(request))
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
                sys.exit(f"{request['language']}: {container.logs().decode()[-2000:]}")
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
    if workers := request.get("plain_workers"):
        print(json.dumps({"plain": plain_seconds(language, [source for source, _ in jobs], workers)}))
        return
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
    empty = [Program(language, f"{EMPTY[language]}{comment(language)} {number}\n") for number in range(16)]
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


def plain_seconds(language: str, sources: list[str], workers: int) -> float:
    """Wall-clock time of the plain commands in several loops at once, each of which has been warm before."""
    loops = [Plain(language) for _ in range(workers)]
    for loop in loops:
        loop.passes(sources[0])
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for source in sources:
        waiting.put(source)

    def serve(loop: Plain) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                loop.passes(waiting.get_nowait())

    threads = [threading.Thread(target=serve, args=(loop,)) for loop in loops]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began


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
