"""One browser for all tests of the report."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ascnet_cli.report.browser import Browser


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
