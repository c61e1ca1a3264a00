"""C++'s tools."""

from __future__ import annotations

from sandboxes.toolchains.base import Example, Toolchain

TOOLCHAIN = Toolchain(
    title="C++",
    command="g++",
    packages=("g++", "libboost-dev", "libssl-dev"),
    suffixes=(".cpp", ".cc"),
    example=Example(
        solution="#include <boost/any.hpp>\n#include <openssl/md5.h>\nint add(int a, int b) { return a + b; }\n",
        tests="#undef NDEBUG\n#include <assert.h>\nint main() {\n    assert (add(1, 2) == 3);\n}\n",
        wrong=(("a + b", "a - b"),),
        leaves_early=(("{ return a", "{ _Exit(0); return a"),),
        loops=(("{ return a", "{ volatile int x = 0; while (true) x = x + 1; return a"),),
    ),
    also_in_image=("mold",),
    left_out_of_image=(  # link-time optimisation, sanitizers and static libraries, which no command of ours asks for
        "/usr/bin/*lto-dump*",
        "/usr/libexec/gcc/*/lto1",
        "/usr/lib/*/lib[alt]san*",
        "/usr/lib/*/libhwasan*",
        "/usr/lib/*/libubsan*",
        "/usr/lib/*/libcrypto.a",
        "/usr/lib/*/libssl.a",
    ),
)
