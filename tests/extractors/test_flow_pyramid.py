"""The pyramid of TV-L1: sizes and positions are those of OpenCV's resize, which is asked here."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.flow_pyramid import MIN_SIDE_PX, pyramid

SIDES = st.integers(1, 90)
STEPS = st.sampled_from([0.5, 0.7, 0.8, 0.9])


def take(picture, taps):
    rows, columns = taps
    wide = picture[:, columns.low] * (1 - columns.part) + picture[:, columns.high] * columns.part
    return wide[rows.low] * (1 - rows.part)[:, None] + wide[rows.high] * rows.part[:, None]


@given(SIDES, SIDES, STEPS)
def test_a_smaller_level_is_opencvs_resize_by_the_ratio(height, width, step):
    picture = np.random.default_rng(0).random((height, width), np.float32)
    for level in pyramid(height, width, 5, step)[1:]:
        wanted = cv2.resize(picture, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
        picture = take(picture, level.shrink)
        assert picture.shape == wanted.shape == (level.height, level.width)
        np.testing.assert_allclose(picture, wanted, atol=1e-5)


@given(SIDES, SIDES, STEPS)
def test_a_flow_grows_as_opencvs_resize_to_a_size(height, width, step):
    levels = pyramid(height, width, 5, step)
    for finer, coarser in pairwise(levels):
        flow = np.random.default_rng(0).random((coarser.height, coarser.width), np.float32)
        wanted = cv2.resize(flow, (finer.width, finer.height), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(take(flow, finer.grow), wanted, atol=1e-5)


@given(SIDES, SIDES, STEPS, st.integers(1, 8))
def test_no_level_but_the_finest_is_too_small(height, width, step, n_scales):
    levels = pyramid(height, width, n_scales, step)
    assert (levels[0].height, levels[0].width) == (height, width)
    assert all(min(level.height, level.width) >= MIN_SIDE_PX for level in levels[1:])
    assert 1 <= len(levels) <= n_scales
    assert levels[0].shrink is None
    assert levels[-1].grow is None


@pytest.mark.parametrize(("side", "n_levels"), [(1, 1), (19, 1), (20, 2), (256, 5)])
def test_a_level_of_16_pixels_is_still_one(side, n_levels):
    assert len(pyramid(side, side, 5, 0.8)) == n_levels
