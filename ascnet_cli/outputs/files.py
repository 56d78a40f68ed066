"""Files of segments by their ending: written whole or not at all, and read back."""

import io
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ascnet_cli.errors import OptionError, OutputError, PredictionsError
from ascnet_cli.outputs import activitynet, csv_file
from ascnet_cli.outputs.text import TextSink, TextSource
from ascnet_cli.segments import Detection, VideoDetections
from weights import atomic

Writer = Callable[[Sequence[VideoDetections], TextSink], None]
Reader = Callable[[TextSource, str], dict[str, tuple[Detection, ...]]]

WRITERS: Mapping[str, Writer] = MappingProxyType({"csv": csv_file.write, "json": activitynet.write})
READERS: Mapping[str, Reader] = MappingProxyType({"csv": csv_file.read, "json": activitynet.read})


def format_of(path: Path, format: str | None = None) -> str:
    """The format that a file has by its ending, or the one asked for.

    Args:
        path: the file.
        format: "csv" or "json", whatever the ending is; None: by the ending.

    Raises:
        OptionError: no such format, or an ending that says none.
    """
    if format is None and path.suffix.lower().removeprefix(".") not in WRITERS:
        raise OptionError(
            f"{path}: the ending does not say which format it has",
            hint=f"use an ending of {', '.join(f'.{f}' for f in WRITERS)}, or name the format",
        )
    chosen = path.suffix.lower().removeprefix(".") if format is None else format
    if chosen not in WRITERS:
        raise OptionError(f"unknown format {chosen!r}", hint=f"choose one of {', '.join(WRITERS)}")
    return chosen


def check_writable(path: Path, format: str | None = None) -> None:
    """Hold, before any work is done, that `write_file` will find its place.

    Raises:
        OptionError: the format is unknown.
        OutputError: the folder is missing or cannot be written to, or the path is a folder.
    """
    format_of(path, format)
    if path.is_dir() or not _is_special(path):
        atomic.check_writable(path)


def write_file(results: Sequence[VideoDetections], path: Path, format: str | None = None) -> None:
    """Write segments to a file: afterwards it has all of them, or is as it was before.

    Args:
        results: each video once.
        path: the file; a link is followed, a device or pipe is written to directly.
        format: "csv" or "json"; None: by the file's ending.

    Raises:
        OptionError: the format is unknown.
        OutputError: the folder is missing or cannot be written to, or the path is a folder.
        StorageError: the disk is full or broken.
    """
    write = WRITERS[format_of(path, format)]
    if path.is_dir():
        raise OutputError(f"{path} is a folder", hint="give the name of a file in it")
    if _is_special(path):
        try:
            with path.open("w", encoding="utf-8", newline="") as special:
                write(results, special)
        except BrokenPipeError:  # a reader that has seen enough is no error of the disk
            raise
        except OSError as error:
            raise atomic.write_error(error, path) from error
        return
    with atomic.replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        write(results, text)
        text.flush()
        text.detach()  # the file is closed by whoever opened it


def read_file(path: Path, format: str | None = None) -> dict[str, tuple[Detection, ...]]:
    """Read segments from a file.

    Args:
        path: the file.
        format: "csv" or "json"; None: by the file's ending.

    Returns:
        Video name to its segments, in the order of the file.

    Raises:
        OptionError: the format is unknown.
        PredictionsError: the file cannot be read, or does not say what it must say.
    """
    read = READERS[format_of(path, format)]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return read(file, str(path))
    except UnicodeDecodeError as error:
        raise PredictionsError(
            f"{path}: not UTF-8 text: {error.reason} at byte {error.start}", hint="save the file as UTF-8"
        ) from error
    except OSError as error:
        raise PredictionsError(
            f"{path}: cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error


def _is_special(path: Path) -> bool:
    """Whether something stands there that must not be replaced: a device, a pipe, a socket."""
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)
