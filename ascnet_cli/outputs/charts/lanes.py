"""What happens in a video and what was found there, over time: a lane for the truth and one a result.

After Fig. 3 of the paper. A lane has a row for each class of the truth, and one in grey for all others where
a result shows any. Its best segments, as many as the truth has, are drawn in the colour of their class:
filled where they are right, hollow where they are wrong. What was found beyond these is thin and pale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ascnet_cli.outputs.charts.drawing import (
    BAND,
    GRID,
    INK,
    MUTED,
    PAPER,
    Drawing,
    Pixels,
    Point,
    Rect,
    Shape,
    Strokes,
    Text,
    fitted,
    text_width,
)
from ascnet_cli.outputs.charts.scale import Scale, clock, clock_ticks
from ascnet_cli.outputs.colours import Style, styles_of
from ascnet_cli.segments import Segment

WIDTH = 900.0
REST = "rest"  # the group of segments beyond the best ones
State = Literal["truth", "right", "wrong", "rest"]

_NAMES, _RIGHT = 132.0, 74.0
_MOST_ROWS = 6  # classes of the truth with a row of their own
_LANE_GAP = 10.0
_SIZE = 12.0
_HATCH_PX = 7.0
_LETTERS = 26
_HOLLOW_PX = 4.0  # below that a hollow bar looks filled


@dataclass(frozen=True, slots=True)
class Bar:
    """One segment in a lane.

    Attributes:
        segment: when.
        label: its class.
        score: None: it is true.
        state: how it is drawn.
    """

    segment: Segment
    label: str
    score: float | None
    state: State


@dataclass(frozen=True, slots=True)
class Lane:
    """The truth, or one result.

    Attributes:
        name: beside it.
        bars: its segments.
        note: behind it, short.
    """

    name: str
    bars: tuple[Bar, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    """One video.

    Attributes:
        video: its name.
        duration_s: seconds; above 0.
        lanes: from above, the truth first.
    """

    video: str
    duration_s: float
    lanes: tuple[Lane, ...]


def lanes_drawing(timelines: Sequence[Timeline], *, right: str, width: Pixels = WIDTH) -> Drawing:
    """Timelines one below the other; several are lettered (a), (b) as panels of a figure.

    Args:
        timelines: at least one.
        right: what makes a segment right, in words.
        width: pixels.
    """
    styles = styles_of(bar.label for one in timelines for bar in one.lanes[0].bars)
    shapes, y = _key(styles, right, width, others=any(None in rows_of(one) for one in timelines))
    for place, one in enumerate(timelines):
        letter = f"({chr(ord('a') + place)}) " if 1 < len(timelines) <= _LETTERS else ""
        panel, y = _panel(one, styles, f"{letter}{one.video}", y + 6, width)
        shapes += panel
    names = ", ".join(one.video for one in timelines)
    lanes = ", ".join(lane.name for lane in timelines[0].lanes)
    return Drawing(width, y, tuple(shapes), f"Segments over time in {names}: {lanes}.")


def rows_of(timeline: Timeline) -> tuple[str | None, ...]:
    """The classes that have a row in each lane; None stands for all others, where any is told."""
    first: dict[str, int] = {}
    for bar in timeline.lanes[0].bars if timeline.lanes else ():
        first[bar.label] = first.get(bar.label, 0) + 1
    own = sorted(sorted(first, key=lambda label: -first[label])[:_MOST_ROWS])
    others = any(bar.label not in own for lane in timeline.lanes for bar in _told(lane))
    return (*own, None) if others or not own else tuple(own)


def _told(lane: Lane) -> Iterator[Bar]:
    return (bar for bar in lane.bars if bar.state != "rest")


def _key(
    styles: Mapping[str, Style], right: str, width: Pixels, *, others: bool
) -> tuple[list[Shape], Pixels]:
    """What colours and fillings mean; and where it ends."""
    shapes: list[Shape] = []
    x: Pixels = 8.0
    y: Pixels = 6.0
    sample = Segment(0.0, 1.0)
    entries: list[tuple[str, Style | None, State]] = [
        (label, style, "truth") for label, style in styles.items()
    ]
    entries += [(right, None, "right"), ("wrong", None, "wrong"), ("ranked lower", None, "rest")]
    if others:
        entries.append(("grey: another class", None, "wrong"))
    for name, style, state in entries:
        shown = fitted(name, width / 2, _SIZE)
        wide = 28 + text_width(shown, _SIZE) + 14
        if x > 8 and x + wide > width - 8:
            x, y = 8.0, y + 20
        shapes += _bar(Bar(sample, "", None, state), style, x, x + 20, y, 13)
        shapes.append(Text(x + 26, y + 11, shown, _SIZE, title=name if shown != name else ""))
        x += wide
    return shapes, y + 20


def _panel(
    one: Timeline, styles: Mapping[str, Style], title: str, y: Pixels, width: Pixels
) -> tuple[list[Shape], Pixels]:
    rows = rows_of(one)
    high = 18.0 if len(rows) <= 2 else 12.0
    scale = Scale(0.0, one.duration_s, _NAMES, width - _RIGHT)
    head = fitted(title, width * 0.6, 13)
    shapes: list[Shape] = [Text(8, y + 15, head, 13, INK, bold=True, title=title if head != title else "")]
    if len(one.lanes) > 1:
        shapes.append(Text(scale.end + 8, y + 15, "right", 11, MUTED))
    top = y + 24
    height = len(one.lanes) * (high * len(rows) + _LANE_GAP) - _LANE_GAP
    ticks = clock_ticks(one.duration_s)
    grid = tuple(((scale(t), top), (scale(t), top + height + 4)) for t in ticks)
    lanes: list[Shape] = []
    for place, lane in enumerate(one.lanes):
        lane_y = top + place * (high * len(rows) + _LANE_GAP)
        wide = scale.end - scale.begin
        shapes.append(Rect(scale.begin, lane_y, wide, high * len(rows), BAND))
        shown = fitted(lane.name, _NAMES - 18, _SIZE)
        lanes.append(
            Text(
                _NAMES - 10, lane_y + high * len(rows) / 2 + 4, shown, _SIZE, INK, "end", bold=place == 0,
                title=lane.name if shown != lane.name else "",
            )
        )  # fmt: skip
        middle = lane_y + high * len(rows) / 2 + 4
        lanes.append(Text(scale.end + 8, middle, lane.note, 11, MUTED))
        for bar in sorted(lane.bars, key=lambda bar: (bar.state != "rest", bar.score or 0.0)):
            row = rows.index(bar.label) if bar.label in rows else len(rows) - 1
            if bar.label not in rows and None not in rows:
                continue  # pale, of a class without a row
            lanes += _placed(bar, styles.get(bar.label), scale, lane_y + row * high, high)
    shapes.append(Strokes(grid, GRID))
    for t in ticks:
        shapes.append(Text(scale(t), top + height + 17, clock(t), 11, MUTED, "middle"))
    return [*shapes, *lanes], top + height + 26


def _placed(bar: Bar, style: Style | None, scale: Scale, y: Pixels, high: Pixels) -> Iterator[Shape]:
    begin = scale(min(bar.segment.start_s, scale.high))
    end = max(scale(bar.segment.end_s), begin + 1.5)  # never too short to be seen
    yield from _bar(bar, style, begin, min(end, scale.end + 1.5), y + 2, high - 4)


def _bar(
    bar: Bar, style: Style | None, begin: Pixels, end: Pixels, y: Pixels, high: Pixels
) -> Iterator[Shape]:
    """One segment; without a style it is grey."""
    colour = MUTED if style is None else style.colour
    title = _title(bar)
    wide = end - begin
    if bar.state == "rest":
        yield Rect(begin, y + high * 0.35, wide, high * 0.3, colour, None, 0.45, title, REST)
        return
    if bar.state == "wrong" and wide < _HOLLOW_PX:
        yield Rect(begin, y, wide, high, colour, None, 0.35, title, bar.state)
    elif bar.state == "wrong":
        inner = (begin + 0.5, y + 0.5, wide - 1, high - 1)
        yield Rect(*inner, PAPER, colour, 1.0, title, bar.state)
        yield Rect(*inner, colour, None, 0.15)
    else:
        yield Rect(begin, y, wide, high, colour, None, 1.0, title, bar.state)
    if style is not None and style.pattern:
        ink = colour if bar.state == "wrong" else style.ink
        yield Strokes(hatch(begin, y, wide, high, style.pattern), ink, 1.0, (), 0.8)


def _title(bar: Bar) -> str:
    when = f"{clock(bar.segment.start_s)} to {clock(bar.segment.end_s)}"
    if not bar.label:
        return ""  # a sample
    if bar.score is None:
        return f"{bar.label}, {when}"
    said = {"right": "right", "wrong": "wrong", "rest": "ranked lower", "truth": ""}[bar.state]
    return f"{bar.label}, {when}, score {bar.score:.3g}, {said}"


def hatch(x: Pixels, y: Pixels, width: Pixels, height: Pixels, pattern: int) -> tuple[tuple[Point, ...], ...]:
    """Lines over a rectangle that tell classes of the same colour apart.

    Patterns 1 to 4 rise, fall, stand and lie; 5 to 8 are the same, closer together, and so on.
    """
    kind, level = (pattern - 1) % 4, (pattern - 1) // 4
    step = max(_HATCH_PX / (1 + 0.6 * level), 2.0)
    if kind == 3:
        n_lines = max(int(height / step), 1)
        ys = [y + height * (n + 1) / (n_lines + 1) for n in range(n_lines)]
        return tuple(((x, at), (x + width, at)) for at in ys)
    slant = 0.0 if kind == 2 else height
    lines = []
    for n in range(int((width + slant) / step) + 1):
        low = n * step + step / 2 - slant  # where the line meets the lower side, from the left
        begin, end = max(low, 0.0), min(low + slant, width)
        if begin > width or end < 0 or begin > end:
            continue
        run = 1.0 if slant else 0.0
        bottom, top = (height - (begin - low) * run, height - (end - low) * run) if slant else (height, 0.0)
        if kind == 1:
            bottom, top = height - bottom, height - top
        lines.append(((x + begin, y + bottom), (x + end, y + top)))
    return tuple(lines)
