"""What was measured, kept beside its training."""

import dataclasses
import math

import pytest

from ascnet_cli.ablation.scores import SCORES, RunScores, Score, read_scores, truth_digest, write_scores
from ascnet_cli.datasets.annotations import Annotations, Instance, VideoAnnotation
from ascnet_cli.segments import Segment

FOUND = RunScores("truth", {"a": Score((0.1, 0.5), (0.3, 1 / 3), 0.1 + 0.2), "b": Score((0.1,), (0.0,), 0.0)})


def test_what_was_written_is_read_to_the_last_bit(tmp_path):
    write_scores(tmp_path, FOUND)
    assert read_scores(tmp_path) == FOUND


def test_a_run_that_has_not_ended_has_none(tmp_path):
    assert read_scores(tmp_path) is None
    assert read_scores(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"truth": "x"}',
        b'{"truth": "x", "scores": []}',
        b'{"truth": "x", "scores": {"a": 1}}',
        b'{"truth": "x", "scores": {"a": {"tious": [0.1], "map": [0.1, 0.2], "average": 0.1}}}',
        b'{"truth": "x", "scores": {"a": {"tious": [0.1], "map": [0.1], "average": NaN}}}',
        b"\xff",
    ],
)
def test_a_damaged_record_is_measured_again(tmp_path, content):
    (tmp_path / SCORES).write_bytes(content)
    assert read_scores(tmp_path) is None


@pytest.mark.parametrize(
    "fields", [((0.1,), (), 0.1), ((), (), 0.1), ((0.1,), (math.nan,), 0.1), ((0.1,), (0.1,), math.inf)]
)
def test_a_score_without_a_number_is_none(fields):
    with pytest.raises(ValueError, match=r"threshold|finite"):
        Score(*fields)


def test_the_digest_is_of_the_judged_videos_times():
    def video(name, subset, end_s):
        return VideoAnnotation(name, subset, (Instance(Segment(0.0, end_s), "run"),), ("run",))

    annotations = Annotations("x", ("run",), (video("a", "train", 1.0), video("b", "test", 1.0)))
    other_train = dataclasses.replace(annotations, videos=(video("a", "train", 9.0), annotations.videos[1]))
    other_test = dataclasses.replace(annotations, videos=(annotations.videos[0], video("b", "test", 9.0)))
    assert truth_digest(annotations) == truth_digest(other_train) != truth_digest(other_test)
