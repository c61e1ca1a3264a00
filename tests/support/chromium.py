"""Headless Chromium, driven over its DevTools pipe with the standard library alone."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Its own sandbox needs a user that is not root; the pages of these tests are ours, and there is no network for it.
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def browser() -> str | None:
    """The browser's command; None where there is none."""
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


class Page:
    """A page of a running browser: what it shows, what it logged, what it asked the network for."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._number = 0
        self._answers: dict[int, Mapping[str, Any]] = {}
        self._arrived = threading.Condition()
        self._session: str | None = None
        self.console: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a message of the browser (called by the thread that reads them)."""
        with self._arrived:
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._note(message["method"], message.get("params", {}))
            self._arrived.notify_all()

    def _note(self, method: str, values: Mapping[str, Any]) -> None:
        if method == "Runtime.consoleAPICalled":
            self.console.append(f"{values['type']}: {[each.get('value') for each in values['args']]}")
        elif method == "Runtime.exceptionThrown":
            details = values["exceptionDetails"]
            self.console.append(f"exception: {details.get('exception', {}).get('description') or details['text']}")
        elif method == "Log.entryAdded":
            self.console.append(f"{values['entry']['level']}: {values['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(values["message"])

    def call(self, method: str, **values: Any) -> Any:
        """Call a method of the DevTools protocol and wait for its answer."""
        with self._arrived:
            self._number += 1
            number = self._number
            session = {"sessionId": self._session} if self._session else {}
            self._write(json.dumps({"id": number, "method": method, "params": values, **session}).encode() + b"\0")
            if not self._arrived.wait_for(lambda: number in self._answers, timeout=120):
                raise TimeoutError(f"the browser did not answer {method}")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def attach(self) -> None:
        """Begin with a blank page of our own."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def resize(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Set the size of the window, and what its system says it likes."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file and wait until it shows its data."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=path.as_uri() + fragment)
        self.wait("document.body && document.body.dataset.ready")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description"))
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 120) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(RuntimeError):  # between two documents
                if self.evaluate(f"Boolean({expression})"):
                    return
            time.sleep(0.03)
        raise TimeoutError(f"it did not become true: {expression}; console: {self.console}")

    def follow(self, fragment: str) -> None:
        """Change what follows the # and wait until the page shows it."""
        before = self.evaluate("document.body.dataset.ready")
        self.evaluate(f"location.hash = {json.dumps(fragment)}")
        self.wait(f"document.body.dataset.ready !== {json.dumps(before)}")

    def press(self, key: str) -> None:
        """Press a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click_at(self, x: float, y: float) -> None:
        """Click at a place."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def text(self, selector: str) -> str:
        """The text of an element."""
        found = self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")
        assert isinstance(found, str), f"there is no {selector}"
        return found

    def screenshot(self, path: Path) -> None:
        """Write what the page shows as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def opened_browser(profile: Path) -> Iterator[Page]:
    """A running browser with one page.

    Args:
        profile: An empty folder for its data.
    """
    command = browser()
    assert command is not None, "there is no Chromium"
    to_browser, from_us = os.pipe()
    to_us, from_browser = os.pipe()
    # The browser reads commands from 3 and answers on 4; sh would take descriptors of one digit only.
    with_pipes = ("bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash")
    process = subprocess.Popen(
        [
            *with_pipes,
            command,
            *_FLAGS,
            f"--user-data-dir={profile}",
        ],
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    page = Page(lambda message: _write_all(from_us, message))
    reader = threading.Thread(target=_read, args=(to_us, page), daemon=True)
    reader.start()
    try:
        page.attach()
        yield page
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:  # a busy machine, or a browser that hangs: neither is a page's fault
            process.kill()
            process.wait()
        reader.join(30)
        os.close(from_us)
        os.close(to_us)


def _write_all(descriptor: int, message: bytes) -> None:
    while message:
        message = message[os.write(descriptor, message) :]


def _read(descriptor: int, page: Page) -> None:
    rest = b""
    while chunk := os.read(descriptor, 1 << 16):
        *whole, rest = (rest + chunk).split(b"\0")
        for message in whole:
            page.receive(json.loads(message))
