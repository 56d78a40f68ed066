"""Tables of a page: what stands in their cells, and which other numbers a cell can show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        text: what it shows; empty where there is nothing.
        values: the numbers to choose from, as JSON, the first of which it shows; empty: there is no choice.
        best: it is to stand out.
    """

    text: str
    values: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        caption: above it.
        columns: titles, the first of which is over the names of the rows.
        rows: cells, as many in each as there are columns.
        foot: rows that stay below the others however these are sorted.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    foot: tuple[tuple[Cell, ...], ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in (*self.rows, *self.foot)):
            raise ValueError("each row of a table needs a cell for each column")


def fraction(value: float | None, *, best: bool = False) -> Cell:
    """A cell with a fraction in three digits; empty for None."""
    return Cell("" if value is None else f"{value:.3f}", best=best)


def choice(values: Sequence[float]) -> Cell:
    """A cell that can show any of some numbers, and shows the first."""
    return Cell(f"{values[0]:.3f}", json.dumps([round(value, 4) for value in values]))


def marked(rows: Sequence[tuple[str, Sequence[float | None]]]) -> tuple[tuple[Cell, ...], ...]:
    """Rows of a name and fractions, in which the highest of each column stands out if there are several."""
    highest = [max((v for v in column if v is not None), default=None) for column in _columns(rows)]
    return tuple(
        (
            Cell(name),
            *(
                fraction(value, best=len(rows) > 1 and value is not None and value == top and value > 0)
                for value, top in zip(values, highest, strict=True)
            ),
        )
        for name, values in rows
    )


def _columns(rows: Sequence[tuple[str, Sequence[float | None]]]) -> list[tuple[float | None, ...]]:
    return list(zip(*(values for _, values in rows), strict=True))
