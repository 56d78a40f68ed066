"""The plans of the `mocap` data set, and the data that are shipped: they belong together."""

import collections
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from ascnet_cli.training.data import load_data
from examples.mocap import benchmark, motions
from examples.mocap.look import random_look
from extractors.recipe import FeatureRecipe
from weights.registry import entry

DATA = Path(benchmark.__file__).parent / "data"
# Of the recordings, so that plans need no renderer here.
SECONDS = {
    "backflip": 1.75, "cartwheel": 2.716558, "crawl": 2.933216, "dance_a": 1.616602068,
    "dance_b": 2.533232106, "jump": 1.766596074, "kick": 1.533331869, "punch": 2.133331296,
    "roll": 2.01592, "spinkick": 1.283282, "walk": 1.266616, "run": 0.799968,
    "getup_facedown": 3.033212127, "getup_faceup": 3.766516158, "stand": 2.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def plans():
    return benchmark.plan_all(SECONDS.__getitem__)


def seconds(acts):
    return sum(act.repeats * SECONDS[act.motion] / act.speed for act in acts)


def test_counts_and_lengths(plans):
    assert collections.Counter(plan.subset for plan in plans) == {"training": 48, "testing": 24}
    assert len({plan.name for plan in plans}) == len({plan.look_seed for plan in plans}) == 72
    for plan in plans:
        assert benchmark.SHORTEST_S - 0.5 <= seconds(plan.timeline) <= benchmark.LONGEST_S


def test_every_class_is_in_both_subsets_about_equally_often(plans):
    for subset, least in (("training", 7), ("testing", 3)):
        videos = collections.Counter(
            label
            for plan in plans
            if plan.subset == subset
            for label in {act.label for act in plan.timeline if act.label}
        )
        assert set(videos) == set(benchmark.ACTIONS)
        assert least <= min(videos.values()) <= max(videos.values()) <= least + 1


def test_actions_have_background_before_between_and_after(plans):
    for plan in plans:
        labels = [act.label for act in plan.timeline]
        assert labels[0] is None
        assert labels[-1] is None
        assert not any(a and b for a, b in itertools.pairwise(labels))
        assert 1 <= len({label for label in labels if label}) <= 2


def test_a_seed_decides_everything():
    one, same = (benchmark.plan_all(SECONDS.__getitem__, seed=3) for _ in range(2))
    assert one == same
    assert one != benchmark.plan_all(SECONDS.__getitem__, seed=4)
    assert len({random_look(plan.look_seed) for plan in one}) == len(one)


def test_backwards_is_the_same_motion_from_its_end():
    there = motions.standing(2.0).part(0.3, 1.1)
    back = there.backwards()
    time_s = np.linspace(0, there.duration_s, 9)
    np.testing.assert_allclose(
        back.at(time_s).root_T3, there.at(there.duration_s - time_s).root_T3, atol=1e-12
    )
    assert back.backwards().duration_s == pytest.approx(there.duration_s)


def test_the_shipped_data_are_those_of_the_plans(plans):
    document = json.loads((DATA / "annotations.json").read_text())["database"]
    assert list(document) == [plan.name for plan in plans]
    for plan in plans:
        entry_of_video = document[plan.name]
        assert entry_of_video["subset"] == plan.subset
        assert entry_of_video["duration"] == pytest.approx(seconds(plan.timeline), abs=0.05)
        labelled = [act.label for act in plan.timeline if act.label]
        assert [item["label"] for item in entry_of_video["annotations"]] == labelled


def test_the_shipped_features_are_whole_small_and_of_the_shipped_weights():
    data = load_data("mocap")
    assert data.notes == ()
    assert (len(data.videos.names), len(data.test)) == (48, 24)
    recipe = FeatureRecipe.from_dict(data.recipe)
    assert recipe.weights == {"rgb": entry("i3d-rgb-kinetics400").sha256}
    assert recipe.context == "snippet"
    assert all(values.dtype == np.float16 for values in data.videos.features.values())
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 10_000_000
