"""File names of clips: `video__label__start-end.mp4`, good on every file system, and never the same twice.

A name has letters and digits of any script, and `-_.,+()[]`; everything else becomes `_`, and a video's
ending is left out. It is at most 200 bytes of UTF-8, in composed normal form (NFC), so that it also fits
where names are stored decomposed or in UTF-16. Names that Windows keeps for devices get a `_` in front. Where
two names would be the same to a file system that ignores case or normal form, each of them ends in `~` and a
number made from the exact segment.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from ascnet_cli.segments import Detection, VideoDetections
from extractors.video import VIDEO_ENDINGS

ENDING = ".mp4"
_KEPT = frozenset("-_.,+()[]")
_VIDEO_BYTES, _LABEL_BYTES = 75, 60
# Windows: with any ending, so up to the first dot; superscript digits count as digits.
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE)
_TAG_DIGITS = 8
# Marks that show nothing, and that some file systems pass over when they compare names.
_UNSEEN = re.compile("[\u034f\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def clip_names(results: Sequence[VideoDetections]) -> Mapping[str, tuple[str, ...]]:
    """A file name for each segment of each video.

    A batch whose clips share a folder asks once for all its videos, since only names of one call are kept
    apart. The names of a video do not depend on the order that the videos are given in.

    Args:
        results: each video once.

    Returns:
        By the video's name, in the order of its detections.

    Raises:
        ValueError: a video is there twice.
    """
    if len({result.video for result in results}) < len(results):
        raise ValueError("a video is there twice")
    wanted = [(result.video, found) for result in results for found in result.detections]
    stems = [_stem(video, found) for video, found in wanted]
    # Equal but for case or normal form is equal to some file system.
    often = Counter(_folded(stem) for stem in stems)
    taken: set[str] = {folded for folded, times in often.items() if times == 1}
    names: dict[int, str] = {}
    order = sorted(range(len(wanted)), key=lambda k: (wanted[k][0], k))
    for index in order:
        stem = stems[index]
        if often[_folded(stem)] > 1:
            stem = _tagged(stem, _exact(*wanted[index]), taken)
            taken.add(_folded(stem))
        names[index] = stem + ENDING
    every = iter(names[index] for index in range(len(wanted)))
    return {result.video: tuple(next(every) for _ in result.detections) for result in results}


def _stem(video: str, found: Detection) -> str:
    """The readable name, without ending."""
    stem, dot, ending = video.rpartition(".")
    shown = stem if stem and f"{dot}{ending}".lower() in VIDEO_ENDINGS else video
    segment = found.segment
    times = f"{_seconds(segment.start_s)}-{_seconds(segment.end_s)}"
    name = f"{_safe(shown, _VIDEO_BYTES)}__{_safe(found.label, _LABEL_BYTES)}__{times}"
    return f"_{name}" if _DEVICES.fullmatch(name.split(".", 1)[0]) else name


def _seconds(time_s: float) -> str:
    """Three decimals; beyond ten digits of seconds in short."""
    return f"{time_s:.3f}" if time_s < 1e10 else f"{time_s:.6e}"


def _safe(text: str, most_bytes: int) -> str:
    """A part of a name: safe characters, at most so many bytes, neither hidden nor taken for an option."""
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(c if c.isalnum() or _is_mark(c) or c in _KEPT else "_" for c in composed)
    kept = re.sub(r"_+", "_", kept)
    while len(kept.encode()) > most_bytes:
        kept = kept[:-1]
    kept = kept.strip(". ")
    return unicodedata.normalize("NFC", f"_{kept[1:]}" if kept[:1] in ("-", "") else kept)


def _is_mark(character: str) -> bool:
    """Accents and vowel signs, without which words of some scripts fall apart."""
    return unicodedata.category(character)[0] == "M" and not _UNSEEN.match(character)


def _folded(stem: str) -> str:
    """The same for names that any file system may take for the same."""
    shown = unicodedata.normalize("NFKC", stem).upper().casefold()
    return unicodedata.normalize("NFKC", shown)


def _exact(video: str, found: Detection) -> str:
    values = (video, found.label, found.segment.start_s, found.segment.end_s, found.score)
    digest = hashlib.sha256(repr(values).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:_TAG_DIGITS]


def _tagged(stem: str, tag: str, taken: set[str]) -> str:
    """The stem with its tag; with a number too where the very same segment is there twice."""
    tagged, number = f"{stem}~{tag}", 1
    while _folded(tagged) in taken:
        number += 1
        tagged = f"{stem}~{tag}-{number}"
    return tagged
