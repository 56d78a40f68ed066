import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.errors import PredictionsError
from ascnet_cli.outputs import activitynet
from ascnet_cli.segments import Detection, Segment, VideoDetections


def video(name, *detections):
    return VideoDetections(name, 60.0, tuple(detections))


def written(*results):
    file = io.StringIO(newline="")
    activitynet.write(results, file)
    return file.getvalue()


def read(text):
    return activitynet.read(io.StringIO(text, newline=""), "segments.json")


def one_entry(**changes):
    entry = {"label": "run", "segment": [0, 1.5], "score": 1} | changes
    return json.dumps({"results": {"a.mp4": [{k: v for k, v in entry.items() if v is not ...}]}})


def test_the_three_parts():
    text = written(
        video("b.mp4"),
        video("a.mp4", Detection("run", Segment(2.5, 3.0), 0.25), Detection("jump", Segment(0.1, 1.0), 0.5)),
    )
    document = json.loads(text)
    assert list(document) == ["version", "results", "external_data"]
    assert document["results"] == {
        "a.mp4": [
            {"label": "jump", "segment": [0.1, 1.0], "score": 0.5},
            {"label": "run", "segment": [2.5, 3.0], "score": 0.25},
        ],
        "b.mp4": [],
    }
    assert list(document["results"]) == ["a.mp4", "b.mp4"]
    assert document["external_data"]["generator"] == "ascnet"
    assert document["external_data"]["durations_s"] == {"a.mp4": 60.0, "b.mp4": 60.0}
    assert text.endswith("}\n")


def test_no_videos_are_a_document_too():
    assert read(written()) == {}


def test_names_are_written_as_they_are_read():
    text = written(video("Übung 🤸.mp4"), video("caf\udce9.mp4"))
    assert '"Übung 🤸.mp4"' in text
    assert read(text).keys() == {"Übung 🤸.mp4", "caf\\udce9.mp4"}
    text.encode("utf-8")


def test_a_video_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match=r"'a\.mp4'"):
        written(video("a.mp4"), video("a.mp4"))


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    ["a,b", 'a"b', "a\nb", "\r", "=1+1", "\\", "\x00", "\u2028", "</script>"]
)
numbers = st.floats(0, 1e6, allow_subnormal=False)
segments = st.tuples(numbers, numbers).filter(lambda t: t[0] != t[1]).map(lambda t: Segment(min(t), max(t)))
detection = st.builds(Detection, texts, segments, st.floats(allow_nan=False, allow_infinity=False))


@settings(deadline=None)
@given(st.dictionaries(texts, st.lists(detection, max_size=4), max_size=4))
def test_what_was_written_is_read_to_the_last_bit(videos):
    back = read(written(*(video(name, *found) for name, found in videos.items())))
    assert back == {
        name: tuple(sorted(found, key=lambda d: (d.segment, d.label, -d.score)))
        for name, found in videos.items()
    }


def test_whole_numbers_and_a_byte_order_mark_are_read():
    assert read("\ufeff" + one_entry()) == {"a.mp4": (Detection("run", Segment(0.0, 1.5), 1.0),)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "segments.json:1: not JSON"),
        ('{"results":\n {"a": [}}', "segments.json:2: not JSON"),
        ("[]", 'segments.json: no object "results"'),
        ('{"result": {}}', 'segments.json: no object "results"'),
        ('{"results": []}', 'segments.json: no object "results"'),
        ('{"results": {"a": {}}}', "segments.json: results['a'] is not a list"),
        ('{"results": {"a": [1]}}', "segments.json: results['a'][0] is not an object"),
        ('{"results": {"a": [], "a": []}}', "segments.json: the key 'a' is there twice"),
        (one_entry(label=...), "segments.json: results['a.mp4'][0] has no 'label'"),
        (one_entry(score=...), "segments.json: results['a.mp4'][0] has no 'score'"),
        (one_entry(label=3), "segments.json: results['a.mp4'][0].label is not text: 3"),
        (one_entry(label=""), "segments.json: results['a.mp4'][0]: a detection needs a label"),
        (one_entry(segment=[1]), "segments.json: results['a.mp4'][0].segment is not [start, end]"),
        (one_entry(segment=["0.0", 1]), "segments.json: results['a.mp4'][0].segment is not a number: '0.0'"),
        (one_entry(segment=[1, 1]), "segments.json: results['a.mp4'][0]: a segment needs"),
        (one_entry(segment=[-1, 1]), "segments.json: results['a.mp4'][0]: a segment needs"),
        (one_entry(score=True), "segments.json: results['a.mp4'][0].score is not a number: True"),
        (one_entry(score=None), "segments.json: results['a.mp4'][0].score is not a number: None"),
        (one_entry(score=float("nan")), "segments.json: NaN is no JSON number"),
        (one_entry(score=10**400), "segments.json: results['a.mp4'][0].score is not finite"),
        (
            '{"results": {"a": [{"label": "x", "segment": [0, 1], "score": 1e999}]}}',
            "segments.json: results['a'][0]",
        ),
        ('{"results": ' + "9" * 5000 + "}", "segments.json: not readable"),
        ("[" * 200_000, "segments.json: not readable"),
    ],
)
def test_what_is_wrong_is_said_with_the_place(text, message):
    with pytest.raises(PredictionsError) as caught:
        read(text)
    assert str(caught.value).startswith(message)
    assert caught.value.hint
