"""What was measured on one training, kept beside it: measured once, not again."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ascnet_cli.datasets.annotations import Annotations, ground_truth
from ascnet_cli.datasets.features import FeatureFile
from weights.atomic import replacing
from weights.documents import parse_json

SCORES = "scores.json"


@dataclass(frozen=True, slots=True)
class Score:
    """One row with one seed.

    Attributes:
        tious: thresholds of the protocol.
        map: mean average precision at each, as fractions.
        average: the protocol's average, a fraction.

    Raises:
        ValueError: a number is missing or not finite.
    """

    tious: tuple[float, ...]
    map: tuple[float, ...]
    average: float

    def __post_init__(self) -> None:
        if len(self.tious) != len(self.map) or not self.tious:
            raise ValueError(f"{len(self.map)} mAPs at {len(self.tious)} thresholds")
        if not all(math.isfinite(value) for value in (*self.tious, *self.map, self.average)):
            raise ValueError(f"a score that is not finite: {self.map}, {self.average}")


@dataclass(frozen=True, slots=True)
class RunScores:
    """All that was measured on one training that has ended.

    Attributes:
        truth: digest of the annotations that it was judged by.
        scores: by measurement.
    """

    truth: str
    scores: Mapping[str, Score] = field(default_factory=dict)


def truth_digest(annotations: Annotations, test: Sequence[FeatureFile] = ()) -> str:
    """The same for the same annotations of the judged videos, and the same features of them."""
    truth = {
        video: [[label, segment.start_s, segment.end_s] for label, segment in instances]
        for video, instances in ground_truth(annotations.judged()).items()
    }
    features = {file.video: file.digest() for file in test}
    return hashlib.sha256(json.dumps([truth, features], sort_keys=True).encode()).hexdigest()


def read_scores(folder: Path) -> RunScores | None:
    """What was measured on a run; None where it has not ended, or the record is damaged."""
    try:
        document: Any = parse_json((folder / SCORES).read_bytes())
        scores = {
            key: Score(tuple(one["tious"]), tuple(one["map"]), float(one["average"]))
            for key, one in document["scores"].items()
        }
        return RunScores(str(document["truth"]), scores)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_scores(folder: Path, found: RunScores) -> None:
    """Record what was measured on a run.

    Raises:
        OutputError: the folder cannot be written to.
        StorageError: the disk is full.
    """
    document = {
        "truth": found.truth,
        "scores": {
            key: {"tious": list(score.tious), "map": list(score.map), "average": score.average}
            for key, score in found.scores.items()
        },
    }
    with replacing(folder / SCORES) as file:
        file.write(json.dumps(document, indent=1, allow_nan=False).encode() + b"\n")
