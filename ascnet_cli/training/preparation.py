"""What a run starts from: which videos it learns from and which it is judged on, and all of its settings."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ascnet_cli.config import NetworkConfig
from ascnet_cli.config_training import LossConfig, Precision, TrainingConfig
from ascnet_cli.errors import OptionError, TrainingError
from ascnet_cli.training.run_folder import Tables
from ascnet_cli.training.validation import split_videos
from ascnet_cli.training.videos import LabelledVideos


def prepare(
    videos: LabelledVideos, network: NetworkConfig, config: TrainingConfig
) -> tuple[LabelledVideos, LabelledVideos | None]:
    """The videos to train on and those held out, held to suit the network.

    Raises:
        OptionError: the network is for another number of classes or width of features.
        TrainingError: a class has no training video.
    """
    for name, wanted, found in (
        ("n_classes", network.n_classes, len(videos.classes)),
        ("in_dim", network.in_dim, videos.width),
    ):
        if wanted != found:
            raise OptionError(f"the network's {name} is {wanted}, the training videos' is {found}")
    absent = [
        name
        for name, happens in zip(videos.classes, videos.actions_VA.any(dim=0).tolist(), strict=True)
        if not happens
    ]
    if absent:
        raise TrainingError(
            f"no training video is labelled {', '.join(absent)}",
            hint="add a video of each class, or leave the class out",
        )
    train_names, held_out_names = split_videos(videos, config.validation_fraction, config.split_seed)
    held_out = videos.only(held_out_names) if held_out_names else None
    if held_out is not None and not bool(held_out.actions_VA.any()):
        held_out = None  # background alone: nothing to choose a checkpoint by
        train_names = videos.names
    return videos.only(train_names), held_out


def resolved(
    videos: LabelledVideos,
    network: NetworkConfig,
    losses: LossConfig,
    config: TrainingConfig,
    held_out: LabelledVideos | None,
    recipe: Mapping[str, object],
    localization: Mapping[str, Any],
    precision: Precision = "float32",
) -> Tables:
    """Everything that a run depends on, as tables of settings, by the names that `--set` knows."""
    return {
        "model": dataclasses.asdict(network),
        "loss": dataclasses.asdict(losses),
        "training": {**dataclasses.asdict(config), "precision": precision},
        "localization": localization,
        "data": {
            "videos": len(videos.names),
            "held_out": len(held_out.names) if held_out else 0,
            "classes": len(videos.classes),
            "sha256": videos.digest(),
            "recipe": json.dumps(recipe, sort_keys=True),
        },
    }
