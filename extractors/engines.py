"""What computes I3D, by name: a library and the precision of its arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, replace

from extractors.calibration import find_calibration
from extractors.errors import OptionError
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
