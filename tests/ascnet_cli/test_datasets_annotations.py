"""The annotation model, its rules, and ActivityNet's JSON."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascnet_cli.datasets.activitynet_json import read_activitynet
from ascnet_cli.datasets.annotations import Annotations, Instance, VideoAnnotation, ground_truth
from ascnet_cli.datasets.assembly import RawVideo, assemble
from ascnet_cli.datasets.rules import RULES, Finding, Findings, Policies
from ascnet_cli.errors import OptionError, PredictionsError
from ascnet_cli.segments import Segment

EXAMPLE = Path(__file__).parents[2] / "examples" / "mocap" / "mocap.json"


def video(name="a", *instances, subset="train", **more):
    return RawVideo(name, subset, list(instances), **more)


def assembled(*videos, classes=None, **policies):
    return assemble("test", videos, Findings(Policies(**policies), "file.json"), classes)


def counts(annotations):
    return {finding.rule: finding.count for finding in annotations.findings}


# Each rule, with a file in which it applies once.
BROKEN = {
    "missing_subset": {"videos": [video("a", ("run", 1, 2), subset=None)]},
    "empty_segment": {"videos": [video("a", ("run", 2, 2), ("run", 3, 4))]},
    "negative_start": {"videos": [video("a", ("run", -1, 2), ("run", 3, 4))]},
    "beyond_duration": {"videos": [video("a", ("run", 1, 11), ("run", 3, 4), duration_s=10)]},
    "unknown_class": {"videos": [video("a", ("run", 1, 2), ("fly", 1, 3))], "classes": ["run"]},
    "duplicate": {"videos": [video("a", ("run", 1, 2), ("run", 1, 2))]},
    "double_label": {"videos": [video("a", ("run", 1, 2), ("walk", 1, 2))]},
    "text_number": {"videos": [video("a", ("run", "1", 2))]},
    "empty_video": {"videos": [video("a", ("run", 1, 2)), video("b")]},
    "class_without_training": {"videos": [video("a", ("run", 1, 2))], "classes": ["run", "fly"]},
    "known_bad": {"videos": [video("a", ("run", 1, 2)), video("b", ("run", 1, 2), known_bad="why")]},
}
# What is left of it, as videos and instances, under each policy.
LEFT = {
    ("missing_subset", "drop"): (0, 0),
    ("missing_subset", "keep"): (1, 1),
    ("empty_segment", "drop"): (1, 1),
    ("negative_start", "drop"): (1, 1),
    ("beyond_duration", "drop"): (1, 1),
    ("beyond_duration", "keep"): (1, 2),
    ("unknown_class", "drop"): (1, 1),
    ("duplicate", "drop"): (1, 1),
    ("duplicate", "keep"): (1, 2),
    ("double_label", "keep"): (1, 2),
    ("text_number", "keep"): (1, 1),
    ("empty_video", "drop"): (1, 1),
    ("empty_video", "keep"): (2, 1),
    ("class_without_training", "keep"): (1, 1),
    ("known_bad", "drop"): (1, 1),
    ("known_bad", "keep"): (2, 2),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_refuses_and_names_the_place(rule):
    with pytest.raises(PredictionsError) as refused:
        assembled(*BROKEN[rule]["videos"], classes=BROKEN[rule].get("classes"), **{rule: "error"})
    assert str(refused.value).startswith(f"file.json: {RULES[rule][0]}: ")
    assert rule in refused.value.hint


@pytest.mark.parametrize(("rule", "policy"), LEFT)
def test_a_rule_drops_or_keeps_and_counts(rule, policy):
    broken = BROKEN[rule]
    read = assembled(*broken["videos"], classes=broken.get("classes"), **{rule: policy})
    assert (len(read.videos), sum(len(v.instances) for v in read.videos)) == LEFT[rule, policy]
    assert counts(read) == {rule: 1}
    (line,) = [line for line in read.report() if line.startswith(f"{rule}: 1 ")]
    assert ("left out" if policy == "drop" else "kept") in line


def test_every_rule_has_a_policy_and_no_other():
    assert [rule.name for rule in fields(Policies)] == list(RULES)
    for rule, (_, allowed) in RULES.items():
        if "keep" not in allowed:
            with pytest.raises(OptionError, match=rule):
                Policies(**{rule: "keep"})


def test_nothing_is_found_where_nothing_is_wrong():
    read = assembled(video("a", ("run", 1, 2), duration_s=3, fps=25))
    assert read.findings == ()
    assert read.videos == (
        VideoAnnotation("a", "train", (Instance(Segment(1.0, 2.0), "run"),), ("run",), 3.0, 25.0),
    )


def test_a_report_names_the_first_places_alone():
    many = [video(f"v{i}") for i in range(9)]
    (finding,) = assembled(*many).findings
    assert (finding.count, finding.places) == (9, ("v0", "v1", "v2"))
    assert finding.line().endswith("(v0, v1, v2, ...)")


@pytest.mark.parametrize("value", ["soon", "", "nan", float("inf"), None, True, [1], 10**400])
def test_a_bound_that_is_no_number_is_refused(value):
    with pytest.raises(PredictionsError, match="no finite number"):
        assembled(video("a", ("run", value, 2)))


def test_a_video_there_twice_is_refused():
    with pytest.raises(PredictionsError, match="'a' is there twice"):
        assembled(video("a", ("run", 1, 2)), video("a", ("run", 3, 4)))


@pytest.mark.parametrize("duration_s", [0, -1])
def test_a_duration_that_is_none(duration_s):
    with pytest.raises(PredictionsError, match="duration of 'a' must be positive"):
        assembled(video("a", ("run", 1, 2), duration_s=duration_s), beyond_duration="drop")


@pytest.mark.parametrize(
    "make",
    [
        lambda: VideoAnnotation("", "train"),
        lambda: VideoAnnotation("a", "train", (Instance(Segment(0.0, 1.0), "run"),)),
        lambda: VideoAnnotation("a", "train", labels=("run", "run")),
        lambda: Instance(Segment(0.0, 1.0), ""),
        lambda: Annotations("x", (), (VideoAnnotation("a", None, labels=("run",)),)),
        lambda: Annotations("x", (), (VideoAnnotation("a", None), VideoAnnotation("a", None))),
        lambda: Finding("no_rule", "keep", 1, ()),
    ],
)
def test_value_types_refuse_what_makes_no_sense(make):
    with pytest.raises(ValueError, match=r"."):
        make()


def test_subsets_and_who_is_judged():
    read = assembled(
        video("a", ("run", 1, 2)), video("b", ("run", 1, 2), subset="test"), video("c", subset="unused")
    )
    assert [v.video for v in read.training()] == ["a"]
    assert [v.video for v in read.judged()] == ["b"]
    assert [v.video for v in read.of(None)] == ["a", "b"]
    unsaid = assembled(video("a", ("run", 1, 2), subset=None))
    assert unsaid.training() == unsaid.judged() == unsaid.videos
    assert ground_truth(read.judged()) == {"b": [("run", Segment(1.0, 2.0))]}


@given(st.permutations(list(range(5))))
def test_the_order_of_videos_and_instances_does_not_matter(order):
    entries = [("run", 5, 6), ("walk", 1, 2), ("run", 1, 2), ("run", 3, 4), ("hop", 0, 9)]
    one = assembled(video("a", *entries), video("b", ("run", 1, 2)))
    other = assembled(video("b", ("run", 1, 2)), video("a", *(entries[i] for i in order)))
    assert (one.videos, one.classes) == (other.videos, other.classes)


def write(path, database):
    path.write_text(json.dumps({"database": database}))
    return path


def entry(subset, *instances):
    made = {"annotations": [{"label": label, "segment": [a, b]} for label, a, b in instances]}
    return made if subset is None else made | {"subset": subset}


def test_our_example_is_read():
    read = read_activitynet(EXAMPLE)
    (only,) = read.videos
    assert (read.name, only.video, only.subset, only.duration_s) == ("mocap", "mocap.mp4", "test", 41.92)
    assert len(read.classes) == len(only.instances) == 5
    assert only.instances[0] == Instance(Segment(4.533, 9.333), "jogging")
    assert read.findings == ()


@pytest.mark.parametrize(
    ("subsets", "roles"),
    [
        (["training", "validation"], ["train", "test"]),
        (["train", "val", "test"], ["train", "unused", "test"]),
        (["validation", "Test"], ["train", "test"]),
        (["validation"], ["test"]),
        ([None, "train"], [None, "train"]),
    ],
)
def test_what_subsets_are_for(tmp_path, subsets, roles):
    database = {f"v{i}": entry(subset, ("run", 1, 2)) for i, subset in enumerate(subsets)}
    read = read_activitynet(write(tmp_path / "a.json", database))
    assert [v.subset for v in read.videos] == roles


def test_test_videos_without_annotations_are_unused(tmp_path):
    database = {
        "a": entry("training", ("run", 1, 2)),
        "b": entry("validation", ("run", 1, 2)),
        "c": entry("testing"),
    }
    read = read_activitynet(write(tmp_path / "a.json", database))
    assert [v.subset for v in read.videos] == ["train", "test", "unused"]
    assert read.findings == ()


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.lists(
            st.tuples(st.sampled_from(["run", "größe"]), st.floats(0, 50), st.floats(0.01, 50)), min_size=1
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_written_comes_back_to_the_last_bit(tmp_path_factory, content):
    database = {
        name: entry("test", *((label, start, start + length) for label, start, length in instances))
        for name, instances in content.items()
    }
    path = tmp_path_factory.mktemp("json") / "a.json"
    read = read_activitynet(write(path, database), policies=Policies(duplicate="keep"))
    assert {v.video: sorted((i.label, i.segment.start_s, i.segment.end_s) for i in v.instances)
            for v in read.videos} == {
        name: sorted((label, start, start + length) for label, start, length in instances)
        for name, instances in content.items()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"videos": {}}', 'no object "database"'),
        ('{"database": {"a": []}}', "a is not an object"),
        ('{"database": {"a": {"subset": "tset"}}}', "unknown subset 'tset'"),
        ('{"database": {"a": {"subset": 3}}}', "unknown subset 3"),
        ('{"database": {"a": {"annotations": {}}}}', "annotations is not a list"),
        ('{"database": {"a": {"annotations": [{"label": "x", "segment": [1]}]}}}', "annotations[0]"),
        ('{"database": {"a": {"annotations": [{"label": "", "segment": [1, 2]}]}}}', "without a label"),
        ('{"database": {"a": {"ambiguous": [[1]]}}}', "ambiguous is not a list"),
        ('{"database": {"a": {}, "a": {}}}', "'a' is there twice"),
        ('{"database": {"a": {"duration": NaN}}}', "NaN is no JSON number"),
        ('{"database": {"": {"annotations": []}}}', "a video needs a name"),
    ],
)
def test_what_is_no_annotation_file(tmp_path, text, said):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(PredictionsError) as refused:
        read_activitynet(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert refused.value.hint


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(PredictionsError, match="cannot be read"):
        read_activitynet(tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b'{"gr\xf6sse": 1}')
    with pytest.raises(PredictionsError, match="not UTF-8"):
        read_activitynet(tmp_path / "latin.json")
