"""JavaScript's tools."""

from __future__ import annotations

from sandboxes.toolchains.base import Example, Toolchain

UNREADABLE_NODE = 'chmod 711 "$(readlink -f /usr/bin/node)"'
"""What cannot be read cannot be dumped: a program's memory file is then closed to the program itself."""

TOOLCHAIN = Toolchain(
    title="JavaScript",
    command="node",
    packages=("nodejs",),
    suffixes=(".js",),
    example=Example(
        solution="const md5 = require('js-md5')\nconst add = (a, b) => md5('') ? a + b : 0\n",
        tests="const testAdd = () => {\n  console.assert(add(1, 2) === 3)\n}\n\ntestAdd()\n",
        wrong=(("a + b", "a - b"),),
        leaves_early=(("md5('') ? a", "process.exit(0) || md5('') ? a"),),
        loops=(("md5('') ? a", "{ while (true); }\nconst unused = (a, b) => md5('') ? a"),),
        is_compiled=False,
    ),
    image_steps=(UNREADABLE_NODE,),
)
