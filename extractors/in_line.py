"""What is under way in an extraction: videos whose pieces are being computed, in the order of their turn."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extractors.flow_pieces import PieceFlows
from extractors.rows import Rows
from extractors.video import DecodeReport


@dataclass(slots=True)
class Passage:
    """A video on its way through the networks.

    Attributes:
        path: the file.
        rows: what gathers each stream's features.
        flows: its optical flow, where the recipe has it.
        n_frames: grid frames so far.
        error: why it failed, if it did.
    """

    path: Path
    rows: dict[str, Rows]
    flows: PieceFlows | None
    n_frames: int = 0
    error: Exception | None = None


@dataclass(slots=True)
class Step:
    """A piece, or the end of a video, that waits for its turn to be told of.

    Attributes:
        video: whose it is.
        futures: what must be done first.
        done_s: seconds of the video up to here.
        total_s: its duration by its header, seconds, or None.
        end: what decoding came to, at the end of a video.
    """

    video: Passage
    futures: list[Future[Any]]
    done_s: float = 0.0
    total_s: float | None = None
    end: DecodeReport | Exception | None = None

    def done(self) -> bool:
        """Whether telling of it would not have to wait."""
        return all(future.done() for future in self.futures)
