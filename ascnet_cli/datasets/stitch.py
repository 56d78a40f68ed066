"""A folder of stitched videos with their annotations; what is there already is not made again.

    DIR/videos/*.mp4        the videos
    DIR/annotations.json    when which action happens, in ActivityNet's format
    DIR/stitch.json         how they were made: options, and each video's clips with sources and times

A video is written before its entry in `stitch.json`, and `annotations.json` after all of them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascnet_cli.datasets.activitynet_json import read_json_object
from ascnet_cli.datasets.folder import ANNOTATIONS
from ascnet_cli.datasets.stitch_clips import Clip
from ascnet_cli.datasets.stitch_encode import ENCODER, count, write_video
from ascnet_cli.datasets.stitch_options import StitchOptions
from ascnet_cli.datasets.stitch_plan import VideoPlan, plan
from ascnet_cli.errors import OutputError, VideoError
from weights.atomic import replacing, write_error

RECORD = "stitch.json"
VIDEOS = "videos"

Report = Callable[[float, float | None], None]


@dataclass(frozen=True, slots=True)
class BadClip:
    """A clip that was passed over.

    Attributes:
        clip: its name.
        error: what is wrong with it.
    """

    clip: str
    error: str


@dataclass(frozen=True, slots=True)
class Stitching:
    """Everything that is to be written.

    Attributes:
        options: as asked for.
        videos: in the order of their names on each side.
        bad_clips: clips that were drawn and could not be used; others took their places.
    """

    options: StitchOptions
    videos: tuple[VideoPlan, ...]
    bad_clips: tuple[BadClip, ...] = ()


def draw(clips: Sequence[Clip], options: StitchOptions, looking: Callable[[Clip], None]) -> Stitching:
    """Decide what every video shows. Clips that are drawn are read through once, to know their length.

    Args:
        clips: of all classes.
        options: what the videos are to be like.
        looking: told which clip is about to be read.

    Raises:
        OptionError, VideoError: as `stitch_plan.plan`.
    """
    lengths: dict[str, int | None] = {}
    bad: list[BadClip] = []

    def measure(clip: Clip) -> int | None:
        if clip.name not in lengths:
            looking(clip)
            try:
                lengths[clip.name] = count(clip.path, options.fps, (options.width, options.height))
            except VideoError as error:
                bad.append(BadClip(clip.name, str(error)))
                lengths[clip.name] = None
        return lengths[clip.name]

    videos = plan(clips, options, measure)
    return Stitching(options, videos, tuple(bad))


def write(
    stitching: Stitching, out: Path, progress: Callable[[VideoPlan], Report]
) -> Iterator[tuple[VideoPlan, bool]]:
    """Write what is missing; a folder with videos that are not planned is left alone.

    Args:
        stitching: what is to be written.
        out: the folder; made if it is not there.
        progress: asked, before a video is made, for what is to be told of it.

    Yields:
        Each video, and whether it had been there.

    Raises:
        OutputError: the folder cannot be written to, or holds annotations that are not of stitched videos,
            or videos of other options.
        StorageError: the disk is full.
        VideoError: a clip cannot be read any more.
        PredictionsError: the record of an earlier run is damaged.
    """
    known = _known(out, stitching)
    try:
        (out / VIDEOS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, out) from error
    entries = {video.name: _entry(video) for video in stitching.videos}
    kept = {
        name: entry
        for name, entry in known.items()
        if entry is not None and entry == entries.get(name) and (out / VIDEOS / name).is_file()
    }
    others = [name for name in known if name not in kept and (out / VIDEOS / name).is_file()]
    if others:
        raise OutputError(
            f"{out} holds {len(others)} videos that these options do not make, {others[0]} first",
            hint="give another folder with --out, or remove this one, with what was made from it",
        )
    if len(kept) < len(entries):
        _remove_annotations(out)
    _write_record(out, stitching, kept)
    size = stitching.options.width, stitching.options.height
    for video in stitching.videos:
        there = video.name in kept
        if not there:
            write_video(video, out / VIDEOS / video.name, size, progress(video))
            kept[video.name] = entries[video.name]
            _write_record(out, stitching, kept)
        yield video, there
    _write_json(out / ANNOTATIONS, _annotations(stitching))


def instance_counts(videos: Sequence[VideoPlan]) -> dict[str, dict[str, int]]:
    """How many actions there are, by subset and class."""
    counts: dict[str, dict[str, int]] = {}
    for video in videos:
        by_class = counts.setdefault(video.subset, {})
        for instance in video.instances:
            by_class[instance.label] = by_class.get(instance.label, 0) + 1
    return counts


def _known(out: Path, stitching: Stitching) -> dict[str, Any]:
    """The entries of an earlier run's videos; None for those that were encoded in another way."""
    if not (out / RECORD).is_file():
        if (out / ANNOTATIONS).exists():
            raise OutputError(
                f"{out} holds annotations that are not of stitched videos",
                hint="give another folder with --out",
            )
        return {}
    record = read_json_object(out / RECORD)
    videos = record.get("videos")
    if not isinstance(videos, dict):
        return {}
    same = record.get("encoding") == _encoding(stitching.options)
    return {name: entry if same else None for name, entry in videos.items() if Path(name).name == name}


def _remove_annotations(out: Path) -> None:
    """Annotations would speak of videos that are not there yet."""
    try:
        (out / ANNOTATIONS).unlink(missing_ok=True)
    except OSError as error:
        raise write_error(error, out) from error


def _entry(video: VideoPlan) -> dict[str, Any]:
    """How a video is made, as `stitch.json` says it."""
    pieces = [
        {
            "clip": piece.clip.name,
            "group": piece.clip.group,
            "clip_start_s": _seconds(piece.first_frame / video.fps),
            "start_s": _seconds(segment.start_s),
            "end_s": _seconds(segment.end_s),
            "label": piece.label,
        }
        for piece, segment in video.spans
    ]
    return {"subset": video.subset, "pieces": pieces}


def _encoding(options: StitchOptions) -> dict[str, Any]:
    return {"fps": options.fps, "width": options.width, "height": options.height, "libx264": ENCODER}


def _write_record(out: Path, stitching: Stitching, entries: dict[str, Any]) -> None:
    document = {
        "options": dataclasses.asdict(stitching.options),
        "encoding": _encoding(stitching.options),
        "bad_clips": [dataclasses.asdict(bad) for bad in stitching.bad_clips],
        "videos": {video.name: entries[video.name] for video in stitching.videos if video.name in entries},
    }
    _write_json(out / RECORD, document)


def _annotations(stitching: Stitching) -> dict[str, Any]:
    database = {
        video.name: {
            "duration": _seconds(video.n_frames / video.fps),
            "fps": video.fps,
            "subset": video.subset,
            "annotations": [
                {
                    "label": instance.label,
                    "segment": [_seconds(instance.segment.start_s), _seconds(instance.segment.end_s)],
                }
                for instance in video.instances
            ],
        }
        for video in stitching.videos
    }
    return {"version": "stitched 1", "taxonomy": [], "database": database}


def _seconds(value: float) -> float:
    return round(value, 6)


def _write_json(path: Path, document: dict[str, Any]) -> None:
    with replacing(path) as file:
        file.write(json.dumps(document, indent=1, allow_nan=False).encode() + b"\n")
