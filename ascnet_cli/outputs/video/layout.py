"""Where things stand in an annotated picture: the source's picture whole, and a panel below it.

Bar and timeline lie outside the picture: nothing of it is hidden, and text stands on a ground that is always
the same. All sizes follow the shorter side of the picture; none is so small that it cannot be read.

    +----------------------------+
    |          picture           |
    +----------------------------+
    | [label  .93]   0:12.3/1:00 |   rows of the bar: what runs now, and the time
    | ====   ==    ===|  ======  |   lanes of the timeline, and the playhead
    +----------------------------+
"""

from __future__ import annotations

from dataclasses import dataclass

MIN_WIDTH = 160  # pixels; a narrower picture stands in the middle of a canvas of this width
_TEXT_FROM_PX, _TEXT_PER_SIDE = 8.0, 0.024  # 14 px at 320x240, 34 px at 1920x1080
_TEXT_RANGE_PX = (10, 96)
_LEAST_ROWS, _MAX_ROWS, _ROWS_SHARE = 2, 4, 0.3  # of the bar, where needed; of the picture's height
_MAX_COLUMNS, _COLUMN_TEXTS = 4, 15.0  # of the bar; least width in sizes of the text
_LANE_TEXTS, _STRIP_TEXTS, _STRIP_SHARE = 0.85, 5.0, 0.25
_MIN_LANE_TEXTS, _MIN_LANE_PX = 0.4, 3


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the canvas: pixels, every number even."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands.

    Attributes:
        width: of the canvas, pixels, even.
        height: likewise.
        picture: what is kept for the picture; it stands at the top, in the middle.
        text_px: size of letters.
        rows: of the bar, top to bottom.
        columns: of the bar: x and width of each.
        row_height: of the bar.
        time: where the time is written, in the first row.
        with_total: whether the length of the video has room beside the time.
        strip: all lanes.
        n_lanes: at least 1.
        lane_gap: pixels between two lanes.
    """

    width: int
    height: int
    picture: Box
    text_px: int
    rows: tuple[int, ...]
    columns: tuple[tuple[int, int], ...]
    row_height: int
    time: Box
    with_total: bool
    strip: Box
    n_lanes: int
    lane_gap: int

    @property
    def n_slots(self) -> int:
        """How many actions the bar has room for."""
        return len(self.rows) * len(self.columns)

    @property
    def panel(self) -> Box:
        """All below the picture."""
        top = self.picture.height
        return Box(0, top, self.width, self.height - top)

    def slot(self, index: int) -> Box:
        """One place of the bar, row by row.

        Args:
            index: 0 to `n_slots` - 1.
        """
        row, column = divmod(index, len(self.columns))
        x, width = self.columns[column]
        return Box(x, self.rows[row], width, self.row_height)

    def lane(self, index: int) -> tuple[int, int]:
        """Top and bottom of one lane, pixels of the canvas.

        Args:
            index: 0 to `n_lanes` - 1.
        """
        usable = self.strip.height + self.lane_gap
        top = self.strip.y + index * usable // self.n_lanes
        bottom = self.strip.y + (index + 1) * usable // self.n_lanes - self.lane_gap
        return top, max(bottom, top + 1)


def text_size(width: int, height: int) -> int:
    """Size of letters for a picture, pixels."""
    least, most = _TEXT_RANGE_PX
    return min(max(round(_TEXT_FROM_PX + _TEXT_PER_SIDE * min(width, height)), least), most)


def layout_of(
    picture: tuple[int, int],
    *,
    n_running: int,
    n_classes: int,
    n_overlapping: int,
    time_texts: tuple[float, float],
) -> Layout:
    """Lay out a canvas.

    Args:
        picture: width and height of the source's picture.
        n_running: most actions at once.
        n_classes: classes that occur: each gets a lane where there is room.
        n_overlapping: most segments at once: as many lanes do where there is not.
        time_texts: width of the time with and without the video's length, in sizes of the text.
    """
    width, picture_height = max(_even(picture[0]), MIN_WIDTH), _even(picture[1])
    text_px = text_size(*picture)
    pad, gap = _even(0.45 * text_px), _even(0.2 * text_px)
    row_height = _even(1.5 * text_px)

    with_total = time_texts[0] * text_px <= 0.42 * width
    time_width = _even(time_texts[0 if with_total else 1] * text_px)
    room = width - 3 * pad - time_width
    most_rows = min(max(int(_ROWS_SHARE * picture_height / row_height), _LEAST_ROWS), _MAX_ROWS)
    most_columns = min(max(int(room / (_COLUMN_TEXTS * text_px)), 1), _MAX_COLUMNS)
    n_columns = min(max(n_running, 1), most_columns)
    n_rows = min(-(-max(n_running, 1) // n_columns), most_rows)
    column_width = _even_below((room - (n_columns - 1) * gap) / n_columns)

    first_row = picture_height + pad
    rows = tuple(first_row + k * (row_height + gap) for k in range(n_rows))
    strip_y = rows[-1] + row_height + pad
    n_lanes, lane_px = _lanes(n_classes, n_overlapping, text_px, picture_height)
    lane_gap = max(round(text_px / 14), 1) if lane_px > _MIN_LANE_PX else 0
    strip_height = _even(n_lanes * lane_px)
    return Layout(
        width=width,
        height=strip_y + strip_height + pad,
        picture=Box(0, 0, width, picture_height),
        text_px=text_px,
        rows=rows,
        columns=tuple((pad + k * (column_width + gap), column_width) for k in range(n_columns)),
        row_height=row_height,
        time=Box(width - pad - time_width, first_row, time_width, row_height),
        with_total=with_total,
        strip=Box(pad, strip_y, width - 2 * pad, strip_height),
        n_lanes=n_lanes,
        lane_gap=lane_gap,
    )


def _lanes(n_classes: int, n_overlapping: int, text_px: int, picture_height: int) -> tuple[int, int]:
    """How many lanes there are, and how high each is with its gap, pixels."""
    least_px = max(round(_MIN_LANE_TEXTS * text_px), _MIN_LANE_PX)
    most_px = max(min(_STRIP_TEXTS * text_px, _STRIP_SHARE * picture_height), 2 * least_px)
    most_lanes = int(most_px / least_px)
    n_lanes = max(n_classes if n_classes <= most_lanes else min(n_overlapping, most_lanes), 1)
    return n_lanes, max(min(round(_LANE_TEXTS * text_px), int(most_px / n_lanes)), least_px)


def _even(value: float | int) -> int:
    """The least even number that is not below."""
    return 2 * int(-(-value // 2))


def _even_below(value: float | int) -> int:
    return 2 * int(value // 2)
