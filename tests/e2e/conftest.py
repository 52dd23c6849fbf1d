"""A browser for the tests of the console's page, where the machine has one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.conftest import PATIENCE
from tests.e2e.pages import Screen


def _browser() -> str | None:
    """A Chromium of the machine's; `WATERSHED_BROWSER` names another one than those that have the usual names."""
    names = (os.environ.get("WATERSHED_BROWSER", ""), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = _browser()
    if program is None:
        pytest.skip("no Chromium here: install one with `make browser`, or name one in WATERSHED_BROWSER")
    # Chromium's own sandbox needs a user who is not root, as containers have none.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    # Playwright's own five seconds are less than a function's cold start on a busy machine.
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=arguments)
        yield running
        running.close()


@pytest.fixture
def screen(browser: Browser) -> Iterator[Screen]:
    """Opens pages, and fails the test where one logged an error that the test does not expect."""
    made = Screen(browser)
    yield made
    made.close()
    assert made.complaints == []
