"""What is TypeScript, what is a type error, and what the compiler must not be fooled into."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from sandboxes.supervisor.protocol import Verdict

from .conftest import Worker

ADD = "const add = (a: number, b: number): number => a + b\n"
TESTS = "const testAdd = () => {\n  console.assert(add(1, 2) === 3)\n}\n\ntestAdd()\n"


@pytest.fixture(scope="module")
def typescript() -> Iterator[Worker]:
    if shutil.which("tsc") is None:
        pytest.skip("needs tsc: apt-get install node-typescript")
    one = Worker("--languages", "typescript")
    yield one
    assert one.close() == 0


def judged(worker: Worker, candidate: str, tests: str = TESTS) -> Verdict:
    reply = worker.ask(language="typescript", source=candidate + tests, test_offset=len(candidate))
    reply.pop("id")
    return Verdict.from_json(reply)


RIGHT = {
    "no types": "const add = (a, b) => a + b\n",
    "no check": "// @ts-nocheck\nconst add = (a: number, b: number): string => a + b\n",
    "names that a browser has": "const name = 'a'\nfunction print(): void {}\nclass Event {}\n" + ADD,
    "imports": "import * as fs from 'fs'\nimport md5 from 'js-md5'\nconst x: boolean = fs.existsSync(md5('x'))\n" + ADD,
    "node": "const { sep } = require('path')\nconst b: Buffer = Buffer.from(sep)\nlet t: NodeJS.Timeout\n" + ADD,
    "ES2023": "const y: number | undefined = [3, 1].toSorted().findLast((x) => x > 1)\n" + ADD,
    "what JavaScript lacks": (
        "enum Kind { A, B }\nnamespace N { export const k = Kind.B }\nabstract class Base<T> { abstract get(): T }\n"
        "class C<T> extends Base<T> { #x?: T; constructor(public y = N.k) { super() } get() { return this.#x! } }\n"
        "export default new C<string>()\n" + ADD
    ),
    "characters of two units": "const emoji = '\U0001f4a5\U0001f4a5'\n" + ADD,
}


@pytest.mark.parametrize("what", RIGHT)
def test_a_right_program_passes(typescript: Worker, what: str) -> None:
    verdict = judged(typescript, RIGHT[what])
    assert verdict.passed, verdict
    assert not verdict.suspicious


WRONG = {
    "type of the result": (
        "const add = (a: number, b: number): string => a + b\n",
        "error TS2322: Type 'number' is not",
    ),
    "type of an argument": (ADD + "add('1', 2)\n", "error TS2345"),
    "no such name": (ADD + "const missing = absent\n", "Cannot find name 'absent'"),
    "a browser's name": (ADD + "document.title = ''\n", "Cannot find name 'document'"),
    "return": ("return\n" + ADD, "error TS1108"),
    "open bracket": ("{\n" + ADD, "'}' expected"),
    "open comment": (ADD + "/*", "'*/' expected"),
    "a file of the host": ('/// <reference path="/etc/passwd" />\n' + ADD, "Could not resolve the path '/etc/passwd'"),
    "the tests' name": (ADD + "declare function testAdd(): void\n", "Duplicate identifier 'testAdd'"),
    "a very long name": (ADD + "x" * 3_000_000 + "\n", "xxx"),
    "nested too deep": ("const deep = " + "(" * 20_000 + "1" + ")" * 20_000 + "\n" + ADD, "RangeError"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_the_compiler_rejects_is_not_run(typescript: Worker, what: str) -> None:
    candidate, message = WRONG[what]
    verdict = judged(typescript, candidate)
    assert (verdict.status.value, verdict.stage) == ("compile_error", "compile"), verdict
    assert message in verdict.stderr
    assert not verdict.reference_passed


def test_a_cast_hides_no_trick(typescript: Worker) -> None:
    for code in ("(Object as any).is = () => true\n", "(<any>Array.prototype).includes = () => true\n"):
        assert judged(typescript, code + ADD).suspicious, code


def test_only_tests_that_ran_count(typescript: Worker) -> None:
    for code in ("process.exit(0)\n" + ADD, "const console: any = { assert() {} }\n" + ADD, ADD.replace("+", "-")):
        assert judged(typescript, code).status.value == "failed", code


def test_tests_may_use_nodes_assertions(typescript: Worker) -> None:
    """As MultiPL-E's do."""
    tests = "declare var require: any;\nconst assert = require('node:assert');\nassert.deepEqual(add(1, 2), 3);\n"
    assert judged(typescript, ADD, tests).passed
    assert not judged(typescript, ADD.replace("+", "-"), tests).passed
