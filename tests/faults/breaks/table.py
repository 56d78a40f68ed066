"""The breaks as they are written down, beside this file: `a.toml` to `d.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# How a test ends that saw what it looks for: an assertion of its own, or an error that did not come.
ASSERTION = ("AssertionError", "assert ", "Failed: DID NOT RAISE")


@dataclass(frozen=True)
class Break:
    """One guard of the product, and how it is taken out.

    Attributes:
        row: of the table of faults.
        what: it does, in one line.
        file: of the product, relative to the root.
        find: the guard: text that stands in the file once.
        replace: what stands there instead.
        tests: nodes of pytest, relative to the root, each of which must fail.
        ends_with: how the test's error begins; empty: it is an assertion.
    """

    row: str
    what: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]
    ends_with: str = ""

    def seen_in(self, message: str) -> bool:
        """Whether a test that ended so has seen the break, rather than tripped over it."""
        return message.startswith(self.ends_with or ASSERTION)

    def apply(self, root: Path) -> None:
        """Put a broken file in the place of the whole one, which may be a link and stays as it is.

        Raises:
            ValueError: the text is not there, or there more than once.
        """
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.find) != 1:
            raise ValueError(f"{self.file} has {text.count(self.find)} of {self.find!r}")
        path.unlink()
        path.write_text(text.replace(self.find, self.replace), encoding="utf-8")


def breaks() -> list[Break]:
    """All of them, in the order of the rows."""
    found = []
    for path in sorted(HERE.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["break"]:
            tests = tuple(f"tests/faults/{node}" for node in entry.pop("tests"))
            found.append(Break(**entry, tests=tests))
    return sorted(found, key=lambda one: one.row)
