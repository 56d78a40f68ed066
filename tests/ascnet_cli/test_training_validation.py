"""What the checkpoint is chosen by, and the videos that it is judged on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.errors import FeatureError, OptionError
from ascnet_cli.training.validation import classification_map, split_videos
from ascnet_cli.training.videos import LabelledVideos

CLASSES = ("a", "b", "c")


def videos(labels):
    features = {name: np.zeros((2, 4), dtype=np.float32) for name in labels}
    return LabelledVideos(classes=CLASSES, features=features, labels=labels)


def column(*values):
    return np.array(values)[:, None]


def test_average_precision_by_hand():
    scores = column(0.9, 0.8, 0.7, 0.6, 0.5)
    actions = column(True, False, True, False, True)
    assert classification_map(scores, actions) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_perfect_and_worst():
    scores = column(0.1, 0.9, 0.8)
    assert classification_map(scores, column(False, True, True)) == 1
    assert classification_map(scores, column(True, False, False)) == pytest.approx(1 / 3)


def test_ties_count_against_it_in_any_order():
    for actions in (column(True, False, False), column(False, False, True)):
        assert classification_map(column(0.5, 0.5, 0.5), actions) == pytest.approx(1 / 3)


def test_classes_that_no_video_has_do_not_enter():
    scores = np.array([[0.9, 0.9], [0.1, 0.1]])
    assert classification_map(scores, np.array([[True, False], [False, False]])) == 1
    with pytest.raises(ValueError, match="no video"):
        classification_map(scores, np.zeros((2, 2), dtype=bool))


@given(
    data=st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.4]), st.booleans()), min_size=1, max_size=12),
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
def test_the_order_of_videos_does_not_matter(data, seed):
    scores, actions = column(*[s for s, _ in data]), column(*[a for _, a in data])
    if not actions.any():
        return
    order = np.random.default_rng(seed).permutation(len(data))
    found = classification_map(scores, actions)
    assert 0 < found <= 1
    assert classification_map(scores[order], actions[order]) == pytest.approx(found)


@given(
    labels=st.lists(st.sets(st.sampled_from(CLASSES)), min_size=1, max_size=30),
    fraction=st.floats(0, 0.9),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_split_parts_the_videos_and_leaves_every_class_something_to_learn_from(labels, fraction, seed):
    all_videos = videos({f"v{i:02d}": found for i, found in enumerate(labels)})
    trained, held_out = split_videos(all_videos, fraction, seed)
    assert sorted(trained + held_out) == list(all_videos.names)
    assert len(held_out) <= round(fraction * len(labels))
    assert set().union(*(all_videos.labels[n] for n in trained)) == set().union(*labels)
    assert split_videos(all_videos, fraction, seed) == (trained, held_out)


def test_a_split_takes_of_each_class_its_share():
    many = videos({f"v{i:03d}": {CLASSES[0 if i < 60 else 1 if i < 90 else 2]} for i in range(100)})
    _, held_out = split_videos(many, 0.2, seed=3)
    shares = [sum(c in many.labels[n] for n in held_out) for c in CLASSES]
    assert shares == [12, 6, 2]
    assert split_videos(many, 0.2, seed=4)[1] != held_out
    assert split_videos(many, 0.0, seed=3)[1] == ()


def test_videos_are_held_to_be_consistent():
    rows = np.zeros((2, 4), dtype=np.float32)

    def make(features, labels, classes=CLASSES):
        return LabelledVideos(classes=classes, features=features, labels=labels)

    with pytest.raises(OptionError, match="not both: x"):
        make({"v": rows}, {"v": ["a"], "x": ["a"]})
    with pytest.raises(OptionError, match="no videos"):
        make({}, {})
    with pytest.raises(OptionError, match="v is labelled d"):
        make({"v": rows}, {"v": ["a", "d"]})
    with pytest.raises(OptionError, match="different names"):
        make({"v": rows}, {"v": []}, classes=("a", "a"))
    for broken in (rows[0], rows[:0], rows.astype(np.int64)):
        with pytest.raises(FeatureError, match="v: "):
            make({"v": broken}, {"v": []})
    with pytest.raises(FeatureError, match="w: features are 5 numbers wide, not 4 as of v"):
        make({"v": rows, "w": np.zeros((2, 5), dtype=np.float32)}, {"v": [], "w": []})


def test_the_digest_sees_labels_and_shapes_and_no_order():
    one = videos({"v": ["a", "b"], "w": []})
    assert one.digest() == videos({"w": [], "v": ["b", "a"]}).digest()
    assert one.digest() != videos({"v": ["a"], "w": []}).digest()
    assert one.digest() != videos({"v": ["a", "b"], "x": []}).digest()
