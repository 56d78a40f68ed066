"""What container files say of their own length, and how stamps become seconds."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.container import FileState, Timeline, file_state, lacks_moov, missing_bytes
from tests import synthetic
from tests.synthetic import make_video

NAMES = ["end-moov.mp4", "faststart.mp4", "fragments.mp4", "v.mov", "v.avi", "v.mkv", "v.webm"]


def whole(name: str, folder: Path) -> Path:
    codec = {".avi": synthetic.MPEG4, ".webm": synthetic.VP9}.get(Path(name).suffix, synthetic.H264)
    flags = {"faststart.mp4": "faststart", "fragments.mp4": "frag_keyframe+empty_moov"}.get(name)
    return make_video(
        folder / name, n_frames=60, codec=codec, container_options={"movflags": flags} if flags else None
    )


@pytest.mark.parametrize("name", NAMES)
def test_whole_files_lack_nothing_and_cut_ones_say_how_much(name: str, tmp_path: Path) -> None:
    path = whole(name, tmp_path)
    data = path.read_bytes()
    assert missing_bytes(path) == 0
    path.write_bytes(data + b"\0" * 100)  # padding is no loss
    assert missing_bytes(path) == 0
    path.write_bytes(data[: len(data) * 6 // 10])
    assert 0 < missing_bytes(path) <= len(data)


def test_the_missing_bytes_of_a_faststart_mp4_are_exact(tmp_path: Path) -> None:
    path = whole("faststart.mp4", tmp_path)
    path.write_bytes(path.read_bytes()[:-321])
    assert missing_bytes(path) == 321


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"text " * 100,
        b"\x1a\x45\xdf\xa3",  # an EBML header that breaks off
        b"\x1a\x45\xdf\xa3\x84abcd\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" + b"x" * 50,  # live
        b"\x1a\x45\xdf\xa3\x84abcd\xec\x81x",  # no segment
        b"RIFF\xff\xff\xff\x7fWAVE",  # another kind of RIFF
        b"\x00\x00\x00\x00ftyp" + b"x" * 50,  # a box that reaches to the end
    ],
    ids=["empty", "byte", "text", "stump", "unknown length", "no segment", "wave", "open box"],
)
def test_files_that_do_not_say_lack_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(content)
    assert missing_bytes(tmp_path / "v") == 0


def fragments(folder: Path) -> tuple[bytes, list[tuple[bytes, int, int]]]:
    """A recording in several fragments, without an index at its end, and its outermost boxes."""
    codec = synthetic.Codec("libx264", options=(*synthetic.H264.options, ("g", "10")))
    flags = {"movflags": "frag_keyframe+empty_moov"}
    data = make_video(folder / "v.mp4", n_frames=30, codec=codec, container_options=flags).read_bytes()
    boxes = [box for box in synthetic.boxes(data) if box[0] != b"mfra"]
    return data[: boxes[-1][2]], boxes


def test_a_recording_in_fragments_lacks_bytes_wherever_it_is_cut_but_between_two(tmp_path: Path) -> None:
    data, boxes = fragments(tmp_path)
    assert [kind for kind, _, _ in boxes[-2:]] == [b"moof", b"mdat"]
    moof, mdat = boxes[-2], boxes[-1]
    path = tmp_path / "cut.mp4"
    near = {edge + step for _, start, end in (moof, mdat) for edge in (start, end) for step in range(-17, 18)}
    for end in sorted(n for n in near if boxes[-2][1] - 17 <= n <= len(data)):
        path.write_bytes(data[:end])
        assert (missing_bytes(path) > 0) is (end not in (moof[1], len(data))), f"{end} of {len(data)} bytes"


def test_padding_behind_a_recording_in_fragments_is_no_loss(tmp_path: Path) -> None:
    data, _ = fragments(tmp_path)
    path = tmp_path / "padded.mp4"
    for padding in (b"\0" * 8, b"\0" * 100, b"\0\0\0\x08free"):
        path.write_bytes(data + padding)
        assert missing_bytes(path) == 0


def test_a_few_bytes_behind_an_mp4_that_is_not_in_fragments_are_no_loss(tmp_path: Path) -> None:
    path = whole("faststart.mp4", tmp_path)
    path.write_bytes(path.read_bytes() + b"\r\n")
    assert missing_bytes(path) == 0


def test_a_long_length_that_breaks_off_is_a_loss(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"\x00\x00\x00\x08ftyp" + b"\x00\x00\x00\x01mdat\x00\x00")
    assert missing_bytes(tmp_path / "v") == 6


def test_a_box_may_have_a_long_length(tmp_path: Path) -> None:
    content = b"\x00\x00\x00\x08ftyp" + b"\x00\x00\x00\x01mdat" + (1 << 33).to_bytes(8, "big") + b"x" * 10
    (tmp_path / "v").write_bytes(content)
    assert missing_bytes(tmp_path / "v") == 8 + (1 << 33) - len(content)


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"\x1a\x45\xdf\xa3", b"\0\0\0\x08ftyp", b"RIFF\0\0\0\0AVI "]),
)
def test_no_content_is_an_error(tmp_path_factory: pytest.TempPathFactory, tail: bytes, head: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-content"
    path.write_bytes(head + tail)
    assert missing_bytes(path) >= 0
    assert lacks_moov(path) in (True, False)


def test_a_damaged_file_of_empty_boxes_does_not_hold_us_up(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"\0\0\0\x08free" * 300_000)
    assert missing_bytes(tmp_path / "v") == 0


def test_a_missing_index_is_known_from_an_mp4_alone(tmp_path: Path) -> None:
    path = whole("end-moov.mp4", tmp_path)
    assert not lacks_moov(path)
    path.write_bytes(path.read_bytes()[:500])
    assert lacks_moov(path)
    for content in (b"", b"text " * 10):
        path.write_bytes(content)
        assert not lacks_moov(path)


def test_a_file_is_truncated_by_bytes_or_by_seconds() -> None:
    full = FileState(size=10, changed_ns=0, lacking=0)
    assert FileState(size=10, changed_ns=0, lacking=1).truncated(None, 3.0)
    assert not full.truncated(None, 3.0)
    assert not full.truncated(3.4, 3.0)  # rounding
    assert full.truncated(3.6, 3.0)
    assert not full.truncated(3600.0, 3590.0)  # within 2 %
    assert full.truncated(3600.0, 3000.0)
    assert not full.truncated(1.0, 3.0)


def test_the_state_of_a_file_notices_writing(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_bytes(b"x" * 20)
    state = file_state(path)
    assert state.notes_at_end(path) == []
    path.write_bytes(b"x" * 21)
    assert state.notes_at_end(path) == ["the file changed while it was read"]


# ---------------------------------------------------------------- times

STEPS = st.lists(st.integers(1, 9_000).map(lambda ms: ms / 1000), min_size=1, max_size=30)


def placed(stamps_s: list[float | None], *, longest_gap_s: float = 10.0) -> tuple[list[float], Timeline]:
    timeline = Timeline(0.04, longest_gap_s)
    return [timeline.place(stamp, 0.04) for stamp in stamps_s], timeline


@given(STEPS, st.floats(-1e6, 1e6))
def test_growing_stamps_are_left_alone(steps_s: list[float], start_s: float) -> None:
    stamps = [start_s]
    for step in steps_s:
        stamps.append(stamps[-1] + step)
    times, timeline = placed(stamps)
    assert times == stamps
    assert timeline.notes() == []


@given(STEPS, STEPS, st.floats(-1e5, 1e5).filter(lambda jump: not -20 < jump < 20))
def test_a_jump_is_closed_and_all_other_distances_stay(
    before_s: list[float], after_s: list[float], jump_s: float
) -> None:
    stamps = [0.0]
    for step in before_s:
        stamps.append(stamps[-1] + step)
    stamps.append(stamps[-1] + jump_s)
    for step in after_s:
        stamps.append(stamps[-1] + step)
    times, timeline = placed(stamps)
    steps = [b - a for a, b in pairwise(times)]
    assert steps == pytest.approx([*before_s, 0.04, *after_s], abs=1e-6)
    assert timeline.n_jumps == 1


@given(st.lists(st.one_of(st.none(), st.floats(-1e12, 1e12)), min_size=1, max_size=40))
def test_no_stamps_make_a_gap_longer_than_allowed(stamps_s: list[float | None]) -> None:
    times, _ = placed(stamps_s)
    latest = times[0]
    for time_s in times[1:]:
        assert time_s - latest <= 10.0 * (1 + 1e-6) + 1e-3  # 1e12 s leave no more digits than that
        assert time_s - latest >= -1.0 - 1e-3
        latest = max(latest, time_s)


def test_one_wild_stamp_moves_nothing_after_it() -> None:
    stamps: list[float | None] = [k / 25 for k in range(20)]
    stamps[10] = 5e7
    times, timeline = placed(stamps)
    assert times == pytest.approx([k / 25 for k in range(20)])
    assert timeline.n_jumps == 2


def test_frames_without_a_stamp_follow_the_one_before() -> None:
    times, timeline = placed([None, None, 7.0, 7.04, None, 7.12])
    assert times == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16, 0.20])
    assert (timeline.n_untimed, timeline.n_jumps) == (3, 0)
    assert timeline.notes() == ["3 frames carry no time: placed by the nominal frame rate"]


def test_stamps_slightly_out_of_order_are_left_to_be_sorted() -> None:
    stamps = [0.0, 0.12, 0.08, 0.04, 0.16]
    assert placed(list(stamps))[0] == stamps
