"""ActivityNet-1.3: the challenge's own JSON, and the form that circulates with feature sets.

The latter is `anet_anno_action.json` (`{VIDEO: {duration_second, annotations, ...}}`), `video_info_new.csv`
(subsets and frame rates), and lists of the videos that features exist for. Models train on "training", are
judged on "validation", and nobody outside has annotations of "testing".
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ascnet_cli.datasets.activitynet_json import raw_instances, read_activitynet, read_json_object, read_text
from ascnet_cli.datasets.annotations import Annotations, Subset
from ascnet_cli.datasets.assembly import RawVideo, assemble
from ascnet_cli.datasets.rules import Findings, Policies
from ascnet_cli.errors import PredictionsError

NAME = "activitynet13"
# Instances of no length (12) cannot be found; those there twice (in 23 videos) count twice for everybody.
POLICIES = Policies(empty_segment="drop", duplicate="keep", unknown_video="drop")

_SUBSETS: Mapping[str, Subset] = MappingProxyType(
    {"training": "train", "validation": "test", "testing": "unused"}
)
_ANNOTATIONS = "anet_anno_action.json"
_INFO = "video_info_new.csv"
_LISTS: Mapping[str, Subset] = MappingProxyType(
    {"anet13_split_train.txt": "train", "anet13_split_test.txt": "test"}
)
_OFFICIAL = ("activity_net.v1-3.min.json", "annotations.json")


def read_activitynet13(path: Path, policies: Policies = POLICIES) -> Annotations:
    """Read ActivityNet-1.3's annotations.

    Args:
        path: the challenge's JSON file, or a folder with it or with the circulating form. Where the folder
            has lists of videos, those on none of them are unused, since there are no features of them.
        policies: what to do about each rule.

    Raises:
        PredictionsError: nothing of the kind is there, it is damaged, or it breaks a rule that is an error.
    """
    if path.is_file() and path.name != _ANNOTATIONS:
        return _official(path, policies)
    folder = path if path.is_dir() else path.parent
    for place in (folder, folder / "annotations"):
        if (place / _ANNOTATIONS).is_file():
            return _circulating(place, policies)
        for name in _OFFICIAL:
            if (place / name).is_file():
                return _official(place / name, policies)
    raise PredictionsError(
        f"no ActivityNet-1.3 annotations in {folder}",
        hint=f"put {_OFFICIAL[0]}, or {_ANNOTATIONS} and {_INFO}, there",
    )


def _official(path: Path, policies: Policies) -> Annotations:
    return read_activitynet(path, policies=policies, name=NAME, subsets=_SUBSETS)


def _circulating(folder: Path, policies: Policies) -> Annotations:
    path = folder / _ANNOTATIONS
    findings = Findings(policies, str(path))
    rows = _rows(folder / _INFO)
    listed = _listed(folder)
    document = read_json_object(path)
    for video in listed:
        if video not in document:
            findings.found("unknown_video", video)
    raw: list[RawVideo] = []
    for video, entry in document.items():
        where = f"{path}: {video}"
        if not isinstance(entry, dict):
            raise PredictionsError(
                f"{where} is not an object", hint="expected duration_second and annotations"
            )
        subset, fps = rows.get(video, (None, None))
        if subset is not None and listed and video not in listed:
            subset = "unused"
        instances = raw_instances(entry.get("annotations", []), where)
        raw.append(RawVideo(video, subset, instances, duration_s=entry.get("duration_second"), fps=fps))
    return assemble(NAME, raw, findings)


def _rows(path: Path) -> dict[str, tuple[Subset, float]]:
    """Subset and frame rate of each video."""
    rows: dict[str, tuple[Subset, float]] = {}
    reader = csv.DictReader(read_text(path).splitlines())
    for number, row in enumerate(reader, start=2):
        try:
            rows[row["video"]] = (_SUBSETS[row["subset"]], float(row["rfps"]))
        except (KeyError, TypeError, ValueError) as error:
            raise PredictionsError(
                f"{path}:{number}: no row with video, subset and rfps: {error}",
                hint="get the file again from where it was published",
            ) from error
    return rows


def _listed(folder: Path) -> dict[str, Subset]:
    """The videos on the lists, where there are lists."""
    videos: dict[str, Subset] = {}
    for name, subset in _LISTS.items():
        if (folder / name).is_file():
            videos |= dict.fromkeys(read_text(folder / name).split(), subset)
    return videos
