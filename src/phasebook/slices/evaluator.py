"""Predictions of one step at points of a plane's grid, a few at a time."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray

from phasebook.arguments import brief, first_not_finite, whole
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Embedding, Feature, Model, Prompt
from phasebook.sampling.samplers import check_begin, check_kinds
from phasebook.slices.measures.ridges import frame_at
from phasebook.slices.plane import Plane, check_plane

__all__ = ["Evaluate", "checked", "evaluator", "joined"]

Evaluate = Callable[[Int[ndarray, "m 2"]], Embedding]


def evaluator(model: Model, plane: Plane, levels: Levels, step: int, feature: Feature,
              prompt: Prompt | None = None) -> Evaluate:
    """The predictions of a step at points of a plane's grid, given by row and column.

    Args:
        model: any.
        plane: the grid.
        levels: of the sampler.
        step: whose predictions are wanted.
        feature: by which they are compared.
        prompt: for all points.

    Returns:
        A function of points (row, column), index [m, 2], whose embedding has the feature's distances: `Slice.ridge` of
        the same feature is a height for it.

    Raises:
        ValueError: for an argument in another's place, or a step that the sampler does not have; then for points that
            the plane's grid does not have.
    """
    check_kinds(model, levels, prompt)
    check_plane(plane)
    check_begin(levels, plane.size)
    step = whole("step", step, 0, levels.steps - 1, "a step")
    if not hasattr(feature, "yardstick"):
        raise ValueError(f"feature = {brief(feature)}: takes a feature, such as model.features['latent'] or "
                         "OfPixels(function)")

    def evaluate(points: Int[ndarray, "m 2"]) -> Embedding:
        points = np.asarray(points)
        if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "iu":
            raise ValueError(f"points: {points.dtype} of shape {points.shape}; takes rows and columns (m, 2), whole")
        if (off := (points < 0) | (points >= plane.grid)).any():
            raise ValueError(f"points: {points[off][0]} among their rows and columns; takes those of a grid of "
                             f"{plane.grid}, as plane.grid says")
        at = np.stack([plane.alpha[points[:, 0]], plane.beta[points[:, 1]]], -1)
        f = frame_at(model, [plane], [at], levels, step, prompt).embedded(feature)
        f_points = feature.unit * f.points.cpu()            # distances are the feature's own, as those of a Slice are
        return Embedding(f_points, f_points if f.duals is f.points else feature.unit * f.duals.cpu())

    evaluate.grid = plane.grid
    return evaluate


def checked(f: Embedding, at: Int[ndarray, "m 2"]) -> Embedding:
    """What an evaluation gave. ValueError unless it is a finite prediction for each of these points."""
    if not isinstance(f, Embedding) or len(f.points) != len(at):
        raise ValueError(f"evaluate: gives a {type(f).__name__}; takes a function that gives the Embedding of points "
                         "(row, column), as evaluator(...) does")
    if (k := first_not_finite(f.points)) is not None:           # NaN lies apart from nothing: it would be filled in
        raise ValueError(f"evaluate: the prediction is not finite at row {at[k, 0]}, column {at[k, 1]}")
    return f


def joined(parts: list[Embedding]) -> Embedding:
    """Coordinates of several sets of points as those of one."""
    points = torch.cat([f.points for f in parts])
    plain = all(f.duals is f.points for f in parts)
    return Embedding(points, points if plain else torch.cat([f.duals for f in parts]))
