"""Training: features and video labels in, a run folder with the chosen checkpoint out.

A step is a pure function of the network's and the optimiser's state, the state of the random numbers, the
step's number and the seed. So a run that was killed at any moment and is resumed from its last checkpoint
takes the same steps again, and on a CPU ends with the same weights to the bit.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ascnet_cli.config import NetworkConfig
from ascnet_cli.config_training import LossConfig, TrainingConfig
from ascnet_cli.errors import OptionError, TrainingError
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.checkpoint import save_checkpoint
from ascnet_cli.training.checkpoint import Best, newest_state, save_state
from ascnet_cli.training.run_folder import RunFolder, Tables
from ascnet_cli.training.seeding import own_random_numbers, random_state, set_random_state
from ascnet_cli.training.step import batch_of_step, make_optimiser, train_step
from ascnet_cli.training.validation import split_videos, validation_map
from ascnet_cli.training.videos import LabelledVideos

LOG_EVERY = 10  # steps; of each validation there is a line


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        step: updates done.
        n_steps: updates in all.
        losses: the total and each term of this step, before their weights.
        validation_map: where this step was followed by a validation.
    """

    step: int
    n_steps: int
    losses: Mapping[str, float]
    validation_map: float | None


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a run came to.

    Attributes:
        checkpoint: the network that was chosen; None where the run stopped before the first choice.
        step: updates done.
        finished: false where it was asked to stop before its end.
        best: the validation that chose it; None where none was made.
    """

    checkpoint: Path | None
    step: int
    finished: bool
    best: Best | None


def train(
    videos: LabelledVideos,
    run: Path,
    network: NetworkConfig,
    losses: LossConfig,
    config: TrainingConfig,
    *,
    recipe: Mapping[str, object],
    device: torch.device | str = "cpu",
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingResult:
    """Trains a network from video labels and writes the run's folder.

    The checkpoint chosen is the one with the highest video-level mAP on the held-out videos; of equal ones
    the last: that measure reaches its end long before the attention does.

    Args:
        videos: the training videos; some are held out.
        run: the run's folder.
        network: dimensions and options.
        losses: terms and weights.
        config: the schedule.
        recipe: how the features were made; the checkpoints carry it.
        device: where to.
        resume: take the run in the folder up again, from its last checkpoint; one that was not begun is.
        progress: called after each step.
        should_stop: asked after each step; when it says yes a checkpoint is written and the run ends, to
            be resumed.

    Raises:
        OptionError: settings do not fit the videos, or a resumed run's are others than it began with.
        TrainingError: a class has no training video, or a loss is not finite.
        FeatureError: features hold numbers that are not finite.
        CheckpointError: the run to resume is damaged.
        OutputError: the folder cannot be written to, or holds another run.
        StorageError: the disk is full.
    """
    device = torch.device(device)
    trained, held_out = prepare(videos, network, config)
    folder = RunFolder(run)
    tables = resolved(videos, network, losses, config, held_out, recipe)
    with own_random_numbers(config.seed, device):
        model = AscNet(network).to(device)
        optimiser = make_optimiser(model, config)
        state = newest_state(folder.checkpoints, device) if resume else None
        step, best = 0, None
        if resume and folder.begun:
            folder.resume(tables, state.step if state else 0)
        else:
            folder.begin(tables)
        if state is not None:
            model.load_state_dict(state.model)
            optimiser.load_state_dict(dict(state.optimiser))
            set_random_state(state.random, device)
            step, best = state.step, state.best
        return _run(
            _Training(model, optimiser, trained, held_out, losses, config, recipe, folder, device),
            step,
            best,
            progress or (lambda _: None),
            should_stop or (lambda: False),
        )


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
) -> Tables:
    """Everything that a run depends on, as tables of settings."""
    return {
        "network": dataclasses.asdict(network),
        "loss": dataclasses.asdict(losses),
        "training": dataclasses.asdict(config),
        "data": {
            "videos": len(videos.names),
            "held_out": len(held_out.names) if held_out else 0,
            "classes": len(videos.classes),
            "sha256": videos.digest(),
            "recipe": json.dumps(recipe, sort_keys=True),
        },
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Training:
    """What does not change from step to step but in content."""

    model: AscNet
    optimiser: torch.optim.Adam
    videos: LabelledVideos
    held_out: LabelledVideos | None
    losses: LossConfig
    config: TrainingConfig
    recipe: Mapping[str, object]
    folder: RunFolder
    device: torch.device

    def save(self, step: int, best: Best | None) -> None:
        """The pair of a step, to be taken up again from."""
        save_state(
            self.folder.checkpoints,
            step=step,
            model=self.model,
            optimiser=self.optimiser,
            random=random_state(self.device),
            best=best,
            labels=self.videos.classes,
            recipe=self.recipe,
        )

    def choose(self, step: int, best: Best | None) -> tuple[Best | None, float | None]:
        """Validates, and keeps the network as the chosen one where it is."""
        found = None
        if self.held_out is not None:
            found = validation_map(self.model, self.held_out)
            self.folder.event("validation", step=step, map=found)
            if best is not None and found < best.map:
                return best, found
            best = Best(step, found)
        extra: dict[str, object] = {"step": step, "validation_map": found}
        save_checkpoint(
            self.folder.best, self.model, labels=self.videos.classes, recipe=self.recipe, extra=extra
        )
        return best, found


def _run(
    training: _Training,
    step: int,
    best: Best | None,
    progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> TrainingResult:
    n_steps = training.config.n_updates(len(training.videos.names))
    folder, stopped = training.folder, False
    folder.event("start", step=step, n_steps=n_steps)
    while step < n_steps and not stopped:
        batch = batch_of_step(training.videos, training.config, step)
        try:
            values = train_step(training.model, training.optimiser, batch, training.losses)
        except TrainingError as error:
            folder.event("stop", step=step, reason=str(error), videos=list(batch.names))
            training.save(step, best)
            raise
        step += 1
        if step % LOG_EVERY == 0 or step == n_steps:
            folder.event("step", step=step, **values)
        found, stopped = None, should_stop()
        due = step % training.config.validate_every == 0 or step == n_steps
        if due:
            best, found = training.choose(step, best)
        if due or stopped:
            # After the chosen one: a run killed in between validates this step again, and finds the same.
            training.save(step, best)
        progress(Progress(step, n_steps, values, found))
    finished = step == n_steps
    folder.event("stop", step=step, reason="finished" if finished else "asked to")
    chosen = folder.best if folder.best.exists() else None
    return TrainingResult(chosen, step, finished, best)
