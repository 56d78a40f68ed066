"""Checkpoints: one safetensors file that says what it is.

The tensors are the network's state, in single precision, or compact: in half precision and without the
queries, which training alone reads. A loaded one is in single precision. The header's metadata holds one
entry, `ascnet`, a JSON object: `format` (a number, 1), `network` (every field of `NetworkConfig`), `labels`
(the classes' names in the order of the outputs), `recipe` (how the features that it was trained on were
made), `localization` and `extra` (for the reader's caller), `compact` (true where it is), and `digest`, a
SHA-256 over all of that and every tensor, so that a single flipped bit is found. Nothing is unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ascnet_cli.config import NetworkConfig
from ascnet_cli.errors import CheckpointError, OptionError, WeightsError
from ascnet_cli.labels import label_fault
from ascnet_cli.model.ascnet import AscNet
from weights.atomic import replacing
from weights.files import read_bounded

FORMAT = 1
SHOWN_DIFFERENCES = 5
_KEY = "ascnet"
_QUERIES = "queries."
_MADE_BY = "give an ASC-Net checkpoint as it was saved, or copy it again."


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Checkpoint:
    """A trained network and what belongs to it.

    Attributes:
        model: on the device that was asked for, in evaluation mode; a compact file's has no queries.
        labels: names of the C action classes, in the order of the outputs.
        config: dimensions, preset and options; the same as `model.config`.
        recipe: how the features that it was trained on were made.
        localization: settings for the localization, where they differ from the preset's.
        extra: anything else that was saved with it.
        sha256: of the whole file.
    """

    model: AscNet
    labels: tuple[str, ...]
    config: NetworkConfig
    recipe: Mapping[str, Any]
    localization: Mapping[str, Any]
    extra: Mapping[str, Any]
    sha256: str


def save_checkpoint(
    path: Path,
    model: AscNet,
    *,
    labels: Sequence[str],
    recipe: Mapping[str, object],
    localization: Mapping[str, object] | None = None,
    extra: Mapping[str, object] | None = None,
    compact: bool = False,
) -> str:
    """Writes a checkpoint, whole or not at all; equal models make equal files.

    Args:
        path: where to; an older file there is replaced.
        model: the network; its configuration is saved with it.
        labels: names of its C action classes.
        recipe: how its features were made; values that JSON knows.
        localization: settings for the localization, where they differ from the preset's.
        extra: anything else that JSON knows.
        compact: half-precision numbers, and no queries: a third of the place, and it cannot be trained on.

    Returns:
        The SHA-256 of the file.

    Raises:
        CheckpointError: the state holds numbers that are not finite, or the labels do not fit.
        OutputError: the path cannot be written to.
        StorageError: the disk is full.
    """
    dtype = torch.float16 if compact else torch.float32
    state = {
        name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in model.state_dict().items()
        if not (compact and name.startswith(_QUERIES))
    }
    broken = _not_finite(state)
    if broken:
        raise CheckpointError(f"{path} was not written: {broken}", hint="use an earlier checkpoint.")
    content: dict[str, Any] = {
        "format": FORMAT,
        "network": dataclasses.asdict(model.config),
        "labels": list(labels),
        "recipe": dict(recipe),
        "localization": dict(localization or {}),
        "extra": dict(extra or {}),
    }
    if compact:
        content["compact"] = True
    problem = _label_problem(content["labels"], model.config.n_classes)
    if problem:
        raise CheckpointError(f"{path} was not written: {problem}")
    content["digest"] = _digest(content, state)
    data = safetensors.torch.save(state, {_KEY: _canonical(content)})
    with replacing(path) as file:
        file.write(data)
    return hashlib.sha256(data).hexdigest()


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Reads a checkpoint and checks all of it.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind or format, or does not fit the
            network that it describes; the message names the first five differences.
    """
    data = _read(path)
    state = _tensors(path, data)
    content = _content(path, data)
    if content.get("digest") != _digest(content, state):
        raise CheckpointError(f"{path} is damaged: its content is not what was written", hint=_MADE_BY)
    compact = content.get("compact") is True
    kinds = _kind_problem(state, torch.float16 if compact else torch.float32)
    if kinds:
        raise CheckpointError(f"{path} does not hold what ascnet writes: {kinds}", hint=_MADE_BY)
    if compact:
        state = {name: tensor.float() for name, tensor in state.items()}
    try:
        config = NetworkConfig.from_mapping(content["network"])
    except OptionError as error:
        raise CheckpointError(f"{path} does not describe a network: {error}", hint=_MADE_BY) from error
    problem = _label_problem(content["labels"], config.n_classes)
    if problem:
        raise CheckpointError(f"{path} does not fit itself: {problem}", hint=_MADE_BY)
    with torch.device("meta"):  # no memory and no random numbers for what is replaced at once
        model = AscNet(config)
    if compact:
        del model.queries
    differences = _differences(model.state_dict(), state)
    if differences:
        shown = "; ".join(differences[:SHOWN_DIFFERENCES])
        more = len(differences) - SHOWN_DIFFERENCES
        tail = f"; and {more} more" if more > 0 else ""
        raise CheckpointError(f"{path} does not fit the network it describes: {shown}{tail}", hint=_MADE_BY)
    broken = _not_finite(state)
    if broken:
        raise CheckpointError(f"{path} cannot be used: {broken}", hint="use an earlier checkpoint.")
    model.load_state_dict(state, strict=True, assign=True)
    return Checkpoint(
        model=model.to(device).eval(),
        labels=tuple(content["labels"]),
        config=config,
        recipe=content["recipe"],
        localization=content["localization"],
        extra=content["extra"],
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(content: Mapping[str, Any], state: Mapping[str, Tensor]) -> str:
    """SHA-256 over the metadata without its digest, then each tensor's name, type, shape and bytes."""
    described = {name: value for name, value in content.items() if name != "digest"}
    digest = hashlib.sha256(_canonical(described).encode())
    for name in sorted(state):
        tensor = state[name].contiguous()
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        data = read_bounded(path)
    except WeightsError as error:
        cause = error.__cause__
        said = f"{path} cannot be read: {cause.strerror}" if isinstance(cause, OSError) else str(error)
        raise CheckpointError(said, hint="check the path that --model names.") from error
    if not data:
        raise CheckpointError(f"{path} is empty", hint=_MADE_BY)
    return data


def _tensors(path: Path, data: bytes) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        # Only now: a safetensors file may begin with the same bytes, which are its header's length.
        if data[:1] == b"\x80" or data[:2] == b"PK":
            raise CheckpointError(
                f"{path} is a pickle or a zip archive, not an ascnet checkpoint; ascnet never unpickles",
                hint="give an ASC-Net checkpoint, a .safetensors file.",
            ) from error
        raise CheckpointError(
            f"{path} is damaged, or not a safetensors file: {error}", hint=_MADE_BY
        ) from error


def _content(path: Path, data: bytes) -> dict[str, Any]:
    """The metadata's JSON object, of this format and with every field of the right kind."""
    # The header was found sound by safetensors: 8 bytes of its length, then JSON.
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    text = (header.get("__metadata__") or {}).get(_KEY)
    if text is None:
        raise CheckpointError(f"{path} is a safetensors file, but not an ascnet checkpoint", hint=_MADE_BY)
    try:
        content = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: its metadata is not JSON", hint=_MADE_BY) from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise CheckpointError(f"{path} is damaged: its metadata names no format", hint=_MADE_BY)
    if content["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has format {content['format']}; this ascnet reads format {FORMAT}",
            hint="use the ascnet version that wrote it.",
        )
    kinds = {"network": dict, "labels": list, "recipe": dict, "localization": dict, "extra": dict}
    wrong = [name for name, kind in kinds.items() if not isinstance(content.get(name), kind)]
    if wrong:
        raise CheckpointError(f"{path} is damaged: no proper {', '.join(wrong)} inside", hint=_MADE_BY)
    return content


def _refuse_constant(name: str) -> None:
    """NaN and Infinity are not JSON, and `save_checkpoint` writes none."""
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """A number as JSON writes it; 1e400 is one, but no float."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _label_problem(labels: Sequence[object], n_classes: int) -> str:
    """What is wrong with the labels of a network of `n_classes` classes; empty where nothing is."""
    if len(labels) != n_classes:
        return f"{len(labels)} labels for {n_classes} classes"
    if len(set(map(str, labels))) != n_classes or not all(isinstance(name, str) and name for name in labels):
        return "its labels are not all different names"
    return next(filter(None, map(label_fault, map(str, labels))), "")


def _kind_problem(state: Mapping[str, Tensor], kind: torch.dtype) -> str:
    """Which tensors are of another type, in words: whole numbers and the like must not pass for weights."""
    others = [f"{name} is {tensor.dtype}" for name, tensor in sorted(state.items()) if tensor.dtype != kind]
    if not others:
        return ""
    more = len(others) - SHOWN_DIFFERENCES
    shown = "; ".join(others[:SHOWN_DIFFERENCES]) + (f"; and {more} more" if more > 0 else "")
    return f"{shown}; it must be {kind}"


def _differences(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Each tensor that is missing, unexpected, or of another shape or type, in words."""
    differences = [f"{name} is missing" for name in wanted if name not in found]
    differences += [f"{name} is unexpected" for name in found if name not in wanted]
    for name in wanted.keys() & found.keys():
        ours, theirs = wanted[name], found[name]
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            differences.append(
                f"{name} is {theirs.dtype} {tuple(theirs.shape)}, not {ours.dtype} {tuple(ours.shape)}"
            )
    return sorted(differences)


def _not_finite(state: Mapping[str, Tensor]) -> str:
    """Which tensors hold infinite or undefined numbers, in words; empty where none does."""
    broken = [name for name, tensor in state.items() if not bool(tensor.isfinite().all())]
    shown = ", ".join(broken[:SHOWN_DIFFERENCES])
    return f"numbers that are not finite in {len(broken)} tensors ({shown})" if broken else ""
