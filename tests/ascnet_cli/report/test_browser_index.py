"""An index of many videos in a real browser, and pages that come from a web server."""

from __future__ import annotations

import http.server
import threading
from functools import partial

import pytest

from ascnet_cli.outputs.report import write_report
from tests.ascnet_cli.report.acting import sent_to
from tests.ascnet_cli.report.pages import NASTY, NASTY_VIDEO, TRUTH, clip, found, page, result

pytestmark = pytest.mark.slow

NAMES = "#cards .card a"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An index of four videos: judged, without a file, without a segment, with nasty names."""
    folder = tmp_path_factory.mktemp("batch")
    video = clip(folder / "clip.mp4")
    pages = [
        page(video, truth=TRUTH),
        page(None, result=result("sub/other run.mp4", found(("wave", 1.0, 2.0, 0.5)))),
        page(video, result=result("empty.mp4", ()), curves=None),
        page(video, result=result(NASTY_VIDEO, found((NASTY, 1.0, 2.0, 0.5)))),
    ]
    write_report(pages, folder / "report.html")
    return folder


@pytest.fixture
def index(browser, folder):
    browser.open(folder / "report.html")
    return browser


def search(browser, words):
    field = browser.one("#search")
    field.clear()
    field.send_keys(words)


def test_every_video_has_a_card(index):
    assert index.texts(NAMES) == ["clip.mp4", "sub/other run.mp4", "empty.mp4", NASTY_VIDEO]
    said = "0:16 in all, 6 segments of 4 classes; ground truth at tIoU 0.5"
    assert index.text("#summary") == said
    assert index.text("#shown") == "4 videos"
    assert len(index.all(".picture img")) == 3
    assert index.until("return document.querySelector('.picture img').naturalWidth > 0")
    assert index.texts(".card:first-child .chips li") == ["jump × 2", "throw × 2"]
    assert index.text(".card:first-child .good") == "✓ 2 matches"
    assert index.text(".card:first-child .bad") == "✕ 2 false positives, 1 miss"
    assert index.driver.title == "4 videos"


def test_search_class_and_order(index):
    search(index, "RUN other")
    assert index.texts(NAMES) == ["sub/other run.mp4"]
    assert index.text("#shown") == "1 of 4 videos"
    search(index, "nowhere")
    assert index.texts(NAMES) == []
    assert index.one("#empty").is_displayed()
    search(index, " ")
    index.one("#class-filter option:nth-child(3)").click()
    assert index.texts(NAMES) == ["clip.mp4"]
    index.one("#class-filter option:first-child").click()
    index.one("#sort option[value='segments']").click()
    assert index.texts(NAMES)[0] == "clip.mp4"
    assert index.texts(NAMES)[-1] == "empty.mp4"


def test_a_card_leads_to_its_page_and_back(index):
    index.one(NAMES).click()
    assert index.text("h1") == "clip.mp4"
    index.until("return document.getElementById('video').readyState >= 2")
    index.one("header a").click()
    assert index.text("h1") == "4 videos"


def test_a_phone_shows_the_index_without_scrolling_sideways(index):
    index.size(320, 700)
    assert index.js("return document.documentElement.scrollWidth") == 320


def test_names_in_the_index_are_text(index):
    assert index.all(".card img[src='x']") == []
    assert NASTY in index.texts(".chips li")[-1]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Python's own web server, which knows no ranges."""

    def log_message(self, *_):
        pass


@pytest.fixture
def server(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_times_can_be_jumped_to_where_a_server_sends_files_whole(browser, folder, server):
    write_report([page(folder / "clip.mp4")], folder / "single.html")
    browser.open(f"{server}/single.html")
    browser.until("return document.getElementById('video').currentSrc.startsWith('blob:')")
    assert sent_to(browser, browser.all("#rows button")[2].click) == pytest.approx(2.0, abs=0.1)
