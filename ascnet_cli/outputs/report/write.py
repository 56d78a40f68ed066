"""Write a report: one page, or an index and its pages."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ascnet_cli.errors import OptionError
from ascnet_cli.outputs.colours import DARK_INK, Style, styles_of
from ascnet_cli.outputs.report.html import render
from ascnet_cli.outputs.report.index import index_document
from ascnet_cli.outputs.report.media import check_embeddable, media_of, url_from
from ascnet_cli.outputs.report.page import VideoPage, document
from ascnet_cli.outputs.report.thumbnail import thumbnail
from ascnet_cli.outputs.text import unique_videos, utf8
from weights.atomic import replacing, write_error

_PAGE_SCRIPTS = (
    "shared.js",
    "model.js",
    "csv.js",
    "player.js",
    "picture.js",
    "table.js",
    "lanes.js",
    "drawing.js",
    "timeline.js",
    "keys.js",
    "page.js",
)
_PAGE_STYLES = ("base.css", "page.css")
# A class that was looked for, and neither found nor there.
_NOT_FOUND = Style("#8b919b", 0, DARK_INK)
_INDEX_SCRIPTS = ("shared.js", "index.js")
_INDEX_STYLES = ("base.css", "index.css")


def write_report(
    pages: Sequence[VideoPage],
    path: Path,
    *,
    embed: bool = False,
    title: str | None = None,
    tiou: float = 0.5,
    failures: Mapping[str, str] | None = None,
) -> tuple[Path, ...]:
    """Write what was found in videos as pages for a browser.

    One video, where no other failed, is one page at `path`. Several, or none, are an index at `path`, and
    their pages in a folder beside it: `pages_folder(path)`. The index is written last.

    Args:
        pages: each video once; any order.
        path: the file to write.
        embed: put the videos into the pages (`EMBED_LIMIT_BYTES` each); otherwise pages link to them by
            relative paths, and want to be moved together with them.
        title: heading of the page or the index; None: the video's name, or how many videos there are.
        failures: videos without a page, by name, and why; they stand at the end of the index.
        tiou: a segment matches an instance of the ground truth at this temporal IoU or more, in (0, 1].

    Returns:
        The files that were written, `path` first.

    Raises:
        ValueError: a video is there twice.
        OptionError: a video is too large to be embedded, or `tiou` is out of range.
        VideoError: a video that is to be embedded cannot be read.
        OutputError: a file cannot be written.
        StorageError: the disk is full.
    """
    unique_videos([page.result for page in pages])
    if not 0 < tiou <= 1:
        raise OptionError(f"tIoU must lie in (0, 1], not {tiou}", hint="for example 0.5")
    if embed:
        for page in pages:
            if page.video is not None:
                check_embeddable(page.video)
    # One set of colours for all pages of a report.
    styles = _styles(pages)
    if len(pages) == 1 and not failures:
        (page,) = pages
        _write(path, _page_text(page, path, styles, embed=embed, tiou=tiou, title=title, index=None))
        return (path,)
    folder = pages_folder(path)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise write_error(error, folder) from error
    written = []
    for page in pages:
        target = folder / page_name(page.result.video)
        _write(target, _page_text(page, target, styles, embed=embed, tiou=tiou, title=None, index=path))
        written.append(target)
    _write(path, _index_text(pages, written, path, styles, tiou=tiou, title=title, failures=failures or {}))
    return (path, *written)


def _styles(pages: Sequence[VideoPage]) -> dict[str, Style]:
    """Colours for the classes that occur; those with a curve alone are grey, since colours are few."""
    curves = {label: _NOT_FOUND for page in pages for label in page.labels}
    return curves | styles_of(label for page in pages for label in page.found_labels)


def pages_folder(path: Path) -> Path:
    """Where the pages of an index lie: `report.html` has `report_pages/`."""
    return path.with_name(f"{path.stem}_pages")


def page_name(video: str) -> str:
    """The file name of a video's page: safe on every file system, different for different videos.

    What a file system may not like becomes "_"; a hash of the whole name keeps apart what then looks the
    same, and the page of a video has the same name in every run.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", video)[-60:].strip("._-") or "video"
    digest = hashlib.sha256(video.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{stem}-{digest}.html"


def _page_text(
    page: VideoPage,
    target: Path,
    styles: Mapping[str, Style],
    *,
    embed: bool,
    tiou: float,
    title: str | None,
    index: Path | None,
) -> str:
    media = media_of(page.video, target, embed=embed)
    return render(
        "page.html",
        scripts=_PAGE_SCRIPTS,
        styles=_PAGE_STYLES,
        media=media.sources,
        data=document(page, styles, tiou),
        title=utf8(title or page.result.video),
        video=utf8(page.result.video),
        src=media.url,
        index=url_from(target, index) if index is not None else "",
    )


def _index_text(
    pages: Sequence[VideoPage],
    written: Sequence[Path],
    path: Path,
    styles: Mapping[str, Style],
    *,
    tiou: float,
    title: str | None,
    failures: Mapping[str, str],
) -> str:
    urls = [url_from(path, page) for page in written]
    data = index_document(pages, urls, [thumbnail(page.video, page.result) for page in pages], styles, tiou)
    n_videos = len(pages) + len(failures)
    count = f"{len(pages)} of {n_videos}" if failures else str(n_videos)
    return render(
        "index.html",
        scripts=_INDEX_SCRIPTS,
        styles=_INDEX_STYLES,
        media="media-src 'none'",
        data=data,
        title=utf8(title or f"{count} videos"),
        failures=[(utf8(video), utf8(why)) for video, why in failures.items()],
    )


def _write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode("utf-8"))
