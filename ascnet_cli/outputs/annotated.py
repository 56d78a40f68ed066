"""A video with its segments drawn in: a bar that names what happens now, and a timeline.

Pictures go from decoder to encoder in 8-bit 4:2:0, one at a time; nothing of the source's picture is covered,
since bar and timeline stand below it. Each picture keeps its time. Sound is copied where an mp4 can carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ascnet_cli.outputs.colours import styles_of
from ascnet_cli.outputs.video.canvas import Canvas
from ascnet_cli.outputs.video.colour import Colours
from ascnet_cli.outputs.video.file import VideoFile, check_apart, format_of, tick_of, writing
from ascnet_cli.outputs.video.layout import layout_of
from ascnet_cli.outputs.video.panel import Panel, time_texts
from ascnet_cli.outputs.video.running import most_at_once
from ascnet_cli.outputs.video.source import Shown, Source
from ascnet_cli.outputs.video.upright import upright_size
from ascnet_cli.segments import VideoDetections
from extractors.video import DecodeReport
from weights import atomic

_SHORTEST_S = 0.001  # a timeline has some length


@dataclass(frozen=True, slots=True)
class AnnotateReport:
    """What writing an annotated video came to.

    Attributes:
        path: the file that was written.
        width: of its pictures, pixels.
        height: likewise.
        frames: pictures written, one for each of the source.
        duration_s: length, seconds.
        decode: how the source could be read.
        notes: what else a person should know, one sentence each.
    """

    path: Path
    width: int
    height: int
    frames: int
    duration_s: float
    decode: DecodeReport
    notes: tuple[str, ...] = ()


def write_annotated(
    source: Path,
    result: VideoDetections,
    target: Path,
    *,
    labels: Sequence[str] | None = None,
    progress: Callable[[float, float | None], None] | None = None,
) -> AnnotateReport:
    """Write a copy of a video with its segments drawn in; afterwards it is whole, or as it was before.

    Args:
        source: the video.
        result: what was found in it. Its duration is the timeline's length; where that is 0 the header's is.
        target: the file to write: .mp4, .m4v or .mov.
        labels: all classes that colours are drawn from, so that several videos have equal ones; None: those
            that were found. Found ones that are missing are added.
        progress: told the seconds that are written, and of how many (None where that is not known).

    Raises:
        VideoError: the source cannot be read or is too damaged; the message does not name it.
        OptionError: the target's ending is of no video.
        OutputError: the target is the source, a folder, or in a place that cannot be written to.
        StorageError: the disk is full.
    """
    format_of(target)
    check_apart(source, target)
    atomic.check_writable(target)
    with Source(source) as video:
        pictures = video.pictures()
        first = next(pictures)  # there is one, or reading has failed
        colours = Colours.of(first.frame.picture)
        size = upright_size(first.frame)
        duration_s = max(result.duration_s or video.header_duration_s or 0.0, _SHORTEST_S)
        n_running, n_overlapping = most_at_once(result.detections)
        layout = layout_of(
            size,
            n_running=n_running,
            n_classes=len({found.label for found in result.detections}),
            n_overlapping=n_overlapping,
            time_texts=time_texts(duration_s),
        )
        styles = styles_of([*(labels or ()), *(found.label for found in result.detections)])
        panel = Panel(layout, colours, result.detections, duration_s, styles)
        canvas = Canvas((layout.width, layout.height), layout.picture, size, colours)
        n_frames, end_s = 0, 0.0

        def write(shown: Shown, file: VideoFile) -> None:
            nonlocal n_frames, end_s
            panel.paint(canvas.show(shown.frame), shown.start_s)
            written_s = file.put(canvas.frame, shown.start_s, shown.end_s)
            for sound in video.heard():
                if sound.within(0.0, sound.end_s + 1):
                    file.put_sound(sound, 0.0)
            n_frames, end_s = n_frames + 1, written_s
            if progress is not None:
                progress(end_s, duration_s)

        with writing(
            target,
            (layout.width, layout.height),
            colours,
            tick=tick_of(video.tick),
            rate=video.rate,
            sounds=video.sounds,
        ) as file:
            write(first, file)
            for shown in pictures:
                write(shown, file)
            notes = file.notes
            if colours.high_dynamic_range:
                notes += ("stored for screens of high dynamic range: written with 8 bits",)
        return AnnotateReport(target, layout.width, layout.height, n_frames, end_s, video.report, notes)
