"""The sandbox of a run: opened as its settings say, and seen to work before any model is loaded or asked."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from octopack_tasks.harnesses.lm_eval.settings import Settings
from sandboxes import Sandbox, open_sandbox

logger = logging.getLogger("lm_eval.octopack")
_seen_to_work: set[tuple[str | None, str]] = set()


def open_for(settings: Settings, languages: Sequence[str]) -> Sandbox:
    """Open the sandbox that the settings ask for.

    Raises:
        SandboxUnavailable: It cannot be had.
    """
    return open_sandbox(settings.sandbox, languages=languages, workers=settings.workers, cache=settings.verdict_cache)


def ensure_works(settings: Settings, languages: Sequence[str]) -> None:
    """Open and close the sandbox once for languages that have not been tried in this process.

    Raises:
        SandboxUnavailable: It cannot be had.
    """
    new = [language for language in languages if (settings.sandbox, language) not in _seen_to_work]
    if new:
        with open_for(settings, new) as sandbox:
            logger.info("programs will run in %s", sandbox.environment)
        _seen_to_work.update((settings.sandbox, language) for language in new)
