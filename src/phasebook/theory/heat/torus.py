"""Densities on the flat torus `[0, 2 pi)^d`, d = 1 or 2, as trigonometric polynomials, and their exact heat flow.

    rho(x) = 1 + sum_j a_j cos(k_j . x + theta_j),       k_j an integer vector, not 0,

with respect to the probability measure `dx / (2 pi)^d`, so rho has mean 1. The heat flow (10) multiplies each
amplitude by `exp(-|k|^2 t / 2)`: exact at every t, backwards too (`t < 0`) for as long as rho stays positive.
Off-grid values and derivatives are sums over the modes. float64.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import hyp1f1

from phasebook.arguments import brief, numbers

__all__ = ["TorusDensity", "check_modes", "grid_points", "mean_norm"]

# a minimum below this counts as touching zero: 1/rho leaves nothing that a grid could resolve
LEAST_DENSITY = 1e-6
LARGEST_PHASE = 1e6
PART = 4_000_000        # points times modes that are looked at together
DIPS = 1000             # of a grid that are followed down
PER_WAVE = 6            # points of a grid on which the least value is looked for
FASTEST = {1: 4096 // PER_WAVE, 2: 768 // PER_WAVE}     # the largest wave number that such a grid is made for


def grid_points(n: int, d: int) -> Float[ndarray, "*n d"]:
    """The `n^d` points `2 pi j / n`, shape (n,) * d + (d,), for n points an axis in d dimensions."""
    axis = 2 * np.pi * np.arange(n) / n
    return np.stack(np.meshgrid(*[axis] * d, indexing="ij"), axis=-1)


def mean_norm(field: Float[ndarray, "*p d"], weight: Float[ndarray, "*p"]) -> float:
    """`(mean weight |field|^2)^(1/2)`: the L2(rho) norm by the trapezoidal rule, spectrally accurate on a torus.

    Args:
        field: vectors at grid points, components last.
        weight: rho at the grid points.
    """
    return float(np.sqrt(np.mean(weight * (field**2).sum(-1))))


@dataclass(frozen=True, eq=False)
class TorusDensity:
    """`1 + sum_j amplitude_j cos(wave_j . x + phase_j)`, with respect to `dx / (2 pi)^d`.

    Args:
        wave: wave vectors, integers.
        amplitude: one a mode.
        phase: one a mode.
    """

    wave: Float[ndarray, "m d"]
    amplitude: Float[ndarray, " m"]
    phase: Float[ndarray, " m"]

    @classmethod
    def from_rows(cls, rows, d: int = 2) -> "TorusDensity":
        """From rows `(k_1, .., k_d, amplitude, phase)`; ValueError where `check_modes` refuses them."""
        check_modes(rows, d)
        table = np.asarray(rows, dtype=np.float64)
        return cls(table[:, :d], table[:, d], table[:, d + 1])

    @property
    def d(self) -> int:
        """The dimension."""
        return self.wave.shape[1]

    def heat(self, t: float) -> "TorusDensity":
        """`rho_t = rho * gamma_t`, Eq. (9); `t < 0` runs the flow backwards."""
        decay = np.exp(-(self.wave**2).sum(1) * t / 2)
        return TorusDensity(self.wave, self.amplitude * decay, self.phase)

    def angles(self, x: Float[ndarray, "*p d"]) -> Float[ndarray, "*p m"]:
        """`wave_j . x + phase_j`."""
        return x @ self.wave.T + self.phase

    def __call__(self, x: Float[ndarray, "*p d"]) -> Float[ndarray, "*p"]:
        """`rho(x)`."""
        return 1 + np.cos(self.angles(x)) @ self.amplitude

    def increment(self, angles: Float[ndarray, "*p m"], u: Float[ndarray, "*p d"], t: float) -> Float[ndarray, "*p"]:
        """`rho_t(x + u) - rho(x)`, `angles = self.angles(x)`, to full relative accuracy for small u and t.

        The difference is taken mode by mode with expm1 and a product of sines: subtracting the two densities
        would lose all digits below 1e-16, which is where the Brenier map's second-order term lives.
        """
        turn = u @ self.wave.T
        decay = np.expm1(-(self.wave**2).sum(1) * t / 2)
        change = decay * np.cos(angles + turn) - 2 * np.sin(angles + turn / 2) * np.sin(turn / 2)
        return change @ self.amplitude

    def derivatives(self, x: Float[ndarray, "*p d"]):
        """`rho, grad rho, Hessian, Laplacian, grad Laplacian` at x: shapes (*p), (*p d), (*p d d), (*p), (*p d)."""
        angles, k, a = self.angles(x), self.wave, self.amplitude
        even, odd = np.cos(angles), np.sin(angles)
        square = (k**2).sum(1)
        outer = (k[:, :, None] * k[:, None, :]).reshape(len(k), -1)
        hessian = (-even @ (a[:, None] * outer)).reshape(*x.shape, self.d)
        return (1 + even @ a, -odd @ (a[:, None] * k), hessian, -even @ (a * square),
                odd @ ((a * square)[:, None] * k))

    def score(self, x: Float[ndarray, "*p d"]) -> Float[ndarray, "*p d"]:
        """`grad log rho`; the heat velocity (20) is -1/2 of it."""
        angles = self.angles(x)
        gradient = -np.sin(angles) @ (self.amplitude[:, None] * self.wave)
        return gradient / (1 + np.cos(angles) @ self.amplitude)[..., None]

    def grad_ratio(self, x: Float[ndarray, "*p d"]) -> Float[ndarray, "*p d"]:
        """`grad (Laplacian rho / rho)`, the second term of Eq. (24)."""
        rho, gradient, _, laplacian, grad_laplacian = self.derivatives(x)
        return grad_laplacian / rho[..., None] - (laplacian / rho**2)[..., None] * gradient

    def q(self, x: Float[ndarray, "*p d"]) -> Float[ndarray, "*p"]:
        """`Q = Laplacian log rho + |grad log rho|^2 / 2 = 2 Laplacian sqrt(rho) / sqrt(rho)`."""
        rho, gradient, _, laplacian, _ = self.derivatives(x)
        return laplacian / rho - ((gradient / rho[..., None]) ** 2).sum(-1) / 2

    def grad_q(self, x: Float[ndarray, "*p d"]) -> Float[ndarray, "*p d"]:
        """`grad Q`; the Wasserstein acceleration of the heat flow is `-grad Q / 4`."""
        rho, gradient, hessian, laplacian, grad_laplacian = self.derivatives(x)
        rho = rho[..., None]
        s = gradient / rho
        ratio = laplacian[..., None] / rho
        bend = hessian / rho[..., None] - s[..., :, None] * s[..., None, :]       # Hessian of log rho
        return grad_laplacian / rho - ratio * s - (bend @ s[..., None])[..., 0]

    def taylor_remainder(self, x: Float[ndarray, "*p d"], t: float) -> Float[ndarray, "*p"]:
        """`R_t = rho_t - rho - (t/2) Laplacian rho - (t^2/8) Laplacian^2 rho` of Eq. (18), without cancellation."""
        h = (self.wave**2).sum(1) * t / 2
        return np.cos(self.angles(x)) @ (self.amplitude * -(h**3) / 6 * hyp1f1(1, 4, -h))

    def minimum(self) -> float:
        """The least value of rho: the lowest dips of a fine grid, followed down; a lower bound, `1 - sum |a_j|`, where
        waves are finer than the finest grid resolves."""
        if np.abs(self.wave).max() > FASTEST[self.d]:
            return float(1 - np.abs(self.amplitude).sum())
        n = max(16, int(PER_WAVE * np.abs(self.wave).max()))
        x = grid_points(n, self.d).reshape(-1, self.d)
        parts = np.array_split(x, 1 + x.shape[0] * len(self.wave) // PART)
        values = np.concatenate([self(part) for part in parts])
        grid = values.reshape((n,) * self.d)
        beside = [np.roll(grid, shift, axis) for axis in range(self.d) for shift in (-1, 1)]
        dips = np.flatnonzero((grid <= np.min(beside, axis=0)).ravel())
        dips = dips[np.argsort(values[dips])[:DIPS]]
        return float(min(values.min(), self._descended(x[dips]).min()))

    def _descended(self, x: Float[ndarray, "p d"]) -> Float[ndarray, " p"]:
        """rho at the local minima below points: Newton's steps, curvatures taken positive; where one would not lead
        down, a step of the gradient over the largest curvature there is, which does."""
        largest = np.abs(self.amplitude) @ (self.wave**2).sum(1) or 1.0
        for _ in range(40):
            rho, gradient, hessian, *_ = self.derivatives(x)
            curvature, axes = np.linalg.eigh(hessian)
            slope = (gradient[:, None] @ axes)[:, 0] / np.maximum(np.abs(curvature), 1e-6 * largest)
            step = -(axes @ slope[..., None])[..., 0]
            x = x + np.where((self(x + step) <= rho)[:, None], step, -gradient / largest)
        return self(x)


def check_modes(rows, d: int = 2, grid: int | None = None, name: str = "torus_modes") -> None:
    """Refuse rows that are no positive density.

    Args:
        rows: `(k_1, .., k_d, amplitude, phase)` each.
        d: dimension.
        grid: points an axis on which every wave must have its own frequency, if given.
        name: of the parameter, for the message.

    Raises:
        ValueError: one line. Refused: no row, a row of another length, NaN, a wave vector that is not integer, is 0 or
            repeats another (k and -k are one wave), a density that is constant or touches zero, or may do so between
            the points of the finest grid on which it is looked at, a wave that aliases on the grid.
    """
    earlier: dict[tuple, int] = {}
    if len(rows) == 0:
        raise ValueError(f"{name} = []: takes at least one row (k, amplitude, phase)")
    for i, row in enumerate(rows):
        takes = f"{d + 2} numbers, {d} wave numbers, an amplitude and a phase"
        if numbers(f"{name}[{i}]", row, takes).shape != (d + 2,):
            raise ValueError(f"{name}[{i}] = {brief(row)}: takes {takes}")
        here = f"{name}[{i}] = {list(row)}"
        k = tuple(float(v) for v in row[:d])
        if abs(row[d + 1]) > LARGEST_PHASE:
            raise ValueError(f"{here}: takes a phase from {-LARGEST_PHASE:g} to {LARGEST_PHASE:g}; beyond, its sine "
                             "loses digits")
        if any(v != int(v) for v in k):
            raise ValueError(f"{here}: takes integer wave numbers (the torus is 2 pi-periodic)")
        if not any(k):
            raise ValueError(f"{here}: k = 0 is the constant, which is 1; takes a wave vector that is not 0")
        if grid is not None and max(abs(v) for v in k) >= grid / 2:
            raise ValueError(f"{here}: aliases on a grid of {grid}; takes |k| < {grid / 2:g}, "
                             f"or a grid of more than {2 * max(abs(v) for v in k):g}")
        if k in earlier or tuple(-v for v in k) in earlier:
            other = earlier.get(k, earlier.get(tuple(-v for v in k)))
            raise ValueError(f"{here}: the wave vector of row {other} again (k and -k are one); takes distinct ones")
        earlier[k] = i
    table = np.asarray(rows, dtype=np.float64)
    if not np.abs(table[:, d]).max() > 1e-9:
        raise ValueError(f"{name}: the density is constant; takes an amplitude of at least 1e-9")
    least = TorusDensity(table[:, :d], table[:, d], table[:, d + 1]).minimum()
    if least < LEAST_DENSITY and (fastest := np.abs(table[:, :d]).max()) > FASTEST[d]:
        raise ValueError(f"{name}: |k| = {fastest:.0f} with amplitudes of sum {1 - least:.3g}: takes |k| <= "
                         f"{FASTEST[d]}, or amplitudes of sum < 1, which are positive on any grid")
    if least < LEAST_DENSITY:
        raise ValueError(f"{name} = {[list(r) for r in rows]}: the density falls to {least:.2g}; takes amplitudes "
                         f"that keep it above {LEAST_DENSITY:g}")
