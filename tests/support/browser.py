"""Debian's chromium, driven by Playwright; without it tests are skipped, but not in CI."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MISSING = "no browser: `apt-get install chromium` and `make test` again, which installs Playwright"
# A webcam that shows a test picture, and a name of this machine to which browsers give no camera.
ELSEWHERE = "elsewhere.example"
OPTIONS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
)


@contextmanager
def run_browser() -> Iterator["Browser"]:
    """Run the browser for as long as the body of `with`; skip the test where there is none."""
    program = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        program = None
    if program is None:
        # CI installs it, and must not skip what it is for.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()
