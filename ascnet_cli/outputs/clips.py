"""One file for each segment of a video: cut exactly by encoding again, or copied from key frame on.

The video is read once for all segments; only where more than `OPEN_AT_ONCE` of them overlap, once more for
each further lot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from ascnet_cli.outputs.clip_lots import lots_of
from ascnet_cli.outputs.clip_names import clip_names
from ascnet_cli.outputs.video.canvas import Canvas
from ascnet_cli.outputs.video.colour import Colours
from ascnet_cli.outputs.video.file import VideoFile, check_apart, tick_of, writing
from ascnet_cli.outputs.video.layout import Box
from ascnet_cli.outputs.video.sound import APART_S, Gate, SoundPacket
from ascnet_cli.outputs.video.source import Shown, Source
from ascnet_cli.outputs.video.upright import upright_size
from ascnet_cli.segments import Detection, Segment, VideoDetections
from weights import atomic

__all__ = ["Clip", "clip_names", "write_clips"]

OPEN_AT_ONCE = 8  # files; each holds an encoder with the pictures that it looks ahead
_ROUNDING_S = 0.0005  # segments are written to files with milliseconds


@dataclass(frozen=True, slots=True)
class Clip:
    """One segment as a file of its own.

    Attributes:
        path: the file.
        detection: what it shows.
        start_s: where its first picture stands in the source, seconds.
        end_s: where its last picture ends in the source, seconds.
    """

    path: Path
    detection: Detection
    start_s: float
    end_s: float


def write_clips(
    source: Path,
    result: VideoDetections,
    folder: Path,
    *,
    copy: bool = False,
    names: Sequence[str] | None = None,
    progress: Callable[[float, float | None], None] | None = None,
) -> tuple[Clip, ...]:
    """Write one file for each segment; each is whole once it is there.

    A clip has the pictures that are first shown at or after the segment's start and before its end; where
    there is none, the one that is shown then. Sound is cut along, to the packet: a player that honours the
    file's edit list begins it with the picture.

    Args:
        source: the video.
        result: what was found in it.
        folder: where the files go; it must exist.
        copy: copy packets instead of encoding again: fast and without loss, but a clip then begins at the key
            frame before its segment, and may end some pictures late. What was cut is in the clips.
        names: a file name for each detection, from `clip_names` for all videos whose clips go to this folder;
            None: from this video alone.
        progress: told the seconds that are read, and of how many (None where that is not known).

    Returns:
        In the order of the detections.

    Raises:
        VideoError: the source cannot be read or is too damaged; the message does not name it.
        OptionError: `copy`, and an mp4 cannot carry the video as it is.
        OutputError: the folder is missing or cannot be written to, or a clip would replace the source.
        StorageError: the disk is full.
        ValueError: not as many names as detections, or one that is there twice or leaves the folder.
    """
    names = clip_names([result])[result.video] if names is None else names
    if len(names) != len(result.detections):
        raise ValueError(f"{len(names)} names for {len(result.detections)} segments")
    if len(set(names)) < len(names) or any(Path(name).name != name for name in names):
        raise ValueError("each segment needs a name of its own, in the folder itself")
    paths = [folder / name for name in names]
    atomic.check_writable(folder / "clip.mp4")
    for path in paths:
        check_apart(source, path)
    if copy:
        from ascnet_cli.outputs.clips_copy import copy_segments

        spans = copy_segments(source, [found.segment for found in result.detections], paths, progress)
    else:
        spans = _cut_segments(source, result, paths, progress)
    return tuple(
        Clip(path, found, *span) for path, found, span in zip(paths, result.detections, spans, strict=True)
    )


def _cut_segments(
    source: Path,
    result: VideoDetections,
    paths: Sequence[Path],
    progress: Callable[[float, float | None], None] | None,
) -> list[tuple[float, float]]:
    segments = [found.segment for found in result.detections]
    spans = [(0.0, 0.0)] * len(segments)
    lots = lots_of(segments, OPEN_AT_ONCE)
    ends_s = [max(segments[index].end_s for index in lot) for lot in lots]
    for number, lot in enumerate(lots):
        done_s = sum(ends_s[:number])
        with Source(source) as video, _Cutter(video, segments, lot, paths) as cutter:
            for shown in video.pictures():
                cutter.put(shown)
                if progress is not None:
                    progress(min(done_s + shown.end_s, sum(ends_s)), sum(ends_s))
                if cutter.done:
                    break
            cutter.finish()
        for index, span in cutter.spans.items():
            spans[index] = span
    return spans


@dataclass
class _Open:
    """A clip that is being written."""

    index: int
    segment: Segment
    begin_s: float
    file: VideoFile
    stack: ExitStack
    gate: Gate
    end_s: float = 0.0

    def shows(self, time_s: float) -> bool:
        return time_s < self.segment.end_s - _ROUNDING_S

    def give(self, sound: SoundPacket) -> None:
        if self.gate.passes(sound):
            self.file.put_sound(sound, self.begin_s)


class _Cutter:
    """Gives the pictures and the sound of one pass to the clips that they belong to."""

    def __init__(
        self, video: Source, segments: Sequence[Segment], lot: Sequence[int], paths: Sequence[Path]
    ) -> None:
        self._video = video
        self._segments = segments
        self._paths = paths
        self._waiting = deque(lot)
        self._open: list[_Open] = []
        self._heard: deque[SoundPacket] = deque()
        self._canvas: Canvas | None = None
        self._colours: Colours | None = None
        self._size = (0, 0)
        self._stack = ExitStack()
        self.spans: dict[int, tuple[float, float]] = {}

    @property
    def done(self) -> bool:
        """Whether no picture is needed any more."""
        return not self._waiting and not self._open

    def put(self, shown: Shown) -> None:
        """Take the next picture, and what sound came by with it."""
        self._listen(shown.start_s)
        begin = list(takewhile(lambda index: self._begins(index, shown.start_s), self._waiting))
        if begin or any(clip.shows(shown.start_s) for clip in self._open):
            self._show(shown)
        for _ in begin:
            self._begin(self._waiting.popleft(), shown)
        for clip in list(self._open):
            if clip.shows(shown.start_s) or not clip.end_s:
                self._write(clip, shown)
            elif clip.gate.closed(shown.start_s):
                self._end(clip)
        self._last = shown

    def _begins(self, index: int, time_s: float) -> bool:
        return self._segments[index].start_s - _ROUNDING_S <= time_s

    def _listen(self, now_s: float) -> None:
        while self._heard and self._heard[0].end_s < now_s - APART_S:
            self._heard.popleft()
        for sound in self._video.heard():
            self._heard.append(sound)
            for clip in self._open:
                clip.give(sound)

    def _show(self, shown: Shown) -> None:
        if self._canvas is None:
            picture = upright_size(shown.frame)
            self._size = picture[0] + picture[0] % 2, picture[1] + picture[1] % 2
            self._colours = Colours.of(shown.frame.picture)
            self._canvas = Canvas(self._size, Box(0, 0, *self._size), picture, self._colours)
        self._canvas.show(shown.frame)

    def _begin(self, index: int, shown: Shown) -> None:
        assert self._colours is not None  # noqa: S101  # a picture was shown
        stack = ExitStack()
        self._stack.push(stack)
        file = stack.enter_context(
            writing(
                self._paths[index],
                self._size,
                self._colours,
                tick=tick_of(self._video.tick),
                rate=self._video.rate,
                sounds=self._video.sounds,
            )
        )
        segment, streams = self._segments[index], [stream.index for stream in self._video.sounds]
        gate = Gate(shown.start_s, max(segment.end_s, shown.end_s), streams)
        clip = _Open(index, segment, shown.start_s, file, stack, gate)
        self._open.append(clip)
        for sound in self._heard:
            clip.give(sound)

    def _write(self, clip: _Open, shown: Shown) -> None:
        assert self._canvas is not None  # noqa: S101
        clip.file.put(self._canvas.frame, shown.start_s - clip.begin_s, shown.end_s - clip.begin_s)
        clip.end_s = shown.end_s

    def _end(self, clip: _Open) -> None:
        self._open.remove(clip)
        clip.stack.close()
        self.spans[clip.index] = (clip.begin_s, clip.end_s)

    def finish(self) -> None:
        """The video has ended, or no more of it is needed."""
        self._listen(self._last.start_s)
        if self._waiting:  # they begin after the last picture, which then has to do
            self._show(self._last)
        while self._waiting:
            self._begin(self._waiting.popleft(), self._last)
            self._write(self._open[-1], self._last)
            self._end(self._open[-1])
        for clip in list(self._open):
            self._end(clip)

    def __enter__(self) -> _Cutter:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.__exit__(*failure)  # type: ignore[arg-type]
