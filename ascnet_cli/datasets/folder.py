"""A folder of one's own: `videos/` or `features/`, `labels.csv`, and perhaps `annotations.json`.

`labels.csv` has the columns `video,label` and perhaps `subset` (train or test), a row a label; a row with an
empty label is a video without any class. It is all that training needs. `annotations.json`, in ActivityNet's
format, says when things happen, which `evaluate` needs. What a video is for is never read out of its name.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from ascnet_cli.datasets.activitynet_json import raw_videos, read_text
from ascnet_cli.datasets.annotations import Annotations, Subset
from ascnet_cli.datasets.assembly import RawVideo, assemble
from ascnet_cli.datasets.rules import Findings, Policies
from ascnet_cli.errors import PredictionsError

LABELS = "labels.csv"
ANNOTATIONS = "annotations.json"


def read_folder(folder: Path, policies: Policies | None = None) -> Annotations:
    """Read what a folder says about its videos.

    Where both files are there, `labels.csv` adds labels and subsets to `annotations.json`.

    Args:
        folder: with `labels.csv`, `annotations.json`, or both.
        policies: what to do about each rule; None takes the defaults.

    Raises:
        PredictionsError: neither is there, one is damaged or breaks a rule that is an error, or the two
            disagree about what a video is for.
    """
    labels, annotations = folder / LABELS, folder / ANNOTATIONS
    name = folder.resolve().name or "folder"
    if not labels.is_file() and not annotations.is_file():
        raise PredictionsError(
            f"{folder} has neither {LABELS} nor {ANNOTATIONS}",
            hint=f"write {LABELS} with the columns video,label and a row a label",
        )
    rows = read_labels(labels) if labels.is_file() else {}
    timed = raw_videos(annotations) if annotations.is_file() else []
    source = str(annotations if timed else labels)
    return assemble(name, _joined(timed, rows, labels), Findings(policies or Policies(), source))


def read_labels(path: Path) -> dict[str, RawVideo]:
    """Read `labels.csv`.

    Raises:
        PredictionsError: naming the line that is wrong.
    """
    rows = _rows(path)
    header = next(rows, (1, []))[1]
    if header not in (["video", "label"], ["video", "label", "subset"]):
        raise PredictionsError(
            f"{path}:1: the columns are {','.join(header) or 'none'}",
            hint="the first line is video,label or video,label,subset",
        )
    videos: dict[str, RawVideo] = {}
    spelled: dict[str, tuple[str, str]] = {}
    for line, cells in rows:
        where = f"{path}:{line}"
        if not any(cells):
            continue
        if len(cells) != len(header) or not cells[0]:
            raise PredictionsError(
                f"{where}: {len(cells)} cells, or no video", hint=f"write {','.join(header)}"
            )
        subset = _subset(cells[2], where) if len(cells) > 2 else None
        video = videos.setdefault(cells[0], RawVideo(cells[0], subset))
        if video.subset != subset:
            raise PredictionsError(
                f"{where}: {cells[0]!r} is in two subsets", hint="say the same in all of its rows"
            )
        if cells[1] and cells[1] not in video.labels:
            _hold_spelling(spelled, cells[1], where)
            video.labels.append(cells[1])
    return videos


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, blanks around their cells taken off, each with the line that it ends on."""
    # The csv module finds the lines: others than it knows, or those within quotes, end no row.
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        for row in reader:
            yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise PredictionsError(
            f"{path}:{reader.line_num}: not readable as CSV: {error}", hint="check the double quotes"
        ) from error


def _hold_spelling(spelled: dict[str, tuple[str, str]], label: str, where: str) -> None:
    """Refuse a label that differs from an earlier one in capitals, spaces or underscores alone.

    Raises:
        PredictionsError: naming both, since they would silently be two classes.
    """
    known, line = spelled.setdefault(" ".join(label.casefold().replace("_", " ").split()), (label, where))
    if known != label:
        raise PredictionsError(
            f"{where}: {label!r} is spelled {known!r} in {line}", hint="spell a class the same in all rows"
        )


def _subset(word: str, where: str) -> Subset | None:
    if not word:
        return None
    for subset in get_args(Subset):
        if word == subset:
            found: Subset = subset
            return found
    raise PredictionsError(f"{where}: unknown subset {word!r}", hint=f"one of {', '.join(get_args(Subset))}")


def _joined(timed: list[RawVideo], rows: dict[str, RawVideo], labels: Path) -> list[RawVideo]:
    """Annotations with the labels and subsets of `labels.csv` added."""
    rest = dict(rows)
    for video in timed:
        said = rest.pop(video.video, None)
        if said is None:
            continue
        if said.subset and video.subset and said.subset != video.subset:
            raise PredictionsError(
                f"{labels}: {video.video!r} is for {said.subset}, {ANNOTATIONS} says {video.subset}",
                hint="say the same in both, or in one alone",
            )
        video.subset = said.subset or video.subset
        video.labels += said.labels
    return [*timed, *rest.values()]
