"""Rows of features as they are gathered: in order, in few large blocks, and errors where they belong."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.rows import _BLOCK_ROWS, SnippetRows, Table

PIECE = np.zeros((32, 4, 4, 3), np.uint8)


class Later:
    """Clips whose results come when the test says so."""

    def __init__(self):
        self.futures = []

    def submit(self, clip):
        self.futures.append(Future())
        return self.futures[-1]

    def flush(self):
        pass


@given(lengths=st.lists(st.integers(0, 2 * _BLOCK_ROWS), min_size=1, max_size=6))
def test_a_table_gives_back_what_it_was_given(lengths):
    rows = np.arange(sum(lengths) * 2, dtype=np.float32).reshape(-1, 2)
    table, start = Table(), 0
    for length in lengths:
        table.add(rows[start : start + length])
        start += length
    if len(rows):
        assert np.array_equal(table.rows(), rows)
    assert len(table._blocks) == -(-len(rows) // _BLOCK_ROWS)


def test_a_table_holds_none_of_the_arrays_that_it_was_given():
    table, row = Table(), np.ones((1, 3), np.float32)
    table.add(row)
    row[:] = 7
    assert table.rows().tolist() == [[1, 1, 1]]
    assert not np.shares_memory(table.rows(), row)


def test_rows_that_are_finished_are_not_held_one_by_one():
    clips = Later()
    rows = SnippetRows(clips)
    for number in range(100):
        rows.push(PIECE, last=number == 99)
        for future in clips.futures[-2:]:
            future.set_result(np.full(3, number, np.float32))
    assert len(rows._under_way) <= 2  # of the last piece
    assert np.array_equal(rows.rows()[:, 0], np.repeat(np.arange(100), 2))


def test_rows_come_in_order_whichever_is_finished_first():
    clips = Later()
    rows = SnippetRows(clips)
    rows.push(PIECE, last=False)
    clips.futures[1].set_result(np.full(3, 1, np.float32))
    rows.push(PIECE, last=True)
    for number in (3, 2, 0):
        clips.futures[number].set_result(np.full(3, number, np.float32))
    assert rows.rows()[:, 0].tolist() == [0, 1, 2, 3]


def test_an_error_is_raised_where_the_rows_are_asked_for():
    clips = Later()
    rows = SnippetRows(clips)
    rows.push(PIECE, last=False)
    clips.futures[0].set_exception(RuntimeError("broken"))
    rows.push(PIECE, last=True)
    with pytest.raises(RuntimeError, match="broken"):
        rows.rows()
