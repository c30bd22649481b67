"""How finite differences on a grid compare with the exact Jacobian, and cell images with the volume element."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from phasebook.sampling.samplers import Levels
from phasebook.slices.metric import pullback
from phasebook.slices.slices import Plane

__all__ = ["Profile", "cell_areas", "growth", "profile", "tangent_isotropy"]


class Profile(NamedTuple):
    """`|df/dbeta|` against the distance from a ridge along alpha = const, towards larger beta: the exact derivative,
    and what centred differences of each spacing make of it."""

    distance: Float[ndarray, " p"]
    exact: Float[ndarray, " p"]
    estimates: dict[float, Float[ndarray, " p"]]


def _at_step(model, plane: Plane, levels: Levels, step: int, alpha: ndarray, beta: ndarray):
    c, dc = plane.coefficients(alpha, beta)
    tangents = torch.stack([model.start(plane.anchors, d) for d in dc])
    for frame in model.sweep(model.start(plane.anchors, c), levels, tangents):
        if frame.step == step:
            return frame


def _ridge(model, plane: Plane, levels: Levels, step: int, alpha: float, low: float, high: float) -> float:
    """Where the largest jump between `low` and `high` lies: the interval of the largest difference, four times over."""
    for _ in range(4):
        b = np.linspace(low, high, 33)
        frame = _at_step(model, plane, levels, step, np.full_like(b, alpha), b)
        jump = (frame.features.diff(dim=0) * frame.duals.diff(dim=0)).sum(-1)
        low, high = b[int(jump.argmax())], b[int(jump.argmax()) + 1]
    return (low + high) / 2


def profile(model, plane: Plane, levels: Levels, step: int, alpha: float, beta: float, points: int = 121) -> Profile:
    """From the ridge nearest to (alpha, beta), at distances from 1e-4 h to 6 h, h the grid spacing along beta;
    estimates with spacings h, 2h and 4h, as grids of N, N/2 and N/4 points have them. Use a float64 model."""
    h = plane.spacing[1]
    centre = _ridge(model, plane, levels, step, alpha, beta - h / 2, beta + h / 2)
    distance = h * np.geomspace(1e-4, 6, points)
    shifts = np.array([0, -1, 1, -2, 2, -4, 4]) * h
    b = (centre + distance + shifts[:, None]).ravel()
    frame = _at_step(model, plane, levels, step, np.full_like(b, alpha), b)
    f, m = (x.view(len(shifts), points, -1) for x in (frame.features, frame.duals))
    d_f, d_m = frame.d_features[1, :points], frame.d_duals[1, :points]
    exact = (d_f * d_m).sum(-1).clamp(min=0).sqrt() * model.unit
    estimates = {}
    for row, k in ((1, 1), (3, 2), (5, 4)):
        jump = ((f[row + 1] - f[row]) * (m[row + 1] - m[row])).sum(-1).clamp(min=0).sqrt()
        estimates[k * h] = (jump * model.unit / (2 * k * h)).cpu().numpy()
    return Profile(distance, exact.cpu().numpy(), estimates)


def growth(means: dict[int, Float[ndarray, " step"]]) -> Float[ndarray, " step"] | None:
    """The exponent p of `mean ~ (N - 1)^p` at each step, fitted over grids N -> mean; 0 where the mean vanishes.

    None with fewer than two grids. A converged estimate has p = 0; jumps of the features give p = 1 for tr G.
    """
    if len(means) < 2:
        return None
    x = np.log([n - 1 for n in means])
    y = np.stack(list(means.values()))
    slope = np.polyfit(x, np.log(np.maximum(y, 1e-300)), 1)[0]
    return np.where((y > 1e-20).all(0), slope, 0.0)


def cell_areas(model, plane: Plane, levels: Levels, step: int, cells: int, size: float,
               seed: int) -> tuple[Float[ndarray, " c"], Float[ndarray, " c"]]:
    """For random square cells of side `size`: the area of the image of each (two triangles) per area of the cell, and
    `det G` from exact tangents in its middle. Features in pixels; use a float64 model."""
    rng = np.random.default_rng(seed)
    a0, a1, b0, b1 = plane.extent
    a, b = a0 + (a1 - a0) * rng.random(cells), b0 + (b1 - b0) * rng.random(cells)
    corner = size / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [0, 0]])[..., None]
    frame = _at_step(model, plane, levels, step, (a + corner[:, 0]).ravel(), (b + corner[:, 1]).ravel())
    f, m = (x.view(5, cells, -1) for x in (frame.features, frame.duals))
    area = torch.zeros(cells, dtype=torch.float64)
    for i in (1, 3):
        triangle = pullback(f[i] - f[0], f[2] - f[0], m[i] - m[0], m[2] - m[0], model.unit)
        area += triangle.volume.cpu() / 2
    centre = slice(4 * cells, 5 * cells)
    d_f, d_m = frame.d_features[:, centre], frame.d_duals[:, centre]
    det = pullback(d_f[0], d_f[1], d_m[0], d_m[1], model.unit).det
    return area.numpy() / size**2, det.cpu().numpy()


def tangent_isotropy(model, plane: Plane, levels: Levels, points: int, seed: int,
                     feature: str = "pixels") -> tuple[Float[ndarray, "step p"], Float[ndarray, "step p"]]:
    """`det G / (tr G / 2)^2` of the exact metric at random points of the plane, at every step, and `tr G` there, by
    which a mean over points is weighted: where the map does not move, the ratio says nothing."""
    a0, a1, b0, b1 = plane.extent
    u, v = np.random.default_rng(seed).random((2, points))
    c, dc = plane.coefficients(a0 + u * (a1 - a0), b0 + v * (b1 - b0))
    tangents = torch.stack([model.start(plane.anchors, d) for d in dc])
    ratio, trace = [], []
    for frame in model.sweep(model.start(plane.anchors, c), levels, tangents, feature=feature):
        metric = pullback(*frame.d_features, *frame.d_duals, model.unit)
        ratio.append((4 * metric.det / metric.trace.clamp(min=1e-30) ** 2).cpu().numpy())
        trace.append(metric.trace.cpu().numpy())
    return np.stack(ratio), np.stack(trace)
