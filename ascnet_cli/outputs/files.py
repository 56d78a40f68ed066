"""Files of segments by their ending: written whole or not at all, and read back."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from ascnet_cli.errors import OptionError, OutputError, PredictionsError
from ascnet_cli.outputs import activitynet, chapters, csv_file, eaf, kept, label_studio, srt, webvtt
from ascnet_cli.outputs.media import Media
from ascnet_cli.outputs.text import TextSink, TextSource
from ascnet_cli.segments import Detection, VideoDetections
from weights import atomic


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What formats may need to know beside the segments.

    Attributes:
        media: the videos, by name, as far as more than the name is known.
        spreadsheet_safe: no cell of a CSV can be taken for a formula.
        folder: where the file will lie, for links.
        keeps: a file that is replaced by other content is kept beside the new one: see `outputs.kept`.
    """

    media: Mapping[str, Media] = field(default_factory=dict)
    spreadsheet_safe: bool = False
    folder: Path = Path()
    keeps: bool = False


Writer = Callable[[Sequence[VideoDetections], TextSink, WriteOptions], None]
Reader = Callable[[TextSource, str], dict[str, tuple[Detection, ...]]]
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Format:
    """One format of segments.

    Attributes:
        ending: of its files; the one that it is known by.
        write: results, an open file, and what else there is to know.
        read: an open file and its name to segments by video.
        is_ours: whether a text is as `write` leaves it.
        one_video: a file holds one video.
    """

    ending: str
    write: Writer
    read: Reader
    is_ours: Callable[[str], bool]
    one_video: bool = False


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "csv": Format(
            ".csv",
            lambda results, file, options: csv_file.write(
                results, file, spreadsheet_safe=options.spreadsheet_safe
            ),
            csv_file.read,
            csv_file.is_ours,
        ),
        "json": Format(
            ".json",
            lambda results, file, _: activitynet.write(results, file),
            activitynet.read,
            activitynet.is_ours,
        ),
        "srt": Format(
            ".srt",
            lambda results, file, _: srt.write(results, file),
            srt.read,
            srt.is_ours,
            one_video=True,
        ),
        "vtt": Format(
            ".vtt",
            lambda results, file, _: webvtt.write(results, file),
            webvtt.read,
            webvtt.is_ours,
            one_video=True,
        ),
        "eaf": Format(".eaf", lambda *given: _write_eaf(*given), eaf.read, eaf.is_ours, one_video=True),
        "label-studio": Format(
            ".label-studio.json",
            lambda results, file, options: label_studio.write(results, file, media=options.media),
            label_studio.read,
            label_studio.is_ours,
        ),
        "chapters": Format(
            ".ffmeta",
            lambda results, file, _: chapters.write(results, file),
            chapters.read,
            chapters.is_ours,
            one_video=True,
        ),
    }
)


def format_of(path: Path, format: str | None = None) -> str:
    """The format that a file has by its ending, or the one asked for.

    Args:
        path: the file.
        format: a name of `FORMATS`, whatever the ending is; None: by the ending.

    Raises:
        OptionError: no such format, or an ending that says none.
    """
    if format is not None:
        if format not in FORMATS:
            raise OptionError(f"unknown format {format!r}", hint=f"choose one of {', '.join(FORMATS)}")
        return format
    name = path.name.lower()
    fitting = [known for known, its in FORMATS.items() if name.endswith(its.ending) and name != its.ending]
    if not fitting:
        endings = ", ".join(its.ending for its in FORMATS.values())
        raise OptionError(
            f"{path}: the ending does not say which format it has",
            hint=f"use an ending of {endings}; for what is written, --format names one, too",
        )
    return max(fitting, key=lambda known: len(FORMATS[known].ending))


def check_writable(path: Path, format: str | None = None) -> None:
    """Hold, before any work is done, that `write_file` will find its place.

    Raises:
        OptionError: the format is unknown.
        OutputError: the folder is missing or cannot be written to, or the path is a folder.
    """
    format_of(path, format)
    if path.is_dir() or not _is_special(path):
        atomic.check_writable(path)


def write_file(
    results: Sequence[VideoDetections],
    path: Path,
    format: str | None = None,
    options: WriteOptions | None = None,
) -> Path | None:
    """Write segments to a file: afterwards it has all of them, or is as it was before.

    Args:
        results: each video once; one alone where the format holds one.
        path: the file; a link is followed, a device or pipe is written to directly.
        format: a name of `FORMATS`; None: by the file's ending.
        options: what else there is to know; links go from the file's folder.

    Returns:
        Where the file is kept that was there before; None where none was, or none is to be kept.

    Raises:
        ValueError: several videos in a format for one.
        OptionError: the format is unknown, or Label Studio and the frame rate of a video is not known.
        OutputError: the folder is missing or cannot be written to, or the path is a folder.
        StorageError: the disk is full or broken.
    """
    write = FORMATS[format_of(path, format)].write
    options = replace(options or WriteOptions(), folder=path.parent)
    if path.is_dir():
        raise OutputError(f"{path} is a folder", hint="give the name of a file in it")
    if _is_special(path):
        try:
            with path.open("w", encoding="utf-8", newline="") as special:
                write(results, special, options)
        except BrokenPipeError:  # a reader that has seen enough is no error of the disk
            raise
        except OSError as error:
            raise atomic.write_error(error, path) from error
        return None
    kept_at: list[Path | None] = [None]

    def before(new: Path, old: Path) -> None:
        kept_at[0] = kept.keep(new, old)

    with atomic.replacing(path, before if options.keeps else None) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        write(results, text, options)
        text.flush()
        text.detach()  # the file is closed by whoever opened it
    return kept_at[0]


def read_file(path: Path, format: str | None = None) -> dict[str, tuple[Detection, ...]]:
    """Read segments from a file.

    Args:
        path: the file.
        format: a name of `FORMATS`; None: by the file's ending.

    Returns:
        Video name to its segments, in the order of the file.

    Raises:
        OptionError: the format is unknown.
        PredictionsError: the file cannot be read, or does not say what it must say.
    """
    read = FORMATS[format_of(path, format)].read
    return _reading(path, lambda file: read(file, str(path)))


def read_durations(path: Path, format: str | None = None) -> dict[str, float]:
    """How long each video of a file is, seconds, where its format says so; none where it does not.

    Raises:
        OptionError: the format is unknown.
        PredictionsError: the file cannot be read.
    """
    if format_of(path, format) != "json":
        return {}
    return _reading(path, lambda file: activitynet.read_durations(file, str(path)))


def check_replaceable(path: Path, format: str | None = None) -> None:
    """Hold that a file that is there may be replaced: it is empty, or has ascnet's form of this format.

    What another program saved there, or a person added to it, is not touched by a second run of the same
    command. A name or a time that was corrected leaves no trace in the form: that is why `write_file` can
    keep what it replaces.

    Raises:
        OptionError: the format is unknown.
        OutputError: something else is there.
    """
    ours = FORMATS[format_of(path, format)].is_ours
    try:
        if not path.is_file() or path.stat().st_size == 0 or ours(path.read_bytes().decode("utf-8")):
            return
    except (OSError, UnicodeDecodeError):
        pass
    raise not_ours(path)


def not_ours(path: Path) -> OutputError:
    """The error about a file that is there and that would be lost."""
    return OutputError(
        f"{path} is there, and not as ascnet wrote it",
        hint="give another name, or replace it with --force",
    )


def _reading(path: Path, read: Callable[[TextSource], _Read]) -> _Read:
    """What a reader makes of a file.

    Raises:
        PredictionsError: the file cannot be read, or the reader says so.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return read(file)
    except UnicodeDecodeError as error:
        raise PredictionsError(
            f"{path}: not UTF-8 text: {error.reason} at byte {error.start}", hint="save the file as UTF-8"
        ) from error
    except OSError as error:
        raise PredictionsError(
            f"{path}: cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error


def _write_eaf(results: Sequence[VideoDetections], file: TextSink, options: WriteOptions) -> None:
    media = options.media.get(results[0].video) if len(results) == 1 else None
    eaf.write(results, file, media=media, folder=options.folder)


def _is_special(path: Path) -> bool:
    """Whether something stands there that must not be replaced: a device, a pipe, a socket."""
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)
