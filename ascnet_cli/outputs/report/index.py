"""What the index of many videos is made of, as the values that its script reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ascnet_cli.outputs.colours import Style
from ascnet_cli.outputs.report.page import VideoPage, judged
from ascnet_cli.outputs.text import utf8


def index_document(
    pages: Sequence[VideoPage],
    urls: Sequence[str],
    thumbnails: Sequence[str],
    styles: Mapping[str, Style],
    tiou: float,
) -> dict[str, Any]:
    """The index's values as JSON can carry them.

    Args:
        pages: the videos.
        urls: where the page of each is, from the index.
        thumbnails: a data URL for each; empty where there is no picture.
        styles: of all labels of all pages.
        tiou: least temporal IoU of a match with the ground truth.
    """
    labels = sorted(styles)
    number = {label: place for place, label in enumerate(labels)}
    return {
        "labels": [
            {"name": utf8(label), "colour": styles[label].colour, "pattern": styles[label].pattern}
            for label in labels
        ],
        "tiou": tiou,
        "videos": [
            _card(page, number, tiou) | {"url": url, "thumbnail": thumbnail}
            for page, url, thumbnail in zip(pages, urls, thumbnails, strict=True)
        ],
    }


def _card(page: VideoPage, number: Mapping[str, int], tiou: float) -> dict[str, Any]:
    """Name, length, segments a class by falling number, and with ground truth how they fare."""
    detections = page.result.detections
    counts = Counter(detection.label for detection in detections)
    judgement = judged(page, tiou)
    truth = None
    if judgement is not None:
        n_matches = sum(place >= 0 for place in judgement.instance_of)
        truth = {
            "matches": n_matches,
            "false_positives": len(detections) - n_matches,
            "misses": sum(place < 0 for place in judgement.segment_of),
        }
    return {
        "name": utf8(page.result.video),
        "duration_ms": max(1, round(page.result.duration_s * 1000)),
        "counts": [
            [number[label], n] for label, n in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        ],
        "segments": [
            [number[d.label], round(d.segment.start_s * 1000), round(d.segment.end_s * 1000)]
            for d in detections
        ],
        "truth": truth,
        "truth_sought": utf8(page.truth_file or "") if truth is None else "",
    }
