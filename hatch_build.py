"""Puts lm-eval's autoload hook at the top level of site-packages, in regular and in editable installs alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class AutoloadHook(BuildHookInterface[Any]):
    """Adds `octopack.pth` and the module that it imports to the wheel's root."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds a wheel (`version` is "standard" or "editable")."""
        folder = Path(self.root) / "octopack_tasks" / "harnesses" / "lm_eval"
        files = {str(folder / name): name for name in ("octopack.pth", "_octopack_autoload.py")}
        build_data["force_include_editable" if version == "editable" else "force_include"].update(files)
