"""Each equation against numbers worked out by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.model import equations

T, F = True, False


def bools(*rows):
    return torch.tensor(rows, dtype=torch.bool)


@pytest.mark.parametrize(("length", "sigma", "k"), [(1, 8, 1), (7, 8, 1), (8, 8, 1), (16, 8, 2), (23, 8, 2)])
def test_k_is_the_floor_of_a_share_of_the_video_and_at_least_one(length, sigma, k):
    valid = torch.arange(30) < length
    assert equations.snippets_pooled(valid.unsqueeze(0), sigma).tolist() == [k]


def test_eq_2_weights_every_class_of_a_snippet_by_each_attention():
    attention = torch.tensor([[[0.5, 1.0], [0.25, 0.0], [0.25, 0.0]]])
    v = torch.tensor([[[4.0, -8.0], [2.0, 3.0]]])
    z = equations.weighted_cas(attention, v)
    assert z[0, 0].tolist() == [[2.0, -4.0], [2.0, 3.0]]
    assert z[0, 1].tolist() == [[1.0, -2.0], [0.0, 0.0]]


def test_eq_3_means_the_k_largest_of_each_class_alone():
    z = torch.tensor([[[1.0, 9.0], [5.0, 0.0], [3.0, -1.0], [7.0, 1.0]]])
    omega = equations.top_k_mean(z, torch.ones(1, 4, dtype=torch.bool), sigma=2)
    assert omega.tolist() == [[6.0, 5.0]]


def test_eq_3_gives_each_video_its_own_k_and_looks_at_no_padding():
    z = torch.tensor([[1.0, 2.0, 3.0, 4.0], [-5.0, -1.0, 100.0, 100.0]]).unsqueeze(2)
    omega = equations.top_k_mean(z, bools([T, T, T, T], [T, T, F, F]), sigma=2)
    assert omega.tolist() == [[3.5], [-1.0]]


def test_eq_3_sends_the_gradient_to_the_k_largest_alone():
    z = torch.tensor([[[1.0], [4.0], [3.0], [2.0], [9.0]]], requires_grad=True)
    equations.top_k_mean(z, bools([T, T, T, T, F]), sigma=2).sum().backward()
    assert z.grad.flatten().tolist() == [0.0, 0.5, 0.5, 0.0, 0.0]


def test_eq_4_is_a_softmax_that_counts_the_background():
    y = equations.class_probabilities(torch.tensor([[0.0, 0.0, torch.tensor(2.0).log()]]))
    torch.testing.assert_close(y, torch.tensor([[0.25, 0.25, 0.5]]))


def test_eq_1_is_the_attention_weighted_mean_over_the_selected_snippets():
    x = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [8.0, 8.0]]])
    attention = torch.tensor([[[0.6, 0.2, 0.9], [0.1, 0.4, 0.05], [0.3, 0.4, 0.05]]])
    selected = bools([T, T, F], [F, T, T], [T, F, F]).unsqueeze(0)
    pooled = equations.pooled_features(attention, selected, x)
    expected = [[0.75, 0.25], [0.05 * 8 / 0.45, (0.4 + 0.05 * 8) / 0.45], [1.0, 0.0]]
    torch.testing.assert_close(pooled, torch.tensor([expected]))


def test_eq_1_stays_finite_where_a_branch_attends_to_nothing():
    attention = torch.tensor([[[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]], requires_grad=True)
    pooled = equations.pooled_features(
        attention, torch.ones(1, 3, 2, dtype=torch.bool), torch.ones(1, 2, 4) * 3
    )
    pooled.sum().backward()
    assert pooled[0, 1].tolist() == [0.0] * 4
    assert attention.grad.isfinite().all()


def test_eq_7_is_the_mean_of_two_branches():
    awa, ags = torch.zeros(1, 3, 2), torch.ones(1, 3, 2) * 0.5
    assert equations.fused(ags, awa).unique().tolist() == [0.25]


@settings(deadline=None)
@given(
    values=st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=20),
    sigma=st.integers(1, 9),
    padding=st.integers(0, 20),
)
def test_eq_3_equals_sorting_whatever_the_padding(values, sigma, padding):
    length = len(values)
    k = max(length // sigma, 1)
    expected = sum(sorted(values, reverse=True)[:k]) / k
    z = torch.tensor(values + [99.0] * padding).reshape(1, -1, 1)
    valid = (torch.arange(length + padding) < length).unsqueeze(0)
    assert equations.top_k_mean(z, valid, sigma).item() == pytest.approx(expected, rel=1e-4, abs=1e-4)
