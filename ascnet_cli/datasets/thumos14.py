"""THUMOS14 in the forms that circulate: JSON in ActivityNet's format, and the challenge's own text files.

The temporal annotations cover 200 "validation" videos, which everybody trains on, and 213 test videos.
W-TALC's arrays become the JSON form through `ascnet_cli.datasets.wtalc`.

Sources: Y.-G. Jiang et al., "THUMOS Challenge 2014"; the wrong videos: yjxiong/action-detection#13.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ascnet_cli.datasets.activitynet_json import raw_ambiguous, raw_instances, read_json_object, read_text
from ascnet_cli.datasets.annotations import Annotations, Subset
from ascnet_cli.datasets.assembly import RawVideo, assemble
from ascnet_cli.datasets.rules import Findings, Policies
from ascnet_cli.errors import PredictionsError

NAME = "thumos14"
CLASSES = (
    "BaseballPitch",
    "BasketballDunk",
    "Billiards",
    "CleanAndJerk",
    "CliffDiving",
    "CricketBowling",
    "CricketShot",
    "Diving",
    "FrisbeeCatch",
    "GolfSwing",
    "HammerThrow",
    "HighJump",
    "JavelinThrow",
    "LongJump",
    "PoleVault",
    "Shotput",
    "SoccerPenalty",
    "TennisSwing",
    "ThrowDiscus",
    "VolleyballSpiking",
)
KNOWN_BAD: Mapping[str, str] = MappingProxyType(
    {
        "video_test_0000270": "annotated beyond its end",
        "video_test_0001292": "only ambiguous instances",
        "video_test_0001496": "annotated wrongly",
    }
)
POLICIES = Policies()

_SUBSETS: Mapping[str, Subset] = MappingProxyType({"validation": "train", "train": "train", "test": "test"})
_TEXT_SUBSETS: Mapping[str, Subset] = MappingProxyType({"val": "train", "test": "test"})
_AMBIGUOUS = "Ambiguous"
# By preference: what `ascnet datasets prepare` writes, then the names under which the JSON form circulates.
_JSON_NAMES = ("annotations.json", "gt.json", "gt_acmnet.json", "thumos14.json", "gt_basnet.json")
_RATES = "fps_dict.json"
# Seconds by which a duration may differ from frames / rate: two frames at 25 Hz.
_DURATION_TOLERANCE_S = 0.08


def read_thumos14(path: Path, policies: Policies = POLICIES) -> Annotations:
    """Read THUMOS14's annotations.

    Args:
        path: a JSON file, or a folder that has one (see `_JSON_NAMES`) or the text files, or has
            such a folder in it. Beside them `fps_dict.json` (frame rates) and `Ambiguous_{val,test}.txt`
            are used if there.
        policies: `known_bad="keep"` gives all 412 or 413 videos that are annotated, the default 410.

    Raises:
        PredictionsError: nothing of the kind is there, it is damaged, or it breaks a rule that is an error.
    """
    folder = path if path.is_dir() else path.parent
    findings = Findings(policies, str(path))
    source = path if path.is_file() else _find(path)
    raw = _from_text(source) if source.is_dir() else _from_json(source)
    rates = _rates(folder)
    for video in raw.values():
        video.known_bad = KNOWN_BAD.get(video.video, "")
        rate = rates.get(video.video)
        if isinstance(rate, int | float) and rate > 0:
            video.fps = rate
    _settle_durations(raw, findings)
    for file in _ambiguous_files(folder):
        for name, start, end in _lines(file):
            if name in raw and (start, end) not in raw[name].ambiguous:
                raw[name].ambiguous.append((start, end))
    return assemble(NAME, raw.values(), findings, CLASSES)


def _find(folder: Path) -> Path:
    """The JSON file or the folder of text files below `folder`."""
    for place in (folder, folder / "annotations"):
        for name in _JSON_NAMES:
            if (place / name).is_file():
                return place / name
    for place in (folder, folder / "annotations", folder / "evalkit_txt", folder / "annotations/evalkit_txt"):
        if (place / f"{CLASSES[0]}_test.txt").is_file():
            return place
    if any(folder.rglob("segments.npy")):
        raise PredictionsError(
            f"{folder} has W-TALC's arrays alone, which are pickles",
            hint=f"convert them once: ascnet datasets prepare {folder}",
        )
    raise PredictionsError(
        f"no THUMOS14 annotations in {folder}",
        hint=f"put {' or '.join(_JSON_NAMES[:3])}, or the challenge's text files, there",
    )


def _from_json(path: Path) -> dict[str, RawVideo]:
    database = read_json_object(path).get("database")
    if not isinstance(database, dict):
        raise PredictionsError(
            f'{path}: no object "database" at the top', hint='expected {"database": {"VIDEO": {...}}}'
        )
    raw: dict[str, RawVideo] = {}
    for video, entry in database.items():
        where = f"{path}: {video}"
        if not isinstance(entry, dict):
            raise PredictionsError(f"{where} is not an object", hint="expected subset and annotations")
        said = entry.get("subset")
        if said is not None and said not in _SUBSETS:
            raise PredictionsError(
                f"{where}: unknown subset {said!r}", hint=f"one of {', '.join(sorted(_SUBSETS))}"
            )
        raw[video] = RawVideo(
            video=video,
            subset=None if said is None else _SUBSETS[said],
            instances=raw_instances(entry.get("annotations", []), where),
            duration_s=entry.get("duration"),
            fps=entry.get("fps"),
            n_frames=entry.get("frames"),
            ambiguous=raw_ambiguous(entry.get("ambiguous", []), where),
        )
    return raw


def _from_text(folder: Path) -> dict[str, RawVideo]:
    """`CLASS_val.txt` and `CLASS_test.txt`: a line an instance, `VIDEO START END`."""
    raw: dict[str, RawVideo] = {}
    for ending, subset in _TEXT_SUBSETS.items():
        for label in (*CLASSES, _AMBIGUOUS):
            path = folder / f"{label}_{ending}.txt"
            if not path.is_file():
                if label != _AMBIGUOUS:
                    raise PredictionsError(f"{path} is missing", hint="copy the challenge's files whole")
                continue
            for video, start, end in _lines(path):
                entry = raw.setdefault(video, RawVideo(video=video, subset=subset))
                if entry.subset != subset:
                    raise PredictionsError(f"{path}: {video} is in both subsets", hint="check the files")
                if label == _AMBIGUOUS:
                    entry.ambiguous.append((start, end))
                else:
                    entry.instances.append((label, start, end))
    return raw


def _lines(path: Path) -> list[tuple[str, float, float]]:
    """The instances of a text file."""
    found: list[tuple[str, float, float]] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            video, start, end = words
            found.append((video, float(start), float(end)))
        except ValueError as error:
            raise PredictionsError(
                f"{path}:{number}: not VIDEO START END: {line!r}", hint="correct or remove the line"
            ) from error
    return found


def _rates(folder: Path) -> Mapping[str, object]:
    """Frame rates of the original files, where somebody wrote them down."""
    for path in (folder / _RATES, folder / "annotations" / _RATES, folder.parent / _RATES):
        if path.is_file():
            return read_json_object(path)
    return {}


def _ambiguous_files(folder: Path) -> list[Path]:
    files: list[Path] = []
    for ending in _TEXT_SUBSETS:
        name = f"{_AMBIGUOUS}_{ending}.txt"
        places = (folder, folder / "annotations", folder / "evalkit_txt", folder / "annotations/evalkit_txt")
        files += [place / name for place in places if (place / name).is_file()][:1]
    return files


def _settle_durations(raw: Mapping[str, RawVideo], findings: Findings) -> None:
    """Durations from the frames and the original rate, where both are known.

    One circulating file divided every video's frames by 30, also those of 24, 25 and 29.97 frames a second.
    """
    for video in raw.values():
        if not isinstance(video.n_frames, int) or not isinstance(video.fps, int | float):
            continue
        counted_s = video.n_frames / video.fps
        if not isinstance(video.duration_s, int | float):
            video.duration_s = counted_s
        elif abs(video.duration_s - counted_s) > _DURATION_TOLERANCE_S:
            place = f"{video.video} {video.duration_s:.2f} s, {counted_s:.2f} s by its frames"
            if not findings.found("wrong_duration", place):
                video.duration_s = counted_s
