r"""Geodesics of a model's spacetime: splines of least energy in the good chart, many curves at once, coarse to fine.

A curve is a cubic spline in the chart `(y, u)` of `mixtures.spacetime.chart`, in which Gaussian data have circles, and
starts as that circle. The energy `E = sum (eta_{i+1} - eta_i) . (mu_{i+1} - mu_i)` has the gradient

    dE / d eta_i = (2 mu_i - mu_{i-1} - mu_{i+1}) + G_i (2 eta_i - eta_{i-1} - eta_{i+1}),

G the Fisher-Rao tensor. For true posteriors it is symmetric, so that `G_i p` is the derivative of mu along p: a second
evaluation of the model nearby, no differentiation of a differentiation. A network's Jacobian is symmetric only nearly;
what a search by this gradient has gained is therefore measured, on probes that the search has not used (`measure`). No
term of a true posterior is negative. A network's may be, where it is wrong, and then counts with its absolute value,
lest a search look for such places; its sign goes with it in the gradient.

All curves are let down together, each by an L-BFGS of its own (`descent`), in coordinates in which Gaussian data would
have a Hessian near one.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.interpolate import CubicSpline
from scipy.linalg import cholesky, solve_triangular
from torch import Tensor

from phasebook.arguments import brief, numbers, whole
from phasebook.mixtures.spacetime.chart import Chart
from phasebook.sampling.protocols import Model, Prompt
from phasebook.spacetime.descent import descended
from phasebook.spacetime.expectations import FINEST, Expectations, Tangents, expectations

__all__ = ["CurveSearch", "circles", "expectations_along", "geodesics", "lines", "resampled"]

NEARBY = 0.05           # of the noise's norm: how far a point moves for the derivative of mu
LATER = 0.5             # share of the iterations that later, finer splines get


def circles(chart: Chart, ends: Float[ndarray, "c 2 d+1"], points: int) -> Float[ndarray, "c n d+1"]:
    """Chart points of the geodesics that Gaussian data of the chart's mean and variance would have.

    Args:
        chart: of the data.
        ends: natural parameters of the two ends of each curve.
        points: n, at equal shares.
    """
    z, s = chart.of_eta(ends), np.linspace(0, 1, whole("points", points, 2))
    return np.stack([chart.circle(a, b, s) for a, b in z])


def lines(chart: Chart, ends: Float[ndarray, "c 2 d+1"], points: int) -> Float[ndarray, "c n d+1"]:
    """Chart points of straight lines in the chart.

    Args:
        chart: of the data.
        ends: natural parameters of the two ends of each curve.
        points: n, at equal shares.
    """
    z, s = chart.of_eta(ends), np.linspace(0, 1, whole("points", points, 2))[:, None]
    return z[:, :1] + s * (z[:, 1:] - z[:, :1])


def resampled(chart: Chart, eta: Float[ndarray, "m d+1"], points: int) -> Float[ndarray, "n d+1"]:
    """A curve through given points at `points` places of equal Gaussian length.

    Args:
        chart: whose half-space metric measures length.
        eta: natural parameters along a curve; a point equal to the one before it is passed over.
        points: n.

    Raises:
        ValueError: for parameters that are none of a curve, or fewer than two points.
    """
    eta, points = numbers("eta", eta, "natural parameters (m, d + 1)"), whole("points", points, 2)
    if eta.ndim != 2 or eta.shape != (max(len(eta), 1), len(chart.mean) + 1):
        raise ValueError(f"eta: shape {eta.shape}; takes natural parameters (m, {len(chart.mean) + 1}), m >= 1")
    if not (eta[:, -1] < 0).all():
        raise ValueError(f"eta: k = {-2 * eta[:, -1].max():g}; takes k > 0, noise with some signal")
    z = chart.of_eta(eta)
    step, middle = np.diff(z, axis=0), (z[1:] + z[:-1]) / 2
    speed = np.array([np.einsum("i,ij,j", dz, chart.gaussian_metric(at[None])[0], dz)       # a table of d^2 for each
                      for dz, at in zip(step, middle, strict=True)])
    moved = np.append(True, speed > 0)
    if moved.sum() < 2:
        return np.repeat(np.asarray(eta, dtype=float)[:1], points, axis=0)
    arc = np.append(0, np.cumsum(np.sqrt(speed)))[moved]
    return chart.eta(CubicSpline(arc / arc[-1], z[moved])(np.linspace(0, 1, points)))


class CurveSearch:
    """The energies of many curves of one model, and their gradients.

    Args:
        model: any whose states are coordinates.
        chart: in which the curves are splines.
        ends: natural parameters of their ends.
        probes: of the search, the same at every evaluation.
        prompt: for all points.
        tangents: see `expectations.expectations`.

    Raises:
        ValueError: for ends that are no natural parameters of pairs.
    """

    def __init__(self, model: Model, chart: Chart, ends: Float[ndarray, "c 2 d+1"], probes: Float[Tensor, "r *s"],
                 prompt: Prompt | None = None, tangents: Tangents = "forward"):
        ends = numbers("ends", ends, "natural parameters (curve, 2, d + 1)").astype(float)
        if ends.ndim != 3 or ends.shape[1] != 2 or not len(ends):
            raise ValueError(f"ends: shape {ends.shape}; takes natural parameters (curve, 2, d + 1)")
        if not (ends[..., -1] < 0).all():
            raise ValueError(f"ends: k = {-2 * ends[..., -1].max():g}; takes k > 0, noise with some signal")
        self.model, self.chart, self.ends = model, chart, chart.of_eta(ends)
        self.probes, self.prompt, self.tangents = probes, prompt, tangents
        snr = model.levels(FINEST).log_snr
        snr = snr[np.isfinite(snr)][0]
        self.low = min(chart.level(np.exp(snr)), self.ends[..., -1].min())       # no noisier than the model knows
        self.mu_ends = self._mu(chart.eta(self.ends).reshape(-1, ends.shape[-1])).reshape(self.ends.shape)

    def _mu(self, eta: Float[ndarray, "p d+1"]) -> Float[ndarray, "p d+1"]:
        return expectations(self.model, eta, self.probes, self.prompt, self.tangents).mu

    def project(self, z: Float[ndarray, "c n d+1"]) -> Float[ndarray, "c n d+1"]:
        """The points, none noisier than the model's own noisiest level."""
        return np.concatenate([z[..., :-1], np.maximum(z[..., -1:], self.low)], axis=-1)

    def __call__(self, z: Float[ndarray, "c n d+1"]) -> tuple[Float[ndarray, " c"], Float[ndarray, "c n d+1"]]:
        """`(n - 1) E` of each curve through chart points, and its gradient; that of the ends is zero."""
        bound, z = z[..., -1] < self.low, self.project(z)
        c, n, width = z.shape
        eta = self.chart.eta(z)
        inner = eta[:, 1:-1].reshape(-1, width)
        here = self._mu(inner).reshape(c, n - 2, width)
        mu = np.concatenate([self.mu_ends[:, :1], here, self.mu_ends[:, 1:]], axis=1)
        terms = (np.diff(eta, axis=1) * np.diff(mu, axis=1)).sum(-1)
        sign = np.where(terms < 0, -1.0, 1.0)[..., None]
        pull = -np.diff(sign * np.diff(eta, axis=1), axis=1).reshape(-1, width)
        size = self._nearby(inner, pull)
        there = self._mu(inner + size * pull).reshape(here.shape)
        slope = (there - here) / size.reshape(c, n - 2, 1) - np.diff(sign * np.diff(mu, axis=1), axis=1)
        energy = np.abs(terms).sum(1)
        K, y = np.exp(z[:, 1:-1, -1:]), z[:, 1:-1, :-1]
        last = K * ((y * slope[..., :-1]).sum(-1, keepdims=True) - slope[..., -1:] / 2)
        gradient = np.zeros_like(z)
        gradient[:, 1:-1] = np.concatenate([K * slope[..., :-1], last], axis=-1)
        gradient[..., -1][bound] = 0
        return (n - 1) * energy, (n - 1) * gradient

    @staticmethod
    def _nearby(eta: Float[ndarray, "p d+1"], pull: Float[ndarray, "p d+1"]) -> Float[ndarray, "p 1"]:
        """By how much of `pull` a point moves: x by a share of the noise, k by the same share of itself."""
        k = -2 * eta[:, -1]
        x = np.linalg.norm(pull[:, :-1], axis=1) / np.sqrt(k * (eta.shape[1] - 1))
        return (NEARBY / (x + 2 * np.abs(pull[:, -1]) / k + 1e-300))[:, None]


def geodesics(search: CurveSearch, points: int = 17, nodes: Sequence[int] = (1, 3), iterations: int = 12,
              start: Float[ndarray, "c n d+1"] | None = None) -> Float[ndarray, "c n d+1"]:
    """Natural parameters along splines of least energy.

    Args:
        search: the curves' energies.
        points: at which the energy is summed.
        nodes: free nodes of the splines, coarse to fine.
        iterations: steps that are tried for the first splines; half as many for each later one.
        start: chart points between the ends of the search; the Gaussian circles unless given.

    Returns:
        The curves; of each the start where the search has not lowered its energy.

    Raises:
        ValueError: for fewer points than a spline's nodes and ends, no iteration, or a start that is none of them or
            has other ends.
    """
    if not isinstance(nodes, Sequence) or not nodes:
        raise ValueError(f"nodes = {brief(nodes)}: takes numbers of nodes, coarse to fine, one at least")
    points = whole("points", points, max(whole("nodes", m, 1) for m in nodes) + 2)
    iterations = whole("iterations", iterations, 1)
    wanted = (len(search.ends), points, search.ends.shape[-1])
    if start is not None and np.shape(start) != wanted:
        raise ValueError(f"start: shape {np.shape(start)}; takes chart points {wanted}")
    # their mu is that of the search's ends, whatever the start has there
    if start is not None and not np.allclose(start[:, [0, -1]], search.ends, atol=1e-6 * np.ptp(search.ends)):
        raise ValueError("start: its ends are not those of the search; takes chart points between these")
    z = search.project(circles(search.chart, search.chart.eta(search.ends), points) if start is None else start)
    for stage, m in enumerate(nodes):
        z = _fitted(search, z, m, 1 + max(2, round(iterations * LATER ** min(stage, 1))))
    return search.chart.eta(z)


def _fitted(search: CurveSearch, z: Float[ndarray, "c n d+1"], nodes: int, evaluations: int) -> ndarray:
    """Splines added to the curves z, with `nodes` free nodes each."""
    c, n, width = z.shape
    basis = CubicSpline(np.linspace(0, 1, nodes + 2), np.eye(nodes + 2))(np.linspace(0, 1, n))[:, 1:-1]
    stiff = np.diff(basis, axis=0)
    root = cholesky(2 * (n - 1) * stiff.T @ stiff)                      # upper
    whiten = solve_triangular(root, np.eye(nodes))
    # the half-space metric at the middle of each curve: K in y, d/2 in u
    in_y, in_u = np.exp(z[:, n // 2, -1:]).repeat(width - 1, 1), np.full((c, 1), (width - 1) / 2)
    scale = np.sqrt(np.concatenate([in_y, in_u], axis=1))
    free = basis @ whiten

    def moved(v: Float[ndarray, "c k"]) -> Float[ndarray, "c n d+1"]:
        return z + np.einsum("nm,cmw->cnw", free, v.reshape(c, nodes, width)) / scale[:, None]

    def value(v: Float[ndarray, "c k"]) -> tuple[Float[ndarray, " c"], Float[ndarray, "c k"]]:
        energy, gradient = search(moved(v))
        return energy, np.einsum("nm,cnw->cmw", free, gradient / scale[:, None]).reshape(c, -1)

    return search.project(moved(descended(value, np.zeros((c, nodes * width)), evaluations)))


def expectations_along(search: CurveSearch, eta: Float[ndarray, "c n d+1"],
                       probes: Float[Tensor, "r *s"]) -> list[Expectations]:
    """Expectations of each curve's points with other probes than the search's.

    Args:
        search: names the model, the prompt and how derivatives are taken.
        eta: natural parameters along the curves.
        probes: shared by all points.
    """
    c, n, width = eta.shape
    all_ = expectations(search.model, eta.reshape(-1, width), probes, search.prompt, search.tangents)
    x0, square = all_.x0.reshape(c, n, -1), all_.square.reshape(-1, c, n)
    return [Expectations(x0[i], square[:, i]) for i in range(c)]
