"""Running ahead: order, bounds, errors, and a thread that always ends."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.errors import VideoError
from extractors.prefetch import Prefetch


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Source:
    """Counts up, and remembers who asked."""

    def __init__(self, n, error=None):
        self.n, self.error = n, error
        self.made, self.closed, self.threads = 0, False, set()

    def __call__(self):
        self.threads.add(threading.get_ident())
        try:
            for number in range(self.n):
                self.made += 1
                yield number
            if self.error is not None:
                raise self.error
        finally:
            self.threads.add(threading.get_ident())
            self.closed = True


@given(n=st.integers(0, 40), depth=st.integers(1, 5))
def test_items_come_in_order_and_all_of_them(n, depth):
    with Prefetch(Source(n), depth=depth) as ahead:
        assert list(ahead) == list(range(n))
        assert next(ahead, "over") == "over"


def test_it_runs_ahead_but_never_further_than_it_may():
    source = Source(100)
    with Prefetch(source, depth=3) as ahead:
        wait_until(lambda: source.made == 3)
        time.sleep(0.05)
        assert source.made == 3
        assert next(ahead) == 0
        wait_until(lambda: source.made == 4)
        time.sleep(0.05)
        assert source.made == 4


def test_the_source_lives_in_one_other_thread():
    source = Source(5)
    with Prefetch(source, depth=1) as ahead:
        list(ahead)
    assert len(source.threads) == 1
    assert threading.get_ident() not in source.threads


@pytest.mark.parametrize("error", [VideoError("damaged", hint="again"), MemoryError(), KeyboardInterrupt()])
def test_an_error_arrives_as_it_is_after_what_came_before_it(error):
    with Prefetch(Source(3, error), depth=1) as ahead:
        assert [next(ahead) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(type(error)) as raised:
            next(ahead)
    assert raised.value is error


@pytest.mark.parametrize("taken", [0, 1, 7])
def test_leaving_early_ends_the_thread_and_closes_the_source(taken):
    source = Source(10**9)
    ahead = Prefetch(source, depth=2)

    def leave():
        with ahead:
            for _ in range(taken):
                next(ahead)
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        leave()
    assert not ahead._thread.is_alive()
    assert source.closed or source.made == 0


def test_a_source_that_cannot_be_made_raises_where_items_are_taken():
    def broken():
        raise OSError("no such disk")

    with Prefetch(broken, depth=1) as ahead, pytest.raises(OSError, match="disk"):
        next(ahead)


def test_at_least_one_may_wait():
    with pytest.raises(ValueError, match="0"):
        Prefetch(Source(1), depth=0)
