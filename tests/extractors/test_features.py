"""From frames to rows of features: order, padding, flow's look-ahead, and what is refused."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from extractors import features as module
from extractors import flow_pieces, pieces
from extractors.errors import OptionError, VideoError
from extractors.features import Extractor, Features
from extractors.flow import DisConfig, flow_recipe
from extractors.pieces import centre_crop
from extractors.recipe import FeatureRecipe
from extractors.snippets import DENSE, SNIPPETS
from extractors.video import DecodeReport, Frame, VideoInfo, VideoReader

CPU = torch.device("cpu")
SHA = "0" * 64


class FakeReader(VideoReader):
    """Frames at 25 fps; frame i is all of grey level i."""

    def __init__(self, n_frames, sizes=((226, 230),)):
        self.info = VideoInfo(
            path=Path("fake.mp4"),
            container="mp4",
            codec="h264",
            width=230,
            height=226,
            header_fps=25.0,
            header_frames=n_frames,
            header_duration_s=n_frames / 25,
            duration_is_streams=True,
            stream_index=0,
            n_streams=1,
        )
        self._n_frames, self._sizes = n_frames, sizes

    def frames(self):
        for index in range(self._n_frames):
            size = self._sizes[min(index, len(self._sizes) - 1)]
            yield Frame(index / 25, 0.04, np.full((*size, 3), index % 256, np.uint8))

    @property
    def report(self):
        n = self._n_frames
        return DecodeReport("fake 1", n, n, 0, n / 25, n / 25, truncated=False)

    def close(self):
        pass


class FakeBackbone:
    """A row is the first pixel of each frame that it saw, so that order and padding show."""

    def __init__(self, dim=1024):
        self.dim, self.device, self.dtype = dim, CPU, torch.float32
        self.batches = []

    def pixels(self, rgb):
        return rgb.to(torch.float32).permute(3, 0, 1, 2)

    def snippets(self, clips):
        assert clips.shape[2:] == (16, 224, 224)
        self.batches.append(len(clips))
        rows = torch.zeros(len(clips), self.dim)
        rows[:, :16] = clips[:, 0, :, 0, 0]
        return rows, rows

    def stream(self):
        return FakeStream(self.dim)


class FakeStream:
    def __init__(self, dim):
        self.dim, self.kept, self.ended = dim, torch.zeros(0), False

    def push(self, frames, *, last=False):
        assert not self.ended
        self.ended = last
        self.kept = torch.cat((self.kept, frames[0, :, 0, 0]))
        whole = len(self.kept) // 8 * 8
        if last:
            assert whole == len(self.kept)
        rows = torch.zeros(whole // 8, self.dim)
        rows[:, :8] = self.kept[:whole].reshape(-1, 8)
        self.kept = self.kept[whole:]
        return rows


class FakeFlow:
    """Flow to the right by the difference of the grey levels."""

    config = DisConfig()

    def __call__(self, frames):
        step = frames[1:, 0, 0, 0].astype(np.float32) - frames[:-1, 0, 0, 0]
        flow = np.zeros((len(step), 2, *frames.shape[1:3]), np.float32)
        flow[:, 0] = step[:, None, None]
        return flow


@pytest.fixture
def extract(monkeypatch):
    """(recipe, reader, ...) -> Features, with networks that show what they were given."""
    monkeypatch.setattr(module, "make_backbone", lambda *a, **k: FakeBackbone())

    def run(recipe, reader, flow=None, progress=None):
        monkeypatch.setattr(pieces, "open_video", lambda *a, **k: reader)
        tensors = {stream: {} for stream in recipe.streams}
        extractor = Extractor(recipe, tensors, device=CPU, flow=flow)
        return extractor.extract(Path("fake.mp4"), progress=progress)

    return run


def seen_by_rows(features, width):
    return features.values[:, :width].reshape(-1)


@pytest.mark.parametrize("n_frames", [1, 15, 16, 17, 40, 64, 65, 128, 200])
def test_snippets_are_consecutive_and_the_last_is_padded_with_its_last_frame(extract, n_frames):
    features = extract(FeatureRecipe({"rgb": SHA}), FakeReader(n_frames))
    assert features.values.shape == (-(-n_frames // 16), 1024)
    seen = seen_by_rows(features, 16)
    expected = np.minimum(np.arange(len(seen)), n_frames - 1)
    np.testing.assert_array_equal(seen, expected)
    assert features.n_frames == n_frames
    assert features.valid_frames_of_last == n_frames - 16 * (len(features.values) - 1)
    assert features.grid == SNIPPETS


@pytest.mark.parametrize("n_frames", [1, 8, 9, 31, 32, 33, 100])
def test_dense_rows_are_consecutive_and_the_end_is_padded(extract, n_frames):
    features = extract(FeatureRecipe({"rgb": SHA}, context="dense"), FakeReader(n_frames))
    assert features.values.shape == (-(-n_frames // 8), 1024)
    seen = seen_by_rows(features, 8)
    np.testing.assert_array_equal(seen, np.minimum(np.arange(len(seen)), n_frames - 1))
    assert features.grid == DENSE


@pytest.mark.parametrize("n_frames", [1, 2, 16, 17, 64, 65, 70])
def test_each_flow_comes_from_its_frame_and_the_next_and_the_last_is_repeated(extract, n_frames, monkeypatch):
    seen = []
    monkeypatch.setattr(
        flow_pieces, "quantize_flow", lambda flow: seen.append(flow[:, 0, 0, 0].copy()) or flow
    )
    recipe = FeatureRecipe({"flow": SHA}, flow=flow_recipe(FakeFlow.config))

    class Accelerating(FakeReader):
        def frames(self):  # grey levels 0, 1, 3, 6, 10, ... so that every difference is another one
            for frame in super().frames():
                index = round(frame.time_s * 25)
                yield Frame(frame.time_s, 0.04, np.full_like(frame.rgb, (index * (index + 1) // 2) % 251))

    levels = [(i * (i + 1) // 2) % 251 for i in range(n_frames)]
    differences = [float(b - a) for a, b in itertools.pairwise(levels)] or [0.0]
    extract(recipe, Accelerating(n_frames), flow=FakeFlow())
    expected = differences if n_frames == 1 else [*differences, differences[-1]]
    np.testing.assert_array_equal(np.concatenate(seen), expected)


def test_rgb_comes_before_flow(extract, monkeypatch):
    made = []

    def make(_name, stream, *_args, **_kwargs):
        made.append(stream)
        backbone = FakeBackbone()
        if stream == "flow":
            backbone.snippets = lambda clips: (torch.full((len(clips), 1024), -7.0), None)
        return backbone

    recipe = FeatureRecipe({"flow": SHA, "rgb": "1" * 64}, flow=flow_recipe(FakeFlow.config))
    monkeypatch.setattr(pieces, "open_video", lambda *a, **k: FakeReader(20))
    monkeypatch.setattr(module, "make_backbone", make)
    extractor = Extractor(recipe, {"rgb": {}, "flow": {}}, device=CPU, flow=FakeFlow())
    values = extractor.extract(Path("fake.mp4")).values
    assert made == ["rgb", "flow"]
    assert values.shape == (2, 2048)
    assert (values[:, 1024:] == -7).all()
    assert (values[:, :1024] >= 0).all()


def test_every_snippet_goes_through_the_network_alone(extract, monkeypatch):
    backbone = FakeBackbone()
    monkeypatch.setattr(module, "make_backbone", lambda *a, **k: backbone)
    monkeypatch.setattr(pieces, "open_video", lambda *a, **k: FakeReader(16 * 9))
    Extractor(FeatureRecipe({"rgb": SHA}), {"rgb": {}}, device=CPU).extract(Path("fake.mp4"))
    assert backbone.batches == [1] * 9


def test_progress_is_told_in_seconds_and_ends_at_the_end(extract):
    told = []
    extract(
        FeatureRecipe({"rgb": SHA}), FakeReader(150), progress=lambda done, total: told.append((done, total))
    )
    assert told == [(32 * n / 25, 6.0) for n in range(1, 5)] + [(6.0, 6.0)]


def test_features_that_are_not_finite_fail_the_video(extract, monkeypatch):
    backbone = FakeBackbone()
    backbone.snippets = lambda clips: (torch.full((len(clips), 1024), float("nan")), None)
    monkeypatch.setattr(module, "make_backbone", lambda *a, **k: backbone)
    monkeypatch.setattr(pieces, "open_video", lambda *a, **k: FakeReader(20))
    extractor = Extractor(FeatureRecipe({"rgb": SHA}), {"rgb": {}}, device=CPU)
    with pytest.raises(VideoError, match="NaN"):
        extractor.extract(Path("fake.mp4"))


def test_a_picture_that_changes_its_size_is_fitted_to_the_first(extract):
    features = extract(
        FeatureRecipe({"rgb": SHA}), FakeReader(20, sizes=((226, 230), (226, 230), (300, 256)))
    )
    np.testing.assert_array_equal(seen_by_rows(features, 16)[:20], np.arange(20))


def test_the_flow_estimator_must_be_the_one_of_the_recipe():
    recipe = FeatureRecipe({"rgb": SHA})
    with pytest.raises(OptionError, match="estimator"):
        Extractor(recipe, {"rgb": {}}, device=CPU, flow=FakeFlow())


def test_the_precision_must_be_the_one_of_the_recipe():
    with pytest.raises(OptionError, match="float32"):
        Extractor(FeatureRecipe({"rgb": SHA}), {"rgb": {}}, device=CPU, dtype=torch.float16)


@given(height=st.integers(224, 300), width=st.integers(224, 300))
def test_the_crop_is_in_the_middle(height, width):
    rows = np.arange(height)[:, None, None] + np.zeros((1, width, 3))
    crop = centre_crop(rows)
    assert crop.shape == (224, 224, 3)
    above, below = crop[0, 0, 0], height - 1 - crop[-1, 0, 0]
    assert 0 <= below - above <= 1


def test_pictures_smaller_than_the_crop_are_refused():
    with pytest.raises(ValueError, match="100x300"):
        centre_crop(np.zeros((300, 100, 3)))


def test_features_must_have_the_rows_that_their_frames_give():
    recipe = FeatureRecipe({"rgb": SHA})
    report = FakeReader(33).report
    with pytest.raises(ValueError, match=r"\(3, 1024\)"):
        Features(np.zeros((2, 1024), np.float32), recipe.grid, 33, 33 / 25, report, recipe)
