r"""The curvature of a decoded slice: Gauss's equation from exact first and second derivatives of the flow.

A two-dimensional slice `z(u) = z_0 + u_1 b_1 + u_2 b_2` of the latent space carries, under `G = J^T J`, the metric of
the surface `D(z(u))` in data space. With `D_i, D_ij` the derivatives of `u -> D(z(u))` and `II_ij` the part of `D_ij`
normal to the surface, its Gaussian curvature is (Gauss's equation; do Carmo 1992, chapter 6)

    K = (II_11 . II_22 - |II_12|^2) / (G_11 G_22 - G_12^2),

and over a rectangle of the slice the theorem of Gauss and Bonnet reads

    int K dA + int_boundary k_g ds + sum of exterior angles = 2 pi.

D is the probability-flow map of an exact mixture. Its derivatives run along with it: `dx / d lambda = f(x)` gives
`x_i' = Df[x_i]` and `x_ij' = D^2 f[x_i, x_j] + Df[x_ij]`, with the score's derivatives in closed form. The classical
Runge-Kutta method on the whole system returns the exact derivatives of its own map. float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import Schedule

__all__ = ["Surface", "gauss_bonnet", "score_derivatives", "surface"]


FINER = 8               # panels of a side for one of the inside: the boundary costs little


class Surface(NamedTuple):
    """Points of a decoded slice with their derivatives along it.

    Attributes:
        x: (*b, d) the decoded points `D(z(u))`.
        first: (2, *b, d) `D_1, D_2`.
        second: (3, *b, d) `D_11, D_12, D_22`.
    """

    x: Float[ndarray, "*b d"]
    first: Float[ndarray, "2 *b d"]
    second: Float[ndarray, "3 *b d"]

    def metric(self) -> Float[ndarray, "*b 2 2"]:
        """`G_ij = D_i . D_j`, Eq. (5) of the paper without features.

        Returns:
            (*b, 2, 2), in squared data units per squared slice unit.
        """
        return np.einsum("i...d,j...d->...ij", self.first, self.first)

    def christoffel(self) -> Float[ndarray, "3 2 *b"]:
        """`Gamma^k_ij`, the tangential part of `D_ij`: rows 11, 12, 22, then k.

        Returns:
            (3, 2, *b), per slice unit.
        """
        (e, f), (_, g) = np.moveaxis(self.metric(), (-2, -1), (0, 1))
        along = np.einsum("i...d,k...d->ik...", self.second, self.first)
        determinant = e * g - f**2
        return np.stack([g * along[:, 0] - f * along[:, 1], e * along[:, 1] - f * along[:, 0]], 1) / determinant

    def normal_part(self) -> Float[ndarray, "3 *b d"]:
        """The second fundamental form `II_ij = D_ij - Gamma^k_ij D_k`: rows 11, 12, 22.

        Returns:
            (3, *b, d), in data units per squared slice unit.
        """
        return self.second - np.einsum("ik...,k...d->i...d", self.christoffel(), self.first)

    def curvature(self) -> Float[ndarray, "*b"]:
        """Gaussian curvature by Gauss's equation.

        Returns:
            (*b,), per squared data unit; 0 where the data are Gaussian, since D is then affine.
        """
        a, b, c = self.normal_part()
        return ((a * c).sum(-1) - (b**2).sum(-1)) / np.linalg.det(self.metric())


def score_derivatives(mixture: Mixture, x: Float[ndarray, "*b d"], alpha: float, sigma: float,
                      a: Float[ndarray, "k *b d"], pairs: list[tuple[int, int]]) -> tuple[ndarray, ndarray, ndarray]:
    """The score of `p_t` and its first and second derivatives along directions.

    With `g_i` the score of component i, `kappa_i` its precision, `r_i` its responsibility, `c_i(a) = (g_i - s) . a`,

        Ds[a]      = sum r_i c_i(a) g_i - kappa a,
        D^2s[a, b] = sum r_i [c_i(a) c_i(b) - kappa_i a . b - a . Ds[b]] g_i - sum r_i kappa_i [c_i(a) b + c_i(b) a].

    Args:
        mixture: the data.
        x: points in the frame of `x_t`.
        alpha: the signal's factor.
        sigma: the noise's standard deviation.
        a: k directions at each point.
        pairs: for which pairs of directions the second derivative is wanted.

    Returns:
        The score (*b, d), `Ds[a]` (k, *b, d) and `D^2s` (len(pairs), *b, d).
    """
    kappa = 1 / (alpha**2 * mixture.variances + sigma**2)
    r = mixture.responsibilities(x, alpha, sigma)

    def weighted(w):                                            # sum_i w_i g_i, g_i = kappa_i (alpha m_i - x)
        w = w * kappa
        return alpha * (w @ mixture.means) - w.sum(-1, keepdims=True) * x

    def dot(v, w):
        return (v * w).sum(-1, keepdims=True)

    s = weighted(r)
    c = kappa * (alpha * (a @ mixture.means.T) - dot(a, x)) - dot(a, s)
    first = weighted(r * c) - dot(r, kappa) * a
    second = []
    for i, j in pairs:
        inner = c[i] * c[j] - kappa * dot(a[i], a[j]) - dot(a[i], first[j])
        second.append(weighted(r * inner) - dot(r, kappa * c[i]) * a[j] - dot(r, kappa * c[j]) * a[i])
    return s, first, np.array(second)


def surface(mixture: Mixture, schedule: Schedule, origin: Float[ndarray, " d"], basis: Float[ndarray, "2 d"],
            u: Float[ndarray, "*b 2"], start: float, stop: float, steps: int = 128) -> Surface:
    """Decode a slice of the latent space, with its derivatives, by the probability flow.

    Args:
        mixture: the data, in d >= 2 dimensions.
        schedule: variance preserving; its log-SNR must be finite at both times.
        origin: `z_0`, in the frame of `x_t` at `start`.
        basis: `b_1, b_2`.
        u: coordinates on the slice.
        start: diffusion time of the latents.
        stop: diffusion time of the decoded points, less than `start`.
        steps: of the classical Runge-Kutta method, even in log-SNR.

    Returns:
        The surface.

    Raises:
        ValueError: where the log-SNR at `start` or `stop` is not finite.
    """
    levels = schedule.log_snr(np.array([start, stop], dtype=float))
    if not np.isfinite(levels).all():
        raise ValueError(f"start, stop = {start:g}, {stop:g}: take times of finite log-SNR in {schedule.name}")
    u, basis = np.asarray(u, dtype=float), np.asarray(basis, dtype=float)
    x = origin + u @ basis
    first = np.broadcast_to(basis.reshape(2, *[1] * (u.ndim - 1), -1), (2, *x.shape))
    state = np.concatenate([x[None], first, np.zeros((3, *x.shape))])
    for level, after in zip(*_neighbours(np.linspace(*levels, steps + 1)), strict=True):
        h = after - level
        k1 = _rate(mixture, state, level)
        k2 = _rate(mixture, state + h / 2 * k1, level + h / 2)
        k3 = _rate(mixture, state + h / 2 * k2, level + h / 2)
        k4 = _rate(mixture, state + h * k3, after)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return Surface(state[0], state[1:3], state[3:])


def _neighbours(values: ndarray) -> tuple[ndarray, ndarray]:
    return values[:-1], values[1:]


def _rate(mixture: Mixture, state: Float[ndarray, "6 *b d"], log_snr: float) -> Float[ndarray, "6 *b d"]:
    """`d / d lambda` of point, first and second derivatives: half of `sigma^2 (x + s)` and of its derivatives."""
    sigma2 = 1 / (1 + np.exp(log_snr))
    score, along, twice = score_derivatives(mixture, state[0], np.sqrt(1 - sigma2), np.sqrt(sigma2), state[1:],
                                            [(0, 0), (0, 1), (1, 1)])
    along[2:] += twice
    return sigma2 / 2 * (state + np.concatenate([score[None], along]))


def gauss_bonnet(mixture: Mixture, schedule: Schedule, origin: Float[ndarray, " d"], basis: Float[ndarray, "2 d"],
                 rectangle: Float[ndarray, " 4"], start: float, stop: float, panels: int = 8, order: int = 8,
                 steps: int = 128) -> tuple[float, float]:
    """Both sides of the theorem of Gauss and Bonnet over a rectangle of a slice.

    The integral of K comes from Gauss's equation, hence from the normal part of the second derivatives; the boundary's
    turning comes from their tangential part alone. The theorem says that the first is 2 pi minus the second.

    Args:
        mixture: the data.
        schedule: variance preserving.
        origin: of the slice.
        basis: of the slice.
        rectangle: `[u_1 from, to, u_2 from, to]`.
        start: diffusion time of the latents.
        stop: diffusion time of the decoded points.
        panels: Gauss-Legendre panels a side.
        order: points a panel and side.
        steps: of the flow.

    Returns:
        `int K dA`, and `2 pi` less the boundary's turning (both in radians).
    """
    (a, wa), (b, wb) = (_panels(*rectangle[i : i + 2], panels, order) for i in (0, 2))
    grid = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1)

    def patch(u):
        return surface(mixture, schedule, origin, basis, u, start, stop, steps)

    inside = patch(grid)
    area = np.sqrt(np.linalg.det(inside.metric()))
    curvature = float(wa @ (inside.curvature() * area) @ wb)
    turning = 0.0
    (a, wa), (b, wb) = (_panels(*rectangle[i : i + 2], FINER * panels, order) for i in (0, 2))
    for end, sign in ((rectangle[2], 1), (rectangle[3], -1)):                  # along u_1: below, then back above
        side = patch(np.column_stack([a, np.full_like(a, end)]))
        G = side.metric()
        turning += sign * wa @ (np.sqrt(np.linalg.det(G)) * side.christoffel()[0, 1] / G[:, 0, 0])
    for end, sign in ((rectangle[1], 1), (rectangle[0], -1)):                  # along u_2: right, then back on the left
        side = patch(np.column_stack([np.full_like(b, end), b]))
        G = side.metric()
        turning -= sign * wb @ (np.sqrt(np.linalg.det(G)) * side.christoffel()[2, 0] / G[:, 1, 1])
    corners = patch(np.array([[rectangle[i], rectangle[j]] for i in (0, 1) for j in (2, 3)])).metric()
    angle = np.arccos(corners[:, 0, 1] / np.sqrt(corners[:, 0, 0] * corners[:, 1, 1]))
    interior = np.where([True, False, False, True], angle, np.pi - angle)     # between the two sides that meet there
    return curvature, float(2 * np.pi - turning - (np.pi - interior).sum())


def _panels(low: float, high: float, panels: int, order: int) -> tuple[ndarray, ndarray]:
    """Nodes and weights of composite Gauss-Legendre quadrature."""
    node, weight = np.polynomial.legendre.leggauss(order)
    width = (high - low) / panels
    middle = low + width * (np.arange(panels) + 0.5)
    return (middle[:, None] + width / 2 * node).ravel(), np.tile(width / 2 * weight, panels)
