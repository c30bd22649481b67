"""A Brenier map of the torus by Newton's method, and power cells of ten thousand atoms, against limits in seconds."""

import time

import numpy as np

from phasebook.theory.cells.power_cells import solve
from phasebook.theory.heat.monge_ampere import brenier
from phasebook.theory.heat.torus import TorusDensity

WAVES = ((1, 0, 0.3, 0.0), (0, 1, 0.25, 1.0), (1, 1, 0.15, 2.0), (2, -1, 0.1, 0.5))


def rows(n: int = 64, atoms: int = 10_000, times: int = 3) -> list[dict]:
    """Two limits in processor time, and the error of the masses."""
    density, runs = TorusDensity.from_rows(WAVES), []
    for _ in range(times):
        start = time.process_time()
        brenier(density, 1e-3, n)
        runs.append(time.process_time() - start)
    y = np.random.default_rng(0).uniform(size=(atoms, 2))
    start = time.process_time()
    cells = solve(y)
    seconds = time.process_time() - start
    return [
        {"name": f"Monge–Ampère on the torus, N = {n}", "ours_s": min(runs), "peer_s": 0.1, "ratio": 0.1 / min(runs),
         "target": ">= 1", "detail": "peer: the limit of 0.1 s"},
        {"name": f"semi-discrete transport, {atoms} atoms", "ours_s": seconds, "peer_s": 5.0, "ratio": 5 / seconds,
         "target": ">= 1", "detail": "peer: the limit of 5 s"},
        {"name": "semi-discrete transport, error of the masses", "ours_s": seconds, "peer_s": 5.0,
         "ratio": cells.mass_error, "target": "<= 1e-10", "detail": "sum of absolute differences"},
    ]


if __name__ == "__main__":
    print(rows())
