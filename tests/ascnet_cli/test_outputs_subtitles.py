"""SubRip and WebVTT: what is shown, what other readers make of it, and what a label can do to it."""

import html
import io

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.errors import PredictionsError
from ascnet_cli.outputs import cues, srt, webvtt
from ascnet_cli.outputs.text import in_order
from tests.ascnet_cli.hostile import detections, run, video

FORMATS = {"srt": srt, "vtt": webvtt}
carried = {"srt": srt.label_in, "vtt": cues.cue_label}


def written(format, *found):
    file = io.StringIO(newline="")
    FORMATS[format].write([video(*found)], file)
    return file.getvalue()


def read(format, text, name=None):
    return FORMATS[format].read(io.StringIO(text, newline=""), name or f"a.mp4.{format}")


def test_srt_to_the_letter():
    assert written("srt", run(3723.4564, 3725.0, 0.738), run(0.0, 0.0001, -0.001, "stand")) == (
        "1\n00:00:00,000 --> 00:00:00,001\nstand (0.00)\n\n2\n01:02:03,456 --> 01:02:05,000\nrun (0.74)\n\n"
    )


def test_webvtt_to_the_letter():
    assert written("vtt", run(3723.4564, 3725.0, 0.738, "a & b <c>")) == (
        "WEBVTT\n\n1\n01:02:03.456 --> 01:02:05.000\na &amp; b &lt;c&gt; (0.74)\n"
    )


@pytest.mark.parametrize("format", FORMATS)
def test_without_segments(format):
    text = written(format)
    assert text == ("" if format == "srt" else "WEBVTT\n")
    assert read(format, text) == {"a.mp4": ()}


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_is_one_video(format):
    with pytest.raises(ValueError, match="one video, not 2"):
        FORMATS[format].write([video(), video(name="b.mp4")], io.StringIO())


@pytest.mark.parametrize("format", FORMATS)
@settings(deadline=None, max_examples=60)
@given(found=st.lists(detections, max_size=4))
def test_what_was_written_is_read_here_and_elsewhere(format, found):
    text = written(format, *found)
    label_in = carried[format]
    expected = [(label_in(d.label), d.segment, round(d.score, 2)) for d in in_order(found, label_in)]
    (back,) = read(format, text).values()
    assert [(d.label, d.segment, d.score) for d in back] == expected
    assert FORMATS[format].is_ours(text)
    # pysubs2 keeps at most 99:59:59,999, and skips cues that are later
    events = list(_events(format, text))
    if all(segment.end_s < 100 * 3600 for _, segment, _ in expected):
        assert [(event.start, event.end) for event in events] == [
            (round(segment.start_s * 1000), round(segment.end_s * 1000)) for _, segment, _ in expected
        ]
        shown = [html.unescape(event.text) if format == "vtt" else event.text for event in events]
        assert shown == [f"{label} ({score + 0.0:.2f})".rstrip() for label, _, score in expected]


def _events(format, text):
    return pysubs2.SSAFile.from_string(text, format_=format, keep_html_tags=True, keep_unknown_html_tags=True)


@pytest.mark.parametrize("format", FORMATS)
def test_a_label_is_neither_markup_nor_a_cue(format):
    label = "<script>x</script> {\\an8}\n\n2\n00:00:09,000 --> 00:00:10,000\nmore"
    text = written(format, run(1.0, 2.0, label=label))
    assert text.count("-->") == 1
    assert "<" not in text
    assert len(_events(format, text)) == 1
    if format == "srt":
        assert "{" not in text


@pytest.mark.parametrize("format", FORMATS)
def test_other_programs_files_are_read(format):
    times = "00:00:01,500 --> 00:00:02,000" if format == "srt" else "00:01.500 --> 00:02.000 align:start"
    head = "" if format == "srt" else "WEBVTT - made by hand\r\n\r\nNOTE nothing\r\n\r\n"
    text = f"\ufeff{head}7\r\n{times}\r\nhigh kick\r\n\r\n"
    assert read(format, text, "clip.srt") == {"clip": (run(1.5, 2.0, 1.0, "high kick"),)}
    assert not FORMATS[format].is_ours(text)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n00:00:01 --> 00:00:02\nrun\n", r"x\.srt:2: no times"),
        ("1\n00:00:02.000 --> 00:00:01.000\nrun\n", r"x\.srt:2: a segment needs"),
        ("1\n00:00:01.000 --> 00:00:02.000\n\n", r"x\.srt:2: a detection needs a label"),
    ],
)
def test_what_is_wrong_is_said_with_the_line(format, text, message):
    with pytest.raises(PredictionsError, match=message) as caught:
        read(format, text, "x.srt")
    assert caught.value.hint


@pytest.mark.parametrize(
    "change", [lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t, lambda t: t + "x"]
)
@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_was_saved_elsewhere_is_not_ours(format, change):
    text = written(format, run(1.0, 2.0))
    assert FORMATS[format].is_ours(text)
    assert not FORMATS[format].is_ours(change(text))
