"""Localization of one video against loops over thresholds and proposals, in the same run.

    python -m tests.bench.localization_speed

The loops are the shape that public code for this task has: for each class and each threshold the indices
above it, grouped into lists of neighbours; for each list a mean inside and a mean outside; then non-maximum
suppression that takes one proposal a turn and compares it with all that are left. They get the same scores
and the same constants, and must find the same segments with the same scores. Both take turns: a change of
the machine's speed hits both. Times are of the processor (both use one core), so that what other programs
take of a busy machine is not counted.

Scores are noise, smoothed over a number of snippets that each line says: 5 is about as restless as a
network's scores are, 1 is no smoothing at all, which gives the most proposals.
"""

from __future__ import annotations

import math
import statistics
import time

import numpy as np

from ascnet_cli.config_localization import localization_config
from ascnet_cli.localization.proposals import TimeAxis, localize

SNIPPET_S = 0.64
ROUNDS = 9
VIDEOS_A_ROUND = 5  # ours alone: the loops take long enough


def smooth_noise(generator, n_rows, n_snippets, smoothed):
    """Rows of numbers in (0, 1) that change over about `smoothed` snippets."""
    window = np.hanning(smoothed + 2)[1:-1]
    noise = generator.normal(size=(n_rows, n_snippets + smoothed))
    rows = np.stack([np.convolve(row, window, "valid")[:n_snippets] for row in noise])
    return 1 / (1 + np.exp(-2 * rows / rows.std()))


def scores(n_snippets, n_classes, smoothed):
    generator = np.random.default_rng(0)
    attention = smooth_noise(generator, 1, n_snippets, smoothed)[0].astype(np.float32)
    cas = smooth_noise(generator, n_classes, n_snippets, smoothed).T.astype(np.float32)
    return cas, attention, np.linspace(0.5, 0.9, n_classes, dtype=np.float32)


def grouped(indices):
    """Lists of indices that follow one another."""
    groups, last = [], None
    for index in indices:
        if last is None or index != last + 1:
            groups.append([])
        groups[-1].append(index)
        last = index
    return groups


def by_loops(cas, attention, video, config):
    """Class, start, end and score of what stays, and how many proposals there were."""
    n_snippets, n_cells = len(cas), len(cas) * config.upsample
    cell_s = SNIPPET_S / config.upsample
    places = (np.arange(n_cells) + 0.5) / config.upsample - 0.5
    found, n_proposals = [], 0
    for c in range(cas.shape[1]):
        if video[c] <= config.class_threshold:
            continue
        score_cells = np.interp(places, np.arange(n_snippets), cas[:, c])
        attention_cells = np.interp(places, np.arange(n_snippets), attention)
        proposals = {}
        for cells, thresholds in ((score_cells, config.alphas), (attention_cells, config.betas)):
            for threshold in thresholds:
                for group in grouped(np.where(cells >= threshold)[0]):
                    if len(group) < config.min_cells:
                        continue
                    inner = np.mean(score_cells[group])
                    reach = math.ceil(len(group) * config.outer_fraction - 1e-6)
                    outside = list(range(max(0, group[0] - reach), group[0]))
                    outside += list(range(group[-1] + 1, min(n_cells, group[-1] + 1 + reach)))
                    outer = np.mean(score_cells[outside]) if outside else 0.0
                    score = inner - outer + config.gamma * float(video[c])
                    proposals[group[0] * cell_s, (group[-1] + 1) * cell_s] = score
        n_proposals += len(proposals)
        found += [(c, *kept) for kept in nms_by_loop(proposals, config.nms_tiou)]
    return found, n_proposals


def nms_by_loop(proposals, tiou):
    spans, score = np.array(list(proposals)), np.array(list(proposals.values()))
    start, end = spans[:, 0], spans[:, 1]
    order, kept = score.argsort()[::-1], []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append((start[best], end[best], score[best]))
        overlap = np.maximum(0, np.minimum(end[best], end[rest]) - np.maximum(start[best], start[rest]))
        union = (end[best] - start[best]) + (end[rest] - start[rest]) - overlap
        order = rest[overlap / union < tiou]
    return kept


def check_equal(detections, looped) -> None:
    ours = sorted((int(d.label), d.segment.start_s, d.segment.end_s, d.score) for d in detections)
    if len(ours) != len(looped) or not np.allclose(ours, sorted(looped), rtol=0, atol=1e-9):
        raise SystemExit(f"not equal: {len(ours)} and {len(looped)} segments")


def measure(dataset, n_snippets, n_classes, smoothed, rounds) -> None:
    cas, attention, video = scores(n_snippets, n_classes, smoothed)
    labels = [str(c) for c in range(n_classes)]
    axis = TimeAxis(
        first_s=SNIPPET_S / 2, step_s=SNIPPET_S, window_s=SNIPPET_S, duration_s=n_snippets * SNIPPET_S
    )
    config = localization_config("fixed", dataset)
    ours, ratios = [], []
    for turn in range(rounds + 1):
        took = []
        for _ in range(VIDEOS_A_ROUND):
            started = time.process_time()
            detections = localize(cas, attention, video, labels, axis, config)
            took.append(time.process_time() - started)
        started = time.process_time()
        looped, n_proposals = by_loops(cas, attention, video, config)
        loop_took = time.process_time() - started
        check_equal(detections, looped)
        if turn:
            ours.append(statistics.median(took))
            ratios.append(loop_took / ours[-1])
    print(
        f"T = {n_snippets}, {n_classes} classes, {len(config.alphas) + len(config.betas)} thresholds,"
        f" smoothed over {smoothed}: {n_proposals} proposals, {len(detections)} segments:"
        f" {statistics.median(ours) * 1e3:.1f} ms (most {max(ours) * 1e3:.1f}),"
        f" {statistics.median(ratios):.0f} times faster than the loops (least {min(ratios):.0f}); equal"
    )


def main() -> None:
    for smoothed in (1, 5, 25):
        measure("thumos14", 750, 2, smoothed, ROUNDS)
    for smoothed in (1, 5):
        measure("activitynet13", 75, 200, smoothed, ROUNDS)


if __name__ == "__main__":
    main()
