"""What a training is taken up again from: `checkpoints/step-00000150.safetensors` and `.pt` beside it.

The first is a checkpoint like any other (`ascnet_cli.model.checkpoint`): it can be detected with. The
second holds what else the next step depends on: the optimiser's state, the random numbers' state, and the
best validation so far. It is written last and names the first by its SHA-256: a pair is there whole, or
it is not there. Only torch's `weights_only` loader ever reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ascnet_cli.errors import CheckpointError, WeightsError
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.checkpoint import load_checkpoint, save_checkpoint
from weights.atomic import replacing
from weights.torch_files import load_torch

FORMAT = 1
KEPT = 2  # pairs; the one before the last is there in case the last was damaged
_STEP = re.compile(r"step-(\d{8})\.pt")


@dataclass(frozen=True, slots=True)
class Best:
    """The chosen network's validation.

    Attributes:
        step: updates that the network had seen.
        map: its video-level mean average precision.
        peak: the highest one so far, of whichever network.
    """

    step: int
    map: float
    peak: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingState:
    """All that the steps after `step` depend on.

    Attributes:
        step: updates done.
        model: the network's tensors.
        optimiser: the state of the optimiser.
        random: from `seeding.random_state`.
        best: None before the first validation.
    """

    step: int
    model: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    random: Mapping[str, Tensor]
    best: Best | None


def save_state(
    folder: Path,
    *,
    step: int,
    model: AscNet,
    optimiser: torch.optim.Optimizer,
    random: Mapping[str, Tensor],
    best: Best | None,
    labels: tuple[str, ...],
    recipe: Mapping[str, object],
    localization: Mapping[str, object] | None = None,
) -> Path:
    """Writes the pair of a step and removes all but the newest pairs.

    Args:
        folder: where to.
        step: updates done.
        model: the network after them.
        optimiser: of the network's parameters.
        random: from `seeding.random_state`.
        best: the chosen network's validation.
        labels: names of the action classes.
        recipe: how the features were made.
        localization: from scores to segments, where it is not the preset's.

    Returns:
        The checkpoint.

    Raises:
        CheckpointError: the network holds numbers that are not finite.
        OutputError: the folder cannot be written to.
        StorageError: the disk is full.
    """
    path = folder / f"step-{step:08d}.safetensors"
    sha256 = save_checkpoint(
        path, model, labels=labels, recipe=recipe, localization=localization, extra={"step": step}
    )
    content = {
        "format": FORMAT,
        "step": step,
        "model_sha256": sha256,
        "optimiser": optimiser.state_dict(),
        "random": dict(random),
        "best": None if best is None else (best.step, best.map, best.peak),
    }
    with replacing(path.with_suffix(".pt")) as file:
        torch.save(content, file)
    steps = saved_steps(folder)
    for old in steps[KEPT:]:
        # The state first: without it what is left is no pair.
        (folder / f"step-{old:08d}.pt").unlink(missing_ok=True)
    kept = {f"step-{step:08d}.safetensors" for step in steps[:KEPT]}
    for network in folder.glob("step-*.safetensors"):
        if network.name not in kept:  # also what a kill between the two left alone
            network.unlink(missing_ok=True)
    return path


def saved_steps(folder: Path) -> list[int]:
    """The steps whose state was written, the newest first."""
    matches = [_STEP.fullmatch(path.name) for path in folder.glob("step-*.pt")]
    return sorted((int(match[1]) for match in matches if match), reverse=True)


def newest_state(folder: Path, device: torch.device) -> TrainingState | None:
    """The newest pair that is whole; None where none was ever written.

    Raises:
        CheckpointError: there are pairs, and every one of them is damaged.
    """
    problem: CheckpointError | None = None
    for step in saved_steps(folder):
        try:
            return load_state(folder, step, device)
        except CheckpointError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return None


def load_state(folder: Path, step: int, device: torch.device) -> TrainingState:
    """Reads the pair of a step.

    Raises:
        CheckpointError: a file is missing or damaged, or the two do not belong together.
    """
    model_path, path = folder / f"step-{step:08d}.safetensors", folder / f"step-{step:08d}.pt"
    checkpoint = load_checkpoint(model_path, device)
    content = _content(path)
    if content.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {content.get('format')}; this ascnet reads format {FORMAT}",
            hint="go on with the ascnet version that began the run, or begin a new run",
        )
    if content.get("model_sha256") != checkpoint.sha256:
        raise CheckpointError(f"{path} does not belong to {model_path.name}", hint=_BEGIN_AGAIN)
    try:
        return TrainingState(
            step=int(content["step"]),
            model=checkpoint.model.state_dict(),
            optimiser=dict(content["optimiser"]),
            random=dict(content["random"]),
            best=None if content["best"] is None else Best(*content["best"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is not the state of a training: {error}", hint=_BEGIN_AGAIN) from error


_BEGIN_AGAIN = "begin a new run"


def state_bytes(state: TrainingState) -> bytes:
    """A state as one process sends it to others."""
    content = {
        "step": state.step,
        "model": dict(state.model),
        "optimiser": dict(state.optimiser),
        "random": dict(state.random),
        "best": None if state.best is None else (state.best.step, state.best.map, state.best.peak),
    }
    file = BytesIO()
    torch.save(content, file)
    return file.getvalue()


def state_of_bytes(data: bytes) -> TrainingState:
    """The state that `state_bytes` wrote, on the CPU."""
    content = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    best = content.pop("best")
    return TrainingState(best=None if best is None else Best(*best), **content)


def _content(path: Path) -> dict[str, Any]:
    try:
        # To the CPU: the state of random numbers lives there, and the optimiser moves its own tensors.
        content = load_torch(path.read_bytes(), str(path))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}", hint=_BEGIN_AGAIN) from error
    except WeightsError as error:
        raise CheckpointError(f"{path} is damaged: {error}", hint=_BEGIN_AGAIN) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not the state of a training", hint=_BEGIN_AGAIN)
    return content
