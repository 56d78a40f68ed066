"""Videos to learn from: features in memory or memory-mapped, and the names of what happens in each.

Letters in names are axes: V videos, A action classes, D width of a feature row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from ascnet_cli.errors import FeatureError, OptionError


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledVideos:
    """Videos with the features of their snippets and their video-level labels.

    Attributes:
        classes: names of the A action classes, in the order of the network's outputs.
        features: by video: (T, D), a row a snippet, of any floating type.
        labels: by video: the classes that happen in it, in no order; none is possible.

    Raises:
        OptionError: labels and features are of different videos, or name unknown classes.
        FeatureError: features of a video are no table of numbers, empty, or as wide as no other's.
    """

    classes: tuple[str, ...]
    features: Mapping[str, np.ndarray]
    labels: Mapping[str, Collection[str]]

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes) or not self.classes:
            raise OptionError(f"classes must be different names, at least one, not {self.classes}")
        alone = sorted(self.features.keys() ^ self.labels.keys())
        if alone or not self.features:
            raise OptionError(
                f"{len(alone)} videos have features or labels but not both: {', '.join(alone[:5])}"
                if alone
                else "there are no videos"
            )
        for video, values in self.features.items():
            if values.ndim != 2 or not len(values) or not np.issubdtype(values.dtype, np.floating):
                raise FeatureError(
                    f"{video}: features must be a row of numbers a snippet, not {values.shape}"
                )
            if values.shape[1] != self.width:
                raise FeatureError(
                    f"{video}: features are {values.shape[1]} numbers wide, not {self.width} as of"
                    f" {self.names[0]}"
                )
        for video, labels in self.labels.items():
            unknown = sorted(set(labels) - set(self.classes))
            if unknown:
                raise OptionError(f"{video} is labelled {', '.join(unknown)}: no such class")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The videos' names, sorted: what indices count, whatever order the mappings came in."""
        return tuple(sorted(self.features))

    @property
    def width(self) -> int:
        """D, the width of a feature row."""
        return int(self.features[self.names[0]].shape[1])

    @cached_property
    def actions_VA(self) -> Bool[Tensor, "v a"]:
        """Which classes happen in which video, in the order of `names` and `classes`."""
        rows = [[name in set(self.labels[video]) for name in self.classes] for video in self.names]
        return torch.tensor(rows)

    def mean_D(self) -> Float32[Tensor, " d"]:
        """The mean of all snippets of all videos; each video is read once.

        Raises:
            FeatureError: features hold numbers that are not finite.
        """
        total_D = np.zeros(self.width)
        for name in self.names:
            sum_D = self.features[name].sum(axis=0, dtype=np.float64)
            if not np.isfinite(sum_D).all():
                raise FeatureError(
                    f"features hold numbers that are not finite: {name}",
                    hint="extract the features of this video again",
                )
            total_D += sum_D
        mean_D = total_D / sum(len(values) for values in self.features.values())
        return torch.from_numpy(mean_D.astype(np.float32))

    def only(self, names: Sequence[str]) -> LabelledVideos:
        """These videos alone."""
        return LabelledVideos(
            classes=self.classes,
            features={name: self.features[name] for name in names},
            labels={name: self.labels[name] for name in names},
        )

    def digest(self) -> str:
        """SHA-256 over the classes and each video's name, labels, and features' shape and type."""
        content = [
            [name, sorted(self.labels[name]), list(self.features[name].shape), str(self.features[name].dtype)]
            for name in self.names
        ]
        return hashlib.sha256(json.dumps([self.classes, content]).encode()).hexdigest()

    @cached_property
    def features_sha256(self) -> str:
        """SHA-256 over the numbers of all features, by name; everything is read once."""
        digest = hashlib.sha256()
        for name in self.names:
            digest.update(np.ascontiguousarray(self.features[name]).data)
        return digest.hexdigest()
