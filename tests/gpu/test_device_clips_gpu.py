"""Batches on a CUDA card: recorded and not, in each precision, against the processor; and too large ones."""

import numpy as np
import pytest
import torch

from extractors.backbones import make_backbone
from extractors.device import exact_arithmetic
from extractors.device_clips import BatchClips
from weights.store import load

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (16, 224, 224, 3), dtype=np.uint8) for _ in range(6)]


@pytest.fixture(scope="module")
def wanted(clips):
    tensors = load("i3d-rgb-kinetics400").tensors
    runner = BatchClips(make_backbone("i3d", "rgb", dict(tensors), device=torch.device("cpu")), batch=1)
    return np.stack([runner.submit(clip).result() for clip in clips])


@pytest.mark.parametrize("record", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float16, 1e-2), (torch.bfloat16, 5e-2)]
)
def test_features_agree_with_the_processor(cuda_device, clips, wanted, dtype, tolerance, record):
    exact_arithmetic()
    tensors = load("i3d-rgb-kinetics400").tensors
    backbone = make_backbone("i3d", "rgb", dict(tensors), device=cuda_device, dtype=dtype)
    runner = BatchClips(backbone, batch=4, record=record)
    rows = [runner.submit(clip) for clip in clips]
    runner.flush()
    found = np.stack([row.result() for row in rows])
    assert np.linalg.norm(found - wanted) / np.linalg.norm(wanted) < tolerance


def test_a_recording_gives_what_the_network_gives(cuda_device, clips):
    tensors = load("i3d-rgb-kinetics400").tensors
    backbone = make_backbone("i3d", "rgb", dict(tensors), device=cuda_device)
    rows = []
    for record in (False, True):
        runner = BatchClips(backbone, batch=2, record=record)
        parts = [runner.submit(clip) for clip in clips]
        rows.append(np.stack([part.result() for part in parts]))
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-4, atol=1e-5)


def test_a_batch_that_is_too_large_is_halved(cuda_device, clips):
    tensors = load("i3d-rgb-kinetics400").tensors
    backbone = make_backbone("i3d", "rgb", dict(tensors), device=cuda_device)
    torch.cuda.set_per_process_memory_fraction(1.5e9 / torch.cuda.get_device_properties(0).total_memory)
    said = []
    try:
        runner = BatchClips(backbone, batch=64, say=said.append)
        rows = [runner.submit(clip) for clip in clips * 11]
        runner.flush()
        assert all(np.isfinite(row.result()).all() for row in rows)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert said
    assert runner.batch < 64
