"""What a run learns from and is tested on: a data set's annotations and features, opened together."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ascnet_cli.datasets.annotations import Annotations, VideoAnnotation
from ascnet_cli.datasets.catalog import KNOWN, data_folder, load_annotations
from ascnet_cli.datasets.features import FeatureFile, FeatureFolder
from ascnet_cli.errors import FeatureError, TrainingError
from ascnet_cli.labels import label_fault
from ascnet_cli.model.recipe import check_recipe
from ascnet_cli.training.settings import DataShape
from ascnet_cli.training.videos import LabelledVideos

_OTHER_FILES = 256  # that a process may have open beside features


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingData:
    """A data set, ready to learn from.

    Attributes:
        name: as `--dataset` had it.
        annotations: of all its videos.
        videos: the training videos that have features, with their labels.
        test: features of the test videos; empty where there are none, or nothing says when things happen.
        recipe: how the features were made; of published ones, what is known.
        notes: what a person should know: videos without features, or without labels.
    """

    name: str
    annotations: Annotations
    videos: LabelledVideos
    test: tuple[FeatureFile, ...]
    recipe: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> DataShape:
        """What settings must fit."""
        return DataShape(
            n_classes=len(self.videos.classes),
            in_dim=self.videos.width,
            longest=max(len(values) for values in self.videos.features.values()),
            n_videos=len(self.videos.names),
        )


def load_data(dataset: str, data: Path | None = None, features: Path | None = None) -> TrainingData:
    """Open a data set.

    Training videos are those that the annotations say are for training, or all where they say nothing. What
    is tested are test videos alone: a data set without any is learned from and not tested.

    Args:
        dataset: a known name, a folder of one's own, or a file in ActivityNet's JSON.
        data: where a known one lies; None: its usual place.
        features: the folder of features; None: the folder `features` of the data set.

    Raises:
        OptionError: no such data set.
        PredictionsError: its annotations are missing or damaged.
        FeatureError: features are missing altogether, damaged, or made in different ways.
        TrainingError: no training video has features.
    """
    known = KNOWN.get(dataset)
    # What protocols leave out is theirs to say.
    policies = replace(known.policies, known_bad="keep") if known else None
    annotations = load_annotations(dataset, data, policies)
    place = data or data_folder(dataset)
    folder = FeatureFolder(features or (place.parent if place.is_file() else place) / "features")
    training, test = annotations.training(), annotations.of("test")
    if not any(video.instances for video in test):
        test = ()
    if not training:
        raise TrainingError(
            f"{dataset} has no training videos: every one is said to be for something else",
            hint="give some of them the subset train, or none",
        )
    fault = next(filter(None, map(label_fault, annotations.classes)), "")
    if fault:  # before hours of work that no checkpoint could keep
        raise TrainingError(f"{dataset}: {fault}", hint="give that class another name")
    found = {video.video: folder.find(video.video) for video in (*training, *test)}
    opened = {name: file for name, file in found.items() if file is not None}
    with_features = [video for video in training if video.video in opened]
    if not with_features:
        raise TrainingError(
            f"none of the {len(training)} training videos has features in {folder.folder}",
            hint=f"see what is missing: ascnet datasets check {dataset}",
        )
    # A file that stays mapped stays open; where the system allows too few, features are held in memory.
    mapped = _may_open(len(with_features))
    return TrainingData(
        name=dataset,
        annotations=annotations,
        videos=LabelledVideos(
            classes=annotations.classes,
            features={
                video.video: values if mapped else np.array(values)
                for video in with_features
                for values in [opened[video.video].mapped()]
            },
            labels={video.video: video.labels for video in with_features},
        ),
        test=tuple(opened[video.video] for video in test if video.video in opened),
        recipe=_common_recipe(opened.values()),
        notes=tuple(_notes(annotations, training, test, opened)),
    )


def _may_open(n_files: int) -> bool:
    """Whether this process may keep so many files open; its limit is raised where it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = n_files + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft == resource.RLIM_INFINITY or soft >= wanted


def _common_recipe(files: Iterable[FeatureFile]) -> dict[str, Any]:
    """How all of these features were made.

    Raises:
        FeatureError: they were made in different ways.
    """
    recipes = [(file, _recipe_of(file)) for file in files]
    first, wanted = recipes[0]
    for file, recipe in recipes[1:]:
        try:
            check_recipe(wanted, recipe)
        except FeatureError as error:
            raise FeatureError(
                f"features of {first.video} and {file.video} were made in different ways: {error}",
                hint="extract all of them with the same settings",
            ) from error
    return wanted


def _recipe_of(file: FeatureFile) -> dict[str, Any]:
    if file.recipe is not None:
        return dict(file.recipe)
    # Published features do not say how they were made, so that a checkpoint trained on them is refused
    # by `detect`, which would have to make such features.
    return {"published": file.layout, "dim": file.dim, "grid": asdict(file.grid)}


def _notes(
    annotations: Annotations,
    training: Sequence[VideoAnnotation],
    test: Sequence[VideoAnnotation],
    opened: Mapping[str, FeatureFile],
) -> Iterator[str]:
    learned = {video.video for video in training}
    unsaid = [v.video for v in annotations.videos if v.subset is None and v.video not in learned]
    if unsaid:
        yield f"{len(unsaid)} videos have no subset, unlike others, and are left out: {_some(unsaid)}"
    for what, videos in (("training", training), ("test", test)):
        missing = [video.video for video in videos if video.video not in opened]
        if missing:
            yield f"{len(missing)} {what} videos have no features and are left out: {_some(missing)}"
    unlabelled = [video.video for video in training if not video.labels]
    if unlabelled:
        yield f"{len(unlabelled)} training videos have no label and are learned from as background"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
