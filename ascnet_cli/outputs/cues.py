"""What SRT and WebVTT share: a cue a segment, `label (0.73)`, from its start to its end."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import PurePath

from ascnet_cli.errors import PredictionsError
from ascnet_cli.outputs.text import TextSource, from_milliseconds, visible
from ascnet_cli.segments import Detection

SCORE_DECIMALS = 2  # on a screen more say nothing

_LINE_END = re.compile(r"\r\n|\r|\n")
_SCORED = re.compile(r"(?P<label>.+) \((?P<score>-?\d+(\.\d+)?)\)", re.DOTALL | re.ASCII)
_TIME = r"(?:(\d{2,9}):)?([0-5]\d):([0-5]\d)[,.](\d{3})"
_TIMES = re.compile(rf"\s*{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t].*)?", re.ASCII)


def cue_text(label: str, score: float) -> str:
    """What is shown while a segment runs; the label as `cue_label` or the format has it."""
    return f"{label} ({round(score, SCORE_DECIMALS) + 0.0:.{SCORE_DECIMALS}f})"  # adding 0: no "-0.00"


def scored(text: str) -> tuple[str, float]:
    """The label and the score of what `cue_text` made; the score is 1 where none stands in the text."""
    found = _SCORED.fullmatch(text)
    if found is None or not math.isfinite(float(found["score"])):
        return text, 1.0
    return found["label"], float(found["score"])


def cue_label(label: str) -> str:
    """A label on one line, before the format's own escapes."""
    label = visible(label)
    # A line that begins with a space loses it in players and readers.
    if label[0].isspace():
        code = ord(label[0])
        label = f"\\x{code:02x}{label[1:]}" if code < 256 else f"\\u{code:04x}{label[1:]}"
    return label


def clock(milliseconds: int, comma: str) -> str:
    """A time as 01:02:03,456, with the format's own decimal sign; hours may have more than two digits."""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{comma}{rest:03d}"


def read_cues(
    file: TextSource, name: str, unescape: Callable[[str], str]
) -> dict[str, tuple[Detection, ...]]:
    """The cues of a file as segments; a cue without a score in parentheses has the score 1.

    Args:
        file: open for text.
        name: of the file: the video is called as it is without its last ending.
        unescape: undoes the format's own escapes.

    Returns:
        The video's name to its segments, in the order of the file.

    Raises:
        PredictionsError: a cue without text, or one that ends before it begins.
    """
    found = []
    for line_number, start_ms, end_ms, text in _cues(
        _LINE_END.split(file.read().removeprefix("\ufeff")), name
    ):
        where = f"{name}:{line_number}"
        label, score = scored(text)
        try:
            found.append(Detection(unescape(label), from_milliseconds(start_ms, end_ms), score))
        except ValueError as error:
            raise PredictionsError(f"{where}: {error}", hint="correct or remove this cue") from error
    return {PurePath(name).stem: tuple(found)}


def _cues(lines: list[str], name: str) -> Iterator[tuple[int, int, int, str]]:
    """Of each cue: the line of its times, its start and end in milliseconds, its text."""
    number = 0
    while number < len(lines):
        times = _TIMES.fullmatch(lines[number])
        number += 1
        if times is None:
            if "-->" in lines[number - 1]:
                raise PredictionsError(
                    f"{name}:{number}: no times of a cue: {lines[number - 1][:100]!r}",
                    hint="expected 00:00:05,072 --> 00:00:09,280",
                )
            continue
        at = number
        while number < len(lines) and lines[number].strip():
            number += 1
        parts = [int(part or 0) for part in times.groups()]
        start_ms, end_ms = (
            ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest
            for hours, minutes, seconds, rest in (parts[:4], parts[4:])
        )
        yield at, start_ms, end_ms, "\n".join(line.strip(" \t") for line in lines[at:number])
