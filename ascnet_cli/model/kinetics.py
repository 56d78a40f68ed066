"""The default model: I3D's own classification head as the class activation sequence of 400 actions.

Nothing is trained. I3D is fully convolutional in time, so its head can be read at every row of dense
features: the logits of a row are those that the published network would give if its final average saw that
row alone. There is no background class; what the network does not know shows as probability spread over
many classes, which no threshold lets through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from ascnet_cli.config_kinetics import KineticsConfig
from ascnet_cli.errors import FeatureError
from ascnet_cli.model.scores import Scores


def moving_mean(rows_TC: Float[np.ndarray, "t c"], width: int) -> Float64[np.ndarray, "t c"]:
    """Mean over `width` neighbouring rows; at the ends over those that exist.

    Args:
        rows_TC: one row a position.
        width: an odd number of rows.
    """
    half = width // 2
    sums = np.concatenate((np.zeros((1, rows_TC.shape[1])), np.cumsum(rows_TC, axis=0, dtype=np.float64)))
    index = np.arange(len(rows_TC))
    first, last = np.maximum(index - half, 0), np.minimum(index + half + 1, len(rows_TC))
    means: Float64[np.ndarray, "t c"] = (sums[last] - sums[first]) / (last - first)[:, None]
    return means


def softmax(logits_TC: Float64[np.ndarray, "t c"]) -> Float64[np.ndarray, "t c"]:
    """Probabilities along the last axis."""
    exponentials = np.exp(logits_TC - logits_TC.max(axis=-1, keepdims=True))
    probabilities: Float64[np.ndarray, "t c"] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def peak_mean(cas_TC: Float64[np.ndarray, "t c"], n_rows: int) -> Float64[np.ndarray, " c"]:
    """Mean of each class's best rows, or of all where there are fewer: multiple-instance pooling."""
    k = min(n_rows, len(cas_TC))
    best = np.partition(cas_TC, len(cas_TC) - k, axis=0)[len(cas_TC) - k :]
    means: Float64[np.ndarray, " c"] = best.mean(axis=0)
    return means


@dataclass(frozen=True, slots=True, eq=False)
class KineticsModel:
    """I3D's linear head over features.

    Attributes:
        weight: (C, D) of the head.
        bias: (C,) of the head.
        labels: the C class names.
        config: smoothing and pooling.
    """

    weight: Float32[np.ndarray, "c d"]
    bias: Float32[np.ndarray, " c"]
    labels: tuple[str, ...]
    config: KineticsConfig

    def logits(self, features_TD: Float32[np.ndarray, "t d"]) -> Float32[np.ndarray, "t c"]:
        """The head at each row.

        Raises:
            FeatureError: features of another width.
        """
        if features_TD.shape[1] != self.weight.shape[1]:
            raise FeatureError(
                f"the head wants features of {self.weight.shape[1]} numbers, not {features_TD.shape[1]}",
                hint="extract RGB features with the default weights",
            )
        logits: Float32[np.ndarray, "t c"] = features_TD @ self.weight.T + self.bias
        return logits

    def score(self, features_TD: Float32[np.ndarray, "t d"]) -> Scores:
        """Scores of one video for localization; there is no attention, so it proposes nothing."""
        cas_TC = softmax(moving_mean(self.logits(features_TD), self.config.smooth_rows))
        return Scores(
            cas=cas_TC.astype(np.float32),
            attention=np.zeros(len(cas_TC), np.float32),
            video=peak_mean(cas_TC, self.config.peak_rows).astype(np.float32),
            labels=self.labels,
            positions=np.arange(len(cas_TC)),
        )
