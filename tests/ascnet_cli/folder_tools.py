"""A small data set on the disk, in ascnet's own layout, that a network learns in a second."""

import json

import numpy as np

from extractors.snippets import SNIPPETS

CLASSES = ("dive", "jump")
WIDTH = 8
RECIPE = {"backbone": "i3d", "dim": WIDTH, "weights": {"rgb": "0" * 64}}


def write_folder(folder, *, n_train=10, n_test=4, seed=0, recipe=RECIPE):
    """Videos of 30 snippets; a class is a direction, shown for six of them. Returns the folder."""
    random = np.random.default_rng(seed)
    database = {}
    for i in range(n_train + n_test):
        name, label = f"v{i:02d}.mp4", CLASSES[i % 2]
        values = random.normal(scale=0.2, size=(30, WIDTH)).astype(np.float32)
        start = int(random.integers(2, 20))
        values[start : start + 6, i % 2] += 3
        write_features(folder / "features", name, values, recipe)
        instance = {"label": label, "segment": [start * 0.64, (start + 6) * 0.64]}
        database[name] = {
            "duration": 30 * 0.64,
            "subset": "training" if i < n_train else "testing",
            "annotations": [instance],
        }
    (folder / "annotations.json").write_text(json.dumps({"database": database}))
    return folder


def write_features(folder, video, values, recipe=RECIPE):
    """A feature file and its sidecar, as `extractors.store` writes them, of any recipe."""
    import dataclasses
    import hashlib

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{video}.npy"
    np.save(path, values)
    sidecar = {
        "recipe": recipe,
        "grid": dataclasses.asdict(SNIPPETS),
        "duration_s": len(values) * 0.64,
        "shape": list(values.shape),
        "data": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
    }
    (folder / f"{video}.json").write_text(json.dumps(sidecar))
    return path
