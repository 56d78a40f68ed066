"""Evaluations side by side on one page: numbers, curves, kinds of errors, and single videos over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascnet_cli.evaluation.charts import class_chart, class_table, curve_chart
from ascnet_cli.evaluation.detection import EvaluationResult
from ascnet_cli.evaluation.diagnosis import FALSE_POSITIVES, KINDS, Diagnosis
from ascnet_cli.evaluation.protocols import Case, Truth, mean_over
from ascnet_cli.evaluation.timelines import TIOU, Chosen, Found, timeline_of
from ascnet_cli.outputs.charts.bars import Bars, bar_chart
from ascnet_cli.outputs.charts.drawing import Drawing
from ascnet_cli.outputs.charts.lanes import Timeline, lanes_drawing
from ascnet_cli.outputs.charts.lines import Line
from ascnet_cli.outputs.charts.looks import Look, look, sample
from ascnet_cli.outputs.charts.page import write_page
from ascnet_cli.outputs.charts.shares import Kind, share_chart
from ascnet_cli.outputs.charts.tables import Cell, Table, marked

_GAINS = 340.0  # pixels: beside the charts of shares
RIGHT = f"right (tIoU {TIOU:g})"
# Told apart by colour-blind eyes, and in the order of the columns by lightness, too.
_KIND_COLOURS = ("#009e73", "#cc79a7", "#d55e00", "#e69f00", "#56b4e9", "#9aa3ad")


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One result among several.

    Attributes:
        name: of the result.
        found: video name to what was found there.
        case: what was judged.
        result: the numbers.
        diagnosis: why they are so.
    """

    name: str
    found: Found
    case: Case
    result: EvaluationResult
    diagnosis: Diagnosis


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Results of the same videos, judged by the same protocol.

    Attributes:
        dataset: name of the annotations.
        sides: at least one; of different names.
        truth: the judged videos, with what happens in them.
        durations_s: of the videos; where one is not known it is not there.
        videos: to be shown over time.
        notes: what a reader of the numbers must know.
    """

    dataset: str
    sides: tuple[Side, ...]
    truth: Truth
    durations_s: Mapping[str, float]
    videos: tuple[Chosen, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = {side.name for side in self.sides}
        if not names or len(names) != len(self.sides):
            raise ValueError("a comparison needs results, each with a name of its own")

    def timelines(self) -> tuple[Timeline, ...]:
        """The chosen videos over time."""
        results = {side.name: side.found for side in self.sides}
        return tuple(
            timeline_of(one.video, self.truth.get(one.video, ()), results, self.durations_s.get(one.video))
            for one in self.videos
        )


def timelines_figure(comparison: Comparison) -> Drawing:
    """The chosen videos over time as one figure, for a paper."""
    return lanes_drawing(comparison.timelines(), right=RIGHT)


def write_comparison(comparison: Comparison, path: Path) -> Path:
    """Write the page.

    Raises:
        OutputError: it cannot be written.
        StorageError: the disk is full or broken.
    """
    return write_page(path, "evaluation.html", page_values(comparison))


def page_values(comparison: Comparison) -> dict[str, Any]:
    """What the page's template asks for."""
    sides = comparison.sides
    first = sides[0]
    tious = [f"{tiou:g}" for tiou in first.result.tious]
    middle = _middle(first.diagnosis.tious)
    recall_order = [middle, *(k for k in range(len(first.diagnosis.tious)) if k != middle)]
    timelines = comparison.timelines()
    looks = [look(number) for number in range(len(sides))]
    return {
        "title": f"{comparison.dataset}: {', '.join(side.name for side in sides)}",
        "about": _about(comparison),
        "notes": comparison.notes,
        "summary": _summary(sides),
        "curve": _curve(sides, looks),
        "gains": _gains(sides, looks),
        "diagnosis_tiou": f"{first.diagnosis.tiou:g}",
        "kinds": [
            (kind, sample(Look(colour, (), "circle"), lines=False))
            for kind, colour in zip(KINDS, _KIND_COLOURS, strict=True)
        ],
        "shares": [_shares(side) for side in sides],
        "recall": _recall(sides, looks, recall_order),
        "recall_choices": [f"{first.diagnosis.tious[k]:g}" for k in recall_order],
        "classes": class_chart(
            [(side.name, side.result.per_class) for side in sides], first.result.instances, looks
        ),
        "class_choices": ["average", *(f"at tIoU {tiou}" for tiou in tious)],
        "class_table": class_table(
            [(side.name, side.result.per_class) for side in sides], first.result.instances
        ),
        "videos": [
            {
                "video": chosen.video,
                "reason": chosen.reason,
                "drawing": lanes_drawing([timeline], right=RIGHT),
            }
            for chosen, timeline in zip(comparison.videos, timelines, strict=True)
        ],
    }


def _middle(tious: Sequence[float]) -> int:
    """The place of 0.5, or of the threshold in the middle."""
    return tious.index(0.5) if 0.5 in tious else len(tious) // 2


def _about(comparison: Comparison) -> list[tuple[str, str]]:
    case = comparison.sides[0].case
    about = [("data set", comparison.dataset), ("protocol", case.protocol.name)]
    about.append(("judged on", case.description()))
    return about


def _summary(sides: Sequence[Side]) -> Table:
    protocol, tious = sides[0].case.protocol, sides[0].result.tious
    ranges = [bounds for bounds in protocol.means if mean_over(tious, tious, *bounds) is not None]
    rows: list[tuple[str, list[float | None]]] = []
    for side in sides:
        means = [mean_over(tious, side.result.map, *bounds) for bounds in ranges]
        rows.append((side.name, [*side.result.map, *means, side.result.average]))
    columns = ["result", *(f"{tiou:g}" for tiou in tious)]
    columns += [f"{first:g}:{last:g}" for first, last in ranges]
    columns += ["average", "segments"]
    counts = [Cell(str(side.result.n_predictions)) for side in sides]
    cells = tuple((*row, count) for row, count in zip(marked(rows), counts, strict=True))
    return Table("mAP at each tIoU, and means", tuple(columns), cells)


def _curve(sides: Sequence[Side], looks: Sequence[Look]) -> Drawing:
    lines = [
        Line(side.name, style, tuple(sorted(zip(side.result.tious, side.result.map, strict=True))))
        for side, style in zip(sides, looks, strict=True)
    ]
    return curve_chart(lines)


def _gains(sides: Sequence[Side], looks: Sequence[Look]) -> Drawing:
    series = [
        Bars(side.name, style, tuple((max(side.diagnosis.gains[kind], 0.0),) for kind in FALSE_POSITIVES))
        for side, style in zip(sides, looks, strict=True)
    ]
    label = "mAP gained without each kind of false positive"
    return bar_chart(
        FALSE_POSITIVES, series, title="mAP gained without", label=label, width=_GAINS, named=False
    )


def _shares(side: Side) -> Drawing:
    kinds = [
        Kind(kind, colour, side.diagnosis.counts[kind])
        for kind, colour in zip(KINDS, _KIND_COLOURS, strict=True)
    ]
    label = f"{side.name}: shares of true positives and of kinds of false positives by rank"
    return share_chart(kinds, name=side.name, x_title="slice, best first", y_title="share", label=label)


def _recall(sides: Sequence[Side], looks: Sequence[Look], order: Sequence[int]) -> Drawing:
    lengths = sides[0].diagnosis.lengths
    names = [f"{length.name} ({length.n_instances})" for length in lengths]
    series = [
        Bars(
            side.name,
            style,
            tuple(
                tuple(length.recall[k] for k in order) if length.recall else ()
                for length in side.diagnosis.lengths
            ),
        )
        for side, style in zip(sides, looks, strict=True)
    ]
    label = "Recall by the length of instances"
    return bar_chart(names, series, title="recall", label=label, top_value=1.0)
