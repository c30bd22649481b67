"""Where tiles are computed: in process, on a dask cluster of this machine, or on one at an address.

Whoever calls `store_slice` hands out the tiles and writes what comes back, so workers need no access to the store. A
tile that fails, or whose worker dies, is given out again, a few times. An error of the arguments is not tried again.
"""

import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from phasebook.machine import cores, free_memory
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Feature, Model, Prompt
from phasebook.slices.plane import Plane
from phasebook.slices.slice import Slice
from phasebook.slices.stores.cost import Cost
from phasebook.slices.stores.layout import Layout
from phasebook.slices.stores.store import Store, open_store
from phasebook.slices.stores.work import Description, Source, Work, computed, described, opened
from phasebook.slices.tiles import Tile

__all__ = ["TILE", "EngineError", "store_slice"]

TILE = 26               # points along each side of a tile
MOST_TILES = 100_000
WORKER = 2.5e8          # bytes of a worker that has only been started
TRIES = 3
LONG = 30.0             # seconds without a scheduler
ANSWER = 10             # seconds until a scheduler must answer
WAIT = 1.0              # seconds between two looks at the workers
KEPT = str(1 << 30)     # bytes that a worker's malloc does not give back: see site/process.py
WORKERS = {             # what dask is told of workers on this machine
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": KEPT,     # dask's own faults every tile in anew
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": KEPT,
    "distributed.worker.profile.enabled": False,            # which looks at a worker a hundred times a second
}
FORKED = {"distributed.worker.multiprocessing-method": "forkserver"}        # imports are paid once for all workers
Place = tuple[int, int]


class EngineError(RuntimeError):
    """Workers, a scheduler or a tile that failed for good, in one line."""


def store_slice(source: Model | Source, plane: Plane | Callable[[tuple[int, ...]], Plane], levels: Levels | int,
                path: str | Path, *, prompt: Prompt | Mapping[str, Any] | None = None,
                features: Sequence[str] | Mapping[str, Feature | Callable] | None = None,
                jacobian: str = "differences", fields: Sequence[str] = (), pictures: int = 0,
                keep: Collection[int] | None = None, tile: int = TILE,
                engine: Any = "local", workers: int | None = None, threads: int = 1, tries: int = TRIES,
                read: bool = True, progress: bool = False) -> Slice | None:
    """Sweep a slice into a store, or go on with one; what is done already is not done again.

    Args:
        source: a model, in process; or what loads one in each worker: `ExactSource`, `PipelineSource`, or any function
            without arguments that can be pickled.
        plane: the grid of latents, or a function that makes it of a latent's shape.
        levels: of the sampler, or the number of steps of the model's own.
        path: of the store: a folder, or a URL that fsspec knows, such as `s3://bucket/slice.zarr`.
        prompt: from `model.prompt`, or its arguments: `{"texts": "a red cat", "guidance": 3.0}`.
        features: see `slice_of`, as for the next; functions among them are told apart by their names alone.
        jacobian: see `slice_of`.
        fields: names of the model's `fields`.
        pictures: kept along each side.
        keep: steps at which pictures are kept.
        tile: points along each side of a tile.
        engine: 'local', in process; 'dask', a cluster of this machine; the address of a scheduler (`tcp://host:8786`)
            or its file (`scheduler.json`); or a dask cluster or client.
        workers: of 'dask'; as many as there are cores for `threads` each by default.
        threads: of a worker. The same number gives the same bits, wherever a tile is computed.
        tries: of a tile.
        read: whether the slice is read at the end, which takes the memory of all its tiles.
        progress: print the cost, and show a bar.

    Returns:
        The slice; None where it is not read.

    Raises:
        ValueError: in one line, for an argument, another slice in the store, or a slice that does not fit.
        OSError: in one line, where the store cannot be written or read; what is done stays.
        EngineError: in one line, where a tile fails for good or the scheduler is lost; what is done stays.
    """
    _check(tile=tile, threads=threads, tries=tries, **({} if workers is None else {"workers": workers}))
    live = hasattr(source, "predict")
    if live and not _local(engine):
        raise ValueError(f"engine = {engine!r}: takes a model that each worker can load: ExactSource, PipelineSource "
                         "or a function without arguments")
    load = (lambda: source) if live else source
    if not callable(load):
        raise ValueError(f"model: a {type(source).__name__}; takes a model, or a function that loads one")
    work = Work(load, plane, levels, prompt, features, jacobian, tuple(fields), pictures, keep, tile, threads,
                engine == "dask")
    with _engine(engine, workers, threads, tries) as run:
        about = run.ask(described, work)
        _check_tiles(about)
        work = replace(work, plane=about.plane)         # the workers' copies keep their model
        store = Store.begun(path, about)
        missing = [one for one in store.tiles() if not store.sound(one)]
        tiles = {one: Tile(about.plane, *store.ends(one)) for one in store.tiles()}
        cost = Cost.of(about, [tiles[one] for one in missing])
        _announce(cost, store, run, progress)
        if read:
            Cost.of(about, list(tiles.values())).check_read(store.place.url, free_memory())
        if len(missing) < len(store.tiles()):
            missing.reverse()       # beside another writer, who began at the beginning
        _sweep(run, work, store, missing, progress)
        store.place.tidy()
        if not read:
            return None
        measured = opened(work) if live else None
        return open_store(path, measured and source, measured and measured.prompt)


def _check(**counts: object) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < (2 if name == "tile" else 1):
            raise ValueError(f"{name} = {value!r}: takes an integer >= {2 if name == 'tile' else 1}")


def _check_tiles(about: Description) -> None:
    """ValueError for more tiles than can be kept account of."""
    grid, side = about.spec["grid"], about.spec["tile"]
    if (count := (-(-grid // side)) ** 2) > MOST_TILES:
        raise ValueError(f"grid, tile = {grid}, {side}: {count} tiles; takes {MOST_TILES} at most")


def _announce(cost: Cost, store: Store, run: "_Engine", progress: bool) -> None:
    """Say what it costs; ValueError where it cannot fit."""
    if progress:
        tqdm.write(f"{store.place.url}: {cost}" if cost.tiles else f"{store.place.url}: all tiles are done")
    free = free_memory() if run.here else float("inf")
    cost.check(store.place.url, store.place.free(), free, run.workers, 1)


def _sweep(run: "_Engine", work: Work, store: Store, missing: Sequence[tuple[int, int]], progress: bool) -> None:
    total = len(store.tiles())
    wanted = (one for one in missing if not store.sound(one))
    layout = Layout(store.spec, store.variables)            # without the place, which workers do not reach
    with tqdm(total=total, initial=total - len(missing), desc="tiles", disable=not progress) as bar:
        for one, chunks in run.each(work, layout, wanted):
            store.put(one, chunks)
            bar.update()


# --- engines -------------------------------------------------------------------------------------------------------


class _Engine:
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


class _Dask(_Engine):
    """On the workers of a dask client."""

    def __init__(self, client, tries: int, here: bool):
        super().__init__(tries)
        self.client, self.here = client, here
        self.workers = max(1, sum(client.nthreads().values()))

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
                for future in self._done(list(given)):
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


def _local(engine: object) -> bool:
    return isinstance(engine, str) and engine == "local"


@contextmanager
def _engine(engine: Any, workers: int | None, threads: int, tries: int) -> Iterator[_Engine]:
    if _local(engine):
        try:
            yield _Engine(tries)
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
    if "://" not in address and not address.endswith(".json"):
        raise ValueError(f"engine = {address!r}: takes local, dask, an address such as tcp://host:8786, or the "
                         "scheduler's file")
    if "://" not in address and not os.path.exists(address):
        raise ValueError(f"engine = {address!r}: no scheduler answers there (no such file)")
    where = {"address": address} if "://" in address else {"scheduler_file": address}
    try:
        return client(**where, timeout=ANSWER)
    except (OSError, ValueError) as error:
        raise ValueError(f"engine = {address!r}: no scheduler answers there ({type(error).__name__})") from None


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
