"""`python -m tests.ascnet_cli.doctor.expected`: the features that `ascnet doctor` compares with.

It also prints what the tolerance lies between.

The stored features go another way than those that are compared with them: from the drawn pictures and not
from a file, in float64 and not in float32, by the published graph as plain operations (`reference`) and not
by `I3DStream`. `--write` renews the file; without it the command only says how far it is off.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from ascnet_cli.config_kinetics import KINETICS400
from ascnet_cli.doctor.drawn import pictures, write_video
from ascnet_cli.doctor.selftest import EXPECTED, TOLERANCE, distance
from extractors.i3d import I3DStream, load_i3d
from extractors.video import open_video
from tests.extractors.test_i3d import reference
from weights.files import parse_safetensors, safetensors_bytes, write_whole
from weights.store import load

CROP = slice(16, 240)  # the middle 224 of 256 pixels


def plain_features(tensors, shown):
    """(2, 1024) float32 features of 16 pictures, computed in float64 by the plain graph."""
    clip = torch.from_numpy(shown[:, CROP, CROP].astype(np.float64)) * (2 / 255) - 1
    with torch.inference_mode():
        wide = {name: tensor.double() for name, tensor in tensors.items()}
        found = reference(wide, clip.permute(3, 0, 1, 2)[None], upto="map")
    return found.mean(dim=(3, 4))[0].T.float().numpy()


def our_features(tensors, shown, dtype=torch.float32):
    """The same by the code that `ascnet detect` runs."""
    network = load_i3d(dict(tensors), stream="rgb", device=torch.device("cpu"), dtype=dtype)
    clip = torch.from_numpy(shown[:, CROP, CROP].astype(np.float32)) * (2 / 255) - 1
    clip = clip.permute(3, 0, 1, 2).to(dtype)
    return I3DStream(network).push(clip, last=True).float().numpy()


def decoded():
    with tempfile.TemporaryDirectory() as folder, open_video(write_video(Path(folder))) as reader:
        return np.stack([frame.rgb for frame in reader.frames()])


def damaged(tensors, name, how):
    return {**tensors, name: how(tensors[name].clone())}


def without_first_unit(tensor):
    tensor[0] = 0
    return tensor


def cases(tensors, drawn):
    """What may differ: by itself, and by a fault; each with its features."""
    random = np.random.default_rng(0)
    noise = np.clip(drawn.astype(int) + random.integers(-1, 2, drawn.shape), 0, 255).astype(np.uint8)
    late = np.concatenate((drawn[:1], drawn[:-1]))
    yield "right", "float32", our_features(tensors, drawn)
    yield "right", "from the decoded file", our_features(tensors, decoded())
    yield "right", "pictures off by -1, 0 or 1 level at random", our_features(tensors, noise)
    yield "fault", "one frame late", our_features(tensors, late)
    yield "fault", "red and blue changed", our_features(tensors, drawn[..., ::-1].copy())
    yield "fault", "mirrored", our_features(tensors, drawn[:, :, ::-1].copy())
    yield "fault", "cropped 4 pixels to the right", our_features(tensors, np.roll(drawn, -4, axis=2))
    yield "fault", "4 levels brighter", our_features(tensors, np.minimum(drawn, 251) + np.uint8(4))
    for name in ("conv3d_1a_7x7.weight", "mixed_4d.b1b.weight", "mixed_5c.b0.weight"):
        broken = damaged(tensors, name, without_first_unit)
        yield "fault", f"the first channel of {name} lost", our_features(broken, drawn)


def main(arguments):
    loaded = load(KINETICS400.weights)
    drawn = pictures()
    wanted = plain_features(loaded.tensors, drawn)
    if "--write" in arguments:
        write_whole(EXPECTED, safetensors_bytes({"features": wanted}, {"weights": loaded.sha256}))
        print(f"wrote {EXPECTED}")  # noqa: T201
    stored, metadata = parse_safetensors(EXPECTED.read_bytes(), str(EXPECTED))
    print(f"stored: weights {metadata['weights']}, {distance(stored['features'], wanted):.1e} off")  # noqa: T201
    print(f"tolerance: {TOLERANCE:g}")  # noqa: T201
    for kind, what, found in cases(loaded.tensors, drawn):
        print(f"{kind}: {distance(found, wanted):8.1e}  {what}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
