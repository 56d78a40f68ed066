"""Average precision against a loop over predictions, and at the size of the largest benchmark.

    python -m tests.bench.evaluation_speed

The loop is the shape that public evaluation code has: a table (pandas) of instances by video, one look-up
and one pass over the thresholds for each prediction. pandas is needed for it alone. Both get the same
numbers, and must give the same averages. They take turns: a change of the machine's speed hits both.

The large sizes are ActivityNet-1.3's 200 classes, 4,400 videos and 10 thresholds, with 100 predictions a
video, and with 100 predictions for each class in each video, one class after the other.
"""

from __future__ import annotations

import resource
import statistics
import time

import numpy as np

from ascnet_cli.evaluation.columns import Columns, Spans
from ascnet_cli.evaluation.detection import average_precision, evaluate_columns
from ascnet_cli.evaluation.matching import match
from ascnet_cli.segments import Detection, Segment

ROUNDS = 5
TIOUS = tuple(k / 10 for k in range(1, 10))
ACTIVITYNET_TIOUS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))


def spans(generator, n):
    start = generator.uniform(0, 200, n)
    return start, start + generator.uniform(1, 20, n)


def one_class(seed, n_found=2000, n_videos=15, n_truth=150):
    """Ground truth and predictions of one class, half of the latter near an instance."""
    generator = np.random.default_rng(seed)
    truth_video = generator.integers(0, n_videos, n_truth)
    truth_start, truth_end = spans(generator, n_truth)
    near = generator.integers(0, n_truth, n_found)
    is_near = generator.random(n_found) < 0.5
    start, end = spans(generator, n_found)
    shifted_start = np.abs(truth_start[near] + generator.normal(0, 2, n_found))
    shifted_end = np.maximum(truth_end[near] + generator.normal(0, 2, n_found), shifted_start + 0.5)
    start, end = np.where(is_near, shifted_start, start), np.where(is_near, shifted_end, end)
    video = np.where(is_near, truth_video[near], generator.integers(0, n_videos, n_found))
    score = generator.permutation(n_found) / n_found
    return (truth_video, truth_start, truth_end), (video, start, end, score)


def by_pandas_loop(truth, found, tious):
    import pandas

    truth = pandas.DataFrame(dict(zip(("video", "start", "end"), truth, strict=True)))
    found = pandas.DataFrame(dict(zip(("video", "start", "end", "score"), found, strict=True)))
    found = found.sort_values("score", ascending=False).reset_index(drop=True)
    grouped = truth.groupby("video")
    taken = np.full((len(tious), len(truth)), -1)
    hits = np.zeros((len(tious), len(found)))
    for rank, row in found.iterrows():
        try:
            there = grouped.get_group(row["video"]).reset_index()
        except KeyError:
            continue
        overlap = np.minimum(row["end"], there["end"].values) - np.maximum(
            row["start"], there["start"].values
        )
        overlap = overlap.clip(0)
        union = (there["end"].values - there["start"].values) + (row["end"] - row["start"]) - overlap
        tiou = overlap / union
        for k, threshold in enumerate(tious):
            for place in tiou.argsort()[::-1]:
                if tiou[place] < threshold:
                    break
                instance = there.loc[place]["index"]
                if taken[k, int(instance)] < 0:
                    taken[k, int(instance)] = rank
                    hits[k, rank] = 1
                    break
    true = hits.cumsum(axis=1)
    precision = true / np.arange(1, len(found) + 1)
    recall = true / len(truth)
    return [interpolated(precision[k], recall[k]) for k in range(len(tious))]


def interpolated(precision, recall):
    precision, recall = np.hstack([[0], precision, [0]]), np.hstack([[0], recall, [1]])
    for place in range(len(precision) - 1)[::-1]:
        precision[place] = max(precision[place], precision[place + 1])
    changes = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(np.sum((recall[changes] - recall[changes - 1]) * precision[changes]))


def as_objects(truth, found):
    """What the library takes: made before the clock runs, as the loop's columns are."""
    ground_truth, predictions = {}, {}
    for video, start, end in zip(*(column.tolist() for column in truth), strict=True):
        ground_truth.setdefault(f"{video:03d}", []).append(Segment(start, end))
    for video, start, end, score in zip(*(column.tolist() for column in found), strict=True):
        predictions.setdefault(f"{video:03d}", []).append(Detection("run", Segment(start, end), score))
    return ground_truth, predictions


def against_the_loop() -> None:
    ratios, ours, theirs = [], [], []
    for seed in range(ROUNDS + 1):
        truth, found = one_class(seed)
        objects = as_objects(truth, found)
        started = time.perf_counter()
        fast = average_precision(*objects, TIOUS)
        between = time.perf_counter()
        slow = by_pandas_loop(truth, found, TIOUS)
        ended = time.perf_counter()
        if not np.allclose(fast, slow, rtol=0, atol=1e-12):
            raise SystemExit(f"not equal: {fast} and {slow}")
        if seed:
            ours.append(between - started)
            theirs.append(ended - between)
            ratios.append(theirs[-1] / ours[-1])
    print(
        "2000 predictions, 15 videos, 9 thresholds:"
        f" {statistics.median(ours) * 1e3:.1f} ms, the loop {statistics.median(theirs) * 1e3:.0f} ms,"
        f" {statistics.median(ratios):.0f} times faster (least {min(ratios):.0f}); equal within 1e-12"
    )


def many(n_classes, n_videos, n_found, n_truth) -> Columns:
    """Predictions in all videos; each video has instances of one class, as in ActivityNet."""
    generator = np.random.default_rng(0)
    truth_video = generator.integers(0, n_videos, n_truth)
    truth_label = truth_video % n_classes
    truth_start, truth_end = spans(generator, n_truth)
    video = np.repeat(np.arange(n_videos), n_found // n_videos)
    label = np.where(
        generator.random(len(video)) < 0.5, video % n_classes, generator.integers(0, n_classes, len(video))
    )
    start, end = spans(generator, len(video))
    return Columns(
        videos=tuple(f"{number:06d}" for number in range(n_videos)),
        labels=tuple(f"{number:03d}" for number in range(n_classes)),
        truth=Spans(truth_video, truth_label, truth_start, truth_end),
        found=Spans(video, label, start, end),
        score=generator.random(len(video)).round(4),  # with many ties
    )


def at_once() -> None:
    columns = many(200, 4400, 440_000, 7_650)
    started = time.perf_counter()
    evaluate_columns(columns, columns.videos, ACTIVITYNET_TIOUS)
    seconds = time.perf_counter() - started
    print(f"200 classes, 4400 videos, {len(columns.found):,} predictions in all: {seconds:.1f} s")


def class_by_class() -> None:
    generator = np.random.default_rng(0)
    seconds = {"no equal scores": 0.0, "scores of 4 digits": 0.0}
    n_found, n_truth, n_videos = 440_000, 38, 4400
    video, label = np.repeat(np.arange(n_videos), 100), np.zeros(n_found, dtype=np.int64)
    for _ in range(200):
        truth_video = generator.integers(0, n_videos, n_truth)
        truth = Spans(truth_video, label[:n_truth], *spans(generator, n_truth))
        found = Spans(video, label, *spans(generator, n_found))
        score = generator.random(n_found)
        for name, values in zip(seconds, (score, score.round(4)), strict=True):
            started = time.perf_counter()
            match(truth, found, values, ACTIVITYNET_TIOUS).average_precision()
            seconds[name] += time.perf_counter() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shown = ", ".join(f"{took:.0f} s with {name}" for name, took in seconds.items())
    print(f"200 classes, each {n_found:,} predictions: {shown}; process peak {peak_mb:,.0f} MB")


def main() -> None:
    against_the_loop()
    at_once()
    class_by_class()


if __name__ == "__main__":
    main()
