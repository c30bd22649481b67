"""What students are taught: data in parts, and the exact flow from latents to them.

Data are Gaussians of one variance. `Target.parts` says where their parts lie, so that what falls between them can be
counted. In the heat frame the flow is `dy / d log s = y - D(y, s)`, D the denoiser, as in `mixtures.latent_flow`; with
one variance the posterior is a softmax of products, which makes it fast. float64.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import ndtri, softmax
from scipy.stats import qmc

from phasebook.arguments import brief, numbers, whole
from phasebook.mixtures.latent_flow import far_level, whitening
from phasebook.mixtures.mixtures import Mixture

__all__ = ["TARGETS", "Target", "denoised", "flowed", "latents", "named_target", "of_pictures"]

DISK, RING = 0.1, 24            # standard deviation of a Gaussian in a disk or ring; Gaussians in a ring


@dataclass(frozen=True, eq=False)
class Target:
    """Data in parts.

    Attributes:
        name: of the target.
        mixture: the data, Gaussians of one variance.
        part: of points (*b, d), the part they lie in, or -1 (int, *b): what leaks.
        near: of points, the nearest part, however far.
        shares: of the parts.
        gaps: distances of the parts (m, m); None where they touch, and isoperimetry says nothing.
    """

    name: str
    mixture: Mixture
    part: Callable[[Float[ndarray, "*b d"]], Int[ndarray, "*b"]]
    near: Callable[[Float[ndarray, "*b d"]], Int[ndarray, "*b"]]
    shares: Float[ndarray, " m"]
    gaps: Float[ndarray, "m m"] | None

    @property
    def deviation(self) -> float:
        """Root mean square deviation of a coordinate."""
        mean = self.mixture.weights @ self.mixture.means
        square = self.mixture.weights @ ((self.mixture.means - mean)**2).mean(1)
        return float(np.sqrt(square + self.mixture.variances[0]))

    @property
    def gap(self) -> float:
        """The least distance of two parts, where they do not touch."""
        return float(self.gaps[~np.eye(len(self.gaps), dtype=bool)].min())

    def masses(self, x: Float[ndarray, "*b p d"]) -> Float[ndarray, "*b m"]:
        """The share of the points in each part."""
        part = self.part(x)
        return np.stack([(part == i).mean(-1) for i in range(len(self.shares))], -1)


def _balls(name: str, mixture: Mixture, centres: ndarray, radius: float, shares: ndarray) -> Target:
    """Parts that are balls around centres."""
    apart = np.linalg.norm(centres[:, None] - centres, axis=-1)

    def square(x: Float[ndarray, "*b d"]) -> Float[ndarray, "*b m"]:
        x = np.asarray(x, dtype=float)
        return (x**2).sum(-1)[..., None] - 2 * x @ centres.T + (centres**2).sum(1)

    def near(x: Float[ndarray, "*b d"]) -> Int[ndarray, "*b"]:
        return square(x).argmin(-1)

    def part(x: Float[ndarray, "*b d"]) -> Int[ndarray, "*b"]:
        distance = square(x)
        return np.where(distance.min(-1) <= radius**2, distance.argmin(-1), -1)

    return Target(name, mixture, part, near, shares, apart - 2 * radius)


def _disks(name: str, left: float) -> Target:
    """Two disks around (+-1.5, 0), seven Gaussians each, the left one of mass `left`."""
    turn = np.exp(1j * np.pi / 3 * np.arange(6))
    disk = np.r_[[[0.0, 0.0]], 0.28 * np.c_[turn.real, turn.imag]]
    centres, shares = np.array([[-1.5, 0.0], [1.5, 0.0]]), np.array([left, 1 - left])
    means = np.concatenate([centre + disk for centre in centres])
    mixture = Mixture(means, np.full(14, DISK**2), np.repeat(shares, 7) / 7)
    return _balls(name, mixture, centres, 0.28 + 4 * DISK, shares)


def _circle(count: int, radius: float) -> Float[ndarray, "count 2"]:
    angle = 2 * np.pi * np.arange(count) / count
    return radius * np.c_[np.cos(angle), np.sin(angle)]


def _eight(name: str) -> Target:
    """Eight Gaussians on a circle."""
    centres, shares = _circle(8, 2.0), np.full(8, 1 / 8)
    return _balls(name, Mixture(centres, np.full(8, DISK**2), shares), centres, 4 * DISK, shares)


def _ring(name: str) -> Target:
    """An annulus of Gaussians. Its parts are eight sectors, which touch."""
    def near(x: Float[ndarray, "*b 2"]) -> Int[ndarray, "*b"]:
        return np.floor((np.arctan2(x[..., 1], x[..., 0]) / (2 * np.pi) % 1) * 8).astype(int) % 8

    def part(x: Float[ndarray, "*b 2"]) -> Int[ndarray, "*b"]:
        return np.where(np.abs(np.hypot(x[..., 0], x[..., 1]) - 1) <= 4 * DISK, near(x), -1)

    mixture = Mixture(_circle(RING, 1.0), np.full(RING, DISK**2), np.full(RING, 1 / RING))
    return Target(name, mixture, part, near, np.full(8, 1 / 8), None)


TARGETS: dict[str, Callable[[str, float], Target]] = {
    "two_disks": lambda name, left: _disks(name, 0.5),
    "eight": lambda name, left: _eight(name),
    "unequal": _disks,
    "annulus": lambda name, left: _ring(name),
}


def named_target(name: str, left_mass: float = 0.2) -> Target:
    """A target of the plane by its name.

    Args:
        name: one of `TARGETS`.
        left_mass: of the left disk of `unequal`.

    Raises:
        ValueError: for any other name.
    """
    if name not in TARGETS:
        raise ValueError(f"target = {name!r}: takes one of {', '.join(TARGETS)}")
    return TARGETS[name](name, left_mass)


def of_pictures(pixels: Float[ndarray, "n *pixel"]) -> tuple[Target, Float[ndarray, "d k"]]:
    """The pictures in the space that they span.

    The differences of n pictures span n - 1 dimensions (or as many as there are pixels), and the exact model's flow
    leaves all others alone: nothing is lost. The Gaussians are a twentieth as wide as the two nearest pictures are
    apart; parts are balls of a quarter.

    Args:
        pixels: n different pictures.

    Returns:
        The target in d = min(n - 1, pixels) dimensions, of unit mean variance, and the matrix that leads back:
        `mean pixels + x @ back`.

    Raises:
        ValueError: for fewer than two pictures, or two that are equal.
    """
    given = numbers("pixels", pixels, "pictures (n, *pixel)").astype(float)
    flat = given.reshape(len(given), -1) if given.ndim > 1 and given.size else given.reshape(-1, 1)
    different = len(np.unique(flat, axis=0))
    if different < max(2, len(flat)):
        raise ValueError(f"pixels: {len(flat)} pictures, {different} different; takes two or more, all different")
    centred = flat - flat.mean(0)
    u, s, v = np.linalg.svd(centred, full_matrices=False)
    d = min(len(flat) - 1, flat.shape[1])
    scale = np.sqrt((s[:d]**2).sum() / (len(flat) * d))
    points = u[:, :d] * s[:d] / scale
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    nearest = apart[apart > 0].min()
    n = len(points)
    mixture = Mixture(points, np.full(n, (nearest / (20 * np.sqrt(d)))**2), np.full(n, 1 / n))
    return _balls("emoji", mixture, points, nearest / 4, np.full(n, 1 / n)), scale * v[:d]


def latents(count: int, dims: int, seed: int) -> Float[ndarray, "count dims"]:
    """Standard Gaussian points spread evenly: scrambled Sobol points through the quantiles. `count` a power of 2."""
    sobol = qmc.Sobol(dims, seed=seed).random(count)
    return ndtri(np.clip(sobol, 1e-12, 1 - 1e-12))


def denoised(mixture: Mixture, y: Float[ndarray, "p d"], s: float) -> Float[ndarray, "p d"]:
    """`E[x_0 | y]` at noise level s in the heat frame, for Gaussians of one variance. ValueError for several."""
    if np.ptp(mixture.variances) > 1e-9 * mixture.variances.max():
        raise ValueError(f"mixture: variances {brief(mixture.variances.tolist())}; takes Gaussians of one variance, or "
                         "mixtures.latent_flow, which takes all")
    spread = mixture.variances[0] + s**2
    means, offset = mixture.means, np.log(mixture.weights) - (mixture.means**2).sum(1) / (2 * spread)
    gain = mixture.variances[0] / spread
    return (1 - gain) * (softmax(y @ means.T / spread + offset, axis=-1) @ means) + gain * y


def flowed(mixture: Mixture, z: Float[ndarray, "p d"], levels: Float[ndarray, " k"],
           rate: int = 8) -> Float[ndarray, "k p d"]:
    """Latents under the exact flow, in the heat frame.

    Args:
        mixture: Gaussians of one variance.
        z: standard Gaussian latents.
        levels: noise levels s > 0, descending.
        rate: Runge-Kutta steps for each unit of log s.

    Returns:
        The states y at the levels.

    Raises:
        ValueError: for levels that are not positive or rise, no Runge-Kutta step, or Gaussians of several variances.
    """
    rate = whole("rate", rate, 1)
    levels = numbers("levels", levels, "noise levels > 0, descending")
    if levels.ndim != 1 or not len(levels) or levels.min() <= 0 or (np.diff(levels) > 0).any():
        raise ValueError(f"levels = {brief(levels.tolist())}: takes noise levels > 0, descending")
    s = far_level(mixture, float(levels[0]))
    mean, root = whitening(mixture, s)
    y, path = mean + z @ root, []

    def slope(y, at):
        return y - denoised(mixture, y, at)

    for level in levels:
        steps = max(1, int(np.ceil(rate * np.log(s / level))))
        h = np.log(level / s) / steps
        for k in range(steps):
            at = s * np.exp(k * h)
            a = slope(y, at)
            b = slope(y + h / 2 * a, at * np.exp(h / 2))
            c = slope(y + h / 2 * b, at * np.exp(h / 2))
            y = y + h / 6 * (a + 2 * b + 2 * c + slope(y + h * c, at * np.exp(h)))
        s = level
        path.append(y)
    return np.stack(path)
