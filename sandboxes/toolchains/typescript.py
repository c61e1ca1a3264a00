"""TypeScript's tools."""

from __future__ import annotations

from sandboxes.toolchains.base import Example, Toolchain
from sandboxes.toolchains.js import UNREADABLE_NODE

_LIBRARY = "/usr/share/nodejs/typescript/lib"

TOOLCHAIN = Toolchain(
    title="TypeScript",
    command="tsc",
    packages=("nodejs", "node-typescript"),
    suffixes=(".ts",),
    example=Example(
        solution="import md5 from 'js-md5'\nconst add = (a: number, b: number): number => md5('') ? a + b : 0\n",
        tests="const testAdd = () => {\n  console.assert(add(1, 2) === 3)\n}\n\ntestAdd()\n",
        wrong=(("a + b", "a - b"),),
        leaves_early=(("md5('') ? a", "process.exit(0) || md5('') ? a"),),
        loops=(("md5('') ? a", "{ while (true); }\nconst unused = (a: number, b: number) => md5('') ? a"),),
    ),
    image_steps=(UNREADABLE_NODE,),
    left_out_of_image=(  # what editors use, and messages in other languages
        f"{_LIBRARY}/*server*",
        f"{_LIBRARY}/typescriptServices*",
        f"{_LIBRARY}/typingsInstaller*",
        f"{_LIBRARY}/??/*",
        f"{_LIBRARY}/??-??/*",
    ),
)
