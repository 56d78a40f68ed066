"""Which weights exist and where they came from: `registry.toml`, as values."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from weights.errors import WeightsError

_PACKAGE = Path(__file__).parent
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_OBJECT_ID = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One published file, or one file inside a published archive.

    Attributes:
        name: its name; for a file inside an archive, its path there.
        sha256: of its content, where known.
        git_object_id: the id under which its repository stores it, where it comes from one.
        urls: where it can be had, to be tried in this order; empty where a package manager gets it.

    Raises:
        ValueError: there is no fingerprint, or one that is none.
    """

    name: str
    sha256: str = ""
    git_object_id: str = ""
    urls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.sha256 or self.git_object_id):
            raise ValueError(f"{self.name} needs a sha256 or a git object id")
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.name}: {self.sha256!r} is not a sha256")
        if self.git_object_id and not _GIT_OBJECT_ID.fullmatch(self.git_object_id):
            raise ValueError(f"{self.name}: {self.git_object_id!r} is not a git object id")


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """Where weights were published.

    Attributes:
        publisher: a package's name, or a repository as owner/name.
        version: the package's version, or the repository's commit.
        files: what is taken from there; the first one holds the numbers.
    """

    publisher: str
    version: str
    files: tuple[SourceFile, ...]

    def __post_init__(self) -> None:
        if not self.files:
            raise ValueError(f"the source {self.publisher} needs at least one file")


@dataclass(frozen=True, slots=True)
class WeightsEntry:
    """One set of weights.

    Attributes:
        name: what a person calls it.
        file: the name of its converted file.
        sha256: of that file where it is shipped; empty otherwise: fetched files are held to the hash
            of their tensors and to the fingerprint of their source, both in their metadata.
        bytes: size of that file where it is shipped, else 0.
        architecture: "i3d", "i3d_r50", "raft_small", "raft_large" or "ascnet", a trained ASC-Net.
        stream: what goes in: "rgb", "flow" (two channels of optical flow) or "frames" (pairs of images).
        classes: the list of class names its logits follow ("kinetics400"), or empty.
        source: where it was published.
        licence: SPDX identifiers.
        recipe: how the file is made from its source, and what was measured on the way.
        shipped: whether the file is part of this package.

    Raises:
        ValueError: a shipped entry has no hash or size, or another one can be had nowhere.
    """

    name: str
    file: str
    sha256: str
    bytes: int
    architecture: str
    stream: str
    classes: str
    source: WeightsSource
    licence: str
    recipe: str
    shipped: bool

    def __post_init__(self) -> None:
        if self.shipped and not (_SHA256.fullmatch(self.sha256) and self.bytes > 0):
            raise ValueError(f"{self.name} is shipped and so needs its sha256 and its size")
        if not self.shipped and not all(file.urls and file.git_object_id for file in self.source.files):
            raise ValueError(f"{self.name} is not shipped and so needs URLs and git object ids")

    @property
    def path(self) -> Path:
        """Where the converted file lies, or will lie once it is fetched."""
        return (_PACKAGE if self.shipped else weights_folder()) / self.file


def weights_folder() -> Path:
    """Where fetched weights go: $ASCNET_WEIGHTS, else $XDG_CACHE_HOME/ascnet/weights, else ~/.cache/...

    Raises:
        WeightsError: there is no such place, whether or not a folder is there yet.
    """
    chosen, cache_home = os.environ.get("ASCNET_WEIGHTS"), os.environ.get("XDG_CACHE_HOME")
    try:
        if chosen:
            folder = Path(chosen).expanduser()
        else:
            folder = (Path(cache_home) if cache_home else Path.home() / ".cache") / "ascnet" / "weights"
        folder.exists()  # a name may be too long, or out of reach
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"there is no place for fetched weights: {error}",
            hint="Set ASCNET_WEIGHTS to a folder; shipped weights do not need it.",
        ) from error
    return folder


@cache
def entries() -> tuple[WeightsEntry, ...]:
    """All known weights, in the order of the file: the default ones first."""
    with (_PACKAGE / "registry.toml").open("rb") as file:
        return tuple(_entry(table) for table in tomllib.load(file)["weights"])


def entry(name: str) -> WeightsEntry:
    """The entry of this name.

    Raises:
        WeightsError: there is none.
    """
    for known in entries():
        if known.name == name:
            return known
    raise WeightsError(
        f"no weights are called {name!r}", hint="Known: " + ", ".join(known.name for known in entries()) + "."
    )


def entry_made_from(sha256: str, git_object_id: str) -> WeightsEntry | None:
    """The entry that is made from the published file with one of these fingerprints."""
    for known in entries():
        file = known.source.files[0]
        if sha256 == file.sha256 or git_object_id == file.git_object_id:
            return known
    return None


def class_names(entry: WeightsEntry) -> tuple[str, ...]:
    """The classes of an entry's logits, in their order.

    Raises:
        WeightsError: these weights do not classify.
    """
    if not entry.classes:
        raise WeightsError(f"{entry.name} has no classes", hint="Choose the weights of a classifier.")
    return tuple((_PACKAGE / f"{entry.classes}.txt").read_text(encoding="utf-8").splitlines())


def _entry(table: dict[str, Any]) -> WeightsEntry:
    source = table["source"]
    files = tuple(
        SourceFile(
            name=file["name"],
            sha256=file.get("sha256", ""),
            git_object_id=file.get("git_object_id", ""),
            urls=tuple(file.get("urls", ())),
        )
        for file in source["files"]
    )
    return WeightsEntry(
        name=table["name"],
        file=table["file"],
        sha256=table.get("sha256", ""),
        bytes=table.get("bytes", 0),
        architecture=table["architecture"],
        stream=table["stream"],
        classes=table.get("classes", ""),
        source=WeightsSource(publisher=source["publisher"], version=source["version"], files=files),
        licence=table["licence"],
        recipe=" ".join(table["recipe"].split()),
        shipped=table["shipped"],
    )
