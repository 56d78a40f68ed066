"""What people look at, made from results: files of segments, annotated videos, clips, a report.

    checked = plan(wanted, sources)                # whatever is wrong with a place, before any work
    written, failures, kept = write_texts(checked, results)
    for drawn in draw(checked, looks):
        ...
    write_pages(checked, looks)

No model runs here, and nothing prints; progress leaves through a callable, and a video whose pictures fail is
a record like any other.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ascnet_cli.errors import AscnetError, OutputError, StorageError, VideoError
from ascnet_cli.outputs import files
from ascnet_cli.outputs.curves import Curves
from ascnet_cli.outputs.folders import check_inside
from ascnet_cli.outputs.media import Media
from ascnet_cli.segments import VideoDetections
from ascnet_cli.targets import Plan, TextFile
from weights import atomic

# seconds done, seconds in all where that is known
Progress = Callable[[float, float | None], None]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One video's results, and what is known beside them.

    Attributes:
        result: the segments.
        curves: what the network saw, where that was kept.
    """

    result: VideoDetections
    curves: Curves | None = None


class Texts(NamedTuple):
    """What became of the files of segments.

    Attributes:
        written: the files.
        failures: what was wrong with the others.
        kept: of those written, where the one is kept that was there before with other content.
    """

    written: tuple[Path, ...]
    failures: tuple[AscnetError, ...]
    kept: Mapping[Path, Path]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What became of the pictures of one video.

    Attributes:
        video: its name.
        seconds: how long it took.
        files: what was written.
        notes: what a person should know.
        error: what is wrong, where it failed.
        hint: what to do about it.
        exit_code: what a command ends with that fails for this reason alone; 0 where it is done.
        n_videos: how many of the files, the first, are annotated videos; the others are clips.
    """

    video: str
    seconds: float
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0
    n_videos: int = 0


def write_texts(plan: Plan, results: Sequence[VideoDetections]) -> Texts:
    """Write the files of segments; one that cannot be written does not keep the others from it.

    Args:
        plan: from `targets.plan`.
        results: of the videos that are done.
    """
    options = _options(plan, results)
    written, failures, kept = [], [], {}
    for text in plan.texts:
        of_file = [result for result in results if text.video in (None, result.video)]
        if not of_file:
            continue
        try:
            kept_at = _write_text(text, of_file, options)
            if kept_at is not None:
                kept[text.path] = kept_at
            written.append(text.path)
        except BrokenPipeError:  # whoever reads a pipe has seen enough
            raise
        except Exception as error:  # noqa: BLE001 - what is wrong with one file must not lose the others
            failures.append(_as_known(error))
    return Texts(tuple(written), tuple(failures), kept)


def text_of(plan: Plan, results: Sequence[VideoDetections], format: str) -> str:
    """What a file of a format would hold, for standard output.

    Raises:
        OptionError: Label Studio, and the frame rate of a video is not known.
    """
    buffer = io.StringIO(newline="")
    files.FORMATS[format].write(results, buffer, _options(plan, results))
    return buffer.getvalue()


def draw(
    plan: Plan,
    looks: Sequence[Look],
    *,
    progress: Callable[[str], Progress] | None = None,
) -> Iterator[Drawn]:
    """Draw annotated videos and cut clips, one video after the other, each in bounded memory.

    Args:
        plan: from `targets.plan`.
        looks: all videos that are done: colours depend on all their classes.
        progress: asked for a callable before each video, by its name.

    Yields:
        A record a video, in order; none where no pictures were asked for.

    Raises:
        StorageError: the disk is full: no other video would fare better.
    """
    if not plan.wanted.draws:
        return
    labels = sorted({found.label for look in looks for found in look.result.detections})
    names = _clip_names(plan, looks)
    for look in looks:
        video = look.result.video
        started = time.monotonic()
        report = progress(video) if progress else None
        try:
            written, notes = _draw(plan, look.result, labels, names.get(video, ()), report)
            n_videos = int(plan.videos.get(video) in written)
            yield Drawn(video, time.monotonic() - started, written, notes, n_videos=n_videos)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a damaged file sets off, the batch goes on
            known = _as_known(error)
            yield Drawn(
                video,
                time.monotonic() - started,
                error=str(known),
                hint=known.hint or None,
                exit_code=known.exit_code,
            )


def write_pages(
    plan: Plan, looks: Sequence[Look], failures: Mapping[str, str] | None = None
) -> tuple[Path, ...]:
    """Write the report; the files that were written, the page to open first.

    Args:
        plan: from `targets.plan`.
        looks: of the videos that are done.
        failures: the other videos, and why; the index says it.

    Raises:
        AscnetError: it cannot be written, or a video cannot be put into it.
    """
    if plan.wanted.report is None or not looks:
        return ()
    from ascnet_cli.outputs.report import VideoPage, write_report

    pages = [
        VideoPage(
            result=look.result,
            video=plan.sources[look.result.video].path,
            curves=look.curves,
            truth=plan.truth.get(look.result.video),
            truth_file=plan.wanted.truth.name if plan.wanted.truth is not None else None,
        )
        for look in looks
    ]
    return write_report(pages, plan.wanted.report, embed=plan.wanted.embed, failures=failures)


def _options(plan: Plan, results: Sequence[VideoDetections]) -> files.WriteOptions:
    return files.WriteOptions(
        media={result.video: _media(plan, result.video) for result in results},
        spreadsheet_safe=plan.wanted.spreadsheet_safe,
        keeps=True,
    )


def _media(plan: Plan, video: str) -> Media:
    """The file of a video, and its frame rate where a format counts frames."""
    path = plan.sources[video].path
    if plan.wanted.fps is not None:
        return Media(path, plan.wanted.fps)
    if path is None or "label-studio" not in plan.wanted.formats:
        return Media(path)
    from extractors.timing import measure_timing

    try:
        timing = measure_timing(path)
    except VideoError:  # the format says what it lacks
        return Media(path)
    return Media(path, timing.frames_per_s, timing.is_constant)


def _write_text(
    text: TextFile, results: Sequence[VideoDetections], options: files.WriteOptions
) -> Path | None:
    if text.video is not None:
        _make_folder(text.path.parent)
    return files.write_file(results, text.path, text.format, options)


def _clip_names(plan: Plan, looks: Sequence[Look]) -> dict[str, tuple[str, ...]]:
    if plan.wanted.clips is None:
        return {}
    from ascnet_cli.outputs.clips import clip_names

    return dict(clip_names([look.result for look in looks]))


def _draw(
    plan: Plan,
    result: VideoDetections,
    labels: Sequence[str],
    clip_names: Sequence[str],
    progress: Progress | None,
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The files that were written for one video, and what there is to say about them."""
    source = plan.sources[result.video].path
    if source is None:
        raise VideoError("the video itself is not there", hint="say where it is")
    written: list[Path] = []
    notes: list[str] = []
    target = plan.videos.get(result.video)
    if target is not None:
        from ascnet_cli.outputs.annotated import write_annotated

        _make_folder(target.parent)
        report = write_annotated(source, result, target, labels=labels, progress=progress)
        written.append(report.path)
        notes += report.notes
    if plan.wanted.clips is not None:
        from ascnet_cli.outputs.clips import write_clips

        for name in clip_names:
            check_inside(plan.wanted.clips, plan.wanted.clips / name)
        if not plan.wanted.force:
            _check_clips(plan.wanted.clips, clip_names)
        clips = write_clips(
            source,
            result,
            plan.wanted.clips,
            copy=plan.wanted.clips_copy,
            names=clip_names,
            progress=progress,
        )
        written += [clip.path for clip in clips]
        early_s = max((clip.detection.segment.start_s - clip.start_s for clip in clips), default=0.0)
        if plan.wanted.clips_copy and early_s > 0:
            notes.append(f"clips begin at key frames, up to {early_s:.1f} s before their segments")
    return tuple(written), tuple(notes)


def _check_clips(folder: Path, names: Sequence[str]) -> None:
    """Hold that clips that are there are ascnet's; that is known only now, since segments name them.

    Raises:
        OutputError: one is not.
    """
    from ascnet_cli.outputs.video.file import is_ours

    for name in names:
        path = folder / name
        if path.exists() and not is_ours(path):
            raise files.not_ours(path)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise atomic.write_error(error, folder) from error


def _as_known(error: Exception) -> AscnetError:
    """What failed one video's pictures, as an error that a person can act on."""
    if isinstance(error, AscnetError):
        return error
    if isinstance(error, MemoryError):
        return StorageError("the memory was not enough for this video", hint="close other programs")
    if isinstance(error, OSError):
        return OutputError(f"cannot be drawn: {error.strerror or error}", hint="check the files and the disk")
    return AscnetError(f"{type(error).__name__}: {error}", hint="please report this as a bug")
