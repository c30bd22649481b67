"""Batches against the function itself: any number of points, sizes, threads and inputs."""

import threading

import pytest
import torch

from phasebook.sampling.batches import in_batches, side_by_side, split


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("points, most", [(1, 1), (1, 4), (4, 4), (5, 4), (9, 2), (7, 3), (8, 64), (49, 32), (96, 31)])
def test_points_come_back_in_order(points, most, threads):
    x, y = torch.randn(points, 2, 3), torch.randn(points, 5)
    sizes = set()

    def function(a, b):
        sizes.add(len(a))
        return a * b[:, :1, None], b.sum(1)

    product, total = in_batches(function, most, x, y)
    assert torch.equal(product, x * y[:, :1, None]) and torch.equal(total, y.sum(1))
    assert len(sizes) == 1 and max(sizes) <= most
    assert torch.get_num_threads() == threads


def test_batches_share_the_threads(threads):
    """Many points run side by side, each batch on one thread; a few in one batch, on all threads."""
    seen, barrier = [], threading.Barrier(threads)

    def function(x):
        barrier.wait(timeout=20)                # passes only if as many batches run at once as there are threads
        seen.append((threading.get_ident(), torch.get_num_threads(), len(x)))
        return (x,)

    in_batches(function, 1000, torch.zeros(20 * threads, 1))
    assert len({thread for thread, _, _ in seen}) == threads
    assert {(count, size) for _, count, size in seen} == {(1, 20)}
    seen.clear()
    barrier = threading.Barrier(1)
    in_batches(function, 2, torch.zeros(6, 1))
    assert seen == [(threading.get_ident(), threads, 2)] * 3


def test_nothing_is_recorded_and_errors_are_the_functions_own(threads):
    weight = torch.ones(3, requires_grad=True)
    found, = in_batches(lambda x: (x * weight,), 40, torch.ones(50, 3))
    assert not found.requires_grad

    def broken(x):
        if (x == 44).any():
            raise torch.OutOfMemoryError("no room")
        return (x,)

    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        in_batches(broken, 40, torch.arange(60.0)[:, None])
    assert torch.get_num_threads() == threads


def test_sizes(threads):
    """On a CPU at most so many points at a time, in equal shares; on a GPU shapes that recur."""
    for points in (1, 2, 15, 49, 50, 51, 60, 100, 101, 400, 1000):
        n, together = split(points, 50, torch.device("cpu"))
        rounds, most = -(-points // (n * together)), 50 // together * together
        assert together in (1, threads) and n * together <= 50
        assert rounds == -(-points // most) and n * together * rounds - points < rounds * together
        assert split(points, 50, torch.device("cuda"))[0] in (1, 2, 4, 8, 16, 32, 50)


def test_no_points():
    with pytest.raises(ValueError, match="points: none given"):
        in_batches(lambda x: (x,), 4, torch.zeros(0, 3))


def test_tasks_side_by_side_are_in_order_the_same_and_leave_the_threads(threads):
    def trained(seed):
        draw = torch.Generator().manual_seed(seed)
        x = torch.randn(64, 8, generator=draw)
        weight = torch.zeros(8, requires_grad=True)
        (x @ weight - x[:, 0]).square().sum().backward()
        return weight.grad, torch.get_num_threads()

    done = side_by_side(trained, range(5))
    assert all(torch.equal(gradient, trained(seed)[0]) for seed, (gradient, _) in enumerate(done))
    assert {count for _, count in done} == {1} and torch.get_num_threads() == threads
    assert side_by_side(trained, []) == []
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda seed: seed / 0, range(3))
    assert torch.get_num_threads() == threads
