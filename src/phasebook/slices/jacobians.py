"""What a grid makes of a Jacobian: how means of the metric grow as it is refined; and det G against areas."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Feature, Model, Prompt
from phasebook.slices.measures.ridges import frame_at
from phasebook.slices.metric import finite_difference_metric, pullback
from phasebook.slices.plane import Plane

__all__ = ["cell_areas", "grid_exponents", "growth"]


def growth(means: dict[int, Float[ndarray, " step"]]) -> Float[ndarray, " step"] | None:
    """The exponent p of `mean ~ (N - 1)^p` at each step, fitted over grids; 0 where the mean vanishes.

    Args:
        means: by the number N of points along each side.

    Returns:
        The exponents; None with fewer than two grids. A converged estimate has p = 0. Jumps of the features give p = 1
        for tr G, and where they meet in points, p = 2 for det G.
    """
    if len(means) < 2:
        return None
    x = np.log([n - 1 for n in means])
    y = np.stack(list(means.values()))
    slope = np.polyfit(x, np.log(np.maximum(y, 1e-300)), 1)[0]
    return np.where((y > 1e-20 * y.max()).all(0), slope, 0.0)       # beside the other steps: means have a unit


def grid_exponents(model: Model, plane: Plane, levels: Levels, steps: Sequence[int], feature: Feature,
                   prompt: Prompt | None = None) -> dict[str, Float[ndarray, " step"]]:
    """`growth` of the means of det G and tr G by centred differences, from one sweep. Coarser grids are every second
    and every fourth line of the plane's own. Means are over one and the same square, inside the coarsest grid's border.

    Args:
        model: any.
        plane: the finest grid.
        levels: of the sampler.
        steps: at which exponents are wanted.
        feature: in which the metric is taken.
        prompt: for all points.
    """
    if (plane.grid - 1) % 4 or plane.grid < 17:
        raise ValueError(f"grid = {plane.grid}: takes a multiple of 4, and one, from 17 on")
    alpha, beta = (x.ravel() for x in np.meshgrid(plane.alpha, plane.beta, indexing="ij"))
    c, _ = plane.coefficients(alpha, beta)
    means = {name: {1 + (plane.grid - 1) // every: [] for every in (4, 2, 1)} for name in ("det", "trace")}
    for frame in model.sweep(model.start(plane.anchors, c), levels, prompt):
        if frame.step not in steps:
            continue
        f, g = (x.unflatten(0, (plane.grid, plane.grid)) for x in frame.embedded(feature)[:2])
        for every in (4, 2, 1):
            spacing = tuple(every * h for h in plane.spacing)
            metric = finite_difference_metric(f[::every, ::every], g[::every, ::every], spacing, feature.unit)
            for name, by_grid in means.items():
                by_grid[1 + (plane.grid - 1) // every].append(_inner_mean(getattr(metric, name), 4 // every))
    return {name: growth({n: np.array(v) for n, v in by_grid.items()}) for name, by_grid in means.items()}


def _inner_mean(values: Float[torch.Tensor, "a b"], rim: int) -> float:
    """The mean inside a rim, by the trapezoidal rule: quotients at the border are one-sided, of first order only."""
    inner = values[rim:-rim, rim:-rim]
    cells = (inner.shape[0] - 1) * (inner.shape[1] - 1)
    return float(torch.trapezoid(torch.trapezoid(inner, dim=-1), dim=-1) / cells)


def cell_areas(model: Model, plane: Plane, levels: Levels, step: int, feature: Feature, cells: int, size: float,
               seed: int) -> tuple[Float[ndarray, " c"], Float[ndarray, " c"]]:
    """Areas of images of small cells, beside the determinant in their middles.

    Args:
        model: a float64 one.
        plane: random cells lie in its extent.
        levels: of the sampler.
        step: at which the prediction is looked at.
        feature: in which areas are taken.
        cells: how many.
        size: of a side of a cell.
        seed: of their places.

    Returns:
        The area of the image of each cell (two triangles) per area of the cell, and det G from tangents.
    """
    rng = np.random.default_rng(seed)
    a0, a1, b0, b1 = plane.extent
    a, b = a0 + (a1 - a0) * rng.random(cells), b0 + (b1 - b0) * rng.random(cells)
    corner = size / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])[..., None]
    corners = np.stack([(a + corner[:, 0]).ravel(), (b + corner[:, 1]).ravel()], -1)
    e = frame_at(model, [plane], [corners], levels, step).embedded(feature)
    f, m = (x.reshape(4, cells, -1) for x in (e.points, e.duals))
    area = torch.zeros(cells, dtype=torch.float64)
    for i in (1, 3):
        triangle = pullback(f[i] - f[0], f[2] - f[0], m[i] - m[0], m[2] - m[0], feature.unit)
        area += triangle.volume.cpu() / 2
    e = frame_at(model, [plane], [np.stack([a, b], -1)], levels, step, tangents=True).embedded(feature)
    det = pullback(*e.d_points, *e.d_duals, feature.unit).det
    return area.numpy() / size**2, det.cpu().numpy()
