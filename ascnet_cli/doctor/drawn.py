"""A video of one snippet that is drawn, not stored: what the self-test decodes and looks at.

Waves of colour run across the picture and a bright disc moves over them, so that every frame is another one,
and mixed-up colours, rows, columns or frames show.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from extractors.snippets import GRID_FPS, SNIPPET_FRAMES
from extractors.video import RESIZE_SIDE

SIDE_PX = RESIZE_SIDE  # so that decoding does not scale: what comes out is compared with what went in
N_FRAMES = SNIPPET_FRAMES
_MEAN, _COLOUR, _LIGHT = 128, 50, 30  # grey levels
_DISC_PX = 40  # radius
_DISC_LEVELS = 40  # how much brighter it is


def pictures() -> UInt8[np.ndarray, "16 256 256 3"]:
    """The frames, RGB; colours change slowly, since files hold them at half the resolution."""
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
    shown = np.empty((N_FRAMES, SIDE_PX, SIDE_PX, 3))
    for k in range(N_FRAMES):
        light = np.sin(2 * np.pi * (x / 32 + k / 8)) * np.sin(2 * np.pi * (y / 24 - k / 10))
        turns = (x / 256 + k / 16, y / 192 - k / 20, (x + y) / 320 + k / 11)
        for channel, turn in enumerate(turns):
            shown[k, :, :, channel] = _MEAN + _LIGHT * light + _COLOUR * np.sin(2 * np.pi * turn)
        shown[k, (x - 40 - 10 * k) ** 2 + (y - SIDE_PX // 2) ** 2 < _DISC_PX**2] += _DISC_LEVELS
    rgb: UInt8[np.ndarray, "16 256 256 3"] = shown.round().astype(np.uint8)
    return rgb


def write_video(folder: Path) -> Path:
    """Encode them without loss (but for the halved resolution of colours), at 25 frames a second.

    H.264 where it can be encoded here, which is what most videos are; else FFV1, which decodes to the same.
    """
    import av
    from av.codec.codec import UnknownCodecError

    encoder, name, options = "libx264", "drawn.mp4", {"qp": "0", "preset": "ultrafast", "threads": "1"}
    try:
        av.codec.Codec(encoder, "w")
    except UnknownCodecError:
        encoder, name, options = "ffv1", "drawn.mkv", {}
    path = folder / name
    with av.open(f"file:{path}", "w") as output:
        stream: Any = output.add_stream(encoder, rate=Fraction(GRID_FPS))
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt = "yuv420p"
        stream.options = options
        for rgb in pictures():
            output.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        output.mux(stream.encode())
    return path
