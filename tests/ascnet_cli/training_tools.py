"""A problem that a small network learns in seconds: each class is a direction, shown for a few snippets."""

import dataclasses

import numpy as np

from ascnet_cli.config import network_config
from ascnet_cli.config_training import loss_config, training_config
from ascnet_cli.training.loop import train
from ascnet_cli.training.videos import LabelledVideos

CLASSES = ("dive", "jump", "run")
RECIPE = {"streams": ["rgb"]}
WIDTH = 12


def toy_videos(n=24, seed=0, noise=0.3):
    random = np.random.default_rng(seed)
    features, labels = {}, {}
    for i in range(n):
        length = int(random.integers(12, 40))
        values = random.normal(scale=noise, size=(length, WIDTH)).astype(np.float32)
        values[:, len(CLASSES)] += 1  # what all videos have in common
        own = {i % len(CLASSES)} | ({(i + 1) % len(CLASSES)} if i % 4 == 0 else set())
        for c in own:
            start = int(random.integers(0, length - 5))
            values[start : start + 5, c] += 2
        features[f"video{i:02d}"] = values
        labels[f"video{i:02d}"] = {CLASSES[c] for c in own}
    return LabelledVideos(classes=CLASSES, features=features, labels=labels)


def toy_network(preset="fixed", **changes):
    config = network_config(preset, "thumos14", n_classes=len(CLASSES), in_dim=WIDTH)
    return dataclasses.replace(config, **({"embed_dim": 16, "query_dim": 8} | changes))


def toy_schedule(preset="fixed", **changes):
    small = {"snippets": 20, "batch_size": 4, "updates": 12, "validate_every": 5, "validation_fraction": 0.25}
    return dataclasses.replace(training_config(preset, "thumos14"), **(small | changes))


def toy_train(run, *, videos=None, preset="fixed", losses=None, network=None, schedule=None, **options):
    return train(
        videos or toy_videos(),
        run,
        network or toy_network(preset),
        losses or loss_config(preset),
        schedule or toy_schedule(preset),
        **({"recipe": RECIPE} | options),
    )
