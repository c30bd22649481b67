"""Two-dimensional slices of latent space, Eq. (3).

    z(alpha, beta) = z_0 + alpha (z_1 - z_0) + beta (z_2 - z_0),     optionally divided by its standard deviation

(unbiased, over the whole tensor, as the authors' public code does). alpha multiplies z_1 - z_0 and points up in
figures, beta multiplies z_2 - z_0 and points right.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from phasebook.arguments import array_of, brief, latent_shape, numbers, whole

__all__ = ["Plane", "check_anchors", "check_extent", "check_plane", "load_anchors", "paired", "read_array",
           "seeded_anchors"]

FLOATS = (np.float16, np.float32, np.float64)
MOST = 100_000                   # points along a side: ten billion in all
LARGEST = 1e6                    # in an anchor or an extent: far beyond, float32 loses the pictures


def seeded_anchors(shape: tuple[int, ...], seed: int) -> Float[ndarray, "3 *latent"]:
    """Three standard normal latents of `shape`, float32, drawn by torch's CPU generator from `seed`."""
    generator = torch.Generator().manual_seed(whole("seed", seed, 0, 2**63 - 1))
    return torch.randn((3, *latent_shape(shape)), generator=generator).numpy()


def load_anchors(path: str | Path, shape: tuple[int, ...]) -> Float[ndarray, "3 *latent"]:
    """Three latents from a `.npy` file. Nothing is unpickled.

    Args:
        path: of the file: float16, float32 or float64 of shape (3, *shape).
        shape: of a latent.

    Returns:
        The anchors.

    Raises:
        ValueError: one line that names the file and what is wrong with it.
    """
    label, takes = f"anchors = {str(path)!r}", f"takes a .npy file: one array of floats, shape {(3, *shape)}"
    anchors = read_array(path, label, takes)
    if anchors.dtype not in FLOATS:
        raise ValueError(f"{label}: holds {anchors.dtype}; {takes}")
    check_anchors(anchors, shape, label)
    return anchors


def read_array(path: str | Path, label: str, takes: str) -> ndarray:
    """The array in a `.npy` file of somebody's own. Nothing is unpickled.

    Args:
        path: of the file.
        label: what a refusal begins with.
        takes: what it ends with.

    Returns:
        The array, of any shape and type, in this machine's byte order.

    Raises:
        ValueError: one line, for a file that is not there or is none.
    """
    if os.path.exists(path) and not os.path.isfile(path):           # a pipe would be waited for
        raise ValueError(f"{label}: cannot be read (is no file); {takes}")
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{label}: cannot be read ({reason}); {takes}") from None
    except Exception as error:  # a header that is none makes numpy raise some eight kinds
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        if "allow_pickle" in reason:            # numpy's advice to unpickle is not ours
            reason = "pickled objects or not an array"
        raise ValueError(f"{label}: not a readable .npy array ({reason}); {takes}") from None
    if not isinstance(array, ndarray):
        raise ValueError(f"{label}: holds an archive; {takes}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def check_anchors(anchors: Float[ndarray, "3 *latent"], shape: tuple[int, ...], label: str = "anchors") -> None:
    """ValueError unless there are three finite latents of `shape` that span a plane."""
    if anchors.size == 0:
        raise ValueError(f"{label}: shape {anchors.shape}; takes three latents of two entries or more")
    if anchors.shape != (3, *shape):
        raise ValueError(f"{label}: shape {anchors.shape}; takes {(3, *shape)}, three latents")
    numbers(label, anchors, "three latents")
    flat = anchors.reshape(3, -1).astype(np.float64)        # differences of float16 may be beyond float16
    if (largest := float(np.abs(flat).max())) > LARGEST:
        raise ValueError(f"{label}: a number of size {largest:.3g} in it; takes numbers up to {LARGEST:g}")
    size = np.linalg.svd(flat[1:] - flat[0], compute_uv=False)
    if len(size) < 2 or size[-1] <= 1e-5 * max(size[0], largest, 1e-300):
        raise ValueError(f"{label}: the three latents lie on one line or coincide; take three that span a plane")


def check_extent(extent: list[float]) -> list[float]:
    """`[alpha0, alpha1, beta0, beta1]` with finite, increasing ends; ValueError in one line otherwise."""
    try:
        ends = np.asarray(extent, dtype=float) if np.asarray(extent).dtype.kind != "U" else np.empty(0)
    except (TypeError, ValueError, OverflowError):
        ends = np.empty(0)
    if ends.shape != (4,) or not np.isfinite(ends).all():
        raise ValueError(f"extent = {brief(extent)}: takes four finite numbers alpha0, alpha1, beta0, beta1")
    extent = [end.item() if isinstance(end, np.generic) else end for end in extent]
    if max(map(abs, extent)) > LARGEST:
        raise ValueError(f"extent = {extent}: takes numbers from {-LARGEST:g} to {LARGEST:g}")
    a0, a1, b0, b1 = extent
    least = 1e-6 * max(1.0, *map(abs, extent))          # closer grid points than float32 can tell apart
    if a1 - a0 < least or b1 - b0 < least:
        raise ValueError(f"extent = {extent}: takes alpha0 < alpha1 and beta0 < beta1 (apart by {least:.0e})")
    return extent


def paired(alpha: Float[ndarray, " n"],
           beta: Float[ndarray, " n"]) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """Coordinates of points as two arrays; ValueError unless they are as many numbers of each."""
    given = [array_of(one) for one in (alpha, beta)]
    if any(one is None for one in given):
        raise ValueError(f"alpha, beta = {brief(alpha)}, {brief(beta)}: takes n numbers of each")
    a, b = (np.atleast_1d(one.astype(float)) for one in given)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"alpha, beta: shapes {a.shape} and {b.shape}; takes n numbers of each")
    return a, b


@dataclass(frozen=True, eq=False)
class Plane:
    """A rectangle of the slice through three anchors, with `grid` x `grid` points.

    Points are combinations of the anchors, so everything the normalisation needs (the standard deviation of a
    combination and its derivatives) comes from the anchors' 3 x 3 covariance: no latent is formed.

    Attributes:
        anchors: z_0, z_1 and z_2, finite, not on one line.
        extent: (alpha0, alpha1, beta0, beta1), the rectangle's sides; z_0 lies at (0, 0), z_1 at (1, 0), z_2 at (0, 1).
        grid: points along each side, 2 or more.
        normalise: divide each latent by its standard deviation, as the paper does.
    """

    anchors: Float[ndarray, "3 *latent"]
    extent: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0)
    grid: int = 101
    normalise: bool = True

    @classmethod
    def random(cls, shape: tuple[int, ...], seed: int, *,
               extent: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0), grid: int = 101,
               normalise: bool | None = None) -> "Plane":
        """The plane through three standard normal latents of `shape`, drawn from `seed`.

        Args:
            shape: of a latent.
            seed: of torch's CPU generator.
            extent: (alpha0, alpha1, beta0, beta1).
            grid: points along each side, 2 or more.
            normalise: whether each latent is divided by its standard deviation; None for latents of 64 entries or more:
                that of fewer is no estimate of anything.

        Returns:
            The plane.

        Raises:
            ValueError: for a shape, a seed or a field that is none.
        """
        shape = latent_shape(shape)
        normalise = int(np.prod(shape)) >= 64 if normalise is None else normalise
        return cls(seeded_anchors(shape, seed), extent, grid, normalise)

    def __post_init__(self):
        anchors = numbers("anchors", self.anchors, "three latents, an array (3, *shape)")
        object.__setattr__(self, "anchors", anchors if anchors.dtype in FLOATS else anchors.astype(np.float64))
        object.__setattr__(self, "grid", whole("grid", self.grid, 2, MOST))
        object.__setattr__(self, "extent", tuple(float(end) for end in check_extent(self.extent)))
        if not isinstance(self.normalise, bool | np.bool_):
            raise ValueError(f"normalise = {brief(self.normalise)}: takes True or False")
        object.__setattr__(self, "normalise", bool(self.normalise))
        check_anchors(self.anchors, self.anchors.shape[1:])

    @property
    def alpha(self) -> Float[ndarray, " grid"]:
        """Coordinates of the rows."""
        return np.linspace(*self.extent[:2], self.grid)

    @property
    def beta(self) -> Float[ndarray, " grid"]:
        """Coordinates of the columns."""
        return np.linspace(*self.extent[2:], self.grid)

    @property
    def spacing(self) -> tuple[float, float]:
        """Of neighbouring rows and columns."""
        a0, a1, b0, b1 = self.extent
        return (a1 - a0) / (self.grid - 1), (b1 - b0) / (self.grid - 1)

    @property
    def size(self) -> float:
        """Of its latents, root mean square of their entries: the anchors', or 1 where each is normalised."""
        return 1.0 if self.normalise else float(np.sqrt(np.square(self.anchors, dtype=np.float64).mean()))

    def coefficients(self, alpha: Float[ndarray, " p"],
                     beta: Float[ndarray, " p"]) -> tuple[Float[ndarray, "p 3"], Float[ndarray, "2 p 3"]]:
        """Coefficients c with `z = sum_k c_k z_k` at points, and their derivatives along alpha and beta.

        With normalisation `c / s`, `s^2 = c^T C c` with C the anchors' covariance, and `dc / s - c (c^T C dc) / s^3`.

        Args:
            alpha: coordinates of points.
            beta: likewise.

        Returns:
            Coefficients of the three anchors, and their derivatives.

        Raises:
            ValueError: for coordinates that are not as many finite numbers each; names a point where the standard
                deviation vanishes.
        """
        alpha, beta = (numbers("alpha, beta", one, "numbers") for one in paired(alpha, beta))
        c = np.stack([1 - alpha - beta, alpha, beta], -1)
        dc = np.broadcast_to(np.array([[-1.0, 1, 0], [-1, 0, 1]])[:, None], (2, *c.shape))
        if not self.normalise:
            return c, dc.copy()
        covariance = np.cov(self.anchors.reshape(3, -1).astype(np.float64), ddof=1)
        s = np.sqrt(np.einsum("pi,ij,pj->p", c, covariance, c).clip(0))[:, None]
        if (s <= 1e-6 * np.sqrt(covariance.diagonal().max())).any():
            i = int(s.argmin())
            raise ValueError(f"anchors: the slice has standard deviation zero at alpha = {alpha[i]:.4g}, "
                             f"beta = {beta[i]:.4g} and cannot be normalised there; take normalise = False")
        slope = np.einsum("pi,ij,kpj->kp", c, covariance, dc)[..., None]
        return c / s, dc / s - c * slope / s**3

    def latents(self, alpha: Float[ndarray, " p"], beta: Float[ndarray, " p"]) -> Float[ndarray, "p *latent"]:
        """The latents themselves at points, float64."""
        return np.tensordot(self.coefficients(alpha, beta)[0], self.anchors.astype(np.float64), 1)


def check_plane(plane: object) -> None:
    """ValueError for anything else."""
    if not isinstance(plane, Plane):
        raise ValueError(f"plane = {brief(plane)}: takes a Plane, such as Plane.random(model.shape, seed=0)")
