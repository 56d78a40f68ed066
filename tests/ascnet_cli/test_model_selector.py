"""The attention selector: rankings of eq. 5, set algebra of eq. 6, ties, padding."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.model import selector

SELECTORS = ["fixed", "literal", "attention", "none"]


def mask(indices, n=6):
    return torch.tensor([[i in indices for i in range(n)]])


def members(row):
    return set(row.nonzero().flatten().tolist())


@pytest.mark.parametrize(
    ("i_fg", "i_ct", "i_bg", "s_ct", "s_bg"),
    [
        ({0, 1}, {2}, {1, 3}, {1}, {3}),  # both sets have members
        ({0, 1}, {2}, {3, 4}, {2}, {3, 4}),  # I_bg & I_fg is empty: I_ct
        ({0, 1}, {2}, {0, 1}, {0, 1}, {0, 1}),  # I_bg - I_fg is empty: I_bg
        ({0, 1, 2}, {0}, {2}, {2}, {2}),  # a subset: the difference is empty again
    ],
)
def test_eq_6(i_fg, i_ct, i_bg, s_ct, s_bg):
    sets = selector.branch_sets(mask(i_fg), mask(i_ct), mask(i_bg))[0]
    assert [members(row) for row in sets] == [i_fg, s_ct, s_bg]


def test_eq_6_decides_for_each_video_of_a_batch_alone():
    fg, ct, bg = mask({0}), mask({5}), torch.cat((mask({0}), mask({1})))
    sets = selector.branch_sets(fg.expand(2, 6), ct.expand(2, 6), bg)
    assert [members(row) for row in sets[0]] == [{0}, {0}, {0}]
    assert [members(row) for row in sets[1]] == [{0}, {5}, {1}]


def test_eq_5_literal_sums_z_over_the_actions_and_leaves_the_background_out():
    attention = torch.tensor([[[0.5, 1.0], [0.25, 0.0], [0.25, 0.0]]])
    v = torch.tensor([[[100.0, 2.0, 4.0], [100.0, -1.0, 3.0]]])
    assert selector.rank_literal(attention, v).tolist() == [[[3.0, 2.0], [1.5, 0.0], [1.5, 0.0]]]


def test_eq_5_fixed_weighs_attention_with_the_probability_of_action_or_background():
    attention = torch.tensor([[[0.5], [0.3], [0.2]]])
    v = torch.tensor([[[3.0, 1.0, 1.0]]]).log()  # p = .6 .2 .2
    torch.testing.assert_close(
        selector.rank_fixed(attention, v), torch.tensor([[[0.5 * 0.4], [0.3 * 0.4], [0.2 * 0.6]]])
    )


def converged_video():
    """Six snippets as a trained model sees them: 0-1 action, 2-3 context, 4-5 background; class 1 of 3."""
    fg, ct, bg = [0.9, 0.9, 0.2, 0.2, 0.02, 0.02], [0.05, 0.05, 0.7, 0.7, 0.08, 0.08], None
    bg = [1 - a - b for a, b in zip(fg, ct, strict=True)]
    action, context, background = [-4.0, 9.0, -6.0, -6.0], [2.0, 4.0, -6.0, -6.0], [9.0, -3.0, -3.0, -3.0]
    v = torch.tensor([[action, action, context, context, background, background]])
    return torch.tensor([[fg, ct, bg]]), v


def test_the_repair_finds_the_action_where_the_printed_ranking_takes_background():
    attention, v = converged_video()
    valid = torch.ones(1, 6, dtype=torch.bool)
    fixed = selector.select_snippets("fixed", attention, v, valid, (3, 3, 3))[0]
    literal = selector.select_snippets("literal", attention, v, valid, (3, 3, 3))[0]
    assert members(fixed[0]) == {0, 1}
    assert members(fixed[2]) == {4, 5}
    assert members(literal[0]) == {4, 5}


def test_attention_alone_ranks_by_attention():
    attention, v = converged_video()
    sets = selector.select_snippets("attention", attention, -v, torch.ones(1, 6, dtype=torch.bool), (3, 3, 3))
    assert [members(row) for row in sets[0]] == [{0, 1}, {2, 3}, {4, 5}]


def test_no_selector_takes_every_snippet_that_exists():
    attention, v = converged_video()
    sets = selector.select_snippets("none", attention, v, mask({0, 1, 2}), (3, 3, 3))
    assert [members(row) for row in sets[0]] == [{0, 1, 2}] * 3


def test_of_equal_scores_the_earlier_snippets_are_taken():
    score = torch.tensor([[1.0, 2.0, 1.0, 1.0, 2.0, 1.0]])
    assert members(selector.best_snippets(score, torch.ones(1, 6, dtype=torch.bool), 2)[0]) == {0, 1, 4}


@settings(deadline=None)
@given(
    levels=st.lists(st.integers(-2, 2), min_size=1, max_size=24),
    sigma=st.integers(1, 9),
    padding=st.integers(0, 12),
)
def test_best_snippets_are_the_k_first_of_a_stable_sort(levels, sigma, padding):
    length = len(levels)
    k = max(length // sigma, 1)
    expected = set(sorted(range(length), key=lambda i: -levels[i])[:k])
    score = torch.tensor([levels + [9] * padding], dtype=torch.float32)
    valid = (torch.arange(length + padding) < length).unsqueeze(0)
    assert members(selector.best_snippets(score, valid, sigma)[0]) == expected


@pytest.mark.parametrize("name", SELECTORS)
@settings(deadline=None)
@given(data=st.data())
def test_no_set_is_empty_or_reaches_beyond_the_video(name, data):
    lengths = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    b, t = len(lengths), max(lengths)
    attention = torch.randn(b, 3, t, generator=generator).softmax(1)
    v = torch.randn(b, t, 4, generator=generator) * 4
    valid = torch.arange(t) < torch.tensor(lengths).unsqueeze(1)
    sigmas = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    sets = selector.select_snippets(name, attention, v, valid, sigmas)
    assert sets.any(dim=2).all()
    assert not (sets & ~valid.unsqueeze(1)).any()


@pytest.mark.parametrize("name", ["fixed", "literal", "attention"])
def test_the_choice_carries_no_gradient(name):
    attention, v = converged_video()
    sets = selector.select_snippets(
        name, attention.requires_grad_(), v.requires_grad_(), torch.ones(1, 6, dtype=torch.bool), (3, 3, 3)
    )
    assert sets.dtype == torch.bool
    assert not sets.requires_grad
