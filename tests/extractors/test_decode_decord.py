"""decord against PyAV where decord is right, and its refusals where it is not."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extractors.errors import OptionError, VideoError
from extractors.video import DecodeReport, Frame, Limits, open_video
from tests import synthetic
from tests.synthetic import make_video, picture, read_index

decord = pytest.importorskip("decord", reason="decord exists for Linux on x86-64 alone")


def read(path: Path, decoder: str, **options: Any) -> tuple[list[Frame], DecodeReport]:
    with open_video(path, decoder=decoder, **{"short_side": None, **options}) as reader:
        frames = list(reader.frames())
        return frames, reader.report


def refused(path: Path, match: str) -> None:
    with pytest.raises(VideoError, match=match) as caught:
        read(path, "decord")
    assert caught.value.hint == "use --decoder pyav"
    assert read(path, "pyav")[0]  # which does read it


PLAIN = {
    "h264.mp4": {},
    "h264-reordered.mp4": {"codec": synthetic.H264_B},
    "h264-reordered.mkv": {"codec": synthetic.H264_B},
    "mpeg4.avi": {"codec": synthetic.MPEG4},
    "vp9.webm": {"codec": synthetic.VP9},
    "variable.mp4": {"times_s": [0.0, 0.04, 0.2, 0.21, 0.5, 1.0, 1.03, 1.9]},
    "delayed.mkv": {"times_s": [1.5 + k / 25 for k in range(30)]},
    "ntsc.mp4": {"fps": Fraction(30000, 1001)},
    "odd.mp4": {"size": (101, 77), "pix_fmt": "yuv444p"},
    "wide-pixels.mp4": {"pixel_aspect": Fraction(4, 3)},
    "tall-pixels.mp4": {"pixel_aspect": Fraction(3, 4)},
    "one.mkv": {"n_frames": 1},
    "with-sound.mp4": {"audio_s": 1.2},
}


@pytest.mark.parametrize("name", PLAIN)
def test_both_decoders_agree_on_plain_files(name: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / name, **PLAIN[name])
    (ours, ours_report), (theirs, theirs_report) = read(path, "pyav"), read(path, "decord")
    assert [f.time_s for f in theirs] == pytest.approx([f.time_s for f in ours], abs=1e-5)
    assert [read_index(f.rgb) for f in theirs] == [read_index(f.rgb) for f in ours] == list(range(len(ours)))
    for our, their in zip(ours, theirs, strict=True):
        assert our.rgb.shape == their.rgb.shape
        assert np.abs(our.rgb.astype(int) - their.rgb).mean() < 4
    assert theirs_report.duration_s == pytest.approx(ours_report.duration_s, abs=1e-5)
    assert theirs_report.frames_decoded == len(ours)
    assert "decord counts no damage" in theirs_report.notes


def test_both_resize_to_the_same_size(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", n_frames=3, size=(640, 480))
    ours, theirs = (read(path, decoder, short_side=256)[0] for decoder in ("pyav", "decord"))
    for our, their in zip(ours, theirs, strict=True):
        assert our.rgb.shape == their.rgb.shape == (256, 341, 3)
        assert np.abs(our.rgb.astype(int) - their.rgb).mean() < 4


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pictures_are_turned_upright_once(degrees: int, tmp_path: Path) -> None:
    lying = np.rot90(picture(37, 320, 240), -degrees // 90).copy()
    filmed = make_video(
        tmp_path / "filmed.mp4", size=(lying.shape[1], lying.shape[0]), pictures=[lying] * 3, n_frames=3
    )
    path = synthetic.remux(filmed, tmp_path / "turned.mp4", before=["-display_rotation", str(degrees)])
    frames, _ = read(path, "decord")
    assert [read_index(f.rgb) for f in frames] == [37] * 3
    assert synthetic.colours_are_right(frames[0].rgb)
    assert frames[0].rgb.shape == (240, 320, 3)


def test_small_turned_pictures_are_refused(tmp_path: Path) -> None:
    still = make_video(tmp_path / "still.mp4", n_frames=2)
    refused(
        synthetic.remux(still, tmp_path / "t.mp4", before=["-display_rotation", "90"]),
        "pictures of a wrong shape",
    )


def test_mirrored_pictures_are_refused(tmp_path: Path) -> None:
    still = make_video(tmp_path / "still.mp4", n_frames=2)
    refused(synthetic.remux(still, tmp_path / "m.mp4", before=["-display_hflip"]), "mirroring")


@pytest.mark.parametrize(
    ("name", "codec", "match"),
    [
        ("v.ts", synthetic.MPEG2, "does not read MPEG-TS reliably"),
        ("v.mpg", synthetic.MPEG2, "does not read MPEG-PS reliably"),
        ("v.avi", synthetic.MPEG4_B, "times that do not grow"),
        ("v.gif", synthetic.Codec("gif", "rgb8"), "cannot read this file"),
        ("v.h264", synthetic.H264, "cannot read this file"),
    ],
)
def test_what_decord_reads_wrongly_or_not_is_refused(
    name: str, codec: synthetic.Codec, match: str, tmp_path: Path
) -> None:
    refused(make_video(tmp_path / name, codec=codec), match)


def test_an_edit_list_is_refused(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mp4", n_frames=60, codec=synthetic.H264_B)
    path = synthetic.remux(whole, tmp_path / "cut.mp4", before=["-ss", "1.0"])
    refused(path, r"2\.40 s of frames where 1\.40 s are shown")


def test_several_streams_are_refused(tmp_path: Path) -> None:
    refused(make_video(tmp_path / "v.mp4", n_videos=2, n_frames=5), "another of the 2 video streams")


def test_a_truncated_mp4_is_refused_and_a_truncated_mkv_is_noticed(tmp_path: Path) -> None:
    cut = make_video(tmp_path / "v.mp4", n_frames=90, container_options={"movflags": "faststart"})
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 6 // 10])
    refused(cut, "decord")
    cut = make_video(tmp_path / "v.mkv", n_frames=90)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 6 // 10])
    frames, report = read(cut, "decord")
    assert 30 < len(frames) < 60
    assert report.truncated


def test_damage_on_the_way_is_a_video_error(tmp_path: Path) -> None:
    intra = synthetic.Codec("libx264", options=(*synthetic.H264.options, ("g", "1")))
    path = make_video(tmp_path / "v.mp4", n_frames=60, codec=intra)
    data = bytearray(path.read_bytes())
    for position, size in synthetic.packet_spans(path)[30:32]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    refused(path, "decord")


def test_what_is_no_video_is_refused_as_with_pyav(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("this is a text\n" * 50)
    with pytest.raises(VideoError, match="not a readable video"):
        read(tmp_path / "v.mp4", "decord")
    with pytest.raises(VideoError, match="over the limit"):
        read(make_video(tmp_path / "large.mp4", n_frames=2), "decord", limits=Limits(1000))


def test_a_name_is_never_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "v.mp4", n_frames=3).rename(tmp_path / "concat:a|b.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(read(Path("concat:a|b.mp4"), "decord")[0]) == 3


def test_a_missing_decord_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    path = make_video(tmp_path / "v.mp4", n_frames=2)
    with pytest.raises(OptionError, match="not installed") as caught:
        open_video(path, decoder="decord")
    assert caught.value.hint == "use --decoder pyav"
