"""What is measured of a tile of a slice at every step: metric and jumps in each feature, fields, kept pictures.

A tile's numbers depend on the tile alone, not on the tiles before it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief, check_takes, first_not_finite, whole
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Embedding, Feature, Frame, Model, Prompt
from phasebook.sampling.samplers import sample
from phasebook.slices.metric import Metric, finite_difference_metric, jumps, pullback
from phasebook.slices.plane import Plane
from phasebook.slices.tiles import Tile, span

__all__ = ["Arrays", "DIMS", "JACOBIANS", "Measurement", "Part", "check_fields", "coordinates_of", "kept_steps",
           "picked", "specification"]

JACOBIANS = {                   # what is measured beside the finite differences, which are there always
    "differences": "nothing",
    "jvp": "tangents by forward-mode differentiation of the model, a pass each",
    "exact": "tangents in closed form, by models that have one",
}
LARGE = 50_000_000              # numbers in the features of a step that are still measured where they are
DIMS = {"jump_alpha": ("feature", "step", "alpha_edge", "beta"),
        "jump_beta": ("feature", "step", "alpha", "beta_edge"),
        "picture": ("kept", "row", "column", "y", "x", "rgb")}
METRIC = ("E", "F", "G", "det")
TAKEN = {*METRIC, *(name + "_exact" for name in METRIC), *DIMS, *(dim for dims in DIMS.values() for dim in dims),
         "trace", "largest", "watershed", "cut", "sigma_over_alpha", "timestep",        # what a slice says of itself
         "anchor", "anchors", "level", "level_alpha", "level_sigma", "checksum"}        # and its store


class Part(NamedTuple):
    """A variable's values (rows, columns, ...) of a tile: `at` a step, a feature and a step, or a kept step."""

    name: str
    at: tuple[int, ...]
    value: ndarray


@dataclass(frozen=True, eq=False)
class Measurement:
    """What is measured of each tile of a slice; the attributes are the arguments of `slice_of`.

    Attributes:
        model: any.
        levels: of the sampler.
        prompt: or None.
        features: by name.
        fields: further numbers of each point of a frame by name.
        jacobian: where the metric comes from beside finite differences: see `JACOBIANS`.
        kept: steps whose pictures are kept.
        pick: rows and columns of the grid whose pictures are kept.
    """

    model: Model
    levels: Levels
    prompt: Prompt | None
    features: Mapping[str, Feature]
    fields: Mapping[str, Callable[[Frame], ndarray]]
    jacobian: str
    kept: list[int]
    pick: Int[ndarray, " k"]

    def frames(self, tile: Tile) -> Iterator[Frame]:
        """All that is swept of a tile, step by step."""
        c, dc = tile.plane.coefficients(*tile.points())
        x = self.model.start(tile.plane.anchors, c)
        if self.jacobian == "differences":
            return self.model.sweep(x, self.levels, self.prompt)
        dx = torch.stack([self.model.start(tile.plane.anchors, d) for d in dc])
        sweep = partial(sample, self.model) if self.jacobian == "jvp" else self.model.sweep
        return sweep(x, self.levels, self.prompt, tangents=dx)

    def parts(self, frame: Frame, tile: Tile) -> Iterator[Part]:
        """What is measured of a frame of a tile. ValueError names whose numbers are not finite, where and when."""
        _check_points(frame.x0, "denoise: the prediction", frame, tile)
        for index, (name, feature) in enumerate(self.features.items()):
            if feature.at is None or frame.step in feature.at:
                f = frame.embedded(feature)
                _check_points(f.points, f"feature {name!r}", frame, tile)
                for variable, value in _measured(f, feature.unit, tile).items():
                    yield _finite(Part(variable, (index, frame.step), _numbers(value)), tile)
        for name, field in self.fields.items():
            value = _one_a_point(name, field(frame), frame)
            yield _finite(Part(name, (frame.step,), _numbers(tile.cut(tile.grid(value)))), tile)
        (r0, r1), (c0, c1) = span(tile, "picture", self.pick)
        if frame.step in self.kept and r1 > r0 and c1 > c0:
            yield Part("picture", (self.kept.index(frame.step),), self._pictures(frame, tile))

    def _pictures(self, frame: Frame, tile: Tile) -> ndarray:
        """The decoded predictions of the tile's points that are kept, as bytes."""
        (r0, r1), (c0, c1) = span(tile, "picture", self.pick)
        top, _, left, _ = tile.window
        rows, columns = torch.as_tensor(self.pick[r0:r1] - top), torch.as_tensor(self.pick[c0:c1] - left)
        points = tile.grid(torch.arange(len(frame.x0)))[rows][:, columns].flatten()
        pixels = frame.pictures_at(points).float().cpu()
        if (k := first_not_finite(pixels)) is not None:
            i, j = self.pick[r0 + k // len(columns)], self.pick[c0 + k % len(columns)]
            raise ValueError(f"decode: the picture {_place(frame.step, tile.plane.alpha[i], tile.plane.beta[j])}")
        pixels = (pixels * 255).round().byte().movedim(1, -1)
        return pixels.unflatten(0, (len(rows), len(columns))).numpy()


def _one_a_point(name: str, value: Tensor | ndarray, frame: Frame) -> Tensor | ndarray:
    """The values of a field. ValueError where they are not one for each point."""
    shape, points = tuple(np.shape(value)), len(frame.x0)
    if not isinstance(value, Tensor | ndarray) or shape != (points,):
        raise ValueError(f"fields: {name!r} gives {type(value).__name__} of shape {shape} for {points} points; takes a "
                         "function that gives one number a point")
    if _numbers(value).dtype.kind not in "iufb":
        raise ValueError(f"fields: {name!r} gives {value.dtype}; takes a function that gives real numbers")
    return value


def _measured(f: Embedding, unit: float, tile: Tile) -> dict[str, Tensor]:
    """Metric and jumps of a tile's own points in one feature."""
    if f.points.numel() > LARGE:        # five copies of Stable Diffusion's would fill a card that the network is on
        f = Embedding(*(None if x is None else x.cpu() for x in f))
    points = tile.grid(f.points)
    duals = points if f.duals is f.points else tile.grid(f.duals)
    metric = finite_difference_metric(points, duals, tile.plane.spacing, unit)
    parts = {name: tile.cut(value) for name, value in _entries(metric).items()}
    if f.d_points is not None:
        exact = pullback(*f.d_points, *f.d_duals, unit)
        parts |= {name + "_exact": tile.cut(tile.grid(value)) for name, value in _entries(exact).items()}
    up, right = jumps(points, duals, unit)
    return parts | {"jump_alpha": tile.cut(up, "jump_alpha"), "jump_beta": tile.cut(right, "jump_beta")}


def _entries(metric: Metric) -> dict[str, Tensor]:
    return {"E": metric.aa, "F": metric.ab, "G": metric.bb, "det": metric.det}


def _numbers(value: Tensor | ndarray) -> ndarray:
    """An array of a type that files know: no brain floats, no long doubles."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value
    value = np.asarray(value)
    return value.astype(np.float64) if value.dtype.kind == "f" and value.dtype.itemsize > 8 else value


def _place(step: int, alpha: float, beta: float) -> str:
    return f"is not finite at step {step}, alpha = {alpha:.6g}, beta = {beta:.6g}"


def _check_points(x: Tensor, what: str, frame: Frame, tile: Tile) -> None:
    """ValueError names step and point of what is not finite, before differences spread it over neighbours."""
    if (point := first_not_finite(x)) is not None:
        alpha, beta = tile.points()
        raise ValueError(f"{what} {_place(frame.step, alpha[point], beta[point])}")


def _finite(part: Part, tile: Tile) -> Part:
    """The part itself; ValueError names step and point of a number that is not finite."""
    value = part.value
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        i, j = np.argwhere(~np.isfinite(value))[0]
        what = f"the metric ({part.name})" if len(part.at) == 2 else f"field {part.name!r}"
        where = _place(part.at[-1], tile.plane.alpha[tile.top + i], tile.plane.beta[tile.left + j])
        raise ValueError(f"{what} {where}")
    return part


class Arrays:
    """All that is measured of a tile, which may be the whole slice, each array made when the first part of it comes.

    Args:
        measurement: of it.
        area: the tile.
        free: bytes of memory that it may take.
    """

    def __init__(self, measurement: Measurement, area: Tile, free: float = np.inf):
        self.area, self.pick, self.free = area, measurement.pick, free
        self.siblings = len(METRIC) * (1 if measurement.jacobian == "differences" else 2) + 2      # jumps
        steps, features = measurement.levels.steps, len(measurement.features)
        self.leading = {1: (steps,), 2: (features, steps)}
        self.kept = len(measurement.kept)
        self.whole: dict[str, ndarray] = {}

    def put(self, part: Part, tile: Tile) -> None:
        """A part of a tile in the area. ValueError where an array, with those that surely follow, does not fit."""
        name, at, value = part
        (r0, r1), (c0, c1) = span(self.area, name, self.pick)
        if name not in self.whole:
            leading = (self.kept,) if name == "picture" else self.leading[len(at)]
            shape = (*leading, r1 - r0, c1 - c0, *value.shape[2:])
            self._check_room(prod(shape) * value.itemsize, self.siblings if name == "E" else 1)
            self.whole[name] = np.full(shape, np.nan if value.dtype.kind == "f" else 0, value.dtype)
        (top, bottom), (left, right) = span(tile, name, self.pick)
        self.whole[name][(*at, slice(top - r0, bottom - r0), slice(left - c0, right - c0))] = value

    def _check_room(self, size: int, count: int) -> None:
        need = sum(array.nbytes for array in self.whole.values()) + size * count
        if need > self.free:
            raise ValueError(f"plane, levels: {need / 1e9:.3g} GB of memory for this slice, here are "
                             f"{self.free / 1e9:.3g} GB; takes fewer points or steps, or store_slice(..., read=False)")

    def variables(self) -> dict[str, tuple[tuple[str, ...], ndarray]]:
        """As an xarray Dataset takes them."""
        usual = ("feature", "step", "alpha", "beta")
        return {name: (DIMS.get(name, usual[-value.ndim:]), value) for name, value in self.whole.items()}


def coordinates_of(m: Measurement, plane: Plane) -> dict:
    """Of all dimensions, and the noise level of each step."""
    alpha, beta, levels = plane.alpha, plane.beta, m.levels
    axes = {"feature": list(m.features), "step": np.arange(levels.steps), "alpha": alpha, "beta": beta,
             "alpha_edge": (alpha[1:] + alpha[:-1]) / 2, "beta_edge": (beta[1:] + beta[:-1]) / 2,
             "sigma_over_alpha": ("step", levels.sigma_over_alpha, {"unit": "1"}),
             "timestep": ("step", levels.timestep)}
    return axes | ({"kept": m.kept, "row": alpha[m.pick], "column": beta[m.pick]} if m.kept else {})


def check_fields(fields: Mapping[str, Callable[[Frame], ndarray]] | None) -> Mapping[str, Callable[[Frame], ndarray]]:
    """The fields by name, none for None. ValueError for what is no function, or a name that a slice uses itself."""
    if fields is not None and not isinstance(fields, Mapping):
        raise ValueError(f"fields = {brief(fields)}: takes a mapping from a name to a function of frames")
    for name, field in (fields or {}).items():
        if not isinstance(name, str) or name in TAKEN:
            raise ValueError(f"fields: the name {brief(name)}; takes a text that is no name of a slice's own, as E is")
        check_takes(f"fields: {name!r}", field, "frame")
    return fields or {}


def kept_steps(keep: Collection[int] | None, pictures: int, steps: int) -> list[int]:
    """The steps whose pictures are kept, in order. ValueError for one that there is not, or for none of some."""
    takes = f"steps from 0 to {steps - 1}"
    if keep is None:
        return list(range(steps)) if pictures else []
    if isinstance(keep, str) or not hasattr(keep, "__iter__"):
        raise ValueError(f"keep = {brief(keep)}: takes {takes}")
    kept = sorted({whole("keep", step, 0, steps - 1, "steps") for step in keep})
    if bool(kept) != bool(pictures):
        raise ValueError(f"keep, pictures = {brief(keep)}, {pictures}: takes {takes} with pictures >= 1, or neither")
    return kept


def picked(pictures: int, grid: int) -> Int[ndarray, " k"]:
    """About `pictures` rows or columns, spread over the grid."""
    return np.unique(np.linspace(0, grid - 1, min(pictures, grid)).round().astype(int))


def specification(m: Measurement, plane: Plane) -> dict:
    """What tells one slice from another."""
    levels = sha256(np.concatenate([m.levels.alpha, m.levels.sigma, m.levels.timestep]).astype(float).tobytes())
    return {
        "model": m.model.fingerprint, "anchors": sha256(np.ascontiguousarray(plane.anchors)).hexdigest()[:16],
        "extent": list(plane.extent), "grid": plane.grid, "normalise": plane.normalise, "schedule": m.levels.name,
        "levels": levels.hexdigest()[:16], "steps": m.levels.steps, "features": list(m.features),
        "jacobian": m.jacobian, "prompt": _digest(m.prompt),
    } | ({"order": m.levels.order} if m.levels.order > 1 else {}) | (
        {} if m.levels.landing is None else {"landing": m.levels.landing.tolist()})


def _digest(prompt: Prompt | None) -> str:
    """What tells one prompt from another; '' for none."""
    if prompt is None or not prompt.conditions:
        return ""
    digest = sha256(str(prompt.guidance).encode())
    for name, c in sorted(prompt.conditions.items()):
        digest.update(name.encode() + c.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
