"""Video files in, segments out: the one library call behind `ascnet detect`.

    detector = load_detector("kinetics400", device="auto")
    for outcome in detect_all(collect([Path("clips/")]), detector, DetectOptions()):
        ...

Nothing here prints; progress leaves through a callable, and a video that fails is an outcome like any other.
"""

from __future__ import annotations

import difflib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32

from ascnet_cli.config_kinetics import KINETICS400
from ascnet_cli.config_localization import LocalizationConfig, localization_config
from ascnet_cli.errors import (
    AscnetError,
    CheckpointError,
    FeatureError,
    OptionError,
    StorageError,
    VideoError,
    WeightsError,
)
from ascnet_cli.localization.proposals import TimeAxis, localize
from ascnet_cli.model.checkpoint import Checkpoint, load_checkpoint
from ascnet_cli.model.kinetics import KineticsModel
from ascnet_cli.model.recipe import check_recipe
from ascnet_cli.model.scores import Scores
from ascnet_cli.segments import Detection, VideoDetections
from extractors.device import resolve_device
from extractors.features import Extractor
from extractors.flow import (
    DisConfig,
    FlowConfig,
    FlowEstimator,
    RaftConfig,
    TvL1Config,
    flow_recipe,
    make_flow,
)
from extractors.recipe import FeatureRecipe
from extractors.snippets import TimeGrid
from extractors.store import fingerprint, load_features, save_features, up_to_date
from extractors.video import DECODERS, MAX_PIXELS, VIDEO_ENDINGS, DecodeReport, find_videos
from weights.atomic import write_error
from weights.registry import class_names, entries, entry, weights_folder
from weights.store import LoadedWeights, load

DEFAULT_MODEL = "kinetics400"
FEATURE_ENDING = ".npy"

# seconds done, seconds in all by the file's header (None: it does not say)
Progress = Callable[[float, float | None], None]


@runtime_checkable
class Model(Protocol):
    """Whatever turns features into scores over time."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that it knows."""

    def score(self, features_TD: Float32[np.ndarray, "t d"]) -> Scores:
        """Scores of one video."""


@dataclass(frozen=True, slots=True, eq=False)
class _TrainedModel:
    """An ASC-Net checkpoint."""

    checkpoint: Checkpoint
    labels: tuple[str, ...]

    def score(self, features_TD: Float32[np.ndarray, "t d"]) -> Scores:
        return self.checkpoint.model.score(features_TD, self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """A model, the extractor of its features, and its thresholds: made once, used for many videos.

    Attributes:
        name: of the model: `kinetics400` or the checkpoint's path.
        model: features to scores.
        extractor: videos to features.
        localization: scores to segments.
        min_score: segments below are left out unless the person asks for another bound.
        device: where the networks run.
    """

    name: str
    model: Model
    extractor: Extractor
    localization: LocalizationConfig
    min_score: float
    device: torch.device

    def segments(
        self, values_TD: Float32[np.ndarray, "t d"], grid: TimeGrid, duration_s: float
    ) -> tuple[Detection, ...]:
        """From one video's features to its segments, all of them, by start time."""
        scores = self.model.score(values_TD)
        centres_s = grid.centres_s(len(values_TD))[scores.positions]
        thinned = len(scores.positions) != len(values_TD)
        axis = TimeAxis(
            first_s=float(centres_s[0]),
            step_s=grid.step_s,
            window_s=grid.window_frames / grid.fps,
            duration_s=duration_s,
            rows_s=tuple(float(centre) for centre in centres_s) if thinned else None,
        )
        attention = scores.attention if self.localization.betas else None
        return localize(scores.cas, attention, scores.video, scores.labels, axis, self.localization)


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """What a person may ask of a run.

    Attributes:
        min_score: leave out segments below this; None takes the model's own bound.
        labels: keep these classes alone; empty keeps all.
        features_out: keep features in this folder, and use those that are there and still right.
        strict: a video that ends before its header promises counts as failed.
    """

    min_score: float | None = None
    labels: tuple[str, ...] = ()
    features_out: Path | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class VideoInput:
    """One file to look at.

    Attributes:
        name: what outputs call it: the video's name, also where its kept features are given.
        path: where it is.
    """

    name: str
    path: Path


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


def collect(paths: Sequence[Path]) -> list[VideoInput]:
    """The files that a person means: files as they are, folders searched for videos.

    A file is called by its name, a file in a folder by its path below that folder; kept features by the
    name of their video. A folder without videos is searched for kept features. The same file twice is taken
    once. A file that is not there is kept: it fails on its own, not the others with it.

    Raises:
        VideoError: nothing was given, or folders without a video.
        OptionError: two files would have one name in the outputs.
    """
    found: dict[str, VideoInput] = {}
    empty: list[Path] = []
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises on a name that is too long
            inside = [_input(file, below=path) for file in find_videos(path) or _find_features(path)]
            if not inside:
                empty.append(path)
        else:
            inside = [_input(path)]
        for video in inside:
            known = found.setdefault(video.name, video)
            if known is not video and os.path.realpath(known.path) != os.path.realpath(video.path):
                raise OptionError(
                    f"{known.path} and {video.path} would both be called {video.name!r} in the outputs",
                    hint="give the folder that holds both, or run them one after the other",
                )
    if empty and not found:
        raise VideoError(
            f"no video in {', '.join(map(str, empty))} (looked for {' '.join(sorted(VIDEO_ENDINGS))})",
            hint="name a file itself if its ending is another one",
        )
    if not found:
        raise VideoError("no video was given", hint="give files or folders")
    return list(found.values())


def _input(path: Path, *, below: Path | None = None) -> VideoInput:
    name = path.name if below is None else path.relative_to(below).as_posix()
    return VideoInput(name.removesuffix(FEATURE_ENDING) or name, path)


def _find_features(folder: Path) -> list[Path]:
    """Feature files below a folder; without a sidecar an array is something else."""
    return sorted(file for file in folder.rglob(f"*{FEATURE_ENDING}") if file.with_suffix(".json").is_file())


def load_detector(
    model: str = DEFAULT_MODEL,
    *,
    device: str = "auto",
    decoder: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Detector:
    """Get everything ready that does not depend on a video.

    Args:
        model: `kinetics400`, or the path of an ASC-Net checkpoint.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        decoder: "pyav" or "decord"; None takes the one that the model's features were made with.
        max_pixels: larger pictures are refused.

    Raises:
        DeviceError: the device is not there.
        OptionError: the decoder is unknown.
        CheckpointError: the checkpoint is missing or damaged.
        FeatureError: the checkpoint wants features that cannot be made here.
        WeightsError: weights are missing or damaged.
    """
    place = resolve_device(device)
    if decoder is not None and decoder not in DECODERS:
        raise OptionError(f"unknown decoder {decoder!r}", hint=f"choose {' or '.join(DECODERS)}")
    if model == DEFAULT_MODEL:
        return _kinetics_detector(place, decoder or DECODERS[0], max_pixels)
    return _trained_detector(model, place, decoder, max_pixels)


def _trained_detector(model: str, device: torch.device, decoder: str | None, max_pixels: int) -> Detector:
    path = Path(model)
    if not path.exists():
        raise CheckpointError(
            f"there is no model {model!r}",
            hint=f"give {DEFAULT_MODEL}, or the path of the file that `ascnet train` wrote",
        )
    checkpoint = load_checkpoint(path, device)
    recipe = FeatureRecipe.from_dict(checkpoint.recipe)
    if recipe.dim != checkpoint.config.in_dim:
        raise CheckpointError(
            f"{path} does not fit itself: its network wants features of {checkpoint.config.in_dim} numbers,"
            f" its recipe makes {recipe.dim}",
            hint="train it again with the features that it is to be used with",
        )
    if decoder is not None:
        check_recipe(checkpoint.recipe, {**checkpoint.recipe, "decoder": decoder})
    loaded = {stream: _weights_of(sha256) for stream, sha256 in recipe.weights.items()}
    return Detector(
        name=model,
        model=_TrainedModel(checkpoint, checkpoint.labels),
        extractor=_extractor(recipe, loaded, device, max_pixels),
        localization=_localization_of(checkpoint, path),
        min_score=0.0,
        device=device,
    )


def _localization_of(checkpoint: Checkpoint, path: Path) -> LocalizationConfig:
    """The thresholds of a checkpoint: its preset's, and what it says otherwise."""
    config = checkpoint.config
    preset = localization_config(config.preset, config.dataset)
    if config.variant == "class_agnostic" or config.variant == "class_aware":
        preset = _one_family(preset, config.variant)
    try:
        return LocalizationConfig.from_dict({**preset.to_dict(), **checkpoint.localization})
    except OptionError as error:
        raise CheckpointError(
            f"{path} cannot localize: {error}", hint="use the version of ascnet that made it"
        ) from error


def _one_family(preset: LocalizationConfig, variant: str) -> LocalizationConfig:
    """A variant with one branch localizes by that branch's thresholds alone (section IV-C)."""
    values = preset.to_dict()
    values["alphas" if variant == "class_agnostic" else "betas"] = []
    return LocalizationConfig.from_dict(values)


def _kinetics_detector(device: torch.device, decoder: str, max_pixels: int) -> Detector:
    config = KINETICS400
    loaded = load(config.weights)
    head = {name: tensor.numpy() for name, tensor in loaded.tensors.items() if name.startswith("logits.")}
    model = KineticsModel(
        weight=head["logits.weight"].reshape(len(head["logits.bias"]), -1),
        bias=head["logits.bias"],
        labels=class_names(entry(config.weights)),
        config=config,
    )
    recipe = FeatureRecipe({"rgb": loaded.sha256}, context=config.context, decoder=decoder)
    return Detector(
        name=DEFAULT_MODEL,
        model=model,
        extractor=_extractor(recipe, {"rgb": loaded}, device, max_pixels),
        localization=config.localization,
        min_score=config.min_score,
        device=device,
    )


def _extractor(
    recipe: FeatureRecipe, loaded: Mapping[str, LoadedWeights], device: torch.device, max_pixels: int
) -> Extractor:
    return Extractor(
        recipe,
        {stream: weights.tensors for stream, weights in loaded.items()},
        device=device,
        flow=_flow_of(recipe.flow, device) if recipe.flow else None,
        max_pixels=max_pixels,
    )


def _flow_of(recipe: Mapping[str, Any], device: torch.device) -> FlowEstimator:
    """The estimator that a recipe names.

    Raises:
        FeatureError: its parameters are not those of an algorithm that is known here.
    """
    kinds: dict[str, type[FlowConfig]] = {"tvl1": TvL1Config, "dis": DisConfig, "raft": RaftConfig}
    kind = kinds.get(str(recipe.get("algorithm")))
    try:
        if kind is None:
            raise OptionError(f"unknown flow algorithm {recipe.get('algorithm')!r}")
        config = kind(**{name: recipe[name] for name in kind.__dataclass_fields__})
        if flow_recipe(config) != dict(recipe):
            raise OptionError("its scaling or its rule at the end of a video is another one")
    except (KeyError, TypeError, OptionError) as error:
        raise FeatureError(
            f"the model's optical flow cannot be made here: {error}", hint="a newer ascnet may know it"
        ) from error
    tensors = _weights_of(config.weights_sha256).tensors if isinstance(config, RaftConfig) else None
    return make_flow(config, device=device, tensors=tensors)


def _weights_of(sha256: str) -> LoadedWeights:
    """Weights by their content: shipped ones, then the folder of fetched and converted ones.

    Raises:
        WeightsError: none here has this hash.
    """
    for known in entries():
        if known.sha256 == sha256:
            return load(known.name)
    for path in sorted(weights_folder().glob("*.safetensors")):
        if fingerprint(path)["sha256"] == sha256:
            return load(path)
    raise WeightsError(
        f"the model wants weights with the sha256 {sha256}, and none here are those",
        hint=f"`ascnet weights fetch` or `convert` them into {weights_folder()}",
    )


def check_labels(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Refuse labels that the model does not have.

    Raises:
        OptionError: naming the nearest labels that it has.
    """
    by_folded = {label.casefold(): label for label in known}
    for label in wanted:
        if label not in known:
            near = difflib.get_close_matches(label.casefold(), by_folded, n=3, cutoff=0.5)
            names = " or ".join(repr(by_folded[name]) for name in near)
            raise OptionError(
                f"the model has no class {label!r}",
                hint=f"did you mean {names}?" if names else f"it has {len(known)} classes, as it spells them",
            )


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
        StorageError: the disk is full.
        OutputError: features cannot be written where they were asked for.
    """
    check_labels(options.labels, detector.model.labels)
    if options.features_out is not None:
        check_features_folder(options.features_out)
    for video in videos:
        yield _outcome(video, detector, options, progress(video) if progress else None)


def _outcome(
    video: VideoInput, detector: Detector, options: DetectOptions, progress: Progress | None
) -> VideoOutcome:
    started = time.monotonic()
    try:
        result, material = _detect(video, detector, options, progress)
    except (OptionError, StorageError):
        raise  # no other video would fare better
    except Exception as error:  # noqa: BLE001 - whatever a damaged file sets off, the batch goes on
        known = _as_known(error)
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
    )


def _as_known(error: Exception) -> AscnetError:
    """What failed one video, as an error that a person can act on."""
    if isinstance(error, AscnetError):
        return error
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        where = "the memory" if isinstance(error, MemoryError) else "the device's memory"
        return StorageError(f"{where} was not enough for this video", hint="close other programs")
    if isinstance(error, OSError):
        return VideoError(f"cannot be read: {error.strerror or error}", hint="check the file and its disk")
    return AscnetError(f"{type(error).__name__}: {error}", hint="please report this as a bug")


def _detect(
    video: VideoInput, detector: Detector, options: DetectOptions, progress: Progress | None
) -> tuple[VideoDetections, _Material]:
    if video.path.suffix == FEATURE_ENDING:
        material = _stored(video.path, detector)
    else:
        material = _features(video, detector, options.features_out, progress)
    material = _judged(material, strict=options.strict)
    bound = detector.min_score if options.min_score is None else options.min_score
    detections = tuple(
        detection
        for detection in detector.segments(material.values, material.grid, material.duration_s)
        if detection.score >= bound and (not options.labels or detection.label in options.labels)
    )
    return VideoDetections(video.name, material.duration_s, detections), material


def _features(
    video: VideoInput, detector: Detector, folder: Path | None, progress: Progress | None
) -> _Material:
    """Features of a video: kept ones where they are right, else made, and kept where that was asked for.

    Raises:
        VideoError: the file cannot be read.
        OutputError: the features cannot be written.
        StorageError: the disk is full.
    """
    source = fingerprint(video.path) if folder is not None and video.path.is_file() else None
    if folder is not None and source is not None:
        found = up_to_date(folder, video.name, detector.extractor.recipe.digest(), source)
        try:
            if found is not None:
                return _stored(found, detector)
        except FeatureError:
            pass  # damaged since: made again
    before = _state(video.path)
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
    try:
        fields = json.loads(path.with_suffix(".json").read_bytes())["decode_report"]
        report = DecodeReport(**{**fields, "notes": tuple(fields["notes"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FeatureError(
            f"{path}: its sidecar has no proper decode report: {error}", hint="extract the features again"
        ) from error
    return _Material(stored.values, stored.grid, stored.duration_s, report, kept=True)


def _judged(material: _Material, *, strict: bool) -> _Material:
    """What is wrong with a video although it could be read, as warnings.

    Raises:
        VideoError: it is truncated, and `strict` holds that against it.
    """
    report, warnings = material.report, list(material.warnings)
    if report.truncated:
        promised = f"{report.header_duration_s:.1f} s" if report.header_duration_s else "more"
        message = f"truncated: {report.duration_s:.1f} s could be read, its header promises {promised}"
        if strict:
            raise VideoError(message, hint="get the whole file, or run without --strict")
        warnings.append(message)
    if report.bad_packets:
        packets = (
            "1 damaged packet was"
            if report.bad_packets == 1
            else f"{report.bad_packets} damaged packets were"
        )
        warnings.append(f"{packets} passed over")
    return replace(material, warnings=tuple(warnings))


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of a file's last change; None where it cannot be told."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
