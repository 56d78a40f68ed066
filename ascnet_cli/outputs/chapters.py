r"""Segments as chapters in FFmpeg's metadata format (.ffmeta).

    ffmpeg -i clip.mp4 -i clip.ffmeta -map_metadata 1 -map_chapters 1 -codec copy with_chapters.mp4

A chapter a segment, by start, titled `label (0.73)`; the file's `title` is the video's name. Segments that
overlap or leave gaps are chapters that do so: mkv keeps them as they are; mp4, and most players, know only
where a chapter begins, and let it run on to the next. Times have milliseconds, scores two decimals. One file
is one video.
Format: https://ffmpeg.org/ffmpeg-formats.html, "Metadata".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from ascnet_cli.errors import PredictionsError
from ascnet_cli.outputs.cues import cue_text, scored
from ascnet_cli.outputs.text import (
    TextSink,
    TextSource,
    from_milliseconds,
    in_order,
    milliseconds,
    one_video,
    rewritten,
    visible,
)
from ascnet_cli.segments import Detection, VideoDetections

_HEADER = ";FFMETADATA1"
_SPECIAL = re.compile(r"[=;#\\\n]")
# A line ends where a line feed is not escaped; escapes are pairs.
_LINE = re.compile(r"(?:[^\\\n]|\\.|\\\n)+", re.DOTALL)
_ASSIGNED = re.compile(r"(?P<key>(?:[^\\=]|\\.)*)=(?P<value>.*)", re.DOTALL)
_TIMEBASE = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)


def write(results: Sequence[VideoDetections], file: TextSink) -> None:
    """Write the segments of one video, by start, end, label.

    Args:
        results: one video.
        file: open for text, with `newline=""`.

    Raises:
        ValueError: not one video.
    """
    result = one_video(results, "chapters")
    file.write(f"{_HEADER}\ntitle={_escaped(_carried(result.video))}\n")
    for detection in in_order(result.detections, _carried):
        start_ms, end_ms = milliseconds(detection.segment)
        title = _escaped(cue_text(_carried(detection.label), detection.score))
        file.write(f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start_ms}\nEND={end_ms}\ntitle={title}\n")


def read(file: TextSource, name: str = "<stream>") -> dict[str, tuple[Detection, ...]]:
    """Read what `write` wrote, or other chapters in this format; without a score in parentheses it is 1.

    Args:
        file: open for text, with `newline=""`.
        name: of the file; the video is called so without its ending where the file has no title.

    Raises:
        PredictionsError: another format, or a chapter without times or title, or one that is empty.
    """
    text = file.read().removeprefix("\ufeff")
    if not text.startswith(_HEADER):
        raise PredictionsError(f"{name}: does not begin with {_HEADER}", hint="check where the file is from")
    sections: list[dict[str, str]] = [{}]
    ours = True  # whether the section at hand is the head or a chapter
    for line in _LINE.findall(text[len(_HEADER) :]):
        if line[0] in ";#":
            continue
        if line[0] == "[":
            ours = line.strip().upper() == "[CHAPTER]"
            if ours:
                sections.append({})
            continue
        assigned = _ASSIGNED.fullmatch(line)
        if ours and assigned is not None:
            sections[-1][_unescaped(assigned["key"])] = _unescaped(assigned["value"])
    head, *chapters = sections
    found = tuple(_detection(chapter, f"{name}: chapter {n}") for n, chapter in enumerate(chapters, start=1))
    return {head.get("title") or PurePath(name).stem: found}


def is_ours(text: str) -> bool:
    """Whether the text is as `write` leaves it: not saved by another program since."""
    return rewritten(text, read, write) == text


def _detection(chapter: dict[str, str], where: str) -> Detection:
    base = _TIMEBASE.fullmatch(chapter.get("TIMEBASE", "1/1000000000"))
    start, end = chapter.get("START", ""), chapter.get("END", "")
    if base is None or int(base[2]) == 0 or not (start.isdecimal() and end.isdecimal()):
        raise PredictionsError(f"{where} has no times", hint="it needs TIMEBASE, START and END")
    label, score = scored(chapter.get("title", ""))
    start_ms, end_ms = (round(int(time) * int(base[1]) * 1000 / int(base[2])) for time in (start, end))
    try:
        return Detection(label, from_milliseconds(start_ms, end_ms), score)
    except ValueError as error:
        raise PredictionsError(f"{where}: {error}", hint="correct or remove it") from error


def _carried(text: str) -> str:
    """A text as this format can carry it."""
    return visible(text, keep="\n")


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
