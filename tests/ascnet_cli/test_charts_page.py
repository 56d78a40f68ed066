"""Pages: nothing from outside, nothing unescaped, tables whole."""

import base64
import hashlib
import re

import pytest

from ascnet_cli.errors import OutputError
from ascnet_cli.outputs.charts.drawing import Drawing
from ascnet_cli.outputs.charts.page import write_page
from ascnet_cli.outputs.charts.tables import Cell, Table, choice, marked

EVIL = "<img src=x onerror=alert(1)>\"'&\x00\ud800"
VALUES = {
    "title": EVIL, "about": [(EVIL, EVIL)], "notes": [EVIL], "several": False, "seeds": [], "curve": None,
    "runs": Table(EVIL, (EVIL, "b"), ((Cell(EVIL), Cell(EVIL, EVIL)),)),
    "validation": Drawing(10, 10, (), EVIL), "total": None, "terms": [], "classes": None, "class_choices": [],
    "class_table": None, "settings": [(EVIL, [(EVIL, EVIL)])],
}  # fmt: skip


@pytest.fixture
def page(tmp_path):
    return write_page(tmp_path / "report.html", "training.html", VALUES).read_text("utf-8")


def test_everything_is_escaped(page):
    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") >= 10
    assert "\x00" not in page


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none';")
    for what, tag in (("style-src", "style"), ("script-src", "script")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{what} 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_nothing_is_asked_for_from_anywhere(page):
    assert not re.findall(
        r"(?:src|href|url|@import|https?:)\s*[=(]", page.replace("onerror", "").replace("src=x", "")
    )
    assert " style=" not in page
    assert not re.search(r'<[^>"]*("[^">]*"[^>"]*)* on\w+=', page)


def test_a_place_that_cannot_be_written_to(tmp_path):
    with pytest.raises(OutputError):
        write_page(tmp_path / "nowhere" / "report.html", "training.html", VALUES)


def test_a_table_needs_a_cell_for_each_column():
    with pytest.raises(ValueError, match="each column"):
        Table("x", ("a", "b"), ((Cell("1"),),))


def test_the_best_of_each_column_is_marked():
    rows = marked([("a", [0.1, 0.5, None]), ("b", [0.2, 0.5, 0.0])])
    assert [[cell.best for cell in row] for row in rows] == [
        [False, False, True, False], [False, True, True, False],
    ]  # fmt: skip
    assert not any(cell.best for row in marked([("a", [0.5])]) for cell in row)


def test_a_cell_with_a_choice_shows_the_first():
    assert choice([0.25, 0.5]) == Cell("0.250", "[0.25, 0.5]")
