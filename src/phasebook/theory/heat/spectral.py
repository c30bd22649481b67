"""Fourier calculus on the torus grid: derivatives, inverse Laplacian, off-grid values, resolution.

Fields are real, shape `(n,) * d`; the transform is scipy's `rfftn`. Odd derivatives of the Nyquist mode are set
to zero: on the grid that mode is a pure sign change and has no slope.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray
from scipy.fft import irfftn, next_fast_len, rfftn

__all__ = ["Spectral", "coarsest", "spectral", "tail"]


class Spectral:
    """Derivatives on the grid of `n` points an axis in `d` dimensions; build through `spectral(n, d)`.

    Args:
        n: points an axis, of period 2 pi.
        d: dimension, 1 or 2.
    """

    def __init__(self, n: int, d: int):
        self.n, self.d, self.shape = n, d, (n,) * d
        self.axes = tuple(range(-d, 0))
        whole = np.fft.fftfreq(n, 1 / n)
        axes = [whole] * (d - 1) + [np.abs(whole[: n // 2 + 1])]
        full = np.stack(np.meshgrid(*axes, indexing="ij"))
        odd = np.where(2 * np.abs(full) == n, 0.0, full)
        self.wave = odd                                                # (d, *half)
        self.square = (full**2).sum(0)
        self.inverse = np.divide(-1.0, self.square, out=np.zeros_like(self.square), where=self.square > 0)
        # first derivatives, then the upper triangle of the Hessian
        self.pairs = [(i, j) for i in range(d) for j in range(i, d)]
        second = [-(full[i] ** 2) if i == j else -odd[i] * odd[j] for i, j in self.pairs]
        self.symbols = np.stack([*(1j * odd), *second])

    def forward(self, field: Float[ndarray, "..."]) -> Complex[ndarray, "..."]:
        """The transform over the last d axes."""
        return rfftn(field, axes=self.axes)

    def back(self, hat: Complex[ndarray, "..."]) -> Float[ndarray, "..."]:
        """The field with transform `hat`."""
        return irfftn(hat, s=self.shape, axes=self.axes)

    def jet(self, hat: Complex[ndarray, "*half"]) -> tuple[Float[ndarray, "d *n"], Float[ndarray, "p *n"]]:
        """Gradient, and the upper triangle of the Hessian (order `self.pairs`), of the field with transform hat."""
        both = self.back(self.symbols * hat)
        return both[: self.d], both[self.d:]

    def gradient(self, field: Float[ndarray, "*n"]) -> Float[ndarray, "*n d"]:
        """Gradient of a scalar field, components last."""
        return np.moveaxis(self.back(1j * self.wave * self.forward(field)), 0, -1)

    def divergence(self, field: Float[ndarray, "*n d"]) -> Float[ndarray, "*n"]:
        """Divergence of a vector field, components last."""
        return self.back((1j * self.wave * self.forward(np.moveaxis(field, -1, 0))).sum(0))

    def jacobian(self, field: Float[ndarray, "*n d"]) -> Float[ndarray, "*n d d"]:
        """`J[.., i, j] = d field_i / d x_j`."""
        return np.stack([self.gradient(field[..., i]) for i in range(self.d)], axis=-2)

    def at(self, field: Float[ndarray, "*n c"], x: Float[ndarray, "p d"]) -> Float[ndarray, "p c"]:
        """Trigonometric interpolation of fields given on the grid, at any points: the exact mode sum."""
        hat = self.forward(np.moveaxis(field, -1, 0)) / self.n**self.d
        count = 2 - (np.arange(self.n // 2 + 1) == 0) - (2 * np.arange(self.n // 2 + 1) == self.n)
        hat = hat * count                                              # a real field: the half spectrum twice
        # waves whose coefficients are round-off are left out
        kept = np.abs(hat).max(0) > 1e-16 * np.abs(hat).max()
        top = int(np.abs(self.wave).max(0, where=kept, initial=0).max()) + 2
        top = min(top, self.n // 2 + 1)
        last = _powers(x[:, -1], top)
        if self.d == 1:
            return (last @ hat[:, :top].T).real
        half = _powers(x[:, 0], top)                                   # waves 0, 1, .. and then -1, -2, ..
        rows = np.r_[0:top, self.n - 1: self.n - min(top, (self.n + 1) // 2): -1]
        first = np.concatenate([half, half[:, 1: len(rows) - top + 1].conj()], axis=1)
        inner = first @ np.concatenate([h[rows, :top] for h in hat], axis=1)
        return np.einsum("pck,pk->pc", inner.reshape(len(x), len(hat), top), last).real


def _powers(angle: Float[ndarray, " p"], count: int) -> Complex[ndarray, "p count"]:
    """`exp(i k angle)` for k = 0 .. count - 1, by repeated doubling: products are cheaper than exponentials."""
    table = np.ones((len(angle), count), dtype=complex)
    done = 1
    while done < count:
        more = min(done, count - done)
        table[:, done: done + more] = table[:, :more] * np.exp(1j * done * angle)[:, None]
        done += more
    return table


@lru_cache(maxsize=16)
def spectral(n: int, d: int) -> Spectral:
    """The (cached, read-only) calculus of the grid of n points an axis in d dimensions."""
    return Spectral(n, d)


def tail(field: Float[ndarray, "*n"]) -> float:
    """How far a field is from being resolved: the share (as a norm) of its gradient above 2/3 of the Nyquist wave.

    Args:
        field: scalar, on a grid of any dimension.

    Returns:
        A number in [0, 1].
    """
    ops = spectral(field.shape[0], field.ndim)
    power = np.abs(ops.forward(field)) ** 2 * ops.square
    high = np.abs(ops.wave).max(0) > field.shape[0] / 3
    high |= ops.square >= (field.shape[0] / 2) ** 2
    return float(np.sqrt(power[high].sum() / max(power.sum(), 1e-300)))


def coarsest(values, start: int, wanted: float, limit: int) -> tuple[int, float]:
    """The first grid of `start`, then about a quarter finer each time up to `limit`, whose field has a tail <= wanted.

    Args:
        values: of n, the field on n points an axis.
        start: the first number of points an axis.
        wanted: the largest `tail` allowed.
        limit: the largest number of points an axis.

    Returns:
        The points an axis and their tail; where even `limit` fails, `limit` and its tail.
    """
    n = start
    while (share := tail(values(n))) > wanted and n < limit:
        n = min(2 * next_fast_len(int(np.ceil(5 * n / 8)), real=True), limit)
    return n, share
