"""The exact slice against its peers, as ratios within one run: the same sweep in pixel space, bare matrix products
of the shapes that the Gram sweep needs, and the peak memory of the whole slice with its metric.

    python benchmarks/exact_slice.py        # at the sizes of the design: 420 images of 64 x 64, 101 x 101 x 50
"""

import resource
import subprocess
import sys
from time import perf_counter

import numpy as np
import torch

from phasebook.models.denoiser import Denoiser
from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.sampling.levels import scaled_linear_levels
from phasebook.sampling.samplers import sample
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.sweep import POINTS_IN_A_TILE, slice_of


def _best(run, times: int) -> float:
    """Seconds of the fastest of several runs: the others were disturbed."""
    best = float("inf")
    for _ in range(times):
        start = perf_counter()
        run()
        best = min(best, perf_counter() - start)
    return best


def _megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _slice_alone(resolution: int, grid: int, steps: int) -> None:
    """In a process of its own: seconds and peak memory of a slice as chapter 11 makes it."""
    model = ExactModel.of(load_images("families", resolution))
    plane = Plane(seeded_anchors(model.shape, 6), grid=grid)
    start = perf_counter()
    slice_of(model, plane, scaled_linear_levels(steps), jacobian="exact", fields=model.fields)
    print(perf_counter() - start, _megabytes())


def rows(resolution: int = 64, grid: int = 101, steps: int = 50, points: int = 256, times: int = 3) -> list[dict]:
    """One row a comparison. Pixel space is timed on `points` points and scaled up: it is linear in them."""
    model = ExactModel.of(load_images("families", resolution))
    plane, levels = Plane(seeded_anchors(model.shape, 6), grid=grid), scaled_linear_levels(steps)
    a, b = (x.ravel() for x in np.meshgrid(plane.alpha, plane.beta, indexing="ij"))
    few = np.linspace(0, grid**2 - 1, min(points, grid**2)).astype(int)
    z = torch.as_tensor(plane.latents(a[few], b[few]), dtype=torch.float32)
    c, gram, n = plane.coefficients(a, b)[0], model.gram, len(model.atoms)
    pixels = Denoiser(model.shape, model.denoise, levels=scaled_linear_levels, dtype=torch.float32)
    size = f"{n} images of {resolution} x {resolution}, {grid} x {grid} x {steps}"

    def pixel_space():
        for _ in sample(pixels, z, levels):
            pass

    def tiles():
        return [model.start(plane.anchors, part) for part in np.array_split(c, -(-len(c) // POINTS_IN_A_TILE))]

    def gram_space():
        for q in tiles():
            for _ in model.sweep(q, levels):
                pass

    inputs = [(torch.softmax(q[:, :n], -1), torch.empty_like(q[:, :n])) for q in tiles()]

    def bare_products():
        for w, out in inputs:
            for _ in range(steps):
                torch.mm(w, gram, out=out)

    ours, bare = _best(gram_space, times), _best(bare_products, times)
    dense = _best(pixel_space, times) * grid**2 / len(few)
    alone = subprocess.run([sys.executable, __file__, *map(str, (resolution, grid, steps))], capture_output=True,
                           text=True, check=True)
    seconds, peak = map(float, alone.stdout.split())
    return [
        {"name": "Gram-space sweep against pixel space", "ours_s": ours, "peer_s": dense, "ratio": dense / ours,
         "target": ">= 15", "detail": f"{size}; pixel space timed on {len(few)} points"},
        {"name": "Gram-space sweep against bare matrix products", "ours_s": ours, "peer_s": bare, "ratio": bare / ours,
         "target": ">= 0.5", "detail": f"{size}; products of the same shapes, nothing else"},
        {"name": "slice with both metrics and entropies, seconds", "ours_s": seconds, "peer_s": 20.0,
         "ratio": 20 / seconds, "target": ">= 1", "detail": f"{size}; peer: the limit of 20 s"},
        {"name": "peak memory of that process, GB", "ours_s": peak / 1024, "peer_s": 2.0, "ratio": 2048 / peak,
         "target": ">= 1", "detail": f"{peak:.0f} MB with torch and the images; peer: the limit of 2 GB"},
    ]


if __name__ == "__main__":
    _slice_alone(*map(int, sys.argv[1:]))
