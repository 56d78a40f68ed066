"""Small pieces that are drawn: fills with patterns, pills with a label, text on a ground."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw

from ascnet_cli.outputs.colours import Style, rgb
from ascnet_cli.outputs.video import text

Rgb = tuple[int, int, int]
Picture = UInt8[np.ndarray, "h w 3"]

# Greys alone, so that text on it changes luma and nothing else.
GROUND: Rgb = (24, 24, 24)
TRACK: Rgb = (58, 58, 58)  # a lane where nothing is
WHITE: Rgb = (255, 255, 255)
DIM: Rgb = (170, 170, 170)
_SMOOTH = 4  # corners are drawn this many times larger and made smaller
_PATTERN_INK = 0.75  # how much of the ink is in a pattern's lines


def ground(width: int, height: int) -> Image.Image:
    """An empty panel."""
    return Image.new("RGB", (width, height), GROUND)


def pixels(image: Image.Image) -> Picture:
    """An image as an array."""
    return np.asarray(image)


def write(image: Image.Image, place: tuple[int, int], label: str, size_px: int, colour: Rgb) -> None:
    """Write one line; `place` is the upper left corner of its picture."""
    if label:
        image.paste(colour, place, Image.fromarray(np.asarray(text.line(label, size_px))))


def fill(style: Style, size: tuple[int, int], period_px: int) -> Image.Image:
    """A rectangle in a class's colour and pattern.

    Args:
        style: of the class.
        size: width and height.
        period_px: distance of a pattern's lines.
    """
    width, height = size
    colour, ink = np.array(rgb(style.colour)), np.array(rgb(style.ink))
    mask = _pattern(style.pattern, max(period_px, 4))
    tiled = np.tile(mask, (math.ceil(height / len(mask)), math.ceil(width / len(mask))))[:height, :width]
    mixed = colour + (ink - colour) * _PATTERN_INK * tiled[..., None]
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


@lru_cache(maxsize=64)
def _pattern(pattern: int, period_px: int) -> Bool[np.ndarray, "p p"]:
    """One tile of a pattern: True where its lines are. Pattern 0 has none; from 6 on they are wider apart."""
    period = period_px * (1 + (pattern - 1) // 5) if pattern else period_px
    line = max(period // 4, 1)
    y, x = np.mgrid[:period, :period]
    kinds = (
        (x + y) % period < line,
        x < line,
        (x - y) % period < line,
        (x < line) | (y < line),
        (x < 2 * line) & (y < 2 * line),
    )
    return kinds[(pattern - 1) % 5] if pattern else np.zeros((period, period), bool)


@lru_cache(maxsize=256)
def pill(label: str, score: str, style: Style, size: tuple[int, int], text_px: int) -> Picture:
    """A label and its score on their class's colour, on the panel's ground.

    Args:
        label: shortened where it does not fit.
        score: always whole, unless it alone is too long.
        style: of the class.
        size: width and height of what is kept for it; the pill may be narrower.
        text_px: size of letters.
    """
    width, height = size
    pad, gap = round(0.45 * text_px), round(0.55 * text_px)
    swatch = height if style.pattern else 0
    score = text.shortened(score, text_px, width - 2 * pad - swatch)
    score_px = text.width(score, text_px)
    label = text.shortened(label, text_px, width - 2 * pad - gap - swatch - score_px)
    label_px = text.width(label, text_px)
    full = min(swatch + pad + label_px + gap + score_px + pad, width)
    body = Image.new("RGB", (full, height), rgb(style.colour))
    if swatch:
        body.paste(fill(style, (swatch, height), max(height // 3, 4)), (0, 0))
    top, ink = (height - text.line_height(text_px)) // 2, rgb(style.ink)
    write(body, (swatch + pad, top), label, text_px, ink)
    write(body, (full - pad - score_px, top), score, text_px, ink)
    image = ground(width, height)
    image.paste(body, (0, 0), _rounded(full, height, round(0.28 * height)))
    return pixels(image)


def _rounded(width: int, height: int, radius: int) -> Image.Image:
    mask = Image.new("L", (width * _SMOOTH, height * _SMOOTH))
    corner = (width * _SMOOTH - 1, height * _SMOOTH - 1)
    ImageDraw.Draw(mask).rounded_rectangle(((0, 0), corner), radius * _SMOOTH, fill=255)
    return mask.resize((width, height), Image.Resampling.BOX)


@lru_cache(maxsize=64)
def remark(words: str, size: tuple[int, int], text_px: int) -> Picture:
    """A few words in grey on the panel's ground."""
    image = ground(*size)
    top = (size[1] - text.line_height(text_px)) // 2
    write(image, (0, top), text.shortened(words, text_px, size[0]), text_px, DIM)
    return pixels(image)


def score_text(score: float) -> str:
    """A score with two decimals; a very large one in short."""
    return f"{score:.2f}" if abs(score) < 1000 else f"{score:.3g}"
