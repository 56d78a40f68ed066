"""How long a video is, and its frame rate: counted from packets, whatever the header says."""

import subprocess
from fractions import Fraction

import imageio_ffmpeg
import pytest

from extractors.errors import VideoError
from extractors.timing import measure_timing
from extractors.video import open_video
from tests.synthetic import H264_B, MPEG4_B, VP9, make_audio, make_video


@pytest.mark.parametrize(
    ("name", "codec", "fps"),
    [
        ("a.mp4", H264_B, 25),
        ("a.mp4", H264_B, Fraction(30000, 1001)),
        ("a.mkv", H264_B, Fraction(30000, 1001)),
        ("a.webm", VP9, 6),
        ("a.avi", MPEG4_B, 25),
    ],
)
def test_a_constant_rate(tmp_path, name, codec, fps):
    path = make_video(tmp_path / name, n_frames=40, fps=fps, codec=codec)
    timing = measure_timing(path)
    assert (timing.n_frames, timing.is_constant) == (40, True)
    assert timing.frames_per_s == pytest.approx(float(fps), rel=1e-9)
    assert timing.duration_s == pytest.approx(40 / float(fps), abs=0.002)


def test_a_variable_rate_has_an_average(tmp_path):
    times_s = [0.0, 0.04, 0.08, 0.5, 0.54, 1.2]
    timing = measure_timing(make_video(tmp_path / "a.mp4", times_s=times_s))
    assert not timing.is_constant
    assert timing.n_frames == 6
    assert timing.frames_per_s == pytest.approx(6 / timing.duration_s)


@pytest.mark.parametrize("start_s", [0.0, 1.5])
def test_the_duration_is_that_of_decoding(tmp_path, start_s):
    times_s = [start_s + k / 10 for k in range(20)]
    path = make_video(tmp_path / "a.mkv", times_s=times_s, codec=H264_B)
    with open_video(path) as video:
        for _ in video.frames():
            pass
        assert measure_timing(path).duration_s == pytest.approx(video.report.duration_s, abs=0.002)


def joined(folder, starts_s):
    """A transport stream of parts of one second, each with the clock that its camera had."""
    path = folder / "joined.ts"
    with path.open("wb") as file:
        for start_s in starts_s:
            times_s = [start_s + Fraction(k, 25) for k in range(25)]
            part = make_video(folder / "part.ts", times_s=times_s, time_base=Fraction(1, 90000), codec=H264_B)
            file.write(part.read_bytes())
    return path


@pytest.mark.parametrize("jumps_s", [[20], [-100], [20, 3000], [9000, 12, -50], [5]])
def test_where_the_clock_jumps_it_is_still_that_of_decoding(tmp_path, jumps_s):
    starts_s = [200 + sum(jumps_s[:k]) for k in range(len(jumps_s) + 1)]
    path = joined(tmp_path, starts_s)
    with open_video(path) as video:
        for _ in video.frames():
            pass
        report = video.report
    timing = measure_timing(path)
    assert timing.n_frames == report.frames_decoded
    assert timing.duration_s == pytest.approx(report.duration_s, abs=0.002)
    assert timing.is_constant == (jumps_s != [5])  # which is short enough to be a gap
    assert timing.frames_per_s == pytest.approx(timing.n_frames / timing.duration_s, rel=0.001)


def test_a_header_that_is_wrong_is_not_believed(tmp_path):
    path = make_video(tmp_path / "a.mkv", times_s=[k / 10 for k in range(20)], fps=25)
    with open_video(path) as video:
        assert video.info.header_fps == 25
    assert measure_timing(path).frames_per_s == pytest.approx(10)


def test_what_an_edit_list_leaves_out_is_not_counted(tmp_path):
    whole = make_video(tmp_path / "whole.mp4", n_frames=100, codec=H264_B)
    path = tmp_path / "a.mp4"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-ss",
        "1",
        "-i",
        whole,
        "-codec",
        "copy",
        path,
    ]
    subprocess.run(command, check=True, timeout=60)
    with open_video(path) as video:
        for _ in video.frames():
            pass
        timing = measure_timing(path)
        assert timing.n_frames == video.report.frames_decoded == 75
        assert timing.duration_s == pytest.approx(video.report.duration_s, abs=0.002)


def test_one_frame(tmp_path):
    timing = measure_timing(make_video(tmp_path / "a.mp4", n_frames=1))
    assert (timing.n_frames, timing.duration_s) == (1, pytest.approx(0.04))


def test_a_file_that_was_cut_off_is_as_long_as_what_is_left(tmp_path):
    path = make_video(tmp_path / "a.mkv", n_frames=100, codec=H264_B)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 0 < measure_timing(path).duration_s < 3.5


def test_what_is_no_video(tmp_path):
    (tmp_path / "a.mp4").write_text("words")
    make_audio(tmp_path / "b.mp4")
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        with pytest.raises(VideoError):
            measure_timing(tmp_path / name)
