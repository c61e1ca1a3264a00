"""Python."""

from __future__ import annotations

from octopack_tasks.languages.base import Execution, Language
from octopack_tasks.problems import Problem

_IMPORTS = """\
import math
import re
import sys
import copy
import datetime
import itertools
import collections
import heapq
import statistics
import functools
import hashlib
import numpy
import numpy as np
import string
from typing import *
from collections import *
"""


class Python(Language):
    """Python: a function ends at the first line that is not indented."""

    name = "python"
    title = "Python"
    extension = "py"
    fence = "python"
    stop_words = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\nassert")
    execution = Execution("python", timeout=10, num_workers=4)
    definition = r"^[ \t]*(async[ \t]+)?def[ \t]+{name}[ \t]*\("

    def is_complete(self, completion: str) -> bool:
        """Whether a line starts at column 0, the rest of the prompt's last line included."""
        return any(_ends_function(line) for line in completion.split("\n"))

    def truncate(self, completion: str) -> str:
        """Everything before the first line that starts at column 0."""
        lines = completion.split("\n")
        for index, line in enumerate(lines):
            if _ends_function(line):
                return "\n".join(lines[:index])
        return completion

    def candidate(self, solution: str, problem: Problem) -> str:
        """The imports that solutions may rely on, then the solution."""
        return (_IMPORTS + solution).strip()


def _ends_function(line: str) -> bool:
    return bool(line.strip()) and line[0] not in " \t"
