"""What a person should know about what was asked for, where a run goes on all the same.

Each function gives lines of plain text, none where there is nothing to say.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from ascnet_cli.errors import OptionError, VideoError
from ascnet_cli.outputs.report.media import KINDS
from ascnet_cli.segments import Detection, Segment, VideoDetections
from ascnet_cli.targets import Plan

MOST_VIDEOS = 5  # that get a line each
_MOST_NAMES = 3
_TOLERANCE_S = 0.1
_PLAYED = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "theora"})  # by one usual browser or another
_TIME = r"\d+\.\d+(?:e\+\d+)?"
_CLIP = re.compile(rf"(?P<video>.+?)__.+__{_TIME}-{_TIME}(?:~[0-9a-f]{{8}}(?:-\d+)?)?\.mp4")
# A segment whose clip's name shows how the names of its video's clips begin.
_PROBE = Detection("x", Segment(0.0, 1.0), 0.0)
_PROBE_NAME = "__x__0.000-1.000.mp4"


def check_embeds(plan: Plan) -> None:
    """Hold that there is something to embed where that is asked for.

    Raises:
        OptionError: no video's file is known.
    """
    if plan.wanted.embed and plan.sources and all(source.path is None for source in plan.sources.values()):
        raise OptionError(
            "--embed puts videos into the page, and no video is given",
            hint="give the videos (`ascnet render`: with --video-root FOLDER), or leave out --embed",
        )


def lacking_files(plan: Plan) -> tuple[str, ...]:
    """Videos that are to be embedded and have no file."""
    if not plan.wanted.embed:
        return ()
    lacking = [source.name for source in plan.sources.values() if source.path is None]
    return _bounded([f"{name}: nothing to embed: the video itself is not given" for name in lacking])


def lacking_truth(plan: Plan) -> tuple[str, ...]:
    """Videos that the file of the ground truth does not know, or not for sure."""
    path = plan.wanted.truth
    lacking = [name for name in plan.sources if name not in plan.truth]
    if path is None or not lacking:
        return ()
    known = truth_names(path)
    has = f"it has {_listed(known)}" if known else "it has no video"
    return _bounded([f"no truth for {name} in {path} ({has})" for name in lacking])


def past_end(result: VideoDetections) -> str:
    """What is said of segments that are later than their video; empty where none is.

    Bounds are rounded by those who write them, and lengths are counted in other ways: a little is let pass.
    """
    late_s = result.duration_s + _TOLERANCE_S
    ends = sum(found.segment.end_s > late_s for found in result.detections)
    if not ends:
        return ""
    outside = sum(found.segment.start_s >= result.duration_s for found in result.detections)
    beyond = f", {outside} of them wholly" if outside else ""
    return (
        f"{result.video}: {ends} of {len(result.detections)} segments reach past the end of the video"
        f" ({result.duration_s:.1f} s){beyond}: is it the right video?"
    )


def other_clips(folder: Path, results: Sequence[VideoDetections]) -> int:
    """How many clips of these videos lie in a folder that are not of these segments: an earlier run's.

    Args:
        folder: of the clips.
        results: of all videos whose clips went there.
    """
    from ascnet_cli.outputs.clips import clip_names

    now = {unicodedata.normalize("NFC", name) for names in clip_names(results).values() for name in names}
    alone = (VideoDetections(one.video, 1.0, (_PROBE,)) for one in results)
    videos = {clip_names([one])[one.video][0].removesuffix(_PROBE_NAME) for one in alone}
    try:
        there = {unicodedata.normalize("NFC", path.name) for path in folder.iterdir() if path.is_file()}
    except OSError:  # it is gone, or may not be looked into: nothing to count
        return 0
    clips = (_CLIP.fullmatch(name) for name in there - now)
    return sum(clip is not None and clip["video"] in videos for clip in clips)


def unplayed(plan: Plan, results: Sequence[VideoDetections]) -> tuple[str, ...]:
    """Videos of a report that browsers do not play.

    Args:
        plan: from `targets.plan`.
        results: of the videos that have a page.
    """
    if plan.wanted.report is None:
        return ()

    advice = "" if plan.wanted.video is not None else ": add --video to have one that they play"
    lines = []
    for result in results:
        path = plan.sources[result.video].path
        if path is not None and (what := unplayable(path)):
            lines.append(f"browsers do not play {result.video} ({what}){advice}")
    return _bounded(lines)


def lengths_unknown(videos: Sequence[str], durations_s: Mapping[str, float]) -> str:
    """What a page is like whose videos' files are not looked for.

    Args:
        videos: the names.
        durations_s: lengths that the file of results says.
    """
    guessed = sum(video not in durations_s for video in videos)
    length = ", and its length is the end of its last segment" if guessed else ""
    return f"no video is given (--video-root FOLDER): a page shows none{length}"


def truth_names(path: Path) -> tuple[str, ...]:
    """The videos that a file of ground truth names.

    Raises:
        PredictionsError: it cannot be read.
    """
    from ascnet_cli.datasets.activitynet_json import read_activitynet

    return tuple(video.video for video in read_activitynet(path).videos)


def _bounded(lines: Sequence[str]) -> tuple[str, ...]:
    """A few lines, and how many more there would be."""
    if len(lines) <= MOST_VIDEOS:
        return tuple(lines)
    return (*lines[:MOST_VIDEOS], f"the same for {len(lines) - MOST_VIDEOS} more")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"


def unplayable(video: Path) -> str:
    """What a video is that no usual browser plays; empty where one may, or where it cannot be opened."""
    from extractors.decode_pyav import open_container
    from extractors.video import MAX_PIXELS, check_file

    try:
        check_file(video)
        container, stream = open_container(video, max_pixels=MAX_PIXELS)
        with container:
            codec = stream.codec_context.codec
    except VideoError:  # whoever needs its pictures says so
        return ""
    if codec.name in _PLAYED or codec.canonical_name in _PLAYED:
        return "" if video.suffix.lower() in KINDS else f"{video.suffix.lstrip('.').upper()} file"
    return str(codec.long_name)
