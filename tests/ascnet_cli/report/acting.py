"""What tests do on one page, and read from it."""

from __future__ import annotations

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
