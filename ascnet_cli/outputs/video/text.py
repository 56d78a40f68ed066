"""Labels as pictures: one line, in any script, shortened where there is no room."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby

import numpy as np
from jaxtyping import UInt8

from ascnet_cli.outputs.video.faces import Face, boxes, latin, many_scripts, system_face

ELLIPSIS = "…"
_LINE = 1.4  # height of a line, in sizes of its text
_BASELINE = 1.06  # from the top of the line, likewise
_MAX_CHARACTERS = 400  # of a label: more is never legible on one line
# They say how neighbours join, and are drawn by no face themselves.
_JOINERS = {"\u200c", "\u200d", "\ufe0e", "\ufe0f"}


def line_height(size_px: int) -> int:
    """Height of the picture that `line` makes, pixels."""
    return round(_LINE * size_px)


@lru_cache(maxsize=256)
def line(text: str, size_px: int) -> UInt8[np.ndarray, "h w"]:
    """One line of text as a picture: 0 where there is nothing, 255 where the pen was; to be read only.

    Args:
        text: line breaks and the like become blanks; other characters that show nothing become boxes.
        size_px: of the letters, nominally.
    """
    runs = list(_runs(text))
    widths = [face.width(run, size_px) for face, run in runs]
    canvas = np.zeros((line_height(size_px), max(sum(widths), 1)), np.uint8)
    x, baseline = 0, round(_BASELINE * size_px)
    for (face, run), width in zip(runs, widths, strict=True):
        face.draw(canvas, x, baseline, run, size_px)
        x += width
    canvas.flags.writeable = False
    return canvas


def width(text: str, size_px: int) -> int:
    """How wide a line is, pixels."""
    return sum(face.width(run, size_px) for face, run in _runs(text))


@lru_cache(maxsize=1024)
def shortened(text: str, size_px: int, room_px: int) -> str:
    """As much of the beginning as there is room for, with an ellipsis where something is missing.

    Args:
        text: the label.
        size_px: as in `line`.
        room_px: how wide it may be, pixels.

    Returns:
        At most that wide; empty where not even the ellipsis fits.
    """
    if len(text) <= _MAX_CHARACTERS and width(text, size_px) <= room_px:
        return text
    fits, too_long = 0, min(len(text), _MAX_CHARACTERS)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if width(text[:middle] + ELLIPSIS, size_px) <= room_px:
            fits = middle
        else:
            too_long = middle
    while fits and (unicodedata.combining(text[fits]) or text[fits] in _JOINERS):
        fits -= 1  # an accent stays with its letter
    cut = text[:fits].rstrip() + ELLIPSIS
    return cut if width(cut, size_px) <= room_px else ""


def _runs(text: str) -> Iterator[tuple[Face, str]]:
    """Pieces of the text from left to right as they are seen, each with the face that draws it."""
    text = "".join(_shown(character) for character in unicodedata.normalize("NFC", text))
    whole = _face_of(text)
    if whole is not None:
        yield whole, text
        return
    faces: list[Face] = []
    for character in text:
        before = faces[-1] if faces else None
        mark = character in _JOINERS or unicodedata.category(character)[0] == "M"
        follows = character == " " or (mark and (before is boxes() or (before and before.has(character))))
        faces.append(before if before and follows else _face_of(character) or boxes())
    pieces = [
        (face, "".join(character for _, character in run))
        for face, run in groupby(zip(faces, text, strict=True), key=lambda pair: pair[0])
    ]
    yield from reversed(pieces) if _right_to_left(text) else pieces


def _face_of(text: str) -> Face | None:
    """A face that has all of a text."""
    needed = "".join(sorted({c for c in text if c != " " and c not in _JOINERS}))
    for face in (latin(), many_scripts()):
        if all(face.has(character) for character in needed):
            return face
    return system_face(needed)


def _shown(character: str) -> str:
    """What stands for a character: itself, a blank, or the sign for what cannot be shown."""
    if character.isspace():
        return " "
    if character in _JOINERS:
        return character
    # Control, format, surrogate, private, unassigned: none has a shape, and some turn the line around.
    return "\ufffd" if unicodedata.category(character)[0] == "C" else character


def _right_to_left(text: str) -> bool:
    for character in text:
        if (direction := unicodedata.bidirectional(character)) in ("L", "R", "AL"):
            return direction != "L"
    return False
