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
from extractors.batch.source import ExtractorSource, FeatureMaker, Seat
from extractors.errors import OptionError
from extractors.recipe import FeatureRecipe
from extractors.snippets import n_grid_frames

SAMPLE = 200  # videos whose headers are read
_BLOCK = 4096  # bytes; a file takes whole blocks
_OVERHEAD = 2 * _BLOCK  # bytes a video: the sidecar, and what its last block does not fill
_PIECE = 20  # headers read by one task
_PIECE_S = 60.0
_FEWEST_BYTES = 125  # bytes a second: no video is that small, so a header that says so is wrong
_TRIED = 3  # videos that are looked at to measure a rate
_MEASURED_S = 20.0


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
    with ProcessPool(1, context=multiprocessing.get_context("spawn")) as pool:
        pieces = [list(paths[first : first + _PIECE]) for first in range(0, len(paths), _PIECE)]
        futures = [pool.schedule(_read_headers, args=(piece,), timeout=_PIECE_S) for piece in pieces]
        for piece, future in zip(pieces, futures, strict=True):
            try:
                found += future.result()
            except (ProcessExpired, Late, OSError, RuntimeError):
                found += [None] * len(piece)
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


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast features are made, measured.

    Attributes:
        video_s: seconds of video that were extracted.
        seconds: that it took.
        device: where.
    """

    video_s: float
    seconds: float
    device: str

    @property
    def factor(self) -> float:
        """Seconds of video a second."""
        return self.video_s / self.seconds


def measure_rate(source: ExtractorSource, videos: Sequence[Video], seat: Seat) -> Rate | None:
    """Extract the beginnings of a few videos and see how long it takes; None where none can be read.

    Args:
        source: of the extractor.
        videos: to be made.
        seat: a worker's.

    Raises:
        AscnetError: the extractor cannot be made here.
    """
    sample = videos[:: max(1, len(videos) // _TRIED)][:_TRIED]
    with ProcessPool(1, context=multiprocessing.get_context("spawn")) as pool:
        future = pool.schedule(_measure, args=(source, [video.path for video in sample], seat))
        try:
            return future.result()
        except ProcessExpired:
            return None


class _Enough(Exception):
    """The measurement has lasted long enough: no error, but how an extraction is left early."""


def _measure(source: ExtractorSource, paths: Sequence[Path], seat: Seat) -> Rate | None:
    maker, device = source.build(seat)
    video_s, seconds = 0.0, 0.0
    for path in paths:
        started = time.monotonic()
        done_s = _extracted_s(maker, path)
        if done_s:
            video_s += done_s
            seconds += time.monotonic() - started
        if seconds > _MEASURED_S:
            break
    return Rate(video_s, seconds, device) if video_s and seconds else None


def _extracted_s(maker: FeatureMaker, path: Path) -> float:
    """Seconds of a video that were extracted until it was enough; 0 where it cannot be read."""
    started = time.monotonic()
    so_far_s = 0.0

    def progress(done_s: float, _total_s: float | None) -> None:
        nonlocal so_far_s
        so_far_s = done_s
        if time.monotonic() - started > _MEASURED_S:
            raise _Enough

    try:
        return maker.extract(path, progress=progress).duration_s
    except _Enough:
        return so_far_s
    except OptionError:
        raise
    except Exception:  # noqa: BLE001 - a video that cannot be read measures nothing
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
