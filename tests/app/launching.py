"""The three browser engines, started for the tests and ended after them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.app.browsers import Chromium, Firefox, WebKit

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
WEBKIT_DRIVER = shutil.which("WebKitWebDriver")
MINI_BROWSER = next(Path("/usr/lib").glob("*/webkit2gtk-4.1/MiniBrowser"), None)


class Missing(Exception):
    """A browser that is not on this machine."""


@contextmanager
def chromium(**context: Any) -> Iterator[Chromium]:
    """A fresh Chromium; `context` as for playwright's new_context."""
    if CHROMIUM is None:
        raise Missing("no chromium on the path (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield Chromium(browser.new_context(**context).new_page())
        browser.close()


@contextmanager
def firefox() -> Iterator[Firefox]:
    """A fresh Firefox, without a window."""
    if FIREFOX is None:
        raise Missing("no firefox on the path (apt-get install firefox-esr)")
    from websockets.sync.client import connect

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [FIREFOX, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "HOME": profile},
        )
        try:
            assert process.stderr is not None
            address = next(
                found[1] for line in process.stderr if (found := re.search(r"listening on (ws://\S+)", line))
            )
            # Without pings: each draws from the generator of `random`, which is the tests' own.
            with connect(f"{address}/session", max_size=None, ping_interval=None) as socket:
                yield Firefox(socket)
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def webkit() -> Iterator[WebKit]:
    """A fresh MiniBrowser, on a screen of its own."""
    if WEBKIT_DRIVER is None or MINI_BROWSER is None or shutil.which("Xvfb") is None:
        raise Missing("no WebKitWebDriver, MiniBrowser or Xvfb (apt-get install webkit2gtk-driver xvfb)")
    from selenium.webdriver import WebKitGTK
    from selenium.webdriver.webkitgtk.options import Options
    from selenium.webdriver.webkitgtk.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory, _screen() as screen:
        options = Options()
        options.binary_location = str(MINI_BROWSER)
        options.add_argument("--automation")
        service = Service(WEBKIT_DRIVER, env={**os.environ, "DISPLAY": screen, "HOME": directory})
        driver = WebKitGTK(options=options, service=service)
        try:
            yield WebKit(driver)
        finally:
            driver.quit()


@contextmanager
def _screen() -> Iterator[str]:
    """The display of a screen that exists only in memory."""
    read, write = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1200x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as number:
            yield f":{number.readline().strip()}"
    finally:
        process.terminate()
        process.wait(10)


BROWSERS = {"chromium": chromium, "firefox": firefox, "webkit": webkit}
