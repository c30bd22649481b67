"""How steep the flow from the latent is, looked at from its image, where ridges are wide.

The map `F_s: z -> y` to the noise level s squeezes what lies between two atoms into a ridge of the latent space whose
width falls like the inverse of its steepness; a grid of latents misses it. In the image the same points fill the
ground between the atoms, at a scale of s. So every function here takes points y at the level s and follows the flow
*up* to the latent, with the derivative `K = dz / dy`. In the heat frame `dy / d log s = y - D(y, s)` and
`dM / d log s = (I - Cov[x_0 | y] / s^2) M`, with `M = dy_far / dy`; `z` is `y_far` whitened.

The Lipschitz constant of F_s at z is `1 / sigma_min(K)`, the product of all other singular values over `det K`, and
Liouville's formula `det K = p_s(y) / phi(z)` gives the determinant without cancellation: right as long as the flow
squeezes one direction beyond float64 and no second one. float64.

Bound. Let the data lie in a set of diameter D. Along any direction the posterior has variance at most `D^2 / 4`
(Popoviciu 1935), so `d log |J| / d log s >= 1 - D^2 / (4 s^2)`, and from `J = S` at the far level S down to s

    |J| <= s exp(D^2 / (8 s^2)),

with equality at the midpoint of two equal atoms. For D = 2 R it is the bound of Mikulincer and Shenfeld (2023).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.integrate import cumulative_trapezoid
from scipy.spatial.distance import pdist

from phasebook.arguments import number
from phasebook.mixtures.latent_flow import far_level, runge_kutta, whitening
from phasebook.mixtures.mixtures import Mixture

__all__ = ["Source", "ascend", "image_grid", "in_span", "lipschitz_bound", "lipschitz_from_image", "pair_starts",
           "source_of"]

# Runge-Kutta steps per unit of log s on the way up, where errors die out: 1e-4 in the constants up to |z| = 4
RATE = 10
# a step of an ascent that promises less than this, in the logarithm of the constant, is left out
GAIN = 1e-11


class Source(NamedTuple):
    """Where points of the image come from: latents z (*b, d) and `K = dz / dy` (*b, d, d)."""

    z: Float[ndarray, "*b d"]
    inverse: Float[ndarray, "*b d d"]


def source_of(mixture: Mixture, y: Float[ndarray, "*b d"], s: float, rate: int = RATE) -> Source:
    """Follow the flow up from level `s`.

    Args:
        mixture: the data.
        y: points at level s, heat frame (units of the data).
        s: noise level sigma / alpha > 0, in units of the data.
        rate: Runge-Kutta steps per unit of log s.

    Returns:
        Latents and the derivative of the latent by y.

    Raises:
        ValueError: for a level that is not positive, or points of another dimension than the data.
    """
    y, s, d = np.asarray(y, dtype=float), number("s", s, "a noise level > 0", above=0), mixture.means.shape[1]
    if (shape := y.shape)[-1:] != (d,):
        raise ValueError(f"y: shape {shape}; takes points (..., {d})")
    log_s = _stable_steps(mixture, s, rate)
    y = y.reshape(-1, d).T.copy()
    M = np.repeat(np.eye(d)[:, :, None], y.shape[1], 2)
    for here, there in zip(log_s[:-1], log_s[1:], strict=True):
        y, M = runge_kutta(mixture, y, M, np.exp(here), there - here)
    mean, root = whitening(mixture, np.exp(log_s[-1]))
    inverse = np.linalg.inv(root)
    return Source(((y.T - mean) @ inverse).reshape(shape), (inverse @ np.moveaxis(M, 2, 0)).reshape(*shape, d))


def _stable_steps(mixture, s, rate):
    """Ascending values of log s up to the far level: `rate` a unit, and more where the way up contracts fast.

    The rate of contraction is at most `D^2 / (4 s^2)`; an explicit step of classical Runge-Kutta is stable up to 2.78
    over it, and taken no longer than 0.7.
    """
    diameter = pdist(mixture.means).max() if len(mixture.means) > 1 else 0.0
    fine = np.linspace(np.log(s), np.log(far_level(mixture, s)), 4001)
    density = np.maximum(rate, diameter**2 / (4 * np.exp(2 * fine)) / 0.7)
    clock = cumulative_trapezoid(density, fine, initial=0.0)
    return np.interp(np.linspace(0, clock[-1], int(np.ceil(clock[-1])) + 1), clock, fine)


def lipschitz_from_image(mixture: Mixture, y: Float[ndarray, "*b d"], s: float, reach: float = np.inf,
                         rate: int = RATE) -> Float[ndarray, "*b"]:
    """Natural logarithm of the Lipschitz constant of `z -> y` (heat frame) at the latents of these images.

    Args:
        mixture: the data.
        y: points at level s, heat frame.
        s: noise level sigma / alpha > 0.
        reach: points whose latent lies farther out, |z| > reach, get -inf.
        rate: Runge-Kutta steps per unit of log s.

    Returns:
        The logarithms; add `-log(1 + s^2) / 2` for the variance-preserving frame.
    """
    value, square = _steepness(mixture, y, s, rate)
    return np.where(square <= reach**2, value, -np.inf)


def _steepness(mixture, y, s, rate):
    """Logarithms of the constants, and the squares `|z|^2` of the latents."""
    z, K = source_of(mixture, y, s, rate)
    size = np.linalg.svd(K, compute_uv=False)
    square = (z**2).sum(-1)
    log_det = mixture.log_density(np.asarray(y, float), 1.0, s) + square / 2 + z.shape[-1] / 2 * np.log(2 * np.pi)
    with np.errstate(divide="ignore"):
        others = np.log(size[..., :-1]).sum(-1)
    return np.where(np.isfinite(others), others - log_det, -np.inf), square


def pair_starts(mixture: Mixture, most: int = 40) -> Float[ndarray, "m d"]:
    """Points to begin an ascent from: between the means of pairs, the nearest and the farthest pairs first.

    Args:
        mixture: n components.
        most: how many pairs at most.

    Returns:
        Three points a pair, at a third, a half and two thirds of the way; the mean itself for one component.
    """
    mu = mixture.means
    if len(mu) == 1:
        return mu.copy()
    i, j = np.triu_indices(len(mu), 1)
    order = np.argsort(pdist(mu))
    chosen = np.unique(np.concatenate([order[:most // 2], order[-(most // 2):]]))
    ends = mu[i[chosen]], mu[j[chosen]]
    return np.concatenate([(1 - t) * ends[0] + t * ends[1] for t in (1 / 3, 1 / 2, 2 / 3)])


def ascend(mixture: Mixture, s: float, starts: Float[ndarray, "m d"], *, reach: float = np.inf, steps: int = 25,
           keep: int = 8, rate: int = RATE) -> tuple[float, Float[ndarray, " d"]]:
    """The largest Lipschitz constant of `z -> y` found by ascent in the image.

    Newton steps on log Lip with second differences over a stencil of width s / 50, each no longer than a radius that
    shrinks where a step does not pay. The best `keep` starts move at once. In the plane a coarse `image_grid`
    among the starts makes sure that no ridge is left out.

    Args:
        mixture: the data.
        s: noise level sigma / alpha > 0.
        starts: points of the image.
        reach: latents farther out are not looked at.
        steps: Newton steps.
        keep: starts that are followed to the end.
        rate: Runge-Kutta steps per unit of log s.

    Returns:
        The logarithm of the constant in the heat frame, -inf where no start has its latent within reach, and its
        place in the image. A lower bound of the supremum.
    """
    y = np.asarray(starts, dtype=float)
    value = lipschitz_from_image(mixture, y, s, reach, rate)
    best = np.argsort(-value)[:keep]
    y, value = y[best], value[best]
    radius = np.full(len(y), s)
    d, h = y.shape[1], s / 50
    shifts = _stencil(d, h)
    around = _steepness(mixture, y[:, None] + shifts, s, rate)[0]
    for _ in range(steps):
        step, gain = _newton_steps(around, d, h, radius)
        if not ((radius >= 1e-3 * s) & (gain > GAIN)).any():
            break
        # the stencil of the next step at once: what the flow up costs is its steps, not its points
        trial = y + step
        there, square = _steepness(mixture, trial[:, None] + shifts, s, rate)
        better = (there[:, 0] > value) & (square[:, 0] <= reach**2)
        y = np.where(better[:, None], trial, y)
        value = np.where(better, there[:, 0], value)
        around = np.where(better[:, None], there, around)
        radius = np.where(better, radius, radius / 4)
    top = int(np.argmax(value))
    return float(value[top]), y[top]


def _stencil(d, h):
    """Shifts for differences: none, h ahead along each axis, behind, and ahead along each pair of axes."""
    axes, (i, j) = h * np.eye(d), np.tril_indices(d, -1)
    return np.concatenate([np.zeros((1, d)), axes, -axes, axes[i] + axes[j]])


def _newton_steps(f, d, h, radius):
    """Ascent steps (m, d) from values on a stencil: Newton along directions of downward curvature, uphill along the
    others; and what each promises to gain."""
    ahead, behind, mixed = f[:, 1:d + 1], f[:, d + 1:2 * d + 1], f[:, 2 * d + 1:]
    gradient = (ahead - behind) / (2 * h)
    H = np.zeros((len(f), d, d))
    H[:, np.arange(d), np.arange(d)] = (ahead + behind - 2 * f[:, :1]) / h**2
    i, j = np.tril_indices(d, -1)
    H[:, i, j] = H[:, j, i] = (mixed - ahead[:, i] - ahead[:, j] + f[:, :1]) / h**2
    curvature, frame = np.linalg.eigh(H)
    slope = np.einsum("mji,mj->mi", frame, gradient)
    step = slope / np.maximum(np.abs(curvature), 1e-9)
    length = np.linalg.norm(step, axis=1)
    step = step * np.minimum(1.0, radius / np.maximum(length, 1e-300))[:, None]
    return np.einsum("mij,mj->mi", frame, step), (slope * step).sum(1)


def in_span(mixture: Mixture) -> tuple[Mixture, Float[ndarray, "r d"]]:
    """The same atoms in coordinates of their affine span: off the span the flow only multiplies by s.

    Args:
        mixture: n components in R^d.

    Returns:
        The mixture in r = min(n - 1, d) dimensions (at least 1), and the orthonormal rows that span them.
    """
    centred = mixture.means - mixture.weights @ mixture.means
    _, size, rows = np.linalg.svd(centred, full_matrices=False)
    rank = max(1, int((size > 1e-12 * max(size[0], 1e-300)).sum()))
    return Mixture(centred @ rows[:rank].T, mixture.variances, mixture.weights), rows[:rank]


def image_grid(mixture: Mixture, s: float, reach: float, points: int) -> Float[ndarray, "g g 2"]:
    """A square grid of the image plane at level s that holds the images of all latents with |z| <= reach.

    Args:
        mixture: atoms in the plane.
        s: noise level > 0.
        reach: radius in the latent plane.
        points: an axis.

    Returns:
        Points, index [row, column].
    """
    mean = mixture.weights @ mixture.means
    half = np.linalg.norm(mixture.means - mean, axis=1).max() + reach * s
    axis = np.linspace(-half, half, points)
    return mean + np.stack(np.meshgrid(axis, axis), axis=-1)


def lipschitz_bound(mixture: Mixture, s: float) -> float:
    """Natural logarithm of `s exp(D^2 / (8 s^2))`, D the diameter of the atoms.

    Args:
        mixture: atoms (all variances zero).
        s: noise level sigma / alpha > 0.

    Raises:
        ValueError: for components of positive width, whose support is not bounded, or a level that is not positive.
    """
    s = number("s", s, "a noise level > 0", above=0)
    if (mixture.variances > 0).any():
        raise ValueError(f"variances = {mixture.variances.tolist()}: take zeros; the bound needs a bounded support")
    diameter = pdist(mixture.means).max() if len(mixture.means) > 1 else 0.0
    return float(np.log(s) + diameter**2 / (8 * s**2))
