"""The running median of the flow: against OpenCV's, on pictures with and without equal values."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from extractors.flow_median import running_median


@pytest.mark.parametrize("side", [3, 5])
@given(st.integers(1, 40), st.integers(1, 40), st.integers(2, 1000), st.integers(0, 2**32 - 1))
def test_it_is_opencvs_median_at_every_pixel(side, height, width, n_values, seed):
    pictures = np.random.default_rng(seed).integers(0, n_values, (2, 2, height, width)).astype(np.float32)
    got = running_median(torch.from_numpy(pictures), side).numpy()
    wanted = [[cv2.medianBlur(channel, side) for channel in picture] for picture in pictures]
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("side", [3, 5])
def test_any_pattern_of_zeros_and_ones_comes_out_right(side):
    """Comparators that are right on zeros and ones are right on all numbers."""
    pictures = (
        np.random.default_rng(0).random((64, 1, 64, 64)) < np.linspace(0.3, 0.7, 64)[:, None, None, None]
    )
    got = running_median(torch.from_numpy(pictures.astype(np.float32)), side)[..., 2:-2, 2:-2].numpy()
    ones = cv2.boxFilter(
        pictures[:, 0].transpose(1, 2, 0).astype(np.float32), -1, (side, side), normalize=False
    )
    np.testing.assert_array_equal(got[:, 0], ones.transpose(2, 0, 1)[:, 2:-2, 2:-2] > side**2 / 2)


def test_the_picture_itself_is_left_alone():
    picture = torch.rand(1, 2, 9, 7)
    before = picture.clone()
    running_median(picture, 5)
    assert torch.equal(picture, before)


def test_other_windows_are_refused():
    with pytest.raises(ValueError, match="3 or 5 pixels a side, not of 4"):
        running_median(torch.zeros(1, 1, 5, 5), 4)
