"""Clips side by side: threads, the line's length, errors, and the same bits whoever computes them."""

import threading

import numpy as np
import pytest
import torch

from extractors.backbones import I3DBackbone
from extractors.i3d import I3D
from extractors.lanes import MAX_LANES, LaneClips, Lanes, n_lanes, network_input


@pytest.mark.parametrize("n_threads", [1, 2, 3, 7, 8, 9, 64])
def test_there_is_a_lane_a_thread_but_never_many(n_threads):
    assert n_lanes(n_threads) == min(n_threads, MAX_LANES)


@pytest.mark.parametrize("n_threads", [2, 3, 12])
def test_every_lane_computes_with_one_thread(n_threads):
    """However many there are: with three or more, an operation adds up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with Lanes() as lanes:
            assert {lanes.run(torch.get_num_threads).result() for _ in range(20)} == {1}
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)


def test_the_lanes_are_threads_of_their_own_and_nobody_else_is_changed():
    before = torch.get_num_threads()
    met = threading.Barrier(2)

    def here():
        met.wait(20)
        return threading.current_thread().name, torch.get_num_threads()

    with Lanes(2) as lanes:
        found = [lanes.run(here) for _ in range(2)]
        assert {n for _, n in (f.result() for f in found)} == {1}
        assert len({name for name, _ in (f.result() for f in found)}) == 2
        assert torch.get_num_threads() == before
        elsewhere = []
        thread = threading.Thread(target=lambda: elsewhere.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert elsewhere == [before]


def test_one_thread_is_the_callers_own():
    with Lanes(1) as lanes:
        assert lanes.run(threading.get_ident).result() == threading.get_ident()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_waits_in_its_future(n_threads):
    def broken():
        raise MemoryError("too large")

    with Lanes(n_threads) as lanes:
        future = lanes.run(broken)
        assert isinstance(future.exception(), MemoryError)
        assert lanes.run(lambda: 7).result() == 7


def test_the_line_is_short():
    """`run` waits while each lane has one task running and one waiting."""
    release, entered = threading.Event(), []

    def feed(lanes):
        for number in range(8):
            lanes.run(release.wait)
            entered.append(number)

    with Lanes(2) as lanes:
        thread = threading.Thread(target=feed, args=(lanes,))
        thread.start()
        thread.join(0.2)
        assert len(entered) == 4
        release.set()
        thread.join(20)
        assert len(entered) == 8


def test_leaving_with_an_error_ends_the_lanes():
    before = threading.active_count()

    def leave():
        with Lanes(2) as lanes:
            lanes.run(lambda: 1)
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        leave()
    assert threading.active_count() == before


def test_pictures_are_scaled_and_flow_is_taken_as_it_is():
    backbone = I3DBackbone(I3D("rgb", width_divisor=16).eval())
    pictures = np.full((2, 4, 5, 3), 255, np.uint8)
    assert torch.equal(network_input(backbone, pictures), torch.ones(3, 2, 4, 5))
    flow = np.random.default_rng(0).uniform(-1, 1, (2, 4, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(network_input(backbone, flow).numpy(), flow.transpose(3, 0, 1, 2))


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_features_are_the_same_bits_in_any_company(n_threads):
    torch.manual_seed(1)
    backbone = I3DBackbone(I3D("rgb", width_divisor=16).eval().requires_grad_(False))
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8) for _ in range(5)]
    alone = [backbone.snippets(network_input(backbone, clip)[None])[0][0].numpy() for clip in clips]
    with Lanes(n_threads) as lanes:
        runner = LaneClips(backbone, lanes)
        together = [runner.submit(clip) for clip in reversed(clips)]
        runner.flush()
        for found, wanted in zip(reversed(together), alone, strict=True):
            np.testing.assert_array_equal(found.result(), wanted)
