"""Basins of a slice from a part of its points: against the whole grid, and against python-adaptive's Learner2D.

    pip install adaptive        # for the comparison; without it that row is left out
"""

import time

import numpy as np
import torch

from phasebook.models.exact import ExactModel
from phasebook.models.image_sets import load_images
from phasebook.models.pipelines.checkpoints import known_directory
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.protocols import Model
from phasebook.slices.adaptive import adaptive_basins, evaluator, full_basins, same_basins
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.slice import RIDGE

SETS, NETWORK_SETS = 20, 3
GRIDS = (51, 101, 201, 401, 801)


def _setting(model: Model, seed: int, grid: int, steps: int, name: str) -> tuple:
    """A function that evaluates points of a slice at the last step, and the height of a ridge."""
    plane, levels = Plane(seeded_anchors(model.shape, seed), grid=grid), model.levels(steps)
    feature = model.features[name]
    return evaluator(model, plane, levels, steps - 1, feature), RIDGE * feature.yardstick(model) / feature.unit


def _against_whole(model: Model, name: str, feature: str, sets: int, grid: int, steps: int) -> list[dict]:
    shares, same, ours, whole = [], [], [], []
    for seed in range(6, 6 + sets):
        evaluate, ridge = _setting(model, seed, grid, steps, feature)
        start = time.process_time()
        found = adaptive_basins(evaluate, grid, ridge)
        ours.append(time.process_time() - start)
        start = time.process_time()
        every = full_basins(evaluate, grid, ridge)
        whole.append(time.process_time() - start)
        shares.append(found.share)
        same.append(same_basins(found.labels, every))
    size = f"{name}, {sets} anchor sets, {grid} x {grid} x {steps}"
    seconds = {"ours_s": float(np.mean(ours)), "peer_s": float(np.mean(whole))}
    return [
        {"name": f"adaptive slice, share of the evaluations ({name})", **seconds, "ratio": float(np.max(shares)),
         "target": "<= 0.25", "detail": f"{size}: the largest; the mean {np.mean(shares):.3f}"},
        {"name": f"adaptive slice, area in the same basins ({name})", **seconds, "ratio": float(np.min(same)),
         "target": ">= 0.995", "detail": f"{size}: the least; the mean {np.mean(same):.4f}"},
    ]


def _exponent(model: Model, grids: tuple[int, ...]) -> dict:
    cost, seconds = [], []
    for grid in grids:
        evaluate, ridge = _setting(model, 6, grid, 50, "pixels")
        start = time.process_time()
        cost.append(int(adaptive_basins(evaluate, grid, ridge).evaluated.sum()))
        seconds.append(time.process_time() - start)
    slope = float(np.polyfit(np.log(np.array(grids) - 1), np.log(cost), 1)[0])
    return {"name": "adaptive slice, exponent of its cost in the grid", "ours_s": seconds[-1], "peer_s": seconds[0],
            "ratio": slope, "target": "<= 1.4",
            "detail": ", ".join(f"{n}: {c}" for n, c in zip(grids, cost, strict=True)),
            "curve": {"grid": list(grids), "evaluations": cost, "seconds": seconds}}


def _learner(model: Model, grid: int = 101, steps: int = 50) -> list[dict]:
    """As many evaluations for Learner2D, of three fixed projections of the prediction; the nearest point gives the
    rest."""
    try:
        from adaptive import Learner2D
    except ImportError:
        return []
    evaluate, ridge = _setting(model, 6, grid, steps, "pixels")
    start = time.process_time()
    found = adaptive_basins(evaluate, grid, ridge)
    ours = time.process_time() - start
    views = torch.randn(len(model.atoms), 3, generator=torch.Generator().manual_seed(0)).numpy()
    whole = full_basins(evaluate, grid, ridge)
    start = time.process_time()
    learner = Learner2D(lambda at: at, bounds=[(0, grid - 1), (0, grid - 1)])
    known: dict[tuple[int, int], np.ndarray] = {}
    while len(known) < found.evaluated.sum():
        asked, _ = learner.ask(200)
        points = np.round(np.array(asked)).astype(int)
        f = evaluate(points).points.numpy()
        for at, place, value in zip(asked, points, f, strict=True):
            learner.tell(at, value @ views)
            known[tuple(place)] = value
    peer = time.process_time() - start
    places, values = np.array(list(known)), np.stack(list(known.values()))
    every = np.argwhere(np.ones((grid, grid), dtype=bool))
    nearest = ((every[:, None, :] - places[None]) ** 2).sum(-1).argmin(1)
    table = torch.as_tensor(values)[torch.as_tensor(nearest)].view(grid, grid, -1)
    gram = model.gram

    def filled(points):
        w = table[points[:, 0], points[:, 1]]
        return type(evaluate(points[:1]))(w, w @ gram)

    theirs = same_basins(full_basins(filled, grid, ridge), whole)
    return [{"name": "adaptive slice against Learner2D, wrong area of theirs", "ours_s": ours, "peer_s": peer,
             "ratio": 1 - theirs, "target": f">= {1 - same_basins(found.labels, whole):.4f}",
             "detail": f"as many evaluations ({len(known)}); the target is the wrong area of ours"}]


def rows(sets: int = SETS, grids: tuple[int, ...] = GRIDS, network_grid: int = 65,
         network_steps: int = 10) -> list[dict]:
    """The exact model of the families and the shipped network against their whole grids; the exponent; Learner2D."""
    model = ExactModel.of(load_images("families", 64))
    found = [*_against_whole(model, "exact model", "pixels", sets, 101, 50), _exponent(model, grids), *_learner(model)]
    folder = known_directory("emoji-diffusion")
    if folder is not None:
        network = PipelineModel.load(folder)
        found += _against_whole(network, "emoji-diffusion", "latent", NETWORK_SETS, network_grid, network_steps)
    return found


if __name__ == "__main__":
    for row in rows():
        print(row)
