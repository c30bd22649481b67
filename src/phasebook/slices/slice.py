"""A measured slice of latent space: the metric of each feature at every step, and what follows from it.

A `Slice` wraps an xarray Dataset with dims (feature, step, alpha, beta), made by `sweep.slice_of`, and answers what is
asked of a slice: its surface, its ridges and phases, the steps that tell, distances between its points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from numpy import ndarray

from phasebook.arguments import brief, number, switch, whole
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Feature, Model, Prompt
from phasebook.slices.geodesic import Surface
from phasebook.slices.measures.basins import basin_labels
from phasebook.slices.measures.phases import connected, watershed_labels
from phasebook.slices.pairs import Pairs
from phasebook.slices.plane import Plane, paired

__all__ = ["RIDGE", "Slice"]

NAMES = ("E", "F", "G", "det", "trace", "largest", "jump_alpha", "jump_beta")
POSITIVE = ("a positive height, in the feature's distance (s.ridge() is one, unless all predictions of the model are "
            "equal: there are no phases then)")
MOST = 100_000          # telling steps
RIDGE = 0.2             # a jump over this share of the yardstick is a ridge, wherever ridges are spoken of


@dataclass(frozen=True, eq=False)
class Slice:
    """A measured slice.

    Attributes:
        data: variables `E, F, G, det` (feature, step, alpha, beta) by finite differences, the same with `_exact` where
            tangents were carried; `jump_alpha, jump_beta`, distances of grid neighbours (one row or column less);
            `picture` (kept, row, column, y, x, rgb), bytes, on some points and steps; and the model's own fields
            (step, alpha, beta). NaN at steps at which a feature was not measured.
        plane: the grid.
        model: what was swept; None for a slice that was read without it.
        levels: of the sampler.
        features: by name, in the order of the dataset; the first is meant where none is named.
        prompt: what the model was asked for.
    """

    data: xr.Dataset
    plane: Plane
    model: Model | None
    levels: Levels
    features: Mapping[str, Feature]
    prompt: Prompt | None = None

    def __repr__(self) -> str:
        grid, names = self.plane.grid, ", ".join(self.features)
        return f"<Slice: {grid} x {grid} points, {self.steps} steps, features {names}>"

    @property
    def steps(self) -> int:
        """Of the sampler."""
        return self.levels.steps

    def measured(self, feature: str | None = None) -> Int[ndarray, " k"]:
        """The steps at which a feature was measured."""
        return np.flatnonzero(np.isfinite(self.values("det", feature)).any((1, 2)))

    def values(self, name: str, feature: str | None = None, exact: bool = False) -> Float[ndarray, "step a b"]:
        """A variable of one feature at all steps.

        Args:
            name: `E, F, G, det, trace, largest, jump_alpha` or `jump_beta`. `trace` is E + G; `largest`, the larger
                eigenvalue, is the squared Lipschitz constant at the point.
            feature: its name; the first by default.
            exact: from tangents instead of finite differences.

        Returns:
            The numbers; NaN at steps at which the feature was not measured.

        Raises:
            ValueError: for a feature that was not measured, tangents that were not carried, or another `exact`.
        """
        feature = self._known(feature)
        if name not in NAMES:
            raise ValueError(f"name = {name!r}: takes one of {', '.join(NAMES)}")
        switch("exact", exact)
        if exact and name.startswith("jump"):
            raise ValueError(f"exact = True: {name} is a difference; takes {', '.join(NAMES[:6])}")
        if exact and "det_exact" not in self.data:
            raise ValueError("exact = True: no tangents were carried; takes slice_of(..., jacobian=\"jvp\")")
        at = self.data.get_index("feature").get_loc(feature)        # `sel` would go through all other variables
        entry = lambda key: self.data.variables[key + ("_exact" if exact else "")].isel(feature=at).values  # noqa: E731
        if name == "trace":
            return entry("E") + entry("G")
        if name == "largest":
            mean, half = (entry("E") + entry("G")) / 2, (entry("E") - entry("G")) / 2
            return mean + np.hypot(half, entry("F"))
        return entry(name)

    def _known(self, feature: str | None) -> str:
        if feature is None:
            return next(iter(self.features))
        if not isinstance(feature, str) or feature not in self.features:
            raise ValueError(f"feature = {brief(feature)}: not measured here; takes {', '.join(self.features)}")
        return feature

    def _step(self, step: int) -> int:
        return whole("step", step, 0, self.steps - 1, "a step")

    def yardstick(self, feature: str | None = None) -> float:
        """The feature's distance of unrelated final predictions."""
        return self.features[self._known(feature)].yardstick(self.model, self.prompt)

    def ridge(self, feature: str | None = None, share: float = RIDGE) -> float:
        """The height from which a jump counts as a ridge: a share of the yardstick.

        Args:
            feature: its name; the first by default.
            share: above 0.

        Returns:
            The height, in the feature's distance. The jump of a smooth transition shrinks with the grid's spacing, so
            one height means the same at one grid alone.

        Raises:
            ValueError: for a share that is not positive.
        """
        return number("share", share, "a positive number", above=0) * self.yardstick(feature)

    def surface(self, step: int, feature: str | None = None) -> Surface:
        """The metric of a step, for geodesics."""
        step = self._step(step)
        E, F, G = (self.values(key, feature)[step] for key in "EFG")
        most = np.sqrt(E * G)               # F² <= E G up to float32
        return Surface(E, np.clip(F, -most, most), G, self.plane.spacing)

    def height(self, step: int, feature: str | None = None) -> Float[ndarray, "a b"]:
        """The largest jump of the prediction from a point to a neighbour.

        Returns:
            The heights. A discontinuity of size j is two points wide and j high at any grid; a smooth transition gets
            lower as the grid is refined.

        Raises:
            ValueError: for a step that the sampler does not have.
        """
        return self._heights(self._step(step), feature)

    def _heights(self, steps: int | slice, feature: str | None) -> Float[ndarray, "*step a b"]:
        up, right = (self.values(key, feature)[steps] for key in ("jump_alpha", "jump_beta"))
        high = np.zeros((*up.shape[:-2], *self.data.E.shape[2:]))
        lower, upper, left, there = np.s_[..., :-1, :], np.s_[..., 1:, :], np.s_[..., :-1], np.s_[..., 1:]
        for at, jump in ((lower, up), (upper, up), (left, right), (there, right)):
            high[at] = np.maximum(high[at], jump)
        return high

    def phases(self, ridge: float, by: str = "watershed", feature: str | None = None) -> Int[ndarray, "step a b"]:
        """The phase of every point at every step. Compare phases at one grid only: see `ridge`.

        Args:
            ridge: the height of a ridge, in the feature's distance.
            by: `watershed`, valleys of `height` parted by ridges that high; `cut`, what stays connected once edges with
                a larger jump are cut; or the name of an integer or boolean field, connected regions of one value.
            feature: whose ridges.

        Returns:
            Labels, counted from 0 at every step.

        Raises:
            ValueError: for another `by`, a ridge that is not positive, a feature measured at some steps alone, or a
                slice of which tiles are missing.
        """
        ridge = number("ridge", ridge, POSITIVE, above=0)
        self._check_tiles(feature)
        if by in ("watershed", "cut"):
            self._check_measured(range(self.steps), feature)
        if by == "watershed":
            return np.stack([watershed_labels(high, ridge) for high in self._heights(np.s_[:], feature)])
        if by == "cut":
            edges = zip(self.values("jump_alpha", feature), self.values("jump_beta", feature), strict=True)
            return np.stack([basin_labels(up, right, ridge) for up, right in edges])
        fields = [str(name) for name, v in self.data.items()
                  if v.dtype.kind in "iub" and v.dims == ("step", "alpha", "beta")]
        if by not in fields:
            raise ValueError(f"by = {brief(by)}: takes {', '.join(['watershed', 'cut', *fields])}")
        return np.stack([connected(one) for one in self.data[by].values])

    def phases_at(self, step: int, ridge: float, feature: str | None = None) -> Int[ndarray, "a b"]:
        """The phase of every point at one step, by watershed: that of `phases`, without flooding all others.

        Args:
            step: of the sampler.
            ridge: the height of a ridge, in the feature's distance.
            feature: whose ridges.

        Returns:
            Labels, counted from 0.

        Raises:
            ValueError: for a step that the sampler does not have or at which the feature was not measured, a ridge that
                is not positive, or a slice of which tiles are missing.
        """
        ridge = number("ridge", ridge, POSITIVE, above=0)
        self._check_tiles(feature)
        self._check_measured([self._step(step)], feature)
        return watershed_labels(self.height(step, feature), ridge)

    def _check_tiles(self, feature: str | None) -> None:
        """ValueError while a store is being written: NaN would be cut off as basins, or are none."""
        at = self.features[self._known(feature)].at
        if not np.isfinite(self.values("det", feature)[np.s_[:] if at is None else sorted(at)]).all():
            raise ValueError("slice: some of its tiles are missing; takes one whose store is done")

    def _check_measured(self, steps: Sequence[int], feature: str | None) -> None:
        measured = self.measured(feature).tolist()
        if not set(steps) <= set(measured):
            wanted = "every step" if len(steps) == self.steps else f"step {steps[0]}"
            raise ValueError(f"feature = {self._known(feature)!r}: measured at steps {measured} alone; phases take a "
                             f"feature that is measured at {wanted}")

    def telling(self, count: int, feature: str | None = None) -> list[int]:
        """Steps at which pictures differ: the logarithm of the mean of det G makes equal progress between them.

        Args:
            count: of steps at most, from 2 to 100000.
            feature: its name; the first by default.

        Returns:
            Increasing, from the first to the last step that is measured.

        Raises:
            ValueError: for a count that is none, or a slice of which tiles are missing.
        """
        count = whole("count", count, 2, MOST)
        self._check_tiles(feature)
        at = self.measured(feature)
        means = self.values("det", feature)[at].mean((1, 2))
        rise = np.maximum.accumulate(np.log(1e-8 + means))
        last = len(at) - 1
        if rise[-1] - rise[0] < 1e-6:
            return sorted({int(at[round(k)]) for k in np.linspace(0, last, count)})
        marks = rise[0] + (rise[-1] - rise[0]) * np.linspace(0, 0.98, count - 1)[1:]
        return sorted({int(at[k]) for k in (0, last, *(int(np.searchsorted(rise, m)) for m in marks))})

    def resting(self, feature: str | None = None) -> int:
        """The last but one of six telling steps: of pictures, where the mean of det G has come to rest.

        Of smooth data, whose predictions go on moving inside a phase, it goes on; `steps - 1` is the last step.

        Args:
            feature: its name; the first by default.

        Returns:
            The step.
        """
        steps = self.telling(6, feature)
        return steps[-2] if len(steps) > 1 else steps[-1]

    def between(self, alpha: Float[ndarray, " n"], beta: Float[ndarray, " n"], feature: str | None = None) -> Pairs:
        """Distances of the predictions of points of the slice at every step.

        Args:
            alpha: coordinates of n points.
            beta: likewise.
            feature: by which distances are taken; the first by default.

        Returns:
            Distances and states.

        Raises:
            ValueError: for a point outside the slice, different numbers of coordinates, a slice without a model.
        """
        if self.model is None:
            raise ValueError("model: this slice was read without its model; takes open_store(path, model)")
        alpha, beta = paired(alpha, beta)
        if len(alpha) == 0:
            raise ValueError("alpha, beta: no point; takes one or more")
        self._check_inside(alpha, beta)
        c, _ = self.plane.coefficients(alpha, beta)
        start = self.model.start(self.plane.anchors, c)
        return Pairs.of(self.model, start, self.levels, self.features[self._known(feature)], self.prompt)

    def _check_inside(self, alpha: Float[ndarray, " n"], beta: Float[ndarray, " n"]) -> None:
        a0, a1, b0, b1 = self.plane.extent
        inside = (a0 <= alpha) & (alpha <= a1) & (b0 <= beta) & (beta <= b1)
        if not inside.all():
            k = int(np.flatnonzero(~inside)[0])
            raise ValueError(f"alpha, beta = {alpha[k]:g}, {beta[k]:g}: outside the slice; takes alpha from {a0:g} to "
                             f"{a1:g} and beta from {b0:g} to {b1:g}")

    def figure(self, step: int, name: str = "trace", feature: str | None = None):
        """A plotly heat map of the logarithm of a variable at a step, alpha up and beta right.

        Args:
            step: from 0.
            name: as in `values`.
            feature: its name; the first by default.

        Returns:
            A plotly figure.

        Raises:
            ValueError: for a step that the sampler does not have.
        """
        import plotly.graph_objects as go

        step = self._step(step)
        field = np.log10(1e-8 + self.values(name, feature)[step])
        title = f"{self._known(feature)}, step {step}: σ/α = {self.levels.sigma_over_alpha[step]:.3g}"
        fig = go.Figure(go.Heatmap(z=field, x=self.plane.beta, y=self.plane.alpha, colorscale="Inferno",
                                   colorbar={"title": f"log {name}"}))
        fig.update_xaxes(title="β", constrain="domain")
        fig.update_yaxes(title="α", scaleanchor="x", constrain="domain")
        return fig.update_layout(template="plotly_white", width=480, height=440, margin={"t": 50, "r": 20}, title=title)

    def pictures(self, steps: Sequence[int]) -> ndarray:
        """The kept pictures of some steps.

        Args:
            steps: a list of them.

        Returns:
            Bytes (step, row, column, y, x, rgb).

        Raises:
            ValueError: for a step whose pictures were not kept, or where none were.
        """
        if "picture" not in self.data:
            raise ValueError("steps: no pictures were kept; takes slice_of(..., pictures=8)")
        kept = self.data.kept.values.tolist()
        if not hasattr(steps, "__iter__"):
            raise ValueError(f"steps = {brief(steps)}: takes a list of some of {kept}")
        if isinstance(steps, ndarray) and steps.ndim != 1:
            raise ValueError(f"steps: an array of shape {steps.shape}; takes a list of some of {kept}")
        missing = [k for k in steps if k not in kept]
        if missing:
            raise ValueError(f"steps: no pictures of step {missing[0]} were kept; takes some of {kept}")
        return self.data.picture.values[[kept.index(k) for k in steps]]
