"""What comes out of a video file: which frames, when, the right way up; and what is refused."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from extractors.decode_pyav import open_container
from extractors.errors import OptionError, VideoError
from extractors.pictures import displayed_size, resized
from extractors.video import (
    MAX_PIXELS,
    DecodeReport,
    Limits,
    VideoInfo,
    check_file,
    find_videos,
    open_video,
)
from tests import synthetic
from tests.synthetic import make_video, picture, read_index

# Every frame is a key frame, so that damage to one leaves the others whole.
INTRA = synthetic.Codec("libx264", options=(*synthetic.H264.options, ("g", "1")))


@dataclass(frozen=True)
class Watched:
    """All frames of a video, and what was said of it."""

    info: VideoInfo
    report: DecodeReport
    times_s: list[float]
    pictures: list[np.ndarray[Any, Any]]

    @property
    def numbers(self) -> list[int]:
        return [read_index(rgb) for rgb in self.pictures]


def watch(path: Path, **options: Any) -> Watched:
    with open_video(path, **{"short_side": None, **options}) as reader:
        frames = list(reader.frames())
        return Watched(
            reader.info, reader.report, [f.time_s for f in frames], [np.asarray(f.rgb) for f in frames]
        )


CONTAINERS = {
    "h264.mp4": {},
    "h264-reordered.mp4": {"codec": synthetic.H264_B},
    "h264.mov": {},
    "h264-reordered.mkv": {"codec": synthetic.H264_B},
    "h264.flv": {},
    "h264.avi": {},
    "h264-reordered.avi": {"codec": synthetic.H264_B},
    "mpeg4.avi": {"codec": synthetic.MPEG4},
    "mpeg4-reordered.avi": {"codec": synthetic.MPEG4_B},
    "mpeg4-reordered.mp4": {"codec": synthetic.MPEG4_B},
    "mjpeg.avi": {"codec": synthetic.MJPEG},
    "vp8.webm": {"codec": synthetic.VP8},
    "vp9.webm": {"codec": synthetic.VP9},
    "ffv1.mkv": {"codec": synthetic.FFV1},
    "h264-reordered.ts": {"codec": synthetic.H264_B},
    "mpeg2.ts": {"codec": synthetic.MPEG2},
    "mpeg2.mpg": {"codec": synthetic.MPEG2},
    "raw.h264": {},
    "yuv444-odd.mp4": {"size": (101, 77), "pix_fmt": "yuv444p"},
    "odd.avi": {"size": (101, 77), "codec": synthetic.MPEG4},
    "10-bit.mp4": {"pix_fmt": "yuv420p10le"},
    "alpha.mkv": {"codec": synthetic.FFV1, "pix_fmt": "bgra"},
    "tiny.mp4": {"size": (16, 16)},
    "with-sound.mp4": {"audio_s": 1.2},
    "with-longer-sound.mkv": {"audio_s": 3.0},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_frame_comes_once_in_its_order_at_its_time(name: str, tmp_path: Path) -> None:
    seen = watch(make_video(tmp_path / name, **CONTAINERS[name]))
    assert seen.numbers == list(range(30))
    assert seen.times_s == pytest.approx([k / 25 for k in range(30)], abs=1e-9)
    assert seen.report.duration_s == pytest.approx(1.2)
    assert seen.report.frames_decoded == 30
    assert (seen.report.bad_packets, seen.report.truncated) == (0, False)
    assert all(synthetic.colours_are_right(rgb) for rgb in seen.pictures)


@pytest.mark.parametrize("rate", [Fraction(6), Fraction("19.62"), Fraction(30000, 1001), Fraction(60)])
def test_constant_rates_are_exact(rate: Fraction, tmp_path: Path) -> None:
    seen = watch(make_video(tmp_path / "rate.mp4", fps=rate))
    assert seen.times_s == pytest.approx([float(k / rate) for k in range(30)], abs=1e-6)
    assert seen.report.duration_s == pytest.approx(float(30 / rate), abs=1e-6)


VARIABLE_S = [0.0, 0.04, 0.2, 0.21, 0.5, 1.0, 1.03, 1.9]


@pytest.mark.parametrize("name", ["plain.mp4", "plain.mkv", "reordered.mp4", "reordered.mkv"])
def test_variable_rates_are_exact(name: str, tmp_path: Path) -> None:
    codec = synthetic.H264_B if "reordered" in name else synthetic.H264
    seen = watch(make_video(tmp_path / name, times_s=VARIABLE_S, codec=codec))
    assert seen.times_s == pytest.approx(VARIABLE_S, abs=1e-9)
    assert seen.numbers == list(range(8))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_a_delayed_start_is_time_zero(ending: str, tmp_path: Path) -> None:
    delayed = [Fraction(3, 2) + Fraction(k, 25) for k in range(30)]
    seen = watch(make_video(tmp_path / f"late.{ending}", times_s=delayed))
    assert seen.times_s == pytest.approx([k / 25 for k in range(30)], abs=1e-9)
    assert seen.report.duration_s == pytest.approx(1.2)
    assert not seen.report.truncated


def test_an_edit_list_hides_what_it_cuts_off(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mp4", n_frames=60, codec=synthetic.H264_B)
    seen = watch(synthetic.remux(whole, tmp_path / "cut.mp4", before=["-ss", "1.0"]))
    assert seen.numbers == list(range(25, 60))
    assert seen.times_s == pytest.approx([k / 25 for k in range(35)], abs=1e-9)
    assert not seen.report.truncated


def test_frames_without_a_time_go_by_the_nominal_rate_and_it_is_said(tmp_path: Path) -> None:
    seen = watch(make_video(tmp_path / "bare.h264", n_frames=10, fps=50, codec=synthetic.H264_B))
    assert seen.numbers == list(range(10))
    assert np.diff(seen.times_s) == pytest.approx(1 / 50, abs=1e-6)
    assert any("10 frames carry no time" in note for note in seen.report.notes)


def test_a_first_part_without_times_is_continued_by_the_part_that_has_them(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mp4", n_frames=40)
    early = synthetic.remux(
        whole,
        tmp_path / "negative.mkv",
        before=["-itsoffset", "-0.5"],
        after=["-avoid_negative_ts", "disabled"],
    )
    seen = watch(early)
    assert seen.numbers == list(range(40))
    assert np.diff(seen.times_s) == pytest.approx(0.04, abs=0.0201)


@pytest.mark.parametrize("second_start_s", [0, 1000], ids=["clock starts again", "clock jumps ahead"])
def test_recordings_joined_end_to_end_keep_all_their_frames(second_start_s: int, tmp_path: Path) -> None:
    first = make_video(tmp_path / "1.ts", n_frames=40)
    times = [Fraction(second_start_s) + Fraction(k, 25) for k in range(40)]
    second = make_video(tmp_path / "2.ts", times_s=times, pictures=[picture(k) for k in range(40, 80)])
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    seen = watch(joined)
    assert seen.numbers == list(range(80))
    assert seen.times_s == pytest.approx([k / 25 for k in range(80)], abs=1e-3)
    assert any("joined without a gap" in note for note in seen.report.notes)
    assert not seen.report.truncated


def test_a_stream_may_appear_on_the_way(tmp_path: Path) -> None:
    silent = make_video(tmp_path / "1.ts", n_frames=40)
    times = [Fraction(k, 25) for k in range(40, 80)]
    loud = make_video(
        tmp_path / "2.ts", times_s=times, pictures=[picture(k) for k in range(40, 80)], audio_s=3.0
    )
    joined = tmp_path / "joined.ts"
    joined.write_bytes(silent.read_bytes() + loud.read_bytes())
    seen = watch(joined)
    assert seen.numbers == list(range(80))
    # The sound begins a little before its first picture and so delays it.
    assert seen.times_s == pytest.approx([k / 25 for k in range(80)], abs=0.15)


def test_pyav_stumbling_over_such_a_stream_at_the_end_is_the_end(tmp_path: Path) -> None:
    reader = open_video(make_video(tmp_path / "v.mp4", n_frames=9, codec=synthetic.H264_B), short_side=None)

    class Stumbling:
        """Its `demux` reads beyond its own list of streams, as PyAV 18 may."""

        def __init__(self, container: Any) -> None:
            self._container = container

        def demux(self) -> Iterator[Any]:
            yield from self._container.demux()
            raise IndexError("list index out of range")

        def close(self) -> None:
            self._container.close()

    reader._container = Stumbling(reader._container)
    with reader:
        assert [read_index(frame.rgb) for frame in reader.frames()] == list(range(9))
        assert reader.report.bad_packets == 0


@pytest.mark.parametrize("name", ["one.mp4", "one.mkv", "one.avi", "one.webm"])
def test_one_frame_lasts_one_nominal_frame(name: str, tmp_path: Path) -> None:
    codec = {"avi": synthetic.MPEG4_B, "webm": synthetic.VP9}.get(name[4:], synthetic.H264)
    seen = watch(make_video(tmp_path / name, n_frames=1, codec=codec))
    assert seen.numbers == [0]
    assert seen.times_s == [0.0]
    assert seen.report.duration_s == pytest.approx(0.04)


# ---------------------------------------------------------------- the picture


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lying picture, to be turned by its container."""
    path = tmp_path_factory.mktemp("still") / "still.mp4"
    return make_video(path, pictures=[picture(37)] * 2, n_frames=2)


def first_frame_by_ffmpeg(path: Path, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    raw = path.with_suffix(".rgb")
    synthetic.ffmpeg("-i", path, "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", raw)
    return np.frombuffer(raw.read_bytes(), np.uint8).reshape(shape)


@pytest.mark.parametrize("flip", ["", "h", "v"], ids=["plain", "hflip", "vflip"])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_pictures_stand_as_ffmpeg_shows_them(degrees: int, flip: str, still: Path, tmp_path: Path) -> None:
    before = ["-display_rotation", str(degrees), *([f"-display_{flip}flip"] if flip else [])]
    turned = synthetic.remux(still, tmp_path / "turned.mp4", before=before)
    rgb = watch(turned).pictures[0]
    assert rgb.shape == ((96, 72, 3) if degrees % 180 else (72, 96, 3))
    assert rgb.flags.c_contiguous
    shown = first_frame_by_ffmpeg(turned, rgb.shape)
    assert np.abs(rgb.astype(int) - shown).mean() < 6  # FFmpeg scales the chroma otherwise


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_camera_that_was_turned_gives_upright_pictures(degrees: int, tmp_path: Path) -> None:
    lying = np.rot90(picture(37, 96, 72), -degrees // 90).copy()
    size = (lying.shape[1], lying.shape[0])
    filmed = make_video(tmp_path / "filmed.mp4", size=size, pictures=[lying] * 3)
    seen = watch(synthetic.remux(filmed, tmp_path / "t.mp4", before=["-display_rotation", str(degrees)]))
    assert seen.numbers == [37, 37, 37]
    assert synthetic.colours_are_right(seen.pictures[0])
    assert any(f"turned upright by {degrees} degrees" in note for note in seen.report.notes)


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(4, 3), (128, 72)), (Fraction(3, 4), (96, 96)), (Fraction(1), (96, 72))]
)
def test_pixels_become_square(aspect: Fraction, size: tuple[int, int], tmp_path: Path) -> None:
    seen = watch(make_video(tmp_path / "wide.mp4", n_frames=3, pixel_aspect=aspect))
    assert seen.pictures[0].shape == (size[1], size[0], 3)
    assert (seen.info.width, seen.info.height) == size
    assert seen.numbers == [0, 1, 2]


@pytest.mark.parametrize("size", [(96, 72), (72, 96), (101, 77), (16, 16)])
def test_the_shorter_side_is_resized(size: tuple[int, int], tmp_path: Path) -> None:
    seen = watch(make_video(tmp_path / "v.mkv", n_frames=2, size=size, codec=synthetic.FFV1), short_side=256)
    height, width = seen.pictures[0].shape[:2]
    assert min(width, height) == 256
    assert width / height == pytest.approx(size[0] / size[1], abs=0.005)
    assert seen.numbers == [0, 1]


def test_colours_survive_exactly_where_nothing_is_lost(tmp_path: Path) -> None:
    lossless = make_video(tmp_path / "v.mkv", n_frames=2, codec=synthetic.FFV1, pix_fmt="bgr0")
    assert np.array_equal(watch(lossless).pictures[1], picture(1))


def test_grey_video_is_grey(tmp_path: Path) -> None:
    seen = watch(make_video(tmp_path / "v.mkv", n_frames=3, codec=synthetic.FFV1, pix_fmt="gray"))
    assert seen.numbers == [0, 1, 2]
    assert np.ptp(seen.pictures[0].astype(int), axis=-1).max() <= 1


def test_a_stream_may_change_its_size(tmp_path: Path) -> None:
    path = synthetic.make_growing(tmp_path / "growing.mkv", [(96, 72), (64, 64), (160, 120)])
    seen = watch(path, short_side=64)
    assert seen.numbers == list(range(30))
    # The container says 4:3 throughout, by way of its own pixel aspect.
    assert {min(rgb.shape[:2]) for rgb in seen.pictures} == {64}


def test_one_of_several_streams_is_read_and_named(tmp_path: Path) -> None:
    seen = watch(make_video(tmp_path / "two.mp4", n_videos=2, n_frames=5))
    assert seen.numbers == list(range(5))
    assert seen.report.notes == ("2 video streams: stream 0 is read",)


def test_a_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    video, cover = make_video(tmp_path / "v.mp4", n_frames=5), tmp_path / "cover.png"
    cv2.imwrite(str(cover), picture(200, 320, 240))
    both = tmp_path / "both.mp4"
    synthetic.ffmpeg(
        *("-i", cover, "-i", video, "-map", "0", "-map", "1", "-c", "copy"),
        *("-disposition:v:0", "attached_pic", both),
    )
    seen = watch(both)
    assert seen.numbers == list(range(5))
    assert seen.report.notes == ()


# ---------------------------------------------------------------- headers that lie


@pytest.mark.parametrize("factor", [0, 1000])
def test_the_duration_of_an_mp4_is_counted_not_believed(factor: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4")
    data = bytearray(path.read_bytes())
    for kinds, offset in (((b"moov", b"mvhd"), 24), ((b"moov", b"trak", b"mdia", b"mdhd"), 24)):
        start, _ = synthetic.box(data, *kinds)
        field = slice(start + offset, start + offset + 4)
        data[field] = (int.from_bytes(data[field], "big") * factor).to_bytes(4, "big")
    path.write_bytes(data)
    seen = watch(path)
    assert seen.numbers == list(range(30))
    assert seen.report.duration_s == pytest.approx(1.2)
    assert not seen.report.truncated


@pytest.mark.parametrize("said", [0, 3, 1000, 1_000_000])
def test_the_frames_of_an_avi_are_counted_not_believed(said: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.avi", codec=synthetic.MPEG4)
    data = bytearray(path.read_bytes())
    for at in (data.index(b"avih") + 24, data.index(b"strh") + 40):
        data[at : at + 4] = said.to_bytes(4, "little")
    path.write_bytes(data)
    seen = watch(path)
    assert seen.numbers == list(range(30))
    assert seen.times_s == pytest.approx([k / 25 for k in range(30)], abs=1e-9)


# ---------------------------------------------------------------- damage


def overwrite(path: Path, packets: range, *, skip: int = 0) -> Path:
    """Fill packets with ones; the first `skip` bytes of each stay."""
    data = bytearray(path.read_bytes())
    for position, size in synthetic.packet_spans(path)[packets.start : packets.stop]:
        data[position + skip : position + size] = b"\xff" * (size - skip)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("name", "skip"), [("v.mp4", 0), ("v.avi", 0), ("v.mkv", 8)])
def test_bad_packets_cost_only_themselves(name: str, skip: int, tmp_path: Path) -> None:
    path = overwrite(make_video(tmp_path / name, n_frames=60, codec=INTRA), range(20, 22), skip=skip)
    seen = watch(path)
    kept = [k for k in range(60) if k not in (20, 21)]
    assert seen.numbers == kept
    assert seen.times_s == pytest.approx([k / 25 for k in kept], abs=1e-9)
    assert seen.report.bad_packets == 2
    assert seen.report.duration_s == pytest.approx(2.4)


def test_too_many_bad_packets_are_an_error(tmp_path: Path) -> None:
    path = overwrite(make_video(tmp_path / "v.mp4", n_frames=60, codec=INTRA), range(20, 24))
    with pytest.raises(VideoError, match="4 of 60 packets are damaged") as caught:
        watch(path)
    assert caught.value.hint


def test_no_frame_at_all_is_an_error(tmp_path: Path) -> None:
    path = overwrite(make_video(tmp_path / "v.mp4", n_frames=30, codec=INTRA), range(30))
    with pytest.raises(VideoError, match="no frame could be decoded"):
        watch(path)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.avi", "v.webm", "v.flv"])
def test_what_was_cut_off_is_noticed_and_the_rest_is_kept(name: str, tmp_path: Path) -> None:
    codec = {"avi": synthetic.MPEG4, "webm": synthetic.VP9}.get(name[2:], synthetic.H264)
    options = {"movflags": "faststart"} if name == "v.mp4" else None
    path = make_video(tmp_path / name, n_frames=90, codec=codec, container_options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    seen = watch(path)
    assert seen.report.truncated
    assert 30 <= len(seen.numbers) <= 60
    assert seen.numbers[:30] == list(range(30))
    assert seen.report.duration_s == pytest.approx(len(seen.numbers) / 25, abs=0.05)


def test_a_matroska_file_that_loses_its_end_inside_is_noticed(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", n_frames=90)
    data = bytearray(path.read_bytes())
    position, size = synthetic.packet_spans(path)[40]
    data[position - 8 : position + size] = bytes(size + 8)  # the demuxer finds no way on from here
    path.write_bytes(data)
    seen = watch(path)
    assert len(seen.numbers) < 60
    assert seen.report.truncated


def test_an_interrupted_recording_is_explained(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", n_frames=90)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError, match="moov") as caught:
        watch(path)
    assert "incomplete" in caught.value.hint


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", n_frames=5)
    with open_video(path) as reader:
        next(reader.frames())
        with path.open("ab") as file:
            file.write(b"more")
        assert "the file changed while it was read" in reader.report.notes
        path.unlink()
        assert "the file changed while it was read" in reader.report.notes


def fuzzed(data: bytes, seed: int) -> bytes:
    draw = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    damaged = bytearray(data)
    at, n = draw.randrange(len(data)), draw.choice((1, 8, 64, 512))
    kind = ("flip", "zero", "truncate", "insert")[seed % 4]
    if kind == "flip":
        for _ in range(n):
            damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif kind == "zero":
        damaged[at : at + n] = bytes(len(damaged[at : at + n]))
    elif kind == "truncate":
        del damaged[at:]
    else:
        damaged[at:at] = draw.randbytes(n)
    return bytes(damaged)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.avi", "v.webm", "v.ts"])
def test_damaged_files_end_in_frames_or_in_a_video_error(name: str, tmp_path: Path) -> None:
    codec = {"avi": synthetic.MPEG4_B, "webm": synthetic.VP9}.get(name[2:], synthetic.H264_B)
    options = {"movflags": "faststart"} if name == "v.mp4" else None
    whole = make_video(tmp_path / name, n_frames=45, codec=codec, container_options=options).read_bytes()
    path, read = tmp_path / f"damaged-{name}", 0
    for seed in range(10):
        path.write_bytes(fuzzed(whole, seed))
        try:
            seen = watch(path)
        except VideoError:
            continue
        read += 1
        assert seen.times_s[0] == 0
        assert np.all(np.diff(seen.times_s) > 0)
        assert seen.times_s[-1] < seen.report.duration_s < 60
    assert read  # not everything is refused


# ---------------------------------------------------------------- what is no video


def refused(path: Path, match: str, **options: Any) -> VideoError:
    with pytest.raises(VideoError, match=match) as caught:
        watch(path, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def test_empty_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").touch()
    refused(tmp_path / "v.mp4", "empty")


@pytest.mark.parametrize(
    "content",
    [
        b"this is a text\n" * 50,
        np.random.default_rng(0).bytes(20_000),
        bytes(5_000),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\ninner.mp4\n#EXT-X-ENDLIST\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        b"\x00\x00\x00\x08ftyp",
    ],
    ids=["text", "noise", "zeros", "playlist", "session", "stump"],
)
def test_what_is_no_video_is_refused(content: bytes, tmp_path: Path) -> None:
    make_video(tmp_path / "inner.mp4", n_frames=2)
    (tmp_path / "v.mp4").write_bytes(content)
    assert refused(tmp_path / "v.mp4", "not a readable video").hint


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".bmp"])
def test_a_still_picture_is_no_video(ending: str, tmp_path: Path) -> None:
    encoded = cv2.imencode(ending, picture(1, 320, 240))[1]
    (tmp_path / "v.mp4").write_bytes(encoded.tobytes())
    refused(tmp_path / "v.mp4", "not a readable video")


def test_a_list_of_other_files_is_not_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "inner.mp4")  # whoever opens this waits for ever
    (tmp_path / "v.mp4").write_text("ffconcat version 1.0\nfile inner.mp4\n")
    refused(tmp_path / "v.mp4", "not a readable video")


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    refused(synthetic.make_audio(tmp_path / "v.mp4"), "no video stream")


@pytest.mark.parametrize("name", ["v.mp4", "v.avi", "v.mkv"])
def test_an_unknown_codec_is_refused(name: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / name, n_frames=3, codec=synthetic.MPEG4 if "avi" in name else synthetic.H264)
    data = path.read_bytes()
    for code, unknown in ((b"avc1", b"zzzz"), (b"FMP4", b"ZZZZ"), (b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/ABC")):
        data = data.replace(code, unknown)
    path.write_bytes(data)
    refused(path, "codec is unknown")


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    refused(tmp_path / "absent.mp4", "no such file")
    refused(tmp_path, "folder")
    os.mkfifo(tmp_path / "pipe.mp4")
    refused(tmp_path / "pipe.mp4", "not a regular file")
    refused(Path("/dev/zero"), "not a regular file")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    refused(tmp_path / "loop.mp4", "cannot be read")
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "absent.mp4")
    refused(tmp_path / "dangling.mp4", "no such file")
    with pytest.raises(VideoError) as caught:
        open_video(tmp_path / "dangling.mp4")
    assert "is a link to" in caught.value.hint
    refused(tmp_path / ("n" * 300), "cannot be read")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permissions_are_named(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", n_frames=2)
    path.chmod(0)
    refused(path, "permission denied")


@pytest.mark.parametrize(
    "name",
    [
        "a:b.mp4",
        "-x.mp4",
        "new\nline.mp4",
        "日本 😀.mp4",
        "%03d.mp4",
        "concat:a.mp4|b.mp4",
        "pipe:0",
        "http:x.mp4",
        "=cmd().mp4",
        "'quoted\" .mp4",
        b"\xff\xfe.mp4",
        "n" * 251 + ".mp4",
    ],
    ids=range(12),
)
def test_any_name_is_a_name(name: str | bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(os.fsdecode(name))
    make_video(tmp_path / "v.mp4", n_frames=3).rename(tmp_path / path)
    monkeypatch.chdir(tmp_path)
    assert watch(path).numbers == [0, 1, 2]  # relative, as a person types it
    assert watch(tmp_path / path).numbers == [0, 1, 2]


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    make_video(tmp_path / "v.mp4", n_frames=3)
    (tmp_path / "link.mp4").symlink_to("v.mp4")
    assert watch(tmp_path / "link.mp4").numbers == [0, 1, 2]


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize("size", [(9000, 5000), (60000, 60000)])
def test_large_pictures_are_refused_by_their_header(size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420\nFRAME\n" % size + bytes(1000))
    refused(path, "over the limit of 33.2 megapixels" if size[0] < 60000 else "not a readable video")


def test_the_limit_is_the_callers(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", n_frames=2)
    assert watch(path, limits=Limits(96 * 72)).numbers == [0, 1]
    refused(path, "96x72 is over the limit", limits=Limits(96 * 72 - 1))
    # The limit is one for pictures in the file: resizing may go beyond it.
    assert watch(path, limits=Limits(96 * 72), short_side=256).pictures[0].shape == (256, 341, 3)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_pixels": 63}, "64 to 1073741824, not 63"),
        ({"max_pixels": 2**30 + 1}, "not 1073741825"),
        ({"max_damage": -0.1}, "a fraction from 0 to 1, not -0.1"),
        ({"max_damage": 5.0}, "not 5.0"),
        ({"max_damage": float("nan")}, "not nan"),
    ],
)
def test_limits_have_limits(limits: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Limits(**limits)


def test_pictures_that_grow_over_the_limit_are_refused(tmp_path: Path) -> None:
    path = synthetic.make_growing(tmp_path / "growing.mkv", [(96, 72), (160, 120)], frames_each=30)
    refused(path, "160x120 is over the limit", limits=Limits(100 * 100))


def test_the_decoder_makes_no_room_for_far_larger_pictures(tmp_path: Path) -> None:
    path = synthetic.make_growing(tmp_path / "growing.mkv", [(96, 72), (640, 480)], frames_each=30)
    refused(path, "30 of 60 packets are damaged", limits=Limits(100 * 100))


@pytest.mark.parametrize("size", [(2, 2), (6, 64)])
def test_small_pictures_are_refused(size: tuple[int, int], tmp_path: Path) -> None:
    refused(make_video(tmp_path / "v.mp4", n_frames=2, size=size), "too small: at least 8x8")


@pytest.mark.parametrize("size", [(16, 8100), (8100, 16), (16, 260)])
@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_ribbons_are_not_blown_up(size: tuple[int, int], decoder: str, tmp_path: Path) -> None:
    if decoder == "decord":
        pytest.importorskip("decord")
    path = make_video(tmp_path / "v.mp4", n_frames=1, size=size)
    refusal = refused(path, "may be 16 times the shorter one", short_side=256, decoder=decoder)
    assert "crop" in refusal.hint
    assert watch(path, short_side=None).pictures[0].shape == (size[1], size[0], 3)


def test_the_longest_ribbon_that_is_read_keeps_its_shape(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", n_frames=1, size=(16, 256))
    assert watch(path, short_side=256).pictures[0].shape == (4096, 256, 3)


def test_a_ribbon_by_its_pixels_shape_is_one_too(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", n_frames=1, size=(16, 128), pixel_aspect=Fraction(1, 4))
    refused(path, "16x512 is too long and narrow", short_side=256)


def test_pictures_that_become_ribbons_are_refused(tmp_path: Path) -> None:
    path = synthetic.make_growing(tmp_path / "growing.mkv", [(96, 72), (16, 640)], frames_each=8)
    refused(path, "too long and narrow", short_side=256)


def test_displayed_and_resized_sizes() -> None:
    assert displayed_size(720, 576, Fraction(16, 15)) == (768, 576)
    assert displayed_size(720, 480, Fraction(8, 9)) == (720, 540)
    assert displayed_size(720, 480, None) == (720, 480)
    assert displayed_size(720, 480, Fraction(0)) == (720, 480)
    assert displayed_size(720, 480, Fraction(1000, 1)) == (720, 480)  # damage
    assert resized(320, 240, 256) == (341, 256)
    assert resized(240, 320, 256) == (256, 341)
    assert resized(1920, 1080, 256) == (455, 256)
    assert resized(1, 1, None) == (1, 1)


# ---------------------------------------------------------------- the rest of the surface


def test_unknown_decoders_are_refused_before_the_file_is_looked_at() -> None:
    with pytest.raises(OptionError, match="unknown decoder 'opencv'") as caught:
        open_video(Path("absent.mp4"), decoder="opencv")
    assert caught.value.hint == "choose pyav or decord"


def test_check_file_accepts_any_regular_file(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"x")
    check_file(tmp_path / "v")


def test_a_closed_file_is_let_go(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", n_frames=5)
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        pytest.skip("this system does not list open files")
    before = len(list(handles.iterdir()))
    for _ in range(5):
        watch(path)
        with pytest.raises(VideoError), open_video(path, limits=Limits(100)):
            pass
    assert len(list(handles.iterdir())) == before


def test_folders_are_searched_for_videos(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    names = ["b/2.MKV", "b/1.mp4", "notes.txt", "a.webm", ".hidden.mp4", "c.mp4.part"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "again").symlink_to(tmp_path)
    found = [str(path.relative_to(tmp_path)) for path in find_videos(tmp_path)]
    assert found == [".hidden.mp4", "a.webm", "b/1.mp4", "b/2.MKV"]


def test_a_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_into = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied", str(path))
        return looked_into(path)

    (tmp_path / "private").mkdir()
    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(OptionError, match=r"private cannot be read: Permission denied"):
        find_videos(tmp_path)


def test_the_header_can_be_read_alone(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", audio_s=1.0)
    with open_video(path) as reader:
        info = reader.info
    assert (info.codec, info.width, info.height) == ("h264", 96, 72)
    assert (info.header_fps, info.header_frames, info.n_streams) == (25.0, 30, 1)
    assert info.header_duration_s == pytest.approx(1.2)
    container, stream = open_container(path, max_pixels=MAX_PIXELS)
    with container:
        assert stream.index == info.stream_index


def test_real_clips_give_what_ffmpeg_gives(data_folder: Path) -> None:
    # Frames counted with `ffmpeg -i FILE -map 0:v:0 -fps_mode passthrough -f framecrc -`.
    counts = {
        "v_GGSY1Qvo990.mp4": 355,
        "people_6fps.mp4": 57,
        "flipping_pancake.mkv": 310,
        "cartwheeling_bad_metadata.avi": 83,
    }
    for name, n_frames in counts.items():
        with open_video(data_folder / "clips" / name, short_side=32) as reader:
            n_read = sum(1 for _ in reader.frames())
        assert n_read == reader.report.frames_decoded == n_frames, name
        assert not reader.report.truncated, name


def test_pictures_are_freed_as_soon_as_they_were_used(tmp_path):
    path = make_video(tmp_path / "long.mp4", n_frames=120)
    gc.collect()
    gc.disable()
    try:
        with open_video(path) as reader:
            assert sum(1 for _ in reader.frames()) == 120
        left = gc.collect()  # what only the garbage collector could free
    finally:
        gc.enable()
    assert left < 120  # pictures that hold themselves would be several objects each
