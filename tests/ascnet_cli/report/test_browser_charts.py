"""Pages of charts in a real Chromium: choosing, sorting, copying, and what a policy refuses."""

import pytest

from ascnet_cli.evaluation.comparison import Comparison, Side, write_comparison
from ascnet_cli.evaluation.diagnosis import diagnose
from ascnet_cli.evaluation.protocols import prepare, protocol_named
from ascnet_cli.evaluation.timelines import telling_videos
from ascnet_cli.segments import Detection, Segment
from ascnet_cli.training.report import write_report
from tests.ascnet_cli.test_training_history import START, TEST, step, validation, write_run

EVIL = "<img src=x onerror=document.title='broken'>"
CLASSES = "main > section:last-child"  # the section with average precision by class
TRUTH = {
    "a": [("run", Segment(0.0, 10.0)), (EVIL, Segment(20.0, 30.0))],
    f"b{EVIL}": [("run", Segment(40.0, 50.0)), ("run", Segment(60.0, 80.0))],
}


def side(name, *rows):
    found = {video: [] for video in TRUTH}
    for video, label, start, end, score in rows:
        found[video].append(Detection(label, Segment(start, end), score))
    case = prepare(protocol_named("custom", [0.3, 0.5, 0.7]), TRUTH, found)
    return Side(name, found, case, case.evaluate(), diagnose(case))


@pytest.fixture
def compared(browser, tmp_path):
    sides = (
        side(
            "first", ("a", "run", 0.0, 10.0, 0.9), ("a", EVIL, 20.0, 26.0, 0.8), ("a", "run", 70.0, 80.0, 0.2)
        ),
        side(f"second{EVIL}", (f"b{EVIL}", "run", 40.0, 46.0, 0.9)),
    )
    shown = telling_videos(TRUTH, {one.name: one.found for one in sides})
    comparison = Comparison(f"data{EVIL}", sides, TRUTH, {"a": 100.0}, shown, (EVIL,))
    browser.open(write_comparison(comparison, tmp_path / "report.html"))
    return browser


def choose(browser, selector, place):
    browser.js(
        "const s = document.querySelector(arguments[0]);"
        "s.selectedIndex = arguments[1]; s.dispatchEvent(new Event('change'));",
        selector,
        place,
    )


def test_names_are_text_and_nothing_else(compared):
    assert compared.all("img") == []
    assert EVIL in compared.text("h1")
    assert compared.js("return document.title").startswith(f"data{EVIL}")


def widths(browser):
    return [float(bar.get_attribute("width")) for bar in browser.all(CLASSES + " .bar")]


def test_another_threshold_moves_bars_and_cells_together(compared):
    before = widths(compared)
    assert compared.texts(CLASSES + " .value") == ["0.667", "0.000", "0.333", "0.222"]
    choose(compared, CLASSES + " select", 3)  # tIoU 0.7: the segments of 6 s are too short
    assert compared.texts(CLASSES + " .value") == ["0.000", "0.000", "0.333", "0.000"]
    assert widths(compared) == pytest.approx([0, 0, before[2], 0], abs=0.02)
    assert compared.texts(CLASSES + " td[data-values]") == ["0.000", "0.000", "0.333", "0.000"]
    assert compared.texts(CLASSES + " .bar title")[0].endswith(": 0.000")
    choose(compared, CLASSES + " select", 0)
    assert widths(compared) == pytest.approx(before, abs=0.02)


def test_tables_are_sorted_by_a_click_or_a_key(compared):
    names = CLASSES + " tbody th"
    assert compared.texts(names) == [EVIL, "run"]
    head = compared.one(CLASSES + " thead th:nth-child(2) button")
    head.click()
    assert compared.texts(names) == ["run", EVIL]  # instances: the most first
    assert compared.one(CLASSES + " thead th:nth-child(2)").get_attribute("aria-sort") == "descending"
    head.send_keys("\n")
    assert compared.texts(names) == [EVIL, "run"]


def test_a_table_is_copied_as_lines_with_tabs(compared):
    compared.js(
        "window.copied = null;"
        "Object.defineProperty(navigator, 'clipboard',"
        " {value: {writeText: async (t) => { window.copied = t; }}});"
    )
    compared.one(CLASSES + " [data-copy]").click()
    lines = compared.until("return window.copied").splitlines()
    assert lines[0].split("\t") == ["class", "instances", "first", f"second{EVIL}"]
    assert lines[2].split("\t") == ["run", "3", "0.333", "0.222"]


def test_one_video_is_shown_at_a_time(compared):
    seen = "return [...document.querySelectorAll('figure[data-video]')].map((f) => f.offsetHeight > 0)"
    assert compared.js(seen) == [True, False]
    choose(compared, "select[data-videos]", 1)
    assert compared.js(seen) == [False, True]
    choose(compared, "select[data-videos]", 0)
    rest = "return getComputedStyle(document.querySelector('rect.rest')).display"
    assert compared.js(rest) != "none"
    compared.one("input[data-rest]").click()
    assert compared.js(rest) == "none"


def test_without_script_everything_is_there(compared, tmp_path):
    text = (tmp_path / "report.html").read_text("utf-8")
    begin, end = text.index("<script>"), text.index("</script>")
    (tmp_path / "plain.html").write_text(text[:begin] + text[end + len("</script>") :])
    compared.open(tmp_path / "plain.html")
    seen = "return [...document.querySelectorAll('figure[data-video]')].map((f) => f.offsetHeight > 0)"
    assert compared.js(seen) == [True, True]
    assert compared.js("return document.querySelector('.js').offsetHeight") == 0


@pytest.mark.parametrize("width", [360, 768, 1300])
def test_no_width_makes_the_page_wider_than_the_window(compared, width):
    compared.size(width, 800)
    assert compared.js("return document.documentElement.scrollWidth") <= width
    sizes = compared.js(
        "return [...document.querySelectorAll('.wide svg text, .columns svg text')]"
        ".filter((t) => t.textContent && t.getClientRects().length)"
        ".map((t) => Number(t.getAttribute('font-size'))"
        " * t.ownerSVGElement.getBoundingClientRect().width / t.ownerSVGElement.viewBox.baseVal.width)"
    )
    assert min(sizes) > 7


def test_dark_and_light(compared):
    ink = "return getComputedStyle(document.querySelector('svg .fill-ink')).fill"
    assert compared.js(ink) == "rgb(26, 29, 33)"
    compared.media(prefers_color_scheme="dark")
    assert compared.js(ink) == "rgb(232, 234, 237)"
    assert compared.js("return getComputedStyle(document.body).backgroundColor") == "rgb(17, 19, 22)"


def test_a_run_in_the_browser(browser, tmp_path):
    for seed in (0, 1):
        events = [START, step(1, 10, total=2.0), step(2, 20, total=1.0), validation(3, 20, 0.5)]
        test = {**TEST, "per_class": {EVIL: [0.5, 0.25]}}
        write_run(tmp_path / EVIL.replace("/", "") / f"seed-{seed}", events, seed=seed, test=test)
    browser.open(write_report(tmp_path / EVIL.replace("/", "")))
    assert browser.all("img") == []
    browser.one("thead th:nth-child(1) button").click()
    browser.one("thead th:nth-child(1) button").click()
    assert browser.texts("tbody th")[:2] == ["1", "0"]
    assert browser.texts("tfoot th") == ["mean", "standard deviation"]  # stay where they are
    browser.size(360, 800)
    assert browser.js("return document.documentElement.scrollWidth") <= 360
