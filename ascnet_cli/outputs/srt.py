r"""Segments as SubRip subtitles (.srt): a cue a segment, `label (0.73)`, also where they overlap.

SubRip has no standard and no escapes. Players take `<...>` and `{...}` for markup, so these brackets become
‹ › ( ), and readers take two times on a line for those of a cue, so their colons become ∶. What else a line
cannot carry becomes a visible escape (a line break `\n`). Times have milliseconds, scores two decimals. One
file is one video.
"""

import re
from collections.abc import Sequence

from ascnet_cli.outputs.cues import clock, cue_label, cue_text, read_cues
from ascnet_cli.outputs.text import TextSink, TextSource, in_order, milliseconds, one_video, rewritten
from ascnet_cli.segments import Detection, VideoDetections

# Readers take any line with two of these for the times of a cue, whatever stands between them.
_TIME = re.compile(r"\d+:\d+:\d+[.,]\d")
_SAFE = str.maketrans("<>{}", "‹›()")


def write(results: Sequence[VideoDetections], file: TextSink) -> None:
    """Write the segments of one video, by start, end, label.

    Args:
        results: one video.
        file: open for text, with `newline=""`.

    Raises:
        ValueError: not one video.
    """
    for number, detection in enumerate(in_order(one_video(results, "srt").detections, label_in), start=1):
        start_ms, end_ms = milliseconds(detection.segment)
        text = cue_text(label_in(detection.label), detection.score)
        file.write(f"{number}\n{clock(start_ms, ',')} --> {clock(end_ms, ',')}\n{text}\n\n")


def label_in(label: str) -> str:
    """A label as SubRip can carry it."""
    return _TIME.sub(lambda time: time[0].replace(":", "∶"), cue_label(label).translate(_SAFE))


def read(file: TextSource, name: str = "<stream>") -> dict[str, tuple[Detection, ...]]:
    """Read what `write` wrote, or other subtitles of that kind: see `cues.read_cues`.

    Raises:
        PredictionsError: times that are none, a cue that ends before it begins, or one without text.
    """
    return read_cues(file, name, lambda text: text)


def is_ours(text: str) -> bool:
    """Whether the text is as `write` leaves it: not saved by another program since."""
    return rewritten(text, read, write) == text
