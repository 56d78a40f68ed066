"""Batches for a graphics card: one shape, too little memory, and errors; run here on the processor."""

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from extractors.backbones import I3DBackbone
from extractors.device_clips import BatchClips, _features
from extractors.errors import DeviceError
from extractors.i3d import I3D


class Small:
    """A card on which `room` clips fit; a row is each frame's first pixel."""

    dim, device, dtype = 16, torch.device("cpu"), torch.float32

    def __init__(self, room=100):
        self.room, self.batches = room, []

    def pixels(self, rgb):
        return rgb.to(torch.float32).permute(3, 0, 1, 2)

    def snippets(self, clips):
        if len(clips) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.batches.append(len(clips))
        return clips[:, 0, :, 0, 0], torch.zeros(len(clips), 4)

    def stream(self):
        raise NotImplementedError


def clips_of(n):
    return [
        np.full((16, 2, 2, 3), i, np.uint8) + np.arange(16, dtype=np.uint8)[:, None, None, None]
        for i in range(n)
    ]


def check(futures):
    for index, future in enumerate(futures):
        np.testing.assert_array_equal(future.result(), index + np.arange(16))


@pytest.mark.parametrize("n_clips", [1, 3, 4, 9])
def test_every_batch_has_one_shape_and_every_clip_its_own_row(n_clips):
    backbone = Small()
    runner = BatchClips(backbone, batch=4)
    futures = [runner.submit(clip) for clip in clips_of(n_clips)]
    assert sum(future.done() for future in futures) == n_clips // 4 * 4
    runner.flush()
    check(futures)
    assert backbone.batches == [4] * -(-n_clips // 4)


def test_a_batch_that_does_not_fit_is_halved_for_the_rest_of_the_run():
    backbone, said = Small(room=3), []
    runner = BatchClips(backbone, batch=16, say=said.append)
    futures = [runner.submit(clip) for clip in clips_of(40)]
    runner.flush()
    check(futures)
    assert runner.batch == 2
    assert set(backbone.batches) == {2}
    assert len(said) == 3
    assert "2 snippets at a time" in said[-1]
    more = [runner.submit(clip) for clip in clips_of(2)]
    check(more)
    assert len(said) == 3  # what did not fit is not tried again


def test_where_not_even_one_fits_the_size_is_named():
    runner = BatchClips(Small(room=0), batch=4)
    futures = [runner.submit(clip) for clip in clips_of(2)]
    runner.flush()
    for future in futures:
        with pytest.raises(DeviceError, match="batch of 1"):
            future.result()


def test_another_error_is_that_of_its_batch_alone(monkeypatch):
    backbone = Small()
    runner = BatchClips(backbone, batch=2)
    monkeypatch.setattr(backbone, "snippets", lambda clips: 1 / 0)
    first = [runner.submit(clip) for clip in clips_of(2)]
    monkeypatch.undo()
    second = [runner.submit(clip) for clip in clips_of(2)]
    assert all(isinstance(future.exception(), ZeroDivisionError) for future in first)
    check(second)


def test_what_was_gathered_can_be_dropped():
    backbone = Small()
    runner = BatchClips(backbone, batch=4)
    runner.submit(clips_of(1)[0])
    runner.forget()
    runner.flush()
    assert backbone.batches == []


def test_clips_stay_apart_and_in_the_networks_layout():
    torch.manual_seed(0)
    backbone = I3DBackbone(I3D("rgb", width_divisor=16).eval().requires_grad_(False))
    pictures = torch.randint(0, 256, (3, 16, 32, 32, 3), dtype=torch.uint8)
    together = _features(backbone, pictures)
    for index in range(3):
        alone = _features(backbone, pictures[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_a_batch_stays_on_cuda(dtype, stream):
    torch.set_default_dtype(dtype)  # the fixture that every test has sets it back
    with FakeTensorMode():
        with torch.device("cuda"):
            backbone = I3DBackbone(I3D(stream).eval())
            clips = (
                torch.zeros(4, 16, 224, 224, 3, dtype=torch.uint8)
                if stream == "rgb"
                else torch.zeros(4, 16, 224, 224, 2, dtype=torch.float32)
            )
        features = _features(backbone, clips)
        assert (features.device.type, features.dtype, features.shape) == ("cuda", dtype, (4, 1024))
