"""The basins of a slice from a part of its points: coarse to fine, along the boundaries only.

A coarse grid, the same on any slice however fine, is evaluated whole. Then the spacing is halved again and again:
between two neighbours whose predictions lie apart (further than a ridge is high) the middle is evaluated, between two
that agree it is filled with one of them; likewise the middles of squares. At the finest spacing boundaries are
followed: every point beside one that differs is evaluated, until each boundary has evaluated points on both sides. What
the coarse grid has stepped over entirely, no such rule can find: random probes among the filled points estimate it, and
what they find is followed as well.

The cost is the coarse grid, the probes, and a few points for each step of the grid along a boundary: as the grid gets
finer it grows with the length of the boundaries, not with the area.
"""

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.interpolate import griddata
from scipy.optimize import linear_sum_assignment

from phasebook.arguments import check_takes, number, whole
from phasebook.sampling.protocols import Embedding
from phasebook.slices.evaluator import Evaluate, checked, joined
from phasebook.slices.measures.basins import basin_labels
from phasebook.slices.measures.phases import link
from phasebook.slices.plane import Plane, check_plane
from phasebook.stats import Estimate, share_interval

__all__ = ["COARSE", "PROBES", "Adaptive", "adaptive_basins", "full_basins", "same_basins"]

CHUNK = 100_000         # pairs of points compared at a time
COARSE = 12             # cells along each side of what is evaluated whole
PROBES = 200            # points that were filled, evaluated at random


@dataclass(frozen=True, eq=False)
class Adaptive:
    """Basins of a slice, most points of which were not evaluated.

    Attributes:
        labels: the basin of every point: what stays connected once jumps above the ridge are cut.
        evaluated: the points that were.
        missed: the share of the slice's points whose prediction is not that of the basin they were put in, estimated
            from the probes before what they found was followed; None where nothing was left to probe.
    """

    labels: Int[ndarray, "a a"]
    evaluated: Bool[ndarray, "a a"]
    missed: Estimate | None

    @property
    def share(self) -> float:
        """Of the points that were evaluated."""
        return float(self.evaluated.mean())

    def __str__(self) -> str:
        missed = "nothing left to probe" if self.missed is None else (
            f"missed: {self.missed.value:.2%} (95 %: at most {self.missed.high:.2%})")
        return f"{self.share:.1%} of {len(self.labels)} × {len(self.labels)} points evaluated; {missed}"

    def dataset(self, plane: Plane) -> xr.Dataset:
        """What is known of the slice, to be kept: `.to_zarr(place)`, `.to_netcdf(file)`.

        Args:
            plane: the grid.

        Returns:
            `basin` and `evaluated` over alpha and beta; the estimate of what was missed among the attributes.

        Raises:
            ValueError: for a plane of another grid, or none.
        """
        check_plane(plane)
        if plane.grid != len(self.labels):
            raise ValueError(f"plane.grid = {plane.grid}: takes {len(self.labels)}, the grid of these basins")
        axes = ("alpha", "beta")
        told = {} if self.missed is None else {f"missed_{name}": x for name, x in self.missed._asdict().items()}
        return xr.Dataset({"basin": (axes, self.labels), "evaluated": (axes, self.evaluated)},
                          {"alpha": plane.alpha, "beta": plane.beta}, {"share": self.share, **told})

    def figure(self, plane: Plane):
        """The basins, the points that were evaluated, and what may have been missed, as a plotly figure.

        Args:
            plane: the grid.

        Returns:
            A plotly figure, alpha up and beta right; evaluated points are dark.

        Raises:
            ValueError: for a plane of another grid.
        """
        import plotly.express as px
        import plotly.graph_objects as go

        ds, hues = self.dataset(plane), px.colors.qualitative.Safe
        place, size = np.unique(self.labels, return_inverse=True, return_counts=True)[1:]
        rank = np.argsort(np.argsort(-size, kind="stable"))[place.reshape(self.labels.shape)]   # largest first
        shades = np.where(ds.evaluated, len(hues), rank % len(hues)).astype(np.uint8)
        scale = [(edge / (len(hues) + 1), c) for k, c in enumerate([*hues, "#222222"]) for edge in (k, k + 1)]
        title = str(self).replace("; ", ";<br>")
        fig = go.Figure(go.Heatmap(z=shades, x=plane.beta, y=plane.alpha, zmin=-0.5, zmax=len(hues) + 0.5,
                                   colorscale=scale, showscale=False, hoverinfo="x+y"))
        fig.update_xaxes(title="β", constrain="domain")
        fig.update_yaxes(title="α", scaleanchor="x", constrain="domain")
        return fig.update_layout(template="plotly_white", width=560, height=520, title={"text": title, "font_size": 13},
                                 margin={"t": 60, "r": 20})

    def filled(self, values: Float[ndarray, "a a"]) -> Float[ndarray, "a a"]:
        """A map that is known at the evaluated points, interpolated linearly between them; no other value is read.

        Args:
            values: of every point.

        Returns:
            The map.

        Raises:
            ValueError: for another shape, or NaN or Inf at an evaluated point.
        """
        values = np.asarray(values)
        if values.shape != self.labels.shape or values.dtype.kind not in "iuf":
            raise ValueError(f"values: {values.dtype} of shape {values.shape}; takes real numbers of shape "
                             f"{self.labels.shape}, one a point")
        if not (known := np.isfinite(values) | ~self.evaluated).all():
            row, column = np.argwhere(~known)[0]
            raise ValueError(f"values: NaN or Inf at row {row}, column {column}, which was evaluated; takes finite "
                             "numbers at these")
        at = np.argwhere(self.evaluated)
        rest = np.argwhere(~self.evaluated)
        full = np.where(self.evaluated, values, 0.0)
        if len(rest):
            full[tuple(rest.T)] = griddata(at, values[self.evaluated], rest)
        return full


class _Known:
    """What has been evaluated, and for every point of the grid the evaluated one that stands for it (-1: none yet)."""

    def __init__(self, evaluate: Evaluate, grid: int, ridge: float):
        self.evaluate, self.grid, self.ridge = evaluate, grid, ridge
        self.parts: list[Embedding] = []
        self.stands = np.full((grid, grid), -1)
        self.evaluated = np.zeros((grid, grid), dtype=bool)

    def ask(self, wanted: Bool[ndarray, "a a"]) -> int:
        """Evaluate the wanted points that are not yet; how many."""
        at = np.argwhere(wanted & ~self.evaluated)
        if len(at):
            first = int(self.evaluated.sum())
            self.parts = [joined([*self.parts, checked(self.evaluate(at), at)])]
            self.stands[tuple(at.T)] = first + np.arange(len(at))
            self.evaluated[tuple(at.T)] = True
        return len(at)

    def apart(self, i: Int[ndarray, "*s"], j: Int[ndarray, "*s"]) -> Bool[ndarray, "*s"]:
        """Whether evaluated points lie further apart than a ridge is high."""
        differs = np.zeros(i.shape, dtype=bool)
        f, (at,) = self.parts[0], np.nonzero((i != j).ravel())
        for part in np.array_split(at, -(-len(at) // CHUNK)) if len(at) else []:
            a, b = (torch.as_tensor(k.ravel()[part]) for k in (i, j))
            square = ((f.points[a] - f.points[b]) * (f.duals[a] - f.duals[b])).sum(-1)
            differs.reshape(-1)[part] = (square > self.ridge**2).numpy()
        return differs

    def cuts(self) -> tuple[Bool[ndarray, "a-1 a"], Bool[ndarray, "a a-1"]]:
        """Edges of the grid between predictions that lie apart."""
        s = self.stands
        return self.apart(s[1:], s[:-1]), self.apart(s[:, 1:], s[:, :-1])

    def halve(self, coarse: Int[ndarray, " c"], new: Int[ndarray, " n"]) -> None:
        """From the lines `coarse` of the grid to these and the lines `new`, one between two at most."""
        fine = np.union1d(coarse, new)
        for rows in (coarse, new):              # points on coarse lines first: squares ask the middles of their sides
            for axis in (0, 1) if rows is coarse else (0,):
                self._between(coarse, new, fine if rows is new else coarse, axis)

    def _between(self, coarse: ndarray, new: ndarray, across: ndarray, axis: int) -> None:
        k = np.searchsorted(coarse, new)
        at, low, high = (np.ix_(*((x, across) if axis == 0 else (across, x))) for x in (new, coarse[k - 1], coarse[k]))
        differ = self.apart(self.stands[low], self.stands[high])
        fresh = self.stands[at] < 0
        self.stands[at] = np.where(fresh, self.stands[low], self.stands[at])
        wanted = np.zeros_like(self.evaluated)
        wanted[at] = differ & fresh
        self.ask(wanted)

    def follow(self) -> None:
        """Evaluate both ends of every cut, until there is nothing left to evaluate."""
        while True:
            up, right = self.cuts()
            wanted = np.zeros_like(self.evaluated)
            for cut, one, two in ((up, np.s_[1:], np.s_[:-1]), (right, np.s_[:, 1:], np.s_[:, :-1])):
                wanted[one] |= cut
                wanted[two] |= cut
            if not self.ask(wanted):
                return

    def probe(self, count: int, rng: np.random.Generator) -> Estimate | None:
        """Evaluate random points that were filled; the share of all points that was filled wrongly."""
        left = np.argwhere(~self.evaluated)
        if not len(left) or not count:
            return None
        at = left[rng.choice(len(left), min(count, len(left)), replace=False)]
        stood = self.stands[tuple(at.T)]
        wanted = np.zeros_like(self.evaluated)
        wanted[tuple(at.T)] = True
        self.ask(wanted)
        wrong = int(self.apart(self.stands[tuple(at.T)], stood).sum())
        share = share_interval(wrong, len(at))
        part = len(left) / self.stands.size
        return Estimate(share.value * part, share.low * part, share.high * part, len(at))


def adaptive_basins(evaluate: Evaluate, grid: int, ridge: float, *, coarse: int = COARSE, probes: int = PROBES,
                    seed: int = 0) -> Adaptive:
    """Basins of a grid from few evaluations.

    Args:
        evaluate: predictions at points (row, column), such as `evaluator(...)`.
        grid: points along each side.
        ridge: from this distance of the embeddings on neighbours lie in different basins: `Slice.ridge(...)` for an
            `evaluator` of the same feature.
        coarse: cells along each side of the grid that is evaluated whole, on a finer slice the same ones. A basin that
            is narrower than a cell, and whose boundary meets no other, can be missed.
        probes: filled points that are evaluated at random, for the estimate of what was missed.
        seed: of the probes.

    Returns:
        The basins, the points that were evaluated, and the estimate of what was missed.

    Raises:
        ValueError: for a grid of fewer than 3 points, or another than that of an `evaluator`, no cell, a ridge that is
            not positive, or predictions that are not finite.
    """
    grid, coarse, probes = whole("grid", grid, 3), whole("coarse", coarse, 1), whole("probes", probes, 0)
    ridge, seed = number("ridge", ridge, "a positive number", above=0), whole("seed", seed, 0)
    check_takes("evaluate", evaluate, "points")
    if (own := getattr(evaluate, "grid", grid)) != grid:
        raise ValueError(f"grid = {grid}: evaluate is of a plane of {own}; takes as many")
    known = _Known(evaluate, grid, ridge)
    lines = np.unique(np.linspace(0, grid - 1, min(coarse, grid - 1) + 1).round().astype(int))
    wanted = np.zeros((grid, grid), dtype=bool)
    wanted[np.ix_(lines, lines)] = True
    known.ask(wanted)
    while len(new := _between_two(lines)):
        known.halve(lines, new)
        lines = np.union1d(lines, new)
    known.follow()
    missed = known.probe(probes, np.random.default_rng(seed))
    known.follow()
    up, right = known.cuts()
    return Adaptive(basin_labels(up.astype(float), right.astype(float), 0.5), known.evaluated, missed)


def _between_two(lines: Int[ndarray, " l"]) -> Int[ndarray, " n"]:
    """The middles of neighbouring lines that have any between them."""
    low, high = lines[:-1], lines[1:]
    return ((low + high) // 2)[high - low > 1]


def full_basins(evaluate: Evaluate, grid: int, ridge: float) -> Int[ndarray, "a a"]:
    """The same basins with every point evaluated.

    Args:
        evaluate: as for `adaptive_basins`.
        grid: points along each side.
        ridge: likewise.

    Returns:
        Labels by row and column.
    """
    return adaptive_basins(evaluate, grid, ridge, coarse=grid - 1, probes=0).labels


def same_basins(one: Int[ndarray, "a b"], two: Int[ndarray, "a b"]) -> float:
    """The share of the area on which two labellings agree, each basin of one matched with at most one of the other.

    Args:
        one: labels.
        two: labels of the same points.

    Returns:
        From 0 to 1.
    """
    # labels may be of any kind, such as -1 for none
    one, two = (np.unique(labels, return_inverse=True)[1].reshape(np.shape(labels)) for labels in (one, two))
    shared = link(one, two)
    return float(shared[linear_sum_assignment(shared, maximize=True)].sum() / np.size(one))
