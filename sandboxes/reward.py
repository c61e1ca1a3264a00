"""A reward for reinforcement learning: whether the code in a completion passes its tests, judged in a sandbox.

The shape is the one that TRL's `GRPOTrainer` calls, `reward(prompts, completions, **columns) -> list[float]`:

    with open_sandbox(languages=["python"]) as sandbox:
        trainer = GRPOTrainer(model, reward_funcs=[TestsPass(sandbox)], train_dataset=dataset, ...)

where every row of `dataset` has a `prompt` and, in the column `tests`, the code that tests the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sandboxes.sandbox import Sandbox
from sandboxes.supervisor.protocol import LANGUAGES, Limits, Program, Verdict

Completion: TypeAlias = "str | Sequence[Mapping[str, Any]]"
"""Text, or the messages of a conversation's answer."""

_FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def code_of(completion: Completion) -> str:
    """The code in a completion: its last fenced block, all of it where there is none.

    Args:
        completion: Text, or the messages of a conversation's answer, of which the last one counts.
    """
    text = completion if isinstance(completion, str) else str(completion[-1]["content"])
    blocks = _FENCED.findall(text)
    return str(blocks[-1]) if blocks else text


def _pass_or_fail(verdict: Verdict) -> float:
    # a policy that is paid for cheating learns to cheat: a pass that looks like one is worth nothing
    return 1.0 if verdict.passed and not verdict.suspicious else 0.0


class TestsPass:
    """Pays for completions whose code passes their tests.

    Args:
        sandbox: Judges all completions of a call at once, identical ones only once.
        language: What the code is in, for rows without a column `language`.
        limits: What a program may use; None: the sandbox's.
        tests_column: The column of test code, which is appended to the completion's code.
        code: Takes the code out of a completion.
        value: What a verdict is worth; 1 for a pass without suspicion, 0 for everything else, where it is not given.
    """

    __test__ = False  # its name begins like a test's

    def __init__(
        self,
        sandbox: Sandbox,
        language: str = "python",
        limits: Limits | None = None,
        tests_column: str = "tests",
        code: Callable[[Completion], str] = code_of,
        value: Callable[[Verdict], float] = _pass_or_fail,
    ) -> None:
        if language not in LANGUAGES:
            raise ValueError(f"unknown language {language!r}: choose from {', '.join(LANGUAGES)}")
        self._sandbox = sandbox
        self._language = language
        self._limits = limits
        self._tests_column = tests_column
        self._code = code
        self._value = value
        self.__name__ = "tests_pass"  # TRL logs rewards under it

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Completion], **columns: Sequence[Any]
    ) -> list[float]:
        """Judge a batch.

        Args:
            prompts: As the trainer gives them; not looked at.
            completions: What the model wrote.
            columns: The other columns of the data set, one value a completion.

        Returns:
            What each completion is worth, in order.

        Raises:
            ValueError: The column of tests is missing.
            SandboxError: Some could not be judged; never a zero.
        """
        if self._tests_column not in columns:
            raise ValueError(f"the data set has no column {self._tests_column!r}; it has {', '.join(sorted(columns))}")
        tests = columns[self._tests_column]
        languages = columns.get("language") or [self._language] * len(completions)
        programs = []
        for completion, test, language in zip(completions, tests, languages, strict=True):
            solution = self._code(completion).rstrip() + "\n\n"
            programs.append(Program(language, solution + test, len(solution), self._limits))
        return [self._value(verdict) for verdict in self._sandbox.run(programs)]
