"""C++."""

from __future__ import annotations

from octopack_tasks.languages.base import BraceLanguage, Execution
from octopack_tasks.problems import Problem

_INCLUDES = """\
using namespace std;
#include<stdlib.h>
#include<algorithm>
#include<cmath>
#include<math.h>
#include<numeric>
#include<stdio.h>
#include<vector>
#include<set>
#include<map>
#include<queue>
#include<stack>
#include<list>
#include<deque>
#include<boost/any.hpp>
#include<string>
#include<climits>
#include<cstring>
#include<iostream>
#include<sstream>
#include<fstream>
"""


class Cpp(BraceLanguage):
    """C++."""

    name = "cpp"
    title = "C++"
    extension = "cpp"
    fence = "cpp"
    execution = Execution("cpp", timeout=60, num_workers=4)
    definition = r"\b{name}\s*\([^;{}]*\)[^;{}()]*\{"

    def candidate(self, solution: str, problem: Problem) -> str:
        """The includes that solutions may rely on, then the solution up to a `main`: the tests bring their own."""
        return (_INCLUDES + solution.split("int main")[0]).strip()
