"""What our TV-L1 optical flow is computed with. Only numbers and names: nothing heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

from extractors.errors import OptionError


@dataclass(frozen=True, slots=True)
class TvL1Config:
    """Dual TV-L1 (Zach, Pock, Bischof 2007) as it is computed here; the defaults are OpenCV's.

    Attributes:
        tau: time step of the numerical scheme.
        data_weight: weight of the brightness term, lambda in the paper. Smaller is smoother.
        theta: tightness between the smooth and the data-faithful flow.
        n_scales: levels of the image pyramid, at most; a side is never under 16 pixels but at the finest.
        scale_step: size ratio of a level to the next finer one, in (0, 1).
        n_warps: warps a level.
        epsilon: root mean squared change of the flow, px, at which the iterations of a warp end.
        n_outer: outer iterations a warp.
        n_inner: inner iterations an outer one.
        median_px: side of the median filter before each outer iteration: 1 (none), 3 or 5 pixels.

    Raises:
        OptionError: a parameter is out of its range.
    """

    tau: float = 0.25
    data_weight: float = 0.15
    theta: float = 0.3
    n_scales: int = 5
    scale_step: float = 0.8
    n_warps: int = 5
    epsilon: float = 0.01
    n_outer: int = 10
    n_inner: int = 30
    median_px: int = 5

    def __post_init__(self) -> None:
        for name in ("tau", "data_weight", "theta", "epsilon"):
            self._require(getattr(self, name) > 0, name, "above 0")
        for name in ("n_scales", "n_warps", "n_outer", "n_inner"):
            self._require(getattr(self, name) >= 1, name, "at least 1")
        self._require(0 < self.scale_step < 1, "scale_step", "between 0 and 1")
        self._require(self.median_px in (1, 3, 5), "median_px", "1, 3 or 5")

    def as_recipe(self) -> dict[str, str | int | float]:
        """The algorithm's name and every parameter, for the feature recipe."""
        return {"algorithm": "tvl1", **asdict(self)}

    def _require(self, holds: bool, name: str, wanted: str) -> None:
        if not holds:
            raise OptionError(
                f"{type(self).__name__}.{name} must be {wanted}, not {getattr(self, name)!r}",
                hint="The defaults are those of the field; see the documentation of the optical flow.",
            )


# `exact` gives the numbers of OpenCV's defaults. `fast` takes a coarser pyramid and fewer warps.
TVL1_PRESETS: Mapping[str, TvL1Config] = MappingProxyType(
    {
        "exact": TvL1Config(),
        "fast": TvL1Config(n_scales=4, scale_step=0.5, n_warps=2),
    }
)
DEFAULT_TVL1_PRESET = "exact"
