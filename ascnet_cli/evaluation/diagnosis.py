"""Why the numbers are what they are: false positives by kind, and recall by instance length.

False positives. For each class with G instances, the first 10 G predictions by falling score, in ten slices
of G. A prediction that takes an instance at the tIoU threshold t is a true positive; every other one is the
first of these that applies, with the tIoU to any instance of its video, taken or not:

    double detection   at least t with an instance of its class (another prediction took it)
    wrong label        at least t with an instance of another class
    localization       at least 0.1 with an instance of its class
    confusion          at least 0.1 with an instance of another class
    background         none of these

The gain of a kind is how much mAP at t rises when the false positives of this kind are taken away.

Recall. An instance is found at a threshold if any prediction takes it there, whatever its score; instances go
by length into classes.

Source: H. Alwassel et al., "Diagnosing Error in Temporal Action Detectors" (ECCV 2018).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ascnet_cli.evaluation.columns import Columns
from ascnet_cli.evaluation.detection import evaluate_columns, match_classes, rows_of_class
from ascnet_cli.evaluation.matching import pairwise_tiou
from ascnet_cli.evaluation.protocols import Case

TRUE_POSITIVE = "true positive"
DOUBLE, LABEL, LOCALIZATION = "double detection", "wrong label", "localization"
CONFUSION, BACKGROUND = "confusion", "background"
FALSE_POSITIVES = (DOUBLE, LABEL, LOCALIZATION, CONFUSION, BACKGROUND)
KINDS = (TRUE_POSITIVE, *FALSE_POSITIVES)
SLICES = 10
_TOUCHES = 0.1  # tIoU below which a prediction has nothing to do with an instance
_FIFTHS = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, slots=True)
class LengthClass:
    """Instances of similar length.

    Attributes:
        from_s: longer than this, seconds.
        to_s: up to and including this, seconds; infinite for the last class.
        n_instances: how many.
        recall: share of them that was found, for each threshold; empty where there are none.
    """

    from_s: float
    to_s: float
    n_instances: int
    recall: tuple[float, ...]

    @property
    def name(self) -> str:
        """Its bounds in words."""
        return f"over {self.from_s:g} s" if np.isinf(self.to_s) else f"{self.from_s:g} to {self.to_s:g} s"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What predictions get wrong.

    Attributes:
        tiou: the threshold at which false positives were sorted.
        counts: kind to its number in each of the ten slices.
        gains: kind of false positive to the mAP that is gained without it, as a fraction.
        tious: thresholds of the recalls.
        lengths: classes of instance length, short ones first.
    """

    tiou: float
    counts: Mapping[str, tuple[int, ...]]
    gains: Mapping[str, float]
    tious: tuple[float, ...]
    lengths: tuple[LengthClass, ...]


def diagnose(case: Case, tiou: float = 0.5) -> Diagnosis:
    """Sort false positives by kind and instances by length.

    Args:
        case: what was judged.
        tiou: threshold for the kinds; above 0.1.

    Raises:
        PredictionsError: there is no ground truth.
        ValueError: the threshold is out of range.
    """
    if not _TOUCHES < tiou <= 1:
        raise ValueError(f"the threshold must lie in ({_TOUCHES}, 1], not {tiou}")
    columns = case.columns
    base = evaluate_columns(columns, case.evaluated, [tiou]).map[0]
    kind_P, slice_P = _sort_predictions(columns, tiou)
    counts = {
        kind: tuple(np.bincount(slice_P[kind_P == place], minlength=SLICES).tolist())
        for place, kind in enumerate(KINDS)
    }
    gains = {
        kind: evaluate_columns(columns.keep(kind_P != place), case.evaluated, [tiou]).map[0] - base
        for place, kind in enumerate(KINDS)
        if kind in FALSE_POSITIVES
    }
    lengths = _recall_by_length(case)
    return Diagnosis(tiou, counts, gains, case.protocol.tious, lengths)


def _sort_predictions(
    columns: Columns, tiou: float
) -> tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " p"]]:
    """Place in `KINDS` and slice of each prediction; -1 for those beyond the slices."""
    kind_P = np.full(len(columns.found), -1, dtype=np.int64)
    slice_P = np.full(len(columns.found), -1, dtype=np.int64)
    found_of = rows_of_class(columns.found.label)
    number_of = {label: number for number, label in enumerate(columns.labels)}
    for label, matches in match_classes(columns, [tiou]).items():
        if not len(matches.order):
            continue
        taken_M = matches.taken[0]
        n_truth = len(taken_M)
        ranked = found_of[number_of[label]][matches.order]
        first = ranked[: SLICES * n_truth]
        slice_P[first] = np.arange(len(first)) // n_truth
        kind_P[first] = KINDS.index(BACKGROUND)
        hits = taken_M[(taken_M >= 0) & (taken_M < len(first))]
        kind_P[ranked[hits]] = KINDS.index(TRUE_POSITIVE)
    same_P, other_P = _nearest(columns, kind_P == KINDS.index(BACKGROUND))
    wrong_P = kind_P == KINDS.index(BACKGROUND)
    # Later lines go before earlier ones.
    kind_P[wrong_P & (other_P >= _TOUCHES)] = KINDS.index(CONFUSION)
    kind_P[wrong_P & (same_P >= _TOUCHES)] = KINDS.index(LOCALIZATION)
    kind_P[wrong_P & (other_P >= tiou)] = KINDS.index(LABEL)
    kind_P[wrong_P & (same_P >= tiou)] = KINDS.index(DOUBLE)
    return kind_P, slice_P


def _nearest(
    columns: Columns, which: Bool[np.ndarray, " p"]
) -> tuple[Float64[np.ndarray, " p"], Float64[np.ndarray, " p"]]:
    """The largest tIoU of some predictions with an instance of their class, and with one of another."""
    same_P, other_P = np.zeros(len(which)), np.zeros(len(which))
    rows = np.flatnonzero(which)
    truth_of = rows_of_class(columns.truth.video)
    for video, places in rows_of_class(columns.found.video[rows]).items():
        if video not in truth_of:
            continue
        found, truth = columns.found.rows(rows[places]), columns.truth.rows(truth_of[video])
        tiou_PM = pairwise_tiou(found, truth)
        is_same_PM = found.label[:, None] == truth.label
        same_P[rows[places]] = np.where(is_same_PM, tiou_PM, 0.0).max(axis=1)
        other_P[rows[places]] = np.where(is_same_PM, 0.0, tiou_PM).max(axis=1)
    return same_P, other_P


def _recall_by_length(case: Case) -> tuple[LengthClass, ...]:
    truth, tious = case.columns.truth, case.protocol.tious
    truth_of = rows_of_class(truth.label)
    number_of = {label: number for number, label in enumerate(case.columns.labels)}
    found_KM = np.zeros((len(tious), len(truth)), dtype=bool)
    for label, matches in match_classes(case.columns, tious).items():
        found_KM[:, truth_of[number_of[label]]] = matches.taken >= 0
    length_s = (truth.end - truth.start) * case.unit_s
    edges_s = [0.0, *(case.protocol.length_edges_s or _fifths(length_s)), np.inf]
    classes = []
    for from_s, to_s in itertools.pairwise(edges_s):
        inside_M = (length_s > from_s) & (length_s <= to_s)
        if from_s == 0:
            inside_M |= length_s == 0  # rounded away, and so the shortest
        n_inside = int(inside_M.sum())
        recall = tuple(found_KM[:, inside_M].mean(axis=1).tolist()) if n_inside else ()
        classes.append(LengthClass(float(from_s), float(to_s), n_inside, recall))
    return tuple(classes)


def _fifths(length_s: Float64[np.ndarray, " m"]) -> Sequence[float]:
    """Bounds between five classes of equally many instances, in three digits, each once."""
    edges_s = {float(f"{edge:.3g}") for edge in np.quantile(length_s, _FIFTHS).tolist()}
    return sorted(edge for edge in edges_s if 0 < edge < length_s.max())
