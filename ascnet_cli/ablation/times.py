"""Table IX: seconds a video, from features to segments, for each branch alone and both."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ascnet_cli.config_localization import LocalizationConfig
from ascnet_cli.detector import segments_of
from ascnet_cli.model.checkpoint import load_checkpoint
from ascnet_cli.training.data import TrainingData

# Of the paper, on an RTX 3090: seconds for both branches, the class-aware and the class-agnostic one.
PAPER_S: Mapping[str, Mapping[str, float]] = {
    "thumos14": {"both": 0.083, "class-aware": 0.074, "class-agnostic": 0.041},
    "activitynet13": {"both": 0.131, "class-aware": 0.127, "class-agnostic": 0.092},
}


@dataclass(frozen=True, slots=True)
class BranchTime:
    """How long one variant takes.

    Attributes:
        row: its row in Table VII.
        network_s: mean seconds a video in the network.
        localization_s: mean seconds a video from its scores to segments.
    """

    row: str
    network_s: float
    localization_s: float

    @property
    def total_s(self) -> float:
        """Seconds a video, features in memory."""
        return self.network_s + self.localization_s


def measure_times(
    variants: Sequence[tuple[str, Path, LocalizationConfig]],
    data: TrainingData,
    *,
    device: torch.device | str = "cpu",
) -> tuple[BranchTime, ...]:
    """The mean time over the test videos of each variant, taken in turns, after one video to warm up.

    Reading features is not in it. The machine's other work is: compare the variants, not machines.

    Args:
        variants: the row, its checkpoint, and how it localizes.
        data: whose test videos, one at least.
        device: where the network runs.

    Raises:
        CheckpointError: a checkpoint is missing or damaged.
        ValueError: there is no test video.
    """
    if not data.test:
        raise ValueError("there is no test video to take the time of")
    loaded = [load_checkpoint(checkpoint, device) for _, checkpoint, _ in variants]
    network_s, localization_s = [0.0] * len(variants), [0.0] * len(variants)
    for number, file in enumerate((data.test[0], *data.test)):
        values_TD = file.load()
        duration_s = file.end_s
        for place, (_, _, localization) in enumerate(variants):
            begin_s = time.perf_counter()
            # Its scores are arrays of numpy: a CUDA device has ended its work when they are there.
            scores = loaded[place].model.score(values_TD, loaded[place].labels)
            between_s = time.perf_counter()
            segments_of(scores, file.grid, duration_s, localization)
            end_s = time.perf_counter()
            if number:
                network_s[place] += between_s - begin_s
                localization_s[place] += end_s - between_s
    n_videos = len(data.test)
    return tuple(
        BranchTime(row, network_s[place] / n_videos, localization_s[place] / n_videos)
        for place, (row, _, _) in enumerate(variants)
    )
