"""Segments as ActivityNet's JSON: `version`, `results`, `external_data`.

`results` has every video, those without segments with an empty list; each segment is
`{"label": str, "segment": [start_s, end_s], "score": float}`. Numbers are written in full, so that they
come back to the last bit. `external_data` says which program wrote the file, and how long each video is.
The format is that of the ActivityNet challenge, detection task: http://activity-net.org.
"""

import json
import math
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

from ascnet_cli.errors import PredictionsError
from ascnet_cli.outputs.text import TextSink, TextSource, unique_videos, utf8
from ascnet_cli.segments import LONGEST_S, Detection, Segment, VideoDetections

FORMAT_VERSION = "VERSION 1.3"
GENERATOR = "ascnet"


def write(results: Sequence[VideoDetections], file: TextSink) -> None:
    """Write all segments of all videos, by video, then start, end, label.

    Args:
        results: each video once; any order.
        file: open for text.

    Raises:
        ValueError: a video is there twice.
    """
    unique_videos(results)
    ordered = sorted(results, key=lambda result: result.video)
    document = {
        "version": FORMAT_VERSION,
        "results": {utf8(result.video): _entries(result.detections) for result in ordered},
        "external_data": {
            "generator": GENERATOR,
            "generator_version": generator_version(),
            "durations_s": {utf8(result.video): result.duration_s for result in ordered},
        },
    }
    file.write(json_text(document))


def read(file: TextSource, name: str = "<stream>") -> dict[str, tuple[Detection, ...]]:
    """Read what `write` wrote, or any file of the challenge's format; only `results` is needed.

    Args:
        file: open for text; a byte order mark is skipped.
        name: what to call the file in errors.

    Returns:
        Video name to its segments, in the order of the file.

    Raises:
        PredictionsError: not JSON, a video there twice, or a part that is missing, of another type, or
            no valid segment. The message has the file and the line, or the place inside `results`.
    """
    document = parse_json(file.read(), name)
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, dict):
        raise PredictionsError(
            f'{name}: no object "results" at the top', hint='expected {"results": {"VIDEO": [...]}}'
        )
    return {video: _detections(entries, f"{name}: results[{video!r}]") for video, entries in results.items()}


def read_durations(file: TextSource, name: str = "<stream>") -> dict[str, float]:
    """How long each video is, seconds, as far as the file says so and says it rightly.

    Raises:
        PredictionsError: not JSON.
    """
    document = parse_json(file.read(), name)
    external = document.get("external_data") if isinstance(document, dict) else None
    said = external.get("durations_s") if isinstance(external, dict) else None
    return {
        video: float(seconds)
        for video, seconds in (said.items() if isinstance(said, dict) else ())
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= LONGEST_S
    }


def is_ours(text: str) -> bool:
    """Whether the text is as `write` leaves it: not saved by another program since."""
    try:
        document = parse_json(text, "")
    except PredictionsError:
        return False
    external = document.get("external_data") if isinstance(document, dict) else None
    is_made_here = isinstance(external, dict) and external.get("generator") == GENERATOR
    return is_made_here and is_laid_out(document, text)


def json_text(document: object) -> str:
    """JSON as all files of ascnet are laid out."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def is_laid_out(document: object, text: str) -> bool:
    """Whether a text that was read as a document is how `json_text` lays it out."""
    try:
        return json_text(document) == text
    except (ValueError, RecursionError):  # 1e999 is read as infinity; brackets nearly too deep to be read
        return False


def generator_version() -> str:
    """The version of ascnet that writes."""
    try:
        return version("ascnet")
    except PackageNotFoundError:  # run from a folder of sources that was never installed
        return "not installed"


def _entries(detections: Sequence[Detection]) -> list[dict[str, Any]]:
    ordered = sorted(detections, key=lambda d: (d.segment, d.label, -d.score))
    return [
        {"label": utf8(d.label), "segment": [d.segment.start_s, d.segment.end_s], "score": d.score}
        for d in ordered
    ]


def _detections(entries: object, where: str) -> tuple[Detection, ...]:
    if not isinstance(entries, list):
        raise PredictionsError(f"{where} is not a list", hint="a video without segments has an empty list")
    return tuple(_detection(entry, f"{where}[{index}]") for index, entry in enumerate(entries))


def _detection(entry: object, where: str) -> Detection:
    if not isinstance(entry, dict):
        raise PredictionsError(f"{where} is not an object", hint="expected label, segment and score")
    for key in ("label", "segment", "score"):
        if key not in entry:
            raise PredictionsError(f"{where} has no {key!r}", hint="expected label, segment and score")
    label, segment = entry["label"], entry["segment"]
    if not isinstance(label, str):
        raise PredictionsError(f"{where}.label is not text: {label!r}", hint="write the class's name")
    if not isinstance(segment, list) or len(segment) != 2:
        raise PredictionsError(
            f"{where}.segment is not [start, end]: {segment!r}", hint="two numbers, seconds"
        )
    start_s, end_s = (_number(bound, f"{where}.segment") for bound in segment)
    try:
        return Detection(label, Segment(start_s, end_s), _number(entry["score"], f"{where}.score"))
    except ValueError as error:
        raise PredictionsError(f"{where}: {error}", hint="correct or remove this entry") from error


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PredictionsError(f"{where} is not a number: {value!r}", hint="write 1.5, without quotes")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise PredictionsError(f"{where} is not finite: {value!r}", hint="correct or remove this entry")
    return number


def parse_json(text: str, name: str) -> object:
    """Read JSON strictly: no key twice in one object, no NaN.

    Args:
        text: a byte order mark is skipped.
        name: what to call the file in errors.

    Raises:
        PredictionsError: it is not JSON; the message has the line.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise PredictionsError(
                f"{name}: the key {twice!r} is there twice in one object", hint="join the two, or remove one"
            )
        return document

    def refuse(constant: str) -> NoReturn:
        raise PredictionsError(f"{name}: {constant} is no JSON number", hint="correct or remove this entry")

    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise PredictionsError(
            f"{name}:{error.lineno}: not JSON: {error.msg}", hint="check that the file is whole"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of brackets
        raise PredictionsError(
            f"{name}: not readable: {error}", hint="check where the file is from"
        ) from error
