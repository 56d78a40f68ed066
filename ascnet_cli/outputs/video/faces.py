"""Typefaces, one for each script: what ships with Pillow, then with OpenCV, then what the system has.

Latin letters, digits and signs are drawn in Aileron, which comes with Pillow; Greek, Cyrillic, Chinese,
Japanese and Korean in WenQuanYi Micro Hei, which comes with OpenCV: those look the same on every machine.
Scripts that join or stack their letters (Arabic, Devanagari, Thai and others) need a typeface of the
system, and Pillow's Raqm for shaping. What no typeface has is drawn as a hollow box.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

Canvas = UInt8[np.ndarray, "h w"]

_MAX_SYSTEM_FACES = 300  # files that are looked at for a script; a machine may have thousands
_TEST_SIZE = 24  # pixels, to see whether a face has a character
_NOBODYS = "\U0010fffe"  # a code point that no face has
# Written from right to left, joined or stacked: drawing letter by letter would be wrong.
_SHAPED: tuple[str, ...] = ("ARABIC", "HEBREW", "SYRIAC", "THAANA", "NKO", "ADLAM", "MONGOLIAN")
_SHAPED += ("DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU")
_SHAPED += ("KANNADA", "MALAYALAM", "SINHALA", "THAI", "LAO", "TIBETAN", "MYANMAR")
_SHAPED += ("KHMER", "JAVANESE", "BALINESE")


@runtime_checkable
class Face(Protocol):
    """A typeface that can draw a run of characters."""

    def has(self, character: str) -> bool:
        """Whether it can draw a character."""

    def width(self, text: str, size_px: int) -> int:
        """How far the text reaches, pixels."""

    def draw(self, canvas: Canvas, x: int, baseline: int, text: str, size_px: int) -> None:
        """Draw in white; what falls outside is cut."""


class PillowFace:
    """A typeface that Pillow reads.

    Args:
        path: its file; None is the one that comes with Pillow.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._nothing = self._mask(_NOBODYS)
        # Where a face draws nothing for what it lacks, nothing can be told apart from a blank.
        self._tells = any(self._nothing)

    @lru_cache(maxsize=64)  # noqa: B019  # faces live as long as the process
    def _font(self, size_px: int) -> ImageFont.FreeTypeFont:
        if self._path is None:
            font = ImageFont.load_default(size_px)
            if not isinstance(font, ImageFont.FreeTypeFont):
                raise OSError("this Pillow has no FreeType")
            return font
        return ImageFont.truetype(self._path, size_px)

    def _mask(self, character: str) -> bytes:
        return bytes(self._font(_TEST_SIZE).getmask(character, mode="L"))

    @lru_cache(maxsize=4096)  # noqa: B019
    def has(self, character: str) -> bool:
        """See `Face.has`."""
        mask = self._mask(character)
        return self._tells and any(mask) and mask != self._nothing

    def width(self, text: str, size_px: int) -> int:
        """See `Face.width`."""
        return int(np.ceil(self._font(size_px).getlength(text)))

    def draw(self, canvas: Canvas, x: int, baseline: int, text: str, size_px: int) -> None:
        """See `Face.draw`."""
        image = Image.new("L", (canvas.shape[1], canvas.shape[0]))
        pen = ImageDraw.Draw(image)
        pen.text((x, baseline), text, fill=255, font=self._font(size_px), anchor="ls")
        np.maximum(canvas, np.asarray(image), out=canvas)


class OpenCvFace:
    """The typeface for many scripts that OpenCV 5 has built in; without shaping.

    Large letters are drawn a little smaller: they are larger than others' at the same size.
    """

    _SCALE, _FROM_PX = 0.92, 16

    def __init__(self) -> None:
        self._face: Any = cv2.FontFace("uni")
        self._nothing = self._mask(_NOBODYS)

    def _mask(self, character: str) -> bytes:
        canvas = np.zeros((2 * _TEST_SIZE, 2 * _TEST_SIZE), np.uint8)
        cv2.putText(canvas, character, (4, 36), 255, self._face, _TEST_SIZE)
        return canvas.tobytes()

    @lru_cache(maxsize=4096)  # noqa: B019
    def has(self, character: str) -> bool:
        """See `Face.has`."""
        # Its fractions are cut, and accents of their own would stand beside their letters.
        if _is_shaped(character) or (unicodedata.category(character)[0] in "MN" and not character.isdigit()):
            return False
        mask = self._mask(character)
        return any(mask) and mask != self._nothing

    def width(self, text: str, size_px: int) -> int:
        """See `Face.width`."""
        _, _, wide, _ = cv2.getTextSize((9999, 99), text, (0, 50), self._face, self._points(size_px))
        return int(wide)

    def draw(self, canvas: Canvas, x: int, baseline: int, text: str, size_px: int) -> None:
        """See `Face.draw`."""
        layer = np.zeros_like(canvas)
        cv2.putText(layer, text, (x, baseline), 255, self._face, self._points(size_px))
        np.maximum(canvas, layer, out=canvas)

    def _points(self, size_px: int) -> int:
        return round(size_px * self._SCALE) if size_px >= self._FROM_PX else size_px


class BoxFace:
    """For what no typeface has: a hollow box a character."""

    def has(self, character: str) -> bool:
        """See `Face.has`."""
        del character
        return True

    def width(self, text: str, size_px: int) -> int:
        """See `Face.width`."""
        return len(text) * self._advance(size_px)

    def draw(self, canvas: Canvas, x: int, baseline: int, text: str, size_px: int) -> None:
        """See `Face.draw`."""
        advance, high, line = self._advance(size_px), round(0.7 * size_px), max(size_px // 14, 1)
        for number, character in enumerate(text):
            if character == " " or unicodedata.category(character)[0] == "M":
                continue  # an accent goes with the box of its letter
            left, right = x + number * advance + line, x + (number + 1) * advance - line
            if left >= 0 and right <= canvas.shape[1] and baseline - high >= 0:
                box = canvas[baseline - high : baseline, left:right]
                box[:line], box[-line:], box[:, :line], box[:, -line:] = 255, 255, 255, 255

    def _advance(self, size_px: int) -> int:
        return max(round(0.6 * size_px), 5)


@cache
def latin() -> Face:
    """The typeface of Latin letters and digits."""
    return PillowFace(None)


@cache
def many_scripts() -> Face:
    """The typeface of Greek, Cyrillic, Chinese, Japanese, Korean and others."""
    return OpenCvFace()


@cache
def boxes() -> Face:
    """For what no typeface has."""
    return BoxFace()


@lru_cache(maxsize=512)
def system_face(characters: str) -> Face | None:
    """The first typeface of the system that has all these characters, or None."""
    return next((face for face in _system_faces() if all(face.has(c) for c in characters)), None)


def _is_shaped(character: str) -> bool:
    return unicodedata.name(character, "").startswith(_SHAPED)


def _system_faces() -> Iterator[Face]:
    for path in _system_files():
        face = _opened(path)
        if face is not None:
            yield face


@lru_cache(maxsize=_MAX_SYSTEM_FACES)
def _opened(path: Path) -> Face | None:
    try:
        return PillowFace(path)
    except (OSError, ValueError):  # no font after all, or one that FreeType refuses
        return None


@cache
def _system_files() -> tuple[Path, ...]:
    """Files of upright sans-serif faces first, by name; then the others."""
    found = [
        Path(base) / name
        for folder in _font_folders()
        for base, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith((".ttf", ".otf", ".ttc"))
    ]
    return tuple(sorted(found, key=_preference)[:_MAX_SYSTEM_FACES])


def _preference(path: Path) -> tuple[bool, bool, bool, str]:
    name = path.stem.lower()
    styled = any(word in name for word in ("bold", "italic", "oblique", "light", "thin", "black", "mono"))
    return styled, "sans" not in name and "arial" not in name, "noto" not in name, str(path)


def _font_folders() -> list[Path]:
    home = Path(os.environ.get("HOME") or os.environ.get("USERPROFILE") or "/nonexistent")
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    if sys.platform == "win32":
        windows = Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"
        return [windows, home / "AppData/Local/Microsoft/Windows/Fonts"]
    return [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".local/share/fonts"]
