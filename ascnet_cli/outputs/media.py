"""How a file of segments refers to the video that it is about."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

LARGEST_FPS = 1000.0  # that formats which count frames take


@dataclass(frozen=True, slots=True)
class Media:
    """A video as other programs need to know it.

    Attributes:
        path: the file; None where only its name is known.
        frames_per_s: pictures a second, counted from the file or said by a person; None where unknown.
        is_constant: every picture is shown equally long; None where unknown.

    Raises:
        ValueError: a rate that is not positive and finite.
    """

    path: Path | None = None
    frames_per_s: float | None = None
    is_constant: bool | None = None

    def __post_init__(self) -> None:
        rate = self.frames_per_s
        if rate is not None and not 0 < rate < float("inf"):
            raise ValueError(f"a frame rate must be positive and finite, not {rate}")


def relative_url(path: Path, folder: Path) -> str:
    """The place of a file as seen from a folder, as a relative URL: `./a.mp4`, `../videos/a%20b.mp4`.

    Neither needs to exist. Bytes of a name that is no UTF-8 are kept. Where no relative path leads there
    (another drive), a `file:` URL.
    """
    try:
        place = os.path.relpath(path, folder)
    except ValueError:
        return path.absolute().as_uri()
    inside = "" if place == os.pardir or place.startswith(os.pardir + os.sep) else "./"
    # Only "/" stays as it is: a ":" in the first part would be taken for a scheme.
    return inside + quote_from_bytes(os.fsencode(place.replace(os.sep, "/")), safe="/")
