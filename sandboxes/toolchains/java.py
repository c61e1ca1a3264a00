"""Java's tools."""

from __future__ import annotations

from sandboxes.toolchains.base import Example, Toolchain

TOOLCHAIN = Toolchain(
    title="Java",
    command="javac",
    packages=("default-jdk-headless",),
    suffixes=(".java",),
    example=Example(
        solution=("import java.util.*;\nclass Solution {\n    public int add(int a, int b) { return a + b; }\n}\n"),
        tests=(
            "public class Main {\n    public static void main(String[] args) {\n        Solution s = new Solution();\n"
            "        if (s.add(1, 2) != 3) {\n            throw new AssertionError();\n        }\n    }\n}\n"
        ),
        wrong=(("a + b", "a - b"),),
        leaves_early=(("{ return a", "{ System.exit(0); return a"),),
        loops=(("{ return a + b", "{ while (a != 7) { b++; } return a + b"),),
    ),
    left_out_of_image=("/usr/lib/jvm/*/jmods/*",),  # only jlink reads them
)
