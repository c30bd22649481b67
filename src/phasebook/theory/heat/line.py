"""Gaussian mixtures on the line: heat flow, Brenier maps and W2 to full relative accuracy.

    rho = sum_i w_i N(m_i, s_i^2),    rho_t = rho * N(0, t) = sum_i w_i N(m_i, s_i^2 + t).

On the line the Brenier map is the monotone one, `F_t(T(x)) = F(x)`, F the distribution function, and the flow
map of the heat flow is the same map. The equation is solved for the displacement `u = T(x) - x`, and
`F_t(x + u) - F(x)` is formed as a sum of integrals of the normal density over short intervals: no digits are lost
for small t. (The difference of two distribution functions would leave an error of 1e-16 in T.) float64.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import log_ndtr, ndtr, softmax

from phasebook.arguments import number

__all__ = ["LineMixture", "check_mixture", "norm", "quadrature"]

LEGENDRE = np.polynomial.legendre.leggauss(8)
AT_ONCE = 4_000_000     # numbers in the integrals that are taken at a time
DEEP = 300.0            # a logarithm beyond which a tail is left to logarithms


@dataclass(frozen=True, eq=False)
class LineMixture:
    """`sum_i weights_i N(means_i, stds_i^2)`; ValueError where `check_mixture` refuses it.

    Args:
        means: lengths.
        stds: standard deviations, positive.
        weights: positive, of sum 1.
    """

    means: Float[ndarray, " n"]
    stds: Float[ndarray, " n"]
    weights: Float[ndarray, " n"]

    def __post_init__(self):
        check_mixture(self.means, self.stds, self.weights)
        for name in ("means", "stds", "weights"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))

    def heat(self, t: float) -> "LineMixture":
        """`rho_t`, Eq. (9). ValueError for a t at which a variance is not positive."""
        self._check_time(t)
        return LineMixture(self.means, np.sqrt(self.stds**2 + t), self.weights)

    def _check_time(self, t: float) -> None:
        least = self.stds.min() ** 2
        if number("t", t, "a heat time") <= -least:
            raise ValueError(f"t = {t:g}: takes a heat time > {-least:g}, at which every variance is positive")

    def log_density(self, x: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """`log rho(x)`."""
        return np.logaddexp.reduce(self._log_terms(x), axis=-1)

    def cdf(self, x: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """`F(x)`."""
        return ndtr((np.asarray(x)[..., None] - self.means) / self.stds) @ self.weights

    def _log_terms(self, x):
        z = (np.asarray(x)[..., None] - self.means) / self.stds
        return np.log(self.weights / self.stds) - z**2 / 2 - np.log(2 * np.pi) / 2

    def ratios(self, x: Float[ndarray, "*b"], order: int) -> list[Float[ndarray, "*b"]]:
        """`[rho^(n) / rho for n = 0 .. order]`: Hermite polynomials averaged with the responsibilities."""
        z = (np.asarray(x)[..., None] - self.means) / self.stds
        share = softmax(self._log_terms(x), axis=-1)
        hermite, before, out = np.ones_like(z), np.zeros_like(z), []
        for n in range(order + 1):
            out.append((share * hermite / (-self.stds) ** n).sum(-1))
            hermite, before = z * hermite - n * before, hermite
        return out

    def score(self, x: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """`(log rho)'`; the heat velocity (20) is -1/2 of it."""
        return self.ratios(x, 1)[1]

    def grad_ratio(self, x: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """`(rho'' / rho)'`, the second term of Eq. (24)."""
        _, p1, p2, p3 = self.ratios(x, 3)
        return p3 - p1 * p2

    def grad_q(self, x: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """`Q'`, `Q = (log rho)'' + (log rho)'^2 / 2`."""
        _, p1, p2, p3 = self.ratios(x, 3)
        return p3 - 2 * p1 * p2 + p1**3

    def third_order(self, x: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """b with `T_eps = Id + eps v_0 - (eps^2/8) Q' + eps^3 b + O(eps^4)`: `b = -(d_t Q' + Q'' v_0) / 24`.

        From `d_x p_n = p_{n+1} - p_n p_1` and `d_t p_n = (p_{n+2} - p_n p_2) / 2` for `p_n = rho^(n) / rho`.
        """
        p = self.ratios(x, 5)
        in_time = [(p[n + 2] - p[n] * p[2]) / 2 for n in (1, 2, 3)]
        in_space = [p[n + 1] - p[n] * p[1] for n in (1, 2, 3)]

        def change(d1, d2, d3):
            return d3 - 2 * (d1 * p[2] + p[1] * d2) + 3 * p[1] ** 2 * d1

        return -(change(*in_time) - change(*in_space) * p[1] / 2) / 24

    def displacement(self, x: Float[ndarray, " p"], t: float) -> Float[ndarray, " p"]:
        """`T(x) - x` of the Brenier map from rho to `rho_t`.

        Newton inside a bracket: T lies between the least and the largest of the components' own maps.

        Args:
            x: points.
            t: heat time, length^2; negative for the map back, while every variance stays positive.

        Raises:
            ValueError: for a t at which a variance is not positive.
        """
        self._check_time(t)
        x = np.asarray(x, dtype=np.float64)
        size = max(1, AT_ONCE // (len(LEGENDRE[0]) * len(self.means)))
        if len(x) > size:
            return np.concatenate([self.displacement(x[top:top + size], t) for top in range(0, len(x), size)])
        wide = np.sqrt(self.stds**2 + t)
        z = (x[:, None] - self.means) / self.stds
        own = z * t / (wide + self.stds)                               # (x - m)(wide / s - 1), no cancellation
        low, high = own.min(1), own.max(1)
        terms = self._log_terms(x)
        scale, leads = terms.max(-1), np.take_along_axis(own, terms.argmax(-1)[:, None], 1)[:, 0]
        u = np.where(scale > -DEEP, np.clip(-t / 2 * self.score(x), low, high), leads)
        noise = 1e-15 * np.abs(own).max(1) + 1e-17 * abs(t)
        for _ in range(200):
            excess, slope = self._excess(z, own, u, wide, scale)
            low, high = np.where(excess > 0, low, u), np.where(excess > 0, u, high)
            step = np.divide(excess, slope, out=np.full_like(u, np.inf), where=slope > 1e-300 * (1 + np.abs(excess)))
            new = u - step
            inside = (new >= low) & (new <= high)
            new = np.where(inside, new, (low + high) / 2)
            done = np.abs(new - u) <= noise
            u = new
            if done.all():
                break
        return u

    def _excess(self, z, own, u, wide, scale):
        """`(F_t(x + u) - F(x)) e^{-scale}` and its derivative in u; both smaller where that would be too large.

        Component i contributes `Phi(b) - Phi(z)`, `b = (x + u - m) / wide`, and `b - z = (u - own) / wide`.
        """
        gap = (u[:, None] - own) / wide
        nodes, weights = (LEGENDRE[0] + 1) / 2, LEGENDRE[1] / 2
        inner = z[..., None] + gap[..., None] * nodes
        shift = np.log(self.weights) - np.log(2 * np.pi) / 2 - scale[:, None]
        b = z + gap
        flip = np.where(z + b > 0, -1.0, 1.0)                          # the tail where ndtr keeps its digits
        coarse = flip * (ndtr(flip * b) - ndtr(flip * z)) * self.weights * _exp(-scale)[:, None]
        if (deep := scale <= -DEEP).any():                             # it has none left there, but its logarithm has
            ends = log_ndtr(flip[deep] * np.stack([b[deep], z[deep]]))
            rise, top = ends[0] - ends[1], ends.max(0) + np.log(self.weights) - scale[deep, None]
            most = np.maximum(top.max(1, keepdims=True), 0)            # of one factor more, excess and slope alike
            coarse[deep] = flip[deep] * np.sign(rise) * -np.expm1(-np.abs(rise)) * np.exp(top - most)
            shift[deep] -= most
        smooth = gap * (_exp(shift[..., None] - inner**2 / 2) @ weights)
        near = np.abs(gap) < 0.5 / np.maximum(1, np.abs(z) / 8)        # eight nodes do for a density that varies by e^4
        excess = np.where(near, smooth, coarse).sum(1)
        return excess, (_exp(shift - b**2 / 2) / wide).sum(1)


def _exp(exponent):
    """Bounded: where a deep valley meets a heavy neighbour the bracket decides, not Newton's step."""
    return np.exp(np.minimum(exponent, DEEP))


def quadrature(rho: LineMixture, reach: float = 11.0) -> tuple[Float[ndarray, " p"], Float[ndarray, " p"]]:
    """Nodes and weights with `sum weight f(node) = int f rho dx` for smooth f of moderate growth.

    Gauss-Legendre on panels of a quarter of every component's standard deviation.

    Args:
        rho: the mixture.
        reach: how far out, in standard deviations of each component.
    """
    steps = np.arange(-4 * reach, 4 * reach + 1) / 4
    cuts = np.unique((rho.means[:, None] + rho.stds[:, None] * steps).ravel())
    nodes, weights = LEGENDRE
    half = np.diff(cuts)[:, None] / 2
    x = ((cuts[:-1] + cuts[1:])[:, None] / 2 + half * nodes).ravel()
    w = (half * weights).ravel() * np.exp(rho.log_density(x))
    keep = w > 1e-40
    return x[keep], w[keep]


def norm(field: Float[ndarray, " p"], weight: Float[ndarray, " p"]) -> float:
    """L2(rho) norm of values at the nodes of `quadrature`, with its weights."""
    return float(np.sqrt((weight * field**2).sum()))


def check_mixture(means, stds, weights, names=("mixture_means", "mixture_stds", "mixture_weights")) -> None:
    """Refuse what is no mixture.

    Args:
        means: finite numbers.
        stds: positive numbers, as many.
        weights: positive numbers of sum 1, as many.
        names: of the three parameters, for the message.

    Raises:
        ValueError: one line naming the parameter, its value and what is accepted.
    """
    for name, values in zip(names, (means, stds, weights), strict=True):
        if len(values) == 0 or not np.isfinite(np.asarray(values, dtype=np.float64)).all():
            raise ValueError(f"{name} = {list(values)}: takes finite numbers, at least one")
    if not len(means) == len(stds) == len(weights):
        raise ValueError(f"{', '.join(names)}: lengths {len(means)}, {len(stds)}, {len(weights)}; take equal lengths")
    if min(stds) <= 0:
        raise ValueError(f"{names[1]} = {list(stds)}: take numbers > 0")
    if min(weights) <= 0 or abs(sum(weights) - 1) > 1e-9:
        raise ValueError(f"{names[2]} = {list(weights)}: take positive numbers that sum to 1")
