"""What an optical flow is computed with: one frozen value an algorithm, and its part of the feature recipe.

Only numbers and names live here: neither OpenCV nor torch is loaded to read or compare a recipe.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from extractors.errors import OptionError
from extractors.flow_config_tvl1 import DEFAULT_TVL1_PRESET, TVL1_PRESETS, TvL1Config

__all__ = [
    "ALGORITHMS",
    "FLOW_BOUND_PX",
    "FLOW_LEVELS",
    "RAFT_ARCHITECTURES",
    "DisConfig",
    "FlowConfig",
    "OpenCvTvL1Config",
    "RaftConfig",
    "Recipe",
    "TvL1Config",
    "flow_config",
    "flow_recipe",
]

ALGORITHMS = ("tvl1", "tvl1-opencv", "dis", "raft")
FLOW_BOUND_PX = 20.0  # kinetics-i3d README: "truncated to the range [-20, 20], then rescaled"
FLOW_LEVELS = 256  # the field stores flow as 8-bit images, and its checkpoints are used with them
RAFT_ARCHITECTURES = ("raft_small", "raft_large")

Recipe = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class OpenCvTvL1Config:
    """Dual TV-L1 (Zach, Pock, Bischof 2007) as OpenCV computes it; the defaults are OpenCV's.

    Attributes:
        tau: time step of the numerical scheme.
        data_weight: weight of the brightness term; OpenCV's lambda. Smaller is smoother.
        theta: tightness between the smooth and the data-faithful flow.
        gamma: weight of an illumination term; 0 switches it off.
        n_scales: levels of the image pyramid, at most.
        scale_step: size ratio of a level to the one below, in (0, 1).
        n_warps: warps a level.
        epsilon: stops the iterations early; larger is faster and coarser.
        n_outer: outer iterations a warp.
        n_inner: inner iterations an outer one.
        median_px: side of the median filter between outer iterations: 1 (none), 3 or 5 pixels.

    Raises:
        OptionError: a parameter is out of its range.
    """

    tau: float = 0.25
    data_weight: float = 0.15
    theta: float = 0.3
    gamma: float = 0.0
    n_scales: int = 5
    scale_step: float = 0.8
    n_warps: int = 5
    epsilon: float = 0.01
    n_outer: int = 10
    n_inner: int = 30
    median_px: int = 5

    def __post_init__(self) -> None:
        for name in ("tau", "data_weight", "theta", "epsilon"):
            _require(getattr(self, name) > 0, self, name, "above 0")
        for name in ("n_scales", "n_warps", "n_outer", "n_inner"):
            _require(getattr(self, name) >= 1, self, name, "at least 1")
        _require(self.gamma >= 0, self, "gamma", "at least 0")
        _require(0 < self.scale_step < 1, self, "scale_step", "between 0 and 1")
        _require(self.median_px in (1, 3, 5), self, "median_px", "1, 3 or 5")

    def as_recipe(self) -> Recipe:
        """The algorithm's name and every parameter, for the feature recipe."""
        return {"algorithm": "tvl1-opencv", **asdict(self)}


@dataclass(frozen=True, slots=True)
class DisConfig:
    """Dense inverse search (Kroeger et al. 2016) as OpenCV computes it; the defaults are its medium preset.

    Attributes:
        finest_scale: level of the pyramid where the search stops; 0 is the full size.
        patch_px: side of a patch.
        stride_px: distance between patches; smaller than `patch_px`.
        n_gradient: gradient descent iterations a patch.
        n_variational: fixed point iterations of the final refinement; 0 switches it off.
        variational_alpha: weight of smoothness in the refinement.
        variational_delta: weight of constant brightness in the refinement.
        variational_gamma: weight of constant gradients in the refinement.
        variational_epsilon: softens the refinement's robust norm.
        mean_normalization: compare patches without their mean brightness.
        spatial_propagation: start patches from their neighbours' flow as well.

    The coarsest level follows from the frame size.

    Raises:
        OptionError: a parameter is out of its range.
    """

    finest_scale: int = 1
    patch_px: int = 8
    stride_px: int = 3
    n_gradient: int = 25
    n_variational: int = 5
    variational_alpha: float = 20.0
    variational_delta: float = 5.0
    variational_gamma: float = 10.0
    variational_epsilon: float = 0.01
    mean_normalization: bool = True
    spatial_propagation: bool = True

    def __post_init__(self) -> None:
        _require(self.finest_scale >= 0, self, "finest_scale", "at least 0")
        _require(self.patch_px >= 4, self, "patch_px", "at least 4")
        _require(1 <= self.stride_px < self.patch_px, self, "stride_px", "at least 1 and below patch_px")
        _require(self.n_gradient >= 1, self, "n_gradient", "at least 1")
        _require(self.n_variational >= 0, self, "n_variational", "at least 0")
        for name in ("variational_alpha", "variational_delta", "variational_gamma"):
            _require(getattr(self, name) >= 0, self, name, "at least 0")
        _require(self.variational_epsilon > 0, self, "variational_epsilon", "above 0")

    def as_recipe(self) -> Recipe:
        """The algorithm's name and every parameter, for the feature recipe."""
        return {"algorithm": "dis", **asdict(self)}


@dataclass(frozen=True, slots=True)
class RaftConfig:
    """RAFT (Teed and Deng 2020), torchvision's network.

    Attributes:
        weights_sha256: of the weights' file: two RAFT checkpoints give two kinds of features.
        architecture: `raft_small` or `raft_large`; the tensors must be of it.
        n_updates: refinements of the flow; 12 is what RAFT was trained with.

    Raises:
        OptionError: the hash is not one, or a parameter is out of its range.
    """

    weights_sha256: str
    architecture: str = "raft_small"
    n_updates: int = 12

    def __post_init__(self) -> None:
        is_hash = len(self.weights_sha256) == 64 and set(self.weights_sha256) <= set("0123456789abcdef")
        _require(is_hash, self, "weights_sha256", "64 hexadecimal digits")
        _require(
            self.architecture in RAFT_ARCHITECTURES, self, "architecture", " or ".join(RAFT_ARCHITECTURES)
        )
        _require(self.n_updates >= 1, self, "n_updates", "at least 1")

    def as_recipe(self) -> Recipe:
        """The algorithm's name and every parameter, for the feature recipe."""
        return {"algorithm": "raft", **asdict(self)}


FlowConfig = TvL1Config | OpenCvTvL1Config | DisConfig | RaftConfig


def flow_config(
    algorithm: str,
    *,
    preset: str = DEFAULT_TVL1_PRESET,
    weights_sha256: str = "",
    architecture: str = "raft_small",
) -> FlowConfig:
    """The parameters of an algorithm: a preset's for our TV-L1, the defaults for the others.

    Args:
        algorithm: one of `ALGORITHMS`.
        preset: of `tvl1`, one of `TVL1_PRESETS`; the other algorithms have none.
        weights_sha256: of RAFT's weights; the other algorithms have none.
        architecture: of RAFT's weights.

    Raises:
        OptionError: there is no such algorithm or preset, or RAFT was named without its weights.
    """
    if algorithm == "tvl1":
        if preset not in TVL1_PRESETS:
            raise OptionError(
                f"{preset!r} is not a preset of tvl1", hint=f"Use one of: {', '.join(TVL1_PRESETS)}."
            )
        return TVL1_PRESETS[preset]
    if preset != DEFAULT_TVL1_PRESET:
        raise OptionError(
            f"the flow algorithm {algorithm} has no presets", hint="Leave the preset out, or use tvl1."
        )
    if algorithm == "tvl1-opencv":
        return OpenCvTvL1Config()
    if algorithm == "dis":
        return DisConfig()
    if algorithm == "raft":
        return RaftConfig(weights_sha256=weights_sha256, architecture=architecture)
    raise OptionError(
        f"{algorithm!r} is not an optical flow algorithm", hint=f"Use one of: {', '.join(ALGORITHMS)}."
    )


def flow_recipe(config: FlowConfig) -> Recipe:
    """All that decides the numbers the flow stream sees: algorithm, scaling and the rule at a video's end."""
    return {
        **config.as_recipe(),
        "bound_px": FLOW_BOUND_PX,
        "levels": FLOW_LEVELS,
        "rounding": "nearest of 127.5 + 6.375 px",
        "last_flow": "repeated",
    }


def _require(holds: bool, config: object, name: str, wanted: str) -> None:
    """Refuse a parameter, with its name and value."""
    if not holds:
        raise OptionError(
            f"{type(config).__name__}.{name} must be {wanted}, not {getattr(config, name)!r}",
            hint="The defaults are those of the field; see the documentation of the optical flow.",
        )
