"""A small picture of a video for the index: of the middle of its best segment, or of its beginning."""

from __future__ import annotations

import base64
from pathlib import Path

from ascnet_cli.segments import VideoDetections

SHORT_SIDE = 132  # pixels
_QUALITY = 72  # of JPEG: some 5 kB a picture


def thumbnail(video: Path | None, result: VideoDetections) -> str:
    """A JPEG as a data URL; empty where there is no picture to be had.

    Args:
        video: the file, or None.
        result: what was found in it.
    """
    if video is None:
        return ""
    best = max(result.detections, key=lambda detection: detection.score, default=None)
    at_s = (best.segment.start_s + best.segment.end_s) / 2 if best is not None else None
    try:
        jpeg = _jpeg(video, at_s)
    except Exception:  # noqa: BLE001 - whatever a damaged file sets off, the report goes on without its picture
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"


def _jpeg(video: Path, at_s: float | None) -> bytes:
    import cv2

    from extractors.still import still

    rgb = still(video, at_s=at_s, short_side=SHORT_SIDE)
    done, encoded = cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(encoded) if done else b""
