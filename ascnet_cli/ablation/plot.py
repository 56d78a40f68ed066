"""The numbers of an ablation as a picture; needs matplotlib, which is an extra."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ascnet_cli.ablation.rows import table_title
from ascnet_cli.ablation.table import Report
from weights.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI = 150
_ROW_IN = 0.28  # inches
_OURS, _SEEDS, _PAPERS = "#0072B2", "#56B4E9", "#D55E00"  # of P. Okabe and K. Ito's palette


def can_plot() -> bool:
    """Whether matplotlib is here."""
    return find_spec("matplotlib") is not None


def write_plot(report: Report, path: Path) -> None:
    """Each row's mean and standard deviation, its seeds, and the paper's figure on the same data set.

    Args:
        report: with one row at least that was measured.
        path: of a PNG file.

    Raises:
        OutputError: it cannot be written.
        StorageError: the disk is full or broken.
    """
    # A Figure by itself: pyplot would look for a screen, and keep every figure alive.
    from matplotlib.figure import Figure

    lines = [line for line in report.lines if line.scores]
    figure = Figure(figsize=(8.0, 1.6 + _ROW_IN * len(lines)), layout="constrained")
    axes = figure.add_subplot()
    for place, line in enumerate(lines):
        average = line.average
        if average is None:
            continue
        seeds = [100 * score.average for score in line.scores.values()]
        axes.plot(seeds, [place] * len(seeds), ".", color=_SEEDS, zorder=1)
        axes.errorbar(average.mean, place, xerr=average.std, fmt="o", color=_OURS, capsize=3, zorder=2)
        if line.paper is not None and report.dataset == report.paper_dataset:
            axes.plot(line.paper, place, "D", mfc="none", color=_PAPERS, zorder=3)
    axes.set_yticks(range(len(lines)), [line.row.name for line in lines])
    axes.invert_yaxis()
    _separate_tables(axes, [table_title(line.row.table, report.dataset) for line in lines])
    marks = "mean, standard deviation and seeds"
    if any(line.paper is not None for line in lines) and report.dataset == report.paper_dataset:
        marks += "; diamonds: the paper"
    axes.set(xlabel=f"average mAP, percent ({marks})", title=report.dataset)
    axes.grid(axis="x", alpha=0.3)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=_DPI)


def _separate_tables(axes: Axes, tables: Sequence[str]) -> None:
    """A line between tables, and the name of each beside its first row."""
    for place, table in enumerate(tables):
        if place and tables[place - 1] == table:
            continue
        if place:
            axes.axhline(place - 0.5, color="0.7", linewidth=0.8)
        axes.annotate(
            table,
            (1.0, place),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
