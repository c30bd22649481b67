"""Any number of points through a network, in batches of one shape; and tasks side by side, each on one thread."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["in_batches", "side_by_side", "split", "within_memory"]

SHARE = 8           # points: fewer for a thread are sooner done by all threads together


def split(points: int, most: int, device: torch.device) -> tuple[int, int]:
    """Points in a batch, and how many batches run side by side: at most `most` points at a time.

    A GPU takes one batch after the other, of `most` points, or of a power of two for fewer, since kernels are chosen,
    or compiled, for a shape. On a CPU each thread takes a batch of its own.
    """
    if device.type != "cpu":
        return min(most, 1 << (points - 1).bit_length()), 1
    threads = torch.get_num_threads()
    share = -(-points // (threads * -(-points // max(1, most // threads * threads))))
    if threads > 1 and SHARE <= share <= most // threads:
        return share, threads
    return -(-points // -(-points // most)), 1


def in_batches(function: Callable[..., tuple[Tensor, ...]], most: int, *inputs: Float[Tensor, "p *s"]) -> list[Tensor]:
    """`function(*inputs)` with at most `most` points at a time; the last batch is padded with copies of the last point.

    No gradients. On a CPU batches run side by side (`side_by_side`): the layers of a small network are too short to be
    shared among threads that sleep while they wait (see `site/process.py`).
    """
    p = len(inputs[0])
    if p == 0:
        raise ValueError("points: none given; takes one or more")
    n, together = split(p, most, inputs[0].device)

    @torch.no_grad()                # holds for one thread, so not around the loop
    def batch(top: int) -> list[Tensor]:
        parts = [x[top:top + n] for x in inputs]
        parts = [torch.cat([x, x[-1:].expand(n - len(x), *x.shape[1:])]) for x in parts]
        return [y[:p - top] for y in function(*parts)]

    tops = range(0, p, n)
    done = [batch(top) for top in tops] if together == 1 else side_by_side(batch, tops)
    return [torch.cat(column) for column in zip(*done, strict=True)]


def within_memory(function: Callable[..., tuple[Tensor, ...]], sizes: list[int],
                  *inputs: Float[Tensor, "p *s"]) -> list[Tensor]:
    """`in_batches`; where a device's memory runs out, with half the size from then on.

    Args:
        function: of a batch of each input.
        sizes: the most points at a time, the least of which counts; what memory has taught is added to it.
        *inputs: with the points first.
    """
    try:
        return in_batches(function, min(sizes), *inputs)
    except torch.OutOfMemoryError:
        n, _ = split(len(inputs[0]), min(sizes), inputs[0].device)
        if n == 1:
            raise
    sizes.append(n // 2)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return within_memory(function, sizes, *inputs)


def side_by_side(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """`function` of each item, as many at a time as torch has threads, each on one thread.

    A thread of yours that uses torch for the first time meanwhile is left with one thread as well: torch has one
    default for all.

    Args:
        function: whose work is long enough to be worth a thread, and shares nothing that it changes.
        items: tasks.

    Returns:
        What it gave, in order; the same on any number of threads.
    """
    items, threads = list(items), torch.get_num_threads()
    if min(len(items), threads) < 2:
        return [function(item) for item in items]
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(function, items))
    finally:
        torch.set_num_threads(threads)      # what later threads start with
