"""Video files in, segments out: the one library call behind `ascnet detect`.

    detector = load_detector("kinetics400", device="auto")
    for outcome in detect_all(collect([Path("clips/")]), detector, DetectOptions()):
        ...

Nothing here prints; progress leaves through a callable, and a video that fails is an outcome like any other.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from ascnet_cli.detector import Detector, curves_of, segments_of
from ascnet_cli.errors import (
    DeviceError,
    FeatureError,
    OptionError,
    StorageError,
    VideoError,
)
from ascnet_cli.inputs import FEATURE_ENDING, VideoInput
from ascnet_cli.labels import find_labels
from ascnet_cli.model.recipe import check_recipe
from ascnet_cli.outputs.curves import Curves, classes_that_matter
from ascnet_cli.segments import VideoDetections
from extractors.mishaps import is_gpu_error, known_error
from extractors.snippets import TimeGrid
from extractors.store import fingerprint, load_features, save_features, up_to_date
from extractors.video import DecodeReport
from weights.atomic import write_error

# seconds done, seconds in all by the file's header (None: it does not say)
Progress = Callable[[float, float | None], None]


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """What a person may ask of a run.

    Attributes:
        min_score: leave out segments below this; None takes the model's own bound.
        labels: keep these classes alone; empty keeps all.
        features_out: keep features in this folder, and use those that are there and still right.
        strict: a video that ends before its header promises counts as failed.
        curves: keep what the network saw over time, for a report.
    """

    min_score: float | None = None
    labels: tuple[str, ...] = ()
    features_out: Path | None = None
    strict: bool = False
    curves: bool = False


@dataclass(frozen=True, slots=True)
class VideoOutcome:
    """What became of one file.

    Attributes:
        video: its name.
        state: "done" or "failed".
        result: the segments, where it is done.
        seconds: how long it took.
        warnings: what a person should know although it is done.
        notes: what reading the file came to, where that was out of the ordinary.
        kept: its features were there from an earlier run.
        curves: what the network saw of the classes that matter, where that was asked for.
        error: what is wrong, where it failed.
        hint: what to do about it.
        error_class: the exception's class, for records.
        exit_code: what a command ends with that fails for this reason alone; 0 where it is done.
    """

    video: str
    state: Literal["done", "failed"]
    seconds: float
    result: VideoDetections | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kept: bool = False
    curves: Curves | None = None
    error: str | None = None
    hint: str | None = None
    error_class: str | None = None
    exit_code: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Material:
    """One video's features, ready for the model, and what there is to say about them."""

    values: Float32[np.ndarray, "t d"]
    grid: TimeGrid
    duration_s: float
    report: DecodeReport
    warnings: tuple[str, ...] = ()
    kept: bool = False


def check_features_folder(folder: Path) -> None:
    """Make the folder for features, and hold that files can be written there, before any work is done.

    Raises:
        OutputError: something else stands there, or nothing may be written.
        StorageError: the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise write_error(error, folder) from error


def detect_all(
    videos: Sequence[VideoInput],
    detector: Detector,
    options: DetectOptions,
    *,
    progress: Callable[[VideoInput], Progress] | None = None,
) -> Iterator[VideoOutcome]:
    """Look at every video; one that fails is recorded and the others go on.

    Args:
        videos: from `collect`.
        detector: from `load_detector`.
        options: what was asked for.
        progress: asked for a callable before each video.

    Yields:
        An outcome a video, in order.

    Raises:
        OptionError: a label that the model does not have, or a decoder that is not installed.
        DeviceError: the graphics card can compute nothing more in this process.
        StorageError: the disk is full.
        OutputError: features cannot be written where they were asked for.
    """
    options = replace(options, labels=find_labels(options.labels, detector.model.labels))
    if options.features_out is not None:
        check_features_folder(options.features_out)
    for video in videos:
        yield _outcome(video, detector, options, progress(video) if progress else None)


def _outcome(
    video: VideoInput, detector: Detector, options: DetectOptions, progress: Progress | None
) -> VideoOutcome:
    started = time.monotonic()
    try:
        result, curves, material = _detect(video, detector, options, progress)
    except (OptionError, StorageError):
        raise  # no other video would fare better
    except Exception as error:
        if is_gpu_error(error):
            raise DeviceError(
                f"{video.name}: the graphics card failed: {str(error).splitlines()[0]}",
                hint="run the same command again, without this file if it fails there again; "
                "--features-out keeps what is done for the next run",
            ) from error
        known = known_error(error, memory_hint="close other programs")
        return VideoOutcome(
            video=video.name,
            state="failed",
            seconds=time.monotonic() - started,
            error=str(known),
            hint=known.hint or None,
            error_class=type(error).__name__,
            exit_code=known.exit_code,
        )
    return VideoOutcome(
        video=video.name,
        state="done",
        seconds=time.monotonic() - started,
        result=result,
        warnings=material.warnings,
        notes=material.report.notes,
        kept=material.kept,
        curves=curves,
    )


def _detect(
    video: VideoInput, detector: Detector, options: DetectOptions, progress: Progress | None
) -> tuple[VideoDetections, Curves | None, _Material]:
    if video.path.suffix == FEATURE_ENDING:
        material = _stored(video.path, detector)
    else:
        material = _features(video, detector, options.features_out, progress)
    material = _judged(material, strict=options.strict)
    bound = detector.min_score if options.min_score is None else options.min_score
    scores = detector.model.score(material.values)
    detections = tuple(
        detection
        for detection in segments_of(scores, material.grid, material.duration_s, detector.localization)
        if detection.score >= bound and (not options.labels or detection.label in options.labels)
    )
    curves = None
    if options.curves:
        labels = classes_that_matter(
            [(detection.label, detection.score) for detection in detections],
            [
                (label, score)
                for label, score in zip(scores.labels, scores.video.tolist(), strict=True)
                if not options.labels or label in options.labels
            ],
        )
        curves = curves_of(scores, material.grid, detector.localization, labels)
    return VideoDetections(video.name, material.duration_s, detections), curves, material


def _features(
    video: VideoInput, detector: Detector, folder: Path | None, progress: Progress | None
) -> _Material:
    """Features of a video: kept ones where they are right, else made, and kept where that was asked for.

    Raises:
        VideoError: the file cannot be read.
        OutputError: the features cannot be written.
        StorageError: the disk is full.
    """
    before = _state(video.path)  # before the hash, so that the features are of the bytes that it is of
    source = fingerprint(video.path) if folder is not None and video.path.is_file() else None
    if folder is not None and source is not None:
        found = up_to_date(folder, video.name, detector.extractor.recipe.digest(), source)
        try:
            if found is not None:
                return _stored(found, detector)
        except FeatureError:
            pass  # damaged since: made again
    features = detector.extractor.extract(video.path, progress=progress)
    made = _Material(features.values, features.grid, features.duration_s, features.report)
    if _state(video.path) != before:
        # Nobody can say which bytes these features are of, so they are not kept.
        return replace(made, warnings=("the file changed while it was read: run this again",))
    if folder is not None and source is not None:
        try:
            save_features(folder, video.name, features, source)
        except OSError as error:
            raise write_error(error, folder / video.name) from error
    return made


def _stored(path: Path, detector: Detector) -> _Material:
    """Features from a file.

    Raises:
        FeatureError: damaged, or of another recipe than the model's.
    """
    stored = load_features(path)
    check_recipe(detector.extractor.recipe.as_dict(), stored.recipe)
    return _Material(stored.values, stored.grid, stored.duration_s, stored.report, kept=True)


def _judged(material: _Material, *, strict: bool) -> _Material:
    """What is wrong with a video although it could be read, as warnings.

    Raises:
        VideoError: it is truncated, and `strict` holds that against it.
    """
    report = material.report
    if strict and report.truncated:
        raise VideoError(report.truncation, hint="get the whole file, or run without --strict")
    warnings = [*material.warnings, *filter(None, (report.truncation, report.damage))]
    return replace(material, warnings=tuple(warnings))


def _state(path: Path) -> tuple[int, int, int] | None:
    """Size, time of the last change and number of a file; None where it cannot be told."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
