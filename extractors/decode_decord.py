"""Frames through decord 0.6.0, read in order; a second opinion, not the default.

decord is the reader many published extractors used. It reads some files wrongly or not at all (AVI with
B-frames, MPEG-TS and MPEG-PS, AV1, GIF, truncated mp4; the README has the list), does not count damage, and
its native code is known to crash and hang on broken files. The header is checked with PyAV first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from extractors.decode_pyav import probe, upright
from extractors.errors import OptionError, VideoError
from extractors.video import DecodeReport, Frame, VideoReader, resized


def _import_decord() -> Any:  # noqa: ANN401 (decord has no types)
    try:
        import decord
    except ImportError as error:
        raise OptionError(
            "decord is not installed: it exists for Linux on x86-64 alone", hint="use --decoder pyav"
        ) from error
    return decord


class DecordReader(VideoReader):
    """See `extractors.video.open_video`."""

    def __init__(self, path: Path, *, short_side: int | None, max_pixels: int) -> None:
        decord = _import_decord()
        self.info, self._orientation = probe(path, max_pixels=max_pixels)
        self._version = decord.__version__
        try:
            self._reader: Any = decord.VideoReader(str(path.resolve()), ctx=decord.cpu(0), num_threads=1)
            times = np.asarray(self._reader.get_frame_timestamp(list(range(len(self._reader)))))
        except (RuntimeError, decord.DECORDError) as error:
            raise VideoError("decord cannot read this file", hint="use --decoder pyav") from error
        if len(times) == 0:
            raise VideoError("decord finds no frame in this file", hint="use --decoder pyav")
        if not np.all(np.diff(times[:, 0]) > 0):
            raise VideoError("decord gives times that do not grow in this file", hint="use --decoder pyav")
        self._times: np.ndarray[Any, np.dtype[np.float64]] = times.astype(np.float64)
        # `probe` has applied the pixel aspect and the rotation to the displayed size.
        width, height = resized(self.info.width, self.info.height, short_side)
        self._size = (height, width) if self._orientation[1] % 2 else (width, height)
        self._frames = 0

    def frames(self) -> Iterator[Frame]:
        """See `VideoReader.frames`; decord's frames are resized by OpenCV (bilinear, or by area when smaller)."""
        start_s = float(self._times[0, 0])
        self._reader.seek_accurate(0)
        for begin, end in self._times:
            try:
                rgb = self._reader.next().asnumpy()
            except (RuntimeError, StopIteration) as error:
                raise VideoError(
                    f"decord stopped after {self._frames} of {len(self._times)} frames",
                    hint="use --decoder pyav",
                ) from error
            self._frames += 1
            duration_s = max(float(end - begin), 0.0)
            yield Frame(time_s=float(begin) - start_s, duration_s=duration_s, rgb=self._picture(rgb))

    def _picture(self, rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        if (rgb.shape[1], rgb.shape[0]) != self._size:
            smaller = self._size[0] < rgb.shape[1]
            rgb = cv2.resize(rgb, self._size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        return upright(rgb, *self._orientation)

    @property
    def report(self) -> DecodeReport:
        """See `VideoReader.report`; decord does not count bad packets."""
        return DecodeReport(
            decoder=f"decord {self._version}",
            frames_in_header=self.info.header_frames,
            frames_decoded=self._frames,
            bad_packets=0,
            duration_s=float(self._times[:, 1].max() - self._times[0, 0]),
            header_duration_s=self.info.header_duration_s,
            truncated=False,
            notes=(*self.info.notes, "decord counts no damage"),
        )

    def close(self) -> None:
        """See `VideoReader.close`."""
        self._reader = None
