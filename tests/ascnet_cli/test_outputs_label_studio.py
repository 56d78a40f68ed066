"""Label Studio: tasks as its documentation describes them, frames, and the way back."""

import io
import json
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.errors import OptionError, PredictionsError
from ascnet_cli.outputs import label_studio
from ascnet_cli.outputs.media import Media
from ascnet_cli.outputs.text import utf8
from ascnet_cli.segments import Segment
from tests.ascnet_cli.hostile import detections, labels, run, video

CONSTANT = Media(None, 25.0, True)


def written(*results, **media):
    file = io.StringIO(newline="")
    known = {result.video: CONSTANT for result in results} | media
    label_studio.write(results, file, media=known)
    return file.getvalue()


def read(text):
    return label_studio.read(io.StringIO(text), "x.json")


def check_task(task):
    """https://labelstud.io/guide/predictions and /tags/timelinelabels, by the task's own configuration."""
    config = ElementTree.fromstring(task["data"]["label_config"])
    (shown,), (control,) = config.findall("Video"), config.findall("TimelineLabels")
    assert shown.get("value").removeprefix("$") in task["data"]
    assert task["data"][shown.get("frameRate").removeprefix("$")] > 0
    classes = [label.get("value") for label in control.findall("Label")]
    assert len(set(classes)) == len(classes)
    (prediction,) = task["predictions"]
    assert isinstance(prediction["score"], float)
    regions = prediction["result"]
    assert len({region["id"] for region in regions}) == len(regions)
    for region in regions:
        assert region["type"] == "timelinelabels"
        assert (region["from_name"], region["to_name"]) == (control.get("name"), shown.get("name"))
        assert control.get("toName") == shown.get("name")
        (label,) = region["value"]["timelinelabels"]
        assert label in classes
        (span,) = region["value"]["ranges"]
        assert isinstance(span["start"], int)
        assert isinstance(span["end"], int)
        assert 1 <= span["start"] <= span["end"]


def test_a_task_a_video_by_name():
    text = written(
        video(name="b.mp4"), video(run(0.12, 0.2), run(1.0, 2.0, 0.75, 'a "b" <c>'), name="in/a b.mp4")
    )
    tasks = json.loads(text)
    assert [task["data"]["name"] for task in tasks] == ["b.mp4", "in/a b.mp4"]
    for task in tasks:
        check_task(task)
    data = tasks[1]["data"]
    assert data["video"] == "/data/local-files/?d=in/a%20b.mp4"
    assert (data["fps"], data["frame_rate"]) == (25.0, "constant, counted from the file")
    (prediction,) = tasks[1]["predictions"]
    assert prediction["model_version"].startswith("ascnet ")
    assert prediction["score"] == 0.75
    assert [region["value"]["ranges"] for region in prediction["result"]] == [
        [{"start": 4, "end": 5}],
        [{"start": 26, "end": 50}],
    ]
    assert '\\"' not in data["label_config"]  # can be copied out of the JSON as it stands


@pytest.mark.parametrize(
    ("media", "said"),
    [(Media(None, 29.97, False), "average of a variable"), (Media(None, 30.0), "as it was said")],
)
def test_where_the_frame_rate_comes_from_is_said(media, said):
    (task,) = json.loads(written(video(run(0, 1)), **{"a.mp4": media}))
    assert said in task["data"]["frame_rate"]
    assert task["data"]["fps"] == media.frames_per_s


def test_the_link_has_the_name_of_the_file():
    (task,) = json.loads(written(video(name="in/a"), **{"in/a": Media(Path("videos/in/a.mkv"), 25.0, True)}))
    assert (task["data"]["video"], task["data"]["name"]) == ("/data/local-files/?d=in/a.mkv", "in/a")


def test_without_a_frame_rate_there_are_no_frames():
    with pytest.raises(OptionError, match=r"frame rate of 'a\.mp4' is not known") as caught:
        written(video(run(0, 1)), **{"a.mp4": Media()})
    assert "--fps" in caught.value.hint


@given(st.integers(0, 10**6), st.integers(1, 10**4), st.sampled_from([24000 / 1001, 25.0, 29.97, 6.0, 59.94]))
def test_frames_are_those_that_are_shown(start, length, fps):
    first, last = label_studio.to_frames(Segment(start / fps, (start + length) / fps), Fraction(fps))
    assert (first, last) == (start + 1, start + length)


@given(st.floats(0, 1e5), st.floats(1e-6, 1e4), st.sampled_from([6.0, 25.0, 29.97]))
def test_frames_cover_the_segment(start_s, length_s, fps):
    first, last = label_studio.to_frames(Segment(start_s, start_s + length_s), Fraction(fps))
    assert (first - 1) / fps <= start_s + 1e-6
    assert last / fps >= start_s + length_s - 1e-6
    assert 1 <= first <= last <= first + length_s * fps + 2


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(labels.map(utf8), st.lists(detections, max_size=3), max_size=3))
def test_what_was_written_is_read(videos):
    results = [video(*found, name=name) for name, found in videos.items()]
    text = written(*results)
    assert label_studio.is_ours(text) or not results
    back = read(text)
    assert back.keys() == videos.keys()
    for name, found in videos.items():
        expected = sorted(found, key=lambda d: (d.segment, d.label, -d.score))
        assert [(d.label, d.score) for d in back[name]] == [(utf8(d.label), d.score) for d in expected]
        for one, other in zip(back[name], expected, strict=True):
            assert abs(one.segment.start_s - other.segment.start_s) <= 1 / 25
            assert abs(one.segment.end_s - other.segment.end_s) <= 1 / 25 + 1e-6


def test_the_annotations_of_an_export_go_before_the_predictions():
    tasks = json.loads(written(video(run(0, 1))))
    region = {
        "type": "timelinelabels",
        "value": {"ranges": [{"start": 26, "end": 50}], "timelinelabels": ["jump"]},
    }
    tasks[0]["annotations"] = [{"result": [region, {"type": "choices", "value": {}}]}]
    text = json.dumps(tasks)
    assert read(text) == {"a.mp4": (run(1.0, 2.0, 1.0, "jump"),)}
    assert not label_studio.is_ours(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "not a list of tasks"),
        ("[{}]", "task 1 is not one of ascnet's"),
        ('[{"data": {"name": "a", "fps": "x"}}]', "task 1 is not one of ascnet's"),
        (
            '[{"data": {"name": "a", "fps": 0}, "predictions": [{"result": [{"type": "timelinelabels"}]}]}]',
            "task 1",
        ),
        (
            '[{"data": {"name": "a", "fps": 25}}, {"data": {"name": "a", "fps": 25}}]',
            "task 2: its video is there",
        ),
    ],
)
def test_what_is_wrong_is_said(text, message):
    with pytest.raises(PredictionsError, match=message) as caught:
        read(text)
    assert caught.value.hint
