"""Python: a warm interpreter forks a child for every program.

A pass needs the key. The child reads it before the program's text is even compiled, into an object that no Python
name, frame or module leads to: the rest of the child's life is one chain of built-in functions (`exec`, `os.write`,
`os._exit`) that C code walks, and the key is an argument inside that chain. What the program patches, it patches too
late; the frames above it hold nothing. What could still find the key are the collector's lists (`gc.get_objects`),
foreign functions (`ctypes`), hand-made bytecode, another interpreter and the process's memory file; and a trace
function could jump over assertions. So the key has a share for each of these, in a table by the name of the audit event
that tells of it, and `table.pop` is the audit hook, which cannot be removed: before such a thing happens its share is
gone. The program goes on, and the share that is missing at the end says why it does not count. The hook is a built-in
method: no frame, closure or traceback leads to the table.

What hollows out an assertion is looked for when the tests have passed: classes of the program's own that compare, by
whatever name they came to be, and what its tests use or define and the program replaces.

Left over: a program that reads raw memory through numpy's strides, or through `ctypes` (which is reported), without a
hint where the key lies.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import gc
import io
import os
import re
import signal
import symtable
import sys
import threading
import traceback
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..processes import EVIDENCE_FD, KEY_FD, Command, Zygote
from ..protocol import Status, Verdict
from .base import Case, Setting, Strategy, finished, first_line, new_key, stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PRELOADED = [
    "math",
    "re",
    "copy",
    "datetime",
    "itertools",
    "collections",
    "heapq",
    "statistics",
    "functools",
    "hashlib",
    "numpy",
    "string",
    "typing",
    "random",
    "bisect",
    "operator",
    "decimal",
    "fractions",
    "json",
    "traceback",
    "ast",
    "warnings",
    "textwrap",
    "contextlib",
    "dataclasses",
    "enum",
    "abc",
    "io",
]
_PRELOADED_TOO = [
    "argparse",
    "array",
    "asyncio",
    "base64",
    "calendar",
    "cmath",
    "concurrent.futures.thread",
    "csv",
    "difflib",
    "inspect",
    "logging",
    "multiprocessing.pool",
    "pickle",
    "pprint",
    "queue",
    "secrets",
    "shutil",
    "signal",
    "struct",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "unicodedata",
    "unittest",
    "urllib.parse",
    "uuid",
    "zlib",
]
"""Modules that take long to compile: a program's imports find no compiled ones, since loading these reaches the key."""
_SHARE_BYTES = 8
_OPEN_END, _PRETENDS, _INSIDE, _NATIVE, _RAW, _EQUAL, _FRAMES, _FORKS, _ORACLE = (
    f"octopack.{what}"
    for what in ("open_end", "pretends", "inside", "native", "raw", "equal", "frames", "forks", "oracle")
)
_SHARES = {
    "gc.get_objects": "it lists the collector's objects",
    "gc.get_referrers": "it asks the collector for referrers",
    "gc.get_referents": "it asks the collector for referents",
    "code.__new__": "it builds bytecode by hand",
    "marshal.load": "it loads bytecode",
    "marshal.loads": "it loads bytecode",
    "sys.settrace": "it traces its tests",
    "sys.setprofile": "it traces its tests",
    "sys.monitoring.register_callback": "it traces its tests",
    "sys.addaudithook": "it adds an audit hook",
    "sqlite3.enable_load_extension": "it loads native code",
    "ctypes.dlsym": "it calls foreign functions",
    "ctypes.dlsym/handle": "it calls foreign functions",
    "ctypes.call_function": "it calls foreign functions",
    "ctypes.cdata": "it may read raw memory",
    "ctypes.string_at": "it reads raw memory",
    "ctypes.wstring_at": "it reads raw memory",
    "ctypes.memoryview_at": "it reads raw memory",
    "ctypes.PyObj_FromPtr": "it reads raw memory",
    _PRETENDS: "it pretends that code of its own is the library's",
    _OPEN_END: "its last statement reaches into the tests",
    _INSIDE: "it uses modules of the interpreter's own",
    _NATIVE: "it loads native code",
    _RAW: "it may read raw memory",
    _EQUAL: "it may return what equals everything",
    _FRAMES: "it looks at stack frames",
    _FORKS: "it forks, and may try its answers out",
    _ORACLE: "it uses what only its tests define",
}
"""The audit events that take a share of the key with them, and what a missing share says; the last nine are ours."""
_NOTED = {_RAW, _EQUAL, _FRAMES, _FORKS, _ORACLE, "ctypes.cdata"}
"""Of these the ones that honest programs cause as well: a pass without their share is suspicious."""
_MODULES = {
    "_ctypes": _RAW,
    "_interpreters": _INSIDE,
    "_xxsubinterpreters": _INSIDE,
    "_testcapi": _INSIDE,
    "_testinternalcapi": _INSIDE,
    "_testlimitedcapi": _INSIDE,
    "mock": _EQUAL,
    "support": _EQUAL,
}
"""What importing a module causes."""
_NOTES = (
    "it defines comparison of its own",
    "it redefines built-in functions",
    "it replaces what its tests define",
    "it replaces functions of the library that its tests use",
)
_OPERATORS = (
    *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__bool__", "__sub__", "__rsub__", "__abs__"),
    *("__float__", "__round__", "__instancecheck__", "__array_interface__", "__array_struct__"),
)
_MAY_MAKE_CLASSES = re.compile(
    r"class|type|__|\bexec\b|\beval\b|import_module|attr|\b(vars|locals|globals|modules)\b|[Ee]num(?!erate)"
)
_DEFINED = re.compile(r"^(@.*\n)?(?:async[ \t]+)?def[ \t]+(\w+)", re.MULTILINE)
_ASSERTED, _RAISED, _NOT_COMPILED = 1, 2, 3
_LOOKS = (
    (r"def\s+__(eq|ne|lt|le|gt|ge|bool|instancecheck)__", "it defines comparison of its own"),
    (
        r"\b(_getframe|tb_frame|f_back|gi_frame|currentframe|walk_stack|get\w+frames)\b|\binspect\b[^\n]*\bstack\b",
        "it looks at stack frames",
    ),
    (r"\bdis\b", "it may read its tests"),
    (r"\b(builtins|__builtins__)\b", "it reaches for the built-ins"),
    (r"\bas_strided\b|\b_?ctypes\b|__array_", "it may read raw memory"),
    (
        r"\bglobals\(\)|\b(__code__|__globals__|f_globals|f_locals|co_consts)\b|\bsetattr\(",
        "it changes names or code at run time",
    ),
    (
        r"\bgc\s*\.\s*(callbacks|collect|set_threshold)\b|\bsetswitchinterval\b|\bsetitimer\b|\bsignal\s*\.\s*(signal|alarm)\b",
        "it may act while its tests run",
    ),
    (r"\b__subclasses__\b", "it looks for classes that it was not given"),
    (r"\b(atexit|_exit|SystemExit|exec[lv]\w*|settrace|setprofile)\b", "it interferes with how a program ends"),
)


class Python(Strategy):
    """Python programs, each in a fork of a warm interpreter."""

    language = "python"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._zygote: Zygote | None = None

    def version(self) -> str:
        """See `Strategy`."""
        import importlib.util

        numpy = importlib.util.find_spec("numpy")
        if numpy is None:
            raise OSError("numpy is not installed for " + sys.executable)
        return first_line(sys.executable, "--version")

    def judge(self, case: Case) -> Verdict:
        """See `Strategy`."""
        if self._zygote is None:
            self._zygote = Zygote(self.jail, _warm_up, _run)
        key = new_key(len(_SHARES) * _SHARE_BYTES)
        offset = case.program.test_offset
        source = case.program.source.encode("utf-8", "surrogatepass")
        command = Command(
            case.running(),
            zygote=self._zygote,
            payload=(offset or 0).to_bytes(4, "big") + source,
            key=key,
            data_bytes=2 * case.limits.memory_bytes + (1 << 30),
        )
        outcome = self.execute(case, command)
        if verdict := stopped(case, outcome):
            return verdict
        if outcome.exit_code == _NOT_COMPILED:
            return case.verdict(Status.COMPILE_ERROR, outcome, stage="compile", detail="it does not parse")
        notes, missing = _read(outcome.evidence, key)
        reasons = [why for event, why in _SHARES.items() if event in missing - _NOTED]
        proven = not reasons and set(notes) <= set(range(len(_NOTES)))
        if outcome.exit_code == 0 and not proven:
            if len(missing) < len(_SHARES):
                detail = f"not proven: {', '.join(reasons) or 'it reached for the evidence'}"
                return case.verdict(Status.FAILED, outcome, reference=True, detail=detail)
            # The reference runs the program inside its own process: one that exits never reports a pass.
            return case.verdict(Status.FAILED, outcome, detail="it ended before its tests did")
        if proven:
            case.suspicious += [_NOTES[number] for number in sorted(set(notes))]
            case.suspicious += [_SHARES[event] for event in missing]
        case.suspicious += [why for pattern, why in _LOOKS if re.search(pattern, case.candidate)]
        return finished(
            case,
            dataclasses.replace(outcome, evidence=key if proven else b""),
            key,
            reference=outcome.exit_code == 0,
            failed_by_test=outcome.exit_code == _ASSERTED,
        )

    def close(self) -> None:
        """See `Strategy`."""
        if self._zygote is not None:
            self._zygote.close()


def _read(evidence: bytes, key: bytes) -> tuple[bytes, set[str]]:
    """The notes before the key in a program's evidence, and the events whose share of the key is missing there."""
    missing = set()
    for number, event in reversed(list(enumerate(_SHARES))):
        share = key[number * _SHARE_BYTES : (number + 1) * _SHARE_BYTES]
        if evidence.endswith(share):
            evidence = evidence.removesuffix(share)
        else:
            missing.add(event)
    return evidence, missing


def _warm_up() -> None:
    """In the zygote: load what programs import, and forget what is ours."""
    import importlib

    _generated.append(frozenset(_comparisons_of_dataclasses()))
    gc.collect()  # Modules fill the gaps; a fork that fills them copies page after page.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # A fork must find one thread only.
    for name in [name for name in sys.modules if name.partition(".")[0] in ("ctypes", "_ctypes")]:
        del sys.modules[name]
    sys.modules["ctypes"] = None  # type: ignore[assignment]  # numpy does without
    for name in (*_PRELOADED, *_PRELOADED_TOO):
        importlib.import_module(name)
    del sys.modules["ctypes"]
    ours = __name__.partition(".")[0]
    sys.path[:] = [entry for entry in sys.path if not (Path(entry) / ours / "protocol.py").is_file()]
    for name in [name for name in sys.modules if name.partition(".")[0] == ours]:
        module = sys.modules.pop(name)
        if _FOREIGN & vars(module).keys():
            _ours.append(vars(module))
    sys.argv[:] = [""]
    sys.settrace = functools.partial(_set_trace, sys.settrace)
    # Imports compile: what loads bytecode reaches the key.
    sys.implementation.cache_tag = None  # type: ignore[assignment]
    gc.collect()
    _kept.extend(_classes())
    _known.append(frozenset(map(id, _kept)))
    for one in _kept:
        if one.__flags__ & _MAY_CHANGE:
            _compared.append((vars(one), [id(vars(one)[name]) for name in _OPERATORS if name in vars(one)]))
    gc.freeze()


def _set_trace(real: Callable[[Any], None], function: Any) -> None:
    """Like `sys.settrace`, but to trace nothing when nothing is traced (doctest does it) is no event."""
    if function is not None or sys.gettrace() is not None:
        real(function)


_FOREIGN = {"ctypes", "libc", "_pylibc"}
_ours: list[dict[str, Any]] = []
"""The names in our modules that hold foreign functions; a program could reach them from the frames below its own."""


def _run(payload: bytes) -> NoReturn:
    """In the forked child: run the program; only the chain that `_steps` makes knows the key."""
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8")
    # Nothing is held back, so nothing has to be flushed when the program ends.
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
        for fd in (1, 2)
    )
    # As every interpreter starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    exit_now, show, status = os._exit, traceback.print_exception, _NOT_COMPILED
    # A raw fork runs none of Python's own hooks: each program draws random numbers of its own.
    for module in ("random", "numpy.random"):
        if module in sys.modules:
            sys.modules[module].seed()
    try:
        steps = _steps(payload)
        for names in _ours:
            for name in _FOREIGN & names.keys():
                del names[name]
        status = _RAISED
        # Of this frame a program may see the name `steps`, so the chain leaves it before the walk begins.
        collections.deque(map(functools.partial.__call__, steps.pop()), 0)
    except AssertionError as error:
        status = _RAISED if status == _NOT_COMPILED else _ASSERTED
        show(error)
    except BaseException as error:
        show(error)
    finally:
        exit_now(status)


def _steps(payload: bytes) -> list[Iterator[functools.partial[Any]]]:
    """The chain of built-in calls that runs the program, writes the key and ends the process."""
    offset, text = int.from_bytes(payload[:4], "big"), payload[4:].decode("utf-8", "surrogatepass")
    candidate, tests = (text[:offset], text[offset:]) if offset else (text, "")
    key = os.read(KEY_FD, len(_SHARES) * _SHARE_BYTES)
    shares = {
        event: key[at : at + _SHARE_BYTES] for event, at in zip(_SHARES, range(0, len(key), _SHARE_BYTES), strict=True)
    }
    os.close(KEY_FD)
    del key
    code = compile(text, "<string>", "exec", dont_inherit=True)
    if offset and _reaches_on(candidate):
        del shares[_OPEN_END]
    if _uses_its_tests(candidate, tests):
        del shares[_ORACLE]
    names: dict[str, Any] = {}
    look = _look(candidate, tests, code, names)
    sys.addaudithook(_watch)
    sys.addaudithook(shares.pop)
    # A trace function would follow the look at what is left; nothing can be proven then. What is left of the key is put
    # together when it is written.
    looks = map(look, filter(shares.__contains__, ["sys.settrace"]))
    tell = map(os.write, [EVIDENCE_FD], map(b"".join, [shares.values()]))
    steps: tuple[functools.partial[Any], ...] = (
        functools.partial(exec, code, names),
        functools.partial(gc.disable),  # A class that only the last test met is still there.
        functools.partial(collections.deque, looks, 0),
        functools.partial(collections.deque, tell, 0),
        functools.partial(os._exit, 0),
    )
    return [iter(steps)]


def _reaches_on(candidate: str) -> bool:
    """Whether the candidate's end is no end of a statement: a decorator, say, would swallow what follows."""
    line = candidate.rstrip("\r\n")
    try:
        compile(candidate + "\n", "<string>", "exec", dont_inherit=True)
        if line.endswith("\\"):  # Of a comment, or the next line belongs to this one.
            compile(line + "\ndef _(): pass\n", "<string>", "exec", dont_inherit=True)
    except SyntaxError:
        return True
    return False


def _uses_its_tests(candidate: str, tests: str) -> bool:
    """Whether a candidate refers to a function that its tests define, and it does not: to try its answers, say."""
    defined = {name for _, name in _DEFINED.findall(tests)}
    if not defined & set(re.findall(r"\w+", candidate)):
        return False
    with contextlib.suppress(SyntaxError, RecursionError):
        tables = [symtable.symtable(candidate, "<string>", "exec")]
        own = {symbol.get_name() for symbol in tables[0].get_symbols() if symbol.is_assigned() or symbol.is_imported()}
        for table in tables:
            tables += table.get_children()
            for symbol in table.get_symbols():
                if symbol.get_name() in defined - own and symbol.is_global() and symbol.is_referenced():
                    return True
    return False


_generated: list[frozenset[bytes]] = []
"""The instructions of the comparisons that dataclasses have, however many fields they have: one set."""


def _comparisons_of_dataclasses(most_fields: int = 32) -> Iterator[bytes]:
    for count in range(most_fields):
        made = dataclasses.make_dataclass("Made", [f"x{number}" for number in range(count)], order=True)
        for name in ("__eq__", "__lt__", "__le__", "__gt__", "__ge__"):
            yield made.__dict__[name].__code__.co_code


_known: list[frozenset[int]] = []
"""The classes that every program finds, by their id: one set."""
_kept: list[type] = []
"""These classes: no other may ever have their ids."""
_compared: list[tuple[Mapping[str, Any], list[int]]] = []
"""Of those that are written in Python: what they have, and the ids of their `_OPERATORS`."""
_MAY_CHANGE = 1 << 9  # Py_TPFLAGS_HEAPTYPE; few of these are immutable all the same.


def _look(candidate: str, tests: str, code: types.CodeType, names: dict[str, Any]) -> Callable[[str], None]:
    """What looks, once the tests have passed, for what may have hollowed them out, and writes notes before the key.

    By then the program may have changed every built-in name: this uses none, and methods of exact types alone. Threads
    of the program's may look on: the key is not to be found here.
    """
    import builtins

    operators = _OPERATORS
    words = set(re.findall(r"\w+", tests))
    used = [name for name in words if name in vars(builtins)]
    own, before = vars(builtins), dict(vars(builtins))
    machinery = ("NotImplemented", "__import__", "__build_class__")
    loaded = {name: sys.modules[name] for name in _PRELOADED if name in sys.modules}
    modules = [vars(module) for module in loaded.values()]
    functions = [(module, name, module[name]) for module in modules for name in words & module.keys()]
    functions = [entry for entry in functions if callable(entry[2])]
    methods = [
        (vars(value), name, vars(value)[name])
        for value in {id(value): value for _, _, value in functions if type(value) is type}.values()
        for name in words & vars(value).keys()
    ]
    prefixes = set(re.findall(r"\b(\w+)\s*\.", tests)) & loaded.keys()
    meant = [(name, loaded[name], frozenset(map(id, vars(loaded[name]).values()))) for name in prefixes]
    system, me, ask, leave = sys.modules, os.getpid(), os.getpid, os._exit
    generated = _generated[-1]
    codes = set(map(id, code.co_consts))
    defined = [name for decorator, name in _DEFINED.findall(tests) if not decorator]
    makes_classes = _MAY_MAKE_CLASSES.search(candidate) is not None
    known, compared, classes, identity, kind_of = _known[-1], _compared, _classes, id, type
    dictionary, function, wrapper = type.__dict__["__dict__"].__get__, type(_classes), type(object.__eq__)
    library = ("<frozen", *filter(None, sys.path))
    note = functools.partial(os.write, EVIDENCE_FD)

    def look(_: str) -> None:
        """See above."""
        if ask() != me:
            leave(1)  # Whoever forks ends where it began: its forks prove nothing.
        if names.get("__builtins__") is not own:
            note(b"\x01")
        for name in used:
            if name in names or own.get(name) is not before[name]:
                note(b"\x01")
                break
        for name in machinery:
            if own.get(name) is not before[name]:
                note(b"\x01")
                break
        for name in defined:
            if name in names and (kind_of(names[name]) is not function or identity(names[name].__code__) not in codes):
                note(b"\x02")
                break
        for module, name, value in functions:
            if module.get(name) is not value:
                note(b"\x03")
                break
        for space, name, value in methods:
            if space.get(name) is not value:
                note(b"\x03")
                break
        for name, real, values in meant:
            found = names.get(name, real)
            if system.get(name) is not real or (found is not real and identity(found) not in values):
                note(b"\x03")
                break
        if not makes_classes:
            return
        for body, ids in compared:
            if [identity(body[name]) for name in operators if name in body] != ids:
                note(b"\x00")
                return
        for one in classes():
            if identity(one) in known:
                continue
            body = dictionary(one)
            for operator in operators:
                value = body.get(operator)
                kind = kind_of(value)
                if value is None or (kind is wrapper and value.__objclass__ is one):
                    continue
                if kind is function:
                    made = value.__code__
                    if made.co_filename.startswith(library):
                        continue
                    # Of the same class they compare field by field, and else leave it to the other.
                    as_generated = made.co_code in generated and made.co_names[:1] == ("__class__",)
                    space = value.__globals__
                    if as_generated and (space is own or "NotImplemented" not in space):
                        continue
                note(b"\x00")
                return

    return look


def _classes(
    root: type = object,
    subclasses: Callable[[type], list[type]] = type.__subclasses__,
    identity: Callable[[object], int] = id,
) -> list[type]:
    """Every class there is; asks no metaclass of a program's for anything."""
    found, seen = [root], {}
    for one in found:
        number = identity(one)
        if number not in seen:
            seen[number] = one
            found += subclasses(one)
    return found


def _watch(
    event: str,
    arguments: tuple[Any, ...],
    report: Callable[[str], None] = sys.audit,
    frame_of_caller: Callable[[int], types.FrameType] = sys._getframe,
    importer: str = "<frozen importlib",
    compiles: tuple[str, ...] = ("<frozen importlib", threading.__file__),
    library: tuple[str, ...] = ("<frozen", __file__, *filter(None, sys.path)),
    ours: str = __file__,
    frames: frozenset[str] = frozenset(("tb_frame", "gi_frame", "cr_frame", "ag_frame", "__code__")),
    modules: Mapping[str, str] = types.MappingProxyType(_MODULES),
    pretends: str = _PRETENDS,
    native: str = _NATIVE,
    looks: str = _FRAMES,
    forks: str = _FORKS,
) -> None:
    """An audit hook for what only arguments tell: it uses no name that a program may change, and knows no secret.

    Of the library the import system compiles, and in some versions whoever prints how a thread failed.
    """
    if event == "import" and len(arguments) > 1:
        name, file = arguments[:2]
        if type(name) is not str:
            report(pretends)
        elif (module := name.rpartition(".")[2]) in modules:
            report(modules[module])
        if file is not None and (type(file) is not str or not file.startswith(library) or "/../" in file):
            report(native)
    elif event == "ctypes.dlopen" and arguments and arguments[0] is not None:
        report(native)
    elif event == "compile" and len(arguments) > 1 and arguments[1] is not None:
        name = arguments[1]
        if type(name) is not str or (
            name.startswith(library)
            and (name.startswith(importer) or not frame_of_caller(1).f_code.co_filename.startswith(compiles))
        ):
            report(pretends)  # It pretends to be the import system, or a part of the library.
    elif event in ("os.fork", "os.forkpty"):
        if not frame_of_caller(1).f_code.co_filename.startswith(library):
            report(forks)
    elif event == "object.__getattr__":
        if arguments[1] in frames and not frame_of_caller(1).f_code.co_filename.startswith(library):
            report(looks)
    elif event == "sys._getframe" and arguments and arguments[0].f_code.co_filename != ours:
        asks = frame_of_caller(0).f_back
        if asks is not None and not asks.f_code.co_filename.startswith(library):
            report(looks)


STRATEGY = Python
