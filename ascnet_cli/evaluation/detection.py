"""Mean average precision of segments, as ActivityNet's detection protocol defines it.

This docstring is the specification.

Times are in the same unit, normally seconds, on both sides; nothing is rounded. For one class and one
threshold on the temporal IoU (tIoU):

1. The predictions of the class in all videos are taken by falling score. Equal scores: by the video's
   name, then earlier start, then earlier end. So the order of the input never matters.
2. Each prediction takes, of the ground-truth segments of its class in its video that no earlier
   prediction took, the one with the largest tIoU, if that is at least the threshold (exactly the
   threshold counts; no tolerance is added). Equal tIoU: the one that starts, then ends, earlier.
   It is then a true positive, otherwise a false positive. A second prediction for a segment that was
   taken is a false positive, unless another free segment reaches the threshold.
3. Average precision (AP) is the area under precision over recall, where the precision at each recall
   is the largest one at that recall or any higher one (all points, as PASCAL VOC has it since 2010).

Then:

4. AP is 0 for a class with ground truth and no predictions.
5. mAP at a threshold is the mean of AP over the classes with at least one ground-truth segment.
   Classes without any do not enter; those that the caller knows of are named in the result.
6. The average is the mean of mAP over the thresholds.
7. Videos without ground truth count as evaluated when the ground truth lists them (with no segment).
   Predictions in videos that the ground truth does not list are false positives of their class, and
   the videos are named in the result. Predictions with a label that is no class change no AP, and
   the labels are named in the result. No name is ever merged with a similar one. Whether either is an
   error is for the caller to say.
8. Without any ground truth at all there is no mAP: an error.

A `Segment` is never empty. Rounded to snippets (`protocols`, `wtalc`) an instance can be: its tIoU with
anything is 0, so that it counts as one that was not found; an empty prediction is a false positive.

Source: "ActivityNet Challenge 2016" detection task and its public evaluation; AP: M. Everingham et al.,
"The PASCAL Visual Object Classes Challenge: A Retrospective", section 3.2 (2015).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from ascnet_cli.errors import PredictionsError
from ascnet_cli.evaluation.columns import Columns, to_columns
from ascnet_cli.evaluation.matching import Matches, match
from ascnet_cli.segments import Detection, Segment


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """How good predictions are.

    Attributes:
        tious: the K thresholds, in the order they were asked for.
        per_class: class name to its K average precisions, as fractions; by name.
        instances: class name to its number of ground-truth segments.
        map: the K means over the classes.
        average: the mean of `map`.
        n_videos: videos that the ground truth lists.
        n_predictions: predictions that were counted: those with a label that has ground truth.
        absent_classes: classes that the caller knows of and that have no ground truth; not in the mean.
        unknown_labels: labels of predictions that are no class; they changed nothing.
        unknown_videos: videos of predictions that the ground truth does not list; false positives.
    """

    tious: tuple[float, ...]
    per_class: Mapping[str, tuple[float, ...]]
    instances: Mapping[str, int]
    map: tuple[float, ...]
    average: float
    n_videos: int
    n_predictions: int
    absent_classes: tuple[str, ...]
    unknown_labels: tuple[str, ...]
    unknown_videos: tuple[str, ...]


def evaluate(
    ground_truth: Mapping[str, Sequence[tuple[str, Segment]]],
    predictions: Mapping[str, Sequence[Detection]],
    tious: Sequence[float],
    *,
    classes: Iterable[str] = (),
) -> EvaluationResult:
    """Mean average precision over all classes (points 1 to 8 above).

    Args:
        ground_truth: video name to (class, segment) pairs; a video without any is listed, empty.
        predictions: video name to what was found there.
        tious: thresholds, each in (0, 1].
        classes: names that are classes even where no ground truth has them.

    Raises:
        PredictionsError: there is no ground truth.
        ValueError: thresholds are missing or out of range.
    """
    return evaluate_columns(to_columns(ground_truth, predictions), ground_truth, tious, classes=classes)


def evaluate_columns(
    columns: Columns, evaluated: Iterable[str], tious: Sequence[float], *, classes: Iterable[str] = ()
) -> EvaluationResult:
    """The same for many predictions at once, without an object for each.

    Args:
        columns: ground truth and predictions.
        evaluated: names of the videos that the ground truth lists, those without any instance too.
        tious: thresholds, each in (0, 1].
        classes: names that are classes even where no ground truth has them.

    Raises:
        PredictionsError: there is no ground truth.
        ValueError: thresholds are missing or out of range.
    """
    listed = set(evaluated)
    if not len(columns.truth):
        raise PredictionsError(
            f"no ground truth to evaluate against: {len(listed)} videos, none with a segment",
            hint="check that the annotations are those of the right data set and subset",
        )
    matches = match_classes(columns, tious)
    labels = list(matches)
    ap_CK = np.stack([found.average_precision() for found in matches.values()])
    map_K = ap_CK.mean(axis=0)
    predicted = {columns.labels[number] for number in np.unique(columns.found.label)}
    return EvaluationResult(
        tious=tuple(float(tiou) for tiou in tious),
        per_class={label: tuple(ap_K.tolist()) for label, ap_K in zip(labels, ap_CK, strict=True)},
        instances={label: found.taken.shape[1] for label, found in matches.items()},
        map=tuple(map_K.tolist()),
        average=float(map_K.mean()),
        n_videos=len(listed),
        n_predictions=sum(len(found.order) for found in matches.values()),
        absent_classes=tuple(sorted(set(classes) - set(labels))),
        unknown_labels=tuple(sorted(predicted - set(labels) - set(classes))),
        unknown_videos=tuple(sorted(set(columns.videos) - listed)),
    )


def match_classes(columns: Columns, tious: Sequence[float]) -> dict[str, Matches]:
    """Who took whom, for each class with ground truth, by name.

    `Matches` speaks of the class's own rows: `rows_of_class` says which of all rows these are.

    Raises:
        ValueError: thresholds are missing or out of range.
    """
    truth_of, found_of = rows_of_class(columns.truth.label), rows_of_class(columns.found.label)
    nothing = np.zeros(0, dtype=np.int64)
    matches: dict[str, Matches] = {}
    for number, rows in truth_of.items():
        found = found_of.get(number, nothing)
        matches[columns.labels[number]] = match(
            columns.truth.rows(rows), columns.found.rows(found), columns.score[found], tious
        )
    return matches


def rows_of_class(label: Int64[np.ndarray, " n"]) -> dict[int, Int64[np.ndarray, " m"]]:
    """The rows of each class that has some, classes and rows rising."""
    rows = np.argsort(label, kind="stable")
    numbers, begins = np.unique(label[rows], return_index=True)
    ends = np.append(begins, len(rows))[1:]
    return {
        number: rows[begin:end]
        for number, begin, end in zip(numbers.tolist(), begins.tolist(), ends.tolist(), strict=True)
    }


def average_precision(
    ground_truth: Mapping[str, Sequence[Segment]],
    predictions: Mapping[str, Sequence[Detection]],
    tious: Sequence[float],
) -> Float64[np.ndarray, " k"]:
    """Average precision of one class at each threshold (points 1 to 4 above).

    Args:
        ground_truth: video name to the class's segments; at least one in all.
        predictions: video name to what was found of the class.
        tious: thresholds, each in (0, 1].

    Raises:
        ValueError: there is no ground truth, or thresholds are missing or out of range.
    """
    named = {video: [("", segment) for segment in segments] for video, segments in ground_truth.items()}
    columns = to_columns(named, predictions)
    return match(columns.truth, columns.found, columns.score, tious).average_precision()
