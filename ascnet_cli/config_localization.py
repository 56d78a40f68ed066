"""How scores become segments: every constant of the paper's section III-F, and its presets.

Two presets, for two data sets each:

- `paper`: the printed equations with the conventions of the method's ancestors (ACM-Net, CoLA, UM)
  where nothing is printed: a snippet's score sits at the start of its window, a proposal's
  surroundings are a cell longer on the left than on the right, and non-maximum suppression adds a
  second to lengths and overlaps.
- `fixed` (the default everywhere): these slips repaired. Each repair is one field, so that an ablation
  can switch it alone with `dataclasses.replace`.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from ascnet_cli.errors import OptionError

OuterMean = Literal["sides", "thresholded"]
Preset = Literal["paper", "fixed"]
Dataset = Literal["thumos14", "activitynet13"]

# Section IV-A, written out: a float range loses or gains its last point.
_ALPHAS_THUMOS14 = (0.20, 0.25)
_BETAS_THUMOS14 = (
    *(0.20, 0.22, 0.24, 0.26, 0.28, 0.30, 0.32, 0.34, 0.36, 0.38),
    *(0.40, 0.42, 0.44, 0.46, 0.48, 0.50, 0.52, 0.54, 0.56, 0.58),
    *(0.60, 0.62, 0.64, 0.66, 0.68, 0.70, 0.72, 0.74, 0.76, 0.78),
    *(0.80, 0.82, 0.84, 0.86, 0.88, 0.90, 0.92, 0.94, 0.96, 0.98),
)
# Far beyond any use; what is larger is damage, and makes scores of hundreds of digits, or fills the memory.
LARGEST_WEIGHT = 1000
MOST_CELLS = 1000
MOST_THRESHOLDS = 1000
_MOST_SHOWN = 10**20
_LONGEST_SHOWN = 100  # characters
_THRESHOLDS_ACTIVITYNET13 = (0.005, 0.010, 0.015, 0.020)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalizationConfig:
    """The constants between scores and segments.

    Attributes:
        alphas: thresholds on the class activation sequence Z_fg, each in [0, 1].
        betas: thresholds on the foreground attention a_fg; empty for models without attention.
        class_threshold: a class is looked for where its video score is above this.
        upsample: cells that a row of scores is divided into by linear interpolation.
        centre: True: a row's score is the score at the centre of its window, and the half windows
            at both ends hold the first and the last score. False, the ancestors' way: it is the
            score at the window's start, and what follows the last start is extrapolated.
        min_cells: shorter runs of cells are dropped.
        outer_fraction: cells looked at on each side of a proposal, as a share of its length (eq. 13).
        outer_even: True: that many cells on both sides, rounded up. False, the ancestors' way, by
            truncation of indices: rounded up on the left and down on the right.
        gamma: weight of the video score in a proposal's score (eq. 13).
        outer: "sides": the outer mean of eq. 13 is over Z_fg as it is; "thresholded", ACM-Net's way:
            for proposals from an alpha, cells below that alpha count as zero.
        nms_tiou: of two proposals of a class that overlap this much or more, the better one stays.
        nms_plus_one: True, the ancestors' way: one second is added to every length and overlap.

    Raises:
        ValueError: a value outside its range.
    """

    alphas: tuple[float, ...]
    betas: tuple[float, ...]
    class_threshold: float
    upsample: int = 20
    centre: bool = True
    min_cells: int = 2
    outer_fraction: float = 1 / 5
    outer_even: bool = True
    gamma: float = 0.25
    outer: OuterMean = "sides"
    nms_tiou: float = 0.4
    nms_plus_one: bool = False

    def __post_init__(self) -> None:
        for name in ("class_threshold", "outer_fraction", "gamma", "nms_tiou"):
            if not _is_number(getattr(self, name)):
                raise ValueError(f"{name} must be a number, not {_shown(getattr(self, name))}")
        for name in ("alphas", "betas"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not all(map(_is_number, values)):
                raise ValueError(f"{name} must be numbers, not {_shown(values)}")
            if len(values) > MOST_THRESHOLDS:
                raise ValueError(f"{name} must be {MOST_THRESHOLDS} at most, not {len(values)}")
            if not all(0 <= value <= 1 for value in values):
                raise ValueError(f"{name} must lie in [0, 1], not {_shown(values)}")
            if len(set(values)) != len(values):
                raise ValueError(f"{name} must differ from one another, not {_shown(values)}")
        if not self.alphas and not self.betas:
            raise ValueError("without alphas and betas there is no threshold to find segments with")
        if not abs(self.class_threshold) <= LARGEST_WEIGHT:
            raise ValueError(
                f"class_threshold must be finite and from -{LARGEST_WEIGHT} to {LARGEST_WEIGHT}, "
                f"not {_shown(self.class_threshold)}"
            )
        for name in ("upsample", "min_cells"):
            cells = getattr(self, name)
            if not isinstance(cells, int) or isinstance(cells, bool) or not 1 <= cells <= MOST_CELLS:
                raise ValueError(f"{name} must be an integer >= 1 and <= {MOST_CELLS}, not {_shown(cells)}")
        for name in ("centre", "outer_even", "nms_plus_one"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {_shown(getattr(self, name))}")
        if not 0 <= self.outer_fraction <= 1:
            raise ValueError(f"outer_fraction must lie in [0, 1], not {_shown(self.outer_fraction)}")
        if not 0 <= self.gamma <= LARGEST_WEIGHT:
            raise ValueError(f"gamma must be finite, >= 0 and <= {LARGEST_WEIGHT}, not {_shown(self.gamma)}")
        if self.outer not in get_args(OuterMean):
            raise ValueError(f"outer must be one of {get_args(OuterMean)}, not {_shown(self.outer)}")
        if not 0 < self.nms_tiou <= 1:
            raise ValueError(f"nms_tiou must lie in (0, 1], not {_shown(self.nms_tiou)}")

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as JSON can carry them (tuples as lists)."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LocalizationConfig:
        """What `to_dict` gave, back again.

        Raises:
            OptionError: a field is unknown, missing, or has a wrong type or value.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise OptionError(
                f"unknown localization options: {', '.join(unknown)}",
                hint=f"the options are {', '.join(sorted(known))}",
            )
        arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        try:
            return cls(**arguments)
        except (TypeError, ValueError, OverflowError) as error:  # a whole number may be larger than any float
            raise OptionError(
                f"localization options do not fit together: {error}", hint="see LocalizationConfig"
            ) from error


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: object) -> str:
    """A value in a message, however many digits or parts it has."""
    if isinstance(value, int) and abs(value) >= _MOST_SHOWN:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, tuple):
        return reprlib.repr(value)
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


_FIXED: dict[str, LocalizationConfig] = {
    "thumos14": LocalizationConfig(alphas=_ALPHAS_THUMOS14, betas=_BETAS_THUMOS14, class_threshold=0.25),
    "activitynet13": LocalizationConfig(
        alphas=_THRESHOLDS_ACTIVITYNET13, betas=_THRESHOLDS_ACTIVITYNET13, class_threshold=0.10
    ),
}

PRESETS: dict[str, dict[str, LocalizationConfig]] = {
    "fixed": _FIXED,
    "paper": {
        dataset: replace(config, centre=False, outer_even=False, nms_plus_one=True)
        for dataset, config in _FIXED.items()
    },
}


def localization_config(preset: str, dataset: str) -> LocalizationConfig:
    """The constants of a preset for a data set.

    Args:
        preset: "paper" or "fixed".
        dataset: "thumos14" or "activitynet13".

    Raises:
        OptionError: no such preset or data set.
    """
    if preset not in PRESETS:
        raise OptionError(f"unknown preset {preset!r}", hint=f"choose one of {', '.join(PRESETS)}")
    if dataset not in PRESETS[preset]:
        raise OptionError(
            f"no localization preset for the data set {dataset!r}",
            hint=f"choose one of {', '.join(PRESETS[preset])}",
        )
    return PRESETS[preset][dataset]
