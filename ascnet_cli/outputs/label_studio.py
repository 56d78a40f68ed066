"""Segments for Label Studio's video timeline: tasks with predictions, to be imported into a project.

A task a video; each segment is a region of `TimelineLabels` with `ranges` in whole frames, counted from 1,
the last one included (https://labelstud.io/tags/timelinelabels). Label Studio counts frames as if every
picture were shown equally long. So a frame here is `time x fps`, and `data` says which rate was assumed and
where it came from (`fps`, `frame_rate`); the configuration of the project must use the same one:
`frameRate="$fps"`. `data.label_config` is a configuration that fits, with the classes of the file in ascnet's
colours.

`data.video` is the link of Label Studio's local file serving, `/data/local-files/?d=NAME`, with the video's
name relative to its document root. Imported some other way, the link is to be changed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from ascnet_cli.errors import OptionError, PredictionsError
from ascnet_cli.outputs.activitynet import GENERATOR, generator_version, is_laid_out, json_text, parse_json
from ascnet_cli.outputs.colours import styles_of
from ascnet_cli.outputs.media import LARGEST_FPS, Media
from ascnet_cli.outputs.text import TextSink, TextSource, unique_videos, utf8, visible
from ascnet_cli.segments import Detection, Segment, VideoDetections

FROM_NAME, TO_NAME = "actions", "video"  # of the tags in the project's configuration
_ROUNDING = Fraction(1, 1_000_000)
_XML = {"'": "&apos;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_LOCAL_FILES = "/data/local-files/?d="


def write(
    results: Sequence[VideoDetections], file: TextSink, *, media: Mapping[str, Media] | None = None
) -> None:
    """Write a task a video, by name, with its segments by start, end, label.

    Args:
        results: each video once; any order.
        file: open for text.
        media: by the video's name: its frame rate.

    Raises:
        ValueError: a video is there twice.
        OptionError: the frame rate of a video is not known.
    """
    unique_videos(results)
    known = media or {}
    config = labelling_config({d.label for result in results for d in result.detections})
    ordered = sorted(results, key=lambda result: result.video)
    file.write(json_text([_task(result, known.get(result.video, Media()), config) for result in ordered]))


def read(file: TextSource, name: str = "<stream>") -> dict[str, tuple[Detection, ...]]:
    """Read what `write` wrote, or an export of the project as JSON, where annotations go before predictions.

    Args:
        file: open for text.
        name: what to call the file in errors.

    Returns:
        Video name to its segments, by task; a region without a score has the score 1.

    Raises:
        PredictionsError: not JSON, or a part is missing or of another type.
    """
    tasks = parse_json(file.read(), name)
    if not isinstance(tasks, list):
        raise PredictionsError(f"{name}: not a list of tasks", hint="export the project as JSON")
    found: dict[str, tuple[Detection, ...]] = {}
    for number, task in enumerate(tasks):
        where = f"{name}: task {number + 1}"
        try:
            data, fps = task["data"], _rate(task["data"]["fps"])
            video = data["name"]
            said = [*task.get("annotations", []), *task.get("predictions", []), {"result": []}]
            detections = tuple(
                _detection(region, fps) for region in said[0]["result"] if region["type"] == "timelinelabels"
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise PredictionsError(
                f"{where} is not one of ascnet's: {type(error).__name__}: {error}",
                hint="it needs data.name, data.fps, and regions of the type timelinelabels",
            ) from error
        if not isinstance(video, str) or video in found:
            raise PredictionsError(f"{where}: its video is there twice, or has no name", hint="remove one")
        found[video] = detections
    return found


def is_ours(text: str) -> bool:
    """Whether the text is as `write` leaves it: not an export of Label Studio."""
    try:
        tasks = parse_json(text, "")
        ours = isinstance(tasks, list) and all(
            task["predictions"][0]["model_version"].startswith(f"{GENERATOR} ") for task in tasks
        )
    except (PredictionsError, KeyError, TypeError, IndexError, AttributeError):
        return False
    return ours and is_laid_out(tasks, text)


def labelling_config(labels: Sequence[str] | set[str]) -> str:
    """A configuration for the project: the video, its rate from the task, and these classes."""
    rows = "".join(
        f"<Label value='{escape(visible(label, keep=''.join(_XML)), _XML)}' background='{style.colour}'/>"
        for label, style in styles_of(labels).items()
    )
    return (
        f"<View><Video name='{TO_NAME}' value='$video' frameRate='$fps'/>"
        f"<TimelineLabels name='{FROM_NAME}' toName='{TO_NAME}'>{rows}</TimelineLabels></View>"
    )


def to_frames(segment: Segment, fps: Fraction) -> tuple[int, int]:
    """First and last frame of a segment, from 1, both included: those shown at some time within it."""
    # A millionth of a frame: 0.12 s is the beginning of the fourth picture at 25 a second, also as a float.
    first = math.floor(Fraction(segment.start_s) * fps + _ROUNDING) + 1
    return first, max(math.ceil(Fraction(segment.end_s) * fps - _ROUNDING), first)


def _task(result: VideoDetections, media: Media, config: str) -> dict[str, Any]:
    if media.frames_per_s is None or media.frames_per_s > LARGEST_FPS:
        raise OptionError(
            f"Label Studio counts frames, and the frame rate of {result.video!r} is not known"
            if media.frames_per_s is None
            else f"Label Studio counts frames, and {result.video!r} has {media.frames_per_s:g} a second",
            hint="say it with --fps, or give the video itself",
        )
    fps = Fraction(media.frames_per_s)
    video = utf8(result.video)
    assumed = {
        True: "constant, counted from the file",
        False: "the average of a variable frame rate: frames are off by what it varies; convert the video to "
        "a constant one first where that matters",
        None: "as it was said, not counted from the file",
    }[media.is_constant]
    scores = [detection.score for detection in result.detections]
    return {
        "data": {
            "video": _LOCAL_FILES + quote(_place(video, media)),
            "name": video,
            "fps": media.frames_per_s,
            "frame_rate": assumed,
            "label_config": config,
        },
        "predictions": [
            {
                "model_version": f"{GENERATOR} {generator_version()}",
                "score": max(scores, default=0.0),
                "result": [
                    _region(detection, fps, video)
                    for detection in sorted(result.detections, key=lambda d: (d.segment, d.label, -d.score))
                ],
            }
        ],
    }


def _place(video: str, media: Media) -> str:
    """Where the video lies: below the folder of all videos, by its file's name, which `video` may shorten."""
    if media.path is None:
        return video
    return PurePosixPath(video).with_name(utf8(media.path.name)).as_posix()


def _region(detection: Detection, fps: Fraction, video: str) -> dict[str, Any]:
    first, last = to_frames(detection.segment, fps)
    # The same segment has the same id in every run.
    identity = json.dumps([video, utf8(detection.label), first, last, detection.score])
    return {
        "id": hashlib.sha256(identity.encode()).hexdigest()[:10],
        "from_name": FROM_NAME,
        "to_name": TO_NAME,
        "type": "timelinelabels",
        "origin": "prediction",
        "score": detection.score,
        "value": {"ranges": [{"start": first, "end": last}], "timelinelabels": [utf8(detection.label)]},
    }


def _rate(value: object) -> Fraction:
    """The frame rate of a task.

    Raises:
        ValueError: it is none; text is not read as a number: "1e30000000" has as many digits as it says.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST_FPS:
        raise ValueError(f"data.fps is no number in (0, {LARGEST_FPS:g}]")
    return Fraction(value)


def _detection(region: Mapping[str, Any], fps: Fraction) -> Detection:
    value = region["value"]
    (span,), (label,) = value["ranges"], value["timelinelabels"]
    if not isinstance(label, str):
        raise TypeError(f"a label is not text: {label!r}")
    score = region.get("score")
    segment = Segment(float((span["start"] - 1) / fps), float(span["end"] / fps))
    return Detection(label, segment, 1.0 if score is None else float(score))
