"""The presets of the network as frozen values: the only place where its constants have defaults.

Two presets: `paper` follows the printed equations, with the conventions of the method's ancestors
where nothing is printed; `fixed` (the default) is `paper` with its defects repaired. Each repair is
one field, so that `dataclasses.replace` switches it alone: `subtract_mean`, `selector`, `guide`,
`query_form`, `query_dim` and `inference_snippets`. Numbers come from section IV-A of the paper unless a
comment says otherwise.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ascnet_cli.errors import OptionError

Preset = Literal["paper", "fixed"]
Dataset = Literal["thumos14", "activitynet13"]
Selector = Literal["fixed", "literal", "attention", "none"]
Variant = Literal["both", "class_aware", "class_agnostic"]
GuideTarget = Literal["v", "z_fg"]
QueryForm = Literal["paper", "fixed"]

PRESETS: tuple[Preset, ...] = typing.get_args(Preset)
DATASETS: tuple[Dataset, ...] = typing.get_args(Dataset)
DEFAULT_PRESET: Preset = "fixed"

_SIGMAS: dict[Dataset, tuple[int, int, int]] = {"thumos14": (8, 8, 3), "activitynet13": (2, 10, 10)}
_EMBED_DROPOUT: dict[Dataset, float] = {"thumos14": 0.0, "activitynet13": 0.5}  # ACM-Net
_TRAINING_SNIPPETS: dict[Dataset, int] = {"thumos14": 750, "activitynet13": 75}
_WIDEST = 2**20  # numbers in a row, classes: beyond that a number is damaged


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Everything that decides the shape and the arithmetic of one ASC-Net.

    Attributes:
        n_classes: C, the number of action classes; the background comes on top of them.
        in_dim: D_in, the width of a feature row: 2048 for RGB and flow, 1024 for one of them.
        preset: the preset that these values started from; localization takes its constants from it too.
        dataset: the data set whose constants these are; a folder of one's own borrows one.
        embed_dim: D, the width of the embedding: in the presets that of the features (section IV-A).
        subtract_mean: the network looks at features less the training snippets' mean. I3D features are not
            negative and share most of their length with that mean: where videos look alike, attention
            moves along it for all snippets together, to all or nothing, and stays there.
        embed_dropout: dropout before the embedding; 0 switches it off.
        dropout: dropout before the classifier of snippets.
        sigma_fg: the foreground branch pools the floor(T / sigma) best of T snippets, at least one.
        sigma_ct: the same for the context branch.
        sigma_bg: the same for the background branch.
        selector: how eq. 5 ranks snippets. `literal`: by the printed sum of z over the action classes;
            `fixed`: by attention times the class-aware branch's probability of any action (of the
            background, for the background branch); `attention`: by attention alone; `none`: every
            snippet is in every set.
        variant: whose video-level prediction is used: both branches' mean (eq. 7), or one branch's.
        guide: what eq. 11 compares the attention with: the background probability softmax(`z_fg`), as
            printed, or softmax(`v`), which does not tend to 1 / (C + 1) where the attention vanishes.
        query_form: eq. 9 as printed (`paper`), or with a residual and unit length (`fixed`).
        query_dim: d_k, the width in which queries and snippets are compared.
        inference_snippets: longer videos are thinned to this many snippets at inference; None uses all.

    Raises:
        OptionError: a value is outside its range, or two of them contradict each other.
    """

    n_classes: int
    in_dim: int
    preset: Preset
    dataset: Dataset
    sigma_fg: int
    sigma_ct: int
    sigma_bg: int
    subtract_mean: bool
    embed_dropout: float
    selector: Selector
    guide: GuideTarget
    query_form: QueryForm
    query_dim: int
    inference_snippets: int | None
    embed_dim: int
    dropout: float = 0.5
    variant: Variant = "both"

    def __post_init__(self) -> None:
        for name in ("n_classes", "in_dim", "embed_dim", "query_dim", "sigma_fg", "sigma_ct", "sigma_bg"):
            if not 1 <= getattr(self, name) <= _WIDEST:
                raise OptionError(f"{name} must be from 1 to {_WIDEST}, not {getattr(self, name)}")
        for name in ("embed_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise OptionError(f"{name} must be in [0, 1), not {getattr(self, name)}")
        if self.inference_snippets is not None and self.inference_snippets < 1:
            raise OptionError(f"inference_snippets must be at least 1, not {self.inference_snippets}")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise OptionError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if self.variant == "class_agnostic" and self.selector in ("fixed", "literal"):
            raise OptionError(
                f"variant 'class_agnostic' cannot be combined with selector {self.selector!r}: that selector"
                " reads the class-aware branch, which this variant does not train",
                hint="choose the selector 'none' or 'attention'.",
            )

    @property
    def sigmas(self) -> tuple[int, int, int]:
        """Sigma of the foreground, context and background branch, in this order."""
        return (self.sigma_fg, self.sigma_ct, self.sigma_bg)

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> NetworkConfig:
        """Builds a configuration from names and values that came out of a file.

        Raises:
            OptionError: a field is missing, unknown or of the wrong type, or a value is out of range.
        """
        hints = typing.get_type_hints(cls)
        wrong = [f"{name} is missing" for name in hints if name not in values]
        wrong += [f"{name} is unknown" for name in values if name not in hints]
        wrong += [
            f"{name} cannot be {value!r}"
            for name, value in values.items()
            if name in hints and not fits(value, hints[name])
        ]
        if wrong:
            raise OptionError("network configuration: " + "; ".join(wrong))
        return cls(**values)  # type: ignore[arg-type]  # checked field by field above


_CHOICES: dict[str, tuple[str, ...]] = {
    "preset": typing.get_args(Preset),
    "dataset": typing.get_args(Dataset),
    "selector": typing.get_args(Selector),
    "variant": typing.get_args(Variant),
    "guide": typing.get_args(GuideTarget),
    "query_form": typing.get_args(QueryForm),
}


def fits(value: object, hint: object) -> bool:
    """Whether a value read from JSON or TOML has the type that a field is annotated with."""
    if isinstance(hint, types.UnionType):
        return any(fits(value, option) for option in typing.get_args(hint))
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if hint is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max  # type: ignore[arg-type]
    return type(value) is hint


def network_config(preset: str, dataset: str, *, n_classes: int, in_dim: int) -> NetworkConfig:
    """The network's configuration for a preset and a data set, by name.

    Args:
        preset: `paper` or `fixed`.
        dataset: `thumos14` or `activitynet13`.
        n_classes: C, the action classes without the background.
        in_dim: the width of a feature row.

    Raises:
        OptionError: an unknown name, or a dimension below 1.
    """
    if preset not in PRESETS:
        raise OptionError(f"unknown preset {preset!r}", hint=f"choose one of {', '.join(PRESETS)}.")
    if dataset not in DATASETS:
        raise OptionError(f"unknown data set {dataset!r}", hint=f"choose one of {', '.join(DATASETS)}.")
    fixed = preset == "fixed"
    sigma_fg, sigma_ct, sigma_bg = _SIGMAS[dataset]
    return NetworkConfig(
        n_classes=n_classes,
        in_dim=in_dim,
        preset=preset,
        dataset=dataset,
        sigma_fg=sigma_fg,
        sigma_ct=sigma_ct,
        sigma_bg=sigma_bg,
        embed_dim=in_dim,
        subtract_mean=fixed,
        embed_dropout=_EMBED_DROPOUT[dataset],
        selector="fixed" if fixed else "literal",
        guide="v" if fixed else "z_fg",
        query_form="fixed" if fixed else "paper",
        # "d_k is the dimension of representations" (section III-D); the narrow one is a choice of ours.
        query_dim=256 if fixed else in_dim,
        inference_snippets=None if fixed else _TRAINING_SNIPPETS[dataset],
    )
