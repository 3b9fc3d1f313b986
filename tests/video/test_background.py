"""Work in threads: order, limits, errors, and nothing that hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from refldm_core.video.background import read_ahead, worker


def test_items_come_in_order_from_a_thread_that_is_not_far_ahead() -> None:
    begun: list[int] = []
    threads: set[str] = set()

    def items() -> Iterator[int]:
        for i in range(20):
            begun.append(i)
            threads.add(threading.current_thread().name)
            yield i

    received: list[int] = []
    for item in read_ahead(items(), 3):
        received.append(item)
        assert len(begun) <= len(received) + 3
    assert received == list(range(20))
    assert len(threads) == 1 and threading.current_thread().name not in threads


def test_error_of_the_items_reaches_the_caller_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    ahead = read_ahead(items(), 4)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(ahead)


def test_a_closed_reader_leaves_no_thread() -> None:
    before = threading.active_count()
    with closing(read_ahead(iter(range(1000)), 2)) as ahead:
        assert next(ahead) == 0
    assert threading.active_count() == before


def test_work_is_done_in_order_before_the_block_ends() -> None:
    done: list[int] = []
    with worker(2) as do:
        for i in range(20):
            do(partial(done.append, i))
    assert done == list(range(20))


def test_error_of_the_work_stops_it() -> None:
    done: list[int] = []

    def work(i: int) -> None:
        if i == 3:
            raise OSError("disk full")
        done.append(i)

    def give_much_work() -> None:
        with worker(2) as do:
            for i in range(1000):
                do(partial(work, i))

    with pytest.raises(OSError, match="disk full"):
        give_much_work()
    assert done == [0, 1, 2]


def test_error_of_the_block_drops_waiting_work() -> None:
    done: list[int] = []
    release = threading.Event()

    def fail() -> None:
        with worker(5) as do:
            do(release.wait)
            do(partial(done.append, 1))
            threading.Timer(0.05, release.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not done
