"""How the exact slice's time grows: with the grid, the pictures, the pixels and the steps, and falls with threads.

The `ratio` of a row is the fitted exponent; times are processor time, but for threads.
"""

import os
import time

import numpy as np
import torch

from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.sweep import slice_of


def _slice(model: ExactModel, grid: int, steps: int, clock=time.process_time) -> float:
    plane = Plane(seeded_anchors(model.shape, 6), grid=grid)
    start = clock()
    slice_of(model, plane, model.levels(steps))
    return clock() - start


def _curve(name: str, sizes: list[int], seconds: list[float], target: str, detail: str) -> dict:
    slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    return {"name": f"time of a slice against {name}, exponent", "ours_s": seconds[-1], "peer_s": seconds[0],
            "ratio": slope, "target": target, "detail": detail, "curve": {name: sizes, "seconds": seconds}}


def rows(grids=(26, 51, 101), counts=(105, 210, 420), sides=(16, 32, 64), steps=(13, 25, 50)) -> list[dict]:
    """Each around 420 pictures of 32 x 32, 51 x 51 points, 50 steps."""
    model = ExactModel.of(load_images("families", 32))
    _slice(model, 9, 3)                                     # what a process does once
    n = len(model.atoms)
    parts = [model.subset(np.arange(0, n, max(1, n // count))) for count in counts]
    pixels = [ExactModel.of(load_images("families", side)) for side in sides]
    one_size = f"{n} pictures, 51 x 51, {steps[-1]} steps where not varied"
    found = [
        _curve("grid", list(grids), [_slice(model, grid, steps[-1]) for grid in grids], "<= 2.3", one_size),
        _curve("pictures", [len(part.atoms) for part in parts], [_slice(part, 51, steps[-1]) for part in parts], "<= 2",
               one_size),
        _curve("pixels", [side**2 for side in sides], [_slice(one, 51, steps[-1]) for one in pixels], "<= 0.3",
               f"{one_size}; the sweep is one of Gram matrices"),
        _curve("steps", list(steps), [_slice(model, 51, k) for k in steps], "<= 1.1", one_size),
    ]
    before, threads = torch.get_num_threads(), sorted({1, os.cpu_count() or 1})
    try:
        seconds = []
        for count in threads:
            torch.set_num_threads(count)
            seconds.append(_slice(model, 101, steps[-1], time.perf_counter))
    finally:
        torch.set_num_threads(before)
    return [*found, {"name": f"threads: 1 against {threads[-1]}", "ours_s": seconds[-1], "peer_s": seconds[0],
                     "ratio": seconds[0] / seconds[-1], "target": "", "detail": "wall clock, 101 x 101",
                     "curve": {"threads": threads, "seconds": seconds}}]


if __name__ == "__main__":
    for row in rows():
        print(row)
