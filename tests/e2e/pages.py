"""The console's page in a browser: serving it, opening it, signing in, and looking at it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from local.console.first_engineer import SignIn
from local.console.served import served
from local.console.server import ConsoleServer
from tests.conftest import PATIENCE

PICTURES = "WATERSHED_SCREENSHOTS"
"""The folder that screenshots are written to, where the documentation's are to be renewed."""

_WIDTH, _HEIGHT = 1100, 800
PHONE = {"width": 390, "height": 844}


@contextmanager
def serving(outputs: Mapping[str, str], endpoint: str) -> Iterator[ConsoleServer]:
    """The console before a deployed stack, as `watershed console` serves it."""
    with ConsoleServer(served(outputs, endpoint), 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


class Screen:
    """Pages of one test. `complaints` are the errors that they logged, of scripts and of the page's policy."""

    def __init__(self, browser: Browser) -> None:
        self.complaints: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def open(self, url: str, *, dark: bool = False, phone: bool = False) -> Page:
        """A page with nothing of any other's."""
        scheme: Literal["dark", "light"] = "dark" if dark else "light"
        context = self._browser.new_context(
            viewport={"width": PHONE["width"], "height": PHONE["height"]}
            if phone
            else {"width": _WIDTH, "height": _HEIGHT},
            color_scheme=scheme,
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="Europe/Berlin",
        )
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE * 1000)
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(url)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _heard(self, message: ConsoleMessage) -> None:
        # A status other than 2xx is logged by the browser itself; what the page makes of it is for the tests.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


def enter(page: Page, who: SignIn) -> None:
    """Sign in, and wait until the socket is open and every list was fetched."""
    page.get_by_label("Name or e-mail").fill(who.name)
    page.get_by_label("Password").fill(who.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Live", exact=True).wait_for()
    settled(page)


def settled(page: Page) -> None:
    """Wait until no list is being fetched."""
    expect(page.get_by_text("Loading …")).to_have_count(0)
    expect(page.locator("[aria-busy]")).to_have_count(0)


def turn(page: Page) -> None:
    """Wait until the page has made of an answer what it makes of it: a fetch's answer is read in a few turns."""
    for _ in range(3):
        page.evaluate(
            "new Promise((done) => { const { port1, port2 } = new MessageChannel();"
            " port2.onmessage = done; port1.postMessage(0); })"
        )


def faults(page: Page) -> list[dict[str, Any]]:
    """What axe finds wrong with the page as it is: each rule, and where."""
    found = Axe().run(page).response["violations"]
    return [{"rule": each["id"], "at": [node["target"] for node in each["nodes"]]} for each in found]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the screen."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def picture(page: Page, name: str, folder: Path) -> Path:
    """A screenshot of what a reader sees first."""
    page.evaluate("scrollTo(0, 0)")
    file = Path(os.environ.get(PICTURES, folder)) / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=file)
    return file
