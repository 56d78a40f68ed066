"""The split into training and test, by whole groups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascnet_cli.datasets.stitch_split import split_clips
from ascnet_cli.errors import OptionError
from tests.ascnet_cli.datasets.stitch_tools import clips_of


@given(
    n_groups=st.dictionaries(st.sampled_from("abcd"), st.integers(2, 12), min_size=1),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 50),
)
def test_groups_stay_together_and_every_class_is_on_both_sides(n_groups, share, seed):
    clips = clips_of({label: [f"{label}{k}" for k in range(n)] for label, n in n_groups.items()})
    train, test = split_clips(clips, share, seed)
    assert not {clip.group for clip in train} & {clip.group for clip in test}
    assert sorted((*train, *test), key=clips.index) == list(clips)
    for label, n in n_groups.items():
        held = {clip.group for clip in test if clip.label == label}
        assert len(held) == min(max(round(share * n), 1), n - 1)
        assert any(clip.label == label for clip in train)


@pytest.mark.parametrize("seed", range(10))
def test_a_group_that_classes_share_is_on_one_side_for_all_of_them(seed):
    clips = clips_of({"fall": ["trial1", "trial2"], "sit": ["trial1", "trial2"], "run": ["trial1", "x", "y"]})
    train, test = split_clips(clips, 0.4, seed)
    assert not {clip.group for clip in train} & {clip.group for clip in test}
    for side in (train, test):
        assert {clip.label for clip in side} == {"fall", "sit", "run"}


def test_the_seed_decides():
    clips = clips_of({"run": [str(k) for k in range(20)]})
    assert split_clips(clips, 0.5, 1) == split_clips(clips, 0.5, 1)
    assert split_clips(clips, 0.5, 1) != split_clips(clips, 0.5, 2)


def test_a_class_of_one_group_cannot_be_split():
    with pytest.raises(OptionError, match="'run' are of one group") as raised:
        split_clips(clips_of({"run": ["x"], "sit": ["a", "b"]}), 0.5, 0)
    assert "--group-pattern" in raised.value.hint


def test_shared_groups_that_leave_no_choice():
    # Where a and b are parted, and b and c, a and c are on one side.
    clips = clips_of({"1": ["a", "b"], "2": ["b", "c"], "3": ["a", "c"]})
    with pytest.raises(OptionError, match="on one side"):
        split_clips(clips, 0.5, 0)
