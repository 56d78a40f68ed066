"""The table of faults in README.md: every fault has its row, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
N_ROWS = {"A": 29, "B": 16, "C": 12, "D": 12}
_CELL = r"((?:[^|\\]|\\.)+)"
ROW = re.compile(rf"^\| ([A-D]\d\d) \| {_CELL} \| {_CELL} \| {_CELL} \|$", re.M)


def rows() -> dict[str, tuple[str, str]]:
    """Each row's tests and state, by its id."""
    found: dict[str, tuple[str, str]] = {}
    for id_, _, named, state in ROW.findall((HERE / "README.md").read_text(encoding="utf-8")):
        assert id_ not in found, f"{id_} is there twice"
        found[id_] = (named, state.strip())
    return found


def known_tests() -> dict[str, set[str]]:
    """Names of test functions below the folder of tests, each with the files that have one of that name."""
    names: dict[str, set[str]] = {}
    for path in HERE.parent.rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                names.setdefault(node.name, set()).add(path.name)
    return names


def test_every_fault_has_its_row():
    wanted = {f"{letter}{number:02}" for letter, n in N_ROWS.items() for number in range(1, n + 1)}
    assert len(wanted) == 69
    assert wanted - rows().keys() == set()
    assert rows().keys() - wanted == set()


def test_every_test_that_a_row_names_exists_and_one_carries_its_id():
    known = known_tests()
    files = {file for found in known.values() for file in found}
    for id_, (named, state) in rows().items():
        assert state.startswith(("passes", "done")), f"{id_}: {state}"
        names = re.findall(r"`(?:[\w/]+/)?(test_\w+(?:\.py)?)`", named)
        for name in names:
            assert name in known or name in files, f"{id_}: there is no {name}"
        own = [name for name in known if name.startswith(f"test_{id_}_")]
        assert own, f"{id_} has no test"
        assert any(name in names or known[name] & set(names) for name in own), f"{id_}: not named: {own}"


def test_every_test_with_an_id_stands_in_its_row_or_its_file_does():
    listed = {id_: named for id_, (named, _) in rows().items()}
    for name, files in known_tests().items():
        match = re.match(r"test_([A-D]\d\d)_", name)
        if match:
            wanted = (name, *files)
            assert any(f"{one}`" in listed.get(match[1], "") for one in wanted), f"{name} is not in the table"
