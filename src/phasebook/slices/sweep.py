"""From a model and a plane to a slice: the grid swept in tiles, and measured.

Per feature and step: the pullback metric G (Eqs. 4, 5) by finite differences, as in the paper; by tangents if
asked; and the jumps between grid neighbours.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256

import xarray as xr
from numpy import ndarray
from tqdm import tqdm

from phasebook.arguments import brief, switch, whole
from phasebook.machine import free_memory
from phasebook.sampling.features import named_features
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Feature, Frame, Model, Prompt
from phasebook.sampling.samplers import check_begin, check_kinds
from phasebook.slices.measurement import (
    JACOBIANS,
    Arrays,
    Measurement,
    check_fields,
    coordinates_of,
    kept_steps,
    picked,
    specification,
)
from phasebook.slices.plane import Plane, check_plane
from phasebook.slices.slice import Slice
from phasebook.slices.tiles import Tile

__all__ = ["measurement_of", "slice_of"]

POINTS_IN_A_TILE = 2_500        # rows of the grid are swept in tiles of about this many points: they stay in cache


def slice_of(model: Model, plane: Plane, levels: Levels, *, prompt: Prompt | None = None,
             features: Sequence[str] | Mapping[str, Feature | Callable] | None = None, jacobian: str = "differences",
             fields: Mapping[str, Callable[[Frame], ndarray]] | None = None, pictures: int = 0,
             keep: Collection[int] | None = None, progress: bool = False) -> Slice:
    """Sweep a slice and measure its metric at every step.

    Args:
        model: any that obeys the protocol.
        plane: the grid of latents.
        levels: of the sampler, e.g. `model.levels(50)`.
        prompt: from `model.prompt`, one for all points; None for the plain distribution.
        features: names of the model's own features, or a mapping from names to features or functions of pixels
            (p, 3, y, x) in [0, 1]; None for the model's first.
        jacobian: where the metric comes from: `differences` on the grid; `jvp`, forward-mode differentiation of the
            model, beside them; or `exact`, the closed form of a model that has one, beside them.
        fields: further numbers of each point of a frame by name, such as `ExactModel.fields`.
        pictures: keep the decoded predictions of about this many points along each side; 0 for none.
        keep: at these steps; None for all.
        progress: show a bar.

    Returns:
        The measured slice.

    Raises:
        ValueError: names step and point of a number that is not finite, and whose it is (`denoise`, a feature, a
            field); a feature that the model does not know; a field that does not give one number a point; a Jacobian
            that the model does not have; a slice that does not fit into the memory that is free.
    """
    measurement = measurement_of(model, plane, levels, prompt, features, jacobian, fields, pictures, keep)
    switch("progress", progress)
    arrays = Arrays(measurement, Tile(plane, 0, plane.grid, 0, plane.grid), free_memory())
    tiles = _rows(plane)
    with tqdm(total=levels.steps * len(tiles), desc="slice", disable=not progress) as bar:
        for tile in tiles:
            for frame in measurement.frames(tile):
                for part in measurement.parts(frame, tile):
                    arrays.put(part, tile)
                bar.update()
    text = json.dumps(specification(measurement, plane), sort_keys=True)
    attributes = {"spec": text, "hash": sha256(text.encode()).hexdigest()}
    data = xr.Dataset(arrays.variables(), coordinates_of(measurement, plane), attributes)
    return Slice(data, plane, model, levels, measurement.features, prompt)


def measurement_of(model: Model, plane: Plane, levels: Levels, prompt: Prompt | None = None,
                   features: Sequence[str] | Mapping[str, Feature | Callable] | None = None,
                   jacobian: str = "differences", fields: Mapping[str, Callable[[Frame], ndarray]] | None = None,
                   pictures: int = 0, keep: Collection[int] | None = None) -> Measurement:
    """The arguments of `slice_of`, checked.

    Args:
        model: see `slice_of`, as for the others.
        plane: the grid.
        levels: of the sampler.
        prompt: or None.
        features: names, or a mapping.
        jacobian: one of `tiles.JACOBIANS`.
        fields: by name.
        pictures: along each side.
        keep: steps.

    Returns:
        What every tile is measured by.

    Raises:
        ValueError: for an argument in another's place, latents of another shape, an unknown feature or step.
    """
    check_kinds(model, levels, prompt)
    check_plane(plane)
    if prompt is not None and any(len(c) != 1 for c in prompt.conditions.values()):
        raise ValueError("prompt: one a point; a slice takes one for all its points, such as model.prompt('a red cat')")
    _check_jacobian(model, jacobian)
    if plane.anchors.shape[1:] != tuple(model.shape):
        raise ValueError(f"plane: latents of shape {plane.anchors.shape[1:]}; this model takes {tuple(model.shape)}")
    chosen = named_features(model, features)
    for name, feature in chosen.items():
        at = range(1) if feature.at is None else sorted(feature.at)
        if not at or at[0] < 0 or at[-1] >= levels.steps:
            raise ValueError(f"features: {name!r} is measured at steps {brief(at)}; takes one or more from 0 to "
                             f"{levels.steps - 1}")
    check_begin(levels, plane.size)
    pictures = whole("pictures", pictures, 0)
    kept = kept_steps(keep, pictures, levels.steps)
    return Measurement(model, levels, prompt, chosen, check_fields(fields), jacobian, kept,
                       picked(pictures, plane.grid))


def _check_jacobian(model: Model, jacobian: str) -> None:
    """ValueError for one that is unknown, or not known of this model."""
    if not isinstance(jacobian, str) or jacobian not in JACOBIANS:
        raise ValueError(f"jacobian = {jacobian!r}: takes {', '.join(JACOBIANS)}")
    if jacobian == "exact" and type(model).sweep is Model.sweep:
        raise ValueError(f"jacobian = 'exact': a {type(model).__name__} has no closed form; takes differences or jvp")


def _rows(plane: Plane) -> list[Tile]:
    height = max(1, POINTS_IN_A_TILE // plane.grid)
    return [Tile(plane, r, min(r + height, plane.grid), 0, plane.grid) for r in range(0, plane.grid, height)]
