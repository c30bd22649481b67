"""Where tiles are computed: in process, on a dask cluster of this machine, or on one at an address.

Whoever calls `store_slice` hands out the tiles and writes what comes back, so workers need no access to the store.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from phasebook.arguments import brief, switch, whole
from phasebook.machine import free_memory
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Feature, Model, Prompt
from phasebook.slices.plane import Plane
from phasebook.slices.slice import Slice
from phasebook.slices.stores.claims import MOST_PICTURES, MOST_TILES
from phasebook.slices.stores.cost import Cost
from phasebook.slices.stores.layout import Layout
from phasebook.slices.stores.reading import open_store
from phasebook.slices.stores.store import Store
from phasebook.slices.stores.work import Description, Source, Work, described, opened
from phasebook.slices.stores.workers import Engine, check_engine, engine_of, is_local
from phasebook.slices.tiles import Tile

__all__ = ["TILE", "store_slice"]

TILE = 26               # points along each side of a tile
TRIES = 3
MOST_THREADS = 256      # of a worker: of many more, OpenMP takes the memory for their stacks, and ends the process


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
        features: see `slice_of`, as for the next; functions are told apart by their names and their code or, where
            they have one, their `fingerprint`.
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
    for name, value in (("read", read), ("progress", progress)):
        switch(name, value)
    check_engine(engine)
    if isinstance(fields, str | Mapping) or not hasattr(fields, "__iter__"):
        raise ValueError(f"fields = {brief(fields)}: takes a list of names")
    live = hasattr(source, "predict")
    if live and not is_local(engine):
        raise ValueError(f"engine = {engine!r}: takes a model that each worker can load: ExactSource, PipelineSource "
                         "or a function without arguments")
    load = (lambda: source) if live else source
    if not callable(load):
        raise ValueError(f"source: a {type(source).__name__}; takes a model, or a function that loads one")
    work = Work(load, plane, levels, prompt, features, jacobian, tuple(fields), pictures, keep, tile, threads,
                engine == "dask")
    with engine_of(engine, workers, threads, tries) as run:
        about = run.ask(described, work)
        _check_tiles(about)
        work = replace(work, plane=about.plane)         # the workers' copies keep their model
        store = Store.of(path, about)
        missing = [one for one in store.tiles() if not store.sound(one)]
        tiles = {one: Tile(about.plane, *store.ends(one)) for one in store.tiles()}
        cost = Cost.of(about, [tiles[one] for one in missing])
        _announce(cost, store, run, progress)
        if read:
            Cost.of(about, list(tiles.values())).check_read(store.place.url, free_memory())
        store = Store.begun(path, about)        # now that it is known to fit
        if len(missing) < len(store.tiles()):
            missing.reverse()       # beside another writer, who began at the beginning
        _sweep(run, work, store, missing, progress)
        Store.begun(path, about).check_done(read)           # whatever others have done there meanwhile
        if not read:
            return None
        measured = opened(work) if live else None
        return open_store(path, measured and source, measured and measured.prompt)


def _check(**counts: object) -> None:
    for name, value in counts.items():
        whole(name, value, 2 if name == "tile" else 1, MOST_THREADS if name == "threads" else None)


def _check_tiles(about: Description) -> None:
    """ValueError for more tiles, or pictures, than can be kept account of."""
    grid, side = about.spec["grid"], about.spec["tile"]
    if (count := (-(-grid // side)) ** 2) > MOST_TILES:
        raise ValueError(f"grid, tile = {grid}, {side}: {count} tiles; takes {MOST_TILES} at most")
    if (count := len(about.spec["pick"])**2) > MOST_PICTURES:
        raise ValueError(f"pictures = {len(about.spec['pick'])}: {count} in all; takes {MOST_PICTURES} at most")


def _announce(cost: Cost, store: Store, run: Engine, progress: bool) -> None:
    """Say what it costs; ValueError where it cannot fit."""
    if progress:
        tqdm.write(f"{store.place.url}: {cost}" if cost.tiles else f"{store.place.url}: all tiles are done")
    free = free_memory() if run.here else float("inf")
    cost.check(store.place.url, store.place.free(), free, run.workers, 1)


def _sweep(run: Engine, work: Work, store: Store, missing: Sequence[tuple[int, int]], progress: bool) -> None:
    total = len(store.tiles())
    wanted = (one for one in missing if not store.sound(one))
    layout = Layout(store.spec, store.variables)            # without the place, which workers do not reach
    with tqdm(total=total, initial=total - len(missing), desc="tiles", disable=not progress) as bar:
        for one, chunks in run.each(work, layout, wanted):
            store.put(one, chunks)
            bar.update()
