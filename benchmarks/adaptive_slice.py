"""Basins of a slice from a part of its points: against the whole grid, against python-adaptive's Learner2D, and how the
cost grows with the grid.

Anchor sets that are done stand in `results/adaptive_sets.json` and are not run again; remove the file to begin anew.

    python benchmarks/adaptive_slice.py network 240     # further sets of the network, for 240 seconds
    python benchmarks/adaptive_slice.py student 240     # of its student in one step, a quarter of the cost
    pip install adaptive        # for the comparison; without it that row is left out
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from phasebook.models.exact import ExactModel
from phasebook.models.pictures.icons import GENERIC
from phasebook.models.pictures.image_sets import load_images
from phasebook.models.pipelines.checkpoints import known_directory
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Embedding, Feature, Frame, Model, Prompt
from phasebook.site.chapters.network import training_pictures
from phasebook.slices.adaptive import adaptive_basins, full_basins, same_basins
from phasebook.slices.evaluator import Evaluate, evaluator
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.slice import RIDGE
from phasebook_training.measures import load

KEPT = Path(__file__).parent / "results" / "adaptive_sets.json"
TABLES = Path(__file__).parents[1] / "_build" / "bench"
SETS, GRID, FIRST = 20, 101, 6
GRIDS = (51, 101, 201, 401, 801)
TRAINED, STEPS, GUIDANCE = ("icons-unet-a", "icons-transformer-a"), 8, 3.0      # against single calls
# the network's size stands in its name: a whole grid in float32 and fifty steps would take an hour a set
NETWORKS = {"network": ("icons-unet-a", "4 steps, bfloat16, basins of the nearest training picture"),
            "student": ("icons-unet-a-in-1", "its own one step, basins of the nearest training picture")}


class NearestPicture(Feature):
    """Which training picture a network's prediction is nearest to, one coordinate each: two are equal or one apart. A
    network's own predictions turn too gently to have a ridge at this grid; it would have one basin on every plane."""

    def __init__(self, model: PipelineModel):
        pictures = torch.as_tensor(training_pictures("icons a").pixels).permute(0, 3, 1, 2)
        self.latents = model.encode(pictures).flatten(1).float()
        self.norms = (self.latents**2).sum(1) / 2

    def __call__(self, frame: Frame) -> Embedding:
        nearest = (frame.x0.flatten(1).float() @ self.latents.T - self.norms).argmax(1)
        one = torch.nn.functional.one_hot(nearest, len(self.latents)).float() / 2**0.5
        return Embedding(one, one)

    def yardstick(self, model: Model, prompt: Prompt | None = None) -> float:
        return 1.0


class Subject(NamedTuple):
    """What is sliced, and what its predictions at the last step are compared by."""

    model: Model
    levels: Levels
    feature: Feature
    asked: Prompt | None = None

    def setting(self, seed: int, grid: int) -> tuple[Evaluate, float]:
        """A function that evaluates points of a slice at the last step, and the height of a ridge."""
        plane = Plane(seeded_anchors(self.model.shape, seed), grid=grid)
        evaluate = evaluator(self.model, plane, self.levels, self.levels.steps - 1, self.feature, self.asked)
        return evaluate, RIDGE * self.feature.yardstick(self.model)


def subject(name: str) -> Subject:
    """The exact model, the network, or its student in one step, at the level and with the prompt that it was taught."""
    if name == "exact":
        model = ExactModel.of(load_images("families", 64))
        return Subject(model, model.levels(50), model.features["pixels"])
    place = known_directory(NETWORKS[name][0])
    if name == "network":
        model = PipelineModel.load(place, dtype="bfloat16")
        return Subject(model, model.levels(4), NearestPicture(model))
    model, taught = PipelineModel.load(place), json.loads((place / "student.json").read_text(encoding="utf-8"))
    levels = model.levels(taught["teacher_steps"]).thinned(taught["teacher_steps"])
    return Subject(model, levels, NearestPicture(model), model.prompt(taught["prompt"]))


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


def one_set(of: Subject, seed: int, grid: int, place: Path, end: float) -> dict | None:
    """Adaptive against whole: the share that was evaluated, the area in the same basins, seconds of the whole grid, and
    of the adaptive one, whose evaluations are looked up and counted as a share of the whole. None when time is up."""
    evaluate, ridge = of.setting(seed, grid)
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
    of = subject(name)
    by = ", nearest picture" if isinstance(of.feature, NearestPicture) else ""
    kind, end = f"{name}{by} {grid} x {grid} x {of.levels.steps} seed ", time.perf_counter() + seconds
    for seed in range(FIRST, FIRST + sets):
        key = f"{kind}{seed}"
        if key not in _record():
            one = one_set(of, seed, grid, TABLES / f"{key.replace(' ', '_')}.npy", end)
            if one is None:
                break
            KEPT.write_text(json.dumps(_record() | {key: one}, indent=1) + "\n")
    return [one for key, one in _record().items() if key.startswith(kind)]


def _record() -> dict[str, dict]:
    return json.loads(KEPT.read_text()) if KEPT.exists() else {}


def _against_whole(name: str, sets: int, seconds: float, grid: int) -> list[dict]:
    done = kept_sets(name, sets, seconds, grid)
    if not done:
        return []
    shares, same = np.array([one["share"] for one in done]), np.array([one["same"] for one in done])
    size = f"{name}, {len(done)} anchor sets, {grid} x {grid}, {NETWORKS[name][1] if name in NETWORKS else '50 steps'}"
    timed = [one for one in done if "whole_s" in one] or [{"ours_s": np.nan, "whole_s": np.nan}]
    cost = {"ours_s": float(np.mean([one["ours_s"] for one in timed])),
            "peer_s": float(np.mean([one["whole_s"] for one in timed]))}
    return [
        {"name": f"adaptive slice, share of the evaluations ({name})", **cost, "ratio": float(shares.max()),
         "target": "<= 0.25", "detail": f"{size}: the largest; the mean {shares.mean():.3f}"},
        {"name": f"adaptive slice, area in the same basins ({name})", **cost, "ratio": float(same.min()),
         "target": ">= 0.995", "detail": f"{size}: the least; the mean {same.mean():.4f}"},
    ]


def _exponents(of: Subject, grids: tuple[int, ...], seeds: Sequence[int]) -> list[dict]:
    """Of the number of evaluations over anchor sets."""
    costs, seconds = [], []
    for seed in seeds:
        for grid in grids:
            evaluate, ridge = of.setting(seed, grid)
            start = time.process_time()
            costs.append(int(adaptive_basins(evaluate, grid, ridge).evaluated.sum()))
            seconds.append(time.process_time() - start)
    return _growth(grids, *(np.reshape(of, (len(seeds), len(grids))) for of in (costs, seconds)))


def _growth(grids: tuple[int, ...], costs: np.ndarray, seconds: np.ndarray) -> list[dict]:
    """Exponents fitted over all grids, and from each grid to the next, where the last ones tell what a fit would
    average away; a row of costs and seconds for each anchor set."""
    x = np.log(np.array(grids) - 1)
    fitted = np.polyfit(x, np.log(costs).T, 1)[0]
    local = np.diff(np.log(costs)) / np.diff(x)
    time_s = {"ours_s": float(seconds[:, -1].mean()), "peer_s": float(seconds[:, 0].mean())}
    counts = ", ".join(f"{n}: {c:.0f}" for n, c in zip(grids, costs.mean(0), strict=True))
    steps = ", ".join(f"{e:.2f}" for e in local.mean(0))
    return [
        {"name": "adaptive slice, exponent of its cost in the grid", **time_s, "ratio": float(fitted.max()),
         "target": "<= 1.4", "detail": f"fitted, the largest of {len(costs)} anchor sets; evaluations, their mean: "
                                       f"{counts}",
         "curve": {"grid, adaptive": list(grids), "evaluations": costs.mean(0).tolist(),
                   "seconds": seconds.mean(0).tolist()}},
        {"name": "adaptive slice, exponent from one grid to the next", **time_s, "ratio": float(local.max()),
         "target": "<= 1.4", "detail": f"the largest of all steps and anchor sets; means of the sets: {steps}"},
    ]


def _fine(of: Subject, seed: int, grid: int) -> dict:
    """A grid finer than that of the twenty sets, on the same coarse one, against every point of it."""
    evaluate, ridge = of.setting(seed, grid)
    start = time.process_time()
    table = _looked_up(evaluate, grid, TABLES / f"fine_{seed}_{grid}.npy", np.inf)
    whole = time.process_time() - start
    start = time.process_time()
    found = adaptive_basins(table, grid, ridge)
    own = time.process_time() - start + found.share * whole
    same = same_basins(found.labels, full_basins(table, grid, ridge))
    return {"name": f"adaptive slice, area in the same basins ({grid} x {grid})", "ours_s": own, "peer_s": whole,
            "ratio": same, "target": ">= 0.995", "detail": f"exact, one anchor set, {found.share:.3f} of the points"}


def _learner(of: Subject, seeds: Sequence[int], grid: int = 101) -> list[dict]:
    """As many evaluations for Learner2D: the area that it puts into the right basins, over that of ours; above one it
    would be the one to use."""
    try:
        import adaptive  # noqa: F401
    except ImportError:
        return []
    return [_placed([_against_learner(of, seed, grid) for seed in seeds])]


def _placed(done: list[tuple[float, float, float, float]]) -> dict:
    """The row of the learner."""
    done = np.array(done)
    ours, theirs, own, peer = done.T
    return {"name": "adaptive slice against Learner2D, right area of theirs over ours", "ours_s": float(own.mean()),
            "peer_s": float(peer.mean()), "ratio": float((theirs / ours).max()), "target": "<= 1",
            "detail": f"as many evaluations, {len(done)} anchor sets, the largest; wrong area of theirs "
                      f"{1 - theirs.max():.4f} to {1 - theirs.min():.4f}, of ours {1 - ours.max():.4f} to "
                      f"{1 - ours.min():.4f}"}


def _against_learner(of: Subject, seed: int, grid: int) -> tuple[float, float, float, float]:
    """Area in the right basins, ours and theirs, and seconds. The learner gets three fixed projections of the
    prediction; its nearest point gives the rest."""
    from adaptive import Learner2D

    evaluate, ridge = of.setting(seed, grid)
    start = time.process_time()
    found = adaptive_basins(evaluate, grid, ridge)
    ours = time.process_time() - start
    views = torch.randn(len(of.model.atoms), 3, generator=torch.Generator().manual_seed(0)).numpy()
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
    gram = of.model.gram

    def filled(points):
        w = table[points[:, 0], points[:, 1]]
        return type(evaluate(points[:1]))(w, w @ gram)

    theirs = same_basins(full_basins(filled, grid, ridge), whole)
    return same_basins(found.labels, whole), theirs, ours, peer


def _against_calls(name: str, grid: int, calls: int = 24) -> dict:
    """Seconds of a trained model's basins along their boundaries, against one call of its pipeline for every point (the
    authors' way, of which some are timed). Neither side decodes."""
    model = PipelineModel.load(known_directory(name))
    of = Subject(model, model.levels(STEPS), NearestPicture(model), model.prompt(GENERIC, GUIDANCE))
    evaluate, ridge = of.setting(FIRST, grid)
    evaluate(np.zeros((1, 2), dtype=int))
    start = time.perf_counter()
    found = adaptive_basins(evaluate, grid, ridge)
    ours = time.perf_counter() - start

    pipe = load(known_directory(name))
    options = {"max_sequence_length": pipe.tokenizer.model_max_length} if hasattr(pipe, "transformer") else {}
    seconds = []
    for point in torch.randn(calls + 1, *model.shape, generator=torch.Generator().manual_seed(FIRST)):
        start = time.perf_counter()
        pipe(GENERIC, guidance_scale=GUIDANCE, num_inference_steps=STEPS, latents=point[None], output_type="latent",
             **options)
        seconds.append(time.perf_counter() - start)
    peer = float(np.median(seconds[1:])) * grid**2          # the first one is slower
    missed = f", at most {found.missed.high:.4f} in a wrong one" if found.missed else ""
    return {"name": f"{name}, basins of {grid} x {grid}, {STEPS} steps, guidance {GUIDANCE:g}", "ours_s": ours,
            "peer_s": peer, "ratio": peer / ours, "target": ">= 8",
            "detail": f"along the boundaries, {found.share:.3f} of the points, {found.labels.max() + 1} basins{missed}"
                      f"; peer: a pipeline call for each point, the median of {calls}"}


def rows(sets: int = SETS, grid: int = GRID, grids: tuple[int, ...] = GRIDS, seconds: float = 240,
         seeds: int = 3) -> list[dict]:
    """Exact model, shipped network and its student against their whole grids; the exponents of the cost; Learner2D."""
    exact, few = subject("exact"), range(FIRST, FIRST + seeds)
    found = [*_against_whole("exact", sets, np.inf, grid), *_exponents(exact, grids, few)]
    found += [_fine(exact, FIRST, grids[-2]), *_learner(exact, few)]
    here = [name for name, (place, _) in NETWORKS.items() if known_directory(place)]
    found += [_against_calls(name, grid) for name in TRAINED if known_directory(name)]
    return found + [row for name in here for row in _against_whole(name, sets, seconds / len(here), grid)]


if __name__ == "__main__":
    print(len(kept_sets(sys.argv[1], SETS, float(sys.argv[2]))), "sets on record")
