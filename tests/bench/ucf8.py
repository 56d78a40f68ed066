"""The benchmark `ucf8`: long timelines stitched from real features of trimmed clips, with exact truth.

    python -m tests.bench.ucf8 --out DIR --seed 1 [--source FOLDER]

Source: 1083 clips of UCF101, 25 frames each, VGG16's fc6 reduced to 1024 numbers, with the official split.
Five of its eight classes are actions; three are background that nobody labels, one of them (eye make-up)
close to an action (lipstick). 200 training and 100 test timelines of 40 to 120 rows, of one or two action
classes, with two instances or more and background between them. A clip is used on its own side of the
split alone, and comes again only when all others of its class and side have been used.

Each of a clip's 25 rows is one row of the timeline, and the grid says 0.64 s a row (25 fps, stride 16), as
for I3D's snippets. That is a convention: the frames of the source lie closer together. The pieces are whole
rows, so the truth is exact, and every bound lies on the grid.

DIR is then a data set of one's own: `annotations.json` and `features/` with a file a timeline (half
precision) and `grid.json`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ascnet_cli.datasets.features import write_grid
from ascnet_cli.segments import Segment
from extractors.snippets import SNIPPETS
from weights.atomic import replacing

SOURCE = Path(__file__).resolve().parents[3] / "shared" / "data" / "features" / "ucf101_8cls_vgg16"
ACTIONS = ("ApplyLipstick", "Archery", "BalanceBeam", "BaseballPitch", "Basketball")
BACKGROUND = ("ApplyEyeMakeup", "BabyCrawling", "BandMarching")
N_TIMELINES: Mapping[str, int] = {"train": 200, "test": 100}
SUBSETS: Mapping[str, str] = {"train": "training", "test": "testing"}

ROWS = (40, 120)  # of a timeline
CLIP_ROWS = 25
SHORTEST_INSTANCE = 4  # rows: 2.56 s
SHORTEST_GAP = 2  # rows between two instances
ROWS_AN_INSTANCE = 15  # of a timeline, at least: bounds how many instances it may have
LARGEST_SHARE = 0.6  # of a timeline that is action
SECOND_CLASS = 0.4  # of the timelines have two classes


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows [first, first + n_rows) of a clip; `label` is None where it is background."""

    clip: int
    first: int
    n_rows: int
    label: str | None


class Decks:
    """Clips by class, dealt from a shuffled deck that is shuffled again when it is empty."""

    def __init__(self, clips: Mapping[str, Sequence[int]], draw: random.Random) -> None:
        self._clips, self._draw = clips, draw
        self._decks: dict[str, list[int]] = {name: [] for name in clips}

    def deal(self, name: str) -> int:
        deck = self._decks[name]
        if not deck:
            deck += self._clips[name]
            self._draw.shuffle(deck)
        return deck.pop()


def timeline(classes: Sequence[str], decks: Decks, draw: random.Random) -> list[Piece]:
    """The pieces of one timeline in which these action classes happen."""
    n_rows = draw.randint(*ROWS)
    n_instances = draw.randint(2, max(2, n_rows // ROWS_AN_INSTANCE))
    longest = min(CLIP_ROWS, int(LARGEST_SHARE * n_rows) // n_instances)
    lengths = [draw.randint(SHORTEST_INSTANCE, longest) for _ in range(n_instances)]
    labels = [*classes, *(draw.choice(classes) for _ in range(n_instances - len(classes)))]
    draw.shuffle(labels)
    gaps = _gaps(n_rows - sum(lengths), n_instances, draw)
    pieces = _background(gaps[0], decks, draw)
    for label, length, gap in zip(labels, lengths, gaps[1:], strict=True):
        pieces += [_piece(label, length, label, decks, draw), *_background(gap, decks, draw)]
    return pieces


def truth(pieces: Sequence[Piece]) -> list[tuple[str, Segment]]:
    """What happens when, in seconds, exactly."""
    found, row = [], 0
    for piece in pieces:
        if piece.label is not None:
            start_s, end_s = SNIPPETS.span_s(row)[0], SNIPPETS.span_s(row + piece.n_rows)[0]
            found.append((piece.label, Segment(start_s, end_s)))
        row += piece.n_rows
    return found


def _gaps(n_rows: int, n_instances: int, draw: random.Random) -> list[int]:
    """Background rows before, between and after instances; at both ends there may be none."""
    spare = n_rows - SHORTEST_GAP * (n_instances - 1)
    cuts = [0, *sorted(draw.randint(0, spare) for _ in range(n_instances)), spare]
    gaps = [after - before for before, after in itertools.pairwise(cuts)]
    return [gaps[0], *(gap + SHORTEST_GAP for gap in gaps[1:-1]), gaps[-1]]


def _background(n_rows: int, decks: Decks, draw: random.Random) -> list[Piece]:
    """Pieces of background classes, at most a clip's length each."""
    pieces = []
    while n_rows > 0:
        length = min(n_rows, draw.randint(CLIP_ROWS // 2, CLIP_ROWS))
        pieces.append(_piece(draw.choice(BACKGROUND), length, None, decks, draw))
        n_rows -= length
    return pieces


def _piece(name: str, n_rows: int, label: str | None, decks: Decks, draw: random.Random) -> Piece:
    return Piece(decks.deal(name), draw.randint(0, CLIP_ROWS - n_rows), n_rows, label)


def plan(labels: Sequence[str], sides: Sequence[str], seed: int) -> dict[str, tuple[str, list[Piece]]]:
    """All timelines: name to side and pieces.

    Args:
        labels: the class of each clip.
        sides: its side of the split.
        seed: draws everything.
    """
    plans = {}
    for side, n_timelines in N_TIMELINES.items():
        draw = random.Random(f"{seed} {side}")  # noqa: S311
        clips = {
            name: [i for i, pair in enumerate(zip(labels, sides, strict=True)) if pair == (name, side)]
            for name in (*ACTIONS, *BACKGROUND)
        }
        decks = Decks(clips, draw)
        for number in range(n_timelines):
            classes = [ACTIONS[number % len(ACTIONS)]]
            if draw.random() < SECOND_CLASS:
                classes.append(draw.choice([name for name in ACTIONS if name not in classes]))
            plans[f"{side}_{number:03d}"] = (side, timeline(classes, decks, draw))
    return plans


def make(out: Path, seed: int, source: Path = SOURCE) -> dict[str, tuple[str, list[Piece]]]:
    """Write the data set; the annotations last, so that a folder with them is complete."""
    rows_NTD = np.load(source / "vgg16fc6_pca1024.npy", mmap_mode="r")
    index = np.load(source / "labels.npz")
    plans = plan(index["label"].tolist(), index["split"].tolist(), seed)
    features = out / "features"
    features.mkdir(parents=True, exist_ok=True)
    write_grid(features, SNIPPETS)
    database = {}
    for name, (side, pieces) in plans.items():
        values = np.concatenate([rows_NTD[p.clip, p.first : p.first + p.n_rows] for p in pieces])
        with replacing(features / f"{name}.npy") as file:
            np.save(file, values)
        database[name] = {
            "subset": SUBSETS[side],
            "duration": SNIPPETS.span_s(len(values))[0],
            "annotations": [
                {"label": label, "segment": [segment.start_s, segment.end_s]}
                for label, segment in truth(pieces)
            ],
        }
    text = json.dumps({"version": f"ucf8, seed {seed}", "database": database}, indent=1)
    with replacing(out / "annotations.json") as file:
        file.write(text.encode() + b"\n")
    return plans


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--source", type=Path, default=SOURCE, help="the folder of the clips' features")
    options = parser.parse_args()
    plans = make(options.out, options.seed, options.source)
    for side in N_TIMELINES:
        pieces = [pieces for of, pieces in plans.values() if of == side]
        instances = sum(piece.label is not None for one in pieces for piece in one)
        rows = sum(piece.n_rows for one in pieces for piece in one)
        action = sum(piece.n_rows for one in pieces for piece in one if piece.label is not None)
        print(
            f"{SUBSETS[side]}: {len(pieces)} timelines, {rows * SNIPPETS.step_s / 60:.0f} min,"
            f" {instances} instances, {action / rows:.0%} of the time"
        )


if __name__ == "__main__":
    main()
