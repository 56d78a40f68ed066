"""Feature files of a data set, in whoever's layout, and where their rows lie in time.

| layout | files | when a row is |
|---|---|---|
| ascnet | `VIDEO.npy` and the sidecar `VIDEO.json` | in the sidecar |
| plain | `VIDEO.npy` | in `grid.json` |
| acmnet | `{train,test}/VIDEO.npy` | in `grid.json` |
| cola | `{train,test}/{rgb,flow}/VIDEO.npy`, joined RGB first | in `grid.json` |

`grid.json`, at the top of the folder, has the fields of `extractors.snippets.TimeGrid`. Published features
come without such a record; `ascnet datasets prepare` writes it from what the person knows of them, and
nothing here assumes it. W-TALC's single array of objects becomes the plain layout, by the same command.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32

from ascnet_cli.datasets.activitynet_json import read_json_object
from ascnet_cli.errors import FeatureError, PredictionsError
from extractors.arrays import map_npy
from extractors.snippets import TimeGrid
from extractors.store import duration_of
from extractors.video import VIDEO_ENDINGS
from weights.atomic import replacing
from weights.documents import parse_json

Layout = Literal["ascnet", "plain", "acmnet", "cola"]

GRID_FILE = "grid.json"
_PARTS = ("train", "test")
_STREAMS = ("rgb", "flow")
_PIECE_ROWS = 256  # looked at together


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """One video's features on the disk, not read yet.

    Attributes:
        video: its name in the annotations.
        layout: whose.
        paths: the file, or one a stream, RGB first.
        grid: where the rows lie in time.
        n_rows: T.
        dim: D, of all streams together.
        duration_s: of the video, as the sidecar has it; None without one.
        recipe: how the rows were made, as the sidecar has it; None without one.
        sha256: of the file, as the sidecar has it; None without one.
    """

    video: str
    layout: Layout
    paths: tuple[Path, ...]
    grid: TimeGrid
    n_rows: int
    dim: int
    duration_s: float | None = None
    recipe: Mapping[str, Any] | None = None
    sha256: str | None = None

    @property
    def end_s(self) -> float:
        """Where the video ends: its duration by the sidecar, or the end of the last row.

        Durations in circulating annotations are wrong for some videos, and are not looked at.
        """
        return self.duration_s or self.grid.span_s(self.n_rows - 1)[1]

    def mapped(self) -> Float[np.ndarray, "t d"]:
        """The numbers, for reading some rows at a time: a single file stays on the disk.

        Every number is looked at once, piece by piece, and a file with a sidecar is compared with its hash.
        The two files of the layout `cola` are joined in memory.

        Raises:
            FeatureError: the file is damaged, or a number is not finite.
        """
        arrays = [_mapped(path)[: self.n_rows] for path in self.paths]
        if self.sha256 is not None and _sha256(self.paths[0]) != self.sha256:
            raise FeatureError(
                f"{self.paths[0]} is damaged: its content is not what was written",
                hint="extract the features again",
            )
        for path, array in zip(self.paths, arrays, strict=True):
            for first in range(0, len(array), _PIECE_ROWS):
                if not np.isfinite(array[first : first + _PIECE_ROWS]).all():
                    raise FeatureError(
                        f"{path} holds numbers that are not finite", hint="extract the features again"
                    )
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)

    def digest(self) -> str:
        """SHA-256 of the numbers: the sidecar's, or of the files themselves.

        Raises:
            FeatureError: a file cannot be read.
        """
        return self.sha256 or " ".join(_sha256(path) for path in self.paths)

    def load(self) -> Float32[np.ndarray, "t d"]:
        """The numbers, read once; those with a sidecar are checked against its hash.

        A single file in single precision without a sidecar stays mapped into memory.

        Raises:
            FeatureError: the file is damaged, or a number is not finite.
        """
        return self.mapped().astype(np.float32, copy=False)


def layout_of(folder: Path) -> Layout:
    """Whose layout a folder has; one with files of its own at the top is ascnet's or plain.

    Raises:
        FeatureError: it has no features.
    """
    if any((folder / part / stream).is_dir() for part in _PARTS for stream in _STREAMS):
        return "cola"
    if any(not _has_sidecar(file) for part in _PARTS for file in (folder / part).glob("*.npy")):
        return "acmnet"
    files = list(folder.rglob("*.npy"))
    if not files:
        raise FeatureError(
            f"no features (.npy) in {folder}", hint="extract them, or say where they are with --features"
        )
    return "ascnet" if any(file.with_suffix(".json").is_file() for file in files) else "plain"


def _has_sidecar(file: Path) -> bool:
    """Whether a file is of ascnet's own layout, where videos may lie in folders called train and test too."""
    return file.stem != _without_ending(file.stem) and file.with_suffix(".json").is_file()


def read_grid(folder: Path) -> TimeGrid:
    """The recorded time grid of features that have no sidecars.

    Raises:
        FeatureError: it is missing or damaged.
    """
    path = folder / GRID_FILE
    if not path.is_file():
        raise FeatureError(
            f"{folder}: nothing says when its features are: {GRID_FILE} is missing",
            hint=f"record how they were made, e.g. ascnet datasets prepare {folder} --fps 25 --stride 16",
        )
    try:
        return TimeGrid(**read_json_object(path))
    except (TypeError, ValueError, PredictionsError) as error:
        raise FeatureError(
            f"{path} is no time grid: {error}", hint="write it again: ascnet datasets prepare"
        ) from error


def write_grid(folder: Path, grid: TimeGrid) -> Path:
    """Record when features are; the file.

    Raises:
        OutputError: the folder cannot be written to.
        StorageError: the disk is full.
    """
    path = folder / GRID_FILE
    with replacing(path) as file:
        file.write(json.dumps(dataclasses.asdict(grid), indent=1).encode() + b"\n")
    return path


class FeatureFolder:
    """The features in one folder.

    Raises:
        FeatureError: there are none, or nothing says when their rows are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = layout_of(folder)
        self._grid = None if self.layout == "ascnet" else read_grid(folder)
        # Also by the name without a video's ending, so that "a" finds "a.mp4.npy".
        tops = [folder] if self.layout in ("ascnet", "plain") else [folder / part for part in _PARTS]
        if self.layout == "cola":
            tops = [top / stream for top in tops for stream in _STREAMS]
        self._names: dict[str, dict[Path, list[Path]]] = {}
        for top in tops:
            for path in sorted(top.rglob("*.npy")):
                name = path.relative_to(top).as_posix().removesuffix(".npy")
                for known_as in {name, _without_ending(name)}:
                    self._names.setdefault(known_as, {}).setdefault(path.parent, []).append(path)

    def find(self, video: str) -> FeatureFile | None:
        """One video's features; None where there are none.

        Raises:
            FeatureError: the file or its sidecar is damaged, or several files could be meant.
        """
        stem = _without_ending(video)
        paths = self._paths(video)
        if not paths and stem != video:
            # "a.mp4" finds a.npy, and not a.avi.npy, which is another video's.
            paths = [path for path in self._paths(stem) if path.name == f"{PurePosixPath(stem).name}.npy"]
        if not paths:
            return None
        if self.layout == "cola":
            paths = self._both_streams(video, paths)
        elif len(paths) > 1:
            raise FeatureError(
                f"{video}: {' and '.join(map(str, paths))} could both be meant",
                hint="give videos other names",
            )
        if self._grid is None:
            return _with_sidecar(video, paths[0])
        shapes = [_mapped(path).shape for path in paths]
        n_rows = min(shape[0] for shape in shapes)
        dim = sum(shape[1] for shape in shapes)
        return FeatureFile(video, self.layout, tuple(paths), self._grid, n_rows, dim)

    def _paths(self, name: str) -> list[Path]:
        found = [path for paths in self._names.get(name, {}).values() for path in paths]
        exact = [path for path in found if path.as_posix().endswith(f"{name}.npy")]
        return exact or found

    def _both_streams(self, video: str, paths: Sequence[Path]) -> list[Path]:
        by_stream = {path.relative_to(self.folder).parts[1]: path for path in paths}
        if len(paths) != len(_STREAMS) or set(by_stream) != set(_STREAMS):
            raise FeatureError(
                f"{video} has {len(paths)} of the files {' and '.join(_STREAMS)}",
                hint="each video needs one file for each stream, in train or in test",
            )
        rows = [len(_mapped(by_stream[stream])) for stream in _STREAMS]
        if abs(rows[0] - rows[1]) > 1:  # flow has one frame less, so perhaps one snippet less
            raise FeatureError(f"{video}: {rows[0]} rows of RGB, {rows[1]} of flow", hint="extract again")
        return [by_stream[stream] for stream in _STREAMS]


def _without_ending(name: str) -> str:
    """A video's name without its ending; a dot inside a name is no ending."""
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in VIDEO_ENDINGS else name


def _mapped(path: Path) -> np.ndarray:
    """A (T, D) array, mapped into memory.

    Raises:
        FeatureError: it is truncated, of another kind, or empty.
    """
    try:
        values = map_npy(path)
    except (OSError, ValueError) as error:
        raise FeatureError(f"{path} cannot be read: {error}", hint="get or extract it again") from error
    if values.ndim != 2 or not values.size or values.dtype.kind != "f":
        raise FeatureError(
            f"{path} holds {values.shape} {values.dtype}, not (snippets, features)",
            hint="get or extract it again",
        )
    return values


def _with_sidecar(video: str, path: Path) -> FeatureFile:
    sidecar_path = path.with_suffix(".json")
    try:
        sidecar: dict[str, Any] = parse_json(sidecar_path.read_bytes())
        grid, duration_s = TimeGrid(**sidecar["grid"]), duration_of(sidecar)
        shape = tuple(sidecar["shape"])
        recipe, sha256 = dict(sidecar["recipe"]), str(sidecar["data"]["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FeatureError(
            f"{sidecar_path} cannot be read: {error}", hint="extract the features again"
        ) from error
    n_rows, dim = _mapped(path).shape
    if shape != (n_rows, dim):
        raise FeatureError(
            f"{path} holds {(n_rows, dim)}, its sidecar says {shape}", hint="extract the features again"
        )
    return FeatureFile(video, "ascnet", (path,), grid, n_rows, dim, duration_s, recipe, sha256)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FeatureError(f"{path} cannot be read: {error.strerror}", hint="check the disk") from error
