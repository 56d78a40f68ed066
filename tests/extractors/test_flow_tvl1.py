"""Our TV-L1: against OpenCV's, against the equations, and against itself in other company."""

import tracemalloc
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from extractors import flow_tvl1_batch, flow_tvl1_kernels
from extractors.flow import TVL1_PRESETS, OpenCvTvL1Config, TvL1Config, make_flow
from extractors.flow_pyramid import pyramid
from extractors.flow_tvl1 import TvL1Flow, coarse_to_fine
from extractors.flow_tvl1_batch import BatchSolver, pairs_at_once
from extractors.snippets import Resampler
from extractors.video import open_video
from tests.extractors.flow_pictures import end_point_error, grey, moving, texture

EXACT, FAST = TVL1_PRESETS["exact"], TVL1_PRESETS["fast"]
QUICK = TvL1Config(n_scales=3, n_warps=2, n_outer=2, n_inner=10)
CLIP = Path(__file__).parents[2] / "examples" / "mocap" / "mocap.mp4"


@pytest.fixture
def threads():
    """Set PyTorch's threads for one test."""
    yield torch.set_num_threads
    torch.set_num_threads(1)


def in_batches(config, frames, device="cpu"):
    """What the solver of other devices makes of frames, here on the processor."""
    pictures = torch.from_numpy(grey(frames)).to(device)
    levels = pyramid(*pictures.shape[1:], config.n_scales, config.scale_step)
    solver = BatchSolver(config, levels, device=torch.device(device))
    solver.load(pictures)
    coarse_to_fine(solver, config, levels)
    return solver.flow().numpy()


def crowd(size=48):
    """Frames between which little, nothing and everything moves: pairs come to rest at different times."""
    still = texture(size, size, 5)
    first, second, third = moving(3, 3, 1, size=size, seed=5)
    return np.stack([first, second, third, third, still, still, texture(size, size, 6)])


# --- OpenCV, the reference -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tau": 0.15, "theta": 0.2, "data_weight": 0.3},
        {"n_scales": 3, "scale_step": 0.5, "n_warps": 2},
        {"median_px": 3, "n_outer": 3, "n_inner": 7},
        {"median_px": 1, "epsilon": 0.03},
    ],
)
@pytest.mark.parametrize("solve", [lambda config, frames: TvL1Flow(config)(frames), in_batches])
def test_at_equal_settings_the_flow_is_opencvs(solve, changes):
    """A rounding can move the end of a warp's iterations by one, which is a hundredth of a pixel at most."""
    first, second = moving(2, 3, 1, size=72)
    frames = np.stack([first, second // 8 * 7 + texture(72, 72, 1) // 8])
    wanted = make_flow(OpenCvTvL1Config(**changes))(frames)
    error = end_point_error(solve(TvL1Config(**changes), frames), wanted)
    assert np.hypot(*wanted[0]).mean() > 2
    assert error.mean() < 0.01
    assert np.quantile(error, 0.99) < 0.05


@pytest.fixture(scope="module")
def clip_frames():
    """Two consecutive frames of the shipped clip, at the size that features are made from."""
    with open_video(CLIP) as reader:
        frames = Resampler().resample(reader.frames(), iter(()))
        return np.stack([frame.rgb for frame in islice(frames, 90, 92)])


@pytest.mark.slow
def test_presets_keep_their_promise_on_a_real_pair(clip_frames):
    wanted = make_flow(OpenCvTvL1Config())(clip_frames)
    assert np.quantile(np.hypot(*wanted[0]), 0.95) > 0.5  # somebody moves
    exact, fast = (end_point_error(make_flow(config)(clip_frames), wanted) for config in (EXACT, FAST))
    assert exact.mean() < 0.02
    assert exact.mean() < fast.mean() < 0.15


@settings(max_examples=40)
@given(st.integers(1, 44), st.integers(1, 44))
def test_every_size_gives_opencvs_flow(height, width):
    """Down to one pixel, where OpenCV reads a neighbour that is not there and has no answer."""
    cheap = {"n_warps": 1, "n_outer": 1, "n_inner": 5}
    frames = np.stack([texture(height, width, 1), texture(height, width, 2)])
    wanted = make_flow(OpenCvTvL1Config(**cheap))(frames)
    for flow in (TvL1Flow(TvL1Config(**cheap))(frames), in_batches(TvL1Config(**cheap), frames)):
        assert flow.shape == (1, 2, height, width)
        if min(height, width) > 1:
            assert end_point_error(flow, wanted).mean() < 0.01
        assert np.isfinite(flow).all()


# --- the equations -------------------------------------------------------------------------------------


def test_a_warp_reads_the_picture_and_its_gradient_where_the_flow_points():
    height, width = 23, 31
    before, after = np.random.default_rng(0).normal(size=(2, height, width)).astype(np.float32)
    flow = np.random.default_rng(1).normal(size=(2, height, width + 1)).astype(np.float32) * 12
    flow[:, 0, :4] = [[0, 1e6, -1e6, 0.5], [0, -1e6, 3, 1e6]]
    packed = np.zeros((height + 8, width + 8, 4), np.float32)
    data = np.empty((4, height, width), np.float32)
    flow_tvl1_kernels.pack(after, packed)
    flow_tvl1_kernels.linearize(before, packed, flow, data)

    u, v = flow[:, :, :-1]
    at = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    padded = np.pad(after, 1, mode="edge")
    pictures = (after, (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2)
    value, gx, gy = (cv2.remap(p, at[0] + u, at[1] + v, cv2.INTER_CUBIC) for p in pictures)
    seen = np.hypot(u, v) < 1e3  # far outside all is zero, and zero times a huge flow is no test of rounding
    np.testing.assert_allclose(data[:2], (gx, gy), atol=1e-4)
    np.testing.assert_allclose(data[2][seen], (value - gx * u - gy * v - before)[seen], atol=2e-3)
    there = gx**2 + gy**2 > 1e-3
    np.testing.assert_allclose((data[3] * (gx**2 + gy**2))[there], 1, rtol=1e-2)
    assert (data[3][gx**2 + gy**2 == 0] == 0).all()
    assert (gx**2 + gy**2 == 0).any()


def plain_iteration(data, u, p, limit, theta, step):
    """The paper's: v = u + TH(u), u = v + theta div p, p = (p + s grad u) / (1 + s |grad u|)."""
    gradient, residual, inverse = data[:2], data[2], data[3]
    toward = np.clip(-(residual + (gradient * u).sum(0)) * inverse, -limit, limit)
    new_u, new_p = np.empty_like(u), np.empty_like(p)
    for c in range(2):
        across, down = p[2 * c], p[2 * c + 1]
        divergence = np.diff(across, axis=1, prepend=0) + np.diff(down, axis=0, prepend=0)
        new_u[c] = u[c] + toward * gradient[c] + theta * divergence
        dx = np.diff(new_u[c], axis=1, append=new_u[c][:, -1:])
        dy = np.diff(new_u[c], axis=0, append=new_u[c][-1:])
        length = 1 + step * np.hypot(dx, dy)
        new_p[2 * c], new_p[2 * c + 1] = (across + step * dx) / length, (down + step * dy) / length
    return new_u, new_p


def test_iterations_are_the_papers():
    height, width = 9, 21
    rng = np.random.default_rng(0)
    data = rng.normal(size=(4, height, width)).astype(np.float32)
    data[3] = 1 / (data[0] ** 2 + data[1] ** 2)
    u = rng.normal(size=(2, height, width)).astype(np.float32)
    p = np.zeros((4, height, width), np.float32)
    flow = np.pad(u, ((0, 0), (0, 0), (0, 1)), mode="edge")
    dual = np.zeros((4, height + 1, width + 1), np.float32)
    for _ in range(6):
        u, p = plain_iteration(data, u, p, 0.045, 0.3, 0.25 / 0.3)
    assert not flow_tvl1_kernels.iterate(data, flow, dual, 0.045, 0.3, 0.25 / 0.3, 6, 0.0)
    np.testing.assert_allclose(flow[:, :, :-1], u, atol=1e-4)
    np.testing.assert_allclose(dual[:, 1:, 1:], p, atol=1e-4)
    assert (dual[:, 0] == 0).all()
    assert (dual[:, :, 0] == 0).all()


def test_iterations_end_when_the_change_is_small():
    data = np.zeros((4, 5, 6), np.float32)
    flow, dual = np.zeros((2, 5, 7), np.float32), np.zeros((4, 6, 7), np.float32)
    assert flow_tvl1_kernels.iterate(data, flow, dual, 0.045, 0.3, 0.8, 1, 0.0)  # nothing moves
    dual[:, 2, 3] = 1
    assert not flow_tvl1_kernels.iterate(data, flow, dual, 0.045, 0.3, 0.8, 3, 1e-9)
    assert flow_tvl1_kernels.iterate(data, flow, dual, 0.045, 0.3, 0.8, 3, 1e9)


# --- motion that is known ------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [EXACT, FAST])
@pytest.mark.parametrize("solve", [lambda config, frames: TvL1Flow(config)(frames), in_batches])
def test_known_motion_is_found_and_no_motion_is_zero(solve, config):
    first, second = moving(2, -2, 4, size=96)
    flow = solve(config, np.stack([first, second, second]))
    assert flow[0, 0, 16:-16, 16:-16].mean() == pytest.approx(-2, abs=0.1)
    assert flow[0, 1, 16:-16, 16:-16].mean() == pytest.approx(4, abs=0.1)
    np.testing.assert_array_equal(flow[1], 0)


@pytest.mark.parametrize("config", [EXACT, FAST])
def test_black_to_white_and_a_cut_give_finite_flow(config):
    frames = np.stack([np.zeros((40, 50, 3), np.uint8), np.full((40, 50, 3), 255, np.uint8), texture(40, 50)])
    for flow in (TvL1Flow(config)(frames), in_batches(config, frames)):
        assert np.isfinite(flow).all()


# --- company -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [EXACT, FAST])
def test_the_flow_does_not_depend_on_the_number_of_threads(config, threads):
    frames = crowd()
    flows = []
    for n_threads in (1, 2, 5):
        threads(n_threads)
        flows.append(TvL1Flow(config)(frames))
        flows.append(TvL1Flow(config)(frames))
    for flow in flows[1:]:
        np.testing.assert_array_equal(flow, flows[0])


@pytest.mark.parametrize("solve", [lambda config, frames: TvL1Flow(config)(frames), in_batches])
@pytest.mark.parametrize("config", [pytest.param(FAST, marks=pytest.mark.slow), QUICK])
def test_a_pair_does_not_see_the_others(solve, config):
    frames = crowd()
    whole = solve(config, frames)
    for index in range(len(frames) - 1):
        np.testing.assert_array_equal(solve(config, frames[index : index + 2])[0], whole[index])
    np.testing.assert_array_equal(solve(config, frames[2:6]), whole[2:5])


@pytest.mark.slow
def test_batches_of_torch_do_not_depend_on_threads(threads):
    frames = crowd()
    alone = in_batches(FAST, frames)
    threads(3)
    np.testing.assert_array_equal(in_batches(FAST, frames), alone)


@pytest.mark.parametrize("config", [EXACT, FAST])
def test_the_two_solvers_agree(config):
    """Their arithmetic rounds differently, and a rounding can move the end of the iterations by one."""
    frames = crowd()[:4]  # after a cut nothing is determined
    error = end_point_error(in_batches(config, frames), TvL1Flow(config)(frames))
    assert (error.reshape(len(error), -1).mean(axis=1) < 0.01).all()


def test_a_long_video_goes_to_another_device_in_batches(monkeypatch):
    frames = crowd(size=40)
    monkeypatch.setattr(flow_tvl1_batch, "_PIXELS_AT_ONCE", 4 * 40 * 40)
    assert pairs_at_once(40, 40) == 4
    estimate = TvL1Flow(QUICK)
    estimate.device = torch.device("cuda")  # a name only: everything stays on the processor
    monkeypatch.setattr(
        "extractors.flow_tvl1.BatchSolver",
        lambda *args, device: BatchSolver(*args, device=torch.device("cpu")),
    )
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: self)
    np.testing.assert_array_equal(estimate(frames), in_batches(QUICK, frames))
    assert pairs_at_once(4000, 4000) == 1


# --- memory --------------------------------------------------------------------------------------------


def test_an_estimator_that_saw_another_size_gives_the_same_flow():
    estimate = TvL1Flow(FAST)
    small, large = moving(3, 2, 1, size=48), moving(3, 1, 2, size=80)
    for frames in (small, large, small, large[:, :, :60], large[:, :33]):
        np.testing.assert_array_equal(estimate(frames), TvL1Flow(FAST)(frames))


def test_a_batch_solver_takes_more_and_fewer_pairs_in_the_same_memory():
    frames = moving(5, 2, 1, size=48)
    levels = pyramid(48, 48, FAST.n_scales, FAST.scale_step)
    solver = BatchSolver(FAST, levels, device=torch.device("cpu"))
    flows = []
    for n_frames in (5, 2, 5):
        solver.load(torch.from_numpy(grey(frames[:n_frames])))
        coarse_to_fine(solver, FAST, levels)
        flows.append(solver.flow().clone())
        flows.append(solver.flow().data_ptr())
    assert flows[1] == flows[3] == flows[5]
    assert torch.equal(flows[0], flows[4])
    assert torch.equal(flows[0][:1], flows[2])


def test_more_pairs_need_no_more_memory(threads):
    """Beyond the grey pictures and the flow itself; and after the first call nothing is kept."""
    frames = np.repeat(moving(2, 1, 0, size=96), 8, axis=0)
    pair_bytes = 96 * 96 * (1 + 2 * 4)

    def peak(n_frames):
        tracemalloc.start()
        estimate(frames[:n_frames])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    estimate = TvL1Flow(QUICK)
    first = peak(2)
    again = [peak(n) - n * pair_bytes for n in (2, 16)]
    assert first > 96 * 96 * 70
    assert max(again) < 2.5 * pair_bytes
    threads(2)
    assert peak(16) < first + 18 * pair_bytes  # one more thread has one more solver


def test_frames_that_run_backwards_in_memory_are_read_as_they_look():
    frames = moving(2, 2, 1, size=64)
    view = frames[::-1, ::-1, ::-1]
    np.testing.assert_array_equal(TvL1Flow(QUICK)(view), TvL1Flow(QUICK)(np.ascontiguousarray(view)))


# --- compiling -----------------------------------------------------------------------------------------


def test_without_a_folder_to_write_to_kernels_are_compiled_all_the_same(monkeypatch):
    def refuse(self):
        raise RuntimeError("no locator available")

    monkeypatch.setattr("numba.core.dispatcher.Dispatcher.enable_caching", refuse)
    assert flow_tvl1_kernels.compiled(lambda x: x + 1)(2) == 3


# --- a GPU, without one --------------------------------------------------------------------------------


def fake_flow(monkeypatch, *, solver_device, frames_device):
    """The device that the flow lies on, computed with tensors that have a device and no memory."""
    # When to stop is read from numbers, which fake tensors do not have.
    monkeypatch.setattr(
        BatchSolver, "_at_rest", lambda self, change, rest: [False, True] * (len(change) // 2)
    )
    config = TvL1Config(n_scales=2, n_warps=1, n_outer=1, n_inner=2, median_px=3)
    with FakeTensorMode():
        levels = pyramid(50, 61, config.n_scales, config.scale_step)
        solver = BatchSolver(config, levels, device=torch.device(solver_device))
        solver.load(torch.zeros((5, 50, 61), dtype=torch.uint8, device=frames_device))
        coarse_to_fine(solver, config, levels)
        flow = solver.flow()
        assert flow.shape == (4, 2, 50, 61)
        return flow.device.type


def test_batches_run_on_cuda_without_mixing_devices(monkeypatch):
    assert fake_flow(monkeypatch, solver_device="cuda", frames_device="cuda") == "cuda"


def test_the_fake_device_would_notice_a_mix(monkeypatch):
    with pytest.raises(RuntimeError, match="device"):
        fake_flow(monkeypatch, solver_device="cuda", frames_device="cpu")
