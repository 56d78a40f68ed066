"""TV-L1 on a CUDA card against the processor."""

import numpy as np
import pytest

from extractors.flow import TVL1_PRESETS, make_flow
from tests.extractors.flow_pictures import end_point_error, moving, texture

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("preset", sorted(TVL1_PRESETS))
def test_tvl1_agrees_with_the_processor(cuda_device, preset):
    still = texture(144, 144, 5)
    frames = np.concatenate([moving(20, 3, 1), [still, still]])
    config = TVL1_PRESETS[preset]
    estimate = make_flow(config, device=cuda_device)
    flow = estimate(frames)
    error = end_point_error(flow, make_flow(config)(frames))
    assert np.delete(error, 19, axis=0).mean() < 0.01  # after a cut nothing is determined
    np.testing.assert_array_equal(flow[20], 0)
    np.testing.assert_array_equal(estimate(frames[:3]), flow[:2])
