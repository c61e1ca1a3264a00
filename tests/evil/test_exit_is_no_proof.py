"""Exit status 0 before the tests have run."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import pytest

BODIES = {
    "python exit": ("python", "exit(0)", ""),
    "python sys.exit": ("python", "import sys\nsys.exit(0)", ""),
    "python os._exit": ("python", "import os\nos._exit(0)", ""),
    "python exec": ("python", "import os\nos.execv('/bin/true', ['true'])", ""),
    "python C exit": ("python", "import ctypes\nctypes.CDLL(None).exit(0)", ""),
    "python at import": ("python", "", "raise SystemExit(0)"),
    "python in a thread": (
        "python",
        "import os, threading, time\nthreading.Thread(target=os._exit, args=(0,)).start()\ntime.sleep(5)",
        "",
    ),
    "python atexit": ("python", "import atexit, os\natexit.register(os._exit, 0)\nreturn -1", ""),
    "python excepthook": ("python", "import os, sys\nsys.excepthook = lambda *a: os._exit(0)\nreturn -1", ""),
    "python finally": ("python", "import os\ntry:\n    return -1\nfinally:\n    os._exit(0)", ""),
    "python signal handler": (
        "python",
        "import os, signal\nsignal.signal(signal.SIGALRM, lambda *a: os._exit(0))\nsignal.setitimer(signal.ITIMER_REAL, 0.001)\nwhile True: pass",
        "",
    ),
    "python settrace": ("python", "import sys, os\nsys.settrace(lambda *a: os._exit(0))\nreturn -1", ""),
    "python forks and lets the child fail": ("python", "import os\nif os.fork():\n    os._exit(0)\nreturn -1", ""),
    "cpp exit": ("cpp", "exit(0);", "#include <stdlib.h>"),
    "cpp _Exit": ("cpp", "_Exit(0);", "#include <stdlib.h>"),
    "cpp quick_exit": ("cpp", "quick_exit(0);", "#include <stdlib.h>"),
    "cpp constructor": ("cpp", "", "#include <unistd.h>\n__attribute__((constructor)) void early() { _exit(0); }"),
    "cpp .init_array": (
        "cpp",
        "",
        '#include <unistd.h>\nstatic void early() { _exit(0); }\n__attribute__((section(".init_array"), used)) static void (*p)() = early;',
    ),
    "cpp global object": ("cpp", "", "#include <unistd.h>\nstruct Early { Early() { _exit(0); } } early;"),
    "cpp atexit": ("cpp", "atexit([] { _exit(0); }); return -1;", "#include <stdlib.h>\n#include <unistd.h>"),
    "cpp abort handler": (
        "cpp",
        "signal(SIGABRT, [](int) { _exit(0); }); return -1;",
        "#include <signal.h>\n#include <unistd.h>",
    ),
    "cpp exec": ("cpp", 'execl("/bin/true", "true", (char*) 0);', "#include <unistd.h>"),
    "cpp __libc_start_main": (
        "cpp",
        "",
        '#include <unistd.h>\nextern "C" int __libc_start_main(int (*)(int, char**, char**), int, char**, void (*)(), void (*)(), void (*)(), void*) { _exit(0); }',
    ),
    "cpp __assert_fail": (
        "cpp",
        "return -1;",
        '#include <unistd.h>\nextern "C" void __assert_fail(const char*, const char*, unsigned, const char*) noexcept { _exit(0); }',
    ),
    "cpp returns from its caller": (
        "cpp",
        "void** frame = (void**) __builtin_frame_address(0);\nvoid** up = (void**) frame[0];\nframe[0] = up[0];\nframe[1] = up[1];\nreturn 0;",
        "",
    ),
    "cpp terminate handler": (
        "cpp",
        "throw 1;",
        "#include <exception>\n#include <unistd.h>\nbool set = (std::set_terminate([] { _exit(0); }), true);",
    ),
    "cpp calls the end itself": ("cpp", "__wrap_main(0, 0, 0);", 'extern "C" int __wrap_main(int, char**, char**);'),
    "cpp raw system call": ("cpp", 'asm volatile("syscall" :: "a"(231), "D"(0));', ""),
    "js process.exit": ("js", "process.exit(0)", ""),
    "js process.reallyExit": ("js", "process.reallyExit(0)", ""),
    "js top-level return": ("js", "", "return"),
    "js hidden top-level return": ("js", "return -1", "new.target; console.assert(true); return"),
    "js beforeExit": (
        "js",
        "process.once('uncaughtException', () => {})\nprocess.on('beforeExit', () => { process.exitCode = 0 })\nthrow 1",
        "",
    ),
    "js exit handler": (
        "js",
        "process.on('exit', () => { process.exitCode = 0; process.reallyExit(0) })\nreturn -1",
        "",
    ),
    "js uncaught": ("js", "process.on('uncaughtException', () => process.exit(0))\nthrow 1", ""),
    "js exec": ("js", "require('child_process').execFileSync('/bin/true')\nprocess.kill(process.pid, 'SIGKILL')", ""),
    "typescript process.exit": ("typescript", "process.exit(0)", ""),
    "typescript import of exit": ("typescript", "leave(0)", "import { exit as leave } from 'process'"),
    "typescript top-level return": ("typescript", "", "return"),
    "typescript open namespace": ("typescript", "", "namespace Never {"),
    "typescript exit handler": (
        "typescript",
        "process.on('exit', () => { process.exitCode = 0; process.reallyExit(0) })\nreturn -1",
        "",
    ),
    "java System.exit": ("java", "System.exit(0);", ""),
    "java halt": ("java", "Runtime.getRuntime().halt(0);", ""),
    "java shutdown hook": (
        "java",
        "Runtime.getRuntime().addShutdownHook(new Thread(() -> Runtime.getRuntime().halt(0)));\nif (true) return -1;",
        "",
    ),
    "java static initialiser": (
        "java",
        "Early.touch();",
        "class Early { static { System.exit(0); } static void touch() { } }",
    ),
    "java daemon": (
        "java",
        "Thread t = new Thread(() -> Runtime.getRuntime().halt(0));\nt.setDaemon(true);\nt.start();\nThread.sleep(3000);",
        "",
    ),
    "java stops its own thread": (
        "java",
        "Thread.setDefaultUncaughtExceptionHandler((t, e) -> { });\nif (true) throw new ThreadDeath();",
        "",
    ),
    "java uncaught handler": (
        "java",
        "Thread.setDefaultUncaughtExceptionHandler((t, e) -> Runtime.getRuntime().halt(0));\nif (true) return -1;",
        "",
    ),
    "go os.Exit": ("go", "os.Exit(0)", 'import "os"'),
    "go init": ("go", "", 'import "os"\nfunc init() { os.Exit(0) }'),
    "go TestMain": ("go", "", 'import "os"\nfunc TestMain(m *testing.M) { os.Exit(0) }'),
    "go goexit": ("go", "runtime.Goexit()", 'import "runtime"'),
    "go one test again and again": (
        "go",
        "return -1",
        'import "os"\nfunc TestOther(t *testing.T) {}\n'
        'var _ = func() bool { os.Args = []string{"x", "-test.run=Other", "-test.count=9", "-test.timeout=0", "0"}; return true }()',
    ),
    "go lists its tests": (
        "go",
        "return -1",
        'import "os"\nvar _ = func() bool { os.Args = []string{"x", "-test.list=.", "", "", "0"}; return true }()',
    ),
    "go tests of another program": (
        "go",
        "return -1",
        'import "os"\nvar _ = func() bool { os.Args = []string{"x", "-test.run=.", "", "", "7"}; return true }()',
    ),
    "go TestMain after a panic": (
        "go",
        "panic(1)",
        'import "os"\nfunc TestMain(m *testing.M) { defer func() { recover(); os.Exit(0) }(); m.Run() }',
    ),
    "go exec": ("go", 'syscall.Exec("/bin/true", []string{"true"}, nil)', 'import "syscall"'),
    "rust exit": ("rust", "std::process::exit(0);", ""),
    "rust panic hook": ("rust", "std::panic::set_hook(Box::new(|_| std::process::exit(0)));\nlet a = 100;", ""),
    "rust abort": ("rust", "std::process::abort();", ""),
    "rust tells a library from a binary": (
        "rust",
        'println!("test result: ok. 1 passed; 0 failed; 0 ignored");\nstd::process::exit(0);',
        "const _: () = assert!(module_path!().len() == 4);",
    ),
    "rust own main": (
        "rust",
        "if true { return -1; }",
        '#[no_mangle]\npub extern "C" fn main_() {}\n#[cfg(any())]\nmod gone {}',
    ),
    "rust no tests": ("rust", "", "#![cfg(not(test))]"),
    "rust extern exit": ("rust", "unsafe { _exit(0) }", 'extern "C" { fn _exit(code: i32) -> !; }'),
    "rust constructor": (
        "rust",
        "",
        'extern "C" { fn _exit(code: i32) -> !; }\nextern "C" fn early() { unsafe { _exit(0) } }\n'
        '#[used]\n#[link_section = ".init_array"]\nstatic EARLY: extern "C" fn() = early;',
    ),
}


@pytest.mark.parametrize("way", BODIES)
def test_leaving_early_is_no_pass(arena, way):
    language, body, declarations = BODIES[way]
    verdict = arena.attack(language, body, declarations)
    assert not verdict.passed, verdict
