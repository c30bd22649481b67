"""From a model and a plane to a slice: the grid swept in tiles, and measured.

Per feature and step: the pullback metric G (Eqs. 4, 5) by finite differences, as in the paper; by exact tangents if
asked; and the jumps between grid neighbours.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from hashlib import sha256

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from tqdm import tqdm

from phasebook.sampling.features import named_features
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Embedding, Feature, Frame, Model, Prompt
from phasebook.slices.metric import Metric, finite_difference_metric, jumps, pullback
from phasebook.slices.plane import Plane
from phasebook.slices.slice import Slice

__all__ = ["slice_of"]

POINTS_IN_A_TILE = 2_500        # rows of the grid are swept in tiles of about this many points: they stay in cache
LARGE = 50_000_000              # numbers in the features of a step that are still measured where they are


def slice_of(model: Model, plane: Plane, levels: Levels, *, prompt: Prompt | None = None,
             features: Sequence[str] | Mapping[str, Feature | Callable] | None = None, tangents: bool = False,
             fields: Mapping[str, Callable[[Frame], ndarray]] | None = None, pictures: int = 0,
             keep: Collection[int] | None = None, progress: bool = False) -> Slice:
    """Sweep a slice and measure its metric at every step.

    Args:
        model: any that obeys the protocol.
        plane: the grid of latents.
        levels: of the sampler, e.g. `model.levels(50)`.
        prompt: from `model.prompt`; None for the plain distribution.
        features: names of the model's own features, or a mapping from names to features or functions of pixels
            (p, 3, y, x) in [0, 1]; None for the model's first.
        tangents: carry exact derivatives along beside the finite differences.
        fields: further numbers of each point of a frame by name, such as `ExactModel.fields`.
        pictures: keep the decoded predictions of about this many points along each side.
        keep: at these steps; None for all.
        progress: show a bar.

    Returns:
        The measured slice.

    Raises:
        ValueError: names step and point of a number that is not finite; a feature that the model does not know; a field
            that does not give one number a point.
    """
    _check_kinds(model, plane, levels, prompt)
    if plane.anchors.shape[1:] != tuple(model.shape):
        raise ValueError(f"plane: latents of shape {plane.anchors.shape[1:]}; this model takes {tuple(model.shape)}")
    chosen = named_features(model, features)
    kept = _kept(keep, levels.steps) if pictures else []
    arrays = _Arrays(plane, levels.steps, list(chosen), kept, pictures)
    tiles = _rows(plane.grid)
    with tqdm(total=levels.steps * len(tiles), desc="slice", disable=not progress) as bar:
        for top, bottom in tiles:
            tile = _Tile(plane, top, bottom)
            for frame in _swept(model, tile, levels, prompt, tangents):
                for name, feature in chosen.items():
                    if feature.at is None or frame.step in feature.at:
                        parts = _measured(frame.embedded(feature), feature.unit, tile)
                        arrays.put_feature(name, frame.step, tile, parts)
                for name, field in (fields or {}).items():
                    arrays.put(name, (frame.step,), tile.top, tile.own(_one_a_point(name, field(frame), frame)))
                if frame.step in kept:
                    arrays.put_pictures(model, frame, tile)
                bar.update()
    data = xr.Dataset(arrays.variables(), arrays.coordinates(levels), _attributes(model, plane, levels, prompt, arrays))
    return Slice(data, plane, model, levels, chosen, prompt)


def _check_kinds(model: Model, plane: Plane, levels: Levels, prompt: Prompt | None) -> None:
    """ValueError for an argument in another's place."""
    if not hasattr(model, "predict"):
        raise ValueError(f"model: a {type(model).__name__}; takes a model, such as Denoiser(shape, function)")
    for name, value, kind, example in (("plane", plane, Plane, "Plane.random(model.shape, seed=0)"),
                                       ("levels", levels, Levels, "model.levels(50)")):
        if not isinstance(value, kind):
            raise ValueError(f"{name} = {value!r}: takes a {kind.__name__}, such as {example}")
    if prompt is not None and not isinstance(prompt, Prompt):
        raise ValueError(f"prompt = {prompt!r}: takes a Prompt, such as model.prompt('a red cat')")


def _one_a_point(name: str, value: Tensor | ndarray, frame: Frame) -> Tensor | ndarray:
    """The values of a field. ValueError where they are not one for each point."""
    shape, points = tuple(np.shape(value)), len(frame.x0)
    if not isinstance(value, Tensor | ndarray) or shape != (points,):
        raise ValueError(f"fields: {name!r} gives {type(value).__name__} of shape {shape} for {points} points; takes a "
                         "function that gives one number a point")
    return value


def _kept(keep: Collection[int] | None, steps: int) -> list[int]:
    kept = sorted(range(steps) if keep is None else set(keep))
    if kept and not 0 <= kept[0] <= kept[-1] < steps:
        raise ValueError(f"keep = {kept}: takes steps from 0 to {steps - 1}")
    return kept


def _rows(grid: int) -> list[tuple[int, int]]:
    height = max(1, POINTS_IN_A_TILE // grid)
    return [(r, min(r + height, grid)) for r in range(0, grid, height)]


class _Tile:
    """The rows top..bottom of a plane, swept with a row more on either side for centred differences."""

    def __init__(self, plane: Plane, top: int, bottom: int):
        self.plane, self.top, self.bottom = plane, top, bottom
        self.low, self.high = max(top - 1, 0), min(bottom + 1, plane.grid)

    @property
    def rows(self) -> slice:
        """The tile's own among the rows that are swept."""
        return slice(self.top - self.low, self.bottom - self.low)

    def grid(self, x: Tensor | ndarray) -> Tensor | ndarray:
        """Values of all points that are swept, as rows of the grid."""
        return x.reshape(self.high - self.low, self.plane.grid, *x.shape[1:])

    def own(self, x: Tensor | ndarray) -> Tensor | ndarray:
        """Of values of all points that are swept, the tile's own rows."""
        return self.grid(x)[self.rows]

    def points(self) -> tuple[Float[ndarray, " p"], Float[ndarray, " p"]]:
        """alpha and beta of all points that are swept."""
        alpha, beta = np.meshgrid(self.plane.alpha[self.low:self.high], self.plane.beta, indexing="ij")
        return alpha.ravel(), beta.ravel()


def _swept(model: Model, tile: _Tile, levels: Levels, prompt: Prompt | None, tangents: bool) -> Iterator[Frame]:
    c, dc = tile.plane.coefficients(*tile.points())
    x = model.start(tile.plane.anchors, c)
    dx = torch.stack([model.start(tile.plane.anchors, d) for d in dc]) if tangents else None
    return model.sweep(x, levels, prompt, tangents=dx)


def _measured(f: Embedding, unit: float, tile: _Tile) -> dict[str, Tensor]:
    """Metric and jumps of a tile's own rows in one feature."""
    if f.points.numel() > LARGE:        # five copies of Stable Diffusion's would fill a card that the network is on
        f = Embedding(*(None if x is None else x.cpu() for x in f))
    points, duals = tile.grid(f.points), tile.grid(f.duals)
    metric = finite_difference_metric(points, duals if f.duals is not f.points else None, tile.plane.spacing, unit)
    parts = {name: value[tile.rows] for name, value in _entries(metric).items()}
    if f.d_points is not None:
        exact = pullback(*f.d_points, *f.d_duals, unit)
        parts |= {name + "_exact": tile.own(value) for name, value in _entries(exact).items()}
    up, right = jumps(points, duals, unit)
    parts["jump_alpha"] = up[tile.rows.start:min(tile.bottom, tile.plane.grid - 1) - tile.low]
    parts["jump_beta"] = right[tile.rows]
    return parts


def _entries(metric: Metric) -> dict[str, Tensor]:
    return {"E": metric.aa, "F": metric.ab, "G": metric.bb, "det": metric.det}


class _Arrays:
    """The whole slice's arrays, each made when the first rows of it come."""

    DIMS = {"jump_alpha": ("feature", "step", "alpha_edge", "beta"),
            "jump_beta": ("feature", "step", "alpha", "beta_edge"),
            "picture": ("kept", "row", "column", "y", "x", "rgb")}

    def __init__(self, plane: Plane, steps: int, features: list[str], kept: list[int], pictures: int):
        self.plane, self.features, self.kept = plane, features, kept
        self.leading = {1: (steps,), 2: (len(features), steps)}
        spread = np.linspace(0, plane.grid - 1, min(pictures, plane.grid)).round()
        self.pick: Int[ndarray, " k"] = np.unique(spread.astype(int))
        self.whole: dict[str, ndarray] = {}

    def put(self, name: str, at: tuple[int, ...], top: int, value: Tensor | ndarray) -> None:
        """Rows from `top` on at a step, or at a feature and a step. ValueError where one is not finite."""
        value = np.asarray(value.cpu() if isinstance(value, Tensor) else value)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            i, j = np.argwhere(~np.isfinite(value))[0]
            what = f"the metric ({name})" if len(at) == 2 else name
            raise ValueError(f"{what} is not finite at step {at[-1]}, alpha = {self.plane.alpha[top + i]:.6g}, "
                             f"beta = {self.plane.beta[j]:.6g}")
        shape = (*self.leading[len(at)], self.plane.grid - (name == "jump_alpha"), value.shape[1])
        self._write(name, shape, (*at, slice(top, top + len(value))), value)

    def put_feature(self, name: str, step: int, tile: _Tile, parts: dict[str, Tensor]) -> None:
        """What was measured in one feature."""
        for variable, value in parts.items():
            self.put(variable, (self.features.index(name), step), tile.top, value)

    def put_pictures(self, model: Model, frame: Frame, tile: _Tile) -> None:
        """The decoded predictions of the points that are kept, as bytes."""
        rows = self.pick[(self.pick >= tile.top) & (self.pick < tile.bottom)]
        if len(rows) == 0:
            return
        states = tile.grid(frame.x0)[torch.as_tensor(rows - tile.low)][:, torch.as_tensor(self.pick)]
        pixels = (model.decode(states.flatten(0, 1)).float().cpu() * 255).round().byte().movedim(1, -1)
        value = pixels.unflatten(0, tuple(states.shape[:2])).numpy()
        top = int(np.searchsorted(self.pick, rows[0]))
        shape = (len(self.kept), len(self.pick), *value.shape[1:])
        self._write("picture", shape, (self.kept.index(frame.step), slice(top, top + len(rows))), value)

    def _write(self, name: str, shape: tuple[int, ...], at: tuple, value: ndarray) -> None:
        if name not in self.whole:
            self.whole[name] = np.full(shape, np.nan if value.dtype.kind == "f" else 0, value.dtype)
        self.whole[name][at] = value

    def variables(self) -> dict[str, tuple[tuple[str, ...], ndarray]]:
        """As an xarray Dataset takes them."""
        usual = ("feature", "step", "alpha", "beta")
        return {name: (self.DIMS.get(name, usual[-value.ndim:]), value) for name, value in self.whole.items()}

    def coordinates(self, levels: Levels) -> dict:
        """Of all dimensions, and the noise level of each step."""
        alpha, beta = self.plane.alpha, self.plane.beta
        always = {"feature": self.features, "step": np.arange(levels.steps), "alpha": alpha, "beta": beta,
                  "alpha_edge": (alpha[1:] + alpha[:-1]) / 2, "beta_edge": (beta[1:] + beta[:-1]) / 2,
                  "sigma_over_alpha": ("step", levels.sigma_over_alpha, {"unit": "1"}),
                  "timestep": ("step", levels.timestep)}
        return always | ({"kept": self.kept, "row": alpha[self.pick], "column": beta[self.pick]} if self.kept else {})


def _attributes(model: Model, plane: Plane, levels: Levels, prompt: Prompt | None, arrays: _Arrays) -> dict[str, str]:
    """The full specification of a slice and its hash."""
    spec = {
        "model": model.fingerprint, "anchors": sha256(np.ascontiguousarray(plane.anchors)).hexdigest()[:16],
        "extent": list(plane.extent), "grid": plane.grid, "normalise": plane.normalise, "schedule": levels.name,
        "steps": levels.steps, "features": arrays.features, "tangents": "E_exact" in arrays.whole,
        "prompt": _digest(prompt),
    }
    text = json.dumps(spec, sort_keys=True)
    return {"spec": text, "hash": sha256(text.encode()).hexdigest()}


def _digest(prompt: Prompt | None) -> str:
    """What tells one prompt from another; '' for none."""
    if prompt is None or not prompt.conditions:
        return ""
    digest = sha256(str(prompt.guidance).encode())
    for name, c in sorted(prompt.conditions.items()):
        digest.update(name.encode() + c.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
