"""What stitched videos are made of: drawn by a seed, counted in output frames, before any is written.

A video is stretches of background with clips of actions between them. No file is read here: how long a clip
is, `measure` says. The first videos of a plan do not depend on how many there are to be.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from ascnet_cli.datasets.annotations import Instance
from ascnet_cli.datasets.stitch_clips import Clip
from ascnet_cli.datasets.stitch_options import MIN_GAP_S, StitchOptions
from ascnet_cli.datasets.stitch_split import split_clips
from ascnet_cli.errors import OptionError, VideoError
from ascnet_cli.segments import Segment

Measure = Callable[[Clip], int | None]
Side = Literal["training", "testing"]  # ActivityNet's words

ACTION_SHARE = (0.3, 0.6)  # of a video: as much action is wanted, drawn between the two
MIN_ACTIONS = 2  # in a video, where so many fit
MAX_ACTION_SHARE = 0.75  # of a video: no clip is added that would take it beyond
MIN_PIECE_S = 0.5  # no rest of a gap shorter than this is left to another clip
TWO_CLASSES = 0.3  # of the videos have actions of two classes


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a clip, in output frames.

    Attributes:
        clip: what is shown.
        first_frame: of the clip on the output's time grid.
        n_frames: how many, at least one.
        label: the action, or None where it is background.
    """

    clip: Clip
    first_frame: int
    n_frames: int
    label: str | None

    def __post_init__(self) -> None:
        if self.first_frame < 0 or self.n_frames < 1:
            raise ValueError(f"not a stretch of frames: {self.first_frame}, {self.n_frames}")


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """One video to be made.

    Attributes:
        name: its file.
        subset: what it is for.
        fps: frames a second.
        pieces: what it shows, one after the other.
    """

    name: str
    subset: Side
    fps: int
    pieces: tuple[Piece, ...]

    @property
    def n_frames(self) -> int:
        """Length in frames."""
        return sum(piece.n_frames for piece in self.pieces)

    @property
    def spans(self) -> tuple[tuple[Piece, Segment], ...]:
        """The pieces with the stretches of the video, in seconds, that they fill."""
        ends = accumulate((piece.n_frames for piece in self.pieces), initial=0)
        return tuple(
            (piece, Segment(start / self.fps, end / self.fps))
            for piece, (start, end) in zip(self.pieces, pairwise(ends), strict=True)
        )

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The actions, by time."""
        return tuple(Instance(segment, piece.label) for piece, segment in self.spans if piece.label)


def plan(clips: Sequence[Clip], options: StitchOptions, measure: Measure) -> tuple[VideoPlan, ...]:
    """Draw all videos: first those for training, then those for tests.

    Args:
        clips: of all classes.
        options: what the videos are to be like.
        measure: the length of a clip in output frames, or None where it cannot be used. It is asked only
            about clips that are drawn, and must answer the same when asked again.

    Raises:
        OptionError: a background class is unknown, no class is left for actions, or a class cannot be split.
        VideoError: no clip of a class can be used.
    """
    classes = sorted({clip.label for clip in clips})
    unknown = [label for label in options.background if label not in classes]
    if unknown:
        raise OptionError(
            f"no such class: {', '.join(unknown)}", hint=f"choose --background among {', '.join(classes)}"
        )
    actions = [label for label in classes if label not in options.background]
    if not actions:
        raise OptionError("every class is background", hint="leave at least one class as an action")
    train, test = split_clips(clips, options.test_share, options.seed)
    return (
        *_Maker("training", train, actions, options, measure).videos("train", options.n_train),
        *_Maker("testing", test, actions, options, measure).videos("test", options.n_test),
    )


class _Deck:
    """The clips of one class on one side, in an order of their own; who was shown goes to the end."""

    def __init__(self, label: str, clips: Sequence[Clip], draw: random.Random, measure: Measure) -> None:
        self._label, self._clips, self._draw, self._measure = label, list(clips), draw, measure
        draw.shuffle(self._clips)

    def action(self, room: int, longest: int) -> Piece | None:
        """The next clip that fits into so many frames, whole if it is not longer than `longest`."""
        for clip, n_frames in self._usable():
            shown = n_frames
            if n_frames > longest:
                shown = self._draw.randint((longest + 1) // 2, longest)
            if shown <= room:
                return self._show(clip, n_frames, shown, self._label)
        return None

    def background(self, room: int, shortest_rest: int) -> Piece:
        """The next clip, cut so that it fits and leaves nothing or no less than `shortest_rest`."""
        clip, n_frames = next(self._usable())
        shown = min(n_frames, room)
        if 0 < room - shown < shortest_rest < room:
            shown = room - shortest_rest
        return self._show(clip, n_frames, shown, None)

    def _usable(self) -> Iterator[tuple[Clip, int]]:
        for clip in list(self._clips):
            n_frames = self._measure(clip)
            if n_frames is None:
                self._clips.remove(clip)
            else:
                yield clip, n_frames
        if not self._clips:
            raise VideoError(
                f"no clip of the class {self._label!r} can be used on one side of the split",
                hint="see what is wrong with them, or add others",
            )

    def _show(self, clip: Clip, n_frames: int, shown: int, label: str | None) -> Piece:
        self._clips.remove(clip)
        self._clips.append(clip)
        return Piece(clip, self._draw.randint(0, n_frames - shown), shown, label)


class _Maker:
    """All videos of one side of the split, drawn one after the other."""

    def __init__(
        self,
        subset: Side,
        clips: Sequence[Clip],
        actions: Sequence[str],
        options: StitchOptions,
        measure: Measure,
    ) -> None:
        self._subset, self._options, self._actions = subset, options, actions
        self._draw = random.Random(f"{options.seed} {subset}")  # noqa: S311 - not for secrets
        self._decks = {
            label: _Deck(label, [clip for clip in clips if clip.label == label], self._draw, measure)
            for label in sorted({clip.label for clip in clips})
        }

    def videos(self, stem: str, n_videos: int) -> Iterator[VideoPlan]:
        """So many videos; every class comes first equally often."""
        turn: list[str] = []
        for index in range(n_videos):
            turn = turn or self._draw.sample(self._actions, len(self._actions))
            labels = [turn.pop()]
            if len(self._actions) > 1 and self._draw.random() < TWO_CLASSES:
                labels.append(self._draw.choice([label for label in self._actions if label != labels[0]]))
            pieces = self._pieces(labels)
            yield VideoPlan(f"{stem}_{index:04d}.mp4", self._subset, self._options.fps, pieces)

    def _pieces(self, labels: Sequence[str]) -> tuple[Piece, ...]:
        options = self._options
        total = self._draw.randint(options.frames(options.min_s), options.frames(options.max_s))
        actions = self._chosen(labels, total)
        pieces: list[Piece] = []
        for index, gap in enumerate(self._gaps(total, actions)):
            pieces += self._filled(gap)
            pieces += actions[index : index + 1]
        return tuple(pieces)

    def _chosen(self, labels: Sequence[str], total: int) -> list[Piece]:
        """Clips of actions, the classes in turn until enough of the video is action; shuffled."""
        longest, gap = self._options.frames(self._options.max_clip_s), self._options.frames(MIN_GAP_S)
        wanted = self._draw.uniform(*ACTION_SHARE) * total
        chosen: list[Piece] = []
        used = 0
        while used < wanted or len(chosen) < MIN_ACTIONS:
            room = min(int(MAX_ACTION_SHARE * total), total - gap * (len(chosen) + 2)) - used
            piece = self._decks[labels[len(chosen) % len(labels)]].action(max(room, 0), longest)
            if piece is None:
                break
            chosen.append(piece)
            used += piece.n_frames
        self._draw.shuffle(chosen)
        return chosen

    def _gaps(self, total: int, actions: Sequence[Piece]) -> list[int]:
        """Lengths of the background before, between and after the actions, in frames: uneven, as in life."""
        least, n_gaps = self._options.frames(MIN_GAP_S), len(actions) + 1
        rest = total - sum(piece.n_frames for piece in actions) - least * n_gaps
        sums = list(accumulate((self._draw.expovariate(1) for _ in range(n_gaps)), initial=0.0))
        return [least + b - a for a, b in pairwise(round(rest * part / sums[-1]) for part in sums)]

    def _filled(self, gap: int) -> Iterator[Piece]:
        rest = self._options.frames(MIN_PIECE_S)
        while gap > 0:
            piece = self._decks[self._draw.choice(self._options.background)].background(gap, rest)
            gap -= piece.n_frames
            yield piece
