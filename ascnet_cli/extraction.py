"""What features a person asks for: names of weights and models become a recipe and an extractor to be made.

No torch here: weights are read to be checked and hashed, and loaded by the processes that use them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ascnet_cli.config_kinetics import KINETICS400
from ascnet_cli.errors import AscnetError, CheckpointError, OptionError, WeightsError
from extractors.batch.source import ExtractorSpec, flow_config_of
from extractors.engines import engine_named, with_engine
from extractors.flow_config import ALGORITHMS, FlowConfig, RaftConfig, flow_config, flow_recipe
from extractors.recipe import STREAMS, FeatureRecipe
from extractors.snippets import GRIDS
from extractors.store import fingerprint
from extractors.video import DECODERS, LIMITS, Limits
from weights.documents import parse_json
from weights.integrity import CheckedFile, read_entry, read_file
from weights.registry import entries, entry, weights_folder

KINETICS_MODEL = "kinetics400"
_RGB_WEIGHTS = "i3d-rgb-kinetics400"
_RAFT_WEIGHTS = "raft-small"
_STEM = "conv3d_1a_7x7.weight"
_CHANNELS = {"rgb": 3, "flow": 2}


@dataclass(frozen=True, slots=True)
class Choices:
    """What decides the numbers of features; None: as by default, or as the model wants it.

    Attributes:
        context: "snippet" or "dense".
        streams: "rgb", "rgb,flow" or "flow".
        flow: the flow algorithm.
        backbone: "i3d" or "i3d_r50".
        weights_rgb: name or path.
        weights_flow: name or path.
        decoder: "pyav" or "decord".
        engine_i3d: what computes I3D (`extractors.engines`); also for a model, which then gets features that
            are not quite those that it learned from.
    """

    context: str | None = None
    streams: str | None = None
    flow: str | None = None
    backbone: str | None = None
    weights_rgb: str | None = None
    weights_flow: str | None = None
    decoder: str | None = None
    engine_i3d: str | None = None


def extractor_spec(
    choices: Choices, *, for_model: str | None = None, device: str = "auto", limits: Limits = LIMITS
) -> ExtractorSpec:
    """The extractor that makes what was asked for.

    Args:
        choices: piece by piece.
        for_model: `kinetics400`, the name of a trained ASC-Net or a checkpoint's path, instead of them.
        device: where its networks will run.
        limits: larger and more damaged videos are refused.

    Raises:
        OptionError: something unknown, or choices that contradict each other.
        WeightsError: weights are missing or damaged.
        CheckpointError: there is no such file of a model, or it is damaged.
        FeatureError: the model wants features that cannot be made here.
    """
    if choices.engine_i3d is not None and engine_named(choices.engine_i3d).library == "openvino":
        device = "cpu" if device == "auto" else device
    if for_model is None:
        return _within(_chosen(choices, device), limits)
    given = [
        f"--{f.name.replace('_', '-')}"
        for f in fields(choices)
        if getattr(choices, f.name) is not None and f.name != "engine_i3d"
    ]
    if given:
        raise OptionError(
            f"--for-model says how features are made, and so does {' and '.join(given)}",
            hint="leave one of them out",
        )
    if for_model == KINETICS_MODEL:
        recipe = FeatureRecipe({"rgb": entry(KINETICS400.weights).sha256}, context=KINETICS400.context)
    else:
        recipe = FeatureRecipe.from_dict(_recipe_of(for_model))
    if choices.engine_i3d is not None:
        recipe = with_engine(recipe, choices.engine_i3d)
    return _within(_spec_of(recipe, device), limits)


def _within(spec: ExtractorSpec, limits: Limits) -> ExtractorSpec:
    return replace(spec, limits=limits.for_decoder(spec.recipe.decoder))


def _chosen(choices: Choices, device: str) -> ExtractorSpec:
    streams = _streams(choices.streams or "rgb")
    backbone = choices.backbone or "i3d"
    _check("context", choices.context, tuple(GRIDS))
    _check("decoder", choices.decoder, DECODERS)
    if "flow" not in streams and (choices.flow or choices.weights_flow):
        raise OptionError(
            "a flow algorithm or flow weights without a flow stream", hint="add --streams rgb,flow"
        )
    if "rgb" not in streams and choices.weights_rgb:
        raise OptionError("RGB weights without an RGB stream", hint="add --streams rgb,flow")
    names: dict[str, str] = {}
    hashes: dict[str, str] = {}
    for stream in streams:
        name = choices.weights_rgb if stream == "rgb" else choices.weights_flow
        names[stream] = name or _default_weights(stream, backbone)
        hashes[stream] = _checked(names[stream], stream, backbone).sha256
    flow = _flow(choices.flow or "tvl1") if "flow" in streams else None
    recipe = FeatureRecipe(
        hashes,
        backbone=backbone,
        context=choices.context or "snippet",
        decoder=choices.decoder or DECODERS[0],
        flow=flow_recipe(flow) if flow else None,
    )
    if choices.engine_i3d is not None:
        recipe = with_engine(recipe, choices.engine_i3d)
    return ExtractorSpec(recipe, names, flow, _raft_name(flow), device)


def _spec_of(recipe: FeatureRecipe, device: str) -> ExtractorSpec:
    """The extractor of a recipe, with weights found by their hash."""
    flow = flow_config_of(recipe.flow) if recipe.flow else None
    names = {stream: _name_of(sha256) for stream, sha256 in recipe.weights.items()}
    return ExtractorSpec(recipe, names, flow, _raft_name(flow), device)


def _streams(text: str) -> tuple[str, ...]:
    names = {name.strip() for name in text.split(",")}
    if not names or names - set(STREAMS):
        raise OptionError(f"unknown streams {text!r}", hint="choose rgb, rgb,flow or flow")
    return tuple(stream for stream in STREAMS if stream in names)


def _check(what: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise OptionError(f"unknown {what} {value!r}", hint=f"choose {' or '.join(known)}")


def _default_weights(stream: str, backbone: str) -> str:
    if backbone != "i3d":
        raise OptionError(
            f"there are no weights of {backbone} here",
            hint="convert the published file with `ascnet weights convert`, then name it with --weights-rgb",
        )
    if stream == "rgb":
        return _RGB_WEIGHTS
    raise WeightsError(
        "the flow stream needs weights, and none come with ascnet",
        hint="take both streams from one training: `ascnet weights fetch i3d-rgb-imagenet i3d-flow-imagenet`,"
        " then --weights-rgb i3d-rgb-imagenet --weights-flow i3d-flow-imagenet; or name files that"
        " `ascnet weights convert` made",
    )


def _checked(name: str, stream: str, backbone: str) -> CheckedFile:
    """Weights that are there, whole, and of the network and stream that they are to be used for."""
    known = {known.name for known in entries()}
    if name not in known and not Path(name).exists():
        raise _unknown(name, WeightsError)(
            f"{name}: neither the name of known weights nor a file",
            hint="`ascnet weights list` shows the names",
        )
    checked = read_entry(entry(name)) if name in known else read_file(Path(name))
    if checked.architecture != backbone:
        raise OptionError(
            f"{name} are weights of {checked.architecture}, not of {backbone}",
            hint=f"choose others, or --backbone {checked.architecture}",
        )
    if backbone == "i3d" and checked.arrays[_STEM].shape[1] != _CHANNELS[stream]:
        other = "flow" if stream == "rgb" else "rgb"
        raise OptionError(f"{name} are weights of the {other} stream", hint=f"use --weights-{other}")
    return checked


def _flow(algorithm: str) -> FlowConfig:
    if algorithm not in ALGORITHMS:
        raise OptionError(
            f"unknown flow algorithm {algorithm!r}", hint=f"choose one of {', '.join(ALGORITHMS)}"
        )
    if algorithm != "raft":
        return flow_config(algorithm)
    raft = entry(_RAFT_WEIGHTS)
    return flow_config(algorithm, weights_sha256=raft.sha256, architecture=raft.architecture)


def _raft_name(flow: FlowConfig | None) -> str:
    return _name_of(flow.weights_sha256) if isinstance(flow, RaftConfig) else ""


def _name_of(sha256: str) -> str:
    """Weights by their content: shipped ones, then the folder of fetched and converted ones.

    Raises:
        WeightsError: none here has this hash.
    """
    for known in entries():
        if known.sha256 == sha256:
            return known.name
    for path in sorted(weights_folder().glob("*.safetensors")):
        if fingerprint(path)["sha256"] == sha256:
            return str(path)
    raise WeightsError(
        f"the model wants weights with the sha256 {sha256}, and none here are those",
        hint=f"`ascnet weights fetch` or `convert` them into {weights_folder()}",
    )


def _unknown(said: str, missing: type[WeightsError]) -> type[AscnetError]:
    """What it is to say something that is neither a known name nor a file.

    A path says that a file is missing (exit code 5); a bare word is no name that there is (2).
    """
    return missing if os.path.basename(said) != said or Path(said).suffix else OptionError  # noqa: PTH119


def _recipe_of(model: str) -> Mapping[str, Any]:
    """The recipe that a trained model's checkpoint carries."""
    trained = [known.name for known in entries() if known.architecture == "ascnet"]
    if model in trained:
        checked = read_entry(entry(model))
    elif Path(model).exists():
        checked = read_file(Path(model))
    else:
        names = ", ".join((KINETICS_MODEL, *trained))
        raise _unknown(model, CheckpointError)(
            f"there is no model {model!r}", hint=f"give {names}, or the path of an ASC-Net checkpoint"
        )
    try:
        recipe: dict[str, Any] = parse_json(checked.metadata["ascnet"])["recipe"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{model} is not an ASC-Net checkpoint, or a damaged one", hint="give one as it was saved"
        ) from error
    return recipe
