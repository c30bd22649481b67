"""How finite differences on a grid compare with the exact Jacobian, and cell images with the volume element."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from phasebook.diffusion.samplers import Levels
from phasebook.latent.metric import pullback
from phasebook.latent.slices import Plane

__all__ = ["Profile", "cell_areas", "growth", "profile"]


class Profile(NamedTuple):
    """`|df/dbeta|` along a line alpha = const: exactly, and as centred differences with each spacing see it."""

    beta: Float[ndarray, " p"]
    exact: Float[ndarray, " p"]
    estimates: dict[float, Float[ndarray, " p"]]


def _at_step(model, plane: Plane, levels: Levels, step: int, alpha: ndarray, beta: ndarray):
    c, dc = plane.coefficients(alpha, beta)
    tangents = torch.stack([model.start(plane.anchors, d) for d in dc])
    for frame in model.sweep(model.start(plane.anchors, c), levels, tangents):
        if frame.step == step:
            return frame


def profile(model, plane: Plane, levels: Levels, step: int, alpha: float, beta: float, *, reach: int = 8,
            fine: int = 12) -> Profile:
    """Across the point (alpha, beta), `reach` grid spacings h to either side, at a spacing of h / fine; estimates with
    spacings h, 2h and 4h, the grids of N, N/2 and N/4 points."""
    h = plane.spacing[1]
    ends = (reach + 4) * fine
    b = beta + np.arange(-ends, ends + 1) * h / fine
    frame = _at_step(model, plane, levels, step, np.full_like(b, alpha), b)
    exact = (frame.d_features[1] * frame.d_duals[1]).sum(-1).clamp(min=0).sqrt() * model.unit
    inside = slice(4 * fine, len(b) - 4 * fine)
    estimates = {}
    for k in (1, 2, 4):
        reach_k = k * fine
        f, m = (x[2 * reach_k:] - x[:-2 * reach_k] for x in (frame.features, frame.duals))
        slope = (f * m).sum(-1).clamp(min=0).sqrt() * model.unit / (2 * k * h)
        estimates[k * h] = slope[inside.start - reach_k:inside.stop - reach_k].cpu().numpy()
    return Profile(b[inside], exact[inside].cpu().numpy(), estimates)


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
