"""Colours of drawings as a video stores them: 8-bit luma and colour differences, limited range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Float32, UInt8

# Luma weights of red and blue by FFmpeg's number of the matrix (ITU-T H.273, table 4).
_WEIGHTS = {
    1: (0.2126, 0.0722),  # BT.709
    5: (0.299, 0.114),  # BT.601, 625 lines
    6: (0.299, 0.114),  # BT.601, 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}
_NAMES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}
_BT709, _BT601, _UNSPECIFIED = 1, 6, 2
_HD_HEIGHT = 576  # players take a taller picture that does not say for BT.709
# Where white of a drawing stands in the signal, so that it is not glaring (ITU-R BT.2408, 203 cd/m2).
_WHITE = {16: 0.58, 18: 0.75}  # by the transfer curve: PQ, HLG


@dataclass(frozen=True, slots=True)
class Planes:
    """A picture in 4:2:0: even width and height.

    Attributes:
        y: luma.
        u: blue difference, half of each side.
        v: red difference, likewise.
    """

    y: UInt8[np.ndarray, "h w"]
    u: UInt8[np.ndarray, "h2 w2"]
    v: UInt8[np.ndarray, "h2 w2"]


@dataclass(frozen=True, slots=True)
class Colours:
    """How the colours of a video are to be understood, in FFmpeg's numbers (those of ITU-T H.273).

    Attributes:
        matrix: from red, green and blue to luma and colour differences.
        primaries: which red, green and blue.
        transfer: the curve of brightness.
    """

    matrix: int
    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED

    @classmethod
    def of(cls, frame: VideoFrame) -> Colours:
        """Those that a frame declares; the matrix that players assume where it declares none of use here."""
        matrix = int(frame.colorspace)
        if matrix not in _WEIGHTS:
            matrix = _BT709 if max(frame.height, frame.width) > _HD_HEIGHT * 16 // 9 else _BT601
        return cls(matrix, int(frame.color_primaries), int(frame.color_trc))

    @property
    def matrix_name(self) -> str:
        """FFmpeg's name of the matrix."""
        return _NAMES[self.matrix]

    @property
    def high_dynamic_range(self) -> bool:
        """Whether brightness is stored for screens that go beyond white."""
        return self.transfer in _WHITE

    def planes(self, rgb: UInt8[np.ndarray, "h w 3"]) -> Planes:
        """A drawing in this video's colours.

        Args:
            rgb: even height and width; sRGB.
        """
        red, blue = _WEIGHTS[self.matrix]
        white: Any = _WHITE.get(self.transfer, 1.0)
        r, g, b = (rgb[..., k].astype(np.float32) * (white / 255) for k in range(3))
        luma = red * r + (1 - red - blue) * g + blue * b
        height, width = luma.shape
        u, v = (
            (difference / (2 * (1 - weight))).reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
            for difference, weight in ((b - luma, blue), (r - luma, red))
        )
        return Planes(*(_stored(plane, *scale) for plane, scale in ((luma, _Y), (u, _UV), (v, _UV))))


_Y, _UV = (219, 16), (224, 128)  # of limited range: scale and zero
BLACK = (16, 128, 128)  # y, u, v


def _stored(values: Float32[np.ndarray, "h w"], scale: int, zero: int) -> UInt8[np.ndarray, "h w"]:
    stored: UInt8[np.ndarray, "h w"] = np.rint(values * scale + zero).astype(np.uint8)
    return stored
