"""How features were made: everything that changes their numbers, and nothing else.

Features of two recipes must not be mixed, so a feature file carries its recipe, a model carries the recipe
of the features that it was trained on, and the two are compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from extractors.errors import FeatureError, OptionError
from extractors.networks import BACKBONES, DIMS, INPUT_PX
from extractors.snippets import GRIDS, TimeGrid
from extractors.video import DECODERS, RESIZE_SIDE

STREAMS = ("rgb", "flow")  # concatenated in this order
_CHOSEN = ("weights", "backbone", "context", "decoder", "flow", "precision")  # the others follow from these
_CHOSEN_LATER = ("engine", "calibration")  # said only where they are not the first value
# What computes, and the precisions that each can compute in.
LIBRARIES = {"torch": ("float32", "bfloat16", "float16"), "openvino": ("float32", "int8")}


@dataclass(frozen=True, slots=True)
class FeatureRecipe:
    """Everything that decides a video's features.

    Attributes:
        weights: sha256 of each stream's weights; its keys are the streams.
        backbone: "i3d" or "i3d_r50".
        context: "snippet" (isolated 16 frames, the paper's) or "dense" (one pass over the video, a row
            every 8 frames).
        decoder: "pyav" or "decord"; their resizing differs by about one grey level.
        flow: algorithm and parameters of the flow stream (`extractors.flow.flow_recipe`); None without it.
        precision: of the network's arithmetic.
        engine: the library that does it: "torch" or "openvino".
        calibration: sha256 of each stream's calibration, where the precision is "int8".

    Raises:
        OptionError: a name is unknown, or the parts contradict each other.
    """

    weights: dict[str, str]
    backbone: str = "i3d"
    context: str = "snippet"
    decoder: str = "pyav"
    flow: dict[str, str | int | float] | None = field(default=None)
    precision: str = "float32"
    engine: str = "torch"
    calibration: dict[str, str] | None = None

    def __post_init__(self) -> None:
        for what, value, known in (
            ("backbone", self.backbone, BACKBONES),
            ("context", self.context, GRIDS),
            ("decoder", self.decoder, DECODERS),
            ("engine", self.engine, LIBRARIES),
            ("precision", self.precision, LIBRARIES.get(self.engine, ())),
        ):
            if value not in known:
                raise OptionError(f"unknown {what} {value!r}", hint=f"choose {' or '.join(known)}")
        if not self.weights or set(self.weights) - set(BACKBONES[self.backbone]):
            raise OptionError(
                f"{self.backbone} has the streams {' and '.join(BACKBONES[self.backbone])},"
                f" not {' and '.join(self.weights) or 'none'}"
            )
        if ("flow" in self.weights) != (self.flow is not None):
            raise OptionError("a flow stream needs a flow algorithm, and a flow algorithm a flow stream")
        if (self.precision == "int8") != (self.calibration is not None):
            raise OptionError("8 bits need a calibration, and a calibration 8 bits")
        if self.calibration is not None and set(self.calibration) != set(self.weights):
            raise OptionError("8 bits need a calibration of each stream's weights")
        if self.engine != "torch" and self.backbone != "i3d":
            raise OptionError(f"{self.backbone} runs on PyTorch alone", hint="use the engine `torch`")
        if self.context == "dense" and self.backbone != "i3d":
            raise OptionError(f"{self.backbone} has no dense context", hint="use the context `snippet`")

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams, in the order in which their features are concatenated."""
        return tuple(stream for stream in STREAMS if stream in self.weights)

    @property
    def dim(self) -> int:
        """Length of a row of features."""
        return DIMS[self.backbone] * len(self.weights)

    @property
    def grid(self) -> TimeGrid:
        """Where the rows lie in time."""
        return GRIDS[self.context]

    def as_dict(self) -> dict[str, Any]:
        """For sidecars and checkpoints: plain values, one name for each fact."""
        values: dict[str, Any] = {
            "backbone": self.backbone,
            "context": self.context,
            "crop_px": INPUT_PX,
            "decoder": self.decoder,
            "dim": self.dim,
            "flow": self.flow,
            "fps": self.grid.fps,
            "lag_frames": self.grid.lag_frames,
            "precision": self.precision,
            "resize": f"shorter side {RESIZE_SIDE}, bilinear",
            "streams": list(self.streams),
            "stride_frames": self.grid.stride_frames,
            "weights": dict(sorted(self.weights.items())),
            "window_frames": self.grid.window_frames,
        }
        # Left out where it is PyTorch: features made before there was a choice are of the same recipe.
        if self.engine != "torch":
            values["engine"] = self.engine
        if self.calibration is not None:
            values["calibration"] = dict(sorted(self.calibration.items()))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureRecipe:
        """What `as_dict` gave, back again.

        Raises:
            FeatureError: this program cannot make such features; the message names the first difference.
        """
        try:
            chosen = {name: values[name] for name in _CHOSEN}
            chosen |= {name: values[name] for name in _CHOSEN_LATER if name in values}
            recipe = cls(**chosen)
        except (KeyError, TypeError, OptionError) as error:
            raise FeatureError(
                f"these features cannot be made here: {error}", hint="a newer ascnet may know the recipe"
            ) from error
        made = recipe.as_dict()
        for name in sorted(made.keys() | values.keys()):
            if made.get(name) != values.get(name):
                raise FeatureError(
                    f"these features cannot be made here: {name} is {values.get(name)}, this program makes"
                    f" {made.get(name)}",
                    hint="use the version of ascnet that made the model",
                )
        return recipe

    def digest(self) -> str:
        """sha256 of the canonical JSON of `as_dict`."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
