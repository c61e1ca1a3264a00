"""The smallest programs that use what a language's benchmark programs rely on: does a toolchain work at all?"""

from __future__ import annotations

from sandboxes.supervisor.protocol import Program

# solution and tests; the libraries are those that HumanEvalPack's programs may use
_ADD = {
    "python": (
        "import numpy as np\ndef add(a, b):\n    return int(np.add(a, b))\n",
        "def check(add):\n    assert add(1, 2) == 3\n\ncheck(add)\n",
    ),
    "cpp": (
        "#include <boost/any.hpp>\n#include <openssl/md5.h>\nint add(int a, int b) { return a + b; }\n",
        "#undef NDEBUG\n#include <assert.h>\nint main() {\n    assert (add(1, 2) == 3);\n}\n",
    ),
    "js": (
        "const md5 = require('js-md5')\nconst add = (a, b) => md5('') ? a + b : 0\n",
        "const testAdd = () => {\n  console.assert(add(1, 2) === 3)\n}\n\ntestAdd()\n",
    ),
    "java": (
        "import java.util.*;\nclass Solution {\n    public int add(int a, int b) { return a + b; }\n}\n",
        "public class Main {\n    public static void main(String[] args) {\n        Solution s = new Solution();\n"
        "        if (s.add(1, 2) != 3) {\n            throw new AssertionError();\n        }\n    }\n}\n",
    ),
    "go": (
        'package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n\n'
        "func Add(a int, b int) int {\n    return a + b\n}\n\n",
        "func TestAdd(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(3, Add(1, 2))\n}\n",
    ),
    "rust": (
        "fn main(){}\n\nuse rand::Rng;\nuse regex::Regex;\nuse md5;\n\nfn add(a: i32, b: i32) -> i32 {\n    a + b\n}\n",
        "#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn test_add() {\n"
        "        assert_eq!(add(1, 2), 3);\n    }\n}\n",
    ),
}


def smoke_program(language: str) -> Program:
    """A program of `language` that passes wherever its toolchain works."""
    solution, tests = _ADD[language]
    return Program(language, solution + tests, len(solution))


def wrong_program(language: str) -> Program:
    """The same program with a bug, which its test finds."""
    solution, tests = _ADD[language]
    wrong = solution.replace("np.add", "np.subtract").replace("a + b", "a - b")
    return Program(language, wrong + tests, len(wrong))
