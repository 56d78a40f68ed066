"""One page in a real browser: what a person sees, clicks and types."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from ascnet_cli.outputs import csv_file
from ascnet_cli.outputs.colours import rgb, styles_of
from ascnet_cli.outputs.report import write_report
from ascnet_cli.segments import VideoDetections
from tests.ascnet_cli.report.browser import Browser
from tests.ascnet_cli.report.pages import (
    DETECTIONS,
    DURATION_S,
    NASTY,
    NASTY_VIDEO,
    TRUTH,
    clip,
    curves,
    found,
    page,
    result,
)
from tests.synthetic import H264, MPEG4

GUTTER = 170  # pixels of the lanes' names
FIRST_ROW_Y = 6 + 8  # pixels from the top of the lanes to the middle of the first lane's first row
TIME = "return document.getElementById('video').currentTime"


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return clip(tmp_path_factory.mktemp("report") / "clip.mp4")


@pytest.fixture
def shown(browser: Browser, video: Path, tmp_path: Path):
    """Write a page and open it; what it shows may be changed."""

    def show(**changes):
        write_report([page(**({"video": video} | changes))], tmp_path / "report.html")
        browser.open(tmp_path / "report.html")
        return browser

    return show


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


def test_a_page_loads_nothing_but_its_video(shown, video):
    browser = shown()
    ready(browser)
    loaded = browser.js("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert set(loaded) <= {video.as_uri()}
    assert browser.driver.title == "clip.mp4"
    assert browser.text("#summary") == "4 segments of 2 classes in 0:04.0"
    assert classes(browser) == ["jump", "jump", "throw", "throw"]


def test_a_click_on_a_row_plays_the_segment_to_its_end(shown):
    browser = shown()
    ready(browser)
    browser.all("#rows tr[data-index] td.score")[2].click()
    assert 2.0 <= browser.until(f"{TIME} >= 2.0 && document.getElementById('video').currentTime") < 2.9
    assert browser.one("#rows tr[aria-current]").text.startswith("throw")
    assert browser.text("#announce") == "Playing throw, 0:02.00 to 0:03.00, score 0.60"
    browser.until("return document.getElementById('video').paused")
    assert browser.js(TIME) == pytest.approx(3.0, abs=0.3)


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
    browser.click_at("#canvas", lane_x(browser, 1.4), FIRST_ROW_Y)
    browser.until("return document.querySelector('#rows tr[aria-current]')")
    assert 0.5 <= browser.until(TIME) < 1.4
    browser.keys(" ")
    browser.click_at("#canvas", lane_x(browser, 3.0), FIRST_ROW_Y)
    assert browser.until(f"{TIME} > 2.5 && document.getElementById('video').currentTime") == pytest.approx(
        3.0, abs=0.05
    )


def test_the_score_slider_filters_table_and_timeline_at_once(shown):
    browser = shown()
    jump = styles_of(["jump", "throw"])["jump"].colour
    second_row_y = FIRST_ROW_Y + 18
    browser.until("return document.querySelectorAll('#rows tr[data-index]').length === 4")
    assert browser.until("return requestAnimationFrame && true")
    assert colour_at(browser, 0.7, second_row_y)[:3] == rgb(jump)
    slide(browser, 0.5)
    assert classes(browser) == ["jump", "throw"]
    assert browser.text("#shown") == "2 of 4 segments"
    browser.js("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert colour_at(browser, 0.7, second_row_y)[3] == 0
    assert colour_at(browser, 0.7)[:3] == rgb(jump)
    slide(browser, 0)
    assert len(classes(browser)) == 4


def test_a_class_alone(shown):
    browser = shown()
    browser.all(".lane")[1].click()
    assert classes(browser) == ["throw", "throw"]
    assert browser.all(".lane")[1].get_attribute("aria-pressed") == "true"
    browser.all(".lane:not([hidden])")[0].click()
    assert len(classes(browser)) == 4


def test_columns_sort_both_ways(shown):
    browser = shown()
    browser.one("th.score button").click()
    assert browser.texts("#rows td.score") == ["0.90", "0.60", "0.30", "0.20"]
    assert browser.one("th.score").get_attribute("aria-sort") == "descending"
    browser.one("th.score button").click()
    assert browser.texts("#rows td.score") == ["0.20", "0.30", "0.60", "0.90"]
    browser.one("th.label button").click()
    assert classes(browser) == ["jump", "jump", "throw", "throw"]
    assert browser.one("th.score").get_attribute("aria-sort") == "none"


@pytest.mark.parametrize("name", ["clip.mp4", "bytes \udcff, \"and\" more.mp4"])
def test_the_csv_is_ours_to_the_byte(shown, tmp_path, name):
    rows = (
        *((d.label, d.segment.start_s, d.segment.end_s, d.score) for d in DETECTIONS),
        ("z, \"quoted\"\nline ", 1.0006, 1.0009, 0.65),
        ("a", 1.0006, 1.0009, 0.7000004),
        ("\U0001f938 wheel", 1.0006, 1.0009, -0.0),
        ("\uff21", 1.0006, 1.0009, 12.5),
        (NASTY, 0.0, 4.0, 0.55),
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


def wait_for_file(browser, folder, pattern):
    for _ in range(200):
        for path in folder.glob(pattern):
            return path
        browser.js("return new Promise((done) => setTimeout(done, 25))")
    raise AssertionError(f"no {pattern} in {list(folder.iterdir())}")


def test_names_and_labels_are_text_and_nothing_else(shown):
    rows = ((NASTY, 0.5, 1.5, 0.9), ("</script>", 1.0, 2.0, 0.5))
    browser = shown(
        result=result(NASTY_VIDEO, found(*rows)), truth=found((NASTY, 3.0, 4.0, 1.0)), curves=curves(NASTY, "<b>")
    )
    assert browser.text("h1") == browser.text("title") == NASTY_VIDEO
    assert NASTY in classes(browser)
    browser.hover_at("#canvas", lane_x(browser, 0.7), FIRST_ROW_Y + 17)
    browser.until("return document.getElementById('tip').textContent.includes('onerror')")
    assert NASTY in browser.texts("#class-filter option")
    assert not browser.all("img, b, main script")
    browser.all("#rows button")[0].click()
    assert "onerror" in browser.text("#announce")


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
    browser.keys("n")
    assert 0.5 <= browser.until(TIME) < 1.5
    assert browser.one("#rows tr[aria-current]").get_attribute("data-index") == "0"
    browser.keys("n", "n")
    assert browser.until(f"{TIME} >= 2.0 && document.getElementById('video').currentTime") < 3.0
    browser.keys("p")
    browser.until(f"const t = document.getElementById('video').currentTime; return t >= 0.6 && t < 1.0")
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
    browser.keys(Keys.ENTER)
    assert browser.until(f"{TIME} >= 2.0 && document.getElementById('video').currentTime") < 3.0
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


def test_truth_lanes_matches_misses_and_false_positives(shown):
    browser = shown(truth=TRUTH)
    said = "4 segments: 2 matches, 2 false positives, 1 miss at tIoU 0.5"
    assert browser.text("#shown") == said
    assert browser.texts("#rows td.verdict") == ["✓ 0.80", "✕ 0.50", "✓ 1.00", "missed", "✕ 0.00"]
    slide(browser, 0.7)
    assert browser.text("#shown") == "1 of 4 segments: 1 match, 0 false positives, 2 misses at tIoU 0.5"
    assert browser.texts("#rows td.verdict") == ["✓ 0.80", "missed", "missed"]
    slide(browser, 0)
    browser.one("#verdict-filter option[value='miss']").click()
    assert classes(browser) == ["wave"]
    browser.one("#verdict-filter option[value='error']").click()
    assert browser.texts("#rows td.verdict") == ["✕ 0.50", "missed", "✕ 0.00"]


def test_a_miss_can_be_looked_at(shown):
    browser = shown(truth=TRUTH)
    ready(browser)
    browser.one("#verdict-filter option[value='miss']").click()
    browser.one("#rows button").click()
    assert 3.0 <= browser.until(f"{TIME} >= 3.0 && document.getElementById('video').currentTime") < 3.9
    assert browser.text("#announce") == "Playing ground truth: wave, 0:03.00 to 0:03.90, missed"


def test_truth_without_an_instance_makes_all_segments_false(shown):
    browser = shown(truth=())
    assert browser.text("#shown") == "4 segments: 0 matches, 4 false positives, 0 misses at tIoU 0.5"


@pytest.mark.parametrize("ending", ["avi", "mp4", ""])
def test_without_a_picture_everything_else_works(shown, tmp_path, ending):
    """An AVI, a codec that no browser has in a file of a known kind, and no file at all."""
    path = clip(tmp_path / f"odd.{ending}", codec=MPEG4) if ending else None
    browser = shown(video=path)
    message = browser.until("const p = document.getElementById('no-video'); return !p.hidden && p.textContent")
    assert ("cannot show clip.mp4 (mp4)" if ending else "No video file was given") in message
    browser.all("#rows button")[2].click()
    browser.until("return document.getElementById('clock').textContent.startsWith('0:02.')")
    browser.until("return document.getElementById('play').textContent === 'Play'")
    assert browser.text("#clock").startswith("0:03.0")


def test_an_embedded_video_needs_no_file(browser, tmp_path, video):
    write_report([page(video=video)], tmp_path / "report.html", embed=True)
    browser.open(tmp_path / "report.html")
    ready(browser)
    browser.all("#rows button")[2].click()
    assert 2.0 <= browser.until(f"{TIME} >= 2.0 && document.getElementById('video').currentTime") < 3.0


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_times_count_from_the_first_frame_where_that_comes_late(shown, tmp_path, ending):
    late = clip(tmp_path / f"late.{ending}", times_s=[1.5 + k / 25 for k in range(100)], codec=H264)
    browser = shown(video=late)
    ready(browser)
    browser.all("#rows button")[2].click()
    assert 3.5 <= browser.until(f"{TIME} >= 3.5 && document.getElementById('video').currentTime") < 4.4
    browser.until("return document.getElementById('clock').textContent.startsWith('0:02.')")


def test_a_video_whose_name_is_not_utf8(browser, tmp_path, video):
    path = tmp_path / os.fsdecode(b"a\xff #%3f?.mp4")
    path.write_bytes(video.read_bytes())
    odd = page(video=path, result=replace(result(), video=path.name))
    write_report([odd], tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    ready(browser)
    assert browser.text("h1") == "a\\udcff #%3f?.mp4"


def test_two_hours_with_two_thousand_segments_are_a_few_rows(browser, tmp_path):
    rows = [(f"class {k % 12}", 3.6 * k, 3.6 * k + 2.5, (k % 97) / 97) for k in range(2000)]
    many = VideoDetections("long.mp4", 7200.0, found(*rows))
    write_report([page(result=many, curves=None)], tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    assert browser.one("table").get_attribute("aria-rowcount") == "2001"
    rows_now = "return document.querySelectorAll('#rows tr[data-index]').length"
    assert 5 < browser.js(rows_now) < 60
    browser.js("const l = document.getElementById('list'); l.scrollTop = l.scrollHeight")
    browser.until("return document.querySelector('#rows tr[data-index=\"1999\"]')")
    assert browser.js(rows_now) < 60
    assert browser.js("return document.querySelectorAll('*').length") < 700
