"""What arithmetic does to boundaries: how far each number format moves them, and whether they are fractal.

The `ratio` of a row is what it measures: a share of the points, a distance in cells of a grid, or a box dimension.
"""

import time

import numpy as np
import torch

from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.models.pipelines.checkpoints import known_directory
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.slice import RIDGE
from phasebook.slices.zoom import box_counts, box_dimension, crossings, window_at

BATCH = 2000


def _exact_labels(model: ExactModel, plane: Plane, steps: int, half: bool):
    """The likeliest picture at the last step; with `half`, latents are rounded to float16 first."""
    levels = model.levels(steps)

    def label(points: np.ndarray) -> np.ndarray:
        found = []
        for part in np.array_split(points, -(-len(points) // BATCH)):
            if half:
                x = model.start(plane.latents(*part.T).astype(np.float16))
            else:
                x = model.start(plane.anchors, plane.coefficients(*part.T)[0])
            *_, frame = model.sweep(x, levels)
            found.append(model.weights(frame.x0).argmax(1).numpy())
        return np.concatenate(found)

    return label


def fractality(resolution: int = 16, steps: int = 50, octaves: int = 10) -> list[dict]:
    """The box dimension of one boundary, in float64 and with latents rounded to float16."""
    model = ExactModel.of(load_images("families", resolution), dtype=torch.float64)
    plane, found = Plane(seeded_anchors(model.shape, 6)), []
    corner = window_at(_exact_labels(model, plane, steps, False), plane.extent, 1e-3, 0)
    for name, half, target, most in (("float64", False, "<= 1.05", octaves), ("float16 latents", True, ">= 1.2", 8)):
        start = time.process_time()
        counts = box_counts(_exact_labels(model, plane, steps, half), corner, 1e-3, min(most, octaves))
        seconds = time.process_time() - start
        found.append({"name": f"box dimension of a boundary, {name}", "ours_s": seconds, "peer_s": seconds,
                      "ratio": box_dimension(counts), "target": target,
                      "detail": f"boxes by octave from 1e-3 down: {counts.tolist()}"})
    return found


def _moved(name: str, evaluate: dict, ridge: float, points: int, edges: int) -> list[dict]:
    """Against the first of several arithmetics: the share of random points whose prediction lies further from its own
    than a ridge is high, and how far boundaries move on the edges of a coarse grid, in cells of one of 101 lines."""
    at = np.random.default_rng(1).random((points, 2))
    a = np.linspace(0, 1, 9)
    low = np.stack(np.meshgrid(a, a[:-1], indexing="ij"), -1).reshape(-1, 2)
    high = low + [0, a[1]]
    reference, *_ = evaluate.values()
    own, ends = reference(at), (reference(low), reference(high))
    keep = np.argsort(-((ends[0] - ends[1]) ** 2).sum(1))[:edges]
    low, high, ends = low[keep], high[keep], (ends[0][keep], ends[1][keep])
    found, first = [], None
    for kind, function in evaluate.items():
        start = time.process_time()
        cells = 100 * a[1] * crossings(function, low, high, ends, 16)
        other = np.sqrt(((function(at) - own) ** 2).sum(1)) > ridge
        seconds = time.process_time() - start
        first = cells if first is None else first
        if cells is first:
            continue
        off = np.abs(cells - first)
        one = {"ours_s": seconds, "peer_s": seconds, "target": ""}
        found += [{"name": f"points in another basin, {kind} ({name})", **one, "ratio": float(other.mean()),
                   "detail": f"share of {points} random points"},
                  {"name": f"boundaries moved, in cells, {kind} ({name})", **one, "ratio": float(np.nanmedian(off)),
                   "detail": f"median of {np.isfinite(off).sum()} edges; the largest {np.nanmax(off):.2g}"}]
    return found


def sensitivity(steps: int = 10, points: tuple[int, int] = (1000, 100), edges: int = 12) -> list[dict]:
    """The exact model in float64 against shorter formats; the network in float32 against shorter ones and another
    batch."""
    images, exact = load_images("families", 16), {}
    for dtype in ("float64", "float32", "bfloat16", "float16"):
        model = ExactModel.of(images, dtype=getattr(torch, dtype))
        exact[dtype] = _predicted(model, 50, model.weights)
    found = _moved("exact model", exact, 0.5, points[0], edges)
    folder = known_directory("icons-unet-a")
    if folder is None:
        return found
    kinds = {"float32": ("float32", 32), "a batch of 5": ("float32", 5), "bfloat16": ("bfloat16", 32),
             "float16": ("float16", 32)}
    network = {}
    for kind, (dtype, batch) in kinds.items():
        model = PipelineModel.load(folder, dtype=dtype, batch=batch)
        network[kind] = _predicted(model, steps, lambda x: x.flatten(1))
    feature = PipelineModel.load(folder).features["latent"]
    ridge = RIDGE * feature.yardstick(model) / feature.unit
    return found + _moved("icons-unet-a", network, ridge, points[1], edges)


def _predicted(model, steps: int, coordinates):
    plane = Plane(seeded_anchors(model.shape, 6))

    def evaluate(points: np.ndarray) -> np.ndarray:
        *_, frame = model.sweep(model.start(plane.anchors, plane.coefficients(*points.T)[0]), model.levels(steps))
        return coordinates(frame.x0).double().numpy()

    return evaluate


def rows() -> list[dict]:
    """Box dimensions, then distances."""
    return [*fractality(), *sensitivity()]


if __name__ == "__main__":
    for row in rows():
        print(row)
