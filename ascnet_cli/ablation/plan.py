"""Which networks an ablation must train: rows that need the same one share it.

Rows that differ in localization alone, or are the same under two names, are measured on one training.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ascnet_cli.ablation.rows import Finder, Row
from ascnet_cli.config_localization import LocalizationConfig
from ascnet_cli.training.data import TrainingData
from ascnet_cli.training.settings import Settings, resolve

_KEY_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Measurement:
    """One way from a trained network to segments.

    Attributes:
        finder: who finds them.
        localization: from scores to segments; of trivial finders, which classes a video has.
    """

    finder: Finder
    localization: LocalizationConfig

    @property
    def key(self) -> str:
        """The same for the same measurement, and for no other."""
        return _digest([self.finder, self.localization.to_dict()])


@dataclass(frozen=True, slots=True)
class Run:
    """One training, and all that is measured on it.

    Attributes:
        key: the same for the same settings but for the seed, and the same data.
        settings: of the training, with its seed.
        measurements: different ones.
        rows: names of the rows that need it.
    """

    key: str
    settings: Settings
    measurements: tuple[Measurement, ...]
    rows: tuple[str, ...]

    @property
    def seed(self) -> int:
        """Of this training."""
        return self.settings.training.seed

    @property
    def title(self) -> str:
        """In a few words."""
        return f"{self.rows[0]}, seed {self.seed}"

    def folder(self, out: Path) -> Path:
        """Where it lies below the ablation's folder."""
        return out / "runs" / self.key / f"seed-{self.seed}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be done.

    Attributes:
        rows: of the table.
        runs: the trainings, seed by seed, so that a table of one seed is there first.
        places: by row: the key of its runs, and of its measurement.
    """

    rows: tuple[Row, ...]
    runs: tuple[Run, ...]
    places: Mapping[str, tuple[str, str]]


def make_plan(
    rows: Sequence[Row], data: TrainingData, overrides: Mapping[str, str], seeds: Sequence[int]
) -> Plan:
    """The trainings that rows need.

    Args:
        rows: of the table.
        data: to learn from.
        overrides: settings of all rows; a row's own win.
        seeds: each row is trained with each.

    Raises:
        OptionError: a setting is unknown, cannot be, or contradicts another.
    """
    wanted: dict[str, tuple[Settings, dict[Measurement, None], list[str]]] = {}
    places: dict[str, tuple[str, str]] = {}
    for row in rows:
        settings, measurement = _of_row(row, data, overrides)
        key = _run_key(settings, data)
        _, measurements, names = wanted.setdefault(key, (settings, {}, []))
        measurements[measurement] = None
        names.append(row.name)
        places[row.name] = (key, measurement.key)
    runs = tuple(
        Run(key, settings.with_seed(seed), tuple(measurements), tuple(names))
        for seed in seeds
        for key, (settings, measurements, names) in wanted.items()
    )
    return Plan(tuple(rows), runs, places)


def _of_row(row: Row, data: TrainingData, overrides: Mapping[str, str]) -> tuple[Settings, Measurement]:
    """What to train, with the localization of all rows, and how this row localizes."""
    training = {name: text for name, text in row.overrides.items() if not name.startswith("localization.")}
    settings, own = (
        resolve(row.preset, data.shape, dataset=data.name, overrides={**overrides, **changes})
        for changes in (training, row.overrides)
    )
    return settings, Measurement(row.finder, own.localization)


def _run_key(settings: Settings, data: TrainingData) -> str:
    longest = max([data.shape.longest, *(file.n_rows for file in data.test)])
    network = settings.network
    if network.inference_snippets is not None and network.inference_snippets >= longest:
        network = replace(network, inference_snippets=None)  # no video is longer: it changes nothing
    training = replace(settings.training, seed=0)
    content = [dataclasses.asdict(part) for part in (network, settings.loss, training)]
    return _digest(
        [
            content,
            settings.localization.to_dict(),
            data.videos.digest(),
            data.videos.features_sha256,
            dict(data.recipe),
        ]
    )


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]
