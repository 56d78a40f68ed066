"""Clips: exactly cut in one pass, or copied from key frames and said so."""

from fractions import Fraction
from unittest import mock

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascnet_cli.errors import OptionError, OutputError, VideoError
from ascnet_cli.outputs import clip_cutter
from ascnet_cli.outputs import clips as clips_module
from ascnet_cli.outputs.clip_cuts import Stamp, cuts_of
from ascnet_cli.outputs.clip_lots import lots_of
from ascnet_cli.outputs.clips import write_clips
from ascnet_cli.outputs.video.source import Source
from ascnet_cli.segments import Segment
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
    sound_codec,
    stills,
    watch,
)
from tests.synthetic import make_video

KEYS_EVERY = 20
H264_KEYS = synthetic.Codec("libx264", options=(*synthetic.H264_B.options, ("g", str(KEYS_EVERY))))


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "clips"
    path.mkdir()
    return path


def test_a_clip_begins_with_the_first_picture_at_or_after_its_start(folder, tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=60, codec=H264_KEYS)
    wanted = found(
        ("at", 0.4, 0.8, 1.0), ("between", 0.41, 0.79, 1.0), ("all", 0.0, 9.0, 1.0), ("inside", 0.5, 0.6, 1.0)
    )
    clips = write_clips(source, wanted, folder)
    assert [watch(clip.path).numbers() for clip in clips] == [
        list(range(10, 20)),
        list(range(11, 20)),
        list(range(60)),
        [13, 14],
    ]
    assert [(clip.start_s, clip.end_s) for clip in clips] == [
        (pytest.approx(a), pytest.approx(b)) for a, b in ((0.4, 0.8), (0.44, 0.79), (0.0, 2.4), (0.52, 0.6))
    ]
    for clip in clips:
        film = watch(clip.path)
        assert film.times_s[0] == 0
        assert film.ends_s[-1] == pytest.approx(clip.end_s - clip.start_s, abs=1e-3)
        assert clip.detection in wanted.detections
    assert clips[0].path.name == "v__at__0.400-0.800.mp4"
    assert left_over(folder) == []


def test_segments_that_meet_share_no_picture(folder, tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=40, fps=30)  # 1/30 s is no number of milliseconds
    clips = write_clips(source, found(("a", 0.0, 0.667, 1.0), ("b", 0.667, 1.0, 1.0)), folder)
    assert [watch(clip.path).numbers() for clip in clips] == [list(range(20)), list(range(20, 30))]


def test_variable_rates_keep_their_times(folder, tmp_path):
    times = [0.0, 0.04, 0.2, 0.21, 0.5, 1.0, 1.03, 1.9]
    source = make_video(tmp_path / "v.mkv", times_s=times)
    (clip,) = write_clips(source, found(("a", 0.1, 1.02, 1.0)), folder)
    film = watch(clip.path)
    assert film.numbers() == [2, 3, 4, 5]
    assert film.times_s == pytest.approx([0.0, 0.01, 0.3, 0.8], abs=1e-6)
    assert (clip.start_s, clip.end_s) == (pytest.approx(0.2), pytest.approx(1.02))
    assert length_s(clip.path) == pytest.approx(0.82, abs=1e-3)


def test_every_segment_has_a_clip_also_where_no_picture_begins(folder, tmp_path):
    source = make_video(tmp_path / "v.mkv", times_s=[0.0, 1.0, 2.0])
    wanted = found(("gap", 0.2, 0.4, 1.0), ("late", 2.5, 3.0, 1.0), ("after", 50.0, 60.0, 1.0))
    clips = write_clips(source, wanted, folder)
    assert [watch(clip.path).numbers() for clip in clips] == [[0], [2], [2]]


def test_a_segment_inside_one_long_picture_shows_that_one(folder, tmp_path):
    source = stills(tmp_path / "v.mp4", [(0, 0.5), (0.5, 10), (10, 10.04)])
    wanted = found(
        ("in", 2, 9, 1.0),
        ("later", 3, 4, 1.0),
        ("on", 0.5, 7, 1.0),
        ("over", 2, 10.04, 1.0),
        ("end", 10.02, 12, 1.0),
    )
    clips = write_clips(source, wanted, folder)
    assert [watch(clip.path).numbers() for clip in clips] == [[1], [1], [1], [2], [2]]
    spans = [(2, 9), (3, 4), (0.5, 7), (10, 10.04), (10.02, 10.04)]
    for clip, (start_s, end_s) in zip(clips, spans, strict=True):
        assert (clip.start_s, clip.end_s) == (pytest.approx(start_s), pytest.approx(end_s, abs=1e-3))
        assert length_s(clip.path) == pytest.approx(clip.end_s - clip.start_s, abs=1e-3)


def test_many_segments_inside_one_picture_are_not_open_at_once(folder, tmp_path):
    source = stills(tmp_path / "v.mp4", [(0, 10), (10, 11)])
    most, opened = 0, clip_cutter.writing

    def counted(*arguments, **options):
        nonlocal most
        most = max(most, len(list(folder.glob(".ascnet*"))))
        return opened(*arguments, **options)

    with mock.patch.object(clip_cutter, "writing", counted):
        write_clips(source, found(*((f"c{k}", k / 4, (k + 1) / 4, 1.0) for k in range(1, 39))), folder)
    assert len(list(folder.iterdir())) == 38
    assert most <= 1


def test_sound_goes_along_where_no_picture_begins(folder, tmp_path):
    silent = stills(tmp_path / "silent.mp4", [(0, 0.5), (0.5, 10), (10, 10.04)])
    source = add_sound(silent, tmp_path / "v.mp4", 3.0, seconds=10.0)
    (clip,) = write_clips(source, found(("in", 2, 9, 1.0)), folder)
    assert beeps_s(clip.path) == pytest.approx([1.0], abs=0.03)


def test_the_video_is_read_once_for_all_segments(folder, tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=50)
    wanted = found(*((f"c{k}", k / 25, (k + 8) / 25, 1.0) for k in range(30)))
    opened = []

    class Counted(Source):
        def __init__(self, path):
            opened.append(path)
            super().__init__(path)

    with mock.patch.object(clips_module, "Source", Counted):
        clips = write_clips(source, wanted, folder)
    assert len(opened) == 1
    assert [watch(clip.path).numbers() for clip in clips] == [list(range(k, k + 8)) for k in range(30)]


def test_more_segments_at_once_than_files_may_be_open(folder, tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=20)
    wanted = found(*((f"c{k}", k / 100, 0.6, 1.0) for k in range(20)))
    seen = []
    clips = write_clips(source, wanted, folder, progress=lambda done, total: seen.append((done, total)))
    assert len({clip.path for clip in clips}) == 20
    assert all(watch(clip.path).numbers()[-1] == 14 for clip in clips)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == pytest.approx(seen[-1][1])


SPANS = st.tuples(st.integers(0, 30), st.integers(1, 12)).map(lambda s: Segment(float(s[0]), float(sum(s))))


@given(st.lists(SPANS, max_size=25), st.integers(1, 4))
def test_lots_hold_few_at_once_and_are_few(segments, most):
    lots = lots_of(segments, most)
    assert sorted(index for lot in lots for index in lot) == list(range(len(segments)))

    def deepest(indices):
        return max(
            (
                sum(segments[k].start_s <= segments[i].start_s < segments[k].end_s for k in indices)
                for i in indices
            ),
            default=0,
        )

    assert all(deepest(lot) <= most for lot in lots)
    assert all([segments[k] for k in lot] == sorted(segments[k] for k in lot) for lot in lots)
    assert len(lots) == -(-deepest(range(len(segments))) // most)


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_is_cut_with_the_pictures(codec, copy, folder, tmp_path):
    silent = make_video(tmp_path / "silent.mkv", n_frames=100, codec=H264_KEYS)
    # AAC in a transport stream has headers that an mp4 has not.
    source = add_sound(silent, tmp_path / ("v.ts" if codec == "aac" else "v.mkv"), 2.0, codec=codec)
    wanted = found(("with", 1.7, 2.5, 1.0), ("without", 2.3, 3.5, 1.0), ("start", 0.0, 2.05, 1.0))
    clips = write_clips(source, wanted, folder, copy=copy)
    for clip in clips:
        inside = [2.0 - clip.start_s] if clip.start_s < 2.0 < clip.end_s else []
        assert beeps_s(clip.path) == pytest.approx(inside, abs=0.03), clip
        assert sound_codec(clip.path) == "aac"
    assert (clips[1].start_s > 2.0) == (not copy)


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("clocks_s", [[100, 122, 3000], [5000, 10, 300]])
def test_sound_is_cut_with_the_pictures_after_the_clock_jumps(clocks_s, copy, folder, tmp_path):
    source = joined(tmp_path / "v.ts", clocks_s)
    wanted = found(("before", 0.5, 1.5, 1.0), ("across", 1.5, 3.5, 1.0), ("after", 4.5, 5.5, 1.0))
    clips = write_clips(source, wanted, folder, copy=copy)
    for clip in clips:
        sounding = [time for time in (1.0, 3.0, 5.0) if clip.start_s - 0.05 <= time < clip.end_s]
        assert beeps_s(clip.path) == pytest.approx([time - clip.start_s for time in sounding], abs=0.1), clip
        assert length_s(clip.path) == pytest.approx(clip.end_s - clip.start_s, abs=0.1)
        assert clip.end_s >= clip.detection.segment.end_s - 0.001


@pytest.mark.parametrize("copy", [False, True])
def test_sound_that_jumps_before_its_pictures_is_in_its_clip(copy, folder, tmp_path):
    source = jumped(tmp_path / "v.ts")
    (clip,) = write_clips(source, found(("across", 2.0, 5.0, 1.0)), folder, copy=copy)
    assert beeps_s(clip.path) == pytest.approx([4.0 - clip.start_s], abs=0.1)


def test_copies_begin_at_key_frames_and_say_what_they_have(folder, tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=100, codec=H264_KEYS)
    wanted = found(("a", 1.0, 1.5, 1.0), ("at a key", 1.6, 2.0, 1.0), ("end", 3.9, 99.0, 1.0))
    clips = write_clips(source, wanted, folder, copy=True)
    for clip, first in zip(clips, (20, 40, 80), strict=True):
        film = watch(clip.path)
        last = round(clip.end_s * 25)
        assert film.numbers() == list(range(first, last))
        assert clip.start_s == pytest.approx(first / 25)
        assert film.times_s[0] == 0
        assert clip.detection.segment.end_s <= clip.end_s + 1e-6 or last == 100
    assert clips[0].end_s < 1.5 + 5 / 25


def test_pictures_that_need_what_is_before_the_key_frame_are_left_out_of_a_copy(folder, tmp_path):
    options = (*H264_KEYS.options, ("x264-params", "open-gop=1:scenecut=0"))
    source = make_video(tmp_path / "v.mp4", n_frames=100, codec=synthetic.Codec("libx264", options=options))
    clips = write_clips(source, found(("a", 1.9, 2.2, 1.0), ("b", 3.2, 3.5, 1.0)), folder, copy=True)
    for clip in clips:
        first = round(clip.start_s * 25)
        assert first > 20
        with av.open(str(clip.path)) as container:
            assert min(packet.pts for packet in container.demux(video=0) if packet.size) == 0
        assert watch(clip.path).numbers() == list(range(first, round(clip.end_s * 25)))


@pytest.mark.parametrize("name", ["v.mkv", "v.ts", "v.avi"])
def test_copies_out_of_other_containers(name, folder, tmp_path):
    codec = synthetic.MPEG4 if name.endswith("avi") else H264_KEYS
    source = make_video(tmp_path / name, n_frames=60, codec=codec)
    (clip,) = write_clips(source, found(("a", 0.9, 1.5, 1.0)), folder, copy=True)
    numbers = watch(clip.path).numbers()
    assert numbers[0] <= 22
    assert numbers[0] == round(clip.start_s * 25)
    assert numbers == list(range(numbers[0], round(clip.end_s * 25)))
    assert numbers[-1] >= 36


def test_a_copy_of_a_cut_file_has_the_right_pictures(folder, tmp_path):
    whole = make_video(tmp_path / "whole.mp4", n_frames=100, codec=H264_KEYS)
    source = synthetic.remux(whole, tmp_path / "v.mp4", before=["-ss", "1.0"])  # an edit list hides the rest
    clips = write_clips(source, found(("a", 0.0, 0.4, 1.0), ("b", 1.2, 2.0, 1.0)), folder, copy=True)
    assert watch(clips[0].path).numbers()[:10] == list(range(25, 35))
    assert watch(clips[1].path).numbers()[0] == round(25 + clips[1].start_s * 25)


def test_a_copy_stays_turned(folder, tmp_path):
    lying = make_video(tmp_path / "lying.mp4", n_frames=20)
    source = synthetic.remux(lying, tmp_path / "v.mp4", before=["-display_rotation", "90"])
    clips = write_clips(source, found(("a", 0.0, 0.4, 1.0)), folder, copy=True)
    assert watch(clips[0].path).turned == watch(source).turned == {90}


def test_what_cannot_be_copied_is_refused(folder, tmp_path):
    wanted = found(("a", 0.0, 0.4, 1.0))
    vp8 = make_video(tmp_path / "v.webm", n_frames=5, codec=synthetic.VP8)
    reordered = make_video(tmp_path / "v.avi", n_frames=10, codec=synthetic.MPEG4_B)
    for source, reason in ((vp8, "vp8"), (reordered, "AVI")):
        with pytest.raises(OptionError, match=reason) as caught:
            write_clips(source, wanted, folder, copy=True)
        assert "without copying" in caught.value.hint
    assert list(folder.iterdir()) == []


def test_pictures_before_the_first_key_frame_are_not_counted_on():
    stamps = [Stamp(k / 25, (k + 1) / 25, k % 10 == 5) for k in range(40)]
    cuts = cuts_of(stamps, [Segment(0.0, 0.1), Segment(0.7, 0.8), Segment(9.0, 10.0)])
    assert [(cut.first, cut.last) for cut in cuts] == [(5, 5), (15, 19), (35, 39)]
    with pytest.raises(VideoError, match="no key frame"):
        cuts_of([Stamp(0.0, 1.0, False)], [Segment(0.0, 1.0)])


@pytest.mark.parametrize("copy", [False, True])
def test_bad_sources_and_places(copy, folder, tmp_path):
    wanted = found(("a", 0.0, 0.4, 1.0))
    with pytest.raises(VideoError, match="no such file"):
        write_clips(tmp_path / "missing.mp4", wanted, folder, copy=copy)
    source = make_video(tmp_path / "v.mp4", n_frames=20)
    with pytest.raises(OutputError, match="does not exist"):
        write_clips(source, wanted, tmp_path / "none", copy=copy)
    with pytest.raises(OutputError, match="is the video that is read"):
        write_clips(source, wanted, tmp_path, copy=copy, names=["v.mp4"])
    with pytest.raises(ValueError, match="a name of its own"):
        write_clips(source, wanted, folder, copy=copy, names=["../a.mp4"])
    with pytest.raises(ValueError, match="2 names for 1"):
        write_clips(source, wanted, folder, copy=copy, names=["a.mp4", "b.mp4"])
    assert list(folder.iterdir()) == []
    assert write_clips(source, found(), folder, copy=copy) == ()


def test_a_failure_on_the_way_leaves_no_half_clips(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("ascnet_cli.outputs.video.source._LIMITS", Limits())  # else they would be cut
    intra = synthetic.Codec("libx264", options=(*synthetic.H264.options, ("g", "1")))
    source = make_video(tmp_path / "v.mp4", n_frames=60, codec=intra)
    data = bytearray(source.read_bytes())
    for position, size in synthetic.packet_spans(source)[20:40]:
        data[position : position + size] = b"\xff" * size
    source.write_bytes(data)
    with pytest.raises(VideoError, match="packets are damaged"):
        write_clips(source, found(("whole", 0.0, 0.4, 1.0), ("half", 0.2, 9.0, 1.0)), folder)
    assert [path.name for path in folder.iterdir()] == ["v__whole__0.000-0.400.mp4"]


@pytest.mark.parametrize("copy", [False, True])
def test_the_same_input_gives_the_same_bytes(copy, folder, tmp_path):
    source = make_video(tmp_path / "v.mp4", n_frames=60, codec=H264_KEYS, audio_s=2.0)
    wanted = found(("a", 0.3, 1.5, 1.0), ("b", 1.0, 2.0, 1.0))
    first = [clip.path.read_bytes() for clip in write_clips(source, wanted, folder, copy=copy)]
    assert first == [clip.path.read_bytes() for clip in write_clips(source, wanted, folder, copy=copy)]


def test_odd_sizes_and_a_start_before_zero(folder, tmp_path):
    times = [Fraction(k, 25) + Fraction(3, 2) for k in range(20)]
    source = make_video(tmp_path / "v.mkv", times_s=times, size=(161, 121), codec=synthetic.FFV1)
    (clip,) = write_clips(source, found(("a", 0.2, 0.4, 1.0)), folder)
    film = watch(clip.path)
    assert film.pictures[0].shape == (122, 162, 3)
    assert film.numbers((161, 121)) == [5, 6, 7, 8, 9]
