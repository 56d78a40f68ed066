"""Segments as WebVTT (.vtt), for `<track>` in browsers: a cue a segment, `label (0.73)`.

`&`, `<` and `>` are written as WebVTT's references, so that a label can neither be markup nor end a cue; what
else a line cannot carry becomes a visible escape. Times have milliseconds, scores two decimals. One file is
one video. https://www.w3.org/TR/webvtt1/
"""

import html
from collections.abc import Sequence

from ascnet_cli.outputs.cues import clock, cue_label, cue_text, read_cues
from ascnet_cli.outputs.text import TextSink, TextSource, in_order, milliseconds, one_video, rewritten
from ascnet_cli.segments import Detection, VideoDetections


def write(results: Sequence[VideoDetections], file: TextSink) -> None:
    """Write the segments of one video, by start, end, label.

    Args:
        results: one video.
        file: open for text, with `newline=""`.

    Raises:
        ValueError: not one video.
    """
    detections = in_order(one_video(results, "vtt").detections, cue_label)
    file.write("WEBVTT\n")
    for number, detection in enumerate(detections, start=1):
        start_ms, end_ms = milliseconds(detection.segment)
        text = cue_text(html.escape(cue_label(detection.label), quote=False), detection.score)
        file.write(f"\n{number}\n{clock(start_ms, '.')} --> {clock(end_ms, '.')}\n{text}\n")


def read(file: TextSource, name: str = "<stream>") -> dict[str, tuple[Detection, ...]]:
    """Read what `write` wrote, or other WebVTT files with a cue a segment: see `cues.read_cues`.

    Raises:
        PredictionsError: times that are none, a cue that ends before it begins, or one without text.
    """
    return read_cues(file, name, html.unescape)


def is_ours(text: str) -> bool:
    """Whether the text is as `write` leaves it: not saved by another program since."""
    return rewritten(text, read, write) == text
