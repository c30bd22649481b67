"""Basins of a slice from a part of its points: against the whole grid, and against python-adaptive's Learner2D.

Anchor sets that are done stand in `results/adaptive_sets.json` and are not run again; remove the file to begin anew.

    python benchmarks/adaptive_slice.py network 240     # further sets of the network, for 240 seconds
    pip install adaptive        # for the comparison; without it that row is left out
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from phasebook.models.exact import ExactModel
from phasebook.models.image_sets import load_images
from phasebook.models.pipelines.checkpoints import known_directory
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.protocols import Embedding, Model
from phasebook.slices.adaptive import Evaluate, adaptive_basins, evaluator, full_basins, same_basins
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.slice import RIDGE

KEPT = Path(__file__).parent / "results" / "adaptive_sets.json"
TABLES = Path(__file__).parents[1] / "_build" / "bench"
SETS, GRID, FIRST = 20, 101, 6
GRIDS = (51, 101, 201, 401, 801)
NETWORK = {"steps": 4, "dtype": "bfloat16"}     # a whole grid in float32 and fifty steps would take an hour a set


def _setting(model: Model, seed: int, grid: int, steps: int, name: str) -> tuple:
    """A function that evaluates points of a slice at the last step, and the height of a ridge."""
    plane, levels = Plane(seeded_anchors(model.shape, seed), grid=grid), model.levels(steps)
    feature = model.features[name]
    return evaluator(model, plane, levels, steps - 1, feature), RIDGE * feature.yardstick(model) / feature.unit


def _looked_up(evaluate: Evaluate, grid: int, place: Path, end: float) -> Evaluate | None:
    """The same predictions from a table of all points; when time is up before it is full, it is kept, and None."""
    parts = list(np.load(place)) if place.exists() else []
    for row in range(len(parts), grid):
        if time.perf_counter() > end:
            place.parent.mkdir(parents=True, exist_ok=True)
            np.save(place, parts)
            return None
        f = evaluate(np.stack([np.full(grid, row), np.arange(grid)], 1))
        parts.append(np.stack([f.points.float().numpy(), f.duals.float().numpy()]))
    points, duals = torch.as_tensor(np.stack(parts)).movedim(1, 0).flatten(1, 2)

    def known(at: np.ndarray) -> Embedding:
        index = torch.as_tensor(at[:, 0] * grid + at[:, 1])
        return Embedding(points[index], duals[index])

    return known


def one_set(model: Model, feature: str, seed: int, grid: int, steps: int, place: Path, end: float) -> dict | None:
    """Adaptive against whole: the share that was evaluated, the area in the same basins, seconds of the whole grid, and
    of the adaptive one, whose evaluations are looked up and counted as a share of the whole. None when time is up."""
    evaluate, ridge = _setting(model, seed, grid, steps, feature)
    begun = place.exists()
    start = time.process_time()
    table = _looked_up(evaluate, grid, place, end)
    whole = time.process_time() - start
    if table is None:
        return None
    place.unlink(missing_ok=True)
    start = time.process_time()
    found = adaptive_basins(table, grid, ridge)
    own = time.process_time() - start
    every = full_basins(table, grid, ridge)
    cost = {} if begun else {"whole_s": whole, "ours_s": own + found.share * whole}
    return {"share": found.share, "same": same_basins(found.labels, every), "basins": int(every.max()) + 1, **cost}


def kept_sets(name: str, sets: int, seconds: float, grid: int = GRID) -> list[dict]:
    """The sets of a model on record, and as many further ones as the seconds allow."""
    model, feature, steps = _model(name)
    kind, end = f"{name} {grid} x {grid} x {steps} seed ", time.perf_counter() + seconds
    for seed in range(FIRST, FIRST + sets):
        key = f"{kind}{seed}"
        if key not in _record():
            one = one_set(model, feature, seed, grid, steps, TABLES / f"{key.replace(' ', '_')}.npy", end)
            if one is None:
                break
            KEPT.write_text(json.dumps(_record() | {key: one}, indent=1) + "\n")
    return [one for key, one in _record().items() if key.startswith(kind)]


def _record() -> dict[str, dict]:
    return json.loads(KEPT.read_text()) if KEPT.exists() else {}


def _model(name: str) -> tuple[Model, str, int]:
    if name == "exact":
        return ExactModel.of(load_images("families", 64)), "pixels", 50
    network = PipelineModel.load(known_directory("icons-unet-a"), dtype=NETWORK["dtype"])
    return network, "latent", NETWORK["steps"]


def _against_whole(name: str, sets: int, seconds: float, grid: int) -> list[dict]:
    done = kept_sets(name, sets, seconds, grid)
    if not done:
        return []
    shares, same = np.array([one["share"] for one in done]), np.array([one["same"] for one in done])
    size = f"{name}, {len(done)} anchor sets, {grid} x {grid}"
    size += f", {NETWORK['steps']} steps, {NETWORK['dtype']}" if name == "network" else ", 50 steps"
    timed = [one for one in done if "whole_s" in one] or [{"ours_s": np.nan, "whole_s": np.nan}]
    cost = {"ours_s": float(np.mean([one["ours_s"] for one in timed])),
            "peer_s": float(np.mean([one["whole_s"] for one in timed]))}
    return [
        {"name": f"adaptive slice, share of the evaluations ({name})", **cost, "ratio": float(shares.max()),
         "target": "<= 0.25", "detail": f"{size}: the largest; the mean {shares.mean():.3f}"},
        {"name": f"adaptive slice, area in the same basins ({name})", **cost, "ratio": float(same.min()),
         "target": ">= 0.995", "detail": f"{size}: the least; the mean {same.mean():.4f}"},
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


def rows(sets: int = SETS, grid: int = GRID, grids: tuple[int, ...] = GRIDS, seconds: float = 240) -> list[dict]:
    """Exact model and shipped network against their whole grids; the exponent of the cost; Learner2D."""
    model = ExactModel.of(load_images("families", 64))
    found = [*_against_whole("exact", sets, np.inf, grid), _exponent(model, grids), *_learner(model)]
    return found + (_against_whole("network", sets, seconds, grid) if known_directory("icons-unet-a") else [])


if __name__ == "__main__":
    print(len(kept_sets(sys.argv[1], SETS, float(sys.argv[2]))), "sets on record")
