"""Annotated videos: nothing of the source is lost, and what is drawn says what was found."""

import os
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from unittest import mock

import av
import numpy as np
import pytest

from ascnet_cli.errors import OptionError, OutputError, VideoError
from ascnet_cli.outputs.annotated import write_annotated
from ascnet_cli.outputs.colours import rgb, styles_of
from ascnet_cli.segments import VideoDetections
from extractors.video import Limits
from tests import synthetic
from tests.ascnet_cli.outputs.film_tools import (
    add_sound,
    beeps_s,
    found,
    joined,
    jumped,
    left_over,
    length_s,
    part,
    sound_codec,
    stills,
    watch,
)
from tests.synthetic import make_video

VARIABLE_S = [0.0, 0.04, 0.2, 0.21, 0.5, 1.0, 1.03, 1.9]
RUN = found(("run", 0.4, 0.8, 0.75))


def annotate(source, result=RUN, **options):
    target = source.parent / "out.mp4"
    return write_annotated(source, result, target, **options), watch(target)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.webm", "v.avi"])
def test_every_picture_is_there_in_its_order_and_at_its_time(name, tmp_path):
    codec = {".webm": synthetic.VP9, ".avi": synthetic.MPEG4_B}.get(Path(name).suffix, synthetic.H264_B)
    source = make_video(tmp_path / name, codec=codec)
    report, film = annotate(source)
    assert film.numbers() == list(range(30))
    assert film.times_s == pytest.approx([k / 25 for k in range(30)], abs=1e-3)
    assert film.ends_s[-1] == pytest.approx(1.2, abs=2e-3)
    assert all(synthetic.colours_are_right(part(rgb)) for rgb in film.pictures)
    assert (report.frames, film.formats) == (30, {"yuv420p"})
    assert film.pictures[0].shape == (report.height, report.width, 3)
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
@pytest.mark.parametrize("tick", [Fraction(1, 1000), Fraction(1, 90000), Fraction(1001, 30000)])
def test_times_of_a_variable_rate_are_kept_to_the_tick(name, tick, tmp_path):
    times = [round(time / tick) * tick for time in VARIABLE_S]
    times = [time + k * tick for k, time in enumerate(times)]  # none twice, whatever the tick
    source = make_video(tmp_path / name, times_s=times, time_base=tick, codec=synthetic.H264_B)
    before = watch(source)
    _, film = annotate(source)
    own = 1 / 1000 if name.endswith("mkv") else float(tick)
    assert film.times_s == pytest.approx([time - before.times_s[0] for time in before.times_s], abs=1e-6)
    assert film.times_s == pytest.approx([float(time) for time in times], abs=own)
    assert film.numbers() == list(range(len(times)))


@pytest.mark.parametrize("starts_s", [[0, 0.04, 0.08, 0.5, 10], [0, 0.5, 1, 1.5, 3.5], [0, 1, 6]])
def test_the_last_picture_stays_as_long_as_it_did(starts_s, tmp_path):
    source = stills(tmp_path / "v.mp4", list(pairwise(starts_s)))
    report, film = annotate(source, VideoDetections("v.mp4", float(starts_s[-1]), ()))
    assert length_s(report.path) == pytest.approx(starts_s[-1], abs=1e-3)
    assert report.duration_s == pytest.approx(length_s(report.path), abs=1e-6)
    assert film.times_s == pytest.approx(starts_s[:-1], abs=1e-6)


def test_a_delayed_start_is_time_zero(tmp_path):
    times = [Fraction(k, 25) + Fraction(3, 2) for k in range(20)]
    _, film = annotate(make_video(tmp_path / "v.mkv", times_s=times))
    assert film.times_s == pytest.approx([k / 25 for k in range(20)], abs=2e-3)


@pytest.mark.parametrize("flip", ["", "h"])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pictures_stand_upright_as_a_player_shows_them(degrees, flip, tmp_path):
    lying = make_video(tmp_path / "lying.mp4", n_frames=3)
    before = ["-display_rotation", str(degrees), *([f"-display_{flip}flip"] if flip else [])]
    source = synthetic.remux(lying, tmp_path / "turned.mp4", before=before)
    _, film = annotate(source)
    size = (72, 96) if degrees % 180 else (96, 72)
    raw = tmp_path / "shown.rgb"
    synthetic.ffmpeg("-i", source, "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", raw)
    shown = np.frombuffer(raw.read_bytes(), np.uint8).reshape(size[1], size[0], 3)
    assert np.abs(part(film.pictures[0], size).astype(int) - shown).mean() < 6
    assert film.turned == {0}


def test_pixels_become_square(tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=3, pixel_aspect=Fraction(4, 3))
    _, film = annotate(source)
    assert film.numbers((128, 72)) == [0, 1, 2]


# Bits, subsampling, grey, alpha, full range, odd sizes.
STORED = {
    "161x121": (synthetic.FFV1, "yuv420p", (161, 121)),
    "10 bits": (synthetic.Codec("libx265", "yuv420p10le", (("x265-params", "log-level=none"),)), None, None),
    "4:4:4": (synthetic.H264, "yuv444p", None),
    "grey": (synthetic.FFV1, "gray", None),
    "alpha": (synthetic.FFV1, "yuva420p", None),
    "rgb": (synthetic.FFV1, "bgr0", None),
    "full range": (synthetic.MJPEG, None, None),
    "16x16": (synthetic.FFV1, "yuv420p", (16, 16)),
}


@pytest.mark.parametrize("name", STORED)
def test_however_pictures_are_stored_they_look_the_same(name, tmp_path):
    codec, pix_fmt, size = STORED[name]
    size = size or (160, 120)
    source = make_video(tmp_path / "v.mkv", n_frames=3, codec=codec, pix_fmt=pix_fmt, size=size)
    _, film = annotate(source)
    before = watch(source)
    assert film.formats == {"yuv420p"}
    for ours, theirs in zip(film.pictures, before.pictures, strict=True):
        assert np.abs(part(ours, size).astype(int) - theirs).mean() < (5 if name == "16x16" else 3)
        if name != "grey":
            assert synthetic.colours_are_right(part(ours, size))


def test_full_range_that_only_the_header_says_is_seen(tmp_path):
    plain = make_video(tmp_path / "plain.mkv", n_frames=3, codec=synthetic.FFV1)
    source = tmp_path / "v.mkv"
    convert = [
        "-vf",
        "scale=out_range=full",
        "-color_range",
        "pc",
        "-c:v",
        "libvpx-vp9",
        "-deadline",
        "realtime",
    ]
    synthetic.ffmpeg("-i", plain, *convert, "-crf", "10", "-b:v", "0", source)
    with av.open(str(source)) as container:
        frame = next(container.decode(video=0))
        assert (frame.format.name, frame.color_range) == ("yuv420p", 2)
    _, film = annotate(source)
    before = watch(plain)
    assert np.abs(part(film.pictures[0]).astype(int) - before.pictures[0]).mean() < 3


def test_too_small_pictures_are_refused_with_the_least_size(tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=2, size=(2, 2))
    with pytest.raises(VideoError, match="2x2 is too small: at least 8x8"):
        write_annotated(source, RUN, tmp_path / "out.mp4")


def test_ribbons_longer_than_an_encoder_takes_are_refused(tmp_path):
    source = make_video(tmp_path / "v.mkv", n_frames=1, size=(16, 16000), codec=synthetic.FFV1)
    with pytest.raises(VideoError, match="16x16000, too large"):
        write_annotated(source, RUN, tmp_path / "out.mp4")


def test_what_a_muxer_refuses_is_an_error_of_the_video(tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=3)
    refusal = av.error.ArgumentError(22, "Invalid argument")
    with (
        mock.patch("ascnet_cli.outputs.video.file.VideoFile.put", side_effect=refusal),
        pytest.raises(VideoError, match=r"cannot be written to out\.mp4"),
    ):
        write_annotated(source, RUN, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_high_dynamic_range_is_said(tmp_path):
    options = (("x265-params", "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"),)
    source = make_video(
        tmp_path / "v.mkv", n_frames=3, codec=synthetic.Codec("libx265", "yuv420p10le", options)
    )
    report, film = annotate(source)
    assert any("8 bits" in note for note in report.notes)
    with av.open(str(report.path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (9, 16, 9)
    assert len(film.pictures) == 3


def test_pictures_that_change_their_size_stay_within_the_first_one_s(tmp_path):
    source = synthetic.make_growing(tmp_path / "v.mkv", [(160, 120), (320, 240), (80, 120)], 4)
    _, film = annotate(source)
    assert len({picture.shape for picture in film.pictures}) == 1
    numbers = [synthetic.read_index(part(rgb, (160, 120))) for rgb in film.pictures[:8]]
    numbers += [synthetic.read_index(part(rgb, (80, 120))) for rgb in film.pictures[8:]]
    assert numbers == list(range(12))


def near(rgb_image, colour, tolerance=40):
    """How many pixels have a colour."""
    return int((np.abs(rgb_image.astype(int) - np.array(rgb(colour))).max(axis=-1) < tolerance).sum())


def panel(picture, source_height=72):
    return picture[source_height:]


def test_the_bar_names_an_action_while_it_runs(tmp_path):
    source = make_video(tmp_path / "v.mp4")
    _, film = annotate(source, found(("run", 0.4, 0.8, 0.75), ("walk", 0.6, 1.0, 0.5)))
    styles = styles_of(["run", "walk"])
    for label, start, end in (("run", 0.4, 0.8), ("walk", 0.6, 1.0)):
        counts = [near(panel(picture), styles[label].colour) for picture in film.pictures]
        running = [
            count for count, time in zip(counts, film.times_s, strict=True) if start <= time + 1e-6 < end
        ]
        resting = [
            count for count, time in zip(counts, film.times_s, strict=True) if not start <= time + 1e-6 < end
        ]
        assert len(running) == 10
        assert min(running) > max(resting) + 200  # its pill, besides its place in the timeline
        assert min(resting) > 20  # which is always there


def test_the_playhead_moves_with_the_time(tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=50)
    _, film = annotate(source, VideoDetections("v.mp4", 2.0, ()))
    places = []
    for picture in film.pictures:
        lane = picture[-8:-4].astype(int).min(axis=-1).mean(axis=0)
        places.append(int(lane.argmax()))
    assert np.all(np.diff(places) >= 0)
    width = film.pictures[0].shape[1]
    assert places[0] < 0.1 * width
    assert places[25] == pytest.approx(width / 2, abs=3)
    assert places[-1] > 0.88 * width


def test_a_class_has_the_same_colour_in_all_videos_of_a_batch(tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=12)
    every = ["jump", "run", "walk"]
    _, film = annotate(source, found(("walk", 0.0, 0.48, 0.5)), labels=every)
    colours = {
        label: near(panel(film.pictures[3]), style.colour) for label, style in styles_of(every).items()
    }
    assert colours["walk"] > 500 > max(colours["jump"], colours["run"]) * 10


@pytest.mark.parametrize("label", ["x" * 5000, "\x00\n\u202e<b>", "高跳び", "القفز", "🏃", "\udcff"])
def test_any_label_can_be_drawn(label, tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=3)
    _, film = annotate(source, found((label, 0.0, 0.1, 1e300), ("b", 0, 1, -3.0)))
    assert len(film.pictures) == 3


def test_many_at_once_and_a_score_of_each(tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=5)
    _, film = annotate(source, found(*((f"class {k}", 0.0, 0.2, k / 40) for k in range(40))))
    assert film.numbers() == list(range(5))


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le", "mp2"])
def test_sound_is_kept_in_time(codec, tmp_path):
    silent = make_video(tmp_path / "silent.mkv", n_frames=100, codec=synthetic.H264_B)
    source = add_sound(silent, tmp_path / ("v.mkv" if codec == "pcm_s16le" else "v.ts"), 2.0, codec=codec)
    report, _ = annotate(source)
    assert beeps_s(report.path) == pytest.approx([2.0], abs=0.03)
    assert sound_codec(report.path) == "aac"
    assert any("encoded again" in note for note in report.notes) == (codec != "aac")


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_stays_in_time_where_pictures_begin_later(codec, tmp_path):
    times = [Fraction(k, 25) + Fraction(1, 2) for k in range(75)]
    silent = make_video(tmp_path / "silent.mkv", times_s=times)
    source = add_sound(silent, tmp_path / "v.mkv", 2.0, codec=codec)
    report, film = annotate(source)
    assert film.times_s[0] == 0
    assert beeps_s(report.path) == pytest.approx([1.5], abs=0.03)


@pytest.mark.parametrize("codec", ["aac", "mp2"])
@pytest.mark.parametrize("clocks_s", [[100, 122], [100, 0], [100, 122, 3000], [5000, 10, 300, 20]])
def test_sound_goes_on_after_the_clock_jumps(clocks_s, codec, tmp_path):
    source = joined(tmp_path / "v.ts", clocks_s, codec=codec)
    report, film = annotate(source)
    assert report.decode.notes == (f"the times jump {len(clocks_s) - 1} times: joined without a gap",)
    assert beeps_s(report.path) == pytest.approx([1.0 + 2 * k for k in range(len(clocks_s))], abs=0.1)
    assert film.ends_s[-1] == pytest.approx(2 * len(clocks_s), abs=0.1)


@pytest.mark.parametrize("codec", ["aac", "mp2"])
def test_sound_that_jumps_before_its_pictures_is_not_lost(codec, tmp_path):
    report, film = annotate(jumped(tmp_path / "v.ts", codec=codec))
    assert film.ends_s[-1] == pytest.approx(6.0, abs=0.1)
    assert beeps_s(report.path) == pytest.approx([4.0], abs=0.1)


def test_sound_that_begins_later_still_does(tmp_path):
    silent = make_video(tmp_path / "silent.mkv", n_frames=100)
    source = add_sound(silent, tmp_path / "v.mkv", 2.0, codec="pcm_s16le", starts_s=1.0, seconds=3.0)
    report, _ = annotate(source)
    assert beeps_s(report.path) == pytest.approx([2.0], abs=0.03)


def test_the_same_input_gives_the_same_bytes(tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=60, codec=synthetic.H264_B, audio_s=2.0)
    targets = [tmp_path / f"{k}.mp4" for k in range(3)]
    for target in targets:
        write_annotated(source, RUN, target)
    assert len({target.read_bytes() for target in targets}) == 1


def test_the_index_comes_first(tmp_path):
    report, _ = annotate(make_video(tmp_path / "v.mp4"))
    kinds = [kind for kind, _, _ in synthetic.boxes(report.path.read_bytes())]
    assert kinds.index(b"moov") < kinds.index(b"mdat")


def test_progress_ends_with_the_video(tmp_path):
    seen = []
    annotate(make_video(tmp_path / "v.mp4"), progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (pytest.approx(1.2), pytest.approx(1.2))


def test_a_truncated_file_is_drawn_as_far_as_it_goes(tmp_path):
    whole = make_video(tmp_path / "whole.mp4", n_frames=90, container_options={"movflags": "faststart"})
    source = tmp_path / "v.mp4"
    source.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    report, film = annotate(source)
    assert report.decode.truncated
    assert 30 < len(film.pictures) < 80
    assert film.numbers() == list(range(len(film.pictures)))


INTRA = synthetic.Codec("libx264", options=(*synthetic.H264.options, ("g", "1")))


def damage(path, every):
    data = bytearray(path.read_bytes())
    for position, size in synthetic.packet_spans(path)[2::every]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)


def test_a_little_damage_costs_only_itself(tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=60, codec=INTRA)
    damage(source, 40)
    report, film = annotate(source)
    assert report.decode.bad_packets == 2
    assert film.numbers() == [k for k in range(60) if k not in (2, 42)]


def test_a_failure_on_the_way_leaves_what_was_there(tmp_path, monkeypatch):
    monkeypatch.setattr("ascnet_cli.outputs.video.source._LIMITS", Limits())  # else it would be drawn
    source = make_video(tmp_path / "v.mp4", n_frames=60, codec=INTRA)
    damage(source, 5)
    target = tmp_path / "out.mp4"
    target.write_text("before")
    with pytest.raises(VideoError, match="packets are damaged"):
        write_annotated(source, RUN, target)
    assert target.read_text() == "before"
    assert left_over(tmp_path) == []


def test_sources_that_are_no_video_are_refused_before_anything_is_written(tmp_path):
    other = make_video(tmp_path / "other.mp4", n_frames=3)
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"ffconcat version 1.0\nfile {other.name}\n")
    (tmp_path / "empty.mp4").touch()
    for name, message in (
        ("missing.mp4", "no such file"),
        ("empty.mp4", "empty"),
        ("list.mp4", "not a readable video"),
        (".", "is a folder"),
    ):
        with pytest.raises(VideoError, match=message):
            write_annotated(tmp_path / name, RUN, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
    assert left_over(tmp_path) == []


def test_targets_that_cannot_be_are_refused_before_the_source_is_read(tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=3)
    before = source.read_bytes()
    (tmp_path / "link.mp4").symlink_to(source)
    (tmp_path / "hard.mp4").hardlink_to(source)
    (tmp_path / "folder.mp4").mkdir()
    for name in ("v.mp4", "link.mp4", "hard.mp4"):
        with pytest.raises(OutputError, match="is the video that is read"):
            write_annotated(source, RUN, tmp_path / name)
    with pytest.raises(OptionError, match=r"out\.gif"):
        write_annotated(source, RUN, tmp_path / "out.gif")
    for target in (tmp_path / "none" / "out.mp4", tmp_path / "folder.mp4"):
        with pytest.raises(OutputError):
            write_annotated(tmp_path / "missing.mp4", RUN, target)
    assert source.read_bytes() == before


def test_names_that_ffmpeg_would_take_for_something_else(tmp_path):
    folder = tmp_path / "a:b %03d"
    folder.mkdir()
    source = make_video(folder / "-v:1.mp4", n_frames=3)
    target = folder / "concat:x|%d é.mp4"
    write_annotated(source, RUN, target)
    assert watch(target).numbers() == [0, 1, 2]


_LIMITED = """
import resource, sys
from pathlib import Path
from ascnet_cli.outputs.annotated import write_annotated
from ascnet_cli.outputs.clips import write_clips
from ascnet_cli.segments import Detection, Segment, VideoDetections
from weights.errors import StorageError
source, folder = Path(sys.argv[1]), Path(sys.argv[2])
result = VideoDetections("v.mp4", 2.4, (Detection("run", Segment(0, 2), 1.0),))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
for work in (
    lambda: write_annotated(source, result, folder / "out.mp4"),
    lambda: write_clips(source, result, folder),
    lambda: write_clips(source, result, folder, copy=True),
):
    try:
        work()
    except StorageError as error:
        print(error.exit_code, "no room:", error)
"""


@pytest.mark.parametrize("limit", [1000, 40_000])  # in the header, and on the way
def test_a_full_disk_leaves_nothing(limit, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 72, 96, 3), dtype=np.uint8)
    source = make_video(tmp_path / "v.mp4", pictures=list(noise), n_frames=60)
    folder = tmp_path / "out"
    folder.mkdir()
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, source, folder, str(limit)],
        capture_output=True,
        text=True,
        # Python would put a cut file in the place of a module's bytecode, which no later start could read.
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        timeout=120,
    )
    assert done.stdout.count("6 no room:") == 3, done.stdout + done.stderr
    assert list(folder.iterdir()) == []


_GROWTH = """
import sys
from pathlib import Path
from ascnet_cli.outputs.annotated import write_annotated
from ascnet_cli.segments import Detection, Segment, VideoDetections
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
peaks = []
for name in sys.argv[1:]:
    result = VideoDetections(name, 0.0, tuple(Detection(f"c{k}", Segment(k, k + 2), 1.0) for k in range(4)))
    write_annotated(Path(name), result, Path(name).with_suffix(".out.mp4"))
    peaks.append(peak())
print(peaks[-1] - peaks[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_memory_does_not_grow_with_the_length(tmp_path):
    short = make_video(tmp_path / "short.mp4", n_frames=150, size=(160, 120), audio_s=6.0)
    long = tmp_path / "long.mp4"
    synthetic.ffmpeg("-stream_loop", "9", "-i", short, "-c", "copy", long)
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _GROWTH, short, long],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=tmp_path,
        timeout=120,
    )
    # 1350 pictures more: 57 MB if each were kept in the smallest form.
    assert int(done.stdout) < 12_000
