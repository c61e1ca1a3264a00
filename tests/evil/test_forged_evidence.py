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
    "js sees the key when it is taken": (
        "js",
        "const typed = Object.getPrototypeOf(Uint8Array.prototype)\nconst length = Object.getOwnPropertyDescriptor(typed, 'length')\nconst fs = require('fs')\n"
        "Object.defineProperty(typed, 'length', {get() {\n  const n = length.get.call(this)\n  if (n === 32) { const copy = new Uint8Array(32); for (let i = 0; i < 32; i++) copy[i] = this[i]; fs.writeSync(3, copy); process.reallyExit(0) }\n"
        "  return n\n}, configurable: true})\nconsole.assert(false)\nprocess.reallyExit(0)",
    ),
    "js has the loader find an inspector by another name": (
        "js",
        "const Module = require('module')\nModule._resolveFilename = () => 'inspector'\nnew (require('./other')).Session()",
    ),
    "js imports an inspector": (
        "js",
        "let found\nimport('inspector').then((module) => { found = module })\nfor (let i = 0; i < 1000; i++) process._tickCallback()",
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
STEAL = """
import os, sys
def steal(frame):
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            if isinstance(value, dict):
                value = b"".join(one for one in value.values() if type(one) is bytes)
            if isinstance(value, (bytes, bytearray)) and len(value) >= 32:
                os.write(3, value)
                os._exit(0)
        frame = frame.f_back
"""
# the frames of whatever looks on while a program runs, reached by all that runs between two of its instructions
FRAMES = {
    "a traceback": "try:\n    sys.audit('compile')\n    sys.audit('marshal.loads')\nexcept Exception as error:\n    steal(error.__traceback__.tb_next.tb_frame)\nreturn -1",
    "signals": "import signal\nsignal.signal(signal.SIGALRM, lambda number, frame: steal(frame))\nsignal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)\n"
    "for _ in range(20000):\n    compile('1', 'x', 'eval')\nreturn -1",
    "the collector's callbacks": "import gc\ngc.set_threshold(1)\ngc.callbacks.append(lambda *_: steal(sys._getframe()))\nfor _ in range(20000):\n    compile('1', 'x', 'eval')\nreturn -1",
    "other threads": "import threading\nsys.setswitchinterval(1e-6)\ndef noise():\n    while True:\n        compile('1', 'x', 'eval')\n"
    "threading.Thread(target=noise, daemon=True).start()\nfor _ in range(2000):\n    for frame in sys._current_frames().values():\n        steal(frame)\nreturn -1",
    "the end of the stack": "def down():\n    try:\n        down()\n    except RecursionError:\n        try:\n            compile('1', 'x', 'eval')\n        except RecursionError as error:\n"
    "            trace = error.__traceback__\n            while trace.tb_next:\n                trace = trace.tb_next\n            steal(trace.tb_frame)\ndown()\nreturn -1",
    "bytecode from a file": "import io, marshal\nmarshal.load(io.BytesIO(marshal.dumps(steal.__code__)))",
    "bytecode by the import system": "import importlib._bootstrap_external as system, marshal\nsystem._compile_bytecode(marshal.dumps(steal.__code__))",
    "bytecode of its own module": "import importlib.machinery, importlib.util, marshal\nwith open('own.pyc', 'wb') as file:\n    file.write(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(steal.__code__))\n"
    "importlib.machinery.SourcelessFileLoader('own', 'own.pyc').get_code('own')",
    "another interpreter": "try:\n    import _interpreters as other\nexcept ImportError:\n    import _xxsubinterpreters as other\nother.create()",
}


@pytest.mark.parametrize("way", FRAMES)
def test_no_frame_of_python_leads_to_the_key(arena, way):
    verdict = arena.attack("python", FRAMES[way], STEAL)
    assert not verdict.passed, verdict


def test_foreign_functions_are_not_lent_to_programs(arena):
    # the supervisor has them; a program that imports them by whatever name is reported
    code = "frame = sys._getframe()\nwhile frame:\n    assert not {'libc', '_pylibc', 'ctypes'} & frame.f_globals.keys()\n    frame = frame.f_back\nassert 'ctypes' not in sys.modules"
    assert arena.attack("python", code, "import sys").passed
    assert "it may read raw memory" in arena.attack("python", "__import__('_cty' + 'pes')").suspicious


def test_java_cannot_open_its_memory(arena):
    code = """
for (String place : new String[] {"self", "thread-self", "self/task/" + ProcessHandle.current().pid()}) {
    try { new RandomAccessFile("/proc/" + place + "/mem", "r").close(); } catch (IOException held) { continue; }
    throw new Exception(place);
}
"""
    assert arena.attack("java", code).passed


DECLARATIONS = {"go": 'import "fmt"\nimport "os"', "cpp": "#include <unistd.h>"}


@pytest.mark.parametrize("way", CODE)
def test_evidence_cannot_be_forged(arena, way):
    language, body = CODE[way]
    verdict = arena.attack(language, body, DECLARATIONS.get(language, ""))
    assert not verdict.passed, verdict
