"""What the network saw, kept for a report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ascnet_cli.config_localization import localization_config
from ascnet_cli.detect import DetectOptions, detect_all
from ascnet_cli.detector import curves_of, load_detector
from ascnet_cli.inputs import VideoInput
from ascnet_cli.model.scores import Scores
from ascnet_cli.outputs.curves import MAX_CLASSES, Curves, classes_that_matter
from extractors.snippets import DENSE, SNIPPETS
from tests.cli_tools import ACTION, action_video, stand_in_network
from tests.unchecked import refusals


def made(**changes):
    values = {
        "times_s": np.array([0.3, 0.9]),
        "labels": ("a", "b", "c"),
        "activations_TK": np.zeros((2, 3), np.float32),
        "attention_T": None,
        "alphas": (0.2,),
        "betas": (),
    }
    return Curves(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("labels=('a',)", "do not fit activations"),
        ("times_s=np.zeros(0), activations_TK=np.zeros((0, 3), np.float32)", "do not fit"),
        ("attention_T=np.zeros(3, np.float32)", "attention"),
        ("labels=('a', 'a', 'b')", "twice"),
        ("times_s=np.array([0.9, 0.9])", "rise"),
        ("activations_TK=np.full((2, 3), np.nan, np.float32)", "not finite"),
    ],
)
def test_curves_that_do_not_fit_together(changes, said):
    setup = (
        "import numpy as np\nfrom ascnet_cli.outputs.curves import Curves\n"
        "good = {'times_s': np.array([0.3, 0.9]), 'labels': ('a', 'b', 'c'), 'attention_T': None,\n"
        "        'activations_TK': np.zeros((2, 3), np.float32), 'alphas': (0.2,), 'betas': ()}\n"
    )
    good, refused = refusals(setup, "Curves(**good)", f"Curves(**good | dict({changes}))")
    assert good == "taken"
    assert refused.startswith("ValueError: ")
    assert said in refused


def test_classes_with_a_segment_come_first_and_then_the_runners_up():
    best = [("b", 0.4), ("a", 0.9), ("b", 0.95)]
    video = [("a", 0.9), ("x", 0.3), ("y", 0.8), ("z", 0.2), ("w", 0.1), ("b", 0.9)]
    assert classes_that_matter(best, video) == ("b", "a", "y", "x", "z")


def test_classes_that_matter_are_not_many():
    many = [(f"c{k:03}", 1 - k / 1000) for k in range(400)]
    assert classes_that_matter(many, many) == tuple(label for label, _ in many[:MAX_CLASSES])


def scores(positions, attention):
    n_rows = len(positions)
    cas = np.stack([np.linspace(0, 1, n_rows), np.linspace(1, 0, n_rows)], axis=1, dtype=np.float32)
    return Scores(
        cas=cas,
        attention=np.full(n_rows, attention, np.float32),
        video=np.ones(2, np.float32),
        labels=("up", "down"),
        positions=np.asarray(positions),
    )


@pytest.mark.parametrize("grid", [SNIPPETS, DENSE])
def test_times_are_those_of_the_rows_that_the_model_took(grid):
    localization = localization_config("fixed", "thumos14")
    thinned = curves_of(scores([1, 2, 5, 9], 0.5), grid, localization, ["down"])
    assert thinned.times_s.tolist() == grid.centres_s(10)[[1, 2, 5, 9]].tolist()
    assert thinned.activations_TK[:, 0].tolist() == scores([1, 2, 5, 9], 0.5).cas[:, 1].tolist()
    assert (thinned.alphas, thinned.betas) == (localization.alphas, localization.betas)
    assert thinned.attention_T.tolist() == [0.5] * 4


@pytest.fixture
def video(tmp_path):
    return VideoInput("a.mp4", action_video(tmp_path / "a.mp4"))


def outcome(video, **options):
    with stand_in_network():
        detector = load_detector(device="cpu")
        return next(detect_all([video], detector, DetectOptions(**options)))


def test_an_outcome_has_curves_where_they_were_asked_for(video):
    assert outcome(video).curves is None
    seen = outcome(video, curves=True)
    assert seen.curves.labels[0] == ACTION
    assert len(seen.curves.labels) == 4
    assert seen.curves.attention_T is None
    assert seen.curves.alphas == (0.3,)
    inside = (seen.curves.times_s > 1.5) & (seen.curves.times_s < 3.5)
    assert seen.curves.activations_TK[inside, 0].min() > 0.9
    assert seen.result == outcome(video).result


def test_curves_keep_to_the_labels_that_were_asked_for(video):
    seen = outcome(video, curves=True, labels=("yoga", "abseiling"))
    assert set(seen.curves.labels) == {"yoga", "abseiling"}


def test_a_video_that_fails_has_no_curves(tmp_path):
    Path(tmp_path / "bad.mp4").touch()
    assert outcome(VideoInput("bad.mp4", tmp_path / "bad.mp4"), curves=True).curves is None
