"""Data sets by name, and where they are looked for."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from ascnet_cli.datasets import activitynet13, thumos14
from ascnet_cli.datasets.activitynet_json import read_activitynet
from ascnet_cli.datasets.annotations import Annotations
from ascnet_cli.datasets.folder import read_folder
from ascnet_cli.datasets.rules import Policies
from ascnet_cli.errors import OptionError, PredictionsError

DATA_VARIABLE = "ASCNET_DATA"
MOCAP = "mocap"  # made by examples/mocap/benchmark.py
_DEFAULT_DATA = "data"


@dataclass(frozen=True, slots=True)
class KnownDataset:
    """A data set that ascnet has a reader for.

    Attributes:
        name: as `--dataset` takes it.
        title: what it is.
        read: from its folder and policies to its annotations.
        policies: what to do about each rule.
        shipped: where it lies in a checkout of ascnet; None where it has to be got.
    """

    name: str
    title: str
    read: Callable[[Path, Policies], Annotations]
    policies: Policies
    shipped: Path | None = None


KNOWN: Mapping[str, KnownDataset] = MappingProxyType(
    {
        thumos14.NAME: KnownDataset(
            thumos14.NAME, "sports, 20 classes", thumos14.read_thumos14, thumos14.POLICIES
        ),
        activitynet13.NAME: KnownDataset(
            activitynet13.NAME,
            "everyday activities, 200 classes",
            activitynet13.read_activitynet13,
            activitynet13.POLICIES,
        ),
        MOCAP: KnownDataset(
            MOCAP,
            "a motion-captured figure, 10 classes, to try training on",
            lambda place, policies: replace(read_folder(place, policies), name=MOCAP),
            Policies(),
            Path(__file__).parents[2] / "examples" / "mocap" / "data",
        ),
    }
)


def data_folder(dataset: str) -> Path:
    """Where a data set lies: the folder `dataset` itself, or a known one's place in the folder of data sets.

    The latter is the environment's `ASCNET_DATA`, or `data` in the current folder. One that comes with
    ascnet and is not there is where it came.
    """
    known = KNOWN.get(dataset)
    if known is None:
        return Path(dataset)
    place = Path(os.environ.get(DATA_VARIABLE) or _DEFAULT_DATA) / dataset
    return known.shipped if known.shipped and not place.exists() else place


def load_annotations(
    dataset: str, folder: Path | None = None, policies: Policies | None = None
) -> Annotations:
    """Read a data set's annotations.

    Args:
        dataset: a name of `KNOWN`, a folder of one's own, or a file in ActivityNet's JSON.
        folder: where a known data set lies; None: see `data_folder`.
        policies: None takes the data set's own.

    Raises:
        OptionError: no data set of that name, and nothing at that path.
        PredictionsError: the annotations are missing, damaged, or break a rule that is an error.
    """
    known = KNOWN.get(dataset)
    if known is not None:
        place = folder or data_folder(dataset)
        if not place.exists():
            raise PredictionsError(
                f"{dataset} is not at {place}",
                hint="it comes with a checkout of ascnet, not with an installed package"
                if known.shipped
                else f"put its annotations there, or say where data sets are with {DATA_VARIABLE}=FOLDER",
            )
        return known.read(place, policies or known.policies)
    path = Path(dataset)
    if path.is_dir():
        return read_folder(path, policies)
    if path.is_file():
        return read_activitynet(path, policies=policies)
    near = difflib.get_close_matches(dataset, KNOWN, n=1)
    raise OptionError(
        f"no data set {dataset!r}: neither a known name nor a folder or file",
        hint=f"did you mean {near[0]}?" if near else f"known are {', '.join(KNOWN)}",
    )
