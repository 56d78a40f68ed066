"""One browser for all tests of the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ascnet_cli.outputs.report import write_report
from tests.ascnet_cli.report.browser import Browser
from tests.ascnet_cli.report.pages import clip, page


@pytest.fixture(scope="session")
def _window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(_window: Browser) -> Iterator[Browser]:
    """A window of usual size in light colours; whatever its console complains of fails the test."""
    _window.size(1300, 900)
    _window.media(prefers_color_scheme="light")
    yield _window
    complaints = _window.complaints()
    _window.open("about:blank")
    assert not complaints


@pytest.fixture(scope="session")
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
