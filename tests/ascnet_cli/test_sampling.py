"""Which snippets a training step sees."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.datasets.sampling import gather, sample, stratified_rows

SHORT = ["stretch", "repeat", "keep"]


def draw(lengths, n_snippets, short="stretch", seed=0):
    return sample(torch.tensor(lengths), n_snippets, short, torch.Generator().manual_seed(seed))


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    n_snippets=st.integers(1, 30),
    short=st.sampled_from(SHORT),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_rows_are_of_the_video_in_order_and_as_many_as_asked_for(lengths, n_snippets, short, seed):
    found = draw(lengths, n_snippets, short, seed)
    for i, length in enumerate(lengths):
        count = int(found.valid_BT[i].sum())
        assert count == (min(length, n_snippets) if short == "keep" else n_snippets)
        assert found.valid_BT[i, :count].all()
        position = (found.row_BT + found.weight_BT.double())[i, :count]
        assert (position.diff() >= 0).all()
        assert position.min() >= 0
        assert position.max() <= length - 1
        assert not found.row_BT[i, count:].any()
    assert found.valid_BT.any(dim=0).all()  # no column of padding alone


@given(n=st.integers(1, 400), n_snippets=st.integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_each_stratum_gives_one_row(n, n_snippets):
    if n < n_snippets:
        n, n_snippets = n_snippets, n
    row = draw([n], n_snippets).row_BT[0]
    index = torch.arange(n_snippets)
    assert (row >= index * n // n_snippets).all()
    assert (row * n_snippets < (index + 1) * n).all()


def test_at_its_own_length_a_video_is_taken_as_it_is():
    for short in SHORT:
        found = draw([12], 12, short)
        assert found.row_BT.tolist() == [list(range(12))]
        assert not found.weight_BT.any()


def test_strata_by_hand():
    n = torch.tensor([[5]])  # strata [0, 2.5) and [2.5, 5)
    rows = {tuple(stratified_rows(n, torch.tensor([[r, r]]))[0].tolist()) for r in range(5)}
    assert rows == {(0, 2), (0, 3), (1, 3), (1, 4), (2, 4)}


def test_every_snippet_is_as_likely_as_any_other():
    found = sample(torch.full((3000,), 5), 2, "stretch", torch.Generator().manual_seed(0))
    share = found.row_BT.flatten().bincount(minlength=5) / 6000
    assert share.tolist() == pytest.approx([0.2] * 5, abs=0.03)


def test_a_stretch_keeps_both_ends_and_is_linear_between():
    values = np.array([[0.0], [10.0], [40.0]], dtype=np.float16)
    assert gather([values], draw([3], 5))[0, :, 0].tolist() == [0, 5, 10, 25, 40]
    assert gather([values[:1] + 7], draw([1], 4))[0, :, 0].tolist() == [7, 7, 7, 7]


def test_repeats_are_drawn_with_replacement():
    rows = {tuple(draw([3], 4, "repeat", seed).row_BT[0].tolist()) for seed in range(40)}
    assert len(rows) > 5
    assert any(len(set(row)) < 3 for row in rows)


def test_kept_videos_are_padded_with_zeros():
    videos = [np.full((n, 2), n, dtype=np.float32) for n in (2, 9, 4)]
    found = draw([2, 9, 4], 6, "keep")
    batch = gather(videos, found)
    assert batch.shape == (3, 6, 2)
    assert found.valid_BT.sum(dim=1).tolist() == [2, 6, 4]
    assert (batch[found.valid_BT] != 0).all()
    assert not batch[~found.valid_BT].any()
    assert draw([2, 4], 6, "keep").valid_BT.shape == (2, 4)


def test_gathering_reads_the_rows_that_were_sampled(tmp_path):
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", values)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    found = draw([50, 50], 7)
    assert torch.equal(gather([mapped, mapped], found), torch.from_numpy(values)[found.row_BT])


def test_a_seed_draws_the_same_and_another_one_does_not():
    one, same, other = draw([90, 50], 20), draw([90, 50], 20), draw([90, 50], 20, seed=1)
    assert torch.equal(one.row_BT, same.row_BT)
    assert not torch.equal(one.row_BT, other.row_BT)
    before = torch.get_rng_state()
    draw([90, 50], 20)
    assert torch.equal(before, torch.get_rng_state())


def test_a_video_is_sampled_the_same_whatever_the_others_are():
    assert torch.equal(draw([90, 50], 20).row_BT[0], draw([90, 3], 20, "repeat").row_BT[0])


@pytest.mark.parametrize(("lengths", "n_snippets"), [([3, 0], 4), ([3], 0)])
def test_nothing_to_sample_is_an_error(lengths, n_snippets):
    with pytest.raises(ValueError, match="at least 1"):
        draw(lengths, n_snippets)
