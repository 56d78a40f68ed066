"""Frames through decord 0.6.0, read in order; a second opinion, not the default.

decord is the reader many published extractors used. It reads some files wrongly or not at all (AVI with
B-frames, MPEG-TS and MPEG-PS, AV1, GIF, truncated mp4; the README has the list), does not count damage, and
its native code is known to crash and hang on broken files. The header is checked with PyAV first, and what
decord is known to read wrongly is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from extractors import container as container_file
from extractors.decode_pyav import Probe, probe
from extractors.errors import OptionError, VideoError
from extractors.pictures import resized
from extractors.video import DecodeReport, Frame, Limits, VideoReader

# Containers whose frames decord drops, doubles or shows at the wrong time.
_MISREAD = {"mpegts": "MPEG-TS", "mpeg": "MPEG-PS"}
_BEYOND_S = 0.5  # seconds beyond the header's end that are taken for a rounding
_HINT = "use --decoder pyav"


def _import_decord() -> Any:  # noqa: ANN401 (decord has no types)
    try:
        import decord
    except ImportError as error:
        raise OptionError(
            "decord is not installed: it exists for Linux on x86-64 alone", hint=_HINT
        ) from error
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def _refuse_misread(probed: Probe) -> None:
    """Refuse what decord would read wrongly without a word.

    Raises:
        VideoError: with the reason.
    """
    info = probed.info
    if info.container in _MISREAD:
        raise VideoError(f"decord does not read {_MISREAD[info.container]} reliably", hint=_HINT)
    if info.n_streams > 1:
        raise VideoError(f"decord may choose another of the {info.n_streams} video streams", hint=_HINT)
    if probed.mirrored:
        raise VideoError("decord does not undo the mirroring that this file asks for", hint=_HINT)


class DecordReader(VideoReader):
    """See `extractors.video.open_video`."""

    def __init__(self, path: Path, *, short_side: int | None, limits: Limits) -> None:
        decord = _import_decord()
        probed = probe(path, max_pixels=limits.max_pixels)
        _refuse_misread(probed)
        self.info, self._turned_size = probed.info, probed.size
        self._file = container_file.file_state(path)
        self._version = decord.__version__
        self._errors = (RuntimeError, IndexError, ValueError, StopIteration, decord.DECORDError)
        try:
            self._reader: Any = decord.VideoReader(str(path.resolve()), ctx=decord.cpu(0), num_threads=1)
            n_frames = len(self._reader)
            times = np.asarray(self._reader.get_frame_timestamp(list(range(n_frames))), np.float64)
        except self._errors as error:
            raise VideoError("decord cannot read this file", hint=_HINT) from error
        if not n_frames:
            raise VideoError("decord finds no frame in this file", hint=_HINT)
        if not np.all(np.diff(times[:, 0]) > 0):
            raise VideoError("decord gives times that do not grow in this file", hint=_HINT)
        end_s, said_s = float(times[-1, 1] - times[0, 0]), self.info.header_duration_s
        if self.info.duration_is_streams and said_s and end_s > said_s + _BEYOND_S:
            # An edit list: decord counts the frames that it hides, and repeats the last one in their place.
            raise VideoError(
                f"decord counts {end_s:.2f} s of frames where {said_s:.2f} s are shown", hint=_HINT
            )
        self._times_s: Float64[np.ndarray, "t 2"] = times - times[0, 0]
        # The displayed size: `probe` has applied the pixel aspect and the rotation to it.
        self._size = resized(self.info.width, self.info.height, short_side)
        self._frames = 0
        self._end_s = 0.0

    def frames(self) -> Iterator[Frame]:
        """See `VideoReader.frames`; OpenCV resizes the frames (bilinear, or by area when smaller)."""
        self._reader.seek_accurate(0)
        for begin, end in self._times_s.tolist():
            try:
                rgb = self._reader.next().asnumpy()
            except self._errors as error:
                raise VideoError(
                    f"decord stopped after {self._frames} of {len(self._times_s)} frames", hint=_HINT
                ) from error
            self._frames += 1
            duration_s = max(end - begin, 0.0)
            self._end_s = begin + (duration_s or 1 / (self.info.header_fps or 25))
            yield Frame(time_s=begin, duration_s=duration_s, rgb=self._picture(rgb))

    def _picture(self, rgb: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """Square pixels and the wanted size; decord has turned the picture upright itself."""
        height, width, channels = rgb.shape
        if channels != 3 or (width, height) != self._turned_size:
            # Seen with small pictures turned by a quarter: rows come with their padding.
            raise VideoError("decord gives pictures of a wrong shape", hint=_HINT)
        if (width, height) == self._size:
            return rgb
        smaller = self._size[0] < width
        picture: UInt8[np.ndarray, "h2 w2 3"] = cv2.resize(
            rgb, self._size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        )
        return picture

    @property
    def report(self) -> DecodeReport:
        """See `VideoReader.report`; decord does not count bad packets."""
        promised_s = self.info.header_duration_s if self.info.duration_is_streams else None
        return DecodeReport(
            decoder=f"decord {self._version}",
            frames_in_header=self.info.header_frames,
            frames_decoded=self._frames,
            bad_packets=0,
            duration_s=self._end_s,
            header_duration_s=self.info.header_duration_s,
            truncated=self._file.truncated(promised_s, self._end_s),
            notes=(*self.info.notes, "decord counts no damage", *self._file.notes_at_end(self.info.path)),
        )

    def close(self) -> None:
        """See `VideoReader.close`."""
        self._reader = None
