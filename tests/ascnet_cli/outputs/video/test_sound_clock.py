"""Sound is heard with the pictures that it came by with; a stray stamp costs its own packet alone."""

from fractions import Fraction

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.outputs.video.sound_clock import SoundClock

STEP_S = 0.05  # of pictures and of packets of sound
GAP_S = 10.0


def packet(stamp_s):
    made = av.Packet(b"x")
    made.pts = made.dts = round(stamp_s * 1000)
    made.duration, made.time_base = 50, Fraction(1, 1000)
    return made


def play(stamps_s, *, video_s=None, ahead=0, lag=0, gap_s=GAP_S):
    """What is heard, as (number of the packet, time), of packets that come by one a picture.

    Args:
        stamps_s: of the sound.
        video_s: stamps of the pictures where they jump; they are shown `STEP_S` after each other.
        ahead: how many packets of sound come by before their picture.
        lag: how many pictures a decoder holds back.
        gap_s: what is no jump.
    """
    clock, heard = SoundClock(gap_s), []
    count = len(stamps_s)
    video_s = [k * STEP_S for k in range(count)] if video_s is None else video_s
    packets = [packet(stamp_s) for stamp_s in stamps_s]
    numbers = {id(one): number for number, one in enumerate(packets)}
    given = 0
    for k in range(count + ahead + lag):
        while given < min(k + ahead + 1, count):
            clock.hear(packets[given])
            given += 1
        shown = min(max(k - lag, 0), count - 1)
        now_s = shown * STEP_S
        over = k == count + ahead + lag - 1
        sounds = clock.heard(now_s, video_s[shown] - now_s, over=over)
        heard += [(numbers[id(sound.packet)], sound.start_s) for sound in sounds]
    times = [time for _, time in heard]
    assert times == sorted(times)
    return heard


def steady(count, start_s=0.0):
    return [start_s + k * STEP_S for k in range(count)]


@pytest.mark.slow
@settings(max_examples=20)
@given(
    st.integers(0, 239),
    st.one_of(st.floats(-5000, -0.05), st.floats(0.05, 5000)),
    st.integers(0, 10),
    st.integers(0, 10),
)
def test_a_stray_stamp_costs_no_other_packet(at, off_s, ahead, lag):
    stamps_s = steady(240)
    stamps_s[at] += off_s
    heard = dict(play(stamps_s, ahead=ahead, lag=lag))
    lost = set(range(240)) - set(heard)
    assert len(lost - {at}) <= 1  # what the stray one was heard instead of
    for number in set(heard) - {at}:
        assert heard[number] == pytest.approx(number * STEP_S, abs=0.0011)


@pytest.mark.slow
@settings(max_examples=20)
@given(
    st.one_of(st.floats(-5000, -2), st.floats(11, 5000)),
    st.integers(0, 10),
    st.integers(0, 10),
)
def test_both_clocks_jump_within_a_little_of_each_other(jump_s, ahead, lag):
    video_s = [k * STEP_S + jump_s * (k >= 120) for k in range(240)]
    stamps_s = [k * STEP_S + jump_s * (k >= 120) for k in range(240)]
    heard = dict(play(stamps_s, video_s=video_s, ahead=ahead, lag=lag))
    assert len(heard) >= 238
    for number, time_s in heard.items():
        assert time_s == pytest.approx(number * STEP_S, abs=0.0021)


@pytest.mark.parametrize("jump_s", [20.0, -400.0, 95000.0])
def test_sound_that_jumps_alone_goes_on_where_it_was(jump_s):
    stamps_s = [k * STEP_S + jump_s * (k >= 120) for k in range(360)]
    heard = dict(play(stamps_s))
    assert len(heard) >= 358
    for number, time_s in heard.items():
        assert time_s == pytest.approx(number * STEP_S, abs=0.05)


def test_a_gap_and_a_late_start_stay():
    stamps_s = [k * STEP_S + 1 + 4 * (k >= 100) for k in range(200)]
    heard = play(stamps_s)
    assert [number for number, _ in heard] == list(range(200))
    assert [time for _, time in heard] == pytest.approx(stamps_s, abs=0.001)


@pytest.mark.slow
def test_sound_that_is_stored_before_all_pictures_waits_for_them():
    heard = play(steady(1500), ahead=1500, gap_s=3600.0)
    assert [number for number, _ in heard] == list(range(1500))


def test_many_packets_are_heard_with_one_picture():
    clock = SoundClock(3600.0)
    for stamp_s in steady(1000):
        clock.hear(packet(stamp_s))
    assert len(clock.heard(49.99, 0.0)) == 1000


def test_a_packet_without_a_time_is_passed_over():
    clock = SoundClock(GAP_S)
    clock.hear(av.Packet(b"x"))
    assert clock.heard(0.0, 0.0, over=True) == []
