"""Workers of one thread against one thread in process, on one slice into a store each.

On an idle machine the clock is the judge. On a busy one processor time tells: two workers that spend no more together
than the one process are twice as fast where two cores are free. Four workers need four cores, unless what they wait for
is not a core: with a model that waits, as for a graphics card or a server, they show what the engine itself costs. Run
it alone:

    phasebook bench workers
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

WAITS = "a model that waits"
WAIT = 0.1          # seconds a call of it
TARGETS = {2: 1.7, 4: 3.2}

# So long that starting workers is a small part, and in so many tiles of one size that none waits for another's last.
SIZES = {"exact": {"workers": 2, "grid": 650, "steps": 50, "tile": 26},
         "network": {"workers": 2, "grid": 52, "steps": 10, "tile": 13},
         WAITS: {"workers": 4, "grid": 182, "steps": 10, "tile": 13}}


def _denoise(x, alpha: float, sigma: float):
    """The mean of N(0, 1), after a wait."""
    time.sleep(WAIT)
    return alpha * x / (alpha**2 + sigma**2)


def _waiting():
    from phasebook.models.denoiser import Denoiser

    return Denoiser((2,), _denoise)


def _alone(name: str, engine: str, workers: int, grid: int, steps: int, tile: int) -> dict:
    """In a process of its own: seconds by the clock and of processor time, those of its workers with them, without what
    a process does once before it asks for a slice."""
    from phasebook.models.sources import ExactSource, PipelineSource
    from phasebook.site.process import tune
    from phasebook.slices.plane import Plane
    from phasebook.slices.stores.engine import store_slice

    tune()                                  # as the door does
    sources = {"exact": ExactSource("families", 64), "network": PipelineSource("assets/icons-unet-a"), WAITS: _waiting}
    source = sources[name]
    plane = partial(Plane.random, seed=6, grid=grid)
    start, before = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, _descendants() as spent:
        store_slice(source, plane, steps, Path(folder) / "slice.zarr", engine=engine, workers=workers, tile=tile,
                    read=False)
    own = time.process_time() - before
    return {"clock": time.perf_counter() - start, "own": own, "workers": sum(spent.values())}


@contextmanager
def _descendants() -> Iterator[dict[int, float]]:
    """Processor seconds of all processes that this one has started, however far down, looked at twice a second: workers
    are forked from a server that nobody waits for."""
    spent: dict[int, float] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    used = process.cpu_times()
                    spent[process.pid] = used.user + used.system

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield spent
    finally:
        over.set()
        thread.join()


def _measured(name: str, engine: str, workers: int, size: dict) -> dict:
    numbers = (workers, *(size[key] for key in ("grid", "steps", "tile")))
    command = [sys.executable, __file__, name, engine, *map(str, numbers)]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread)
    return json.loads(done.stdout.splitlines()[-1])


def rows(sizes: dict[str, dict] = SIZES) -> list[dict]:
    """By the clock, for each model; and by processor time for those that compute."""
    found = []
    for name, size in sizes.items():
        workers = size["workers"]
        one, many = _measured(name, "local", 1, size), _measured(name, "dask", workers, size)
        spent = [part["own"] + part["workers"] for part in (one, many)]
        text = (f"{name}, {size['grid']} x {size['grid']} x {size['steps']}; in process {spent[0]:.1f} s of processor "
                f"time; workers {many['workers']:.1f} s, the process that writes {many['own']:.1f} s")
        found.append(
            {"name": f"{workers} workers against one process, by the clock ({name})", "ours_s": many["clock"],
             "peer_s": one["clock"], "ratio": one["clock"] / many["clock"], "target": f">= {TARGETS[workers]}",
             "detail": text, "curve": {f"workers, {name}": [1, workers], "seconds": [one["clock"], many["clock"]]}})
        if name != WAITS:                           # processor time of one that waits is that of starting workers
            found.append(
                {"name": f"{workers} workers, processor time over that of one process ({name})", "ours_s": spent[1],
                 "peer_s": spent[0], "ratio": spent[1] / spent[0], "target": "<= 1.1", "detail": text})
    return found


if __name__ == "__main__":
    print(json.dumps(_alone(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))))
