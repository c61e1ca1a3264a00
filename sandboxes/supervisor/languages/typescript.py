"""TypeScript: the compiler checks a program's types and makes JavaScript of it, which is judged as JavaScript is.

A type error is a compile error, as in MultiPL-E: whoever asks for TypeScript wants code that compiles. The options are
those of plain `tsc --target esnext`, so types that are missing are no error; see `resources/typescript/compile.js`.

To start the compiler and to read its library takes a second, so it starts from a snapshot in which both are done. It
runs in the jail, in a process of its own for every program. What a cheat looks like is looked for in the JavaScript of
the candidate: `(Object as any).is = ...` is `Object.is = ...` there.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
from pathlib import Path

from ..processes import Command
from ..protocol import Verdict
from .base import RESOURCES, Case, build, compile_failure
from .js import QUICK, JavaScript, parted, utf16_units

_FILES = RESOURCES / "typescript"


class TypeScript(JavaScript):
    """TypeScript programs."""

    language = "typescript"
    resources = (*JavaScript.resources, "typescript")

    def version(self) -> str:
        """See `Strategy`."""
        described = json.loads((_compiler() / "package.json").read_text(encoding="utf-8"))
        return f"tsc {described['version']}, {super().version()}"

    def prepare(self, warm: Path) -> None:
        """See `Strategy`."""
        super().prepare(warm)
        library = _compiler() / "lib"
        head = (
            "const ts = (() => { const module = { exports: {} }; const exports = module.exports;\n"
            f"{(library / 'typescript.js').read_text(encoding='utf-8')}\n"
            "return module.exports; })();\n"
            f"const LIBRARY = {json.dumps(str(library))};\n"
            f"const GLOBALS = {json.dumps((_FILES / 'node.d.ts').read_text(encoding='utf-8'))};\n"
        )
        (warm / "compile.js").write_text(head + (_FILES / "compile.js").read_text(encoding="utf-8"), encoding="utf-8")
        with contextlib.suppress(OSError):  # Not every build of node can make a snapshot.
            build(warm, "node", *QUICK, "--snapshot-blob", "compile.blob", "--build-snapshot", "compile.js")

    @functools.cached_property
    def _compile(self) -> list[str]:
        """How the compiler starts."""
        return self.started(self.warm / "compile.blob", self.warm / "compile.js")

    def judge(self, case: Case) -> Verdict:
        """See `Strategy`."""
        case.box.write("test.ts", parted(case).encode("utf-8", "surrogatepass"))
        outcome = self.compile(case, Command(case.compiling(), [*self._compile, str(utf16_units(case.candidate))]))
        if failure := compile_failure(case, outcome):
            return failure
        return self.judge_script(case, outcome.stdout.decode("utf-8", "replace"))


def _compiler() -> Path:
    """The folder of the compiler's package.

    Raises:
        OSError: It is not installed.
    """
    command = shutil.which("tsc")
    if command is None:
        raise OSError("tsc is not installed")
    return Path(command).resolve().parent.parent


STRATEGY = TypeScript
