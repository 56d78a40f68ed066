"""What the checkpoint is chosen by: held-out training videos, and how well their labels are told.

Letters in names are axes: V videos, A action classes.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64

from ascnet_cli.errors import FeatureError
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.training.parallel import ALONE, Ranks
from ascnet_cli.training.seeding import generator
from ascnet_cli.training.videos import LabelledVideos


def split_videos(
    videos: LabelledVideos, fraction: float, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the videos to train on and of those held out, each sorted.

    About `fraction` of each class's videos is held out: one at a time, the one whose classes lack most,
    of equal ones by the seed's order. The last training video of a class is never taken, so that fewer
    are held out where classes are small.

    Args:
        videos: all training videos.
        fraction: share that is held out; 0 holds out none.
        seed: draws the order.
    """
    actions_VA = videos.actions_VA.numpy()
    order_V = torch.randperm(len(actions_VA), generator=generator(seed, "split")).numpy()
    remaining_A = actions_VA.sum(axis=0)
    lacking_A = fraction * remaining_A
    held_out: set[int] = set()
    for _ in range(round(fraction * len(actions_VA))):
        last_V = (actions_VA & (remaining_A <= 1)).any(axis=1)
        open_V = [int(v) for v in order_V if not last_V[v] and int(v) not in held_out]
        if not open_V:
            break
        # The mean over a video's classes: a video of many classes does not go before all others.
        gain_V = (actions_VA[open_V] @ lacking_A) / np.maximum(actions_VA[open_V].sum(axis=1), 1)
        chosen = open_V[int(gain_V.argmax())]
        held_out.add(chosen)
        remaining_A = remaining_A - actions_VA[chosen]
        lacking_A = lacking_A - actions_VA[chosen]
    names = videos.names
    return (
        tuple(name for v, name in enumerate(names) if v not in held_out),
        tuple(name for v, name in enumerate(names) if v in held_out),
    )


def classification_map(scores_VA: Float[np.ndarray, "v a"], actions_VA: Bool[np.ndarray, "v a"]) -> float:
    """Mean average precision of video-level classification, over the classes that any video has.

    A class's average precision is the mean, over its videos, of the precision among all videos that score
    at least as much as that one; so ties count against it whatever order they come in.

    Args:
        scores_VA: y_fg of each video for the action classes.
        actions_VA: which classes happen.

    Raises:
        ValueError: no video has any class.
    """
    present_A = actions_VA.any(axis=0)
    if not present_A.any():
        raise ValueError("mean average precision is not defined where no video has a class")
    return float(
        np.mean([_average_precision(scores_VA[:, a], actions_VA[:, a]) for a in np.flatnonzero(present_A)])
    )


def _average_precision(score_V: Float[np.ndarray, " v"], positive_V: Bool[np.ndarray, " v"]) -> float:
    ascending_V = np.sort(score_V)
    ascending_P = np.sort(score_V[positive_V])
    own_P = score_V[positive_V]
    precision_P = (len(ascending_P) - np.searchsorted(ascending_P, own_P)) / (
        len(ascending_V) - np.searchsorted(ascending_V, own_P)
    )
    return float(precision_P.mean())


def video_scores(model: AscNet, videos: LabelledVideos, ranks: Ranks = ALONE) -> Float64[np.ndarray, "v a"]:
    """y_fg of each video for the action classes, exactly as inference computes it.

    Each of several processes scores its own share of the videos; the rows of the others are 0.

    Raises:
        FeatureError: features of the wrong width, or with numbers that are not finite.
    """
    scores_VA = np.zeros((len(videos.names), len(videos.classes)))
    for v in range(ranks.rank, len(videos.names), ranks.n):
        name = videos.names[v]
        try:
            scores_VA[v] = model.score(np.asarray(videos.features[name]), videos.classes).video
        except FeatureError as error:
            raise FeatureError(f"{name}: {error}", hint=error.hint) from error
    return scores_VA


def validation_map(model: AscNet, videos: LabelledVideos, ranks: Ranks = ALONE) -> float:
    """Video-level mAP of a network on labelled videos; draws no random numbers.

    Processes share the videos; each video is scored by one of them, and all get the same number.
    """
    with ranks.together():
        scores_VA = torch.from_numpy(video_scores(model, videos, ranks))
    ranks.sum_([scores_VA])
    return classification_map(scores_VA.numpy(), videos.actions_VA.numpy())
