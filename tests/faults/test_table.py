"""The table of faults in README.md: every fault has its row, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
N_ROWS = {"A": 29, "B": 16, "C": 12, "D": 12}
ROW = re.compile(r"^\| (?P<id>[A-D]\d\d) \| (?P<what>[^|]+) \| (?P<test>[^|]+) \| (?P<state>[^|]+) \|$", re.M)


def rows() -> dict[str, tuple[str, str]]:
    """Each row's tests and state, by its id."""
    found: dict[str, tuple[str, str]] = {}
    for row in ROW.finditer((HERE / "README.md").read_text(encoding="utf-8")):
        assert row["id"] not in found, f"{row['id']} is there twice"
        found[row["id"]] = (row["test"], row["state"].strip())
    return found


def known_tests() -> set[str]:
    """Names of all test functions below the folder of tests."""
    names: set[str] = set()
    for path in HERE.parent.rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
        names.update(function.name for function in functions if function.name.startswith("test_"))
    return names


def test_every_fault_has_its_row():
    wanted = {f"{letter}{number:02}" for letter, n in N_ROWS.items() for number in range(1, n + 1)}
    assert len(wanted) == 69
    assert wanted - rows().keys() == set()
    assert rows().keys() - wanted == set()


def test_every_test_that_a_row_names_exists_and_carries_its_id():
    known = known_tests()
    for id_, (named, state) in rows().items():
        names = re.findall(r"`([^`]+)`", named)
        assert names, f"{id_} names no test"
        assert state, f"{id_} has no state"
        for name in names:
            assert name in known, f"{id_}: there is no {name}"
        assert any(name.startswith(f"test_{id_}_") for name in names), f"{id_} has no test of its own"


def test_every_test_with_an_id_stands_in_its_row():
    listed = {id_: named for id_, (named, _) in rows().items()}
    for name in known_tests():
        match = re.match(r"test_([A-D]\d\d)_", name)
        if match:
            assert f"`{name}`" in listed.get(match[1], ""), f"{name} is not in the table"
