"""Feature files: `NAME.npy` with the numbers and `NAME.json`, the sidecar, with all that belongs to them.

The sidecar is written last, so a file without one is not done. It carries the recipe, the time grid, the
decode report, the versions of the libraries, and hashes of the numbers and of the video that they were made
from. Nothing in it says when or where it was made: the same video gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from extractors.arrays import parse_npy
from extractors.errors import FeatureError
from extractors.layouts import Place, place_of
from extractors.recipe import FeatureRecipe
from extractors.snippets import TimeGrid
from extractors.versions import library_versions
from extractors.video import DecodeReport
from weights.atomic import replacing, write_error
from weights.documents import parse_json

FORMAT = 1
Dtype = Literal["float32", "float16"]
_DTYPES = ("float16", "float32")
_CHUNK = 1 << 20  # bytes
_LONGEST_S = 1e9  # thirty years


@runtime_checkable
class MadeFeatures(Protocol):
    """What is stored of a video: an `extractors.features.Features`, whose module loads torch."""

    @property
    def values(self) -> Float32[np.ndarray, "t d"]:
        """(T, D) float32."""

    @property
    def grid(self) -> TimeGrid:
        """Where the rows lie in time."""

    @property
    def n_frames(self) -> int:
        """Grid frames that the video really has."""

    @property
    def duration_s(self) -> float:
        """Of the video, seconds."""

    @property
    def report(self) -> DecodeReport:
        """What decoding came to."""

    @property
    def recipe(self) -> FeatureRecipe:
        """How they were made."""

    @property
    def valid_frames_of_last(self) -> int:
        """Grid frames of the last row that are not padding."""


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """Features as they lie on the disk.

    Attributes:
        video: name of the video, as outputs name it.
        values: (T, D) float32.
        grid: where the rows lie in time.
        duration_s: of the video, seconds.
        recipe: how they were made.
        report: what decoding came to.
        source: size in bytes and sha256 of the video file.
    """

    video: str
    values: Float32[np.ndarray, "t d"]
    grid: TimeGrid
    duration_s: float
    recipe: Mapping[str, Any]
    report: DecodeReport
    source: Mapping[str, Any]


def paths_of(folder: Path, video: str) -> tuple[Path, Path]:
    """The data file and the sidecar of a video; its ending stays, so that a.mp4 and a.avi do not meet."""
    place = place_of(folder, video)
    return place.data[0], place.sidecar


def fingerprint(path: Path) -> dict[str, Any]:
    """Size and sha256 of a file: what decides whether it is still the same one."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return {"bytes": size, "sha256": digest.hexdigest()}


def save_features(
    folder: Path,
    video: str,
    features: MadeFeatures,
    source: Mapping[str, Any],
    dtype: Dtype = "float32",
) -> Path:
    """Write a video's features in ascnet's own layout; see `write_features`.

    Args:
        folder: where feature files lie; made if it is not there.
        video: the video's name, `/` for sub-folders.
        features: what `Extractor.extract` returned.
        source: `fingerprint` of the video.
        dtype: of the numbers in the file; half precision takes half the place and keeps three digits.

    Returns:
        The data file.
    """
    place = place_of(folder, video)
    write_features(place, video, features, source, dtype)
    return place.data[0]


def write_features(
    place: Place, video: str, features: MadeFeatures, source: Mapping[str, Any], dtype: Dtype = "float32"
) -> None:
    """Write a video's features; data first, sidecar last, each whole or not at all.

    Args:
        place: where to; its folders are made if they are not there. With a file a stream, the sidecar has
            `parts` with a hash each instead of `data`.
        video: the video's name.
        features: what `Extractor.extract` returned.
        source: `fingerprint` of the video.
        dtype: of the numbers in the file.

    Raises:
        OutputError: the folder cannot be written to.
        StorageError: the disk is full.
    """
    values = features.values.astype(dtype, copy=False)
    files = [_npy(part) for part in np.split(values, len(place.data), axis=1)]
    hashes = [{"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for data in files]
    names = [Path(os.path.relpath(path, place.sidecar.parent)).as_posix() for path in place.data]
    parts = [{"file": name, **told} for name, told in zip(names, hashes, strict=True)]
    sidecar = {
        "format": FORMAT,
        "video": video,
        "source": dict(source),
        "recipe": features.recipe.as_dict(),
        "recipe_sha256": features.recipe.digest(),
        "versions": library_versions(),
        **({"data": hashes[0]} if len(hashes) == 1 else {"parts": parts}),
        "shape": list(features.values.shape),
        "dtype": dtype,
        "grid": dataclasses.asdict(features.grid),
        "duration_s": features.duration_s,
        "n_frames": features.n_frames,
        "n_snippets": len(features.values),
        "valid_frames_of_last": features.valid_frames_of_last,
        "decode_report": dataclasses.asdict(features.report),
    }
    try:
        for path in (*place.data, place.sidecar):
            path.parent.mkdir(parents=True, exist_ok=True)
        place.sidecar.unlink(missing_ok=True)
        for path in place.data:
            if path.is_symlink():  # it may lead anywhere; what it leads to is not ours
                path.unlink()
    except OSError as error:
        raise write_error(error, place.sidecar) from error
    for path, data in zip(place.data, files, strict=True):
        with replacing(path) as file:
            file.write(data)
    with replacing(place.sidecar) as file:
        file.write(json.dumps(sidecar, indent=2, sort_keys=True).encode() + b"\n")


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
    return buffer.getvalue()


def load_features(data_path: Path) -> StoredFeatures:
    """Read a feature file and check it against its sidecar.

    Raises:
        FeatureError: the file or its sidecar is missing, damaged, or of another format.
    """
    sidecar_path = data_path.with_suffix(".json")
    try:
        data = data_path.read_bytes()
        sidecar = parse_json(sidecar_path.read_bytes())
    except FileNotFoundError as error:
        raise FeatureError(
            f"{error.filename} is missing",
            hint="a feature file and its sidecar belong together: extract again",
        ) from error
    except (OSError, ValueError) as error:
        raise FeatureError(
            f"{sidecar_path} cannot be read: {error}", hint="extract the features again"
        ) from error
    try:
        return _checked(data, sidecar)
    except KeyError as error:
        raise FeatureError(f"{sidecar_path} lacks {error}", hint="extract the features again") from error
    except (TypeError, ValueError) as error:
        raise FeatureError(
            f"{data_path} does not fit its sidecar: {error}", hint="extract the features again"
        ) from error


def _checked(data: bytes, sidecar: Mapping[str, Any]) -> StoredFeatures:
    if sidecar["format"] != FORMAT:
        raise ValueError(f"format {sidecar['format']}, this is format {FORMAT}")
    found = hashlib.sha256(data).hexdigest()
    if found != sidecar["data"]["sha256"]:
        raise ValueError(f"sha256 is {found}, the sidecar says {sidecar['data']['sha256']}")
    values = parse_npy(data)
    if list(values.shape) != sidecar["shape"] or values.ndim != 2 or str(values.dtype) not in _DTYPES:
        raise ValueError(f"holds {values.shape} {values.dtype}, the sidecar says {sidecar['shape']}")
    if not values.size or not np.isfinite(values).all():
        raise ValueError("holds no numbers, or some that are not finite")
    return StoredFeatures(
        video=str(sidecar["video"]),
        values=np.ascontiguousarray(values, np.float32),
        grid=TimeGrid(**sidecar["grid"]),
        duration_s=duration_of(sidecar),
        recipe=dict(sidecar["recipe"]),
        report=_report_of(sidecar["decode_report"]),
        source=dict(sidecar["source"]),
    )


def duration_of(sidecar: Mapping[str, Any]) -> float:
    """How long the video is by its sidecar, seconds.

    Raises:
        KeyError: it does not say.
        ValueError: it says something else than a length.
    """
    told = sidecar["duration_s"]
    if not _is_number(told) or not 0 < told <= _LONGEST_S:
        raise ValueError(f"a duration of {told!r} s")
    return float(told)


def _report_of(told: Mapping[str, Any]) -> DecodeReport:
    """A decode report whose fields are what they should be."""
    report = DecodeReport(**{**told, "notes": tuple(told["notes"])})
    counts = (report.frames_in_header, report.frames_decoded, report.bad_packets)
    lengths = (report.duration_s, report.header_duration_s or 0)
    if not (
        all(isinstance(text, str) for text in (report.decoder, *report.notes))
        and all(isinstance(count, int) for count in counts)
        and all(_is_number(length) and abs(length) <= sys.float_info.max for length in lengths)
        and isinstance(report.truncated, bool)
    ):
        raise ValueError(f"a decode report of {told!r}"[:200])
    return report


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def up_to_date(folder: Path, video: str, recipe_sha256: str, source: Mapping[str, Any]) -> Path | None:
    """The data file, if it is there, of this recipe, and made from this very video; else None."""
    data_path, sidecar_path = paths_of(folder, video)
    try:
        sidecar = parse_json(sidecar_path.read_bytes())
        current = sidecar["recipe_sha256"] == recipe_sha256 and sidecar["source"] == dict(source)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return data_path if current and data_path.is_file() else None
