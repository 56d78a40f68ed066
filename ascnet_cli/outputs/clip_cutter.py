"""Gives the pictures and the sound of a video to the clips that they belong to, each encoded again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from ascnet_cli.outputs.video.canvas import Canvas
from ascnet_cli.outputs.video.colour import Colours
from ascnet_cli.outputs.video.file import VideoFile, tick_of, writing
from ascnet_cli.outputs.video.layout import Box
from ascnet_cli.outputs.video.sound import APART_S, Gate, SoundPacket
from ascnet_cli.outputs.video.source import Shown, Source
from ascnet_cli.outputs.video.upright import upright_size
from ascnet_cli.segments import Segment

_SHORTEST_S = 0.001  # of a clip that shows the last picture, where that does not say how long it is shown
_ROUNDING_S = 0.0005  # segments are written to files with milliseconds


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


class Cutter:
    """The clips of one pass over a video; use it in a `with`.

    Args:
        video: whose pictures are put in.
        segments: of all clips.
        lot: indices of those that are cut in this pass, by time.
        paths: the file of each segment.

    Attributes:
        spans: what was cut, seconds of the source, by index.
    """

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
        begin, inside = self._due(shown)
        if begin or inside or any(clip.shows(shown.start_s) for clip in self._open):
            self._show(shown)
        for index in begin:
            self._begin(index, shown, shown.start_s)
        for clip in list(self._open):
            if clip.shows(shown.start_s) or not clip.end_s:
                self._write(clip, shown)
            elif clip.gate.closed(shown.start_s):
                self._end(clip)
        for index in inside:
            self._stand_in(index, shown)
        self._last = shown

    def _due(self, shown: Shown) -> tuple[list[int], list[int]]:
        """Segments that begin with a picture, and those that are over before the next one is shown."""
        near = list(takewhile(lambda index: self._segments[index].start_s < shown.end_s, self._waiting))
        begin = [index for index in near if self._segments[index].start_s - _ROUNDING_S <= shown.start_s]
        inside = [
            index
            for index in near[len(begin) :]
            if self._segments[index].end_s - _ROUNDING_S <= shown.end_s
            and self._segments[index].start_s + _ROUNDING_S < shown.end_s
        ]
        for index in (*begin, *inside):
            self._waiting.remove(index)
        return begin, inside

    def _stand_in(self, index: int, shown: Shown) -> None:
        """A clip of one picture, where a segment has none of its own."""
        start_s = self._segments[index].start_s
        clip = self._begin(index, shown, start_s if start_s < shown.end_s else shown.start_s)
        self._write(clip, shown)
        if clip.gate.closed(shown.start_s):
            self._end(clip)

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

    def _begin(self, index: int, shown: Shown, begin_s: float) -> _Open:
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
        # A segment after all pictures is not in the source: the last one is shown for as long as it is.
        end_s = segment.end_s if segment.end_s > begin_s else max(shown.end_s, begin_s + _SHORTEST_S)
        gate = Gate(begin_s, end_s, streams)
        clip = _Open(index, Segment(begin_s, end_s), begin_s, file, stack, gate)
        self._open.append(clip)
        for sound in self._heard:
            clip.give(sound)
        return clip

    def _write(self, clip: _Open, shown: Shown) -> None:
        assert self._canvas is not None  # noqa: S101
        # A picture that is still shown when the segment ends is cut there.
        rounded = shown.end_s <= clip.segment.end_s + _ROUNDING_S
        end_s = shown.end_s if rounded else clip.segment.end_s
        start_s = max(shown.start_s, clip.begin_s)
        clip.end_s = clip.begin_s + clip.file.put(
            self._canvas.frame, start_s - clip.begin_s, end_s - clip.begin_s
        )

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
            self._stand_in(self._waiting.popleft(), self._last)
            self._end_all()
        self._end_all()

    def _end_all(self) -> None:
        for clip in list(self._open):
            self._end(clip)

    def __enter__(self) -> Cutter:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.__exit__(*failure)  # type: ignore[arg-type]
