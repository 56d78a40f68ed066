import itertools

import numpy as np
import pytest

from ascnet_cli.outputs.colours import PALETTE, contrast, rgb, styles_of

# Dichromats' view, linear RGB to linear RGB: Viénot, Brettel and Mollon 1999 (protan, deutan).
_BLIND = {
    "normal": np.eye(3),
    "protan": np.array([[0.10889, 0.89111, 0], [0.10889, 0.89111, 0], [0.00447, -0.00447, 1]]),
    "deutan": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
}
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def _lab(colour: str, eyes: np.ndarray) -> np.ndarray:
    srgb = np.array(rgb(colour)) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = _XYZ @ np.clip(eyes @ linear, 0, 1) / (_XYZ @ np.ones(3))
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (xyz * 24389 / 27 + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eyes", _BLIND)
def test_colours_stay_apart(eyes):
    apart = min(
        np.linalg.norm(_lab(a, _BLIND[eyes]) - _lab(b, _BLIND[eyes]))
        for a, b in itertools.combinations(PALETTE, 2)
    )
    assert apart > 10  # CIE76; 2.3 is a just noticeable difference


def test_text_is_legible_on_every_colour():
    assert all(contrast(style.colour, style.ink) >= 4.5 for style in styles_of("abcdefg").values())


def test_classes_have_styles_of_their_own_and_keep_them():
    labels = [f"class {index:02d}" for index in range(30)]
    styles = styles_of(labels)
    assert len({(style.colour, style.pattern) for style in styles.values()}) == 30
    assert styles_of(reversed(labels)) == styles
    assert {style.pattern for style in styles_of(labels[:7]).values()} == {0}


def test_contrast_of_black_and_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("colour", ["0072b2", "#0072b", "#0072bg", "red"])
def test_a_colour_is_six_digits(colour):
    with pytest.raises(ValueError, match=r"colour|base 16"):
        rgb(colour)
