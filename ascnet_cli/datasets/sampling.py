"""Which snippets of a video a training step sees: all videos of a batch at once, without a loop.

Letters in names are axes: B videos, T snippets of the sampled batch, D width of a feature row. A video of
n snippets becomes one of L: where n >= L one snippet is drawn from each of L equal strata, and where
n < L the option `short` decides. Inference sees whole videos: `ascnet_cli.model.ascnet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from ascnet_cli.config_training import ShortVideo


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """Where the rows of a batch come from: row + weight, a position between two snippets of the video.

    Attributes:
        row_BT: index of a snippet; 0 beyond a video's end.
        weight_BT: in [0, 1): share of the snippet after it; 0 takes the row as it is.
        valid_BT: true from index 0 to each video's own end.
    """

    row_BT: Int64[Tensor, "b t"]
    weight_BT: Float32[Tensor, "b t"]
    valid_BT: Bool[Tensor, "b t"]


def sample(
    lengths_B: Int64[Tensor, " b"], n_snippets: int, short: ShortVideo, generator: torch.Generator
) -> Sampling:
    """Draws the snippets that one step sees.

    Args:
        lengths_B: snippets of each video, at least one.
        n_snippets: L.
        short: what becomes of shorter videos: see `TrainingConfig.short`.
        generator: of the CPU; the same numbers are drawn from it whatever the lengths and options are.

    Raises:
        ValueError: a video has no snippet, or L is not positive.
    """
    if n_snippets < 1 or bool((lengths_B < 1).any()):
        raise ValueError(f"lengths {lengths_B.tolist()} and L = {n_snippets} must be at least 1")
    n_B1 = lengths_B.unsqueeze(1)
    uniform_BT = torch.rand(len(lengths_B), n_snippets, dtype=torch.float64, generator=generator)
    drawn_BT = torch.minimum((uniform_BT * n_B1).long(), n_B1 - 1)  # uniform over a video's snippets

    short_row_BT, weight_BT, valid_BT = _short_rows(n_B1, n_snippets, short, drawn_BT)
    is_short_B1 = n_B1 < n_snippets
    row_BT = torch.where(is_short_B1, short_row_BT, stratified_rows(n_B1, drawn_BT))
    weight_BT = torch.where(is_short_B1, weight_BT, 0)
    valid_BT = valid_BT | ~is_short_B1
    longest = int(valid_BT.sum(dim=1).max())
    return Sampling(row_BT[:, :longest], weight_BT[:, :longest], valid_BT[:, :longest])


def stratified_rows(n_B1: Int64[Tensor, "b 1"], drawn_BT: Int64[Tensor, "b t"]) -> Int64[Tensor, "b t"]:
    """One index in each of T equal strata of n snippets: floor((i + u) n / T).

    Every snippet is equally likely to be seen, also where the strata are not whole numbers of snippets.

    Args:
        n_B1: snippets of each video.
        drawn_BT: floor(u n), u uniform in [0, 1). In whole numbers nothing is rounded: n = T gives i.
    """
    n_strata = drawn_BT.shape[1]
    return (torch.arange(n_strata) * n_B1 + drawn_BT) // n_strata


def _short_rows(
    n_B1: Int64[Tensor, "b 1"], n_snippets: int, short: ShortVideo, drawn_BT: Int64[Tensor, "b t"]
) -> tuple[Int64[Tensor, "b t"], Float32[Tensor, "b t"], Bool[Tensor, "b t"]]:
    """Row, weight and validity where a video has fewer than L snippets."""
    index_T = torch.arange(n_snippets)
    weight_BT = torch.zeros(drawn_BT.shape)
    all_BT = torch.ones(drawn_BT.shape, dtype=torch.bool)
    if short == "keep":
        valid_BT = index_T < n_B1
        return index_T.expand_as(drawn_BT).masked_fill(~valid_BT, 0), weight_BT, valid_BT
    if short == "repeat":
        return drawn_BT.sort(dim=1).values, weight_BT, all_BT
    # The first and the last snippet keep their places: position i (n - 1) / (L - 1).
    steps = max(n_snippets - 1, 1)
    scaled_BT = index_T * (n_B1 - 1)
    return scaled_BT // steps, (scaled_BT % steps).float() / steps, all_BT


def gather(features: Sequence[Float[np.ndarray, "_ d"]], sampling: Sampling) -> Float32[Tensor, "b t d"]:
    """Reads the sampled rows; zero beyond a video's end.

    Args:
        features: each video's rows, in the order of the sampling; memory maps are read where needed alone.
        sampling: from `sample`, of videos of these lengths.
    """
    counts = sampling.valid_BT.sum(dim=1).tolist()
    batch_BTD = torch.empty((*sampling.row_BT.shape, features[0].shape[1]), dtype=torch.float32)
    for i, (values, count) in enumerate(zip(features, counts, strict=True)):
        rows_TD, row, weight = batch_BTD[i, :count], sampling.row_BT[i, :count], sampling.weight_BT[i, :count]
        batch_BTD[i, count:] = 0
        rows_TD.copy_(torch.from_numpy(values[row.numpy()]))
        if weight.any():
            following = values[(row + 1).clamp(max=len(values) - 1).numpy()]
            rows_TD.lerp_(torch.from_numpy(following).float(), weight.unsqueeze(1))
    return batch_BTD
