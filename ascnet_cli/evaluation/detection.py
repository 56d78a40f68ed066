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

An empty segment cannot occur: `Segment` refuses it.

Source: "ActivityNet Challenge 2016" detection task and its public evaluation; AP: M. Everingham et al.,
"The PASCAL Visual Object Classes Challenge: A Retrospective", section 3.2 (2015).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from ascnet_cli.errors import PredictionsError
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
    truth_by_class: dict[str, dict[str, list[Segment]]] = defaultdict(lambda: defaultdict(list))
    for video, instances in ground_truth.items():
        for label, segment in instances:
            truth_by_class[label][video].append(segment)
    if not truth_by_class:
        raise PredictionsError(
            f"no ground truth to evaluate against: {len(ground_truth)} videos, none with a segment",
            hint="check that the annotations are those of the right data set and subset",
        )
    found_by_class: dict[str, dict[str, list[Detection]]] = defaultdict(lambda: defaultdict(list))
    for video, detections in predictions.items():
        for detection in detections:
            found_by_class[detection.label][video].append(detection)

    labels = sorted(truth_by_class)
    ap_CK = np.stack([average_precision(truth_by_class[c], found_by_class.get(c, {}), tious) for c in labels])
    map_K = ap_CK.mean(axis=0)
    return EvaluationResult(
        tious=tuple(float(tiou) for tiou in tious),
        per_class={label: tuple(ap_K.tolist()) for label, ap_K in zip(labels, ap_CK, strict=True)},
        instances={c: sum(len(segments) for segments in truth_by_class[c].values()) for c in labels},
        map=tuple(map_K.tolist()),
        average=float(map_K.mean()),
        n_videos=len(ground_truth),
        n_predictions=sum(len(found) for c in labels for found in found_by_class.get(c, {}).values()),
        absent_classes=tuple(sorted(set(classes) - set(labels))),
        unknown_labels=tuple(sorted(set(found_by_class) - set(labels) - set(classes))),
        unknown_videos=tuple(sorted(video for video in predictions if video not in ground_truth)),
    )


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
    if not len(tious) or not all(0 < tiou <= 1 for tiou in tious):
        raise ValueError(f"tIoU thresholds must lie in (0, 1], at least one: not {tuple(tious)}")
    n_truth = sum(len(segments) for segments in ground_truth.values())
    if n_truth == 0:
        raise ValueError("average precision is not defined for a class without ground truth")

    videos = sorted(video for video, found in predictions.items() if found)
    scores: list[float] = []
    hits: list[Bool[np.ndarray, "k p"]] = [np.zeros((len(tious), 0), dtype=bool)]
    for video in videos:
        found = sorted(predictions[video], key=lambda d: (-d.score, d.segment))
        scores.extend(detection.score for detection in found)
        hits.append(_match([d.segment for d in found], sorted(ground_truth.get(video, ())), tious))
    # Stable: within equal scores the order of the videos' names, starts and ends stays.
    by_score = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    return _interpolated(np.concatenate(hits, axis=1)[:, by_score], n_truth)


def _match(
    found: Sequence[Segment], truth: Sequence[Segment], tious: Sequence[float]
) -> Bool[np.ndarray, "k p"]:
    """Which predictions of one class in one video are true positives (point 2 above).

    Args:
        found: P predictions in the order in which they may choose.
        truth: M ground-truth segments; of equally good ones the first is taken.
        tious: K thresholds.
    """
    hits_KP = np.zeros((len(tious), len(found)), dtype=bool)
    if not truth or not found:
        return hits_KP
    tiou_PM = _pairwise_tiou(found, truth)
    reaches_KPM = tiou_PM >= np.asarray(tious, dtype=np.float64)[:, None, None]
    free_KM = np.ones((len(tious), len(truth)), dtype=bool)
    rows_K = np.arange(len(tious))
    for p in np.flatnonzero(reaches_KPM.any(axis=(0, 2))):
        open_KM = reaches_KPM[:, p] & free_KM
        best_K = np.where(open_KM, tiou_PM[p], -1.0).argmax(axis=1)
        hits_KP[:, p] = open_KM[rows_K, best_K]
        free_KM[rows_K, best_K] &= ~hits_KP[:, p]
    return hits_KP


def _pairwise_tiou(found: Sequence[Segment], truth: Sequence[Segment]) -> Float64[np.ndarray, "p m"]:
    """`Segment.tiou` of each prediction with each ground-truth segment."""
    found_P2 = np.asarray([(s.start_s, s.end_s) for s in found], dtype=np.float64)
    truth_M2 = np.asarray([(s.start_s, s.end_s) for s in truth], dtype=np.float64)
    overlap_PM = np.minimum(found_P2[:, None, 1], truth_M2[:, 1]) - np.maximum(
        found_P2[:, None, 0], truth_M2[:, 0]
    )
    lengths_PM = (found_P2[:, 1] - found_P2[:, 0])[:, None] + (truth_M2[:, 1] - truth_M2[:, 0])
    overlap_PM = overlap_PM.clip(min=0.0)
    return np.asarray(overlap_PM / (lengths_PM - overlap_PM), dtype=np.float64)


def _interpolated(hits_KP: Bool[np.ndarray, "k p"], n_truth: int) -> Float64[np.ndarray, " k"]:
    """Area under the interpolated precision over recall (point 3 above), predictions by falling score."""
    true_KP = np.cumsum(hits_KP, axis=1)
    precision_KP = true_KP / np.arange(1, hits_KP.shape[1] + 1)
    best_KP = np.maximum.accumulate(precision_KP[:, ::-1], axis=1)[:, ::-1]
    # Recall rises by 1 / n_truth at each true positive and nowhere else.
    return np.asarray((best_KP * hits_KP).sum(axis=1) / n_truth, dtype=np.float64)
