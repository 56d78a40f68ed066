"""One step of a training: the batch that a step's number and the seed decide, and one update by it.

Letters in names are axes: B videos, T snippets, D width of a feature row, A action classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from ascnet_cli.config_training import ADAM_BETAS, ADAM_EPSILON, LossConfig, TrainingConfig
from ascnet_cli.datasets.sampling import gather, sample
from ascnet_cli.errors import TrainingError
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.losses import total_loss
from ascnet_cli.training.seeding import generator
from ascnet_cli.training.videos import LabelledVideos

SHOWN_VIDEOS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step sees.

    Attributes:
        names: of the videos.
        features_BTD: sampled rows; zero beyond a video's end.
        valid_BT: true from index 0 to each video's own end.
        actions_BA: the actions that each video's labels name.
    """

    names: tuple[str, ...]
    features_BTD: Float32[Tensor, "b t d"]
    valid_BT: Bool[Tensor, "b t"]
    actions_BA: Bool[Tensor, "b a"]


def videos_of_step(n_videos: int, batch_size: int, seed: int, step: int) -> list[int]:
    """Which videos step number `step` (from 0) sees: shuffled epochs, dealt out without a break.

    Every batch is full and no video is left out of an epoch: the last batch of one may end in the next.
    """
    places = range(step * batch_size, (step + 1) * batch_size)
    orders = {
        epoch: torch.randperm(n_videos, generator=generator(seed, "order", epoch)).tolist()
        for epoch in {place // n_videos for place in places}
    }
    return [orders[place // n_videos][place % n_videos] for place in places]


def batch_of_step(videos: LabelledVideos, config: TrainingConfig, step: int) -> Batch:
    """The batch of step number `step` (from 0), on the CPU."""
    indices = videos_of_step(len(videos.names), config.batch_size, config.seed, step)
    names = tuple(videos.names[i] for i in indices)
    features = [videos.features[name] for name in names]
    sampling = sample(
        torch.tensor([len(values) for values in features]),
        config.snippets,
        config.short,
        generator(config.seed, "snippets", step),
    )
    return Batch(names, gather(features, sampling), sampling.valid_BT, videos.actions_VA[indices])


def make_optimiser(model: AscNet, config: TrainingConfig) -> torch.optim.Adam:
    """Adam over all parameters; those that a variant leaves without a gradient stay as they are."""
    return torch.optim.Adam(
        model.parameters(),
        lr=config.learning_rate,
        betas=ADAM_BETAS,
        eps=ADAM_EPSILON,
        weight_decay=config.weight_decay,
    )


def train_step(
    model: AscNet, optimiser: torch.optim.Optimizer, batch: Batch, config: LossConfig
) -> dict[str, float]:
    """One update of the network, in training mode.

    Returns:
        The total loss and each term that is switched on.

    Raises:
        TrainingError: a loss is not finite; the network is left as it was.
    """
    device = model.attention.weight.device
    model.train()
    valid_BT = batch.valid_BT.to(device)
    output = model(batch.features_BTD.to(device), valid_BT)
    queries_BCD = model.queries(output.u_BTD, valid_BT) if config.weight_nce else None
    losses = total_loss(output, queries_BCD, batch.actions_BA.to(device), config)
    optimiser.zero_grad(set_to_none=True)
    losses.total.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
    names, terms = zip(*losses.present(), strict=True)
    # The only wait for the device: all numbers at once, and after the backward pass is under way.
    values = dict(zip(names, torch.stack(terms).detach().tolist(), strict=True))
    if not all(map(math.isfinite, values.values())):
        raise _not_finite(batch, values)
    optimiser.step()
    return values


def _not_finite(batch: Batch, values: Mapping[str, float]) -> TrainingError:
    """The stop on a loss that is no number, with the videos that it may come from."""
    terms = ", ".join(name for name, value in values.items() if not math.isfinite(value))
    finite_B = np.isfinite(batch.features_BTD.numpy()).all(axis=(1, 2))
    damaged = [name for name, finite in zip(batch.names, finite_B.tolist(), strict=True) if not finite]
    if damaged:
        return TrainingError(
            f"the loss is not finite ({terms}): features hold numbers that are not finite: {_some(damaged)}",
            hint="extract the features of these videos again",
        )
    return TrainingError(
        f"the loss is not finite ({terms}) in a batch of the videos {_some(batch.names)}",
        hint="begin a new run with a lower learning rate; what was learned before is in the checkpoints",
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN_VIDEOS])
    return shown if len(names) <= SHOWN_VIDEOS else f"{shown} and {len(names) - SHOWN_VIDEOS} more"
