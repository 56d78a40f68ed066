"""Segments as an ELAN annotation file (.eaf, EAF 3.0): a tier a class, times in milliseconds.

Format: http://www.mpi.nl/tools/elan/EAFv3.0.xsd. ELAN wants annotations of one tier apart from each other, so
segments of one class that overlap go to further tiers, `run (2)`. `PARTICIPANT` of a tier is its class; the
annotation itself says the score, with six decimals. What XML forbids becomes a visible escape.

The video is linked relative to the place of the file. Nothing depends on the day or the machine, so the date
that the schema wants is always the same one. One file is one video.
"""

from __future__ import annotations

import io
import itertools
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote_from_bytes, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from ascnet_cli.errors import PredictionsError
from ascnet_cli.outputs.media import Media, relative_url
from ascnet_cli.outputs.text import (
    TextSink,
    TextSource,
    from_milliseconds,
    in_order,
    milliseconds,
    one_video,
    utf8,
    visible,
)
from ascnet_cli.segments import Detection, VideoDetections

SCORE_DECIMALS = 6

_DATE = "1970-01-01T00:00:00+00:00"
_TYPE = "action"
_VIDEO = "video"  # the property that has the video's name
_ALLOWED = "\t\n\r"  # the control characters that XML knows
_LINE_ENDS = {"\r": "&#13;"}  # bare ones are read back as line feeds
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_KINDS = {
    ".avi": "video/x-msvideo",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".webm": "video/webm",
    ".wmv": "video/x-ms-wmv",
}


@dataclass(frozen=True, slots=True)
class _Tier:
    """A tier: its name, its class, and what is on it, none of it at the same time."""

    name: str
    label: str
    detections: list[Detection]


def write(
    results: Sequence[VideoDetections],
    file: TextSink,
    *,
    media: Media | None = None,
    folder: Path | None = None,
) -> None:
    """Write the segments of one video.

    Args:
        results: one video.
        file: open for text, with `newline=""`.
        media: the video; without its path the link is the video's name.
        folder: where the file will lie; the link goes from there. None: the current folder.

    Raises:
        ValueError: not one video.
    """
    result = one_video(results, "eaf")
    if media is not None and media.path is not None:
        url, name = relative_url(media.path, folder or Path()), media.path
    else:
        url, name = f"./{quote_from_bytes(_bytes(result.video))}", Path(result.video)
    kind = _KINDS.get(name.suffix.lower(), "unknown")
    file.write(_document(result, url, kind))


def read(file: TextSource, name: str = "<stream>") -> dict[str, tuple[Detection, ...]]:
    """Read what `write` wrote, also after it was corrected in ELAN.

    The class of an annotation is its tier's `PARTICIPANT`, or the tier's name where there is none; its score
    is its text, or 1 where that is no number (a person wrote it). Tiers that hang on others are left out.

    Args:
        file: open for text.
        name: what to call the file in errors.

    Returns:
        The video's name to its segments, by tier.

    Raises:
        PredictionsError: no EAF, or an annotation without times, or one that ends before it begins.
    """
    root = _parsed(file.read(), name)
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    found = []
    for tier in root.iter("TIER"):
        label = tier.get("PARTICIPANT") or tier.get("TIER_ID") or ""
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            where = f"{name}: annotation {annotation.get('ANNOTATION_ID')}"
            start, end = (slots.get(annotation.get(f"TIME_SLOT_REF{n}")) for n in (1, 2))
            if start is None or end is None or not (start.isdecimal() and end.isdecimal()):
                raise PredictionsError(f"{where} has no times", hint="give it a start and an end in ELAN")
            try:
                segment = from_milliseconds(int(start), int(end))
                found.append(Detection(label, segment, _score(annotation.findtext("ANNOTATION_VALUE"))))
            except (ValueError, ArithmeticError) as error:
                raise PredictionsError(f"{where}: {error}", hint="correct it in ELAN") from error
    return {_video_of(root, name): tuple(found)}


def is_ours(text: str) -> bool:
    """Whether the text is as `write` leaves it: not saved by another program since."""
    try:
        root = _parsed(text, "")
        ((video, found),) = read(io.StringIO(text)).items()
    except PredictionsError:
        return False
    link = root.find("HEADER/MEDIA_DESCRIPTOR")
    if link is None:
        return False
    result = VideoDetections(video, 0.0, found)
    return _document(result, link.get("MEDIA_URL", ""), link.get("MIME_TYPE", "")) == text


def _bytes(name: str) -> bytes:
    """A file's name as the disk has it; one that no disk has, of a hand-written file, as a CSV has it."""
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:
        return utf8(name).encode()


def _document(result: VideoDetections, url: str, kind: str) -> str:
    tiers = _tiers(result.detections)
    spans_ms = [milliseconds(detection.segment) for tier in tiers for detection in tier.detections]
    # Two slots an annotation, in the order of time: annotations that touch can be moved apart in ELAN.
    slots = sorted(
        (time_ms, annotation, bound)
        for annotation, span_ms in enumerate(spans_ms)
        for bound, time_ms in enumerate(span_ms)
    )
    slot_of = {slot[1:]: f"ts{number}" for number, slot in enumerate(slots, start=1)}
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<ANNOTATION_DOCUMENT AUTHOR="ascnet" DATE="{_DATE}" FORMAT="3.0" VERSION="3.0"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:noNamespaceSchemaLocation="{_SCHEMA}">',
        ' <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">',
        f'  <MEDIA_DESCRIPTOR MEDIA_URL={quoteattr(url)} MIME_TYPE="{kind}"'
        f" RELATIVE_MEDIA_URL={quoteattr(url)}/>",
        f'  <PROPERTY NAME="{_VIDEO}">{escape(visible(result.video, _ALLOWED), _LINE_ENDS)}</PROPERTY>',
        " </HEADER>",
        " <TIME_ORDER>",
        *(
            f'  <TIME_SLOT TIME_SLOT_ID="ts{number}" TIME_VALUE="{time_ms}"/>'
            for number, (time_ms, _, _) in enumerate(slots, start=1)
        ),
        " </TIME_ORDER>",
    ]
    annotation = 0
    for tier in tiers:
        lines.append(
            f' <TIER LINGUISTIC_TYPE_REF="{_TYPE}" PARTICIPANT={quoteattr(tier.label)}'
            f" TIER_ID={quoteattr(tier.name)}>"
        )
        for detection in tier.detections:
            score = f"{round(detection.score, SCORE_DECIMALS) + 0.0:.{SCORE_DECIMALS}f}"
            lines.append(
                f'  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{annotation + 1}"'
                f' TIME_SLOT_REF1="{slot_of[annotation, 0]}" TIME_SLOT_REF2="{slot_of[annotation, 1]}">'
                f"<ANNOTATION_VALUE>{score}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
            )
            annotation += 1
        lines.append(" </TIER>")
    lines += [
        f' <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="{_TYPE}" TIME_ALIGNABLE="true"/>',
        "</ANNOTATION_DOCUMENT>",
    ]
    return "\n".join(lines) + "\n"


def _tiers(detections: Iterable[Detection]) -> list[_Tier]:
    """Tiers by class; where segments of one class overlap, as many as it takes to keep them apart."""
    by_label: dict[str, list[list[Detection]]] = {}
    for detection in in_order(detections, _label):
        lanes = by_label.setdefault(_label(detection.label), [])
        start_ms, _ = milliseconds(detection.segment)
        free = next((lane for lane in lanes if milliseconds(lane[-1].segment)[1] <= start_ms), None)
        if free is None:
            lanes.append([detection])
        else:
            free.append(detection)
    tiers, names = [], set(by_label)
    for label in sorted(by_label):
        for number, lane in enumerate(by_label[label], start=1):
            name = label
            if number > 1:
                further = (f"{label} ({count})" for count in itertools.count(number))
                name = next(name for name in further if name not in names)
                names.add(name)
            tiers.append(_Tier(name, label, lane))
    return tiers


def _label(label: str) -> str:
    return visible(label, _ALLOWED)


def _parsed(text: str, name: str) -> ElementTree.Element:
    """The root of an EAF.

    Raises:
        PredictionsError: it is something else.
    """
    if "<!DOCTYPE" in text:
        raise PredictionsError(f"{name}: an EAF has no DOCTYPE", hint="check where the file is from")
    try:
        root = ElementTree.fromstring(text.removeprefix("\ufeff"))  # noqa: S314 - without a DOCTYPE no entities
    except ElementTree.ParseError as error:
        raise PredictionsError(
            f"{name}: not XML: {error}", hint="check that the file is whole, and saved as UTF-8"
        ) from error
    if root.tag != "ANNOTATION_DOCUMENT":
        raise PredictionsError(f"{name}: no EAF: its root is {root.tag!r}", hint="save it from ELAN as .eaf")
    return root


def _score(text: str | None) -> float:
    try:
        score = float(text or "")
    except ValueError:
        return 1.0
    return score if math.isfinite(score) else 1.0


def _video_of(root: ElementTree.Element, name: str) -> str:
    for written in root.findall("HEADER/PROPERTY"):
        if written.get("NAME") == _VIDEO and written.text:
            return written.text
    link = root.find("HEADER/MEDIA_DESCRIPTOR")
    url = "" if link is None else link.get("RELATIVE_MEDIA_URL") or link.get("MEDIA_URL") or ""
    return PurePath(unquote(url)).name or PurePath(name).stem
