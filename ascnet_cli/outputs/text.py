"""What all formats share: where text goes to and comes from, and names in it."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Protocol, runtime_checkable

from ascnet_cli.segments import VideoDetections


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
