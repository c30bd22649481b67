"""What arithmetic does to boundaries: how far each number format moves them, and whether they are fractal.

The `ratio` of a row is what it measures: a distance in units of the slice, or a box dimension.
"""

import time

import numpy as np
import torch

from phasebook.models.exact import ExactModel
from phasebook.models.image_sets import load_images
from phasebook.models.pipelines.checkpoints import known_directory
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.zoom import box_counts, box_dimension, crossings

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


def _window(label, seed: int = 0) -> tuple[float, float]:
    """The lower corner of a window of side 1e-3 in whose middle a boundary lies."""
    rng = np.random.default_rng(seed)
    ends = rng.random((2, 2))
    while len(set(label(ends))) < 2:
        ends = rng.random((2, 2))
    own = label(ends)[0]
    for _ in range(40):
        middle = ends.mean(0)
        ends[0 if label(middle[None])[0] == own else 1] = middle
    return tuple(ends.mean(0) - 0.5e-3)


def fractality(resolution: int = 16, steps: int = 50, octaves: int = 10) -> list[dict]:
    """The box dimension of one boundary, in float64 and with latents rounded to float16."""
    model = ExactModel.of(load_images("families", resolution), dtype=torch.float64)
    plane, found = Plane(seeded_anchors(model.shape, 6)), []
    corner = _window(_exact_labels(model, plane, steps, False))
    for name, half, target, most in (("float64", False, "<= 1.05", octaves), ("float16 latents", True, ">= 1.2", 8)):
        start = time.process_time()
        counts = box_counts(_exact_labels(model, plane, steps, half), corner, 1e-3, min(most, octaves))
        seconds = time.process_time() - start
        found.append({"name": f"box dimension of a boundary, {name}", "ours_s": seconds, "peer_s": seconds,
                      "ratio": box_dimension(counts), "target": target,
                      "detail": f"boxes by octave from 1e-3 down: {counts.tolist()}"})
    return found


def _moved(name: str, evaluate: dict, plane: Plane, grid: int = 9) -> list[dict]:
    """How far the boundaries on a few edges move against the first of several arithmetics."""
    a = np.linspace(0, 1, grid)
    low = np.stack(np.meshgrid(a, a[:-1], indexing="ij"), -1).reshape(-1, 2)
    high = low + [0, a[1]]
    reference = next(iter(evaluate.values()))
    ends = reference(low), reference(high)
    apart = ((ends[0] - ends[1]) ** 2).sum(1)
    keep = np.argsort(-apart)[:16]
    low, high, ends = low[keep], high[keep], (ends[0][keep], ends[1][keep])
    found, first = [], None
    for kind, function in evaluate.items():
        start = time.process_time()
        at = a[1] * crossings(function, low, high, ends, 20)
        seconds = time.process_time() - start
        first = at if first is None else first
        if at is not first:
            off = np.abs(at - first)
            found.append({"name": f"boundaries moved by {kind} ({name})", "ours_s": seconds, "peer_s": seconds,
                          "ratio": float(np.nanmedian(off)), "target": "",
                          "detail": f"median of {np.isfinite(off).sum()} edges; the largest {np.nanmax(off):.1e}"})
    return found


def sensitivity(steps: int = 10) -> list[dict]:
    """float64 against float32 for the exact model; float32 against bfloat16, float16 and another batch for the
    network."""
    images = load_images("families", 16)
    exact = {}
    for dtype in (torch.float64, torch.float32):
        model = ExactModel.of(images, dtype=dtype)
        plane = Plane(seeded_anchors(model.shape, 6))
        exact[str(dtype).split(".")[1]] = _predicted(model, plane, 50, model.weights)
    found = _moved("exact model", exact, plane)
    folder = known_directory("emoji-diffusion")
    if folder is None:
        return found
    kinds = {"float32": ("float32", 32), "a batch of 5": ("float32", 5), "bfloat16": ("bfloat16", 32),
             "float16": ("float16", 32)}
    network = {}
    for kind, (dtype, batch) in kinds.items():
        model = PipelineModel.load(folder, dtype=dtype, batch=batch)
        plane = Plane(seeded_anchors(model.shape, 6))
        network[kind] = _predicted(model, plane, steps, lambda x: x.flatten(1))
    return found + _moved("emoji-diffusion", network, plane)


def _predicted(model, plane: Plane, steps: int, coordinates):
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
