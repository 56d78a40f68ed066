"""Where a page finds its video: a link relative to the page, or the file itself inside the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from ascnet_cli.errors import OptionError, VideoError
from ascnet_cli.outputs.media import relative_url

# A browser holds a page's text whole, and base64 is a third longer than what it encodes.
EMBED_LIMIT_BYTES = 100_000_000

# What browsers go by in a data URL. They know no "video/quicktime" and no "video/x-matroska", but do play
# the streams in such files where they know the codecs.
KINDS = {
    ".m4v": "video/mp4",
    ".mkv": "video/webm",
    ".mov": "video/mp4",
    ".mp4": "video/mp4",
    ".ogv": "video/ogg",
    ".webm": "video/webm",
}


@dataclass(frozen=True, slots=True)
class Media:
    """A video as a page refers to it.

    Attributes:
        url: relative to the page, or a data URL; empty where there is no video.
        embedded: the page holds the file.
    """

    url: str
    embedded: bool = False

    @property
    def sources(self) -> str:
        """The part of the page's content security policy that lets this video in, as narrow as it works.

        A page from a disk has no origin: what 'self' means there is each browser's own affair, so `file:` is
        named beside it (a page from a web server cannot load that in any case). Where a server cannot
        send parts of a file, the page fetches the video whole, from where the page is, and shows the copy.
        """
        if not self.url:
            return "media-src 'none'"
        return "media-src data:" if self.embedded else "media-src 'self' file: blob:; connect-src 'self'"


def media_of(video: Path | None, page: Path, *, embed: bool) -> Media:
    """How the page at `page` is to show a video.

    Args:
        video: the file; None where there is none.
        page: where the page will be.
        embed: put the file into the page.

    Raises:
        OptionError: the file is too large to be embedded.
        VideoError: it is to be embedded and cannot be read.
    """
    if video is None:
        return Media("")
    return Media(_data_url(video), embedded=True) if embed else Media(url_from(page, video))


def check_embeddable(video: Path) -> None:
    """Hold that a video may be put into a page, before any work is done.

    Raises:
        OptionError: it is too large.
        VideoError: it cannot be read.
    """
    try:
        size = video.stat().st_size
    except OSError as error:
        raise _unreadable(video, error) from error
    if size > EMBED_LIMIT_BYTES:
        raise OptionError(
            f"{video} has {size / 1e6:.0f} MB: a page can embed {EMBED_LIMIT_BYTES / 1e6:.0f} MB at most",
            hint="without embedding, the page links to the video; or scale the video down first",
        )


def url_from(page: Path, target: Path) -> str:
    """A link from a page to a file, quoted as URLs are; neither needs to exist."""
    return relative_url(target, page.parent).removeprefix("./")


def _data_url(video: Path) -> str:
    check_embeddable(video)
    try:
        content = video.read_bytes()
    except OSError as error:
        raise _unreadable(video, error) from error
    kind = KINDS.get(video.suffix.lower(), "application/octet-stream")
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _unreadable(video: Path, error: OSError) -> VideoError:
    return VideoError(f"{video}: cannot be read: {error.strerror or error}", hint="check the path")
