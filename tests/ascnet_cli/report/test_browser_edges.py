"""One page in a real browser: keys, phones, other videos, other readers."""

from __future__ import annotations

import io
import os
from dataclasses import replace

import pytest
from selenium.webdriver.common.keys import Keys

from ascnet_cli.outputs import csv_file
from ascnet_cli.outputs.report import write_report
from ascnet_cli.segments import VideoDetections
from tests.ascnet_cli.report.acting import (
    FIRST_ROW_Y,
    GUTTER,
    TIME,
    classes,
    lane_x,
    ready,
    sent_to,
    slide,
    wait_for_file,
)
from tests.ascnet_cli.report.pages import (
    DETECTIONS,
    DURATION_S,
    NASTY,
    TRUTH,
    clip,
    found,
    page,
    result,
)
from tests.synthetic import H264, MPEG4

pytestmark = pytest.mark.slow


def test_repeating_a_segment_begins_it_again(shown):
    browser = shown(result=result(detections=found(("jump", 2.0, 2.2, 0.9))))
    ready(browser)
    browser.one("#repeat").click()
    browser.js("window.seeks = 0; document.getElementById('video').onseeked = () => { window.seeks += 1 }")
    browser.one("#rows button").click()
    browser.until("return window.seeks >= 3")
    assert not browser.js("return document.getElementById('video').paused")


def test_a_click_on_the_timeline_plays_what_is_there_or_goes_there(shown):
    browser = shown()
    ready(browser)
    there = sent_to(browser, lambda: browser.click_at("#canvas", lane_x(browser, 1.4), FIRST_ROW_Y))
    assert there == pytest.approx(0.5, abs=0.1)
    assert browser.one("#rows tr[aria-current]").text.startswith("jump")
    browser.keys(" ")
    browser.until("return document.getElementById('video').paused")
    there = sent_to(browser, lambda: browser.click_at("#canvas", lane_x(browser, 3.0), FIRST_ROW_Y))
    assert there == pytest.approx(3.0, abs=0.05)


def test_a_class_alone(shown):
    browser = shown()
    browser.all(".lane")[1].click()
    assert classes(browser) == ["throw", "throw"]
    assert browser.all(".lane")[1].get_attribute("aria-pressed") == "true"
    browser.all(".lane:not([hidden])")[0].click()
    assert len(classes(browser)) == 4
    browser.all(".lane")[2].click()
    assert classes(browser) == []
    assert browser.text("#empty") == "No segment passes the filters."


@pytest.mark.parametrize("name", ["clip.mp4", 'bytes \udcff, "and" more.mp4'])
def test_the_csv_is_ours_to_the_byte(shown, tmp_path, name):
    rows = (
        *((d.label, d.segment.start_s, d.segment.end_s, d.score) for d in DETECTIONS),
        ('z, "quoted"\nline ', 1.0006, 1.0009, 0.65),
        ("a", 1.0006, 1.0009, 0.7000004),
        ("\U0001f938 wheel", 1.0006, 1.0009, -0.0),
        ("\uff21", 1.0006, 1.0009, 12.5),
        (NASTY, 0.0, 4.0, 0.55),
        *((f"{space}b{space}", 2.0, 3.0, 0.5) for space in "\ufeff\x1c\x1f\x85\xa0\u2028"),
    )
    browser = shown(result=result(name, found(*rows)), video=None)
    browser.downloads(tmp_path)
    slide(browser, 0.25)
    browser.one("#export").click()
    kept = found(*(row for row in rows if row[3] >= 0.25))
    expected = io.StringIO()
    csv_file.write([VideoDetections(name, DURATION_S, kept)], expected)
    written = wait_for_file(browser, tmp_path, "*.csv")
    assert written.read_bytes() == expected.getvalue().encode()


def test_the_policy_lets_no_other_script_run_and_nothing_load(shown):
    browser = shown()
    browser.js("""
      const script = document.createElement("script");
      script.textContent = "document.title = 'taken'";
      document.body.append(script);
      const image = new Image();
      image.src = "http://127.0.0.1:9/picture.png";
      document.body.append(image);
      document.body.insertAdjacentHTML("beforeend", "<p id='styled' style='color: red'>a</p>");
    """)
    assert browser.driver.title == "clip.mp4"
    refused = browser.until("return true") and browser.complaints()
    assert sum("Content Security Policy" in line for line in refused) >= 3


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_it_without_scrolling_sideways(shown, width):
    long = "a_class_with_a_name_that_no_line_of_a_phone_holds_however_small_the_letters_are"
    rows = (("jump", 0.5, 1.5, 0.9), (long, 1.0, 2.0, 0.5))
    browser = shown(result=result(f"{long}.mp4", found(*rows)), truth=TRUTH)
    browser.size(width, 700)
    browser.driver.refresh()
    assert browser.js("return document.documentElement.scrollWidth") == width
    assert browser.js("return document.getElementById('list').scrollWidth") <= width
    assert browser.one("#play").is_displayed()


def test_dark_mode_and_back_without_loading_again(shown):
    browser = shown()

    def background():
        return browser.js("return getComputedStyle(document.body).backgroundColor")

    light = background()
    browser.media(prefers_color_scheme="dark")
    assert sum(map(int, background()[4:-1].split(","))) < 120 < sum(map(int, light[4:-1].split(",")))


def test_all_of_it_without_a_mouse(shown):
    browser = shown()
    ready(browser)
    assert sent_to(browser, lambda: browser.keys("n")) == pytest.approx(0.5, abs=0.1)
    assert browser.one("#rows tr[aria-current]").get_attribute("data-index") == "0"
    browser.keys("n")
    assert sent_to(browser, lambda: browser.keys("n"), above=1.5) == pytest.approx(2.0, abs=0.1)
    assert sent_to(browser, lambda: browser.keys("p")) == pytest.approx(0.6, abs=0.1)
    browser.keys(" ")
    assert browser.until("return document.getElementById('video').paused")
    at = browser.js(TIME)
    browser.keys(Keys.ARROW_RIGHT)
    assert browser.until(f"{TIME} > {at} && document.getElementById('video').currentTime") == pytest.approx(
        at + 0.04, abs=0.001
    )
    browser.keys("?")
    assert browser.one("#help").get_attribute("open") is not None
    browser.keys(Keys.ESCAPE)
    assert browser.one("#help").get_attribute("open") is None


def test_the_table_is_one_stop_of_the_tab_key_and_arrows_walk_in_it(shown):
    browser = shown()
    browser.js("document.querySelector('th.score button').focus()")
    browser.keys(Keys.TAB)
    name = "return document.activeElement.getAttribute('aria-label')"
    assert browser.js(name) == "Play jump, 0:00.50 to 0:01.50, score 0.90"
    browser.keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert browser.js(name) == "Play throw, 0:02.00 to 0:03.00, score 0.60"
    assert sent_to(browser, lambda: browser.keys(Keys.ENTER)) == pytest.approx(2.0, abs=0.1)
    browser.keys(Keys.END)
    assert browser.js(name).startswith("Play throw, 0:03.20")
    browser.keys(Keys.TAB)
    assert not browser.js("return document.getElementById('rows').contains(document.activeElement)")


def test_whatever_can_be_used_has_a_name_for_screen_readers(shown):
    browser = shown(truth=TRUTH)
    nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    used = ("button", "slider", "combobox", "checkbox", "link", "table", "columnheader", "region", "image")
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in used
    ]
    assert {"button", "slider", "combobox", "checkbox", "table", "region"} <= {role for role, _ in named}
    assert [role for role, name in named if not name] == []


def test_hovering_says_times_scores_and_what_the_network_saw(shown):
    browser = shown()
    browser.hover_at("#canvas", lane_x(browser, 1.2), FIRST_ROW_Y)
    tip = browser.until("const t = document.getElementById('tip'); return !t.hidden && t.textContent")
    assert tip.startswith("jump, 0:00.50 to 0:01.50, score 0.90\njump: activation 0.9")
    browser.hover_at("#canvas", lane_x(browser, 3.9), FIRST_ROW_Y)
    browser.until("return document.getElementById('tip').textContent.startsWith('0:03.9')")


def test_zoom_and_pan(shown):
    browser = shown()
    assert browser.text("#window") == ""
    browser.keys("+")
    assert browser.until("return document.getElementById('window').textContent") == "0:00.0 – 0:02.0"
    browser.keys(".")
    browser.until("return document.getElementById('window').textContent === '0:01.0 – 0:03.0'")
    width = browser.one("#canvas").rect["width"] - GUTTER
    browser.drag("#canvas", (700, 100), (round(width / 4), 0))
    browser.until("return document.getElementById('window').textContent === '0:00.5 – 0:02.5'")
    browser.keys("0")
    browser.until("return document.getElementById('window').textContent === ''")


def test_a_miss_can_be_looked_at(shown):
    browser = shown(truth=TRUTH)
    ready(browser)
    browser.one("#verdict-filter option[value='miss']").click()
    assert sent_to(browser, browser.one("#rows button").click) == pytest.approx(3.0, abs=0.1)
    assert browser.text("#announce") == "Playing ground truth: wave, 0:03.00 to 0:03.90, missed"


def test_truth_without_an_instance_makes_all_segments_false(shown):
    browser = shown(truth=())
    assert browser.text("#shown") == "4 segments: 0 matches, 4 false positives, 0 misses at tIoU 0.5"


@pytest.mark.parametrize("ending", ["avi", "mp4", ""])
def test_without_a_picture_everything_else_works(shown, tmp_path, ending):
    """An AVI, a codec that no browser has in a file of a known kind, and no file at all."""
    path = clip(tmp_path / f"odd.{ending}", codec=MPEG4) if ending else None
    browser = shown(video=path)
    message = browser.until(
        "const p = document.getElementById('no-video'); return !p.hidden && p.textContent"
    )
    assert ("cannot show clip.mp4 (mp4)" if ending else "No video file was given") in message
    browser.all("#rows button")[2].click()
    browser.until("return document.getElementById('clock').textContent.startsWith('0:02.')")
    browser.until("return document.getElementById('play').textContent === 'Play'")
    assert browser.text("#clock").startswith("0:03.0")


def test_an_embedded_video_needs_no_file(browser, tmp_path, video):
    write_report([page(video=video)], tmp_path / "report.html", embed=True)
    browser.open(tmp_path / "report.html")
    ready(browser)
    assert sent_to(browser, browser.all("#rows button")[2].click) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_times_count_from_the_first_frame_where_that_comes_late(shown, tmp_path, ending):
    late = clip(tmp_path / f"late.{ending}", times_s=[1.5 + k / 25 for k in range(100)], codec=H264)
    browser = shown(video=late)
    ready(browser)
    there = sent_to(browser, browser.all("#rows button")[2].click, above=1.6)
    assert there == pytest.approx(3.5, abs=0.1)
    browser.until("return document.getElementById('clock').textContent.startsWith('0:02.')")


def test_a_video_whose_name_is_not_utf8(browser, tmp_path, video):
    path = tmp_path / os.fsdecode(b"a\xff #%3f?.mp4")
    path.write_bytes(video.read_bytes())
    odd = page(video=path, result=replace(result(), video=path.name))
    write_report([odd], tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    ready(browser)
    assert browser.text("h1") == "a\\udcff #%3f?.mp4"
