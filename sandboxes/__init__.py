"""Run untrusted programs safely and fast.

with open_sandbox(languages=["python"]) as sandbox:
[verdict] = sandbox.run([Program("python", "assert 1 + 1 == 2")])
print(verdict.status)
"""

from sandboxes.environment import Environment
from sandboxes.errors import SandboxError, SandboxUnavailable
from sandboxes.sandbox import Sandbox, open_sandbox
from sandboxes.supervisor.protocol import LANGUAGES, Limits, Program, Status, Verdict

__all__ = [
    "LANGUAGES",
    "Environment",
    "Limits",
    "Program",
    "Sandbox",
    "SandboxError",
    "SandboxUnavailable",
    "Status",
    "Verdict",
    "open_sandbox",
]
