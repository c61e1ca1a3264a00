"""What has to be known about a language's tools outside of the sandbox: their packages, and a small program."""

from __future__ import annotations

from dataclasses import dataclass

Edit = tuple[str, str]
"""A piece of a text, and what to put in its place."""


@dataclass(frozen=True)
class Example:
    """The smallest program that uses what a language's benchmark programs rely on, and ways to spoil it.

    Attributes:
        solution: A function that adds two numbers, with the libraries that HumanEvalPack's programs may use.
        tests: The tests of it, as HumanEvalPack writes them.
        wrong: The edits that put a bug into the solution.
        leaves_early: The edits that make it end with exit status 0 when it is called.
        loops: The edits that make it run forever when it is called.
        is_compiled: Whether what is no program at all is told from one that fails.
    """

    solution: str
    tests: str
    wrong: tuple[Edit, ...]
    leaves_early: tuple[Edit, ...]
    loops: tuple[Edit, ...]
    is_compiled: bool = True


@dataclass(frozen=True)
class Toolchain:
    """The tools of a language: one in a file of its own, listed in `sandboxes.supervisor.protocol.LANGUAGES`.

    Attributes:
        title: The language's name in prose.
        command: The command that it cannot do without.
        packages: Debian's packages of it.
        suffixes: How the names of its files end.
        example: A small program.
        also_in_image: Packages that only make it faster, for images.
        image_steps: Shell commands that an image needs after its packages.
        left_out_of_image: Files of its packages that no program needs (patterns of dpkg's `path-exclude`).
    """

    title: str
    command: str
    packages: tuple[str, ...]
    suffixes: tuple[str, ...]
    example: Example
    also_in_image: tuple[str, ...] = ()
    image_steps: tuple[str, ...] = ()
    left_out_of_image: tuple[str, ...] = ()
