"""Workers of a slice: in process, a dask cluster of this machine, or one at an address.

A tile that fails, or whose worker dies, is given out again, a few times. An error of the arguments is not tried again.
"""

import asyncio
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from phasebook.arguments import brief
from phasebook.machine import cores, free_memory
from phasebook.slices.stores.layout import Layout
from phasebook.slices.stores.work import Work, computed, opened

__all__ = ["Engine", "EngineError", "check_engine", "engine_of", "is_local"]

WORKER = 2.5e8          # bytes of a worker that has only been started
LONG = 30.0             # seconds without a scheduler
ANSWER = 10             # seconds until a scheduler must answer
WAIT = 1.0              # seconds between two looks at the workers
KEPT = str(1 << 30)     # bytes that a worker's malloc does not give back: see site/process.py
WORKERS = {             # what dask is told of workers on this machine
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": KEPT,     # dask's own faults every tile in anew
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": KEPT,
    "distributed.worker.profile.enabled": False,            # which looks at a worker a hundred times a second
    "distributed.admin.tick.interval": "1s",                # and this fifty times
}
FORKED = {"distributed.worker.multiprocessing-method": "forkserver"}        # imports are paid once for all workers
Place = tuple[int, int]


class EngineError(RuntimeError):
    """Workers, a scheduler or a tile that failed for good, in one line."""


class Engine:
    """In process.

    Attributes:
        here: whether workers live on this machine.
        workers: how many.
    """

    here, workers = True, 1

    def __init__(self, tries: int):
        self.tries = tries

    def ask(self, function: Callable, work: Work) -> Any:
        """The answer of a worker."""
        return function(work)

    def each(self, work: Work, layout: Layout, tiles: Iterable[Place]) -> Iterator[tuple[Place, dict[str, bytes]]]:
        """Tiles and their chunks, as they are done."""
        for one in tiles:
            yield one, self._tried(work, layout, one)

    def _tried(self, work: Work, layout: Layout, one: Place) -> dict[str, bytes]:
        for attempt in range(1, self.tries + 1):
            try:
                return _packed(work, layout, one)
            except Exception as error:
                _last(error, one, attempt, self.tries)
        raise AssertionError


def _packed(work: Work, layout: Layout, one: Place) -> dict[str, bytes]:
    """A tile as it is written: packed where it was computed."""
    return layout.packed(one, computed(work, layout.ends(one)))


def _last(error: BaseException, one: Place, attempt: int, tries: int) -> None:
    """Nothing, where a failed tile can be tried again; EngineError otherwise, or the argument's own."""
    if isinstance(error, ValueError | TypeError):
        raise error
    if attempt >= tries:
        said = " ".join(str(error).split()) or type(error).__name__
        raise EngineError(f"tile {one[0]}, {one[1]}: failed {attempt} times ({said[:200]}); the others are kept, and "
                          "the same call goes on") from None


class _Dask(Engine):
    """On the workers of a dask client."""

    def __init__(self, client, tries: int, here: bool):
        super().__init__(tries)
        self.client, self.here = client, here
        self.known = client.nthreads()
        self.workers = max(1, sum(self.known.values()))
        if not self.known:
            tqdm.write("engine: the scheduler has no workers yet, and is waited for", file=sys.stderr)

    def ask(self, function: Callable, work: Work) -> Any:
        future = self.client.submit(function, work, pure=False)
        for _ in self._done([future]):
            _, error = _outcome(future)
            if error is not None:
                _last(error, (0, 0), 1, 1)
        return future.result()

    def each(self, work: Work, layout: Layout, tiles: Iterable[Place]) -> Iterator[tuple[Place, dict[str, bytes]]]:
        tiles, given, failed = iter(tiles), {}, Counter()

        def give(one: Place) -> None:
            given[self.client.submit(_packed, work, layout, one, pure=False)] = one

        try:
            while True:
                for _, one in zip(range(2 * self._threads() - len(given)), tiles, strict=False):
                    give(one)
                if not given:
                    return
                ended = self._done(list(given))
                self._tell_of_the_lost()
                for future in ended:
                    one = given.pop(future)
                    value, error = _outcome(future)
                    if error is None:
                        yield one, value
                        continue
                    failed[one] += 1
                    _last(error, one, failed[one], self.tries)
                    give(one)
        finally:
            if given and self.client.status == "running":
                self.client.cancel(list(given), force=True)

    def _tell_of_the_lost(self) -> None:
        """A line for each worker that is there no longer."""
        if self.client.status == "running":
            now = self.client.nthreads()
            for address in self.known.keys() - now.keys():
                tqdm.write(f"engine: a worker was lost ({address}); what it had not finished is computed again",
                           file=sys.stderr)
            self.known = now

    def _threads(self) -> int:
        return max(1, sum(self.client.nthreads().values())) if self.client.status == "running" else 1

    def _done(self, futures: Sequence) -> list:
        """Those that have ended, one at least. EngineError where the scheduler does not come back."""
        from distributed import wait

        lost = 0.0
        while lost < LONG:
            ended = [future for future in futures if future.status in ("finished", "error")]
            if ended:
                return ended
            gone = self.client.status != "running" or any(f.status in ("cancelled", "lost") for f in futures)
            if gone:
                break
            try:
                wait(list(futures), timeout=WAIT, return_when="FIRST_COMPLETED")
            except TimeoutError:
                pass
            except Exception:  # the client's own kinds, while it looks for its scheduler
                lost += WAIT
        raise EngineError("engine: the scheduler was lost; tiles that are done are kept, and the same call goes on")


def _outcome(future) -> tuple[Any, BaseException | None]:
    try:
        return future.result(timeout=LONG), None
    except Exception as error:  # a tile's own, a worker's that died, or the scheduler's
        return None, error


def check_engine(engine: Any) -> None:
    """ValueError unless tiles could be computed there, as far as is known without asking."""
    if isinstance(engine, str | Path):
        known = str(engine) in ("local", "dask") or "://" in str(engine) or str(engine).endswith(".json")
    else:
        known = hasattr(engine, "scheduler")
    if not known:
        raise ValueError(f"engine = {brief(engine)}: takes local, dask, an address such as tcp://host:8786, the "
                         "scheduler's file, or a cluster or client of dask")


def is_local(engine: object) -> bool:
    """Whether tiles are computed in process."""
    return isinstance(engine, str) and engine == "local"


@contextmanager
def engine_of(engine: Any, workers: int | None, threads: int, tries: int) -> Iterator[Engine]:
    """What computes tiles, for as long as it lasts.

    Args:
        engine: `local`, `dask`, an address or a scheduler's file, a cluster or a client of dask.
        workers: on this machine; None for as many as its cores allow.
        threads: of each.
        tries: of a tile.

    Raises:
        ValueError: no scheduler answers there, or there are more workers than memory.
    """
    if is_local(engine):
        try:
            yield Engine(tries)
        finally:
            opened.cache_clear()
        return
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        yield _Dask(_client(engine, workers, threads, stack), tries, here=engine == "dask")


def _client(engine: Any, workers: int | None, threads: int, stack: ExitStack):
    from distributed import Client

    if isinstance(engine, Client):
        return engine
    if isinstance(engine, str | Path) and str(engine) != "dask":
        return stack.enter_context(_connected(Client, str(engine)))
    if isinstance(engine, str):
        engine = stack.enter_context(_cluster(workers or max(1, cores() // threads)))
    return stack.enter_context(Client(engine))


def _cluster(workers: int) -> AbstractContextManager:
    """Workers on this machine. ValueError for more than can even be started."""
    import dask
    from distributed import LocalCluster
    from distributed.utils import get_mp_context

    if workers * WORKER > free_memory():
        raise ValueError(f"workers = {workers}: more than fit into memory; takes {int(free_memory() / WORKER)} at most")
    with dask.config.set(WORKERS | (FORKED if sys.platform == "linux" else {})):
        if sys.platform == "linux":
            get_mp_context().set_forkserver_preload(["distributed", __name__])
            main = sys.modules["__main__"]
            main.__spec__ = getattr(main, "__spec__", None)     # a notebook's or a test's may have none; spawning asks
        return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", memory_limit=None,
                            silence_logs=logging.CRITICAL)


def _connected(client: type, address: str) -> AbstractContextManager:
    """A client of the scheduler at an address, or of a file that names it. ValueError where there is none."""
    if "://" not in address and not os.path.exists(address):
        raise ValueError(f"engine = {address!r}: no scheduler answers there (no such file)")
    try:
        where = address if "://" in address else json.loads(Path(address).read_text(encoding="utf-8"))["address"]
        with ThreadPoolExecutor(1) as pool:             # a notebook's own thread has a loop already
            pool.submit(asyncio.run, asyncio.wait_for(_identity(where), ANSWER)).result()
        return client(where, timeout=ANSWER)
    except Exception as error:  # what answers may be no scheduler, and the file anything: dask raises some eight kinds
        raise ValueError(f"engine = {address!r}: no scheduler answers there ({type(error).__name__})") from None


async def _identity(address: str) -> None:
    """Ask a scheduler who it is, with the certificates of dask's configuration, as a client does; which would wait
    without end for the answer of something else that listens."""
    from distributed.core import rpc
    from distributed.security import Security

    async with rpc(address, connection_args=Security().get_connection_args("client")) as scheduler:
        await scheduler.identity()


@contextmanager
def _quiet() -> Iterator[None]:
    """What goes wrong is said in one line, by us."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
