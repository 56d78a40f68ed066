"""The breaks of `breaks/`: each row has one, and each fits the sources and names tests that exist.

That they are seen by these tests is what `python -m tests.faults.breaks` holds.
"""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.faults.breaks.__main__ import Ran, cases_of, linked, why_not_seen
from tests.faults.breaks.table import ROOT, Break, breaks
from tests.faults.test_table import rows

BREAKS = breaks()
# Each row that has none, and why that is. (D02 and D04 each have a test more, for a real card.)
WITHOUT: dict[str, str] = {}
ONE = Break("A01", "nothing", "ascnet_cli/a.py", "if x:", "if False:", ("tests/t.py::test_a",))


@cache
def functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_every_row_has_a_break_or_a_reason():
    broken = {one.row for one in BREAKS}
    assert rows().keys() - broken == WITHOUT.keys()
    assert broken - rows().keys() == set()
    assert all(WITHOUT.values())


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: f"{one.row}: {one.what}")
def test_a_break_fits_the_sources(one):
    assert one.file.startswith(("weights/", "extractors/", "ascnet_cli/"))
    text = (ROOT / one.file).read_text()
    assert text.count(one.find) == 1
    assert one.find != one.replace
    ast.parse(text.replace(one.find, one.replace))  # broken, but Python


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: f"{one.row}: {one.what}")
def test_a_break_names_tests_of_its_row(one):
    assert one.tests
    for node in one.tests:
        file, _, name = node.partition("::")
        function = name.partition("[")[0]
        assert function in functions(ROOT / file)
        assert function.startswith(f"test_{one.row}_")


def test_no_break_is_there_twice():
    assert Counter((one.row, one.file, one.find) for one in BREAKS).most_common(1)[0][1] == 1


def ran(code=1, failed=None, other=None, passed=()):
    return Ran(code, failed or {}, other or {}, frozenset(passed), "the last line")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (ran(0, passed=["tests/t.py::test_a"]), "GREEN"),
        (ran(None), "ended by this program"),
        (ran(2), "pytest ended with 2"),
        (ran(4), "pytest ended with 4"),
        (ran(5), "pytest ended with 5"),
        (ran(0), "pytest ended with 0"),
        (ran(1, other={"tests/t.py::test_a": "failed on setup"}), "did not come to its end"),
        (ran(1, failed={"tests/t.py::test_a": "NameError: x"}), "ended otherwise: NameError"),
        (ran(1, failed={"tests/t.py::test_a": "Failed: Timeout (>90.0s)"}), "ended otherwise"),
        (ran(1, failed={"tests/t.py::test_abc": "assert 1 == 2"}), "GREEN"),
    ],
)
def test_what_is_not_seen_is_said(made, why):
    assert why in why_not_seen(ONE, made)


@pytest.mark.parametrize(
    "message", ["assert 1 == 2", "AssertionError: x", "Failed: DID NOT RAISE ValueError"]
)
def test_an_assertion_is_seen(message):
    assert why_not_seen(ONE, ran(1, failed={"tests/t.py::test_a": message})) == ""
    assert why_not_seen(ONE, ran(1, failed={"tests/t.py::test_a[case]": message})) == ""


def test_a_node_stands_for_its_cases_alone():
    assert cases_of("t.py::a", ["t.py::a[1]", "t.py::a", "t.py::ab", "t.py::b"]) == ["t.py::a[1]", "t.py::a"]


def test_a_break_leaves_the_file_that_it_is_a_link_to(tmp_path):
    whole = tmp_path / "whole"
    (whole / "ascnet_cli").mkdir(parents=True)
    (whole / ONE.file).write_text("if x:\n    pass\n")
    tree = linked(whole, tmp_path / "broken")
    assert (tree / ONE.file).samefile(whole / ONE.file)
    ONE.apply(tree)
    assert (tree / ONE.file).read_text() == "if False:\n    pass\n"
    assert (whole / ONE.file).read_text() == "if x:\n    pass\n"
    with pytest.raises(ValueError, match="has 0 of"):
        ONE.apply(tree)
