"""The exact sweep by the pictures that are alive in blocks of points, against the dense one; processor time."""

import time

import numpy as np
import torch

from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.sampling.levels import Levels, scaled_linear_levels
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.sweep import POINTS_IN_A_TILE


def _dense(model: ExactModel, q: torch.Tensor, levels: Levels) -> None:
    """Softmax of all pictures, a product with the whole Gram matrix, and an addition, a step."""
    scaled, weights, duals = q / levels.sigma[0], torch.empty_like(q), torch.empty_like(q)
    for step in range(levels.steps):
        ratio, after = (float(r) for r in levels.alpha[step:step + 2] / levels.sigma[step:step + 2])
        torch.add(model.gram.diagonal() * (-ratio**2 / 2), scaled, alpha=ratio, out=weights)
        torch.softmax(weights, -1, out=weights)
        torch.mm(weights, model.gram, out=duals)
        scaled.add_(duals, alpha=after - ratio)


def _seconds(run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def rows(counts: tuple[int, ...] = (420, 1600), points: int = POINTS_IN_A_TILE, steps: int = 50,
         times: int = 2) -> list[dict]:
    """Points of the slice of 101 x 101, fewer of the larger set; the two run by turns, the fastest of each counts."""
    found, levels = [], scaled_linear_levels(steps)
    for count in counts:
        name = "families" if count <= 420 else "emoji"
        model = ExactModel.of(load_images(name, 32))
        model = model.subset(np.arange(min(count, len(model.atoms))))
        n, plane = len(model.atoms), Plane(seeded_anchors(model.shape, 6), grid=101)
        some = points if n <= 420 else points // 4
        a, b = (x.ravel()[:some] for x in np.meshgrid(plane.alpha, plane.beta, indexing="ij"))
        x = model.start(plane.anchors, plane.coefficients(a, b)[0])
        sparse, dense = [], []
        for _ in range(times):
            sparse.append(_seconds(lambda: [None for _ in model.sweep(x, levels)]))  # noqa: B023
            dense.append(_seconds(lambda: _dense(model, x[:, :n], levels)))  # noqa: B023
        found.append({"name": f"sparse sweep against the dense one, {n} pictures", "ours_s": min(sparse),
                      "peer_s": min(dense), "ratio": min(dense) / min(sparse), "target": ">= 2",
                      "detail": f"{len(x)} points, {steps} steps, processor time"})
    return found


if __name__ == "__main__":
    print(rows())
