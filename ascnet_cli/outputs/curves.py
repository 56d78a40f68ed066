"""What the network saw over time, for those who look at results: activations, attention, thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

# Classes drawn beside those with a segment: the runners-up say how clear the choice was.
N_RUNNERS_UP = 3
# Over 400 classes may have a segment where no bound is set; nobody compares more curves than these.
MAX_CLASSES = 40


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Curves:
    """Scores of K classes at T times of one video, as localization got them.

    Attributes:
        times_s: the middle of what each row's network looked at, seconds, rising. The last may lie behind
            the end of the video where its window was filled up.
        labels: the K classes, without repeats.
        activations_TK: Z_fg of section III-F, probabilities.
        attention_T: a_fg in [0, 1]; None for a model without one.
        alphas: thresholds on the activations.
        betas: thresholds on the attention.

    Raises:
        ValueError: shapes that do not fit each other, no rows, times that do not rise, numbers that are not
            finite, or a label twice.
    """

    times_s: Float64[np.ndarray, " t"]
    labels: tuple[str, ...]
    activations_TK: Float32[np.ndarray, "t k"]
    attention_T: Float32[np.ndarray, " t"] | None
    alphas: tuple[float, ...]
    betas: tuple[float, ...]

    def __post_init__(self) -> None:
        n_rows = len(self.times_s)
        if not n_rows or self.activations_TK.shape != (n_rows, len(self.labels)):
            raise ValueError(
                f"{n_rows} times and {len(self.labels)} labels do not fit activations of the shape "
                f"{self.activations_TK.shape}"
            )
        if self.attention_T is not None and self.attention_T.shape != (n_rows,):
            raise ValueError(f"attention of the shape {self.attention_T.shape} does not fit {n_rows} times")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"a label is there twice: {self.labels}")
        for name in ("times_s", "activations_TK", "attention_T"):
            values = getattr(self, name)
            if values is not None and not np.isfinite(values).all():
                raise ValueError(f"{name} holds numbers that are not finite")
        if (np.diff(self.times_s) <= 0).any():
            raise ValueError("times_s must rise")


def classes_that_matter(
    best_scores: Sequence[tuple[str, float]], video_scores: Sequence[tuple[str, float]]
) -> tuple[str, ...]:
    """Those with a segment, the best first, and the few that came next.

    Args:
        best_scores: label and score of each segment.
        video_scores: label and score of each class for the whole video.

    Returns:
        At most `MAX_CLASSES` labels, without repeats.
    """
    found = [label for label, _ in sorted(best_scores, key=lambda pair: (-pair[1], pair[0]))]
    ranked = [label for label, _ in sorted(video_scores, key=lambda pair: (-pair[1], pair[0]))]
    with_segment = tuple(dict.fromkeys(found))[:MAX_CLASSES]
    runners_up = [label for label in ranked if label not in with_segment][:N_RUNNERS_UP]
    return (*with_segment, *runners_up)[:MAX_CLASSES]
