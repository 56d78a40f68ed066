import weakref
from concurrent.futures import Future

import numpy as np
import pytest

from extractors.rows import SnippetRows


class Numbered:
    """Gives back each clip's first number as a row; a negative one fails."""

    def __init__(self):
        self.made = []

    def submit(self, clip):
        future = Future()
        if clip.flat[0] < 0:
            future.set_exception(ValueError("negative"))
            return future
        row = np.full(4, clip.flat[0], np.float32)
        self.made.append(weakref.ref(row))
        future.set_result(row)
        return future

    def flush(self):
        pass


def piece(*numbers):
    return np.repeat(np.array(numbers, np.float32), 16)[:, None, None, None]


def test_rows_come_in_order_whatever_the_blocks(monkeypatch):
    monkeypatch.setattr(SnippetRows, "_BLOCK_ROWS", 3)
    rows = SnippetRows(Numbered())
    for start in range(0, 14, 2):
        rows.push(piece(start, start + 1), last=False)
    assert rows.rows()[:, 0].tolist() == list(range(14))


def test_finished_rows_leave_the_networks_memory():
    clips = Numbered()
    rows = SnippetRows(clips)
    for start in range(10):
        rows.push(piece(start), last=False)
    assert [row() for row in clips.made] == [None] * 10
    assert len(rows.rows()) == 10


def test_a_snippet_that_failed_is_raised_where_rows_are_asked_for():
    rows = SnippetRows(Numbered())
    rows.push(piece(1, -1, 2), last=False)
    rows.push(piece(3), last=True)
    with pytest.raises(ValueError, match="negative"):
        rows.rows()
