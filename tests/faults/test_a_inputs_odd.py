"""A: files that are damaged or unusual, and are read all the same: rightly, or with a word about it.

An action from 1 s to 4 s is shown in every one of them, so all must give the segments of `good.mp4`.
"""

from __future__ import annotations

import re
from fractions import Fraction

import av
import numpy as np
import pytest

from extractors.decode_pyav import probe
from extractors.snippets import Resampler
from extractors.still import still
from extractors.timing import measure_timing
from extractors.video import open_video
from tests.ascnet_cli.outputs.film_tools import watch
from tests.cli_tools import ascnet, stand_in_network
from tests.faults.fault_tools import INTRA, action, overwritten
from tests.faults.input_files import VARIABLE_S
from tests.synthetic import make_video, picture, read_index


def as_good(batch, *names):
    """Whether these files were done and have the segments and the length of the good one."""
    good = batch["good.mp4"]
    assert len(good.rows) == (batch.folder / "segments.csv").exists()
    for name in names:
        seen = batch[name]
        assert seen.state == "done", seen.summary
        assert seen.rows == good.rows
        assert seen.sidecar["duration_s"] == pytest.approx(good.sidecar["duration_s"], abs=1e-6)
        assert seen.values.shape == good.values.shape
    return True


def test_the_good_one_is_found_where_it_is(detected):
    ((label, start_s, end_s),) = detected["good.mp4"].rows
    assert label == "archery"
    assert start_s == pytest.approx(1.0, abs=0.16)
    assert end_s == pytest.approx(4.0, abs=0.16)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "avi"])
def test_A04_a_truncated_file_gives_what_there_is_and_a_warning(both, ending):
    seen = both[f"a04.{ending}"]
    assert seen.state == "done"
    assert f"warning: a04.{ending}: truncated: " in seen.said
    assert seen.report["truncated"] is True
    assert 1.0 < seen.sidecar["duration_s"] < 2.0
    if ending == "mp4":
        assert seen.report["header_duration_s"] == pytest.approx(3.0)
        assert "1.8 s could be read, its header promises 3.0 s" in seen.said


def test_A04_a_recording_in_fragments_promises_bytes_not_seconds(both):
    seen = both["a04-fragments.mp4"]
    assert seen.state == "done"
    assert "truncated: 3.7 s could be read, its header promises more" in seen.said


@pytest.mark.parametrize("name", ["a04-no-mdat.mp4", "a04-stray.mp4"])
def test_A04_a_recording_in_fragments_is_cut_between_its_boxes(both, name):
    seen = both[name]
    assert seen.state == "done"
    assert "truncated: 3.7 s could be read, its header promises more" in seen.said
    assert seen.report["truncated"] is True
    assert any(re.search(r"lacks at least \d bytes", note) for note in seen.report["notes"])


def test_A04_strict_counts_it_as_failed(inputs, tmp_path):
    with stand_in_network():
        ran = ascnet("detect", inputs / "a04.mp4", inputs / "good.mp4", "--strict", "--out", "segments.csv")
    assert ran.code == 3
    assert "failed: a04.mp4: truncated: " in ran.err


def test_A05_corrupt_packets_are_passed_over_and_counted(both):
    assert as_good(both, "a05-few.mp4")
    assert "2 damaged packets were passed over" in both["a05-few.mp4"].said
    assert both["a05-few.mp4"].report["bad_packets"] == 2


def test_A05_the_gap_is_filled_by_its_neighbours_and_all_else_stays(inputs):
    with open_video(inputs / "a05-numbered.mp4") as reader:
        frames = Resampler().resample(reader.frames(), iter([1.6]))
        numbers = [read_index(frame.rgb) for frame in frames]
        assert reader.report.bad_packets == 2
    assert numbers == [*range(20), 19, 22, *range(22, 40)]


def test_A05_too_many_are_an_error(both):
    assert both["a05-many.mp4"].failed("3 of 50 packets are damaged", "; hint: ")


def test_A05_how_much_may_be_damaged_is_the_callers(tmp_path):
    """In a decoder of its own, to which the limit must come; and what is taken can be drawn, too."""
    overwritten(action(tmp_path / "many.mp4", codec=INTRA), range(20, 23))  # 6 %
    overwritten(action(tmp_path / "one.mp4", codec=INTRA), [20])
    with stand_in_network(apart=True):
        taken = ascnet("detect", "many.mp4", "--max-damage", "0.1", "--video", "drawn.mp4", "--out", "s.csv")
        none = ascnet("detect", "one.mp4", "--max-damage", "0")
    assert taken.code == 0, taken.err
    assert "warning: many.mp4: 3 damaged packets were passed over" in taken.err
    assert watch(tmp_path / "drawn.mp4").times_s[-1] > 4
    assert none.code == 4
    assert "failed: one.mp4: 1 of 50 packets are damaged" in none.err
    assert "--max-damage" in none.err


def test_A07_the_first_stream_that_is_no_cover_is_read_and_named(detected):
    assert as_good(detected, "a07-two.mp4", "a07-cover.mp4")
    assert "2 video streams: stream 0 is read" in detected["a07-two.mp4"].said
    assert detected["a07-two.mp4"].report["notes"] == ["2 video streams: stream 0 is read"]
    assert detected["a07-cover.mp4"].report["notes"] == []


@pytest.mark.slow
@pytest.mark.parametrize("n_frames", [1, 3, 15])
def test_A09_a_video_shorter_than_a_snippet_has_one(extracted, n_frames):
    seen = extracted[f"a09-{n_frames}.mp4"]
    assert seen.state == "done", seen.summary
    assert seen.values.shape == (1, 1024)
    assert seen.sidecar["valid_frames_of_last"] == n_frames
    assert np.isfinite(seen.values).all()


def test_A09_detect_takes_one_frame(detected):
    seen = detected["a09-1.mp4"]
    assert seen.state == "done", seen.summary
    assert (len(seen.values), seen.sidecar["valid_frames_of_last"]) == (1, 1)


@pytest.mark.slow
def test_A10_the_last_snippet_is_padded(extracted):
    assert extracted["a10.mp4"].values.shape[0] == 6
    assert extracted["a10.mp4"].sidecar["valid_frames_of_last"] == 93 - 5 * 16


def test_A10_a_segment_ends_with_the_video(detected):
    ((_, _, end_s),) = detected["a10.mp4"].rows
    assert end_s == 3.72


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_A11_a_variable_rate_gives_the_same_segments(detected, ending):
    assert as_good(detected, f"a11.{ending}")


def test_A11_every_moment_shows_the_frame_that_is_nearest_by_its_own_stamp(tmp_path):
    path = make_video(tmp_path / "v.mp4", times_s=VARIABLE_S)
    with open_video(path) as reader:
        shown = [
            read_index(frame.rgb)
            for frame in Resampler().resample(reader.frames(), iter(lambda: reader.report.duration_s, None))
        ]
    for k, number in enumerate(shown):
        # Half of the distance to the next frame on the farther side is the most that a moment may be off.
        gaps = [abs(VARIABLE_S[number] - other) for other in VARIABLE_S[max(number - 1, 0) : number + 2]]
        assert abs(VARIABLE_S[number] - Fraction(k, 25)) <= max(gaps) / 2
    assert len(shown) == 125


@pytest.mark.parametrize("kind", ["late.mp4", "late.mkv", "late.ts", "negative.mkv", "edited.mp4"])
def test_A12_time_zero_is_the_first_frame_that_is_shown(detected, kind):
    assert as_good(detected, f"a12-{kind}")


def test_A13_stamps_out_of_order_are_put_in_order(inputs, detected):
    assert as_good(detected, "a13-reordered.avi")
    with open_video(inputs / "a13-numbered.avi") as reader:
        seen = [(read_index(frame.rgb), frame.time_s) for frame in reader.frames()]
    assert seen == [(k, pytest.approx(k / 25, abs=1e-9)) for k in range(40)]


def test_A13_without_stamps_the_nominal_rate_counts_and_it_is_said(inputs, detected):
    seen = detected["a13-none.mp4"]
    assert "50 frames carry no time: placed by the nominal frame rate" in seen.said
    assert as_good(detected, "a13-none.mp4")


def test_A13_times_that_the_reader_invents_are_told_too(both):
    seen = both["a13-counted.mp4"]
    assert (seen.state, seen.report["frames_decoded"]) == ("done", 50)
    assert "a raw stream carries no times: frames are placed by the nominal frame rate" in seen.said
    assert not [note for note in both["good.mp4"].report["notes"] if "raw stream" in note]
    assert not [note for note in both["a13-none.mp4"].report["notes"] if "raw stream" in note]  # told once


def test_A13_a_packet_without_content_shows_the_picture_before_it_on(both, inputs):
    with av.open(str(inputs / "a13-repeats.ogv")) as container:
        assert sum(not packet.size for packet in container.demux()) > 20
    assert as_good(both, "a13-repeats.ogv")
    assert both["a13-repeats.ogv"].report["bad_packets"] == 0
    assert both["a13-repeats.ogv"].report["frames_decoded"] == 50
    timing = measure_timing(inputs / "a13-repeats.ogv")
    assert (timing.n_frames, timing.duration_s) == (50, pytest.approx(5.0))
    assert probe(inputs / "a13-repeats.ogv", max_pixels=10_000).size == (64, 48)
    assert still(inputs / "a13-repeats.ogv", at_s=3.0).mean() == pytest.approx(215, abs=4)


@pytest.mark.parametrize("said", [0, 1000, 1_000_000])
def test_A14_frames_and_durations_are_counted_not_believed(detected, said):
    names = (f"a14-frames-{said}.avi", f"a14-duration-{said}.mp4")
    assert as_good(detected, *names)
    for name in names:
        assert detected[name].report["frames_decoded"] == 50


@pytest.mark.parametrize("said", [0, 1000, 1_000_000])
def test_A14_an_absurd_rate_is_no_trouble(both, said):
    """The rate of an AVI is the only clock that it has: at a million frames a second it lasts 50 us."""
    seen = both[f"a14-rate-{said}.avi"]
    assert seen.state == "done"
    assert seen.report["frames_decoded"] == 50
    assert np.isfinite(seen.values).all()
    if said == 0:
        assert as_good(both, f"a14-rate-{said}.avi")
        return
    # The last picture lasts a tenth of a second, as the stream inside says.
    assert seen.sidecar["duration_s"] == pytest.approx(49 / said + 0.1, abs=1e-6)
    assert seen.report["duration_s"] == seen.sidecar["duration_s"]
    assert seen.report["truncated"] is False
    assert seen.values.shape == (1, 1024)
    assert seen.sidecar["valid_frames_of_last"] == round(25 * seen.sidecar["duration_s"])
    assert all(0 <= start_s < end_s <= seen.sidecar["duration_s"] for _, start_s, end_s in seen.rows)


@pytest.mark.slow
@pytest.mark.parametrize("turn", ["90", "180", "270", "mirror"])
def test_A15_features_are_those_of_a_file_that_stands_upright(extracted, turn):
    turned, upright = extracted[f"a15-{turn}.mp4"], extracted[f"a15-{turn}-upright.mp4"]
    assert "turned upright" in turned.said
    assert turned.values.shape == upright.values.shape
    # Levels of 255; a filter rounds otherwise when its rows are columns.
    assert np.abs(turned.values - upright.values).max() * 255 <= 2
    assert np.ptp(upright.values) > 0.2


@pytest.mark.parametrize("kind", ["wide.mp4", "interlaced.mp4", "odd.mp4", "odd.avi"])
def test_A16_odd_pixels_fields_and_sizes(detected, kind):
    assert as_good(detected, f"a16-{kind}")


def test_A16_pixels_become_square(inputs):
    with open_video(inputs / "a16-wide.mp4", short_side=None) as reader:
        assert next(reader.frames()).rgb.shape == (48, 85, 3)


@pytest.mark.parametrize(
    "kind", ["10-bit.mp4", "yuv444.mp4", "alpha.mkv", "grey.mkv", "16-bit.mkv", "full.avi", "hdr.mp4"]
)
def test_A17_pixel_formats(detected, kind):
    assert as_good(detected, f"a17-{kind}")


@pytest.mark.parametrize(
    "kind", ["10-bit.mp4", "yuv444.mp4", "alpha.mkv", "grey.mkv", "16-bit.mkv", "full.avi"]
)
def test_A17_levels_are_right_whatever_the_range(inputs, kind):
    with open_video(inputs / f"a17-{kind}") as reader:
        levels = [frame.rgb.mean() for frame in reader.frames()]
    assert levels[0] == pytest.approx(20, abs=4)
    assert levels[25] == pytest.approx(215, abs=4)


def test_A18_pictures_that_are_too_small_name_the_smallest(both):
    assert both["a18-2x2.mp4"].failed("2x2 is too small: at least 8x8 pixels")
    assert both["a18-16x16.mp4"].state == "done"


@pytest.mark.parametrize("name", ["a21-size.mkv", "a21-shape.avi", "a21-format.mkv"])
def test_A21_pictures_that_change_on_the_way(both, inputs, name):
    seen = both[name]
    assert seen.state == "done"
    assert seen.report["frames_decoded"] == 30
    assert seen.report["bad_packets"] == 0
    with open_video(inputs / name, short_side=64) as reader:
        numbers = [read_index(frame.rgb) for frame in reader.frames()]
    assert numbers == list(range(30))
    assert picture(0).shape == (72, 96, 3)


def test_A21_each_picture_keeps_its_own_shape_until_it_is_cropped(inputs):
    with open_video(inputs / "a21-shape.avi", short_side=None) as reader:
        shapes = [frame.rgb.shape[:2] for frame in reader.frames()]
    assert shapes == [*[(72, 96)] * 10, *[(64, 64)] * 10, *[(96, 72)] * 10]
