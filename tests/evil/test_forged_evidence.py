"""A program that forges what a pass leaves behind: success lines, pipe messages, patched writers."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

CODE = {
    "a success line": (
        "python",
        "import os\nprint('PASSED')\nprint('OK')\nprint('test result: ok. 1 passed; 0 failed')\nos._exit(0)",
    ),
    "every descriptor": (
        "python",
        "import os\nfor fd in range(3, 256):\n    for text in (b'passed', b'1', b'{\"status\": \"passed\"}\\n', bytes(64)):\n"
        "        try:\n            os.write(fd, text)\n        except OSError:\n            pass\nos._exit(0)",
    ),
    "what descriptors hold": (
        "python",
        "import fcntl, os\nfor fd in range(3, 256):\n    try:\n        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)\n        data = os.read(fd, 4096)\n"
        "    except OSError:\n        continue\n    for other in range(3, 256):\n        try:\n            os.write(other, data)\n        except OSError:\n            pass\nos._exit(0)",
    ),
    "argv, environment and source": (
        "python",
        "import os, sys\ntext = '\\n'.join([*sys.argv, *os.environ.values(), open('/proc/self/cmdline').read()])\n"
        "for name in os.listdir('.'):\n    try:\n        text += open(name, errors='replace').read()\n    except OSError:\n        pass\n"
        "for fd in range(1, 64):\n    try:\n        os.write(fd, text.encode('utf-8', 'replace'))\n    except OSError:\n        pass\nos._exit(0)",
    ),
    "frames": (
        "python",
        "import os, sys\nframe = sys._getframe()\nwhile frame:\n    for name, value in list(frame.f_globals.items()) + list(frame.f_locals.items()):\n"
        "        for data in (value, getattr(value, 'key', None), getattr(value, 'token', None)):\n            if isinstance(data, (bytes, str)):\n"
        "                data = data.encode('utf-8', 'replace') if isinstance(data, str) else data\n                for fd in range(3, 16):\n"
        "                    try:\n                        os.write(fd, data)\n                    except OSError:\n                        pass\n"
        "    frame = frame.f_back\nos._exit(0)",
    ),
    "gc": (
        "python",
        "import gc, os\nfor value in gc.get_objects():\n    if isinstance(value, dict):\n        for data in list(value.values()):\n"
        "            if isinstance(data, bytes) and 8 <= len(data) <= 64:\n                for fd in range(3, 16):\n                    try:\n"
        "                        os.write(fd, data)\n                    except OSError:\n                        pass\nos._exit(0)",
    ),
    "patched writers": (
        "python",
        "import multiprocessing.connection, os\nreal = os.write\nos.write = lambda fd, data: real(fd, data.replace(b'fail', b'pass'))\n"
        "multiprocessing.connection.Connection.send = lambda self, value: None\nreturn -1",
    ),
    "go prints its own success": (
        "go",
        'fmt.Println("--- PASS: TestAdd (0.00s)\\nPASS\\nok  \\tcommand-line-arguments\\t0.001s")\nos.Exit(0)',
    ),
    "rust prints its own success": (
        "rust",
        'println!("test tests::test_add ... ok\\n\\ntest result: ok. 1 passed; 0 failed");\nstd::process::exit(0);',
    ),
    "js writes to every descriptor": (
        "js",
        "for (let fd = 3; fd < 64; fd++) { try { require('fs').writeSync(fd, 'passed') } catch (e) { } }\nprocess.reallyExit(0)",
    ),
    "typescript writes to every descriptor": (
        "typescript",
        "for (let fd = 3; fd < 64; fd++) { try { require('fs').writeSync(fd, 'passed') } catch (e) { } }\nprocess.reallyExit(0)",
    ),
    "js asks a debugger": (
        "js",
        "process.kill(process.pid, 'SIGUSR1')\nconst look = `setTimeout(() => require('net').connect(9229, '127.0.0.1')"
        ".on('connect', () => process.exit(7)).on('error', () => process.exit(8)), 300)`\n"
        "if (require('child_process').spawnSync(process.execPath, ['-e', look]).status === 7) require('fs').writeSync(3, 'found')\n"
        "process.reallyExit(0)",
    ),
    "cpp writes to every descriptor": (
        "cpp",
        'for (int fd = 3; fd < 64; fd++) (void) !write(fd, "passed", 6);\n_exit(0);',
    ),
    "java writes to every descriptor": (
        "java",
        'for (int fd = 3; fd < 64; fd++) { try { Files.write(Path.of("/proc/self/fd/" + fd), "passed".getBytes()); } catch (Exception e) { } }\nRuntime.getRuntime().halt(0);',
    ),
}
DECLARATIONS = {"go": 'import "fmt"\nimport "os"', "cpp": "#include <unistd.h>"}


@pytest.mark.parametrize("way", CODE)
def test_evidence_cannot_be_forged(arena, way):
    language, body = CODE[way]
    verdict = arena.attack(language, body, DECLARATIONS.get(language, ""))
    assert not verdict.passed, verdict
