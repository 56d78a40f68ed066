"""What tests do on one page, and read from it."""

from __future__ import annotations

from collections.abc import Callable

from tests.ascnet_cli.report.pages import DURATION_S

GUTTER = 170  # pixels of the lanes' names
FIRST_ROW_Y = 6 + 8  # pixels from the top of the lanes to the middle of the first lane's first row
TIME = "return document.getElementById('video').currentTime"


def ready(browser):
    """Until the video can be shown, and its beginning is known."""
    browser.until("const v = document.getElementById('video'); return v.readyState >= 2 && !v.seeking")


def slide(browser, value):
    """Move the score slider, as dragging does."""
    browser.js(
        "const s = document.getElementById('least'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'))",
        value,
    )


def classes(browser):
    return browser.texts("#rows td.what")


def colour_at(browser, time_s, y=FIRST_ROW_Y):
    """What the lanes show at a time, at a height in pixels; close to the left end of what is there."""
    script = """
      const canvas = document.getElementById("canvas");
      const x = arguments[1] + (canvas.clientWidth - arguments[1]) * arguments[0] + 2;
      const pixel = canvas.getContext("2d").getImageData(x, arguments[2], 1, 1).data;
      return [pixel[0], pixel[1], pixel[2], pixel[3]];
    """
    return tuple(browser.js(script, time_s / DURATION_S, GUTTER, y))


def lane_x(browser, time_s):
    width = browser.js("return document.getElementById('canvas').clientWidth")
    return GUTTER + (width - GUTTER) * time_s / DURATION_S


def wait_for_file(browser, folder, pattern):
    for _ in range(200):
        for path in folder.glob(pattern):
            return path
        browser.js("return new Promise((done) => setTimeout(done, 25))")
    raise AssertionError(f"no {pattern} in {list(folder.iterdir())}")


def sent_to(browser, act: Callable[[], object], *, above: float = 0.1) -> float:
    """Where an act sends the video to, by the browser's clock: not where it comes to by playing.

    Jumps to `above` seconds or less are those by which the page looks for the first frame.
    """
    browser.js(
        "const v = document.getElementById('video'); window.sought = [];"
        "v.addEventListener('seeking', () => window.sought.push(v.currentTime))"
    )
    act()
    return browser.until("return window.sought.find((t) => t > arguments[0])", above)
