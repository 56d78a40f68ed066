"""Text: any script drawn or visibly replaced, and never wider than there is room."""

import unicodedata
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascnet_cli.outputs.video import faces, text


@pytest.fixture
def bare_machine():
    """A machine without typefaces of its own."""
    with mock.patch.object(faces, "_system_files", return_value=()):
        faces.system_face.cache_clear()
        text.line.cache_clear()
        text.shortened.cache_clear()
        yield
    faces.system_face.cache_clear()
    text.line.cache_clear()
    text.shortened.cache_clear()


SHIPPED = ["jump 0.93", "Höhe", "Тройной прыжок", "Άλμα εις ύψος", "高跳び", "跳高", "높이뛰기", "gęś ğ ß ø"]


@pytest.mark.parametrize("label", SHIPPED)
def test_these_scripts_are_drawn_the_same_everywhere(label, bare_machine):
    assert faces.boxes() not in {face for face, _ in text._runs(label)}
    drawn = text.line(label, 20)
    assert (drawn > 128).sum() > 20 * len(label.replace(" ", "")) / 2
    letters = [text.line(letter, 20).tobytes() for letter in set(label) - {" "}]
    assert len(set(letters)) > len(letters) - 2  # each its own shape


@pytest.mark.parametrize("label", ["ऊंची कूद", "กระโดด", "القفز", "🏃", "\ue000", "\u202e"])
def test_what_no_typeface_has_is_replaced_visibly(label, bare_machine):
    assert (text.line(label, 20) > 200).sum() > 20
    assert (text.line(f"run {label}", 20) > 200).sum() > (text.line("run ", 20) > 200).sum() + 20


def test_a_typeface_of_the_system_draws_what_others_lack():
    face = faces.system_face("".join(sorted(set("القفز"))))
    if face is None:
        pytest.skip("no typeface of this system has Arabic letters")
    joined, apart = text.width("القفز", 30), sum(text.width(letter, 30) for letter in "القفز")
    assert joined < apart  # letters in the middle of a word are narrower: they were shaped


@given(st.text(max_size=30), st.integers(10, 60), st.integers(0, 300))
def test_a_shortened_label_fits(label, size_px, room_px):
    short = text.shortened(label, size_px, room_px)
    assert text.width(short, size_px) <= room_px or not short
    assert short == label or short == "" or short.endswith(text.ELLIPSIS)
    assert short in ("", label) or label.startswith(short.removesuffix(text.ELLIPSIS).rstrip())
    drawn = text.line(short, size_px)
    assert drawn.shape == (text.line_height(size_px), max(text.width(short, size_px), 1))


def test_as_much_is_kept_as_fits():
    label = "juggling soccer ball"
    for room in range(30, text.width(label, 14)):
        short = text.shortened(label, 14, room)
        more = label[: len(short.removesuffix(text.ELLIPSIS)) + 2]
        assert text.width(more + text.ELLIPSIS, 14) > room - 4  # a blank at the end is dropped
    assert text.shortened(label, 14, text.width(label, 14)) == label


def test_an_accent_stays_with_its_letter():
    label = "q\u0323" * 20
    for room in range(20, 200, 3):
        kept = text.shortened(label, 20, room).removesuffix(text.ELLIPSIS)
        assert not kept or unicodedata.combining(kept[-1])


def test_line_breaks_become_blanks():
    assert np.array_equal(text.line("a\nb", 20), text.line("a b", 20))


def test_scripts_from_right_to_left_are_put_together_from_the_right(bare_machine):
    runs = [run for _, run in text._runs("القفز 跳高")]
    assert "跳" in runs[0]
