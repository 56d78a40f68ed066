"""Charts of average precision: over tIoU, and by class; of results side by side, or of a training's seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ascnet_cli.outputs.charts.bars import Bars, bar_chart
from ascnet_cli.outputs.charts.drawing import Drawing
from ascnet_cli.outputs.charts.lines import Axis, Line, line_chart
from ascnet_cli.outputs.charts.looks import Look
from ascnet_cli.outputs.charts.scale import nice_top
from ascnet_cli.outputs.charts.tables import Cell, Table, choice


def curve_chart(lines: Sequence[Line], *, named: bool = True) -> Drawing:
    """Mean average precision over tIoU."""
    xs = sorted({x for line in lines for x, _ in line.points})
    ticks = tuple(xs) if len(xs) <= 10 else None
    top = nice_top(max((y for line in lines for _, y in line.points), default=1.0))
    y_axis = Axis("mAP", 0.0, min(top, 1.0))
    label = "Mean average precision over tIoU: " + ", ".join(line.name for line in lines)
    return line_chart(lines, Axis("tIoU", ticks=ticks), y_axis, label=label, named=named)


def class_chart(
    results: Sequence[tuple[str, Mapping[str, Sequence[float]]]],
    instances: Mapping[str, int],
    looks: Sequence[Look],
    *,
    title: str = "average precision",
) -> Drawing:
    """Average precision by class: the average, and at each tIoU by choice.

    Args:
        results: name, and class to its average precisions.
        instances: class to how many there are; empty where that is not known.
        looks: of the results.
        title: of the axis.
    """
    labels = list(results[0][1])
    names = [f"{label} ({instances[label]})" if label in instances else label for label in labels]
    series = [
        Bars(
            name,
            style,
            tuple(_with_average(values[label]) for label in labels),
        )
        for (name, values), style in zip(results, looks, strict=True)
    ]
    label = "Average precision by class: " + ", ".join(name for name, _ in results)
    return bar_chart(names, series, title=title, label=label, named=len(results) > 1)


def class_table(
    results: Sequence[tuple[str, Mapping[str, Sequence[float]]]], instances: Mapping[str, int]
) -> Table:
    """The same numbers as a table."""
    rows = [
        (
            Cell(label),
            *([Cell(str(instances[label]))] if instances else []),
            *(choice(_with_average(values[label])) for _, values in results),
        )
        for label in results[0][1]
    ]
    counted = ["instances"] if instances else []
    return Table(
        "Average precision by class", ("class", *counted, *(name for name, _ in results)), tuple(rows)
    )


def _with_average(values: Sequence[float]) -> tuple[float, ...]:
    return (sum(values) / len(values), *values)
