"""THUMOS14, ActivityNet-1.3 and folders of one's own; the real files where they are."""

import json

import pytest

from ascnet_cli.datasets.activitynet13 import read_activitynet13
from ascnet_cli.datasets.catalog import KNOWN, data_folder, load_annotations
from ascnet_cli.datasets.folder import read_folder
from ascnet_cli.datasets.rules import Policies
from ascnet_cli.datasets.thumos14 import CLASSES, KNOWN_BAD, read_thumos14
from ascnet_cli.datasets.wtalc import convert_annotations
from ascnet_cli.errors import OptionError, PredictionsError
from ascnet_cli.segments import Segment

ALL = Policies(known_bad="keep")


@pytest.fixture
def thumos(data_folder):
    return data_folder / "annotations" / "thumos14"


def n_instances(videos):
    return sum(len(video.instances) for video in videos)


def counts(annotations):
    return {finding.rule: finding.count for finding in annotations.findings}


@pytest.mark.parametrize(
    "form",
    [
        ".",
        *(
            pytest.param(form, marks=pytest.mark.slow)
            for form in ("gt_acmnet.json", "gt_basnet.json", "evalkit_txt")
        ),
    ],
)
def test_thumos14_is_the_same_in_every_form(thumos, form):
    read = read_thumos14(thumos / form)
    assert read.classes == CLASSES
    assert (len(read.of("train")), n_instances(read.of("train"))) == (200, 3007)
    assert (len(read.of("test")), n_instances(read.of("test"))) == (210, 3311)
    reference = read_thumos14(thumos / "gt_acmnet.json")
    assert [(v.video, v.instances) for v in read.videos] == [(v.video, v.instances) for v in reference.videos]


@pytest.mark.parametrize(("form", "n_test"), [("gt_acmnet.json", 212), ("evalkit_txt", 213)])
def test_thumos14_with_the_videos_known_to_be_bad(thumos, form, n_test):
    read = read_thumos14(thumos / form, ALL)
    assert (len(read.of("test")), n_instances(read.of("test"))) == (n_test, 3358)
    assert counts(read)["known_bad"] == len(KNOWN_BAD) - (213 - n_test)
    assert counts(read).get("empty_video", 0) == n_test - 212


def test_thumos14_every_cliff_dive_is_a_dive(thumos):
    read = read_thumos14(thumos, ALL)
    instances = {(v.video, i.label, i.segment) for v in read.videos for i in v.instances}
    dives = [(video, segment) for video, label, segment in instances if label == "CliffDiving"]
    assert len(dives) == 360
    assert all((video, "Diving", segment) in instances for video, segment in dives)


@pytest.mark.slow
def test_thumos14_lengths_and_rates(thumos):
    """The durations of one file are frames / 30 whatever the rate was; here they are put right."""
    read = read_thumos14(thumos, ALL)
    rates = [round(video.fps) for video in read.videos]
    assert {rate: rates.count(rate) for rate in set(rates)} == {30: 399, 25: 11, 24: 2}
    beyond = {v.video for v in read.videos if any(i.segment.end_s > v.duration_s for i in v.instances)}
    assert len(beyond) == 5
    assert "video_test_0000270" in beyond
    shorter = {
        subset: sum(i.segment.duration_s < 0.64 for v in read.of(subset) for i in v.instances)
        for subset in ("train", "test")
    }
    assert shorter["test"] / 3358 == pytest.approx(0.019, abs=0.0005)  # than a snippet
    assert shorter["train"] / 3007 == pytest.approx(0.037, abs=0.0005)
    assert max(video.duration_s for video in read.videos) * 25 / 16 == pytest.approx(2612, abs=3)
    kept = read_thumos14(thumos, Policies(known_bad="keep", wrong_duration="keep"))
    longer = sum(a.duration_s - b.duration_s > 1 for a, b in zip(read.videos, kept.videos, strict=True))
    assert longer >= 10


def test_thumos14_ambiguous_stretches(thumos):
    read = {video.video: video for video in read_thumos14(thumos, ALL).videos}
    assert read["video_test_0000278"].ambiguous == (Segment(0.0, 1.4), Segment(95.7, 97.2))


@pytest.mark.slow
def test_thumos14_of_wtalc(thumos, tmp_path):
    with pytest.raises(PredictionsError, match="pickles") as refused:
        read_thumos14(thumos / "wtalc_reduced")
    assert "ascnet datasets prepare" in refused.value.hint
    convert_annotations(thumos / "wtalc_reduced", tmp_path)
    read, reference = read_thumos14(tmp_path, ALL), read_thumos14(thumos / "gt_acmnet.json", ALL)
    assert [(v.video, v.subset, v.instances) for v in read.videos] == [
        (v.video, v.subset, v.instances) for v in reference.videos
    ]
    by_name = {video.video: video for video in reference.videos}
    off = [v.video for v in read.videos if abs(v.duration_s - by_name[v.video].duration_s) > 0.5]
    assert off == []
    assert sum(bool(video.ambiguous) for video in read.of("test")) == 36


@pytest.mark.slow
def test_activitynet13(data_folder):
    folder = data_folder / "annotations" / "activitynet13"
    read = read_activitynet13(folder)
    assert len(read.classes) == 200
    assert len(read.videos) == 19228
    # The lists have 9032 and 4427 videos; 13 and 8 of them are annotated nowhere.
    assert (len(read.of("train")), len(read.of("test"))) == (9032 - 13, 4427 - 8)
    assert counts(read) == {
        "empty_segment": 12,
        "beyond_duration": 215,
        "duplicate": 45,
        "empty_video": 9,
        "unknown_video": 21,
    }


@pytest.mark.slow
def test_activitynet13_without_lists_of_videos(data_folder, tmp_path):
    folder = data_folder / "annotations" / "activitynet13"
    for name in ("anet_anno_action.json", "video_info_new.csv"):
        (tmp_path / name).symlink_to(folder / name)
    whole = read_activitynet13(tmp_path)
    assert (len(whole.of("train")), len(whole.of("test")), len(whole.of("unused"))) == (9649, 4728, 4851)


def test_activitynet13_as_the_challenge_has_it(tmp_path):
    path = tmp_path / "activity_net.v1-3.min.json"
    labelled = [{"label": "Archery", "segment": [1, 2]}, {"label": "Archery", "segment": [3, 3]}]
    database = {
        "a": {"duration": 9, "subset": "training", "annotations": labelled},
        "b": {"duration": 9, "subset": "validation", "annotations": labelled},
        "c": {"duration": 9, "subset": "testing", "annotations": []},
    }
    path.write_text(json.dumps({"database": database}))
    for place in (path, tmp_path):
        read = read_activitynet13(place)
        assert [v.subset for v in read.videos] == ["train", "test", "unused"]
        assert counts(read) == {"empty_segment": 2}


def test_activitynet13_without_its_parts(tmp_path):
    with pytest.raises(PredictionsError, match=r"no ActivityNet-1\.3 annotations"):
        read_activitynet13(tmp_path)
    (tmp_path / "anet_anno_action.json").write_text("{}")
    with pytest.raises(PredictionsError, match="cannot be read"):
        read_activitynet13(tmp_path)
    (tmp_path / "video_info_new.csv").write_text("video,subset,rfps\nv,trainnig,25\n")
    with pytest.raises(PredictionsError, match=r"video_info_new\.csv:2"):
        read_activitynet13(tmp_path)


def thumos_texts(folder):
    for label in CLASSES:
        for ending in ("val", "test"):
            name = {"val": "validation", "test": "test"}[ending]
            (folder / f"{label}_{ending}.txt").write_text(f"video_{name}_1 1.0 2.0\n")
    return folder


@pytest.mark.parametrize("line", ["video_test_1 1.0", "video_test_1 one 2.0", "video_test_1 1 2 3"])
def test_a_damaged_line_of_thumos14_is_named(tmp_path, line):
    folder = thumos_texts(tmp_path)
    (folder / "Diving_test.txt").write_text(f"video_test_1 1.0 2.0\n{line}\n")
    with pytest.raises(PredictionsError, match=r"Diving_test\.txt:2"):
        read_thumos14(folder)


def test_thumos14_without_one_of_its_files(tmp_path):
    with pytest.raises(PredictionsError, match="no THUMOS14 annotations"):
        read_thumos14(tmp_path)
    folder = thumos_texts(tmp_path)
    (folder / "Shotput_val.txt").unlink()
    with pytest.raises(PredictionsError, match=r"Shotput_val\.txt is missing"):
        read_thumos14(folder)


def test_thumos14_with_a_class_that_is_none(tmp_path):
    annotations = [{"label": "Divign", "segment": [1, 2]}]
    database = {"v": {"subset": "test", "annotations": annotations}}
    (tmp_path / "gt.json").write_text(json.dumps({"database": database}))
    with pytest.raises(PredictionsError, match="'Divign' in v"):
        read_thumos14(tmp_path)


LABELS = "video,label,subset\na.mp4,run,train\na.mp4,hop,train\nb.mp4,run,test\nc.mp4,,train\n"


def test_a_folder_with_labels(tmp_path):
    (tmp_path / "labels.csv").write_text(LABELS)
    read = read_folder(tmp_path)
    assert [(v.video, v.labels, v.subset) for v in read.videos] == [
        ("a.mp4", ("hop", "run"), "train"),
        ("b.mp4", ("run",), "test"),
        ("c.mp4", (), "train"),
    ]
    assert read.classes == ("hop", "run")
    assert counts(read) == {"empty_video": 1}


def test_a_folder_with_labels_alone_says_nothing_of_subsets(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b'\xef\xbb\xbfvideo,label\r\n"test, train.mp4",run\r\n')
    read = read_folder(tmp_path)
    assert [(v.video, v.subset) for v in read.videos] == [("test, train.mp4", None)]


def test_a_folder_with_labels_and_annotations(tmp_path):
    (tmp_path / "labels.csv").write_text(LABELS)
    database = {"b.mp4": {"duration": 9, "annotations": [{"label": "run", "segment": [1, 2]}]}}
    (tmp_path / "annotations.json").write_text(json.dumps({"database": database}))
    read = read_folder(tmp_path)
    assert [v.video for v in read.videos] == ["a.mp4", "b.mp4", "c.mp4"]
    assert [(v.video, n_instances([v])) for v in read.judged()] == [("b.mp4", 1)]
    assert counts(read) == {"empty_video": 1}
    database["b.mp4"]["subset"] = "train"
    (tmp_path / "annotations.json").write_text(json.dumps({"database": database}))
    with pytest.raises(PredictionsError, match=r"'b\.mp4' is for test, annotations\.json says train"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "labels.csv:1"),
        ("name,label\na,run\n", "labels.csv:1"),
        ("video,label\na\n", "labels.csv:2"),
        ("video,label\na,run\n,run\n", "labels.csv:3"),
        ("video,label,subset\na,run,tset\n", "unknown subset 'tset'"),
        ("video,label,subset\na,run,train\na,hop,test\n", "'a' is in two subsets"),
        (
            "video,label\na,Roll_over\na,hop\nb,roll over\n",
            "labels.csv:4: 'roll over' is spelled 'Roll_over'",
        ),
    ],
)
def test_labels_that_are_none(tmp_path, text, said):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(PredictionsError) as refused:
        read_folder(tmp_path)
    assert said in str(refused.value)


def test_data_sets_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("ASCNET_DATA", str(tmp_path))
    assert data_folder("thumos14") == tmp_path / "thumos14"
    assert set(KNOWN) == {"thumos14", "activitynet13", "mocap"}
    with pytest.raises(PredictionsError, match="thumos14 is not at"):
        load_annotations("thumos14")
    (tmp_path / "thumos14").mkdir()
    with pytest.raises(PredictionsError, match="no THUMOS14 annotations"):
        load_annotations("thumos14")
    thumos_texts(tmp_path / "thumos14")
    assert len(load_annotations("thumos14").videos) == 2
    (tmp_path / "labels.csv").write_text(LABELS)
    assert len(load_annotations(str(tmp_path)).videos) == 3
    with pytest.raises(OptionError) as refused:
        load_annotations("thumos41")
    assert refused.value.hint == "did you mean thumos14?"
    with pytest.raises(PredictionsError, match="neither"):
        read_folder(tmp_path / "thumos14")
