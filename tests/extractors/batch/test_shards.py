"""Shards: each video in one part, the same everywhere; job arrays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.batch.shards import Shard, parse_shard, shard_of_array
from extractors.errors import OptionError


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), unique=True), st.integers(1, 9))
def test_shards_partition_the_videos(videos, count):
    parts = [[video for video in videos if Shard(i + 1, count).has(video)] for i in range(count)]
    assert sorted(video for part in parts for video in part) == sorted(videos)


def test_a_videos_part_does_not_depend_on_the_machine():
    assert [i for i in range(1, 9) if Shard(i, 8).has("a.mp4")] == [1]
    assert [i for i in range(1, 9) if Shard(i, 8).has("sub/b.mp4")] == [6]
    assert Shard(1, 1).has("bad-\udcff.mp4")  # a name that is no UTF-8


def test_parts_are_of_about_one_size():
    sizes = [sum(Shard(i, 4).has(f"{n}.mp4") for n in range(2000)) for i in (1, 2, 3, 4)]
    assert min(sizes) > 430


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/", "a/b", "-1/4", "1/0", "1.5/4", ""])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(OptionError) as caught:
        parse_shard(text)
    assert caught.value.hint


def test_a_shard_is_read_and_shown():
    assert str(parse_shard(" 2/8 ")) == "2/8"


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        ({}, None),
        ({"SLURM_ARRAY_TASK_ID": "3"}, None),
        ({"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_TASK_MIN": "5"}, None),
        ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "4"}, Shard(1, 4)),
        (
            {"SLURM_ARRAY_TASK_ID": "8", "SLURM_ARRAY_TASK_COUNT": "8", "SLURM_ARRAY_TASK_MIN": "1"},
            Shard(8, 8),
        ),
        (
            {
                "SLURM_ARRAY_TASK_ID": "14",
                "SLURM_ARRAY_TASK_COUNT": "3",
                "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_STEP": "2",
            },
            Shard(3, 3),
        ),
    ],
)
def test_job_arrays(environment, shard):
    assert shard_of_array(environment) == shard


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "1"},
        {"SLURM_ARRAY_TASK_ID": "x", "SLURM_ARRAY_TASK_COUNT": "3"},
    ],
    ids=["gaps", "no number"],
)
def test_an_array_whose_places_cannot_be_told_is_an_error(environment):
    with pytest.raises(OptionError) as caught:
        shard_of_array(environment)
    assert "--shard" in caught.value.hint
