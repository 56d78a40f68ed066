"""Whether a video's features are there and right, and if not, why they are to be made.

What decides is content: the sidecar's recipe, the hash of the numbers, and the hash of the video itself.
Dates decide nothing, and no cache of hashes is kept: reading a video once is a thousand times faster than
making its features, and there is nothing that could be out of date.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extractors.layouts import Place
from extractors.recipe import FeatureRecipe
from extractors.store import FORMAT, Dtype, fingerprint
from weights.documents import parse_json

NEW = "new"  # why features are made of which there is nothing
_SHOWN = 3  # differences between two recipes that are named

# Device, number, size and last change of a file: whether it was replaced since, as this machine sees it.
Stamp = tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What features are to be.

    Attributes:
        recipe: how they are made.
        dtype: of the numbers in the file.
        strict: a video that ends before its header promises counts as failed.
        force: make them again, whatever is there.
    """

    recipe: FeatureRecipe
    dtype: Dtype = "float32"
    strict: bool = False
    force: bool = False


def stamp(path: Path) -> Stamp:
    """What tells a file from one that took its place; None where there is none.

    The file is opened: a network file system asks its server only then, and answers other questions from
    what it remembers.
    """
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            status = os.fstat(number)
        finally:
            os.close(number)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def why_make(place: Place, path: Path, wanted: Wanted, *, just_made: bool = False) -> str:
    """Why a video's features are to be made; empty where they are up to date.

    Args:
        place: of its features.
        path: the video.
        wanted: what they are to be.
        just_made: another process made them while this one runs. It has read the video itself, which is not
            read again for its hash; its size is still compared.
    """
    if wanted.force:
        return "forced"
    try:
        sidecar = parse_json(place.sidecar.read_bytes())
    except FileNotFoundError:
        return "no sidecar" if any(file.exists() for file in place.data) else NEW
    except OSError as error:
        return NEW if error.errno == errno.ENAMETOOLONG else "sidecar damaged"
    except ValueError:
        return "sidecar damaged"
    try:
        return (
            _other_kind(sidecar, wanted)
            or _damaged(place, sidecar)
            or _other_video(path, sidecar["source"], by_size=just_made)
        )
    except (KeyError, TypeError, AttributeError):
        return "sidecar damaged"


def made_otherwise(place: Place, wanted: Wanted) -> str:
    """How features differ from what they are to be, by their sidecar alone; empty where they do not.

    A sidecar that is not there, or cannot be read, says nothing: another process may be at work.
    """
    try:
        return _other_kind(parse_json(place.sidecar.read_bytes()), wanted)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _other_kind(sidecar: Mapping[str, Any], wanted: Wanted) -> str:
    if sidecar["format"] != FORMAT:
        return f"format {sidecar['format']} -> {FORMAT}"
    if sidecar["recipe_sha256"] != wanted.recipe.digest():
        return f"recipe differs: {differences(sidecar['recipe'], wanted.recipe.as_dict())}"
    if sidecar["dtype"] != wanted.dtype:
        return f"stored as {sidecar['dtype']}, not {wanted.dtype}"
    if wanted.strict and sidecar["decode_report"]["truncated"]:
        return "made of a truncated video"
    return ""


def _damaged(place: Place, sidecar: Mapping[str, Any]) -> str:
    parts = sidecar["parts"] if "parts" in sidecar else [sidecar["data"]]
    if len(parts) != len(place.data):
        return "another layout"
    for file, promised in zip(place.data, parts, strict=True):
        try:
            if file.stat().st_size != promised["bytes"]:
                return "features damaged: size"
            if fingerprint(file)["sha256"] != promised["sha256"]:
                return "features damaged: sha256"
        except FileNotFoundError:
            return "features missing"
        except OSError as error:
            return f"features cannot be read: {error.strerror}"
    return ""


def _other_video(path: Path, source: Mapping[str, Any], *, by_size: bool) -> str:
    try:
        # The size first: it costs nothing, and most videos that changed have another one.
        if path.stat().st_size != source["bytes"] or not (by_size or fingerprint(path) == dict(source)):
            return "the video changed"
    except OSError as error:
        return f"the video cannot be read: {error.strerror}"
    return ""


def differences(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The fields in which two recipes differ, as `context snippet -> dense`, the first three of them."""
    before, now = _flat(made), _flat(wanted)
    # What follows from another field is left out where there is a field that a person chose.
    names = sorted(now.keys() | before.keys(), key=lambda name: (name in _FOLLOWING, name))
    found = [
        f"{name} {_short(before.get(name))} -> {_short(now.get(name))}"
        for name in names
        if before.get(name) != now.get(name)
    ]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


_FOLLOWING = frozenset(("dim", "fps", "lag_frames", "stride_frames", "streams", "window_frames"))


def _flat(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            fields |= _flat(value, f"{prefix}{name}.")
        else:
            fields[prefix + name] = value
    return fields


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text[:12] + "..." if len(text) == 64 else text  # a hash: its beginning tells it apart
