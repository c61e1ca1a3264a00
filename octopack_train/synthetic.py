"""Made-up bug-fix commits with tests: small real training sets for machines without network.

Every family is a Python function with bugs that a commit could have fixed. Names vary by seed. Families are split once
for all: those held out never occur in training, so a model that fixes them has learnt to fix, not to recite.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

DATA_SET = "synthetic-fixes"
"""Value of `data.path` that stands for `fix_commits`."""


@dataclass(frozen=True)
class Bug:
    """One way in which a function was wrong: `right` stood as `wrong` before the commit."""

    right: str
    wrong: str
    subject: str


@dataclass(frozen=True)
class Family:
    """A function with its possible bugs, and assertions that its fixed form meets; `{f}`, `{x}`, `{xs}` are names."""

    code: str
    bugs: tuple[Bug, ...]
    checks: tuple[str, ...]
    held_out: bool = False


@dataclass(frozen=True)
class FixCommit:
    """A commit that fixes a bug, and the test that tells.

    Attributes:
        old_contents: the file with the bug.
        new_contents: the file after the commit.
        subject: the commit's subject line.
        old_file: the file's path.
        test: assertions for the end of the fixed file.
    """

    old_contents: str
    new_contents: str
    subject: str
    old_file: str
    test: str

    @property
    def prompt(self) -> str:
        """Instruction in the paper's layout: subject, line end, old code."""
        return f"{self.subject}\n{self.old_contents}"

    def row(self) -> dict[str, str]:
        """Return the commit as a row with CommitPack's fields, and `prompt`, `completion` and `test`."""
        return {
            "commit": hashlib.sha1(f"{self.subject}{self.old_contents}".encode()).hexdigest(),
            "old_file": self.old_file,
            "new_file": self.old_file,
            "old_contents": self.old_contents,
            "new_contents": self.new_contents,
            "subject": self.subject,
            "message": f"{self.subject}\n",
            "lang": "Python",
            "license": "mit",
            "repos": "octopack/synthetic",
            "prompt": self.prompt,
            "completion": self.new_contents,
            "test": self.test,
        }


def fix_commits(count: int, *, seed: int = 0, held_out: bool = False) -> list[FixCommit]:
    """Return `count` different commits, from the training families or from those held out."""
    return [commit for commit, _ in zip(_stream(seed, held_out), range(count), strict=False)]


def _stream(seed: int, held_out: bool) -> Iterator[FixCommit]:
    choose = random.Random(f"{seed}-{held_out}")
    pairs = [(family, bug) for family in FAMILIES if family.held_out is held_out for bug in family.bugs]
    seen: set[str] = set()
    while True:
        choose.shuffle(pairs)
        for family, bug in pairs:
            commit = _commit(family, bug, choose)
            if commit.prompt not in seen:
                seen.add(commit.prompt)
                yield commit


def _commit(family: Family, bug: Bug, choose: random.Random) -> FixCommit:
    item, items = choose.choice(_ITEMS)
    name = f"{choose.choice(_VERBS)}_{choose.choice(_NOUNS)}"

    def named(template: str) -> str:
        return template.replace("{f}", name).replace("{xs}", items).replace("{x}", item)

    new = named(family.code)
    return FixCommit(
        old_contents=new.replace(named(bug.right), named(bug.wrong), 1),
        new_contents=new,
        subject=named(bug.subject),
        old_file=f"src/{choose.choice(_NOUNS)}/{name}.py",
        test="".join(f"{named(check)}\n" for check in family.checks),
    )


_ITEMS = (
    ("value", "values"), ("item", "items"), ("score", "scores"), ("number", "numbers"), ("entry", "entries"),
    ("price", "prices"), ("point", "points"), ("sample", "samples"), ("weight", "weights"), ("size", "sizes"),
)  # fmt: skip
_VERBS = ("get", "compute", "find", "make", "read", "check", "collect", "derive", "pick", "build")
_NOUNS = (
    "report", "order", "batch", "cache", "token", "window", "record", "budget", "sensor", "invoice",
    "session", "packet", "ledger", "signal", "parser", "router",
)  # fmt: skip

FAMILIES = (
    Family(
        "def {f}({xs}):\n    total = 0\n    for {x} in {xs}:\n        total += {x}\n    return total\n",
        (
            Bug("total += {x}", "total -= {x}", "Add each {x} in {f} instead of subtracting it"),
            Bug("total = 0", "total = 1", "Start the total of {f} at zero"),
            Bug("    return total", "        return total", "Return from {f} only after the loop"),
        ),
        ("assert {f}([1, 2, 3]) == 6", "assert {f}([]) == 0", "assert {f}([5, -2]) == 3"),
    ),
    Family(
        "def {f}({xs}):\n    best = {xs}[0]\n    for {x} in {xs}:\n        if {x} > best:\n            best = {x}\n"
        "    return best\n",
        (
            Bug("{x} > best", "{x} < best", "Make {f} return the largest {x}, not the smallest"),
            Bug("return best", "return {x}", "Return the best {x} from {f}, not the last one"),
            Bug("best = {xs}[0]", "best = 0", "Start {f} with the first {x} so that negative {xs} work"),
        ),
        ("assert {f}([3, 9, 4]) == 9", "assert {f}([-5, -2, -7]) == -2", "assert {f}([1]) == 1"),
    ),
    Family(
        "def {f}({xs}):\n    return sum({xs}) / len({xs})\n",
        (
            Bug("sum({xs}) / len({xs})", "sum({xs}) * len({xs})", "Divide by the number of {xs} in {f}"),
            Bug("len({xs})", "2", "Divide by the length of {xs} in {f} instead of two"),
            Bug("/ len", "// len", "Use true division in {f}"),
        ),
        ("assert {f}([1, 2]) == 1.5", "assert {f}([2, 4, 6]) == 4", "assert {f}([7]) == 7"),
    ),
    Family(
        "def {f}({xs}, limit):\n    return [{x} for {x} in {xs} if {x} <= limit]\n",
        (
            Bug("{x} <= limit", "{x} < limit", "Keep a {x} that is equal to the limit in {f}"),
            Bug("{x} <= limit", "{x} > limit", "Keep the {xs} below the limit in {f}, not those above"),
            Bug("[{x} for", "[limit for", "Return the {xs} from {f} instead of the limit"),
        ),
        ("assert {f}([1, 5, 9], 5) == [1, 5]", "assert {f}([], 3) == []", "assert {f}([4], 4) == [4]"),
    ),
    Family(
        "def {f}(text):\n    return text.strip().lower()\n",
        (
            Bug(".lower()", ".upper()", "Convert the text to lower case in {f}"),
            Bug("text.strip().lower()", "text.lower()", "Strip white space in {f}"),
            Bug("return text.strip().lower()", "text.strip().lower()", "Return the cleaned text from {f}"),
        ),
        ('assert {f}("  Ab ") == "ab"', 'assert {f}("XY") == "xy"', 'assert {f}("a b\\n") == "a b"'),
    ),
    Family(
        "def {f}({x}):\n    return {x} % 2 == 0\n",
        (
            Bug("== 0", "== 1", "Make {f} true for even numbers"),
            Bug("% 2", "% 3", "Test divisibility by two in {f}"),
            Bug("{x} % 2", "{x} // 2", "Use the remainder in {f} instead of the quotient"),
        ),
        ("assert {f}(4)", "assert not {f}(3)", "assert {f}(0)", "assert not {f}(9)", "assert {f}(2)"),
    ),
    Family(
        "def {f}({x}, low, high):\n    if {x} < low:\n        return low\n    if {x} > high:\n        return high\n"
        "    return {x}\n",
        (
            Bug("return low", "return high", "Return the lower bound from {f} when {x} is too small"),
            Bug("        return high", "        return low", "Return the upper bound from {f} when {x} is too large"),
            Bug("{x} > high", "{x} == high", "Compare {x} with the upper bound correctly in {f}"),
            Bug("    return {x}\n", "    return None\n", "Return {x} unchanged from {f} when it is in range"),
        ),
        ("assert {f}(1, 2, 5) == 2", "assert {f}(9, 2, 5) == 5", "assert {f}(3, 2, 5) == 3"),
    ),
    Family(
        "def {f}({xs}):\n    seen = set()\n    result = []\n    for {x} in {xs}:\n        if {x} not in seen:\n"
        "            seen.add({x})\n            result.append({x})\n    return result\n",
        (
            Bug("not in seen", "in seen", "Keep a {x} in {f} when it was not seen before"),
            Bug("return result", "return seen", "Return the list from {f} so that the order is kept"),
            Bug("result.append({x})", "result.append(seen)", "Append the {x} itself in {f}"),
        ),
        ("assert {f}([1, 2, 1, 3]) == [1, 2, 3]", "assert {f}([]) == []", "assert {f}([4, 4]) == [4]"),
    ),
    Family(
        "def {f}({xs}):\n    counts = {}\n    for {x} in {xs}:\n        counts[{x}] = counts.get({x}, 0) + 1\n"
        "    return counts\n",
        (
            Bug("counts.get({x}, 0) + 1", "counts.get({x}, 0)", "Count each {x} in {f}"),
            Bug("counts.get({x}, 0)", "counts.get({x}, 1)", "Start the counts of {f} at zero"),
            Bug("    return counts", "        return counts", "Return the counts from {f} after the loop"),
        ),
        ('assert {f}("aab") == {"a": 2, "b": 1}', "assert {f}([7]) == {7: 1}", "assert {f}([1, 1, 1]) == {1: 3}"),
    ),
    Family(
        "def {f}(width, height):\n    return width * height\n",
        (
            Bug("width * height", "width + height", "Multiply width and height in {f}"),
            Bug("width * height", "width * width", "Use the height in {f}"),
        ),
        ("assert {f}(3, 4) == 12", "assert {f}(5, 1) == 5", "assert {f}(0, 7) == 0"),
    ),
    Family(
        "def {f}({xs}):\n    return {xs}[::-1]\n",
        (
            Bug("{xs}[::-1]", "{xs}[::2]", "Reverse the {xs} in {f} instead of skipping every other one"),
            Bug("{xs}[::-1]", "{xs}[1:]", "Reverse the {xs} in {f} instead of dropping the first one"),
            Bug("{xs}[::-1]", "{xs}", "Reverse the {xs} in {f}"),
        ),
        ("assert {f}([1, 2, 3]) == [3, 2, 1]", 'assert {f}("ab") == "ba"', "assert {f}([]) == []"),
    ),
    Family(
        "def {f}(n):\n    result = 1\n    for i in range(1, n + 1):\n        result *= i\n    return result\n",
        (
            Bug("n + 1", "n", "Include n itself in the product of {f}"),
            Bug("result *= i", "result += i", "Multiply in {f} instead of adding"),
            Bug("result = 1", "result = 0", "Start the product of {f} at one"),
        ),
        ("assert {f}(4) == 24", "assert {f}(1) == 1", "assert {f}(0) == 1"),
    ),
    Family(
        "def {f}({xs}, key):\n    for index, {x} in enumerate({xs}):\n        if {x} == key:\n"
        "            return index\n    return -1\n",
        (
            Bug("return index", "return {x}", "Return the index from {f} instead of the {x}"),
            Bug("{x} == key", "{x} != key", "Compare for equality with the key in {f}"),
            Bug("return -1", "return 0", "Return -1 from {f} when the key is missing"),
        ),
        ("assert {f}([5, 6, 7], 6) == 1", "assert {f}([5], 8) == -1", 'assert {f}("abc", "c") == 2'),
    ),
    Family(
        'def {f}(path):\n    parts = path.split("/")\n    return parts[-1]\n',
        (
            Bug("parts[-1]", "parts[0]", "Return the last part of the path from {f}"),
            Bug('split("/")', 'split(".")', "Split the path at slashes in {f}"),
            Bug("return parts[-1]", "return parts", "Return only the last part from {f}"),
        ),
        ('assert {f}("a/b/c.txt") == "c.txt"', 'assert {f}("x") == "x"', 'assert {f}("a/b") == "b"'),
    ),
    Family(
        "def {f}(config, key, default=None):\n    if key in config:\n        return config[key]\n    return default\n",
        (
            Bug("key in config", "key not in config", "Look the key up in {f} when it is there"),
            Bug("return default", "return key", "Return the default from {f} when the key is missing"),
            Bug("return config[key]", "return config", "Return the entry of the key from {f}, not the whole config"),
        ),
        ('assert {f}({"a": 1}, "a") == 1', 'assert {f}({}, "a") is None', 'assert {f}({"b": 2}, "a", 3) == 3'),
    ),
    Family(
        'def {f}(first, last):\n    return first + " " + last\n',
        (
            Bug('first + " " + last', "first + last", "Put a blank between the names in {f}"),
            Bug('first + " " + last', 'last + " " + first', "Put the first name first in {f}"),
        ),
        ('assert {f}("Ada", "Lovelace") == "Ada Lovelace"', 'assert {f}("a", "b") == "a b"'),
    ),
    # Held out: never in training.
    Family(
        "def {f}({xs}):\n    smallest = {xs}[0]\n    for {x} in {xs}:\n        if {x} < smallest:\n"
        "            smallest = {x}\n    return smallest\n",
        (
            Bug("{x} < smallest", "{x} > smallest", "Make {f} return the smallest {x}, not the largest"),
            Bug("return smallest", "return {x}", "Return the smallest {x} from {f}, not the last one"),
        ),
        ("assert {f}([3, 1, 4]) == 1", "assert {f}([-5, -2]) == -5", "assert {f}([8]) == 8"),
        held_out=True,
    ),
    Family(
        "def {f}({xs}):\n    product = 1\n    for {x} in {xs}:\n        product *= {x}\n    return product\n",
        (
            Bug("product *= {x}", "product += {x}", "Multiply the {xs} in {f} instead of adding them"),
            Bug("product = 1", "product = 0", "Start the product of {f} at one"),
        ),
        ("assert {f}([2, 3, 4]) == 24", "assert {f}([]) == 1", "assert {f}([5]) == 5"),
        held_out=True,
    ),
    Family(
        "def {f}({xs}, limit):\n    count = 0\n    for {x} in {xs}:\n        if {x} > limit:\n            count += 1\n"
        "    return count\n",
        (
            Bug("{x} > limit", "{x} < limit", "Count the {xs} above the limit in {f}, not those below"),
            Bug("count += 1", "count -= 1", "Count up in {f} instead of down"),
            Bug("return count", "return limit", "Return the count from {f} instead of the limit"),
        ),
        ("assert {f}([1, 5, 9], 4) == 2", "assert {f}([], 1) == 0", "assert {f}([3], 3) == 0"),
        held_out=True,
    ),
    Family(
        "def {f}(name):\n    words = name.split()\n    return words[0]\n",
        (
            Bug("words[0]", "words[-1]", "Return the first word from {f}, not the last"),
            Bug("return words[0]", "return words", "Return only the first word from {f}"),
        ),
        ('assert {f}("one two three") == "one"', 'assert {f}("single") == "single"'),
        held_out=True,
    ),
    Family(
        "def {f}({x}):\n    if {x} < 0:\n        return -{x}\n    return {x}\n",
        (
            Bug("return -{x}", "return 0", "Return the negated {x} from {f} when it is negative"),
            Bug("{x} < 0", "{x} > 0", "Negate the {x} in {f} only when it is below zero"),
        ),
        ("assert {f}(-3) == 3", "assert {f}(4) == 4", "assert {f}(0) == 0"),
        held_out=True,
    ),
    Family(
        'def {f}({xs}):\n    return ", ".join(str({x}) for {x} in {xs})\n',
        (
            Bug('", ".join', '"".join', "Put a comma and a blank between the {xs} in {f}"),
            Bug("str({x})", "str({xs})", "Convert each {x} to text in {f}, not the whole list"),
        ),
        ('assert {f}([1, 2]) == "1, 2"', 'assert {f}([]) == ""', 'assert {f}([7]) == "7"'),
        held_out=True,
    ),
)
