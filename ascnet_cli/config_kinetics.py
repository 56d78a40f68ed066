"""The constants of the default model, `kinetics400`; README.md says how they were chosen."""

from __future__ import annotations

from dataclasses import dataclass

from ascnet_cli.config_localization import LocalizationConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class KineticsConfig:
    """From I3D's logits to scores over time.

    Attributes:
        weights: registry name of the I3D whose classification head is read.
        context: of its features.
        smooth_rows: logits are averaged over this many neighbouring rows, an odd number.
        video_share: a class's video score is the mean of its best share of rows.
        min_score: segments that score lower are left out unless asked for.
        localization: thresholds.

    Raises:
        ValueError: a value outside its range.
    """

    weights: str = "i3d-rgb-kinetics400"
    context: str = "dense"
    smooth_rows: int = 5
    video_share: float = 1 / 8
    min_score: float = 0.1
    localization: LocalizationConfig

    def __post_init__(self) -> None:
        if self.smooth_rows < 1 or self.smooth_rows % 2 == 0:
            raise ValueError(f"smooth_rows must be odd and positive, not {self.smooth_rows}")
        if not 0 < self.video_share <= 1:
            raise ValueError(f"video_share must lie in (0, 1], not {self.video_share}")


KINETICS400 = KineticsConfig(
    localization=LocalizationConfig(alphas=(0.2, 0.3, 0.4, 0.5), betas=(), class_threshold=0.3)
)
