"""Programs that fill the disk: without end, with one huge file, with thousands of small ones."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

CODE = {
    "one file": "f = open('big', 'wb')\nwhile True:\n    f.write(b'x' * (1 << 20))",
    "a sparse file": "f = open('sparse', 'wb')\nf.truncate(1 << 45)\nf.write(b'x')\nf.flush()",
    "many large files": "n = 0\nwhile True:\n    n += 1\n    open(f'large{n}', 'wb').write(b'x' * (32 << 20))",
    "many files": "n = 0\nwhile True:\n    n += 1\n    open(f'small{n}', 'w').write('x')",
    "deep folders": "import os\nwhile True:\n    os.mkdir('d')\n    os.chdir('d')",
    "in /tmp": "f = open('/tmp/octopack-evil', 'wb')\nwhile True:\n    f.write(b'x' * (1 << 20))",
    "in shared memory": "f = open('/dev/shm/octopack-evil', 'wb')\nwhile True:\n    f.write(b'x' * (1 << 20))",
    "deleted but open": "import os\nf = open('big', 'wb')\nos.unlink('big')\nwhile True:\n    f.write(b'x' * (1 << 20))",
}


@pytest.mark.parametrize("where", CODE)
def test_the_disk_has_an_end(arena, where):
    assert not arena.attack("python", CODE[where]).passed
