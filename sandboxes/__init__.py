"""Run untrusted programs in six languages safely and fast."""

from sandboxes.supervisor.protocol import LANGUAGES, Limits, Program, Status, Verdict

__all__ = ["LANGUAGES", "Limits", "Program", "Status", "Verdict"]
