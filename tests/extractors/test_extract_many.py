"""Several videos in a row: order, the same bits as one by one, and one bad video among good ones."""

import gc
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from extractors import features as module
from extractors import pieces
from extractors.errors import VideoError
from extractors.features import Extractor, Features
from extractors.flow import DisConfig, flow_recipe
from extractors.pieces import Piece, VideoEnd, read_videos
from extractors.recipe import FeatureRecipe
from extractors.video import Limits
from tests.synthetic import make_growing, make_video
from weights.store import load

CPU = torch.device("cpu")
SHA = "0" * 64


class Cheap:
    """In place of a network: every number depends on all frames of the clip, and on their order."""

    def __init__(self, stream):
        self.dim, self.device, self.dtype = 1024, CPU, torch.float32
        n_channels = {"rgb": 3, "flow": 2}[stream]
        generator = torch.Generator().manual_seed(n_channels)
        self.weight = torch.rand(8 * n_channels * 49, 1024, generator=generator) - 0.5

    def pixels(self, rgb):
        return rgb.to(torch.float32).mul_(2 / 255).sub_(1).permute(3, 0, 1, 2)

    def snippets(self, clips):
        assert clips.shape[2:] == (16, 224, 224)
        x = clips[..., ::32, ::32].unflatten(2, (2, 8)) * torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)
        return x.sum(2).flatten(1) @ self.weight, None

    def stream(self):
        return CheapStream(self)


class CheapStream:
    def __init__(self, network):
        self.network, self.before = network, torch.zeros(1, 1024)

    def push(self, frames, *, last=False):
        x = frames[..., ::32, ::32].unflatten(1, (-1, 8)).transpose(0, 1).flatten(1) @ self.network.weight
        rows, self.before = x + torch.cat((self.before, x[:-1])), x[-1:]
        return rows


class CheapFlow:
    """Where two frames differ, something moved."""

    config = DisConfig()

    def __call__(self, frames):
        step = (frames[1:, :, :, :2].astype(np.float32) - frames[:-1, :, :, 2:]) / 16
        return np.ascontiguousarray(step.transpose(0, 3, 1, 2))


@pytest.fixture
def extractor(monkeypatch):
    """(context, flow) -> an Extractor with cheap networks."""
    monkeypatch.setattr(module, "make_backbone", lambda _name, stream, *_a, **_k: Cheap(stream))

    def make(context="snippet", *, flow=False, apart=False):
        estimator = CheapFlow() if flow else None
        streams = ("rgb", "flow") if flow else ("rgb",)
        recipe = FeatureRecipe(
            dict.fromkeys(streams, SHA), context=context, flow=flow_recipe(DisConfig()) if flow else None
        )
        tensors = {stream: {} for stream in streams}
        return Extractor(recipe, tensors, device=CPU, flow=estimator, apart=apart)

    return make


@pytest.fixture
def videos(tmp_path):
    lengths = [3, 33, 1, 16, 66, 33]
    return [make_video(tmp_path / f"{i}.mp4", n_frames=n) for i, n in enumerate(lengths)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("context", "flow"), [("snippet", False), ("dense", False), ("snippet", True)])
def test_many_give_the_same_bits_as_one_by_one(extractor, videos, context, flow, threads):
    made = extractor(context, flow=flow)
    torch.set_num_threads(threads)
    try:
        found = list(made.extract_many(videos))
    finally:
        torch.set_num_threads(1)
    assert [path for path, _ in found] == videos
    for path, features in found:
        alone = made.extract(path)
        assert isinstance(features, Features)
        np.testing.assert_array_equal(features.values, alone.values)
        assert (features.n_frames, features.report) == (alone.n_frames, alone.report)


def test_a_bad_video_gives_its_error_and_the_others_go_on(extractor, videos, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video" * 100)
    gone = tmp_path / "gone.mp4"
    made = extractor()
    found = dict(made.extract_many([bad, videos[0], gone, videos[1]]))
    assert list(found) == [bad, videos[0], gone, videos[1]]
    assert isinstance(found[bad], VideoError)
    assert "no such file" in str(found[gone])
    assert isinstance(found[videos[0]], Features)
    assert isinstance(found[videos[1]], Features)
    with pytest.raises(VideoError, match="no such file"):
        made.extract(gone)


def test_the_same_file_may_come_twice(extractor, videos):
    found = list(extractor().extract_many([videos[1], videos[1]]))
    np.testing.assert_array_equal(found[0][1].values, found[1][1].values)


def test_a_network_that_fails_costs_its_video_alone_and_the_rest_is_not_read(extractor, videos, monkeypatch):
    made = extractor()
    read, snippets = [], made._backbones["rgb"].snippets

    def spied(*arguments, **options):
        for item in read_videos(*arguments, **options):
            read.append(item)
            yield item

    def broken_for_the_first(clips):
        if not any(isinstance(item, VideoEnd) for item in read):
            raise MemoryError("no room")
        return snippets(clips)

    monkeypatch.setattr(module, "read_videos", spied)
    monkeypatch.setattr(made._backbones["rgb"], "snippets", broken_for_the_first)
    long = make_video(videos[0].parent / "long.mp4", n_frames=1000, size=(64, 64))
    (_, first), (_, second) = made.extract_many([long, videos[1]])
    assert isinstance(first, MemoryError)
    assert isinstance(second, Features)
    assert sum(isinstance(item, Piece) for item in read) < 12  # of 32 pieces, and 2 of the other video


def test_progress_names_the_video_and_ends_at_its_end(extractor, videos):
    told = []
    for _ in extractor().extract_many(videos, progress=lambda *facts: told.append(facts)):
        pass
    assert [path for path, _, _ in told] == [videos[i] for i in (0, 1, 1, 2, 3, 4, 4, 4, 5, 5)]
    assert [seconds for path, seconds, _ in told if path == videos[4]] == [32 / 25, 64 / 25, 66 / 25]
    assert told[-1][2] == pytest.approx(33 / 25)


def test_the_next_video_is_opened_while_the_last_one_is_computed(extractor, videos, monkeypatch):
    made = extractor()
    opened, seen = [], threading.Event()
    open_video = pieces.open_video

    def opening(path, **options):
        opened.append(path)
        if path == videos[3]:
            seen.set()
        return open_video(path, **options)

    snippets = made._backbones["rgb"].snippets

    def waiting(clips):
        assert seen.wait(20)
        return snippets(clips)

    monkeypatch.setattr(pieces, "open_video", opening)
    monkeypatch.setattr(made._backbones["rgb"], "snippets", waiting)
    found = list(made.extract_many([videos[0], videos[3]]))
    assert opened == [videos[0], videos[3]]
    assert all(isinstance(outcome, Features) for _, outcome in found)


@pytest.mark.parametrize("threads", [1, 2])
def test_stopping_early_ends_every_thread(extractor, videos, threads):
    made = extractor()
    before = threading.active_count()
    torch.set_num_threads(threads)
    try:
        going = made.extract_many(videos)
        assert next(going)[0] == videos[0]
        going.close()
    finally:
        torch.set_num_threads(1)
    assert threading.active_count() == before


def test_an_interrupt_in_the_network_flies_and_ends_every_thread(extractor, videos, monkeypatch):
    made = extractor()

    def interrupted(clips):
        raise KeyboardInterrupt

    monkeypatch.setattr(made._backbones["rgb"], "snippets", interrupted)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        list(made.extract_many(videos))
    assert threading.active_count() == before


def test_paths_that_end_in_an_error_raise_it(extractor, videos):
    def paths():
        yield videos[0]
        raise OSError("the list is gone")

    with pytest.raises(OSError, match="list"):
        list(extractor().extract_many(paths()))


def test_pieces_keep_crops_or_whole_frames(tmp_path):
    """Cropped at once, a piece's memory does not depend on the shape of the picture."""
    wide = make_video(tmp_path / "wide.mp4", n_frames=40, size=(256, 32))
    options = {"decoder": "pyav", "limits": Limits(10**6), "length": 32}
    *cropped, end = read_videos([wide], whole=False, **options)
    *whole, _ = read_videos([wide], whole=True, **options)
    assert [p.frames.shape for p in cropped] == [(32, 224, 224, 3), (8, 224, 224, 3)]
    assert [p.frames.shape for p in whole] == [(32, 256, 2048, 3), (8, 256, 2048, 3)]
    assert [(p.following is None, p.last) for p in cropped] == [(True, False), (True, True)]
    assert [(p.following is None, p.last) for p in whole] == [(False, False), (True, True)]
    assert all(p.frames.base is None or p.frames.base.shape[1:3] == (224, 224) for p in cropped)
    np.testing.assert_array_equal(whole[0].frames[:, 16:240, 912:1136], cropped[0].frames)
    assert end.outcome.frames_decoded == 40


def test_a_picture_that_grows_is_fitted_before_it_is_cropped(tmp_path):
    growing = make_growing(tmp_path / "growing.avi", [(64, 48), (96, 80)])
    options = {"decoder": "pyav", "limits": Limits(10**6), "length": 32}
    (cropped, _), (whole, _) = (list(read_videos([Path(growing)], whole=w, **options)) for w in (False, True))
    top, left = (whole.frames.shape[1] - 224) // 2, (whole.frames.shape[2] - 224) // 2
    np.testing.assert_array_equal(whole.frames[:, top : top + 224, left : left + 224], cropped.frames)


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [2, 3, 8])
@pytest.mark.parametrize("context", ["snippet", "dense"])
def test_the_real_network_gives_the_same_bits_in_any_company_and_with_any_threads(videos, context, n_threads):
    """But dense features with three threads or more, which add up in another order: 1e-5 of the largest."""
    loaded = load("i3d-rgb-kinetics400")
    recipe = FeatureRecipe({"rgb": loaded.sha256}, context=context)
    made = Extractor(recipe, {"rgb": dict(loaded.tensors)}, device=CPU)
    alone = {path: made.extract(path).values for path in videos[:4]}
    torch.set_num_threads(n_threads)
    try:
        together = {path: features.values for path, features in made.extract_many(videos[:4])}
    finally:
        torch.set_num_threads(1)
    for path, values in alone.items():
        if context == "snippet" or n_threads == 2:
            np.testing.assert_array_equal(together[path], values)
        else:
            np.testing.assert_allclose(together[path], values, rtol=0, atol=1e-5 * values.max())


@pytest.mark.parametrize("flow", [False, True])
def test_a_decoder_apart_gives_the_same_bits(extractor, videos, tmp_path, flow):
    bad = tmp_path / "bad.mp4"
    bad.write_text("not a video")
    paths = [*videos[:2], bad]
    here, there = (
        extractor("dense" if not flow else "snippet", flow=flow),
        extractor("dense" if not flow else "snippet", flow=flow, apart=True),
    )
    for (_, ours), (_, theirs) in zip(here.extract_many(paths), there.extract_many(paths), strict=True):
        if isinstance(ours, Exception):
            assert (type(theirs), str(theirs)) == (type(ours), str(ours))
        else:
            assert np.array_equal(theirs.values, ours.values)
            assert theirs.report == ours.report
    assert there._apart is not None
    child = there._apart._process
    assert child is not None
    del there
    gc.collect()
    assert not child.is_alive()
