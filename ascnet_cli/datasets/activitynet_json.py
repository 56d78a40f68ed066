"""Annotations in ActivityNet's JSON: `{"database": {VIDEO: {duration, subset, annotations}}}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ascnet_cli.datasets.annotations import Annotations, Subset
from ascnet_cli.datasets.assembly import RawVideo, assemble
from ascnet_cli.datasets.rules import Findings, Policies
from ascnet_cli.errors import PredictionsError
from ascnet_cli.outputs.activitynet import parse_json

# How files say what a video is for. A file with training videos of its own is judged on its validation
# videos where its test videos have no annotations (ActivityNet); THUMOS14 has a reader that knows better.
_SUBSET_WORDS: Mapping[str, Literal["train", "validation", "test"]] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def read_activitynet(
    path: Path,
    *,
    policies: Policies | None = None,
    classes: Sequence[str] | None = None,
    name: str | None = None,
    subsets: Mapping[str, Subset] | None = None,
) -> Annotations:
    """Read annotations in ActivityNet's JSON: `{"database": {VIDEO: {duration, subset, annotations}}}`.

    Args:
        path: the file.
        policies: what to do about each rule; None takes the defaults.
        classes: the classes there are; None takes those that occur.
        name: of the data set; None takes the file's name.
        subsets: what the file's words for subsets mean (lower case); None understands train, training, val,
            validation, test and testing: annotated test videos are the test set; where there are none, the
            validation videos are; where there are, validation videos are for training if nothing else is,
            and unused otherwise.

    Raises:
        PredictionsError: it cannot be read, is not of this format, or breaks a rule whose policy is `error`.
    """
    findings = Findings(policies or Policies(), str(path))
    return assemble(name or path.stem, raw_videos(path, subsets), findings, classes)


def raw_videos(path: Path, subsets: Mapping[str, Subset] | None = None) -> list[RawVideo]:
    """What a file in ActivityNet's JSON says, before any rule; see `read_activitynet`.

    Raises:
        PredictionsError: it cannot be read, or is not of this format.
    """
    database = read_json_object(path).get("database")
    if not isinstance(database, dict):
        raise PredictionsError(
            f'{path}: no object "database" at the top', hint='expected {"database": {"VIDEO": {...}}}'
        )
    meaning = subsets or _meaning(database)
    return [_raw(video, entry, meaning, f"{path}: {video}") for video, entry in database.items()]


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON file whose top is an object, read strictly: no key twice, no NaN.

    Raises:
        PredictionsError: it cannot be read, or is something else.
    """
    document = parse_json(read_text(path), str(path))
    if not isinstance(document, dict):
        raise PredictionsError(f"{path}: not a JSON object", hint="check that it is the annotation file")
    return document


def read_text(path: Path) -> str:
    """A text file in UTF-8, without its byte order mark.

    Raises:
        PredictionsError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PredictionsError(f"{path}: not UTF-8 text", hint="save the file as UTF-8") from error
    except OSError as error:
        raise PredictionsError(
            f"{path}: cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error


def _meaning(database: Mapping[str, object]) -> Mapping[str, Subset]:
    """What this file's words for subsets mean."""
    annotated: set[str] = set()
    for entry in database.values():
        if isinstance(entry, dict) and entry.get("annotations") and isinstance(entry.get("subset"), str):
            annotated.add(_SUBSET_WORDS.get(entry["subset"].lower(), ""))
    has_test = "test" in annotated
    validation: Subset = "test" if not has_test else ("unused" if "train" in annotated else "train")
    roles: dict[str, Subset] = {
        "train": "train",
        "validation": validation,
        "test": "test" if has_test else "unused",
    }
    return {word: roles[role] for word, role in _SUBSET_WORDS.items()}


def _raw(video: str, entry: object, meaning: Mapping[str, Subset], where: str) -> RawVideo:
    if not isinstance(entry, dict):
        raise PredictionsError(f"{where} is not an object", hint="expected duration, subset, annotations")
    said = entry.get("subset")
    if said is not None and (not isinstance(said, str) or said.lower() not in meaning):
        raise PredictionsError(
            f"{where}: unknown subset {said!r}", hint=f"write one of {', '.join(sorted(meaning))}"
        )
    return RawVideo(
        video=video,
        subset=None if said is None else meaning[said.lower()],
        instances=raw_instances(entry.get("annotations", []), where),
        duration_s=entry.get("duration"),
        fps=entry.get("fps"),
        ambiguous=raw_ambiguous(entry.get("ambiguous", []), where),
    )


def raw_instances(entries: object, where: str) -> list[tuple[str, object, object]]:
    """The list `annotations` of one video: `{"label": str, "segment": [start, end]}` each.

    Raises:
        PredictionsError: it is something else.
    """
    if not isinstance(entries, list):
        raise PredictionsError(f"{where}: annotations is not a list", hint="a video without any has []")
    found: list[tuple[str, object, object]] = []
    for index, entry in enumerate(entries):
        label = entry.get("label") if isinstance(entry, dict) else None
        segment = entry.get("segment") if isinstance(entry, dict) else None
        if not isinstance(label, str) or not isinstance(segment, list) or len(segment) != 2:
            raise PredictionsError(
                f"{where}: annotations[{index}] has no label or no segment of two numbers",
                hint='expected {"label": "NAME", "segment": [START, END]}',
            )
        found.append((label, segment[0], segment[1]))
    return found


def raw_ambiguous(entries: object, where: str) -> list[tuple[object, object]]:
    """The list `ambiguous` of one video, which `ascnet datasets prepare` writes: `[start, end]` each.

    Raises:
        PredictionsError: it is something else.
    """
    if not isinstance(entries, list) or any(not isinstance(e, list) or len(e) != 2 for e in entries):
        raise PredictionsError(f"{where}: ambiguous is not a list of [start, end]", hint="two numbers each")
    return [(start, end) for start, end in entries]
