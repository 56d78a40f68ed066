r"""Segments as CSV: `video,label,start_s,end_s,score`, a row a segment.

UTF-8, one header line, line feeds, sorted by video, then start, end, label. Seconds have three decimals,
scores six. Cells are quoted as RFC 4180 says, so that any file name and label comes back as it was; the
one exception is a file name that is not UTF-8: its stray bytes are written as `\udcXX`.

A spreadsheet takes a cell that begins with = + - @, a tab or a line end for a formula. Written as safe for
spreadsheets, such names and labels begin with an apostrophe, and the file with a byte order mark, which
spreadsheets want for UTF-8 too, and by which reading knows that an apostrophe is to be taken away again.

A video without segments has no row: the header stands alone if nothing was found anywhere.
"""

import csv
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from ascnet_cli.errors import PredictionsError
from ascnet_cli.outputs.text import TextSink, TextSource, milliseconds, rewritten, unique_videos, utf8
from ascnet_cli.segments import Detection, Segment, VideoDetections

COLUMNS = ("video", "label", "start_s", "end_s", "score")
SCORE_DECIMALS = 6

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
# What other programs may trim, as `str.strip` does it: said here, since JavaScript's `trim` (in the report's
# csv.js, which has the same set) takes others.
SPACES = r"[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_QUOTED = re.compile(rf'[",\r\n]|\A{SPACES}|{SPACES}\Z')
_BYTE_ORDER_MARK = "\ufeff"
# https://owasp.org/www-community/attacks/CSV_Injection; apostrophes before it keep the escape reversible.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def write(results: Sequence[VideoDetections], file: TextSink, *, spreadsheet_safe: bool = False) -> None:
    """Write all segments of all videos.

    Args:
        results: each video once; any order.
        file: open for text, with `newline=""` so that line ends stay as they are.
        spreadsheet_safe: no cell can be taken for a formula.

    Raises:
        ValueError: a video is there twice.
    """
    unique_videos(results)
    rows = [(utf8(r.video), *milliseconds(d.segment), d) for r in results for d in r.detections]
    rows.sort(key=lambda row: (row[0], row[1], row[2], row[3].label, -row[3].score))
    text_cell = _safe_cell if spreadsheet_safe else _cell
    file.write((_BYTE_ORDER_MARK if spreadsheet_safe else "") + ",".join(COLUMNS) + "\n")
    for video, start_ms, end_ms, detection in rows:
        # Adding zero turns a rounded "-0" into "0".
        score = f"{round(detection.score, SCORE_DECIMALS) + 0.0:.{SCORE_DECIMALS}f}"
        times = (_seconds(start_ms), _seconds(end_ms))
        file.write(",".join((text_cell(video), text_cell(utf8(detection.label)), *times, score)) + "\n")


def read(file: TextSource, name: str = "<stream>") -> dict[str, tuple[Detection, ...]]:
    """Read what `write` wrote, or any CSV with these columns, in any order, and more.

    Args:
        file: open for text with `newline=""`; after a byte order mark, apostrophes before what begins a
            formula are taken away.
        name: what to call the file in errors.

    Returns:
        Video name to its segments, in the order of the file.

    Raises:
        PredictionsError: a column is missing or there twice, a row has more or fewer cells than the
            header, a number is none, a segment is empty. The message has the file and the line.
    """
    lines = iter(file)
    first = next(lines, "")
    is_safe = first.startswith(_BYTE_ORDER_MARK)
    rows = _rows(itertools.chain([first.removeprefix(_BYTE_ORDER_MARK)], lines), name)
    line, header = next(rows, (1, []))
    header = [cell.strip() for cell in header]
    places = _places(header, f"{name}:{line}")
    found: dict[str, list[Detection]] = {}
    for line, row in rows:
        where = f"{name}:{line}"
        if len(row) != len(header):
            raise PredictionsError(
                f"{where}: {len(row)} cells, but the header has {len(header)}",
                hint='put cells that contain commas or line breaks between double quotes ("a, b")',
            )
        if [cell.strip() for cell in row] == header:
            raise PredictionsError(
                f"{where}: the header is there a second time",
                hint="remove it: files that are joined keep only the first header",
            )
        video, label, *numbers = (row[place] for place in places)
        if is_safe:
            video, label = _unsafe(video), _unsafe(label)
        start_s, end_s, score = (
            _number(text, column, where) for text, column in zip(numbers, COLUMNS[2:], strict=True)
        )
        try:
            detection = Detection(label, Segment(start_s, end_s), score)
        except ValueError as error:
            raise PredictionsError(f"{where}: {error}", hint="correct or remove this row") from error
        if not video:
            raise PredictionsError(f"{where}: the video's name is empty", hint="correct or remove this row")
        found.setdefault(video, []).append(detection)
    return {video: tuple(detections) for video, detections in found.items()}


def is_ours(text: str) -> bool:
    """Whether the text is as `write` leaves it: not saved by another program since."""
    is_safe = text.startswith(_BYTE_ORDER_MARK)
    return rewritten(text, read, partial(write, spreadsheet_safe=is_safe)) == text


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"


def _cell(text: str) -> str:
    # The csv module would leave a lone carriage return bare, which breaks the row when it is read.
    if _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _safe_cell(text: str) -> str:
    return _cell(f"'{text}" if _FORMULA.match(text) else text)


def _unsafe(text: str) -> str:
    """The text without what `_safe_cell` put before it."""
    return text[1:] if text[:1] == "'" and _FORMULA.match(text[1:]) else text


def _rows(lines: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line that it begins on."""
    reader = csv.reader(lines, strict=True)
    begins_at = 1
    try:
        for row in reader:
            if row:
                yield begins_at, row
            begins_at = reader.line_num + 1
    except csv.Error as error:
        raise PredictionsError(
            f"{name}:{begins_at}: not readable as CSV: {error}", hint="check the double quotes of this row"
        ) from error


def _places(header: Sequence[str], where: str) -> list[int]:
    """Where each of `COLUMNS` stands in the header."""
    for column in COLUMNS:
        if column not in header:
            separators = "; separate cells with commas" if any(c in "".join(header) for c in ";\t") else ""
            raise PredictionsError(
                f"{where}: no column {column!r} in the header ({', '.join(header) or 'empty'})",
                hint=f"the first line must name the columns {','.join(COLUMNS)}{separators}",
            )
        if header.count(column) > 1:
            raise PredictionsError(
                f"{where}: the column {column!r} is there {header.count(column)} times",
                hint="keep one of them",
            )
    return [header.index(column) for column in COLUMNS]


def _number(text: str, column: str, where: str) -> float:
    # Stricter than float(): no "nan", no "1_000", no digits of other scripts.
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise PredictionsError(
            f"{where}: {column} is not a finite number: {text!r}",
            hint="write numbers with a decimal point, as in 12.480",
        )
    return value
