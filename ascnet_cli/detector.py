"""A model, the extractor of its features and its thresholds, ready for any number of videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Float64

from ascnet_cli.config_kinetics import KINETICS400
from ascnet_cli.config_localization import LocalizationConfig, localization_config
from ascnet_cli.errors import (
    CheckpointError,
    FeatureError,
    OptionError,
    WeightsError,
)
from ascnet_cli.localization.proposals import TimeAxis, localize
from ascnet_cli.model.checkpoint import Checkpoint, load_checkpoint
from ascnet_cli.model.kinetics import KineticsModel
from ascnet_cli.model.recipe import check_recipe
from ascnet_cli.model.scores import Scores
from ascnet_cli.outputs.curves import Curves
from ascnet_cli.segments import Detection
from extractors.device import resolve_device
from extractors.engines import engine_named, with_engine
from extractors.features import Extractor
from extractors.flow import (
    DisConfig,
    FlowConfig,
    FlowEstimator,
    OpenCvTvL1Config,
    RaftConfig,
    TvL1Config,
    flow_recipe,
    make_flow,
)
from extractors.recipe import FeatureRecipe
from extractors.snippets import TimeGrid
from extractors.store import fingerprint
from extractors.video import DECODERS, LIMITS, Limits
from weights.integrity import read_entry
from weights.registry import class_names, entries, entry, weights_folder
from weights.store import LoadedWeights, load

DEFAULT_MODEL = "kinetics400"


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
        return segments_of(self.model.score(values_TD), grid, duration_s, self.localization)


def segments_of(
    scores: Scores, grid: TimeGrid, duration_s: float, localization: LocalizationConfig
) -> tuple[Detection, ...]:
    """From one video's scores to its segments, all of them, by start time.

    Args:
        scores: of its feature rows, or of some of them.
        grid: where the feature rows lie in time.
        duration_s: of the video, seconds; segments are clipped to it.
        localization: thresholds and rules.
    """
    positions = scores.positions
    centres_s = _centres_s(scores, grid)
    # Rows that the model left out on the way to the last one that it took.
    thinned = len(positions) != positions[-1] + 1
    axis = TimeAxis(
        first_s=float(centres_s[0]),
        step_s=grid.step_s,
        # Wide enough that the first and the last row reach the ends of the video.
        window_s=(grid.window_frames + 2 * grid.lag_frames) / grid.fps,
        duration_s=duration_s,
        rows_s=tuple(float(centre) for centre in centres_s) if thinned else None,
    )
    attention = scores.attention if localization.betas else None
    return localize(scores.cas, attention, scores.video, scores.labels, axis, localization)


def curves_of(
    scores: Scores, grid: TimeGrid, localization: LocalizationConfig, labels: Sequence[str]
) -> Curves:
    """What the network saw of some classes, at the times that it looked at.

    Args:
        scores: of a video's feature rows, or of some of them.
        grid: where the feature rows lie in time.
        localization: its thresholds go along.
        labels: the classes, of those that the scores have.
    """
    places = [scores.labels.index(label) for label in labels]
    return Curves(
        times_s=_centres_s(scores, grid),
        labels=tuple(labels),
        activations_TK=scores.cas[:, places],
        # All zero is how scores say that there is no attention.
        attention_T=scores.attention if scores.attention.any() else None,
        alphas=localization.alphas,
        betas=localization.betas,
    )


def _centres_s(scores: Scores, grid: TimeGrid) -> Float64[np.ndarray, " t"]:
    """When the middle of each row's window is presented, also where rows were left out."""
    centres_s: Float64[np.ndarray, " t"] = grid.centres_s(int(scores.positions[-1]) + 1)[scores.positions]
    return centres_s


def load_detector(
    model: str = DEFAULT_MODEL,
    *,
    device: str = "auto",
    decoder: str | None = None,
    limits: Limits = LIMITS,
    engine: str | None = None,
    apart: bool = False,
) -> Detector:
    """Get everything ready that does not depend on a video.

    Args:
        model: `kinetics400`, the name of a trained ASC-Net that comes with ascnet, or a checkpoint's path.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        decoder: "pyav" or "decord"; None takes the one that the model's features were made with.
        limits: larger and more damaged videos are refused.
        engine: what computes I3D (`extractors.engines`); None takes the one that the model's features were
            made with. Another one is used all the same where it is asked for.
        apart: decode in a process of its own, so that a decoder that crashes or hangs costs one video.

    Raises:
        DeviceError: the device is not there, or the engine does not run on it.
        OptionError: the decoder or the engine is unknown, or the engine is not installed.
        CheckpointError: the checkpoint is missing or damaged.
        FeatureError: the checkpoint wants features that cannot be made here.
        WeightsError: weights are missing or damaged.
    """
    if engine is not None and engine_named(engine).library == "openvino" and device == "auto":
        device = "cpu"
    place = resolve_device(device)
    if decoder is not None and decoder not in DECODERS:
        raise OptionError(f"unknown decoder {decoder!r}", hint=f"choose {' or '.join(DECODERS)}")
    if model == DEFAULT_MODEL:
        return _kinetics_detector(place, decoder or DECODERS[0], limits, engine, apart)
    return _trained_detector(model, place, decoder, limits, engine, apart)


def _trained_detector(
    model: str, device: torch.device, decoder: str | None, limits: Limits, engine: str | None, apart: bool
) -> Detector:
    path = _checkpoint_path(model)
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
    if engine is not None:
        recipe = with_engine(recipe, engine)
    loaded = {stream: _weights_of(sha256) for stream, sha256 in recipe.weights.items()}
    return Detector(
        name=model,
        model=_TrainedModel(checkpoint, checkpoint.labels),
        extractor=_extractor(recipe, loaded, device, limits, apart),
        localization=localization_of(checkpoint, path),
        min_score=0.0,
        device=device,
    )


def trained_models() -> tuple[str, ...]:
    """Names of the trained ASC-Nets that come with ascnet."""
    return tuple(known.name for known in entries() if known.architecture == "ascnet")


def _checkpoint_path(model: str) -> Path:
    """The file of a model by its name or path; a shipped one is held to its hash.

    Raises:
        CheckpointError: there is no such file.
        WeightsError: a shipped one is damaged.
    """
    if model in trained_models():
        read_entry(entry(model))
        return entry(model).path
    path = Path(model)
    if not path.exists():
        names = ", ".join((DEFAULT_MODEL, *trained_models()))
        raise CheckpointError(
            f"there is no model {model!r}", hint=f"give {names}, or the path of an ASC-Net checkpoint"
        )
    return path


def localization_of(checkpoint: Checkpoint, path: Path) -> LocalizationConfig:
    """The thresholds of a checkpoint: its preset's, and what it says otherwise.

    Args:
        checkpoint: the checkpoint.
        path: its file, for the error.

    Raises:
        CheckpointError: its settings do not fit together.
    """
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


def _kinetics_detector(
    device: torch.device, decoder: str, limits: Limits, engine: str | None, apart: bool
) -> Detector:
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
    if engine is not None:
        recipe = with_engine(recipe, engine)
    return Detector(
        name=DEFAULT_MODEL,
        model=model,
        extractor=_extractor(recipe, {"rgb": loaded}, device, limits, apart),
        localization=config.localization,
        min_score=config.min_score,
        device=device,
    )


def _extractor(
    recipe: FeatureRecipe,
    loaded: Mapping[str, LoadedWeights],
    device: torch.device,
    limits: Limits,
    apart: bool,
) -> Extractor:
    return Extractor(
        recipe,
        {stream: weights.tensors for stream, weights in loaded.items()},
        device=device,
        flow=_flow_of(recipe.flow, device) if recipe.flow else None,
        limits=limits,
        apart=apart,
    )


def _flow_of(recipe: Mapping[str, Any], device: torch.device) -> FlowEstimator:
    """The estimator that a recipe names.

    Raises:
        FeatureError: its parameters are not those of an algorithm that is known here.
    """
    kinds: dict[str, type[FlowConfig]] = {
        "tvl1": TvL1Config,
        "tvl1-opencv": OpenCvTvL1Config,
        "dis": DisConfig,
        "raft": RaftConfig,
    }
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
