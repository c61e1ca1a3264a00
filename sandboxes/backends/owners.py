"""Who owns what lies on this machine: a process that may have been killed before it could clear away."""

from __future__ import annotations

from pathlib import Path


def start_time(pid: int | str) -> str | None:
    """When a process started, in ticks since boot; None where there is none.

    One that has ended keeps its number until its parent asks for it, which may be never: that is none, too.
    """
    try:
        # the command's name, in parentheses, may hold spaces; state and start time are the 1st and 20th field after it
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
