"""Kinds of task told by a model behind any OpenAI-compatible server."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from octopack_data.errors import DataError
from octopack_data.statistics import OTHER

_RETRIES = 4
_TRY_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class ModelClassifier:
    """Asks a chat model which kind of task each commit message is.

    Attributes:
        base_url: of the server, up to and with `/v1`.
        model: its name there.
        categories: the kinds to choose from.
        parallel: requests at the same time.
        timeout_s: of one request.
    """

    base_url: str
    model: str
    categories: Sequence[str]
    parallel: int = 8
    timeout_s: float = 60.0

    def count(self, subjects: Sequence[str], report: Callable[[int], None] = lambda done: None) -> Counter[str]:
        """Return how many messages are of each kind; an answer that names none counts as `other`.

        Raises:
            DataError: the server cannot be reached or refuses.
        """
        counts: Counter[str] = Counter()
        with ThreadPoolExecutor(self.parallel) as pool:
            for done, kind in enumerate(pool.map(self.classify, subjects), 1):
                counts[kind] += 1
                report(done)
        return counts

    def classify(self, subject: str) -> str:
        """Return the kind of one message.

        Raises:
            DataError: the server cannot be reached or refuses.
        """
        listed = "\n".join(f"- {name}" for name in self.categories)
        question = (
            f"Here is the message of a git commit:\n\n{json.dumps(subject[:1000])}\n\n"
            f"Which one of these kinds of task does it describe?\n{listed}\n\nAnswer with the name of the kind only."
        )
        return self._read(self._ask(question))

    def _read(self, answer: str) -> str:
        text = answer.strip().strip("-*`\"'. ").lower()
        for name in self.categories:
            if text == name.lower():
                return name
        named = [(text.find(name.lower()), name) for name in self.categories if name.lower() in text]
        return min(named)[1] if named else OTHER

    def _ask(self, question: str) -> str:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": 16,
        }
        if not self.base_url.startswith(("http://", "https://")):
            raise DataError(f"--base-url {self.base_url}: expected http://... or https://..., up to and with /v1")
        request = urllib.request.Request(
            f"{self.base_url.rstrip('/')}/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"},
        )
        for attempt in range(_RETRIES + 1):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout_s) as response:
                    content = json.load(response)["choices"][0]["message"]["content"]
                    return content if isinstance(content, str) else ""
            except urllib.error.HTTPError as error:
                if error.code not in _TRY_AGAIN or attempt == _RETRIES:
                    detail = error.read(300).decode(errors="replace").strip()
                    raise DataError(
                        f"{request.full_url}: the server answered {error.code} ({detail or error.reason}); "
                        "check --model and the variable OPENAI_API_KEY"
                    ) from error
            except (OSError, ValueError, LookupError, TypeError) as error:
                if attempt == _RETRIES or isinstance(error, (ValueError, LookupError, TypeError)):
                    raise DataError(
                        f"{request.full_url}: no usable answer ({error}); is an OpenAI-compatible server running there?"
                    ) from error
            time.sleep(0.25 * 2**attempt)
        raise AssertionError("the loop returns or raises")
