"""What a page is made of, as the values that its script reads."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ascnet_cli.outputs.colours import Style
from ascnet_cli.outputs.csv_file import COLUMNS, SCORE_DECIMALS
from ascnet_cli.outputs.curves import Curves
from ascnet_cli.outputs.report.truth import Judgement, judge
from ascnet_cli.outputs.text import utf8
from ascnet_cli.segments import Detection, Segment, VideoDetections

# Curves go to the page as whole numbers of 16 bits: steps far below what a screen shows.
CURVE_STEPS = 65535


@dataclass(frozen=True, slots=True, eq=False)
class VideoPage:
    """One video of a report.

    Attributes:
        result: its name, its length and what was found.
        video: the file; None where only the results are there.
        curves: what the network saw; None where that is not known.
        truth: the instances that there are (their scores are not looked at); None where that is not known,
            and empty where it is known that there are none.
        truth_file: what was asked for the ground truth; None where nothing was.
    """

    result: VideoDetections
    video: Path | None = None
    curves: Curves | None = None
    truth: tuple[Detection, ...] | None = None
    truth_file: str | None = None

    @property
    def found_labels(self) -> frozenset[str]:
        """Classes with a segment, or with an instance of the ground truth."""
        return frozenset(detection.label for detection in (*self.result.detections, *(self.truth or ())))

    @property
    def labels(self) -> tuple[str, ...]:
        """All classes that the page speaks of, by name."""
        curves = self.curves.labels if self.curves is not None else ()
        return tuple(sorted({*self.found_labels, *curves}))


def judged(page: VideoPage, tiou: float) -> Judgement | None:
    """How the page's segments fare; None without ground truth."""
    return None if page.truth is None else judge(page.result.detections, page.truth, tiou)


def document(page: VideoPage, styles: Mapping[str, Style], tiou: float) -> dict[str, Any]:
    """A page's values as JSON can carry them; times are whole milliseconds, as in our CSV.

    Args:
        page: the video.
        styles: of all its labels.
        tiou: least temporal IoU of a match with the ground truth.
    """
    labels = page.labels
    number = {label: index for index, label in enumerate(labels)}
    judgement = judged(page, tiou)
    return {
        "video": utf8(page.result.video),
        "duration_ms": max(1, round(page.result.duration_s * 1000)),
        "columns": COLUMNS,
        "score_decimals": SCORE_DECIMALS,
        "labels": [
            {"name": utf8(label), "colour": styles[label].colour, "pattern": styles[label].pattern}
            | {"ink": styles[label].ink}
            for label in labels
        ],
        "segments": _segments(page.result.detections, number, judgement),
        "truth": None if judgement is None else _truth(page.truth or (), number, judgement),
        "truth_sought": utf8(page.truth_file or "") if judgement is None else "",
        "tiou": tiou,
        "curves": None if page.curves is None else _curves(page.curves, number),
    }


def _segments(
    detections: Sequence[Detection], number: Mapping[str, int], judgement: Judgement | None
) -> list[list[int | float]]:
    """Class, start, end, score; with ground truth also the instance taken (or -1) and the tIoU."""
    rows: list[list[int | float]] = []
    for place, detection in enumerate(detections):
        # Adding zero turns a rounded "-0" into "0".
        score = round(detection.score, SCORE_DECIMALS) + 0.0
        rows.append([number[detection.label], *_milliseconds(detection.segment), score])
        if judgement is not None:
            rows[-1] += [judgement.instance_of[place], round(judgement.overlap[place], 4)]
    return rows


def _truth(truth: Sequence[Detection], number: Mapping[str, int], judgement: Judgement) -> list[list[int]]:
    """Class, start, end, and the segment that took it (or -1)."""
    return [
        [number[instance.label], *_milliseconds(instance.segment), taker]
        for instance, taker in zip(truth, judgement.segment_of, strict=True)
    ]


def _curves(curves: Curves, number: Mapping[str, int]) -> dict[str, Any]:
    return {
        "times_ms": np.round(curves.times_s * 1000).astype(int).tolist(),
        "labels": [number[label] for label in curves.labels],
        "activations": [_packed(values) for values in curves.activations_TK.T],
        "attention": None if curves.attention_T is None else _packed(curves.attention_T),
        "steps": CURVE_STEPS,
        "alphas": curves.alphas,
        "betas": curves.betas,
    }


def _packed(values_T: Float[np.ndarray, " t"]) -> str:
    """Numbers from 0 to 1 as little-endian 16-bit steps in base64."""
    steps = np.round(values_T.astype(np.float64).clip(0, 1) * CURVE_STEPS)
    return base64.b64encode(steps.astype("<u2").tobytes()).decode("ascii")


def _milliseconds(segment: Segment) -> tuple[int, int]:
    """Bounds as our CSV rounds them: a segment never becomes empty."""
    start_ms = round(segment.start_s * 1000)
    return start_ms, max(round(segment.end_s * 1000), start_ms + 1)
