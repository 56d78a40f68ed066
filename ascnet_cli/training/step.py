"""One step of a training: the batch that a step's number and the seed decide, and one update by it.

A step has two halves, so that what waits for other processes (`update`) is apart from what may go wrong
in one of them (`batch_of_step`, `gradients`); `train_step` is both, for one process.

Letters in names are axes: B videos, T snippets, D width of a feature row, A action classes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from ascnet_cli.config_training import ADAM_BETAS, ADAM_EPSILON, LossConfig, Precision, TrainingConfig
from ascnet_cli.datasets.sampling import Sampling, gather, sample
from ascnet_cli.errors import TrainingError
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.losses import total_loss
from ascnet_cli.training.parallel import ALONE, Ranks
from ascnet_cli.training.precision import float32_products, layers_in
from ascnet_cli.training.seeding import generator
from ascnet_cli.training.videos import LabelledVideos

SHOWN_VIDEOS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step sees, or a process's part of it.

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


def names_of_step(videos: LabelledVideos, config: TrainingConfig, step: int) -> tuple[str, ...]:
    """Names of the videos that step number `step` (from 0) sees, in all processes."""
    indices = videos_of_step(len(videos.names), config.batch_size, config.seed, step)
    return tuple(videos.names[i] for i in indices)


def batch_of_step(videos: LabelledVideos, config: TrainingConfig, step: int, ranks: Ranks = ALONE) -> Batch:
    """A process's part of the batch of step number `step` (from 0), on the CPU.

    The numbers are drawn for the whole batch, and parts are padded as the whole is: what a video looks
    like does not depend on the number of processes. Features are read for the part alone.
    """
    indices = videos_of_step(len(videos.names), config.batch_size, config.seed, step)
    features = [videos.features[videos.names[i]] for i in indices]
    sampling = sample(
        torch.tensor([len(values) for values in features]),
        config.snippets,
        config.short,
        generator(config.seed, "snippets", step),
    )
    part = ranks.part(len(indices))
    own = Sampling(sampling.row_BT[part], sampling.weight_BT[part], sampling.valid_BT[part])
    return Batch(
        tuple(videos.names[i] for i in indices[part]),
        gather(features[part], own),
        own.valid_BT,
        videos.actions_VA[indices[part]],
    )


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
    """One update of the network, in training mode, by one process.

    Returns:
        The total loss and each term that is switched on.

    Raises:
        TrainingError: a loss is not finite; the network is left as it was.
    """
    return update(model, optimiser, batch, gradients(model, batch, config))


def gradients(
    model: AscNet, batch: Batch, config: LossConfig, *, share: float = 1.0, precision: Precision = "float32"
) -> dict[str, Tensor]:
    """The first half of a step, which waits for nobody: losses and gradients of a part of the batch.

    Args:
        model: the network; gets the gradients, and is left in training mode.
        batch: the part.
        config: terms and weights.
        share: the part's size over the whole batch's. All losses are means over videos, so that losses
            and gradients that are weighted by it have those of the whole batch as their sum.
        precision: of the layers.

    Returns:
        The total loss and each term that is switched on, times `share`, on the network's device.
    """
    device = model.attention.weight.device
    model.train()
    valid_BT = batch.valid_BT.to(device)
    model.zero_grad(set_to_none=True)
    with float32_products(precision):
        with layers_in(precision, device):
            output = model(batch.features_BTD.to(device), valid_BT)
            queries_BCD = model.queries(output.u_BTD, valid_BT) if config.weight_nce else None
        losses = total_loss(output, queries_BCD, batch.actions_BA.to(device), config)
        (losses.total * share).backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
    return {name: term.detach() * share for name, term in losses.present()}


def update(
    model: AscNet,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    losses: Mapping[str, Tensor],
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """The second half of a step: sums over the processes what `gradients` found, and updates.

    Returns:
        The losses of the whole batch.

    Raises:
        TrainingError: a loss is not finite, or a process is gone; the network is left as it was.
    """
    terms = torch.stack(list(losses.values()))
    # The settings decide which parameters have a gradient, and so they are the same in each process.
    ranks.sum_([terms, *(p.grad for p in model.parameters() if p.grad is not None)])
    # The only wait for the device: all numbers at once, and after the backward pass is under way.
    values = dict(zip(losses, terms.tolist(), strict=True))
    if not all(map(math.isfinite, values.values())):
        raise _not_finite(batch, values, ranks)
    optimiser.step()
    return values


def _not_finite(batch: Batch, values: Mapping[str, float], ranks: Ranks) -> TrainingError:
    """The stop on a loss that is no number, with the videos that it may come from."""
    terms = ", ".join(name for name, value in values.items() if not math.isfinite(value))
    finite_B = np.isfinite(batch.features_BTD.numpy()).all(axis=(1, 2))
    own_damaged = [name for name, finite in zip(batch.names, finite_B.tolist(), strict=True) if not finite]
    found = [json.loads(part) for part in ranks.gather(json.dumps([own_damaged, batch.names]).encode())]
    damaged = [name for part, _ in found for name in part]
    if damaged:
        return TrainingError(
            f"the loss is not finite ({terms}): features hold numbers that are not finite: {_some(damaged)}",
            hint="extract the features of these videos again",
        )
    return TrainingError(
        f"the loss is not finite ({terms}) in a batch of the videos"
        f" {_some([name for _, names in found for name in names])}",
        hint="begin a new run with a lower learning rate; what was learned before is in the checkpoints",
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN_VIDEOS])
    return shown if len(names) <= SHOWN_VIDEOS else f"{shown} and {len(names) - SHOWN_VIDEOS} more"
