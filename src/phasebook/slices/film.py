"""A slice as the hierarchy needs it: the whole metric, jumps and likeliest pictures at every step, for any model.

`slices.slice_of` keeps determinant and trace; distances need all three entries of G. A film sweeps the grid at once;
distances between chosen points come from a second, small sweep, or from the predictions where the film keeps them.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.sampling.samplers import Levels
from phasebook.slices.basins import basin_labels
from phasebook.slices.geodesic import Surface
from phasebook.slices.metric import finite_difference_metric, jumps
from phasebook.slices.phases import connected, watershed_labels
from phasebook.slices.slices import Plane, telling_steps

__all__ = ["Film", "Pairs", "check_pairs", "film_of", "film_seen", "nearby_pairs", "pairs_between", "starts_apart"]

LARGE = 50_000_000              # numbers in the features of a step that are still measured where they are


class Film(NamedTuple):
    """By finite differences at every step: `E, F, G` (step, a, b) and the jumps between grid neighbours along alpha and
    beta. `atom` (step, a, b): the likeliest picture, or None for a model without a posterior. `weights`
    (kept, a, b, k): what `model.decode` takes, at the steps that were to be kept, or None. Distances are root mean
    squares for the models' own features."""

    plane: Plane
    E: Float[ndarray, "step a b"]
    F: Float[ndarray, "step a b"]
    G: Float[ndarray, "step a b"]
    up: Float[ndarray, "step a-1 b"]
    right: Float[ndarray, "step a b-1"]
    atom: Int[ndarray, "step a b"] | None = None
    weights: Float[ndarray, "kept a b k"] | None = None

    @property
    def steps(self) -> int:
        return len(self.E)

    @property
    def det(self) -> Float[ndarray, "step a b"]:
        return (self.E * self.G - self.F**2).clip(0)

    @property
    def trace(self) -> Float[ndarray, "step a b"]:
        return self.E + self.G

    def surface(self, step: int) -> Surface:
        return Surface(self.E[step], self.F[step], self.G[step], self.plane.spacing)

    def telling(self, count: int) -> list[int]:
        """Steps between which the pictures differ, as in chapter 5."""
        return telling_steps(xr.Dataset({"det_g": (("step", "alpha", "beta"), self.trace)}), count)

    def height(self, step: int) -> Float[ndarray, "a b"]:
        """The largest jump of the prediction from a point to a neighbour: the metric's one-sided slope times the
        spacing. A ridge of jump j is two points wide and j high at any grid."""
        height = np.zeros(self.E.shape[1:])
        for rows, jump in ((np.s_[:-1], self.up[step]), (np.s_[1:], self.up[step]), (np.s_[:, :-1], self.right[step]),
                           (np.s_[:, 1:], self.right[step])):
            height[rows] = np.maximum(height[rows], jump)
        return height

    def watershed(self, depth: float) -> Int[ndarray, "step a b"]:
        """Phases of every step from the metric: valleys of `height`, parted by ridges `depth` high or more."""
        return np.stack([watershed_labels(self.height(k), depth) for k in range(self.steps)])

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


def _fields(f: Tensor, dual: Tensor, plane: Plane, unit: float) -> dict[str, ndarray]:
    """E, F, G and the jumps of features on the grid."""
    metric = finite_difference_metric(f, dual, plane.spacing, unit)
    most = (metric.aa * metric.bb).sqrt()           # F² <= E G up to float32; a surface asks for it
    found = {"E": metric.aa, "F": metric.ab.clamp(-most, most), "G": metric.bb}
    found["up"], found["right"] = jumps(f, dual, unit)
    return {name: value.cpu().numpy() for name, value in found.items()}


def film_of(model, plane: Plane, levels: Levels, *, feature: str = "pixels", keep: Collection[int] = ()) -> Film:
    """Sweep the slice. `feature`: what the model's sweep takes ('latent' for a pipeline). `keep`: steps whose
    predictions are kept (Stable Diffusion's, on a fine grid, are a gigabyte a step)."""
    a, b = (x.ravel() for x in np.meshgrid(plane.alpha, plane.beta, indexing="ij"))
    unit = 1.0 if feature == "posterior" else model.unit
    grid = lambda x: x.reshape(plane.grid, plane.grid, -1)  # noqa: E731
    steps: list[dict[str, ndarray]] = []
    kept: list[ndarray] = []
    for frame in model.sweep(_start(model, plane, a, b), levels, feature=feature):
        f, dual = frame.features, frame.duals
        if f.numel() > LARGE:           # five copies of Stable Diffusion's would fill a card that the network is on
            f, dual = f.cpu(), dual.cpu()
        fields = _fields(grid(f), grid(dual), plane, unit)
        if hasattr(model, "summary"):
            fields["atom"] = grid(frame.weights).argmax(-1).cpu().numpy()
        if frame.step in keep:
            kept.append(grid(frame.weights).float().cpu().numpy().copy())
        steps.append(fields)
    arrays = {name: np.stack([one[name] for one in steps]) for name in steps[0]}
    return Film(plane, **arrays, weights=np.stack(kept) if kept else None)


def film_seen(film: Film, see: Callable[[ndarray], Tensor], batch: int = 256) -> Film:
    """The same slice through other features, `see(weights)` (points, k), at the steps whose predictions a film has
    kept. `batch` points are seen at a time."""
    if film.weights is None:
        raise ValueError("film: no predictions were kept; take film_of(..., keep=[step, ...])")
    n, found = film.plane.grid, []
    for weights in film.weights:
        flat = weights.reshape(n * n, -1)
        f = torch.cat([torch.as_tensor(see(flat[top:top + batch])).float().cpu() for top in range(0, n * n, batch)])
        f = f.reshape(n, n, -1)
        found.append(_fields(f, f, film.plane, 1.0))
    return Film(film.plane, **{name: np.stack([one[name] for one in found]) for name in found[0]})


class Pairs(NamedTuple):
    """`distances` (step, n, n) of the predictions of n points; `weights` (step, n, k): what `model.decode` takes."""

    distances: Float[ndarray, "step n n"]
    weights: Float[ndarray, "step n k"]


def _distances(f: Tensor, dual: Tensor) -> Float[ndarray, "n n"]:
    product = f.double() @ dual.double().T
    product = (product + product.T) / 2
    square = product.diagonal()[:, None] + product.diagonal() - 2 * product
    # what float32 features leave of equal points is rounding
    square = torch.where(square > 1e-9 * product.diagonal().abs().max(), square, 0.0)
    return square.sqrt().fill_diagonal_(0).cpu().numpy()


def _pairs(model, start: Tensor, levels: Levels, feature: str) -> Pairs:
    unit, distances, weights = 1.0 if feature == "posterior" else model.unit, [], []
    for frame in model.sweep(start, levels, feature=feature):
        distances.append(_distances(frame.features, frame.duals) * unit)
        weights.append(frame.weights.float().cpu().numpy().copy())
    return Pairs(np.stack(distances), np.stack(weights))


def pairs_between(model, plane: Plane, levels: Levels, alpha: Float[ndarray, " n"], beta: Float[ndarray, " n"], *,
                  feature: str = "pixels") -> Pairs:
    """Distances of the predictions of points of a slice at every step."""
    start = _start(model, plane, np.asarray(alpha, dtype=float), np.asarray(beta, dtype=float))
    return _pairs(model, start, levels, feature)


def starts_apart(model, levels: Levels, count: int, seed: int, *, feature: str = "pixels",
                 least: float = 0.0) -> Pairs:
    """Of `count` independent standard normal starts, those whose final predictions are more than `least` apart from
    every earlier one's: one start for each picture that is reached."""
    latents = torch.randn((count, *model.shape), generator=torch.Generator().manual_seed(seed))
    pairs = _pairs(model, model.start(latents.numpy()), levels, feature)
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
    edges = [(film.up[-1][i, j], (i, j), (i + 1, j)) for i, j in np.ndindex(film.up[-1].shape)]
    edges += [(film.right[-1][i, j], (i, j), (i, j + 1)) for i, j in np.ndindex(film.right[-1].shape)]
    found: list[ndarray] = []
    for _, first, second in sorted(edges, key=lambda edge: -edge[0]):
        pair = np.array([[alpha[first[0]], beta[first[1]]], [alpha[second[0]], beta[second[1]]]])
        if all(np.abs((pair.mean(0) - other.mean(0)) / size).max() > apart for other in found):
            found.append(pair)
        if len(found) == count:
            break
    return np.stack(found)


def check_pairs(pairs: list[list[list[float]]], extent: Sequence[float]) -> None:
    """ValueError unless every pair is [[alpha, beta], [alpha, beta]], two different points inside `extent`."""
    a0, a1, b0, b1 = extent
    for pair in pairs:
        shaped = len(pair) == 2 and all(len(point) == 2 for point in pair)
        if not shaped or pair[0] == pair[1] or not all(a0 <= a <= a1 and b0 <= b <= b1 for a, b in pair):
            raise ValueError(f"pair_coordinates = {pairs}: takes pairs [[alpha, beta], [alpha, beta]] of two different "
                             f"points inside the extent {list(extent)}; [] for those across the largest jumps")
