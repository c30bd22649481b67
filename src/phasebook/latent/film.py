"""A slice as the hierarchy needs it: the whole metric, jumps and likeliest pictures at every step, for any model.

`slices.slice_of` keeps determinant and trace; distances need all three entries of G. A film sweeps the grid at once and
keeps nothing of the features themselves; distances between chosen points come from a second, small sweep.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.diffusion.samplers import Levels
from phasebook.latent.basins import basin_labels
from phasebook.latent.geodesic import Surface
from phasebook.latent.metric import finite_difference_metric, jumps
from phasebook.latent.phases import connected, watershed_labels
from phasebook.latent.slices import Plane

__all__ = ["Film", "Pairs", "film_of", "nearby_pairs", "pairs_between", "starts_apart"]

See = Callable[..., Tensor] | None       # a frame -> features (points, k) in place of the model's own


class Film(NamedTuple):
    """By finite differences at every step: `E, F, G` (step, a, b) and the jumps between grid neighbours along alpha and
    beta. `atom` (step, a, b): the likeliest picture, or None for a model without a posterior. Feature distances are
    in `unit`s, root mean squares for the models' own features."""

    plane: Plane
    E: Float[ndarray, "step a b"]
    F: Float[ndarray, "step a b"]
    G: Float[ndarray, "step a b"]
    up: Float[ndarray, "step a-1 b"]
    right: Float[ndarray, "step a b-1"]
    atom: Int[ndarray, "step a b"] | None

    @property
    def steps(self) -> int:
        return len(self.E)

    def surface(self, step: int) -> Surface:
        return Surface(self.E[step], self.F[step], self.G[step], self.plane.spacing)

    def jump(self, step: int) -> Float[ndarray, "a b"]:
        """How far the prediction moves from a point to its neighbours: `sqrt(tr G)` times the spacing of the grid."""
        h, k = self.plane.spacing
        return np.sqrt(self.E[step] * h * h + self.G[step] * k * k)

    def watershed(self, depth: float) -> Int[ndarray, "step a b"]:
        """Phases of every step from the metric: valleys of `jump`, parted by ridges at least `depth` high."""
        return np.stack([watershed_labels(self.jump(k), depth) for k in range(self.steps)])

    def cut(self, threshold: float) -> Int[ndarray, "step a b"]:
        """Phases as chapter 5 has them: what stays connected once edges with a larger jump are cut."""
        return np.stack([basin_labels(up, right, threshold) for up, right in zip(self.up, self.right, strict=True)])

    def true(self, member: Int[ndarray, " n"] | None = None) -> Int[ndarray, "step a b"]:
        """Phases of the exact model: connected regions of one likeliest picture, or of one family by `member`."""
        if self.atom is None:
            raise ValueError("true basins: this model has no posterior; take the watershed")
        return np.stack([connected(one if member is None else member[one]) for one in self.atom])


def _start(model, plane: Plane, alpha: Float[ndarray, " p"], beta: Float[ndarray, " p"]) -> Tensor:
    return model.start(plane.anchors, plane.coefficients(alpha, beta)[0])


def _options(model) -> dict:
    """The models' own features: pixels of the exact one, latents of a pipeline."""
    return {"feature": "latent"} if hasattr(model, "prompt") else {}


def film_of(model, plane: Plane, levels: Levels, see: See = None) -> Film:
    """Sweep the slice. `see`: features of a frame in place of the model's own (in their own units)."""
    a, b = (x.ravel() for x in np.meshgrid(plane.alpha, plane.beta, indexing="ij"))
    kept: dict[str, list[ndarray]] = {name: [] for name in ("E", "F", "G", "up", "right", "atom")}
    grid = lambda x: x.reshape(plane.grid, plane.grid, -1)  # noqa: E731
    for frame in model.sweep(_start(model, plane, a, b), levels, **_options(model)):
        f = grid(see(frame) if see else frame.features)
        dual, unit = (f, 1.0) if see else (grid(frame.duals), model.unit)
        metric = finite_difference_metric(f, dual, plane.spacing, unit)
        found = {"E": metric.aa, "F": metric.ab, "G": metric.bb}
        found["up"], found["right"] = jumps(f, dual, unit)
        if hasattr(model, "summary"):
            found["atom"] = frame.weights.argmax(-1).view(plane.grid, plane.grid)
        for name, value in found.items():
            kept[name].append(value.cpu().numpy().copy())
    arrays = {name: np.stack(values) if values else None for name, values in kept.items()}
    # F² <= E G up to float32; the surface asks for it
    most = np.sqrt(arrays["E"] * arrays["G"])
    arrays["F"] = np.clip(arrays["F"], -most, most)
    return Film(plane, **arrays)


class Pairs(NamedTuple):
    """`distances` (step, n, n) of the predictions of n points; `weights` (step, n, k): what `model.decode` takes."""

    distances: Float[ndarray, "step n n"]
    weights: Float[ndarray, "step n k"]

    @property
    def steps(self) -> int:
        return len(self.distances)


def _pairs(model, start: Tensor, levels: Levels, see: See = None) -> Pairs:
    distances, weights = [], []
    for frame in model.sweep(start, levels, **_options(model)):
        f = (see(frame) if see else frame.features).double()
        dual, unit = (f, 1.0) if see else (frame.duals.double(), model.unit)
        product = f @ dual.T
        product = (product + product.T) / 2
        square = product.diagonal()[:, None] + product.diagonal() - 2 * product
        # what float32 features leave of equal points is rounding
        square = torch.where(square > 1e-9 * product.diagonal().abs().max(), square, 0.0)
        distances.append(square.sqrt().fill_diagonal_(0).cpu().numpy() * unit)
        weights.append(frame.weights.float().cpu().numpy().copy())
    return Pairs(np.stack(distances), np.stack(weights))


def pairs_between(model, plane: Plane, levels: Levels, alpha: Float[ndarray, " n"], beta: Float[ndarray, " n"],
                  see: See = None) -> Pairs:
    """Distances of the predictions of points of a slice at every step."""
    return _pairs(model, _start(model, plane, np.asarray(alpha, float), np.asarray(beta, float)), levels, see)


def starts_apart(model, levels: Levels, count: int, seed: int, see: See = None, least: float = 0.0) -> Pairs:
    """Of `count` independent standard normal starts, those whose final predictions are more than `least` apart from
    every earlier one's: one start for each picture that is reached."""
    latents = torch.randn((count, *model.shape), generator=torch.Generator().manual_seed(seed))
    pairs = _pairs(model, model.start(latents.numpy()), levels, see)
    kept: list[int] = []
    for i in range(count):
        if all(pairs.distances[-1][i, j] > least for j in kept):
            kept.append(i)
    return Pairs(pairs.distances[:, kept][:, :, kept], pairs.weights[:, kept])


def nearby_pairs(film: Film, count: int, apart: float = 0.15) -> Float[ndarray, "count 2 2"]:
    """Pairs of grid neighbours ((alpha, beta), (alpha, beta)) across the largest final jumps, no two pairs closer than
    `apart` of the slice's sides; fewer than `count` where there is no room."""
    alpha, beta = film.plane.alpha, film.plane.beta
    size = np.array([np.ptp(alpha), np.ptp(beta)])
    edges = [(float(film.up[-1][i, j]), (i, j), (i + 1, j)) for i, j in np.ndindex(film.up[-1].shape)]
    edges += [(float(film.right[-1][i, j]), (i, j), (i, j + 1)) for i, j in np.ndindex(film.right[-1].shape)]
    found: list[ndarray] = []
    for _, first, second in sorted(edges, key=lambda e: -e[0]):
        pair = np.array([[alpha[first[0]], beta[first[1]]], [alpha[second[0]], beta[second[1]]]])
        if all(np.abs((pair.mean(0) - other.mean(0)) / size).max() > apart for other in found):
            found.append(pair)
        if len(found) == count:
            break
    return np.stack(found)
