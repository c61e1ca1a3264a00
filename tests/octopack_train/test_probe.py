from collections.abc import Sequence
from pathlib import Path

import pytest

from octopack_train import probe as room
from octopack_train.errors import TrainingError
from octopack_train.probe import Probe, probe
from octopack_train.synthetic import fix_commits
from sandboxes import Program, SandboxUnavailable, Status, Verdict

pytest.importorskip("peft")


class Runner:
    """A sandbox that runs programs right here: the answers of these tests are our own."""

    def run(self, programs: Sequence[Program]) -> list[Verdict]:
        return [Verdict(Status.PASSED if self.passes(program.source) else Status.FAILED) for program in programs]

    def passes(self, source: str) -> bool:
        try:
            exec(source, {})
        except Exception:
            return False
        return True

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def runner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.open_sandbox", lambda *_, **__: Runner())


def test_answers_are_counted_by_their_tests_and_against_the_commit(monkeypatch: pytest.MonkeyPatch):
    commits = fix_commits(4, seed=1, held_out=True)
    answers = [
        commits[0].new_contents,
        f"Here it is:\n```python\n{commits[1].new_contents}```\n",
        commits[2].old_contents,
        f"{commits[3].new_contents}# fixed\n",
    ]
    monkeypatch.setattr(room, "_greedy", lambda *_: answers)
    assert probe("any", problems=4, report=lambda _: None) == Probe(problems=4, passed=3, exact=2)


def test_a_model_is_asked_for_real(tiny_model: Path):
    lines: list[str] = []
    found = probe(str(tiny_model), problems=3, batch=2, report=lines.append)
    assert (found.problems, found.passed) == (3, 0)
    assert lines == ["2 of 3 answers", "3 of 3 answers"]


def test_no_sandbox_is_a_clear_error(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise SandboxUnavailable("install bubblewrap")

    monkeypatch.setattr("sandboxes.open_sandbox", refuse)
    with pytest.raises(TrainingError, match="install bubblewrap"):
        probe("any", report=lambda _: None)
