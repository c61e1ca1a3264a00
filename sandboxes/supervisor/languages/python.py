"""Python: a warm interpreter forks a child for every program.

A pass needs the key. The child reads it before the program's text is even compiled, into an object that no Python
name, frame or module leads to: the rest of the child's life is one chain of built-in functions (`exec`, `os.write`,
`os._exit`) that C code walks, and the key is an argument inside that chain. What the program patches, it patches too
late; the frames above it hold nothing. What could still find the key are the collector's lists (`gc.get_objects`),
foreign functions (`ctypes`), hand-made bytecode and the process's memory file; and a trace function could jump over
assertions. An audit hook, which cannot be removed, overwrites the key with the reason before any of these happens:
the program goes on, and what arrives in place of the key says why it does not count.

What hollows out an assertion is looked for when the tests have passed: classes of the program's own that compare, by
whatever name they came to be, and built-in functions that its tests use and the program redefines.

Left over: a program that reads raw memory through numpy's strides, without a hint where the key lies.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import io
import os
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..processes import EVIDENCE_FD, KEY_FD, Command, Zygote
from ..protocol import Status, Verdict
from .base import KEY_BYTES, Case, Setting, Strategy, finished, first_line, new_key, stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
_NOT_PROVEN = b"!"
"""Begins what stands in the key's place once the program did something that could reach it."""
_REACHES_KEY = {
    "gc.get_objects": "it lists the collector's objects",
    "gc.get_referrers": "it asks the collector for referrers",
    "gc.get_referents": "it asks the collector for referents",
    "code.__new__": "it builds bytecode by hand",
    "sys.settrace": "it traces its tests",
    "sys.setprofile": "it traces its tests",
    "sys.monitoring.register_callback": "it traces its tests",
    "sys.addaudithook": "it adds an audit hook",
    "ctypes.dlopen": "it calls foreign functions",
    "ctypes.dlsym": "it calls foreign functions",
    "ctypes.dlsym/handle": "it calls foreign functions",
    "ctypes.call_function": "it calls foreign functions",
    "ctypes.cdata": "it reads raw memory",
    "ctypes.cdata/buffer": "it reads raw memory",
    "ctypes.string_at": "it reads raw memory",
    "ctypes.wstring_at": "it reads raw memory",
    "ctypes.memoryview_at": "it reads raw memory",
    "ctypes.PyObj_FromPtr": "it reads raw memory",
}
_OPEN_END = "its last statement reaches into the tests"
_REASONS = (*dict.fromkeys(_REACHES_KEY.values()), "it loads bytecode", _OPEN_END)
_NOTES = ("it defines comparison of its own", "it redefines built-in functions that its tests use")
_OPERATORS = "eq ne lt le gt ge bool sub rsub abs float round instancecheck array_interface array_struct"
_MAY_MAKE_CLASSES = re.compile(r"\bclass\b|\btypes?\b|__|\bexec\b|\beval\b|\bimport_module\b|getattr")
_IMPORTER = "<frozen importlib"
_ASSERTED, _RAISED, _NOT_COMPILED = 1, 2, 3
_LOOKS = (
    (r"def\s+__(eq|ne|lt|le|gt|ge|bool|instancecheck)__", "it defines comparison of its own"),
    (r"\b(_getframe|tb_frame|f_back|gi_frame|currentframe)\b", "it looks at stack frames"),
    (r"\b(builtins|__builtins__)\b", "it reaches for the built-ins"),
    (r"\bas_strided\b|\b_?ctypes\b|__array_", "it may read raw memory"),
    (r"\bmock\b", "it may return what equals everything"),
    (r"\bglobals\(\)|\b__code__\b|\bsetattr\(", "it changes names or code at run time"),
    (r"\b(atexit|_exit|SystemExit|execv\w*|settrace|setprofile)\b", "it interferes with how a program ends"),
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
        key = new_key()
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
        message, notes = outcome.evidence[-KEY_BYTES:], set(outcome.evidence[:-KEY_BYTES])
        if notes <= set(range(len(_NOTES))):
            case.suspicious += [_NOTES[number] for number in sorted(notes)]
        else:
            message = b""
        if outcome.exit_code == 0 and message != key and message.startswith(_NOT_PROVEN) and len(message) == KEY_BYTES:
            reason = _REASONS[message[1]] if message[1] < len(_REASONS) else "it reached for the evidence"
            return case.verdict(Status.FAILED, outcome, reference=True, detail=f"not proven: {reason}")
        if outcome.exit_code == _NOT_COMPILED:
            return case.verdict(Status.COMPILE_ERROR, outcome, stage="compile", detail="it does not parse")
        case.suspicious += [why for pattern, why in _LOOKS if re.search(pattern, case.candidate)]
        # The reference runs the program inside its own process: one that exits never reports a pass.
        reference = outcome.exit_code == 0 and message == key
        if outcome.exit_code == 0 and not reference:
            return case.verdict(Status.FAILED, outcome, detail="it ended before its tests did")
        proof = dataclasses.replace(outcome, evidence=message)
        return finished(case, proof, key, reference=reference, failed_by_test=outcome.exit_code == _ASSERTED)

    def close(self) -> None:
        """See `Strategy`."""
        if self._zygote is not None:
            self._zygote.close()


def _warm_up() -> None:
    """In the zygote: load what programs import, and forget what is ours."""
    import gc
    import importlib

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # A fork must find one thread only.
    for name in _PRELOADED:
        importlib.import_module(name)
    ours = __name__.partition(".")[0]
    sys.path[:] = [entry for entry in sys.path if not (Path(entry) / ours / "protocol.py").is_file()]
    for name in [name for name in sys.modules if name.partition(".")[0] == ours]:
        del sys.modules[name]
    sys.argv[:] = [""]
    _known.update(map(id, _classes()))
    gc.collect()
    gc.freeze()


def _run(payload: bytes) -> NoReturn:
    """In the forked child: run the program; only the chain that `_steps` makes knows the key."""
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8")
    # Nothing is held back, so nothing has to be flushed when the program ends.
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
        for fd in (1, 2)
    )
    exit_now, show, status = os._exit, traceback.print_exception, _NOT_COMPILED
    # A raw fork runs none of Python's own hooks: each program draws random numbers of its own.
    for module in ("random", "numpy.random"):
        if module in sys.modules:
            sys.modules[module].seed()
    try:
        steps = _steps(payload)
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
    key = bytearray(os.read(KEY_FD, KEY_BYTES))
    os.close(KEY_FD)
    code = compile(text, "<string>", "exec", dont_inherit=True)
    if offset:
        try:  # A decorator without a function, say, would swallow the tests.
            compile(text[:offset] + "\n", "<string>", "exec", dont_inherit=True)
        except SyntaxError:
            key[:] = _spoiled(_OPEN_END)
    names: dict[str, Any] = {}
    todo = [names]  # Empty once nothing can be proven any more: a trace function would follow there.
    sys.addaudithook(_hook(key, todo))
    look = map(_look(text[:offset] if offset else text, text[offset:] if offset else ""), todo)
    run, tell, end = functools.partial(exec, code, names), functools.partial(os.write, EVIDENCE_FD, key), os._exit
    return [iter((run, functools.partial(collections.deque, look, 0), tell, functools.partial(end, 0)))]


_known: set[int] = set()
"""The classes that every program finds, by their id."""


def _look(candidate: str, tests: str) -> Callable[[dict[str, Any]], None]:
    """What looks, once the tests have passed, for what may have hollowed them out, and writes notes before the key.

    By then the program may have changed every built-in name: this uses none, and methods of exact types alone. Threads
    of the program's may look on: the key is not to be found here.
    """
    import builtins

    operators = [f"__{name}__" for name in _OPERATORS.split()]
    used = [name for name in set(re.findall(r"\w+", tests)) if name in vars(builtins)]
    own, before = vars(builtins), dict(vars(builtins))
    makes_classes = _MAY_MAKE_CLASSES.search(candidate) is not None
    known, classes, identity, kind_of = _known, _classes, id, type
    dictionary, function, wrapper = type.__dict__["__dict__"].__get__, type(_classes), type(object.__eq__)
    library = ("<frozen", *filter(None, sys.path))
    note = os.write

    def look(names: dict[str, Any]) -> None:
        """See above."""
        for name in used:
            if name in names or own.get(name) is not before[name]:
                note(EVIDENCE_FD, b"\x01")
                break
        if not makes_classes:
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
                    code = value.__code__
                    generated = "__dataclass_fields__" in body and "__class__" in code.co_names
                    if generated or code.co_filename.startswith(library):
                        continue
                note(EVIDENCE_FD, b"\x00")
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


def _hook(key: bytearray, todo: list[Any]) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that overwrites the key, and leaves nothing to do, before an operation that could reach it."""
    spoils = {event: _spoiled(reason) for event, reason in _REACHES_KEY.items()}
    loads = _spoiled("it loads bytecode")
    frame_of_caller = sys._getframe
    library = ("<frozen", *filter(None, sys.path))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        """See `Strategy`."""
        spoiled = spoils.get(event)
        if event == "marshal.loads":
            if not frame_of_caller(1).f_code.co_filename.startswith(_IMPORTER):
                spoiled = loads
        elif event == "compile" and arguments[1] is not None:
            name = arguments[1]
            if type(name) is not str or (
                name.startswith(library)
                and (name.startswith(_IMPORTER) or not frame_of_caller(1).f_code.co_filename.startswith(_IMPORTER))
            ):
                spoiled = loads  # It pretends to be the import system, or a part of the library.
        if spoiled is not None:
            key[:] = spoiled
            todo.clear()

    return hook


def _spoiled(reason: str) -> bytes:
    return _NOT_PROVEN + bytes([_REASONS.index(reason)]) + bytes(KEY_BYTES - 2)


STRATEGY = Python
