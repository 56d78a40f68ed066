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

_BLOCK_ROWS = 512  # 2 MB of 1024 numbers, five minutes of video


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


class Table:
    """Finished rows, copied into large blocks.

    Thousands of small arrays that stay, each made between a network's large ones, would keep the allocator
    from using freed memory again: two hours of video came to 4 GB so, of which 46 MB were rows.
    """

    def __init__(self) -> None:
        self._blocks: list[Float32[np.ndarray, "b d"]] = []
        self._n_rows = 0

    def add(self, rows: Float32[np.ndarray, "t d"]) -> None:
        """Put rows at the end."""
        while len(rows):
            used = self._n_rows % _BLOCK_ROWS
            if not used:
                self._blocks.append(np.empty((_BLOCK_ROWS, rows.shape[1]), np.float32))
            fitting = rows[: _BLOCK_ROWS - used]
            self._blocks[-1][used : used + len(fitting)] = fitting
            self._n_rows += len(fitting)
            rows = rows[len(fitting) :]

    def rows(self) -> Float32[np.ndarray, "t d"]:
        """All of them."""
        return np.concatenate(self._blocks)[: self._n_rows]


class SnippetRows:
    """Isolated snippets: every 16 frames are a clip of their own. Pieces are whole snippets but the last."""

    def __init__(self, clips: Clips) -> None:
        self._clips = clips
        self._under_way: deque[Future[Float32[np.ndarray, " d"]]] = deque()
        self._finished = Table()

    def push(self, piece: Shaped[np.ndarray, "t h w c"], *, last: bool) -> Sequence[Future[Any]]:
        """See `Rows.push`."""
        del last  # every snippet stands alone
        padded = pad_by_repeating(piece, SNIPPET_FRAMES)
        new = [
            self._clips.submit(padded[start : start + SNIPPET_FRAMES])
            for start in range(0, len(padded), SNIPPET_FRAMES)
        ]
        self._under_way += new
        while self._under_way and _succeeded(self._under_way[0]):
            self._finish_first()
        return new

    def rows(self) -> Float32[np.ndarray, "t d"]:
        """See `Rows.rows`."""
        while self._under_way:
            self._finish_first()
        return self._finished.rows()

    def _finish_first(self) -> None:
        self._finished.add(self._under_way.popleft().result()[None])


class DenseRows:
    """One pass over the whole video, a row every 8 frames; computed as it is pushed."""

    def __init__(self, backbone: Backbone, grid: TimeGrid) -> None:
        self._backbone = backbone
        self._stream: DenseStream = backbone.stream()
        self._stride = grid.stride_frames
        self._finished = Table()

    def push(self, piece: Shaped[np.ndarray, "t h w c"], *, last: bool) -> Sequence[Future[Any]]:
        """See `Rows.push`."""
        whole = pad_by_repeating(piece, self._stride) if last else piece
        with torch.inference_mode():
            features = self._stream.push(network_input(self._backbone, whole), last=last)
        if len(features):
            self._finished.add(features.float().cpu().numpy())
        return []

    def rows(self) -> Float32[np.ndarray, "t d"]:
        """See `Rows.rows`."""
        return self._finished.rows()


def _succeeded(future: Future[Any]) -> bool:
    """Whether there is a result; an error is left for whoever waits for it."""
    return future.done() and not future.cancelled() and future.exception() is None
