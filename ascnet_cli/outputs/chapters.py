r"""Segments as chapters in FFmpeg's metadata format (.ffmeta).

    ffmpeg -i clip.mp4 -i clip.ffmeta -map_metadata 1 -map_chapters 1 -codec copy with_chapters.mp4

A chapter a segment, by start, titled `label (0.73)`; the file's `title` is the video's name. Where nothing
runs, a chapter is titled "–": an mp4 knows only where chapters begin, so that otherwise the first would begin
with the video, and each run on to the next. Segments that overlap are chapters that do: mkv keeps both ends
of each, in an mp4 one ends where the next begins. Times have milliseconds, scores two decimals. One file is
one video.
Format: https://ffmpeg.org/ffmpeg-formats.html, "Metadata".
"""

from __future__ import annotations

import io
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
    visible,
)
from ascnet_cli.segments import Detection, VideoDetections

_HEADER = ";FFMETADATA1"
_SPECIAL = re.compile(r"[=;#\\\n]")
# A line ends where a line feed is not escaped; escapes are pairs.
_LINE = re.compile(r"(?:[^\\\n]|\\.|\\\n)+", re.DOTALL)
_ASSIGNED = re.compile(r"(?P<key>(?:[^\\=]|\\.)*)=(?P<value>.*)", re.DOTALL)
_TIMEBASE = re.compile(r"(\d{1,10})/(\d{1,10})", re.ASCII)
_NOTHING = "–"


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
    reached_ms = 0  # the end of all that is written
    for detection in in_order(result.detections, _carried):
        start_ms, end_ms = milliseconds(detection.segment)
        if start_ms > reached_ms:
            file.write(_chapter(reached_ms, start_ms, _NOTHING))
        file.write(_chapter(start_ms, end_ms, cue_text(_carried(detection.label), detection.score)))
        reached_ms = max(reached_ms, end_ms)
    length_ms = round(result.duration_s * 1000)
    if length_ms > reached_ms:
        file.write(_chapter(reached_ms, length_ms, _NOTHING))


def read(file: TextSource, name: str = "<stream>") -> dict[str, tuple[Detection, ...]]:
    """Read what `write` wrote, or other chapters in this format; without a score in parentheses it is 1.

    Args:
        file: open for text, with `newline=""`.
        name: of the file; the video is called so without its ending where the file has no title.

    Raises:
        PredictionsError: another format, or a chapter without times or title, or one that is empty.
    """
    head, chapters = _sections(file.read(), name)
    found = tuple(
        _detection(chapter, f"{name}: chapter {number}")
        for number, chapter in enumerate(chapters, start=1)
        if chapter.get("title") != _NOTHING
    )
    return {head.get("title") or PurePath(name).stem: found}


def is_ours(text: str) -> bool:
    """Whether the text is as `write` leaves it: not saved by another program since."""
    try:
        _, chapters = _sections(text, "")
        ((video, found),) = read(io.StringIO(text, newline="")).items()
        length_s = max((int(chapter.get("END", "")) for chapter in chapters), default=0) / 1000
    except (PredictionsError, ValueError, ArithmeticError):
        return False
    again = io.StringIO(newline="")
    write([VideoDetections(video, length_s, found)], again)
    return again.getvalue() == text


def _chapter(start_ms: int, end_ms: int, title: str) -> str:
    return f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start_ms}\nEND={end_ms}\ntitle={_escaped(title)}\n"


def _sections(text: str, name: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """What is said of the file, and of each chapter.

    Raises:
        PredictionsError: it does not begin as this format does.
    """
    text = text.removeprefix("\ufeff")
    if not text.startswith(_HEADER):
        raise PredictionsError(f"{name}: does not begin with {_HEADER}", hint="check where the file is from")
    sections: list[dict[str, str]] = [{}]
    is_read = True  # the section at hand is the head or a chapter
    for line in _LINE.findall(text[len(_HEADER) :]):
        if line[0] in ";#":
            continue
        if line[0] == "[":
            is_read = line.strip().upper() == "[CHAPTER]"
            if is_read:
                sections.append({})
            continue
        assigned = _ASSIGNED.fullmatch(line)
        if is_read and assigned is not None:
            sections[-1][_unescaped(assigned["key"])] = _unescaped(assigned["value"])
    return sections[0], sections[1:]


def _detection(chapter: dict[str, str], where: str) -> Detection:
    base = _TIMEBASE.fullmatch(chapter.get("TIMEBASE", "1/1000000000"))
    start, end = chapter.get("START", ""), chapter.get("END", "")
    if base is None or int(base[2]) == 0 or not (start.isdecimal() and end.isdecimal()):
        raise PredictionsError(f"{where} has no times", hint="it needs TIMEBASE, START and END")
    label, score = scored(chapter.get("title", ""))
    try:
        start_ms, end_ms = (round(int(time) * int(base[1]) * 1000 / int(base[2])) for time in (start, end))
        return Detection(label, from_milliseconds(start_ms, end_ms), score)
    except (ValueError, ArithmeticError) as error:
        raise PredictionsError(f"{where}: {error}", hint="correct or remove it") from error


def _carried(text: str) -> str:
    """A text as this format can carry it."""
    return visible(text, keep="\n")


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
