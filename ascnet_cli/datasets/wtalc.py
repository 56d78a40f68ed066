"""W-TALC's arrays, which are pickles: turned once into JSON and plain arrays, without running them.

`videoname`, `subset`, `segments`, `labels`, `duration` and `original_fps` become `annotations.json`; the one
array with every video's features becomes a file a video. `extracted_fps.npy` is not used: it says 10 for
features that lie 25 / 16 a second.

Source: S. Paul et al., "W-TALC: Weakly-supervised Temporal Activity Localization and Classification" (2018).
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from ascnet_cli.datasets.activitynet_json import read_text
from ascnet_cli.datasets.features import write_grid
from ascnet_cli.errors import PredictionsError, WeightsError
from extractors.snippets import TimeGrid
from weights.atomic import replacing
from weights.pickles import load_object_array

_REQUIRED = ("videoname", "subset", "segments", "labels", "duration")
_HINT = "get the folder again from where it was published"


def has_annotations(folder: Path) -> bool:
    """Whether W-TALC's annotation arrays lie in a folder."""
    return all((folder / f"{name}.npy").is_file() for name in _REQUIRED)


def find_feature_array(folder: Path) -> Path | None:
    """The array with all videos' features, if there is exactly one."""
    found = sorted(folder.glob("*JOINTFeatures.npy"))
    return found[0] if len(found) == 1 else None


def convert_annotations(folder: Path, out: Path) -> Path:
    """Write W-TALC's annotations as ActivityNet's JSON, with frame rates and ambiguous stretches.

    Args:
        folder: with the arrays.
        out: the folder for `annotations.json`.

    Raises:
        PredictionsError: an array is missing, damaged, of another length, or not what it should hold.
        OutputError: the file cannot be written.
    """
    arrays = {name: _array(folder / f"{name}.npy") for name in _REQUIRED}
    n_videos = len(arrays["videoname"])
    rates_path = folder / "original_fps.npy"
    rates = _array(rates_path).ravel() if rates_path.is_file() else None
    for name, array in [*arrays.items(), ("original_fps", rates)]:
        if array is not None and len(array) != n_videos:
            raise PredictionsError(
                f"{folder / name}.npy has {len(array)} entries, videoname.npy {n_videos}", hint=_HINT
            )
    ambiguous = _ambiguous(folder)
    database: dict[str, Any] = {}
    for index, video in enumerate(_names(arrays["videoname"])):
        if video in database:
            raise PredictionsError(f"{folder}: {video!r} is there twice", hint=_HINT)
        entry: dict[str, Any] = {
            "duration": float(arrays["duration"].ravel()[index]),
            "subset": _text(arrays["subset"][index]),
            "annotations": _annotations(arrays["segments"][index], arrays["labels"][index], video),
        }
        if rates is not None:
            entry["fps"] = float(rates[index])
        if video in ambiguous:
            entry["ambiguous"] = ambiguous[video]
        database[video] = entry
    path = out / "annotations.json"
    document = {"version": "from W-TALC's arrays", "database": database}
    with replacing(path) as file:
        file.write(json.dumps(document, indent=1, allow_nan=False).encode() + b"\n")
    return path


def convert_features(source: Path, names_from: Path, out: Path, grid: TimeGrid) -> int:
    """Write the features of every video as `VIDEO.npy`, and when they are as `grid.json`.

    The whole array is in memory at once (0.9 GB for THUMOS14). A file that is there already is written again.

    Args:
        source: the array of objects.
        names_from: the folder with `videoname.npy`.
        out: the folder for the files; made if it is not there.
        grid: where the rows lie in time.

    Returns:
        How many videos.

    Raises:
        PredictionsError: an array is damaged, or an entry is no (T, D) array.
        OutputError: a file cannot be written.
    """
    names = _names(_array(names_from / "videoname.npy"))
    entries = _array(source)
    if len(entries) != len(names):
        raise PredictionsError(
            f"{source} has {len(entries)} entries for {len(names)} names of videos", hint=_HINT
        )
    out.mkdir(parents=True, exist_ok=True)
    for name, entry in zip(names, entries, strict=True):
        values = np.asarray(entry)
        if values.ndim != 2 or not values.size or values.dtype.kind != "f":
            raise PredictionsError(f"{source}: {name} has {values.shape} {values.dtype}", hint=_HINT)
        if Path(name).name != name:
            raise PredictionsError(f"{names_from}: {name!r} is no name for a file", hint=_HINT)
        buffer = io.BytesIO()
        np.save(buffer, values.astype(np.float32), allow_pickle=False)
        with replacing(out / f"{name}.npy") as file:
            file.write(buffer.getvalue())
    write_grid(out, grid)
    return len(names)


def _array(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            array = load_object_array(file, str(path))
    except OSError as error:
        raise PredictionsError(f"{path}: cannot be read: {error.strerror}", hint=_HINT) from error
    except WeightsError as error:
        raise PredictionsError(str(error), hint=error.hint) from error
    if not array.ndim:
        raise PredictionsError(f"{path} holds one thing, not one a video", hint=_HINT)
    return array


def _names(array: np.ndarray) -> list[str]:
    return [_text(name) for name in array]


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _annotations(segments: object, labels: object, video: str) -> list[dict[str, Any]]:
    """A video's instances in ActivityNet's form."""
    try:
        pairs = [
            {"segment": [float(start), float(end)], "label": _text(label)}
            for (start, end), label in zip(segments, labels, strict=True)  # type: ignore[call-overload]
        ]
    except (TypeError, ValueError) as error:
        raise PredictionsError(
            f"segments.npy and labels.npy disagree about {video}: {error}", hint=_HINT
        ) from error
    return pairs


def _ambiguous(folder: Path) -> dict[str, list[list[float]]]:
    """Ambiguous stretches, from the challenge's text files where they lie beside the arrays."""
    found: dict[str, list[list[float]]] = {}
    for path in sorted(folder.glob("Ambiguous_*.txt")):
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            words = line.split()
            if not words:
                continue
            try:
                video, start, end = words
                found.setdefault(video, []).append([float(start), float(end)])
            except ValueError as error:
                raise PredictionsError(f"{path}:{number}: not VIDEO START END", hint=_HINT) from error
    return found
