"""Python: what it takes to pass is that the last line was reached; nothing less, and nothing that looks like it."""

from __future__ import annotations

import pytest

from .conftest import Worker

TESTS = "\ndef check(f):\n    assert f(1) == 2\n\ncheck(f)\n"
CHEATS = {
    "os._exit": "import os\ndef f(x): os._exit(0)",
    "sys.exit": "import sys\ndef f(x): sys.exit(0)",
    "exec": "import os\ndef f(x): os.execv('/bin/true', ['true'])",
    "noise on every descriptor": (
        "import os\n"
        "def f(x):\n"
        "    for fd in range(3, 64):\n"
        "        try: os.write(fd, b'k' * 32)\n"
        "        except OSError: pass\n"
        "    os._exit(0)"
    ),
    "collector": (
        "import gc, os\n"
        "def f(x):\n"
        "    for o in gc.get_objects():\n"
        "        if type(o) is bytearray and len(o) == 32: os.write(3, o)\n"
        "    os._exit(0)"
    ),
    "trailing decorator": "def f(x): return 3\n@lambda check: (lambda f: None)",
    "trace jumps over the assertion": (
        "import sys\n"
        "def jump(frame, event, arg):\n"
        "    if event == 'line': frame.f_lineno = frame.f_code.co_firstlineno\n"
        "    return jump\n"
        "def f(x):\n"
        "    sys.settrace(jump); sys._getframe(1).f_trace = jump\n"
        "    return 2"
    ),
    "frames": (
        "import os, sys\n"
        "def f(x):\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:\n"
        "            if type(value) in (bytes, bytearray) and len(value) == 32: os.write(3, value)\n"
        "        frame = frame.f_back\n"
        "    os._exit(0)"
    ),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_cheats_do_not_pass(worker: Worker, cheat: str) -> None:
    candidate = CHEATS[cheat] + "\n"
    reply = worker.ask(language="python", source=candidate + TESTS, test_offset=len(candidate))
    assert reply["status"] in ("failed", "runtime_error", "compile_error"), reply
    honest = worker.ask(language="python", source="def f(x): return x + 1\n" + TESTS)
    assert honest["status"] == "passed"


def test_a_hollow_comparison_passes_as_in_the_reference_but_is_told(worker: Worker) -> None:
    candidate = "class Any:\n    def __eq__(self, other): return True\ndef f(x): return Any()\n"
    reply = worker.ask(language="python", source=candidate + TESTS, test_offset=len(candidate))
    assert reply["status"] == "passed"
    assert reply["suspicious"] == ["it defines comparison of its own"]


def test_a_comment_may_end_with_a_backslash(worker: Worker) -> None:
    candidate = "def f(x): return x + 1\n# here: C:\\\n"
    reply = worker.ask(language="python", source=candidate + TESTS.lstrip(), test_offset=len(candidate))
    assert reply["status"] == "passed", reply


def test_where_strict_and_reference_differ_both_are_told(worker: Worker) -> None:
    candidate = "import gc\ndef f(x):\n    gc.get_objects()\n    return 2\n"
    reply = worker.ask(language="python", source=candidate + TESTS, test_offset=len(candidate))
    assert (reply["status"], reply["reference_passed"]) == ("failed", True)
    assert "collector" in reply["detail"]


def test_tests_may_name_what_every_object_has(worker: Worker) -> None:
    candidate = "class Box:\n    pass\n"
    source = candidate + "assert Box().__init__() is None and Box.__name__ and not Box.__class__.__doc__ == ''\n"
    reply = worker.ask(language="python", source=source, test_offset=len(candidate))
    assert (reply["status"], reply["suspicious"]) == ("passed", [])


def test_each_program_draws_random_numbers_of_its_own(worker: Worker) -> None:
    source = "import random, numpy\nprint(random.random(), numpy.random.random())"
    drawn = [worker.ask(language="python", source=source)["stdout"].split() for _ in range(2)]
    assert not {*drawn[0]} & {*drawn[1]}, drawn
