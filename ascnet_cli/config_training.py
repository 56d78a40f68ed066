"""How a network is trained: the losses' options and weights, and the schedule, as frozen values.

Presets as in `ascnet_cli.config`: `paper` follows the printed equations, `fixed` (the default) repairs
them. Of the losses two repairs lie here, `nce_temperature` and `nce_target`; the other two, `guide` and
`query_form`, decide what the network computes and are fields of `NetworkConfig`. Numbers come from
section IV-A of the paper unless a comment says otherwise.
"""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass, fields
from typing import Literal

from ascnet_cli.config import DATASETS, PRESETS, Dataset, Preset, Variant
from ascnet_cli.errors import OptionError

NceTarget = Literal["any", "labels"]
GuideReduction = Literal["sum", "mean"]
ShortVideo = Literal["stretch", "repeat", "keep"]
Precision = Literal["float32", "bfloat16", "tf32"]

ADAM_BETAS = (0.9, 0.999)  # not printed: Adam's own
ADAM_EPSILON = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """The terms of eq. 12. A term whose weight is 0 is switched off: it is not computed.

    Attributes:
        weight_fg: weight of the foreground's classification loss.
        weight_ct: lambda_1, of the context's.
        weight_bg: lambda_2, of the background's.
        weight_nce: lambda_3, of the contrastive loss, eq. 10.
        weight_gui: lambda_4, of the guide loss, eq. 11.
        nce_temperature: similarities in eq. 10 are divided by it; 1 is the printed equation.
        nce_target: which classes a snippet may be taken for in eq. 10: `any`, or the video's own `labels`
            and the background.
        guide_detach: the attention in eq. 11 receives no gradient from it, so that it teaches the
            class-aware branch and not the other way round (ACM-Net).
        guide_reduction: eq. 11 is the `sum` over a video's snippets (ACM-Net; lambda_4 suits it), or
            their `mean`, as printed; either way the mean over videos.

    Raises:
        OptionError: a value is outside its range, or every term is off.
    """

    nce_temperature: float
    nce_target: NceTarget
    weight_fg: float = 1.0
    weight_ct: float = 0.1
    weight_bg: float = 0.1
    weight_nce: float = 0.1
    weight_gui: float = 7e-3
    guide_detach: bool = True
    guide_reduction: GuideReduction = "sum"

    def __post_init__(self) -> None:
        weights = [field.name for field in fields(self) if field.name.startswith("weight_")]
        for name in weights:
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise OptionError(f"{name} must be finite and >= 0, not {getattr(self, name)}")
        if not any(getattr(self, name) for name in weights):
            raise OptionError("every term of the loss is switched off", hint="give one of them a weight")
        if not (math.isfinite(self.nce_temperature) and self.nce_temperature > 0):
            raise OptionError(f"nce_temperature must be finite and > 0, not {self.nce_temperature}")
        _check_choice("nce_target", self.nce_target, NceTarget)
        _check_choice("guide_reduction", self.guide_reduction, GuideReduction)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """The schedule: what a step sees, how long it goes on, and what is held out.

    Attributes:
        preset: the preset that these values started from.
        dataset: the data set whose constants these are; a folder of one's own borrows one.
        snippets: L; a longer video is thinned to L snippets, one drawn from each of L equal strata.
        short: what becomes of a video with fewer than L snippets: linear `stretch` to L; `repeat`: L
            sorted random draws with replacement (ACM-Net); `keep`: it stays as it is, and batches are padded.
        batch_size: videos a step.
        learning_rate: of Adam.
        weight_decay: of Adam, as an L2 penalty.
        updates: the number of steps; None where `epochs` says it.
        epochs: passes over the training videos; None where `updates` says it.
        validate_every: steps from one validation to the next; checkpoints are written as often.
        validation_fraction: share of the training videos held out to choose the checkpoint by; with 0
            the last one is taken.
        split_seed: draws the videos that are held out. Apart from `seed`, so that runs with different
            seeds are judged on the same videos.
        seed: draws the initial weights, the order of videos, the snippets and the dropout.
        precision: what convolutions and linear layers compute in, see `ascnet_cli.training.precision`.

    Raises:
        OptionError: a value is outside its range, or not exactly one of `updates` and `epochs` is given.
    """

    preset: Preset
    dataset: Dataset
    snippets: int
    batch_size: int
    weight_decay: float
    updates: int | None
    epochs: int | None
    validate_every: int
    short: ShortVideo = "stretch"
    learning_rate: float = 1e-4
    validation_fraction: float = 0.1  # ours: 20 of the 200 videos of THUMOS14
    split_seed: int = 0
    seed: int = 0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if (self.updates is None) == (self.epochs is None):
            raise OptionError(
                f"exactly one of updates and epochs must be given, not {self.updates} and {self.epochs}"
            )
        for name in ("snippets", "batch_size", "updates", "epochs", "validate_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"{name} must be at least 1, not {value}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise OptionError(f"learning_rate must be finite and > 0, not {self.learning_rate}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise OptionError(f"weight_decay must be finite and >= 0, not {self.weight_decay}")
        if not 0 <= self.validation_fraction < 1:
            raise OptionError(f"validation_fraction must be in [0, 1), not {self.validation_fraction}")
        for name in ("seed", "split_seed"):
            if not 0 <= getattr(self, name) < 2**63:
                raise OptionError(f"{name} must be in [0, 2^63), not {getattr(self, name)}")
        _check_choice("preset", self.preset, Preset)
        _check_choice("dataset", self.dataset, Dataset)
        _check_choice("short", self.short, ShortVideo)
        _check_choice("precision", self.precision, Precision)

    def n_updates(self, n_videos: int) -> int:
        """The number of steps with this many training videos; videos are dealt out without a break."""
        if self.updates is not None:
            return self.updates
        return math.ceil((self.epochs or 0) * n_videos / self.batch_size)


def loss_config(preset: str, *, variant: Variant = "both") -> LossConfig:
    """The losses of a preset.

    Args:
        preset: `paper` or `fixed`.
        variant: with `class_agnostic`, eqs. 10 and 11 are off: both read the class-aware branch, which
            that variant does not train (section IV-C, on Tables VII and VIII).

    Raises:
        OptionError: an unknown name.
    """
    if preset not in PRESETS:
        raise OptionError(f"unknown preset {preset!r}", hint=f"choose one of {', '.join(PRESETS)}.")
    alone = variant == "class_agnostic"
    return LossConfig(
        # Without a temperature the similarities of unit vectors, all in [-1, 1], cannot tell 21 classes
        # apart: the loss cannot fall below log(1 + C exp(-2)). 0.1 is common for contrastive losses.
        nce_temperature=1.0 if preset == "paper" else 0.1,
        nce_target="any" if preset == "paper" else "labels",
        weight_nce=0.0 if alone else 0.1,
        weight_gui=0.0 if alone else 7e-3,
    )


def training_config(preset: str, dataset: str) -> TrainingConfig:
    """The schedule of a preset for a data set.

    Args:
        preset: `paper` or `fixed`.
        dataset: `thumos14` or `activitynet13`.

    Raises:
        OptionError: an unknown name.
    """
    if preset not in PRESETS:
        raise OptionError(f"unknown preset {preset!r}", hint=f"choose one of {', '.join(PRESETS)}.")
    if dataset not in DATASETS:
        raise OptionError(f"unknown data set {dataset!r}", hint=f"choose one of {', '.join(DATASETS)}.")
    if dataset == "activitynet13":
        return TrainingConfig(
            preset=preset,
            dataset=dataset,
            snippets=75,
            batch_size=32,
            weight_decay=1e-3,  # ACM-Net
            updates=None,
            epochs=30,
            validate_every=250,  # ours: about an epoch
        )
    return TrainingConfig(
        preset=preset,
        dataset=dataset,
        snippets=750,
        batch_size=8,
        weight_decay=5e-5,  # ACM-Net
        # 750 are the paper's 30 epochs of 200 videos; 5000 are ours. Counted in steps, so that holding
        # videos out does not shorten the training.
        updates=750 if preset == "paper" else 5000,
        epochs=None,
        validate_every=25 if preset == "paper" else 100,  # ours
    )


def _check_choice(name: str, value: str, kind: object) -> None:
    allowed = typing.get_args(kind)
    if value not in allowed:
        raise OptionError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
