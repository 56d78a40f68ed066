"""What a decoder's process says: taken where it is what was asked for, and refused where not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from extractors.decoder_words import Asked, hear, tell
from extractors.errors import VideoError
from extractors.line import GivenUp, Patience, pair
from extractors.pieces import Piece, VideoEnd
from extractors.video import DecodeReport, Limits

CROPPED = Asked(limits=Limits(10**6), length=4, whole=False)
WHOLE = Asked(limits=Limits(10**6), length=4, whole=True)
PATIENCE = Patience(60.0)
PIECE = {"shape": [2, 224, 224, 3], "following": False, "last": True, "total_s": None}
REPORT = {
    "decoder": "pyav",
    "frames_in_header": 2,
    "frames_decoded": 2,
    "bad_packets": 0,
    "duration_s": 0.1,
    "header_duration_s": None,
    "truncated": False,
    "notes": [],
}


@pytest.fixture
def ends():
    here, there = pair()
    yield here, there
    here.close()
    there.close()


@pytest.mark.parametrize(
    "outcome", [DecodeReport(**{**REPORT, "notes": ("odd",)}), VideoError("x", hint="y")]
)
def test_an_end_arrives(ends, outcome):
    here, there = ends
    tell(there, VideoEnd(0, outcome))
    end = hear(here, 7, CROPPED, PATIENCE)
    assert end.video == 7
    assert repr(end.outcome) == repr(outcome)


def test_a_piece_arrives(ends):
    here, there = ends
    frames = np.arange(2 * 6 * 8 * 3, dtype=np.uint8).reshape(2, 6, 8, 3)
    tell(there, Piece(0, frames, frames[0], last=False, total_s=1.0))
    piece = hear(here, 0, WHOLE, PATIENCE)
    assert np.array_equal(piece.frames, frames)
    assert np.array_equal(piece.following, frames[0])
    assert (piece.last, piece.total_s) == (False, 1.0)


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        (b"no JSON", CROPPED),
        (b"[" * 100_000, CROPPED),
        (b"[]", CROPPED),
        (b"{}", CROPPED),
        ({"error": "text"}, CROPPED),
        ({"error": {"kind": "VideoError"}}, CROPPED),
        ({"error": {"kind": "VideoError", "message": 1, "hint": ""}}, CROPPED),
        ({"report": {}}, CROPPED),
        ({"report": {**REPORT, "more": 1}}, CROPPED),
        ({"report": {**REPORT, "notes": "text"}}, CROPPED),
        ({"report": {**REPORT, "frames_decoded": -1}}, CROPPED),
        ({"report": {**REPORT, "duration_s": float("nan")}}, CROPPED),
        (json.dumps({"report": REPORT}).replace("0.1", "1e999").encode(), CROPPED),
        ({**PIECE, "shape": None}, CROPPED),
        ({**PIECE, "shape": [2, 224, 3]}, CROPPED),
        ({**PIECE, "shape": [2, 224, 224.0, 3]}, CROPPED),
        ({**PIECE, "shape": [-2, 224, -224, 3]}, CROPPED),
        ({**PIECE, "shape": [0, 224, 224, 3]}, CROPPED),
        ({**PIECE, "shape": [5, 224, 224, 3]}, CROPPED),
        ({**PIECE, "shape": [2, 225, 224, 3]}, CROPPED),
        ({**PIECE, "shape": [2, 224, 224, 4]}, CROPPED),
        ({**PIECE, "shape": [2, 1024, 2048, 3]}, WHOLE),
        ({**PIECE, "shape": [10**9, 10**9, 10**9, 3]}, WHOLE),
        ({**PIECE, "total_s": "long"}, CROPPED),
        ({**PIECE, "last": 1}, CROPPED),
    ],
    ids=range(25),
)
def test_anything_else_is_refused_before_room_is_made_for_it(ends, told, asked):
    here, there = ends
    there.send(told if isinstance(told, bytes) else json.dumps(told).encode())
    with pytest.raises(ValueError, match=r"."):
        hear(here, 0, asked, PATIENCE)


@pytest.mark.parametrize("size", [10, 2 * 224 * 224 * 3 + 1])
def test_numbers_of_another_size_than_promised_are_refused(ends, size):
    here, there = ends
    there.send(json.dumps({**PIECE}).encode())
    there._end.sendall(size.to_bytes(8, "big") + b"0123456789")
    with pytest.raises(ValueError, match="are due"):
        hear(here, 0, CROPPED, PATIENCE)


def test_a_picture_that_nobody_asked_for_is_refused(ends):
    here, there = ends
    there.send(json.dumps({**PIECE, "shape": [1, 2, 2, 3], "following": True}).encode())
    there.send(bytes(12))
    with pytest.raises(ValueError, match="not asked for"):
        hear(here, 0, WHOLE, PATIENCE)


def test_a_text_of_gigabytes_is_refused_unread(ends):
    here, there = ends
    there._end.sendall((1 << 40).to_bytes(8, "big"))
    with pytest.raises(ValueError, match="at most"):
        hear(here, 0, CROPPED, PATIENCE)


@pytest.mark.parametrize("n_bytes", [0, 3, 8, 20])
def test_one_that_falls_silent_in_the_middle_is_waited_for_no_longer_than_allowed(ends, n_bytes):
    here, there = ends
    there._end.sendall(((100).to_bytes(8, "big") + bytes(12))[:n_bytes])
    with pytest.raises(TimeoutError):
        hear(here, 0, CROPPED, Patience(0.3))


@pytest.mark.parametrize("n_bytes", [0, 3, 8, 20])
def test_the_wait_is_over_when_nobody_wants_it(ends, n_bytes):
    here, there = ends
    there._end.sendall(((100).to_bytes(8, "big") + bytes(12))[:n_bytes])
    asked = iter([False, False, False])
    with pytest.raises(GivenUp):
        hear(here, 0, CROPPED, Patience(600.0, lambda: next(asked, True)))


def test_an_end_that_is_closed_is_heard(ends):
    here, there = ends
    there._end.sendall(bytes(3))
    there.close()
    with pytest.raises(EOFError):
        hear(here, 0, CROPPED, PATIENCE)
