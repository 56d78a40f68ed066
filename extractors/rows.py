"""Pieces of one stream's input in, rows of features out: isolated snippets, or dense."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Shaped

from extractors.backbones import Backbone, DenseStream
from extractors.lanes import Clips, network_input
from extractors.snippets import SNIPPET_FRAMES, TimeGrid


@runtime_checkable
class Rows(Protocol):
    """Gathers one video's rows from one stream."""

    def push(self, piece: Shaped[np.ndarray, "t h w c"], *, last: bool) -> Sequence[Future[Any]]:
        """Take the next piece; what is given back is done once the piece has been computed."""

    def rows(self) -> Float32[np.ndarray, "t d"]:
        """All rows, once everything is done."""


def pad_by_repeating(x_TXXX: Shaped[np.ndarray, "t h w c"], multiple: int) -> Shaped[np.ndarray, "t2 h w c"]:
    """Repeat the last frame until the number of frames is a multiple."""
    missing = -len(x_TXXX) % multiple
    return np.concatenate((x_TXXX, np.repeat(x_TXXX[-1:], missing, axis=0))) if missing else x_TXXX


class SnippetRows:
    """Isolated snippets: every 16 frames are a clip of their own. Pieces are whole snippets but the last.

    Finished rows are moved into blocks. Left where the network put them, each keeps the allocator from
    joining the large buffers freed around it: two hours of video came to 4 GB, of which 46 MB were rows.
    """

    _BLOCK_ROWS = 512

    def __init__(self, clips: Clips) -> None:
        self._clips = clips
        self._waiting: deque[Future[Float32[np.ndarray, " d"]]] = deque()
        self._blocks: list[Float32[np.ndarray, "b d"]] = []
        self._n_rows = 0

    def push(self, piece: Shaped[np.ndarray, "t h w c"], *, last: bool) -> Sequence[Future[Any]]:
        """See `Rows.push`."""
        del last  # every snippet stands alone
        padded = pad_by_repeating(piece, SNIPPET_FRAMES)
        new = [
            self._clips.submit(padded[start : start + SNIPPET_FRAMES])
            for start in range(0, len(padded), SNIPPET_FRAMES)
        ]
        self._waiting.extend(new)
        # One that failed stays, and is raised where the rows are asked for.
        while self._waiting and self._waiting[0].done() and self._waiting[0].exception() is None:
            self._keep(self._waiting.popleft().result())
        return new

    def _keep(self, row: Float32[np.ndarray, " d"]) -> None:
        place = self._n_rows % self._BLOCK_ROWS
        if place == 0:
            self._blocks.append(np.empty((self._BLOCK_ROWS, len(row)), np.float32))
        self._blocks[-1][place] = row
        self._n_rows += 1

    def rows(self) -> Float32[np.ndarray, "t d"]:
        """See `Rows.rows`."""
        while self._waiting:
            self._keep(self._waiting.popleft().result())
        return np.concatenate(self._blocks)[: self._n_rows]


class DenseRows:
    """One pass over the whole video, a row every 8 frames; computed as it is pushed."""

    def __init__(self, backbone: Backbone, grid: TimeGrid) -> None:
        self._backbone = backbone
        self._stream: DenseStream = backbone.stream()
        self._stride = grid.stride_frames
        self._rows: list[Float32[np.ndarray, "t d"]] = []

    def push(self, piece: Shaped[np.ndarray, "t h w c"], *, last: bool) -> Sequence[Future[Any]]:
        """See `Rows.push`."""
        whole = pad_by_repeating(piece, self._stride) if last else piece
        with torch.inference_mode():
            features = self._stream.push(network_input(self._backbone, whole), last=last)
        if len(features):
            self._rows.append(features.float().cpu().numpy())
        return []

    def rows(self) -> Float32[np.ndarray, "t d"]:
        """See `Rows.rows`."""
        return np.concatenate(self._rows)
