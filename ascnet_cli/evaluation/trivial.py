"""Two detectors that look at no time at all: what any other must beat.

Both take what a classifier says about whole videos. One calls the whole video a segment of each class that
it is given; the other cuts it into equal pieces and calls each of them one. Neither knows when anything
happens, so what they reach is owed to the labels and to the lengths of videos and instances.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from itertools import pairwise

from ascnet_cli.segments import Detection, Segment, VideoDetections

# From a video's name to the classes that it is said to show, each with the classifier's score.
VideoScores = Mapping[str, Mapping[str, float]]


def whole_video(scores: VideoScores, durations_s: Mapping[str, float]) -> tuple[VideoDetections, ...]:
    """Each video as one segment of each of its classes, with the class's score.

    Args:
        scores: of the videos' classes.
        durations_s: seconds of each video.

    Raises:
        ValueError: a video has no duration, or one that is not positive; or a score is not finite.
    """
    return tuple(_cut(video, scores[video], _duration_s(durations_s, video), 1) for video in scores)


def uniform_pieces(
    scores: VideoScores, durations_s: Mapping[str, float], piece_s: float
) -> tuple[VideoDetections, ...]:
    """Each video cut into equal pieces, each a segment of each of its classes, with the class's score.

    Args:
        scores: of the videos' classes.
        durations_s: seconds of each video.
        piece_s: seconds of a piece, or nearly: a video gets the whole number of pieces that is closest, one
            at least.

    Raises:
        ValueError: as `whole_video`; or pieces have no length.
    """
    if not piece_s > 0:
        raise ValueError(f"pieces must be longer than 0 s, not {piece_s}")
    found = []
    for video, classes in scores.items():
        duration_s = _duration_s(durations_s, video)
        found.append(_cut(video, classes, duration_s, max(1, round(duration_s / piece_s))))
    return tuple(found)


def typical_length_s(segments: Iterable[Segment]) -> float | None:
    """The median length of instances in seconds; None where there are none.

    Labels of videos do not tell it, so that pieces of this length flatter the trivial detector.
    """
    lengths = [segment.duration_s for segment in segments]
    return statistics.median(lengths) if lengths else None


def _cut(video: str, classes: Mapping[str, float], duration_s: float, n_pieces: int) -> VideoDetections:
    bounds_s = [duration_s * (place / n_pieces) for place in range(n_pieces + 1)]
    best_first = sorted(classes.items(), key=lambda pair: (-pair[1], pair[0]))
    return VideoDetections(
        video,
        duration_s,
        tuple(
            Detection(label, Segment(start_s, end_s), score)
            for start_s, end_s in pairwise(bounds_s)
            for label, score in best_first
        ),
    )


def _duration_s(durations_s: Mapping[str, float], video: str) -> float:
    if video not in durations_s:
        raise ValueError(f"nothing says how long {video!r} is")
    return durations_s[video]
