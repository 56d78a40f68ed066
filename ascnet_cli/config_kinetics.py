"""The constants of the default model, `kinetics400`."""

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
        peak_rows: a class's video score is the mean of its best rows, this many (2.56 s for 8). A share of
            all rows, as in eq. 3, would lose a short action in a long video.
        min_score: segments that score lower are left out unless asked for.
        localization: thresholds.

    Raises:
        ValueError: a value outside its range.
    """

    weights: str = "i3d-rgb-kinetics400"
    context: str = "dense"
    smooth_rows: int = 5
    peak_rows: int = 8
    min_score: float = 0.4
    localization: LocalizationConfig

    def __post_init__(self) -> None:
        if self.smooth_rows < 1 or self.smooth_rows % 2 == 0:
            raise ValueError(f"smooth_rows must be odd and positive, not {self.smooth_rows}")
        if self.peak_rows < 1:
            raise ValueError(f"peak_rows must be positive, not {self.peak_rows}")


# Chosen with `python -m tests.bench.kinetics_settings`; what it printed is in README.md, "How well".
KINETICS400 = KineticsConfig(
    localization=LocalizationConfig(
        alphas=(0.3,),
        betas=(),
        class_threshold=0.2,
        min_cells=20,  # a row: shorter runs are flicker
    )
)
