"""A real Chromium, driven by selenium: Debian's chromium and chromium-driver, or those of the variables."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the tests may run as root, and open pages of their own alone
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
)


def find_chromium() -> tuple[str, str]:
    """Paths of the browser and its driver; without them the test is skipped, or fails where that is asked."""
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    driver = os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    if os.environ.get("FAIL_WITHOUT_CHROMIUM") == "1":
        pytest.fail("FAIL_WITHOUT_CHROMIUM=1, and there are no `chromium` and `chromedriver`")
    pytest.skip(
        "there is no Chromium to look at reports with: apt-get install chromium chromium-driver"
        " (FAIL_WITHOUT_CHROMIUM=1 makes this a failure)"
    )


class Browser:
    """One window, and short words for what tests do in it."""

    def __init__(self, profile: Path) -> None:
        browser, driver = find_chromium()
        options = Options()
        options.binary_location = browser
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.size(1300, 900)

    def close(self) -> None:
        self.driver.quit()

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def media(self, **features: str) -> None:
        """Emulate media features, as `prefers_color_scheme="dark"`; none: as the browser is."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": listed})

    def open(self, place: Path | str) -> None:
        self.driver.get(place if isinstance(place, str) else place.as_uri())

    def downloads(self, folder: Path) -> None:
        self.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
        )

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return list(self.js(script, selector))

    def text(self, selector: str) -> str:
        (text,) = self.texts(selector)
        return text

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def keys(self, *keys: str) -> None:
        """To whatever has the focus."""
        webdriver.ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def click_at(self, selector: str, x: float, y: float) -> None:
        """At a point of an element, pixels from its upper left corner."""
        self._move(selector, x, y).click().perform()

    def hover_at(self, selector: str, x: float, y: float) -> None:
        self._move(selector, x, y).perform()

    def drag(self, selector: str, start: tuple[float, float], by: tuple[int, int]) -> None:
        self._move(selector, *start).click_and_hold().move_by_offset(*by).release().perform()

    def _move(self, selector: str, x: float, y: float) -> webdriver.ActionChains:
        element = self.one(selector)
        self.js("arguments[0].scrollIntoView({block: 'nearest'})", element)
        box = element.rect
        offset = round(x - box["width"] / 2), round(y - box["height"] / 2)
        chain = webdriver.ActionChains(self.driver, duration=0)
        return chain.move_to_element_with_offset(element, *offset)

    def until(self, script: str, *arguments: Any, within_s: float = 10.0) -> Any:
        """Wait until the script returns something true, and return that."""
        wait = WebDriverWait(self.driver, within_s, poll_frequency=0.03)
        return wait.until(lambda _: self.js(script, *arguments), f"never came true: {script}")

    def complaints(self) -> Sequence[str]:
        """What the browser's console holds since the last call: errors, and what the policy refused."""
        log: list[dict[str, Any]] = self.driver.get_log("browser")
        messages = [entry["message"] for entry in log if entry["level"] in ("SEVERE", "WARNING")]
        return [message for message in messages if "willReadFrequently" not in message]  # tests read pixels
