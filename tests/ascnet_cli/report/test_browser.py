"""One page in a real browser: the ways that everybody takes."""

from __future__ import annotations

import pytest

from ascnet_cli.outputs.colours import rgb, styles_of
from ascnet_cli.outputs.report import write_report
from ascnet_cli.segments import VideoDetections
from tests.ascnet_cli.report.acting import (
    FIRST_ROW_Y,
    TIME,
    classes,
    colour_at,
    lane_x,
    ready,
    sent_to,
    slide,
)
from tests.ascnet_cli.report.pages import (
    NASTY,
    NASTY_VIDEO,
    TRUTH,
    curves,
    found,
    page,
    result,
)


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
    cell = browser.all("#rows tr[data-index] td.score")[2]
    assert sent_to(browser, cell.click) == pytest.approx(2.0, abs=0.1)
    assert browser.one("#rows tr[aria-current]").text.startswith("throw")
    assert browser.text("#announce") == "Playing throw, 0:02.00 to 0:03.00, score 0.60"
    browser.until("return document.getElementById('video').paused")
    assert browser.js(TIME) == pytest.approx(3.0, abs=0.3)


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


def test_names_and_labels_are_text_and_nothing_else(shown):
    rows = ((NASTY, 0.5, 1.5, 0.9), ("</script>", 1.0, 2.0, 0.5))
    browser = shown(
        result=result(NASTY_VIDEO, found(*rows)),
        truth=found((NASTY, 3.0, 4.0, 1.0)),
        curves=curves(NASTY, "<b>"),
    )
    assert browser.text("h1") == browser.text("title") == NASTY_VIDEO
    assert NASTY in classes(browser)
    browser.hover_at("#canvas", lane_x(browser, 0.7), FIRST_ROW_Y + 17)
    browser.until("return document.getElementById('tip').textContent.includes('onerror')")
    assert NASTY in browser.texts("#class-filter option")
    assert not browser.all("img, b, main script")
    browser.all("#rows button")[0].click()
    assert "onerror" in browser.text("#announce")


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


@pytest.mark.parametrize("duration_s", [60.0, 1200.0])
def test_the_table_has_room_for_labels_and_times(shown, duration_s):
    rows = found(("cartwheeling", duration_s - 9, duration_s - 1, 0.9))
    browser = shown(result=VideoDetections("clip.mp4", duration_s, rows), truth=rows, curves=None, video=None)
    cells = "document.querySelectorAll('td.what span:last-child, tbody tr:not(.gap) td')"
    assert browser.js(f"return [...{cells}].every((e) => e.scrollWidth <= e.clientWidth)")
