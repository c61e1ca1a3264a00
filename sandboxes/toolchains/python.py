"""Python's tools."""

from __future__ import annotations

from sandboxes.toolchains.base import Example, Toolchain

TOOLCHAIN = Toolchain(
    title="Python",
    command="python3",
    packages=("python3", "python3-numpy"),
    suffixes=(".py",),
    example=Example(
        solution="import numpy as np\ndef add(a, b):\n    return int(np.add(a, b))\n",
        tests="def check(add):\n    assert add(1, 2) == 3\n\ncheck(add)\n",
        wrong=(("np.add", "np.subtract"),),
        leaves_early=(("    return int(", "    import os\n    os._exit(0)\n    return int("),),
        loops=(("return int(", "while True: pass\n    return int("),),
        is_compiled=False,
    ),
)
