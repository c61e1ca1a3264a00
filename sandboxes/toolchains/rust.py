"""Rust's tools."""

from __future__ import annotations

from sandboxes.toolchains.base import Example, Toolchain

TOOLCHAIN = Toolchain(
    title="Rust",
    command="rustc",
    packages=("rustc", "librust-regex-dev", "librust-md5-dev", "librust-rand-dev"),
    suffixes=(".rs",),
    example=Example(
        solution=(
            "fn main(){}\n\nuse rand::Rng;\nuse regex::Regex;\nuse md5;\n\nfn add(a: i32, b: i32) -> i32 {\n"
            "    a + b\n}\n"
        ),
        tests=(
            "#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn test_add() {\n"
            "        assert_eq!(add(1, 2), 3);\n    }\n}\n"
        ),
        wrong=(("a + b", "a - b"),),
        leaves_early=(("    a + b", "    std::process::exit(0);\n    a + b"),),
        loops=(("    a + b", "    let mut c = a; while c != 7 { c = std::hint::black_box(1); }\n    a + b"),),
    ),
    also_in_image=("cargo", "mold"),
    left_out_of_image=("/usr/bin/rustdoc",),
)
