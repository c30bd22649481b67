"""Exact Jacobians on ridges: ascent from an edge of the grid onto the ridge that crosses it.

Late in the process a ridge is far narrower than any grid: points miss it, and a difference quotient across it measures
the jump divided by the spacing. The ascent halves an edge again and again and keeps the half with the larger jump; on
the ridge the exact tangents give the slope that a grid cannot.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import first_not_finite
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Embedding, Feature, Frame, Model, Prompt
from phasebook.slices.metric import pullback
from phasebook.slices.plane import Plane
from phasebook.slices.slice import Slice

__all__ = ["Edges", "Profile", "Ridges", "frame_at", "isotropy", "medians", "profile", "ridge_edges", "ridges_at",
           "without_swells"]

SHARP = 0.02            # the ascent ends where the jump left over is this share of the first
STEEPER = 2.0           # a jump that many times as steep as on a usual edge is no swell
AT_ONCE = 1_000         # edges that are ascended together: all points of a sweep have states and tangents of their own


class Edges(NamedTuple):
    """Segments of a plane: their ends (alpha, beta)."""

    plane: Plane
    low: Float[ndarray, "m 2"]
    high: Float[ndarray, "m 2"]


class Ridges(NamedTuple):
    """What was found on the ridges that cross m edges at one step.

    Attributes:
        jump: the distance of the predictions at the two ends of an edge: the height of the ridge.
        trace: of G, from tangents, on the ridge.
        det: of G likewise.
        slope: the larger eigenvalue's root, the Lipschitz constant; where halving an edge has not resolved the ridge,
            the mean slope over what is left of the edge, which it exceeds.
        resolved: whether it has.
    """

    jump: Float[ndarray, " m"]
    trace: Float[ndarray, " m"]
    det: Float[ndarray, " m"]
    slope: Float[ndarray, " m"]
    resolved: Bool[ndarray, " m"]


def isotropy(trace: Float[ndarray, "*p"], det: Float[ndarray, "*p"]) -> Float[ndarray, "*p"]:
    """`det G / (tr G / 2)^2`: 1 for equal eigenvalues, 0 for rank one."""
    return 4 * det / np.maximum(np.asarray(trace) ** 2, 1e-200)


def without_swells(one: Slice, plain: Slice) -> Slice:
    """A slice with those jumps alone that a map without boundaries does not make; all others are 0.

    On a coarse grid the linear denoiser of a Gaussian jumps between neighbours by more than `Slice.ridge`, and it has
    no boundary: its map swells. A jump is left where, divided by that of such a map on the same edge at the same step,
    it is more than `STEEPER` times the median over the slice: of a map that is but steeper everywhere none is.

    Args:
        one: the slice; jumps of its first feature are compared.
        plain: the same plane by a map without boundaries, at the same steps; its first feature counts.

    Raises:
        ValueError: for slices of different planes, or steps.
    """
    if one.steps != plain.steps or not np.array_equal(one.plane.anchors, plain.plane.anchors):
        raise ValueError("plain: another plane, or other steps; takes the same slice by another model")
    names = ("jump_alpha", "jump_beta")
    own, other = ([side.values(name) for name in names] for side in (one, plain))
    ratio = [a / np.maximum(b, 1e-12) for a, b in zip(own, other, strict=True)]
    usual = np.median(np.concatenate([r.reshape(one.steps, -1) for r in ratio], 1), 1)[:, None, None]
    data = one.data.copy()
    for name, jump, r in zip(names, own, ratio, strict=True):
        data[name] = data[name].copy()          # all else is the slice's own, and is not kept twice
        data[name].loc[{"feature": next(iter(one.features))}] = np.where(r > STEEPER * usual, jump, 0)
    return replace(one, data=data)


def ridge_edges(one: Slice, steps: Sequence[int], ridge: float, most: int, feature: str | None = None) -> Edges:
    """Edges of the grid that are on a ridge at each of some steps: at most `most`, spread over all of them."""
    a, b = one.plane.alpha, one.plane.beta
    ends = []
    for name, (da, db) in (("jump_alpha", (1, 0)), ("jump_beta", (0, 1))):
        on = (one.values(name, feature)[list(steps)] > ridge).all(0)
        i, j = np.nonzero(on)
        ends.append(np.stack([a[i], b[j], a[i + da], b[j + db]], -1))
    ends = np.concatenate(ends)
    pick = np.unique(np.linspace(0, len(ends) - 1, min(most, len(ends))).round().astype(int)) if len(ends) else []
    ends = ends[np.asarray(pick, dtype=int)]
    return Edges(one.plane, ends[:, :2], ends[:, 2:])


def frame_at(model: Model, planes: Sequence[Plane], points: Sequence[Float[ndarray, "m 2"]], levels: Levels, step: int,
             prompt: Prompt | None = None, tangents: bool = False) -> Frame:
    """The predictions at points (alpha, beta) of several planes, at one step, as one frame. ValueError for a step that
    there is not, or a prediction that is not finite."""
    parts = [plane.coefficients(at[:, 0], at[:, 1]) for plane, at in zip(planes, points, strict=True)]
    start = torch.cat([model.start(plane.anchors, c) for plane, (c, _) in zip(planes, parts, strict=True)])
    dx = None
    if tangents:
        along = [torch.stack([model.start(plane.anchors, d) for d in dc])
                 for plane, (_, dc) in zip(planes, parts, strict=True)]
        dx = torch.cat(along, 1)
    for frame in model.sweep(start, levels, prompt, tangents=dx):
        if frame.step == step:
            if (k := first_not_finite(frame.x0)) is not None:
                alpha, beta = np.concatenate(points)[k]
                raise ValueError(f"denoise: the prediction is not finite at step {step}, alpha = {alpha:.6g}, beta = "
                                 f"{beta:.6g}")
            return frame
    raise ValueError(f"step = {step}: takes a step from 0 to {levels.steps - 1}")


def _distance(f: Embedding, i: slice, g: Embedding, j: slice, unit: float) -> Float[Tensor, " m"]:
    square = ((f.points[i] - g.points[j]) * (f.duals[i] - g.duals[j])).sum(-1)
    return square.clamp(min=0).sqrt() * unit


def ridges_at(model: Model, edges: Sequence[Edges], levels: Levels, step: int, feature: Feature,
              prompt: Prompt | None = None, rounds: int = 44) -> Ridges:
    """Ascend from edges onto the ridges that cross them, and measure the exact metric there.

    Args:
        model: any; late ridges of an exact model need its float64 version.
        edges: of several planes, ascended together, `AT_ONCE` at a time or those of a plane.
        levels: of the sampler.
        step: at which the prediction is looked at.
        feature: in which distances are taken.
        prompt: for all points.
        rounds: halvings at most; fewer are made once the jump left over is small: there the ridge is resolved.
    """
    groups: list[list[Edges]] = [[]]
    for one in edges:
        if groups[-1] and sum(len(e.low) for e in [*groups[-1], one]) > AT_ONCE:
            groups.append([])
        groups[-1].append(one)
    parts = [_ascended(model, group, levels, step, feature, prompt, rounds) for group in groups]
    return Ridges(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _ascended(model: Model, edges: Sequence[Edges], levels: Levels, step: int, feature: Feature,
              prompt: Prompt | None, rounds: int) -> Ridges:
    """`ridges_at` of a few edges."""
    planes, sizes = [e.plane for e in edges], [len(e.low) for e in edges]
    cut = np.cumsum(sizes)[:-1]
    low, high = (np.concatenate(ends) for ends in zip(*(e[1:] for e in edges), strict=True))
    if not len(low):                # flat slices
        none = np.empty(0)
        return Ridges(none, none, none, none, none.astype(bool))
    split = lambda points: np.split(points, cut)  # noqa: E731
    ends = [frame_at(model, planes, split(end), levels, step, prompt).embedded(feature) for end in (low, high)]
    a, b = (Embedding(f.points.clone(), f.duals.clone()) for f in ends)
    jump = rest = _distance(a, slice(None), b, slice(None), feature.unit)
    for _ in range(rounds):
        if bool((rest <= SHARP * jump).all()):
            break
        middle = (low + high) / 2
        f = frame_at(model, planes, split(middle), levels, step, prompt).embedded(feature)
        left, right = (_distance(f, slice(None), g, slice(None), feature.unit) for g in (a, b))
        rest, up = torch.maximum(left, right), (right > left)[:, None]
        a = Embedding(torch.where(up, f.points, a.points), torch.where(up, f.duals, a.duals))
        b = Embedding(torch.where(up, b.points, f.points), torch.where(up, b.duals, f.duals))
        chosen = up.cpu().numpy()
        low, high = np.where(chosen, middle, low), np.where(chosen, high, middle)
    f = frame_at(model, planes, split((low + high) / 2), levels, step, prompt, tangents=True).embedded(feature)
    metric = pullback(*f.d_points, *f.d_duals, feature.unit)
    jump, rest, trace, det, slope = (x.double().cpu().numpy() for x in (jump, rest, metric.trace, metric.det,
                                                                        metric.largest.sqrt()))
    least = rest / np.linalg.norm(high - low, axis=1)
    return Ridges(jump, trace, det, np.maximum(slope, least), rest <= SHARP * jump)


def medians(edges: Sequence[Edges], values: Float[ndarray, " m"]) -> list[float | None]:
    """The median over the edges of each plane; None for a plane without an edge. A NaN, of tangents that left float16's
    range, is left out."""
    parts = np.split(values, np.cumsum([len(e.low) for e in edges])[:-1])
    known = [part[~np.isnan(part)] for part in parts]
    return [float(np.median(part)) if len(part) else None for part in known]


class Profile(NamedTuple):
    """`|df/dbeta|` against the distance from a ridge along alpha = const, towards larger beta: the exact derivative,
    and what centred differences of each spacing make of it."""

    distance: Float[ndarray, " p"]
    exact: Float[ndarray, " p"]
    estimates: dict[float, Float[ndarray, " p"]]


def _ridge(model: Model, plane: Plane, levels: Levels, step: int, feature: Feature, alpha: float, low: float,
           high: float) -> float:
    """Where the largest jump between `low` and `high` lies: the interval of the largest difference, four times over."""
    for _ in range(4):
        b = np.linspace(low, high, 33)
        points = np.stack([np.full_like(b, alpha), b], -1)
        f = frame_at(model, [plane], [points], levels, step).embedded(feature)
        k = int(_distance(f, slice(1, None), f, slice(None, -1), 1.0).argmax())
        low, high = b[k], b[k + 1]
    return (low + high) / 2


def profile(model: Model, plane: Plane, levels: Levels, step: int, feature: Feature, alpha: float, beta: float,
            points: int = 121) -> Profile:
    """The slope near a ridge, exactly and by differences with the spacings h, 2h and 4h of grids of N, N/2, N/4 points.

    Args:
        model: a float64 one.
        plane: its spacing along beta is h.
        levels: of the sampler.
        step: at which the prediction is looked at.
        feature: in which slopes are taken.
        alpha: of the line.
        beta: near the ridge, to half a spacing.
        points: distances from the ridge, from 1e-4 h to 6 h.
    """
    h = plane.spacing[1]
    centre = _ridge(model, plane, levels, step, feature, alpha, beta - h / 2, beta + h / 2)
    distance = h * np.geomspace(1e-4, 6, points)
    shifts = np.array([0, -1, 1, -2, 2, -4, 4]) * h
    b = (centre + distance + shifts[:, None]).ravel()
    frame = frame_at(model, [plane], [np.stack([np.full_like(b, alpha), b], -1)], levels, step, tangents=True)
    f = frame.embedded(feature)
    exact = (f.d_points[1, :points] * f.d_duals[1, :points]).sum(-1).clamp(min=0).sqrt() * feature.unit
    estimates = {}
    for row, k in ((1, 1), (3, 2), (5, 4)):
        before, after = slice(row * points, (row + 1) * points), slice((row + 1) * points, (row + 2) * points)
        estimates[k * h] = (_distance(f, after, f, before, feature.unit) / (2 * k * h)).cpu().numpy()
    return Profile(distance, exact.cpu().numpy(), estimates)
