"""Colours of classes: the same for a class wherever it is drawn, and apart for colour-blind eyes.

Okabe and Ito's palette (https://jfly.uni-koeln.de/color/) without black and grey. More classes than colours
take the same colours again with another pattern; whoever draws is to show `pattern`, and the label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442")
DARK_INK, LIGHT_INK = "#000000", "#ffffff"


@dataclass(frozen=True, slots=True)
class Style:
    """How one class is drawn.

    Attributes:
        colour: "#rrggbb".
        pattern: 0 is plain; classes of the same colour have different ones.
        ink: "#rrggbb" of text upon the colour, at a contrast of at least 4.5 (WCAG 2.2, 1.4.3).

    """

    colour: str
    pattern: int
    ink: str


def styles_of(labels: Iterable[str]) -> dict[str, Style]:
    """A style for each class, by the alphabetical order of the labels: equal sets have equal styles."""
    return {
        label: Style(colour := PALETTE[index % len(PALETTE)], index // len(PALETTE), _ink_on(colour))
        for index, label in enumerate(sorted(set(labels)))
    }


def rgb(colour: str) -> tuple[int, int, int]:
    """The text `#rrggbb` as three numbers from 0 to 255.

    Raises:
        ValueError: the text is no such colour.
    """
    if len(colour) != 7 or colour[0] != "#":
        raise ValueError(f"a colour is #rrggbb, not {colour!r}")
    value = int(colour[1:], 16)
    return value >> 16, value >> 8 & 255, value & 255


def contrast(first: str, second: str) -> float:
    """Contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio")."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _ink_on(colour: str) -> str:
    return max((DARK_INK, LIGHT_INK), key=lambda ink: contrast(ink, colour))


def _luminance(colour: str) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in rgb(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
