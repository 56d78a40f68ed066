"""Bring weights that are not shipped: download, compare with the pinned fingerprint, convert, store."""

from __future__ import annotations

import http.client
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from weights.convert import convert
from weights.errors import WeightsError
from weights.files import MAX_BYTES, git_object_id
from weights.integrity import read_entry
from weights.registry import SourceFile, WeightsEntry, entry

Progress = Callable[[str, int, int | None], None]

TIMEOUT_S = 30.0  # without a byte
_CHUNK_BYTES = 2**18
_SCHEMES = ("https://", "http://")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What `fetch` did.

    Attributes:
        name: of the entry.
        path: of the converted file.
        state: "fetched", or "present": it was there, and whole.
    """

    name: str
    path: Path
    state: Literal["fetched", "present"]


def fetch(name: str, progress: Progress | None = None) -> Fetched:
    """See that the weights of this name are here.

    Args:
        name: of a registry entry.
        progress: called with (file name, bytes so far, bytes in all or None) while a file comes in.

    Raises:
        WeightsError: there is no such entry; a shipped file is damaged; nothing could be downloaded (the
            hint gives the steps to do it by hand); or what came is not the file that was pinned.
        OutputError: the weights folder cannot be written to.
        StorageError: the disk is full.
    """
    return fetch_entry(entry(name), progress)


def fetch_entry(known: WeightsEntry, progress: Progress | None = None) -> Fetched:
    """`fetch` for an entry at hand."""
    if known.shipped:
        read_entry(known)
        return Fetched(known.name, known.path, "present")
    if known.path.exists():
        try:
            read_entry(known)
        except WeightsError:
            pass  # damaged, or made from another file: fetching again is what replaces it
        else:
            return Fetched(known.name, known.path, "present")
    with tempfile.TemporaryDirectory(prefix="ascnet-") as folder:
        for file in known.source.files:
            (Path(folder) / file.name).write_bytes(_download(known, file, progress))
        if known.path.exists():  # damaged, and perhaps of use to somebody who wants to know how
            known.path.replace(known.path.with_name(f"{known.path.name}.damaged"))
        convert(Path(folder) / known.source.files[0].name, known.path)
    return Fetched(known.name, known.path, "fetched")


def by_hand(known: WeightsEntry) -> str:
    """The steps that bring an entry's weights to a machine without a network."""
    files = "; ".join(
        f"download {file.urls[0]} (`git hash-object {file.name}` must print {file.git_object_id})"
        for file in known.source.files
    )
    first = known.source.files[0].name
    return f"By hand: {files}; then run `ascnet weights convert {first} --out {known.path}`."


def _download(known: WeightsEntry, file: SourceFile, progress: Progress | None) -> bytes:
    """The first URL that answers with the pinned content."""
    reasons: list[str] = []
    for url in file.urls:
        try:
            data = _get(url, file.name, progress)
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
            continue
        found = git_object_id(data)
        if found == file.git_object_id:
            return data
        reasons.append(f"{url}: the git object id of what came is {found}, not {file.git_object_id}")
    raise WeightsError(f"{known.name} could not be fetched: " + "; ".join(reasons), hint=by_hand(known))


def _get(url: str, name: str, progress: Progress | None) -> bytes:
    """The body behind a URL, of bounded size."""
    if not url.startswith(_SCHEMES):
        raise urllib.error.URLError("neither http nor https")
    parts: list[bytes] = []
    done = 0
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the scheme was looked at
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        while chunk := answer.read(_CHUNK_BYTES):
            parts.append(chunk)
            done += len(chunk)
            if done > MAX_BYTES:
                raise urllib.error.URLError(f"more than {MAX_BYTES >> 20} MiB")
            if progress is not None:
                progress(name, done, total)
    if total is not None and done < total:
        raise urllib.error.URLError(f"the connection ended after {done} of {total} bytes")
    return b"".join(parts)
