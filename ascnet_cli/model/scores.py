"""What a model says about one video: scores over time, ready for localization. numpy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Scores:
    """Scores of C classes at T positions of one video; the background class is already gone.

    Attributes:
        cas: class activation sequence, probabilities: Z_fg of section III-F for ASC-Net.
        attention: class-agnostic attention a_fg in [0, 1]; all zero where it is to propose nothing.
        video: video-level probability of each class: y_fg of eq. 7 for ASC-Net.
        labels: the classes' names, in the order of the columns.
        positions: the feature row that each row of `cas` speaks of, rising: `arange(T)` unless the
            model thinned the video out. Row k covers the same time as feature row `positions[k]`.

    Raises:
        ValueError: shapes that do not fit each other, no rows, numbers that are not finite, labels that
            are empty or doubled, or positions that do not rise from 0 or more.
    """

    cas: Float32[np.ndarray, "t c"]
    attention: Float32[np.ndarray, " t"]
    video: Float32[np.ndarray, " c"]
    labels: tuple[str, ...]
    positions: Int64[np.ndarray, " t"]

    def __post_init__(self) -> None:
        if self.cas.ndim != 2 or len(self.cas) == 0:
            raise ValueError(f"scores need a row a position and a column a class, not {self.cas.shape}")
        n_rows, n_classes = self.cas.shape
        expected = {"attention": (n_rows,), "positions": (n_rows,), "video": (n_classes,)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} of scores {self.cas.shape} must be {shape}, not {getattr(self, name).shape}"
                )
        for name in ("cas", "attention", "video"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} holds numbers that are not finite")
        if len(self.labels) != n_classes or len(set(self.labels)) != n_classes or "" in self.labels:
            raise ValueError(f"{n_classes} classes need as many different labels, not {self.labels}")
        if self.positions[0] < 0 or (np.diff(self.positions) <= 0).any():
            raise ValueError("positions must rise from 0 or more")
