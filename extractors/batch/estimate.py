"""What a plan will cost: seconds of video, room on the disk, and hours, before it is begun.

Durations are those of the files' headers, which may be wrong, and of at most `SAMPLE` videos; the others are
taken to last as long for their size. Headers are read in a process of their own: a decoder may crash.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from extractors.batch.jobs import Video
from extractors.children import end_with_parent
from extractors.recipe import FeatureRecipe
from extractors.snippets import n_grid_frames

SAMPLE = 200  # videos whose headers are read
_BLOCK = 4096  # bytes; a file takes whole blocks
_OVERHEAD = 2 * _BLOCK  # bytes a video: the sidecar, and what its last block does not fill
_PIECE = 20  # headers read by one task
_PIECE_S = 60.0
_ALL_S = 120.0  # for all headers; what is not read by then is taken for unknown
_FEWEST_BYTES = 125  # bytes a second: no video is that small, so a header that says so is wrong


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of some videos.

    Attributes:
        n_videos: how many.
        n_read: how many had a header that says how long they are.
        video_s: seconds of video.
        n_rows: rows of features.
        n_bytes: on the disk.
    """

    n_videos: int
    n_read: int
    video_s: float
    n_rows: int
    n_bytes: int


def estimate(videos: Sequence[Video], recipe: FeatureRecipe, item_bytes: int) -> Estimate:
    """What features of these videos will take.

    Args:
        videos: to be made.
        recipe: of their features.
        item_bytes: of a number in the file.
    """
    sample = videos[:: max(1, -(-len(videos) // SAMPLE))]
    durations_s = durations([video.path for video in sample])
    sizes = {video.name: _size(video.path) for video in videos}
    known: dict[str, float] = {}
    for video, duration_s in zip(sample, durations_s, strict=True):
        if duration_s is not None and 0 < duration_s < math.inf:
            known[video.name] = min(duration_s, _longest_s(sizes[video.name]))
    known_bytes = sum(sizes[name] for name in known)
    s_a_byte = sum(known.values()) / known_bytes if known_bytes else 0.0
    lengths_s = [known.get(name, size * s_a_byte) for name, size in sizes.items()]
    n_rows = sum(recipe.grid.n_rows(n_grid_frames(length_s)) for length_s in lengths_s)
    n_bytes = n_rows * recipe.dim * item_bytes + len(videos) * _OVERHEAD
    return Estimate(len(videos), len(known), math.fsum(lengths_s), n_rows, n_bytes)


def most_bytes(videos: Sequence[Video], recipe: FeatureRecipe, item_bytes: int) -> int:
    """What features of these videos will take on the disk at the very most, by the videos' sizes alone."""
    total_s = sum(_longest_s(_size(video.path)) for video in videos)
    row_bytes = recipe.dim * item_bytes
    n_rows = math.ceil(total_s / recipe.grid.step_s) + len(videos)
    return n_rows * row_bytes + len(videos) * _OVERHEAD


def _longest_s(size: int) -> float:
    """What a video of this size can last."""
    return 60 + size / _FEWEST_BYTES


def durations(paths: Sequence[Path]) -> list[float | None]:
    """Seconds of each video by its header; None where it does not say, or cannot be read."""
    found: list[float | None] = []
    if not paths:
        return found
    until = time.monotonic() + _ALL_S
    pool = ProcessPool(1, context=multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        pieces = [list(paths[first : first + _PIECE]) for first in range(0, len(paths), _PIECE)]
        futures = [pool.schedule(_read_headers, args=(piece,), timeout=_PIECE_S) for piece in pieces]
        for piece, future in zip(pieces, futures, strict=True):
            try:
                found += future.result(timeout=max(until - time.monotonic(), 0.0))
            except (ProcessExpired, Late, OSError, RuntimeError):
                found += [None] * len(piece)
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()
    return found


def _read_headers(paths: Sequence[Path]) -> list[float | None]:
    from extractors.video import open_video

    found: list[float | None] = []
    for path in paths:
        try:
            with open_video(path) as reader:
                found.append(reader.info.header_duration_s)
        except Exception:  # noqa: BLE001 - an estimate does without; the run itself says what is wrong
            found.append(None)
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
