import csv
import io
import json
import re
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.errors import PredictionsError
from ascnet_cli.outputs import csv_file
from ascnet_cli.segments import Detection, Segment, VideoDetections

HEADER = "video,label,start_s,end_s,score\n"


def video(name, *detections):
    return VideoDetections(name, 60.0, tuple(detections))


def run(start_s, end_s, score=0.5, label="run"):
    return Detection(label, Segment(start_s, end_s), score)


def written(*results):
    file = io.StringIO(newline="")
    csv_file.write(results, file)
    return file.getvalue()


def read(text):
    return csv_file.read(io.StringIO(text, newline=""), "segments.csv")


def test_the_columns_their_order_and_their_decimals():
    assert (
        written(video("a.mp4", run(1.0, 2.3456, 0.123456789))) == HEADER + "a.mp4,run,1.000,2.346,0.123457\n"
    )


def test_rows_go_by_video_then_start_then_end_then_label():
    text = written(
        video("b.mp4", run(0.0, 1.0)),
        video("a.mp4", run(5.0, 6.0), run(1.0, 3.0), run(1.0, 2.0), run(1.0, 2.0, label="jump")),
    )
    assert [line.split(",")[:4] for line in text.splitlines()[1:]] == [
        ["a.mp4", "jump", "1.000", "2.000"],
        ["a.mp4", "run", "1.000", "2.000"],
        ["a.mp4", "run", "1.000", "3.000"],
        ["a.mp4", "run", "5.000", "6.000"],
        ["b.mp4", "run", "0.000", "1.000"],
    ]


def test_without_segments_there_is_a_header():
    assert written() == written(video("a.mp4")) == HEADER
    assert read(HEADER) == {}


def test_a_segment_never_becomes_empty_by_rounding():
    text = written(video("a.mp4", run(1.0001, 1.0002), run(0.0, 1e-9)))
    assert [line.split(",")[2:4] for line in text.splitlines()[1:]] == [
        ["0.000", "0.001"],
        ["1.000", "1.001"],
    ]


def test_a_score_that_rounds_to_zero_has_no_sign():
    assert written(video("a.mp4", run(0.0, 1.0, -1e-9))).endswith(",0.000000\n")


def test_cells_are_quoted_where_they_must_be_and_only_there():
    text = written(video('say "hi", you.mp4', run(0.0, 1.0, label="=cmd()")))
    assert text == HEADER + '"say ""hi"", you.mp4",=cmd(),0.000,1.000,0.500000\n'


def test_a_file_name_that_is_not_utf8_is_written_visibly():
    text = written(video("caf\udce9.mp4", run(0.0, 1.0)))
    assert text.encode("utf-8").decode("utf-8").splitlines()[1].startswith("caf\\udce9.mp4,")


def test_a_video_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match=r"'a\.mp4'"):
        written(video("a.mp4"), video("a.mp4"))


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
awkward = st.sampled_from(
    [
        "a,b",
        'a"b',
        "a\nb",
        "a\rb",
        "\r\n",
        " a ",
        "=1+1",
        "-x",
        "@",
        "\ufeffa",
        "\u2028",
        "\x00",
        "🤸.mp4",
        ";",
        "video",
    ]
)
milliseconds = st.tuples(st.integers(0, 10**8), st.integers(1, 10**6))
detection = st.builds(
    lambda label, ms, score: run(ms[0] / 1000, (ms[0] + ms[1]) / 1000, score / 10**6, label),
    texts | awkward,
    milliseconds,
    st.integers(-(10**7), 10**7),
)
some_videos = st.dictionaries(texts | awkward, st.lists(detection, max_size=4), max_size=4)


@settings(deadline=None)
@given(some_videos)
def test_what_was_written_is_read(videos):
    back = read(written(*(video(name, *found) for name, found in videos.items())))
    in_order = {
        name: tuple(sorted(found, key=lambda d: (d.segment, d.label, -d.score)))
        for name, found in sorted(videos.items())
        if found
    }
    assert back == in_order
    assert list(back) == list(in_order)


def test_columns_may_be_elsewhere_and_more():
    text = "score,note,end_s,start_s,label,video\n0.5,good,2,1.5,run,a.mp4\n"
    assert read(text) == {"a.mp4": (run(1.5, 2.0),)}


@pytest.mark.parametrize("ends", ["\r\n", "\n\n", "\r"])
def test_other_line_ends_and_blank_lines_are_read(ends):
    assert read((HEADER + "a.mp4,run,0,1,0.5\nb.mp4,run,0,1,0.5\n").replace("\n", ends)).keys() == {
        "a.mp4",
        "b.mp4",
    }


@pytest.mark.parametrize("header", ["\ufeff" + HEADER, '\ufeff"video",label,start_s,end_s,score\n', HEADER])
def test_a_byte_order_mark_is_skipped(header):
    assert read(header + "a.mp4,run,0,1,0.5\n") == {"a.mp4": (run(0.0, 1.0),)}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "segments.csv:1: no column 'video' in the header (empty)", "first line"),
        ("video,label,start_s,end_s\n", "segments.csv:1: no column 'score'", "video,label"),
        ("video;label;start_s;end_s;score\n", "segments.csv:1: no column 'video'", "commas"),
        (
            "video,label,label,start_s,end_s,score\n",
            "segments.csv:1: the column 'label' is there 2",
            "keep one",
        ),
        (
            HEADER + "a,run,0,1,0.5\n\nb,run,x,1,0.5\n",
            "segments.csv:4: start_s is not a finite number: 'x'",
            ".",
        ),
        (HEADER + "a,run,0,nan,0.5\n", "segments.csv:2: end_s is not a finite number: 'nan'", "."),
        (HEADER + "a,run,0,1,inf\n", "segments.csv:2: score is not a finite number: 'inf'", "."),
        (HEADER + "a,run,0,1,1e999\n", "segments.csv:2: score is not a finite number: '1e999'", "."),
        (HEADER + "a,run,0,1_0,0.5\n", "segments.csv:2: end_s is not a finite number: '1_0'", "."),
        (
            HEADER + 'a,run,0,"1,5",0.5\n',
            "segments.csv:2: end_s is not a finite number: '1,5'",
            "decimal point",
        ),
        (HEADER + "a,run,2,2,0.5\n", "segments.csv:2: a segment needs", "this row"),
        (HEADER + "a,run,3,2,0.5\n", "segments.csv:2: a segment needs", "this row"),
        (HEADER + "a,run,-1,2,0.5\n", "segments.csv:2: a segment needs", "this row"),
        (HEADER + "a,,0,2,0.5\n", "segments.csv:2: a detection needs a label", "this row"),
        (HEADER + ",run,0,2,0.5\n", "segments.csv:2: the video's name is empty", "this row"),
        (HEADER + "a,run,0,1\n", "segments.csv:2: 4 cells, but the header has 5", "quotes"),
        (HEADER + "a, b,run,0,1,0.5\n", "segments.csv:2: 6 cells, but the header has 5", "quotes"),
        (HEADER + "a,run,0,1,0.5\n" + HEADER, "segments.csv:3: the header is there a second time", "remove"),
        (HEADER + '"a\nb",run,0,1,0.5\nc,run,0,1,x\n', "segments.csv:4: score", "."),
        (HEADER + '"a,run,0,1,0.5\n', "segments.csv:2: not readable as CSV", "quotes"),
        (HEADER + '"a"b,run,0,1,0.5\n', "segments.csv:2: not readable as CSV", "quotes"),
    ],
)
def test_what_is_wrong_is_said_with_the_line(text, message, hint):
    with pytest.raises(PredictionsError) as caught:
        read(text)
    assert str(caught.value).startswith(message)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 5


def safe(*results):
    file = io.StringIO(newline="")
    csv_file.write(results, file, spreadsheet_safe=True)
    return file.getvalue()


def test_safe_for_spreadsheets():
    text = safe(
        video("=cmd().mp4", run(0.0, 1.0, -0.5, "-run"), run(1.0, 2.0, 0.5, "'@x")), video("a", run(0.0, 1.0))
    )
    assert text == "\ufeff" + HEADER + (
        "'=cmd().mp4,'-run,0.000,1.000,-0.500000\n"
        "'=cmd().mp4,''@x,1.000,2.000,0.500000\n"
        "a,run,0.000,1.000,0.500000\n"
    )


@settings(deadline=None)
@given(some_videos)
def test_what_was_written_as_safe_is_read_as_it_was(videos):
    results = [video(name, *found) for name, found in videos.items()]
    text = safe(*results)
    assert read(text) == read(written(*results))
    assert csv_file.is_ours(text)
    for line in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in line[:2])


@settings(deadline=None)
@given(some_videos)
def test_what_was_written_is_known_as_ours(videos):
    assert csv_file.is_ours(written(*(video(name, *found) for name, found in videos.items())))


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "a.mp4,run,1,2,0.5\n",
        HEADER + "a.mp4,run,1.000,2.000,0.500000",
        (HEADER + "a.mp4,run,1.000,2.000,0.500000\n").replace("\n", "\r\n"),
        HEADER + "b.mp4,run,1.000,2.000,0.500000\na.mp4,run,1.000,2.000,0.500000\n",
        "name,age\nx,3\n",
        "\ufeff" + HEADER + "a.mp4,=run,1.000,2.000,0.500000\n",
    ],
)
def test_what_others_saved_is_not_ours(text):
    assert not csv_file.is_ours(text)


def test_cells_are_quoted_for_the_same_spaces_here_and_in_a_page():
    spaces = re.compile(csv_file.SPACES)
    assert all(bool(spaces.fullmatch(chr(code))) == chr(code).isspace() for code in range(0x110000))
    script = (resources.files("ascnet_cli.outputs.report") / "assets" / "csv.js").read_text("utf-8")
    (said,) = re.findall(r'^const CSV_SPACES = (".*");$', script, re.MULTILINE)
    assert json.loads(said) == csv_file.SPACES
    assert "trim" not in script
