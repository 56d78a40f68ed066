"""What a decoder's process says of a video, and how little of that is taken on trust.

A file may have taken that process over. So whoever listens takes numbers and text of the kinds and sizes that
it asked for, and refuses anything else.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8

from extractors.errors import OptionError, VideoError
from extractors.line import Line, Patience
from extractors.networks import INPUT_PX
from extractors.pieces import Piece, VideoEnd
from extractors.video import MAX_ASPECT, RESIZE_SIDE, DecodeReport, Limits
from weights.documents import parse_json
from weights.errors import AscnetError

_LONGEST = 1 << 20  # bytes of a message that is text


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What pictures are to be like.

    Attributes:
        limits: of one, as the file has them.
        length: at most so many a piece.
        whole: they are not cropped.
    """

    limits: Limits
    length: int
    whole: bool


def tell(line: Line, item: Piece | VideoEnd) -> None:
    """Send a piece, or the end of a video."""
    if isinstance(item, VideoEnd):
        outcome = item.outcome
        if isinstance(outcome, DecodeReport):
            told: dict[str, Any] = {"report": dataclasses.asdict(outcome)}
        else:
            told = {"error": _told(outcome)}
        line.send(json.dumps(told).encode())
        return
    following = item.following
    told = {
        "shape": item.frames.shape,
        "following": following is not None,
        "last": item.last,
        "total_s": item.total_s,
    }
    line.send(json.dumps(told).encode())
    for array in (item.frames, following):
        if array is not None:
            line.send(np.ascontiguousarray(array).data.cast("B"))


def hear(line: Line, video: int, asked: Asked, patience: Patience) -> Piece | VideoEnd:
    """The next thing that is said of a video.

    Args:
        line: where.
        video: its number.
        asked: what its pictures are to be like.
        patience: for each message.

    Raises:
        ValueError: what came is not what was asked for.
        EOFError, ConnectionError, TimeoutError, GivenUp: see `Line.receive`.
    """
    told = parse_json(line.receive(_LONGEST, patience))
    if not isinstance(told, dict):
        raise ValueError("no object")
    if "error" in told:
        return VideoEnd(video, _error(_fields(told["error"], _ERROR)))
    if "report" in told:
        report = _fields(told["report"], _REPORT)
        return VideoEnd(video, DecodeReport(**{**report, "notes": tuple(report["notes"])}))
    piece = _fields(told, _PIECE)
    shape = _shape(piece["shape"], asked)
    frames = _array(line, shape, patience)
    following = None
    if piece["following"]:
        if piece["last"] or not asked.whole:
            raise ValueError("a picture that was not asked for")
        following = _array(line, shape[1:], patience)
    return Piece(video, frames, following, last=piece["last"], total_s=piece["total_s"])


def _array(line: Line, shape: tuple[int, ...], patience: Patience) -> UInt8[np.ndarray, "*n"]:
    made: UInt8[np.ndarray, "*n"] = np.empty(shape, np.uint8)
    line.receive_into(made.data.cast("B"), patience)
    return made


def _shape(told: list[Any], asked: Asked) -> tuple[int, ...]:
    """(t, h, w, 3) of a piece.

    Raises:
        ValueError: no piece that was asked for has it.
    """
    shape = tuple(told)
    if len(shape) != 4 or not all(_count(side) and side for side in shape):
        raise ValueError("no shape")
    length, height, width, channels = shape
    if asked.whole:
        # Small pictures are made larger, the longest of them up to this.
        most = max(asked.limits.max_pixels, RESIZE_SIDE * (RESIZE_SIDE + 1) * MAX_ASPECT)
        fits = height * width <= most
    else:
        fits = height == width == INPUT_PX
    if channels != 3 or length > asked.length or not fits:
        raise ValueError("pictures of another size")
    return shape


def _count(value: object) -> bool:
    return type(value) is int and value >= 0


def _seconds(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _maybe_seconds(value: object) -> bool:
    return value is None or _seconds(value)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _flag(value: object) -> bool:
    return isinstance(value, bool)


_Kinds = Mapping[str, Callable[[object], bool]]
_ERROR: _Kinds = {"kind": _text, "message": _text, "hint": _text}
_PIECE: _Kinds = {
    "shape": lambda value: isinstance(value, list),
    "following": _flag,
    "last": _flag,
    "total_s": _maybe_seconds,
}
_REPORT: _Kinds = {
    "decoder": _text,
    "frames_in_header": _count,
    "frames_decoded": _count,
    "bad_packets": _count,
    "duration_s": _seconds,
    "header_duration_s": _maybe_seconds,
    "truncated": _flag,
    "notes": _texts,
}


def _fields(told: object, kinds: _Kinds) -> dict[str, Any]:
    if not isinstance(told, dict) or told.keys() != kinds.keys():
        raise ValueError("other fields")
    for name, fits in kinds.items():
        if not fits(told[name]):
            raise ValueError(f"{name} of another kind")
    return told


def _error(told: Mapping[str, str]) -> Exception:
    """An error as it was on the other side, as far as it makes a difference."""
    kind, message, hint = told["kind"], told["message"], told["hint"]
    if kind == "VideoError":
        return VideoError(message, hint=hint)
    if kind == "OptionError":
        return OptionError(message, hint=hint)
    if kind == "MemoryError":
        return MemoryError(message)
    if kind == "OSError":
        return VideoError(f"cannot be read: {message}", hint="check the file and its disk")
    return AscnetError(f"{kind}: {message}", hint="please report this as a bug")


def _told(error: Exception) -> dict[str, str]:
    if isinstance(error, OSError) and not isinstance(error, AscnetError):
        return {"kind": "OSError", "message": str(error.strerror or error), "hint": ""}
    kind = "MemoryError" if isinstance(error, MemoryError) else type(error).__name__
    return {"kind": kind, "message": str(error), "hint": getattr(error, "hint", "")}
