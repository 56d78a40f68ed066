"""Scores refuse what cannot be localized."""

import numpy as np
import pytest

from ascnet_cli.model.scores import Scores


def scores(**changes):
    values = {
        "cas": np.full((3, 2), 0.5, np.float32),
        "attention": np.zeros(3, np.float32),
        "video": np.ones(2, np.float32),
        "labels": ("dive", "throw"),
        "positions": np.array([0, 2, 4]),
    }
    return Scores(**(values | changes))


def test_sound_scores_pass():
    assert scores().labels == ("dive", "throw")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cas": np.array([[0.5, np.nan]] * 3, np.float32)}, "cas holds numbers that are not finite"),
        ({"video": np.array([np.inf, 0], np.float32)}, "video holds numbers"),
        ({"labels": ("dive",)}, "2 classes need as many"),
        ({"labels": ("dive", "dive")}, "different labels"),
        ({"labels": ("dive", "")}, "different labels"),
        ({"positions": np.array([0, 2, 2])}, "positions must rise"),
        ({"positions": np.array([-1, 2, 3])}, "positions must rise"),
        (
            {
                "cas": np.zeros((0, 2), np.float32),
                "attention": np.zeros(0, np.float32),
                "positions": np.zeros(0, np.int64),
            },
            "a row a position",
        ),
    ],
)
def test_unsound_scores_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        scores(**changes)
