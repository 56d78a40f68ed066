"""What runs at a moment, and which place of the bar each action keeps while it runs."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ascnet_cli.segments import Detection


@dataclass(frozen=True, slots=True)
class Action:
    """A class that is running, with the best score of its segments there."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Shown:
    """What the bar shows.

    Attributes:
        slots: an action for each place, or None for an empty one.
        n_more: running too, but without a place.
    """

    slots: tuple[Action | None, ...]
    n_more: int = 0


def most_at_once(detections: Sequence[Detection]) -> tuple[int, int]:
    """The most classes, and the most segments, that run at one moment."""
    # At equal times ends come first: segments include their start and not their end.
    changes = sorted(
        change
        for found in detections
        for change in ((found.segment.start_s, 1, found.label), (found.segment.end_s, -1, found.label))
    )
    running: Counter[str] = Counter()
    n_running = most_classes = most_segments = 0
    for _, step, label in changes:
        running[label] += step
        n_running += step
        if not running[label]:
            del running[label]
        most_classes, most_segments = max(most_classes, len(running)), max(most_segments, n_running)
    return most_classes, most_segments


class Bar:
    """Follows a video in time.

    Args:
        detections: in any order.
        n_slots: places of the bar.
    """

    def __init__(self, detections: Sequence[Detection], n_slots: int) -> None:
        self._coming = sorted(detections, key=lambda found: (-found.segment.start_s, found.label))
        self._running: list[tuple[float, int, Detection]] = []  # a heap by end
        self._number = 0
        self._places: dict[str, int] = {}
        self._n_slots = n_slots
        self.shown = Shown((None,) * n_slots)

    def advance(self, time_s: float) -> bool:
        """Go on to a moment; whether `shown` has changed.

        Args:
            time_s: not before the last one.
        """
        changed = False
        while self._coming and self._coming[-1].segment.start_s <= time_s:
            found = self._coming.pop()
            self._number += 1
            heapq.heappush(self._running, (found.segment.end_s, self._number, found))
            changed = True
        while self._running and self._running[0][0] <= time_s:
            heapq.heappop(self._running)
            changed = True
        if not changed:
            return False
        before, self.shown = self.shown, self._choose()
        return before != self.shown

    def _choose(self) -> Shown:
        best: dict[str, float] = {}
        for _, _, found in sorted(self._running, key=lambda running: running[1]):
            best[found.label] = max(best.get(found.label, found.score), found.score)
        if len(best) > self._n_slots:
            # One place is left to the number of those that have none, unless there is but one place.
            order = sorted(best, key=lambda label: (-best[label], label))
            kept = order[: max(self._n_slots - 1, 1)]
        else:
            kept = list(best)
        self._places = {label: place for label, place in self._places.items() if label in kept}
        n_free = self._n_slots if len(best) <= self._n_slots else max(self._n_slots - 1, 1)
        self._places = {label: place for label, place in self._places.items() if place < n_free}
        free = [place for place in range(n_free) if place not in self._places.values()]
        for label in kept:
            if label not in self._places:
                self._places[label] = free.pop(0)
        slots: list[Action | None] = [None] * self._n_slots
        for label, place in self._places.items():
            slots[place] = Action(label, best[label])
        return Shown(tuple(slots), len(best) - len(kept))
