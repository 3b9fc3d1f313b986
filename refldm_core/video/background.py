"""Work in a thread beside the caller's, with few items in memory. Errors reach the caller as if there were no thread.

PyAV and PyTorch release Python's lock, so decoding, restoring and encoding overlap. The caller's own work stays in its
thread, since ComfyUI's progress, interruption and inference mode belong to that thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")

_END: Any = object()


def read_ahead(items: Iterable[Item], size: int) -> Generator[Item, None, None]:
    """Yield the items in order, while a thread computes up to `size` further ones.

    Close the generator, as `contextlib.closing` does, where its items are not used up. It then waits for the item that
    is being computed.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, "refldm-read-ahead") as thread:
        pending = deque(thread.submit(next, iterator, _END) for _ in range(size))
        try:
            while (item := pending.popleft().result()) is not _END:
                pending.append(thread.submit(next, iterator, _END))
                yield item
        finally:
            for future in pending:
                future.cancel()


@contextmanager
def worker(size: int) -> Generator[Callable[[Callable[[], object]], None], None, None]:
    """Yield a function that gives work to a thread, which does it in order. All work is done at the end of the block.

    The function waits where `size` pieces of work are waiting. It raises the error of an earlier one. After an error,
    also one in the block, no further work is begun.

    Args:
        size: most pieces of work that wait, 1 or more.
    """
    pending: deque[Future[object]] = deque()
    has_failed = False

    def run(work: Callable[[], object]) -> None:
        nonlocal has_failed
        if has_failed:
            return
        try:
            work()
        except BaseException:
            has_failed = True
            raise

    with ThreadPoolExecutor(1, "refldm-worker") as thread:

        def do(work: Callable[[], object]) -> None:
            while len(pending) >= size or (pending and pending[0].done()):
                pending.popleft().result()
            pending.append(thread.submit(run, work))

        try:
            yield do
            while pending:
                pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
