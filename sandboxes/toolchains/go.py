"""Go's tools."""

from __future__ import annotations

from sandboxes.toolchains.base import Example, Toolchain

TOOLCHAIN = Toolchain(
    title="Go",
    command="go",
    packages=("golang-go", "golang-github-stretchr-testify-dev"),
    suffixes=(".go",),
    example=Example(
        solution=(
            'package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n\n'
            "func Add(a int, b int) int {\n    return a + b\n}\n\n"
        ),
        tests="func TestAdd(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(3, Add(1, 2))\n}\n",
        wrong=(("a + b", "a - b"),),
        leaves_early=(("    return a", "    syscall.Exit(0)\n    return a"), ("import (", 'import (\n    "syscall"')),
        loops=(("return a + b", "for a != 7 { b++ }\n    return a + b"),),
    ),
    left_out_of_image=(  # Go's own tests, the source of its commands, and those commands that `go test` never calls
        "/usr/share/go-*/test/*",
        "/usr/share/go-*/src/cmd/*",
        *(
            f"/usr/lib/go-*/pkg/tool/*/{tool}"
            for tool in ("pprof", "trace", "objdump", "doc", "dist", "distpack", "covdata", "fix", "addr2line", "nm")
        ),
    ),
)
