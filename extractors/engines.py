"""What computes I3D, by name: a library and the precision of its arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from extractors.calibration import find_calibration
from extractors.errors import DeviceError, OptionError
from extractors.recipe import FeatureRecipe


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to compute I3D.

    Attributes:
        library: "torch" or "openvino".
        precision: of its arithmetic.
    """

    library: str
    precision: str


ENGINES = {
    "torch": Engine("torch", "float32"),
    "torch-bfloat16": Engine("torch", "bfloat16"),
    "torch-float16": Engine("torch", "float16"),
    "openvino": Engine("openvino", "float32"),
    "openvino-int8": Engine("openvino", "int8"),
}


# Of a network's inputs and features, by the recipe's precision; 8 bits are OpenVINO's own matter inside.
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.float32,
}


def engine_named(name: str) -> Engine:
    """The engine of this name.

    Raises:
        OptionError: there is none.
    """
    if name not in ENGINES:
        raise OptionError(f"unknown engine {name!r}", hint=f"choose {', '.join(ENGINES)}")
    return ENGINES[name]


def with_engine(recipe: FeatureRecipe, name: str) -> FeatureRecipe:
    """The same recipe, computed by another engine.

    Raises:
        OptionError: an unknown engine, or one that the recipe's backbone does not have.
        WeightsError: 8 bits, and the weights have no calibration here.
    """
    engine = engine_named(name)
    calibration = None
    if engine.precision == "int8":
        calibration = {stream: find_calibration(sha).sha256 for stream, sha in recipe.weights.items()}
    return replace(recipe, engine=engine.library, precision=engine.precision, calibration=calibration)


def check_device(recipe: FeatureRecipe, device: torch.device) -> None:
    """Refuse a device on which the recipe's engine does not run, or not in reasonable time.

    Raises:
        DeviceError: naming both.
    """
    if recipe.engine == "openvino" and device.type != "cpu":
        raise DeviceError(f"OpenVINO runs on the processor, not on {device}", hint="use --device cpu")
    if device.type == "cpu" and recipe.precision in ("bfloat16", "float16"):
        # A snippet takes minutes on a processor without units for it.
        raise DeviceError(
            f"{recipe.precision} is for graphics cards", hint="use --device cuda, or the engine torch"
        )
