"""A browser for the pages of a report; what it shows is kept in the folder test-output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import Page, browser, opened_browser

OUTPUT = Path(__file__).resolve().parents[3] / "test-output" / "report"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A running browser."""
    if browser() is None:
        pytest.skip("needs Chromium (Debian: scripts/system-packages.sh test)")
    with opened_browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(chromium: Page) -> Iterator[Page]:
    """The browser's page, which must neither complain nor ask the network for anything."""
    for noted in (chromium.console, chromium.requests, chromium.dialogs):
        noted.clear()
    chromium.resize(1440, 900)
    yield chromium
    assert chromium.console == []
    assert [url for url in chromium.requests if not url.startswith(("file:", "data:", "about:"))] == []
    assert len([url for url in chromium.requests if url.startswith("file:")]) <= 3  # the page itself, when it is opened
    assert chromium.dialogs == []


@pytest.fixture
def keep(chromium: Page) -> Callable[[str], Path]:
    """Keeps a screenshot under a name."""

    def screenshot(name: str) -> Path:
        chromium.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        path = OUTPUT / f"{name}.png"
        chromium.screenshot(path)
        return path

    return screenshot
