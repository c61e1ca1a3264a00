"""C++: instances of the library's templates, compiled once instead of with every program.

Most of a program's compilation goes into templates that every other program instantiates as well: `vector<int>`, the
parts of `std::sort`. Where the precompiled header declares such an instance `extern`, the compiler leaves it out, and
the linker takes it from an object file made here, by the same compiler with the same flags: the same code.

Which ones is learnt from `resources/common.cpp` and from the header's own inline functions, by the symbols that the
compiler emits for them. Declarations that this compiler does not take are left out: they only save time.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from .base import RESOURCES, build

_WEAK = re.compile(r"^\S*\s+[WVu] (.*)$")
_STRING = re.compile(r"std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >")
_TAG = re.compile(r"\[abi:\w+\]")
_OPERATOR = re.compile(r"operator(\(\)|\[\]|->\*?|<<=?|>>=?|[-+*/%^&|~!=<>]=?|&&|\|\||\+\+|--|,)")
_PLACE = re.compile(r"^instances\.cpp:(\d+):\d+: +(?:error|required from here)", re.MULTILINE)


def build_instances(folder: Path, compiler: Sequence[str], header: Path) -> None:
    """Compile common instances of a header's templates into `instances.o`, and declare them `extern` in the header.

    Args:
        folder: Where to work, and to put `instances.o`.
        compiler: The compiler and its flags.
        header: The header; declarations are appended.
    """
    build(folder, *compiler, "-fkeep-inline-functions", "-I.", "-c", str(RESOURCES / "common.cpp"), "-o", "common.o")
    plain, readable = (build(folder, "nm", "-p", *option, "common.o").splitlines() for option in ((), ("-C",)))
    (folder / "common.o").unlink()
    found = dict.fromkeys(instance for pair in zip(plain, readable, strict=True) for instance in _instances(*pair))
    taken = _compile(folder, compiler, header.name, list(found))
    (folder / "instances.cpp").unlink()
    header.write_text(header.read_text() + "".join(f"extern {one}\n" for one in taken))


def _compile(folder: Path, compiler: Sequence[str], header: str, instances: list[str]) -> list[str]:
    """Compile instances; those that the compiler takes."""
    while True:
        lines = "".join(f"extern {one} {one}\n" for one in instances)
        (folder / "instances.cpp").write_text(f'#include "{header}"\n{lines}')
        command = [*compiler, "-fmax-errors=0", "-c", "instances.cpp", "-o", "instances.o"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return instances
        refused = {int(line) - 2 for line in _PLACE.findall(result.stderr)}
        if not refused:
            raise OSError(f"instances of templates do not compile: {result.stderr.strip()[-2000:]}")
        instances = [one for number, one in enumerate(instances) if number not in refused]


def _instances(plain: str, readable: str) -> Iterator[str]:
    """The explicit instantiations that stand for a symbol: of its function template, or of its class."""
    weak, shown = _WEAK.match(plain), _WEAK.match(readable)
    if not weak or not shown or weak[1].startswith("_ZZ") or "{" in shown[1]:
        return  # No template, or something within a function, which has no name outside.
    signature = _TAG.sub("", _STRING.sub("std::string", shown[1]))
    begin, end = _name(signature)
    name = signature[begin:end]
    if begin or name.endswith(
        ">"
    ):  # Only function templates show what they return, and constructors no more than that.
        yield f"template {signature};"
    if not begin and (owner := _owner(name)).endswith(">"):
        yield f"template class {owner};"


def _name(signature: str) -> tuple[int, int]:
    """Where the name of a function begins and ends: between what it returns and its parameters."""
    begin = place = depth = 0
    while place < len(signature):
        if not depth and (sign := _OPERATOR.match(signature, place)):
            place = sign.end()
            continue
        character = signature[place]
        depth += (character == "<") - (character == ">")
        if not depth and character == "(":
            return begin, place
        if not depth and character == " ":
            begin = place + 1
        place += 1
    return 0, 0


def _owner(name: str) -> str:
    """The class of a member."""
    depth = 0
    for place in range(len(name) - 1, 0, -1):
        depth += (name[place] == ">") - (name[place] == "<")
        if not depth and name[place - 1 : place + 1] == "::":
            return name[: place - 1]
    return ""
