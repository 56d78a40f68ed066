"""What all formats share: where text goes to and comes from, and names and times in it."""

import io
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol, runtime_checkable

from ascnet_cli.errors import PredictionsError
from ascnet_cli.segments import LONGEST_S, Detection, Segment, VideoDetections

# Control characters, lone surrogates, and what splits lines or paragraphs.
_UNSEEN = frozenset(["Cc", "Cs", "Zl", "Zp"])
_NO_CHARACTERS = "\ufffe\uffff"


@runtime_checkable
class TextSink(Protocol):
    """Anything that text can be written to: a file, standard output, `io.StringIO`."""

    def write(self, text: str, /) -> object:
        """Take the text."""


@runtime_checkable
class TextSource(Protocol):
    """Anything that text can be read from, whole or by line."""

    def read(self) -> str:
        """All that is left."""

    def __iter__(self) -> Iterator[str]: ...


def utf8(text: str) -> str:
    r"""The text as UTF-8 can carry it: bytes of file names that are not UTF-8 become `\udcXX`.

    Where the locale knows ASCII alone, Python hands out file names byte by byte: they are put together again.
    """
    with suppress(UnicodeEncodeError):  # a surrogate that stands for no byte
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def visible(text: str, keep: str = "") -> str:
    r"""The text on one line, without characters that a text format cannot carry: those become `\n`, `\x1b`.

    Args:
        text: a label or a file's name.
        keep: characters that may stay.
    """
    return "".join(
        c
        if c in keep or (unicodedata.category(c) not in _UNSEEN and c not in _NO_CHARACTERS)
        else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def milliseconds(segment: Segment) -> tuple[int, int]:
    """Bounds in whole milliseconds; a segment never becomes empty by rounding."""
    start_ms = round(segment.start_s * 1000)
    return start_ms, max(round(segment.end_s * 1000), start_ms + 1)


def from_milliseconds(start_ms: int, end_ms: int) -> Segment:
    """The segment between two times in whole milliseconds.

    Raises:
        ValueError: it is empty, or beyond what a segment can be.
    """
    if max(start_ms, end_ms) > LONGEST_S * 1000:  # also numbers too long for a float, or to be printed
        raise ValueError(f"a segment ends at {LONGEST_S:.0f} s at the latest")
    return Segment(start_ms / 1000, end_ms / 1000)


def in_order(
    detections: Iterable[Detection], label_of: Callable[[str], str] = lambda label: label
) -> list[Detection]:
    """Detections as formats in milliseconds list them: by start, end, label, then falling score.

    Args:
        detections: any order.
        label_of: a label as the format carries it, so that a file that is read and written stays as it is.
    """
    return sorted(detections, key=lambda d: (*milliseconds(d.segment), label_of(d.label), -d.score))


def one_video(results: Sequence[VideoDetections], format: str) -> VideoDetections:
    """The one video that a file of this format can hold.

    Raises:
        ValueError: there are more, or none.
    """
    if len(results) != 1:
        raise ValueError(f"a file of the format {format} holds one video, not {len(results)}")
    return results[0]


def rewritten(
    text: str,
    read: Callable[[TextSource, str], dict[str, tuple[Detection, ...]]],
    write: Callable[[Sequence[VideoDetections], TextSink], None],
) -> str | None:
    """What a format makes of its own text when it is read and written again; None if it cannot be read."""
    try:
        found = read(io.StringIO(text, newline=""), "")
    except PredictionsError:
        return None
    again = io.StringIO(newline="")
    write([VideoDetections(video, 0.0, detections) for video, detections in found.items()], again)
    return again.getvalue()


def unique_videos(results: Sequence[VideoDetections]) -> None:
    """Hold that each video is there once.

    Raises:
        ValueError: one is there twice.
    """
    seen: set[str] = set()
    for result in results:
        if result.video in seen:
            raise ValueError(f"two results for the video {result.video!r}")
        seen.add(result.video)
