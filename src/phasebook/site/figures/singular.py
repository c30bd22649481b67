"""Figures of singular sets: a potential with its crease, torn transports, cells beside basins, stretching maps.

Builders take arrays and return a plotly Figure; labels are Unicode and HTML. Positions are rounded to 3 decimals.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from numpy import ndarray
from plotly.subplots import make_subplots

from phasebook.mixtures.monotone import Boundary
from phasebook.site.figures.base import COLOURS, SEQUENTIAL, layout
from phasebook.site.figures.transport import Curve
from phasebook.theory.cells.tears import TornTransport

__all__ = ["Cells", "Torn", "cells_and_basins", "crease", "drift_curves", "family", "growth_panel", "staircase",
           "stretch_panels", "stretching", "torn"]
WALL = "#D55E00"
GUIDE = 0.5             # stretch over fineness on the guide of slope one
SPECK = 0.03            # of the source's width: walls that fill less are marked


class Torn(NamedTuple):
    """Points x of the source (p, 2), where they go (p, 2), and the ends of the singular walls (m, 2, 2)."""

    title: str
    x: Float[ndarray, "p 2"]
    image: Float[ndarray, "p 2"]
    walls: Float[ndarray, "m 2 2"]

    @classmethod
    def of(cls, done: TornTransport, title: str = "", count: int = 900) -> "Torn":
        """A transport at `count` points of equal mass, on a sunflower's spiral, with walls to radius 1 or 3.5."""
        turn = np.pi * (1 + 5**0.5) * np.arange(count)
        radius = done.cells.source.radius((np.arange(count) + 0.5) / count)
        x = radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        far = 1.0 if done.cells.source.name == "disk" else 3.5
        return cls(title, x, done.cells.transport(x), done.tears.walls.ends(far))


class Cells(NamedTuple):
    """Two labellings (g, g) of a latent grid, index [row, column] = [z_2, z_1], and walls (m, 2, 2)."""

    title: str
    cells: Int[ndarray, "g g"]
    basins: Int[ndarray, "g g"]
    walls: Float[ndarray, "m 2 2"]
    differ: float


def _short(values) -> ndarray:
    return np.round(np.asarray(values, dtype=float), 3).astype(np.float32)


def _lines(walls: Float[ndarray, "m 2 2"]) -> dict:
    """Coordinates of many segments as one broken line."""
    walls = np.asarray(walls, dtype=float).reshape(-1, 2, 2)
    broken = np.concatenate([walls, np.full((len(walls), 1, 2), np.nan)], axis=1).reshape(-1, 2)
    return {"x": _short(broken[:, 0]), "y": _short(broken[:, 1])}


def crease(axis: Float[ndarray, " g"], potential: Float[ndarray, "g g"], walls: Float[ndarray, "m k 3"]) -> go.Figure:
    """A potential over the plane, `potential[row, column]` at (x_1, x_2) = (axis[column], axis[row]), with creases."""
    fig = go.Figure(go.Surface(x=_short(axis), y=_short(axis), z=_short(potential), colorscale=SEQUENTIAL, opacity=0.95,
                               colorbar={"title": "φ", "len": 0.7}))
    for k, wall in enumerate(walls):
        fig.add_trace(go.Scatter3d(x=_short(wall[:, 0]), y=_short(wall[:, 1]), z=_short(wall[:, 2]), mode="lines",
                                   line={"color": WALL, "width": 9}, name="singular set", showlegend=k == 0))
    flat = {"tickvals": [-1, 0, 1]}
    fig.update_scenes(xaxis={"title": "x₁ (source)", **flat}, yaxis={"title": "x₂ (source)", **flat},
                      zaxis={"title": "φ", "nticks": 4}, camera={"eye": {"x": 1.5, "y": -1.75, "z": 0.95},
                                                                 "center": {"x": 0, "y": 0, "z": -0.15}})
    layout(fig, height=520, legend={"x": 0.02, "y": 0.98})
    return fig.update_layout(margin={"l": 0, "b": 0})


def torn(steps: Sequence[Torn], slider: str = "", first: int | None = None) -> go.Figure:
    """Source points and their images in one colour each, singular walls on top; a slider when there are several.

    Args:
        steps: the transports. Walls too short to be seen get a mark.
        slider: words before the title of the one that is shown.
        first: the one that is shown at the start; by default two thirds along.
    """
    fig = make_subplots(1, 2, subplot_titles=("source, with its singular set", "target"), horizontal_spacing=0.1)
    first = 2 * len(steps) // 3 if first is None else first
    for k, step in enumerate(steps):
        seen = {"visible": k == first}
        rank = np.argsort(np.argsort(step.x[:, 0])).astype(np.int16)      # even use of the colours, whatever the source
        mark = {"size": 5, "color": rank, "colorscale": SEQUENTIAL, "cmin": 0, "cmax": len(rank)}
        dots = {"mode": "markers", "marker": mark, "showlegend": False}
        fig.add_trace(go.Scatter(x=_short(step.x[:, 0]), y=_short(step.x[:, 1]), **dots, **seen), 1, 1)
        speck = len(step.walls) and np.ptp(step.walls.reshape(-1, 2), 0).max() < SPECK * np.ptp(step.x, 0).max()
        fig.add_trace(go.Scatter(**_lines(step.walls), mode="lines+markers" if speck else "lines",
                                 line={"color": WALL, "width": 4}, marker={"size": 9}, name="singular set",
                                 **seen), 1, 1)
        fig.add_trace(go.Scatter(x=_short(step.image[:, 0]), y=_short(step.image[:, 1]), **dots, **seen), 1, 2)
    both = np.concatenate([step.image for step in steps])
    for column, points in ((1, steps[0].x), (2, both)):
        low, high = points.min(0), points.max(0)
        pad = 0.06 * (high - low).max()
        fig.update_xaxes(title_text=("x₁ (source)", "y₁ (target)")[column - 1], row=1, col=column,
                         range=[low[0] - pad, high[0] + pad])
        fig.update_yaxes(title_text=("x₂", "y₂")[column - 1], row=1, col=column, range=[low[1] - pad, high[1] + pad],
                         scaleanchor=f"x{column if column > 1 else ''}")
    if len(steps) > 1:
        fig.update_layout(sliders=[_slider([s.title for s in steps], 3, slider, first)])
    legend = {"x": 0, "y": 1.1, "yanchor": "bottom", "orientation": "h"}
    return layout(fig, height=500 if len(steps) > 1 else 440, legend=legend).update_layout(margin={"t": 70})


def stretch_panels(runs: Mapping[str, Sequence[TornTransport]], least: float = 1e-4) -> list[list[Curve]]:
    """Two panels of curves over one over the brick width: the stretch beside a line of slope one, and the jump integral
    (0 drawn at `least`)."""
    panels = [[], []]
    for k, (name, run) in enumerate(runs.items()):
        fineness = np.array([1 / done.spacing for done in run])
        panels[0].append(Curve(name, fineness, np.array([done.stretch for done in run]), "measured", k))
        jumps = np.array([max(done.tears.jump, least) for done in run])
        panels[1].append(Curve(name, fineness, jumps, "measured", k))
    x = np.sort(np.concatenate([curve.x for curve in panels[0]]))[[0, -1]]
    panels[0].append(Curve("slope one", x, GUIDE * x, "fitted", 6))
    return panels


def _slider(titles: Sequence[str], traces: int, prefix: str, first: int = 0) -> dict:
    """A slider that shows one group of `traces` traces at a time."""
    n = len(titles)
    steps = [{"method": "restyle", "label": title,
              "args": [{"visible": [k == j // traces for j in range(n * traces)]}]} for k, title in enumerate(titles)]
    return {"steps": steps, "active": first, "currentvalue": {"prefix": prefix}, "pad": {"t": 55}}


def family(outlines: Sequence[Float[ndarray, "p 2"]], names: Sequence[str], torn: Sequence[bool],
           x: Float[ndarray, " k"], jumps: Float[ndarray, " k"], lengths: Float[ndarray, " k"],
           x_title: str, convex_from: float) -> go.Figure:
    """Outlines of domains (those with a singular set in orange) beside jump and length over the family's parameter."""
    fig = make_subplots(1, 2, subplot_titles=("outlines", "singular set"), horizontal_spacing=0.12,
                        column_widths=[0.55, 0.45])
    for outline, name, broken in zip(outlines, names, torn, strict=True):
        line = {"color": WALL if broken else COLOURS[0], "width": 1.6, "simplify": False}
        fig.add_trace(go.Scatter(x=_short(outline[:, 0]), y=_short(outline[:, 1]), mode="lines", name=name, line=line,
                                 showlegend=False), 1, 1)
    widest = 1.05 * max(float(np.nanmax(np.abs(outline[:, 0]))) for outline in outlines)      # gaps between pieces
    for y, name, colour, dash in ((jumps, "jump integral", COLOURS[0], "solid"),
                                  (lengths, "length", COLOURS[2], "dot")):
        fig.add_trace(go.Scatter(x=x, y=_short(y), mode="lines+markers", name=name,
                                 line={"color": colour, "dash": dash}), 1, 2)
    fig.add_vline(x=convex_from, line={"dash": "dash", "color": "#888888"}, annotation_text="convex →", row=1,
                  col=2, annotation_position="top right")
    fig.update_xaxes(title_text="y₁", range=[-widest, widest], constrain="domain", row=1, col=1)
    fig.update_yaxes(title_text="y₂", scaleanchor="x", constrain="domain", row=1, col=1)
    fig.update_xaxes(title_text=x_title, row=1, col=2)
    fig.update_yaxes(title_text="length; jump integral (units of the target)", row=1, col=2)
    legend = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.1, "yanchor": "bottom"}
    return layout(fig, height=440, legend=legend).update_layout(margin={"t": 80})


def cells_and_basins(cases: Sequence[Cells], axis: Float[ndarray, " g"]) -> go.Figure:
    """For each case a row: transport cells, and flow basins under the walls of the cells."""
    titles = [t for c in cases for t in (f"{c.title}: cells", f"flow basins ({c.differ:.1f} % differs)")]
    fig = make_subplots(len(cases), 2, subplot_titles=titles, horizontal_spacing=0.14, vertical_spacing=0.16)
    for row, case in enumerate(cases, 1):
        n = max(int(case.cells.max()) + 1, 2)
        scale = [(edge / n, _pale(COLOURS[k % 6])) for k in range(n) for edge in (k, k + 1)]
        for column, labels in ((1, case.cells), (2, case.basins)):
            fig.add_trace(go.Heatmap(x=_short(axis), y=_short(axis), z=np.asarray(labels, dtype=np.uint8), zmin=-0.5,
                                     zmax=n - 0.5, colorscale=scale, showscale=False,
                                     hovertemplate="atom %{z}<extra></extra>"), row, column)
            fig.add_trace(go.Scatter(**_lines(case.walls), mode="lines", line={"color": "black", "width": 1.5},
                                     name="walls of the transport cells", showlegend=row == column == 1), row, column)
    fig.update_xaxes(title_text="z₁ (latent)", range=[axis[0], axis[-1]], constrain="domain")
    for k in range(2 * len(cases)):
        fig.update_yaxes(title_text="z₂", range=[axis[0], axis[-1]], constrain="domain",
                         scaleanchor=f"x{k + 1 if k else ''}", row=k // 2 + 1, col=k % 2 + 1)
    return layout(fig, height=400 * len(cases), legend={"x": 0, "y": -0.08, "orientation": "h"})


def _pale(colour: str, share: float = 0.75) -> str:
    """A colour mixed with white. Transparency would do on a white page, and change the colours on a dark one."""
    mixed = (255 + share * (int(colour[i:i + 2], 16) - 255) for i in (1, 3, 5))
    return "#" + "".join(f"{round(c):02x}" for c in mixed)


def stretching(levels: Sequence[str], maps: Float[ndarray, "k g g"], axis: Float[ndarray, " g"],
               walls: Float[ndarray, "m 2 2"], top: int = 4) -> go.Figure:
    """A Lipschitz constant over the latent plane, a slider over levels, one logarithmic colour scale from 0.1 to the
    largest of all levels, 1 at least and 10^top at most.

    Values travel as bytes: steps of a thirtieth of a decade.
    """
    fig, first = go.Figure(), 2 * len(levels) // 3
    largest = int(np.ceil(30 * np.clip(np.log10(max(np.nanmax(maps), 1e-9)), 0, top)))
    ticks = list(range(-1, largest // 30 + 1))
    bar = {"title": "Lip", "tickvals": [30 * t for t in ticks], "ticktext": [f"{10.0**t:g}" for t in ticks]}
    for k, values in enumerate(maps):
        shown = np.rint(30 * np.clip(np.log10(np.maximum(values, 1e-9)), -1.0, top)).astype(np.int8)
        fig.add_trace(go.Heatmap(x=_short(axis), y=_short(axis), z=shown, zmin=-30, zmax=largest, colorscale="Inferno",
                                 visible=k == first, colorbar=bar, hoverinfo="x+y"))
        fig.add_trace(go.Scatter(**_lines(walls), mode="lines", line={"color": "#56B4E9", "width": 1.2, "dash": "dot"},
                                 visible=k == first, name="walls of the one-shot transport"))
    fig.update_layout(sliders=[_slider(levels, 2, "noise level σ/α = ", first)])
    fig.update_xaxes(title_text="z₁ (latent)", range=[axis[0], axis[-1]], constrain="domain")
    fig.update_yaxes(title_text="z₂ (latent)", range=[axis[0], axis[-1]], constrain="domain", scaleanchor="x")
    return layout(fig, height=600, legend={"x": 0, "y": 1.06, "orientation": "h"})


def drift_curves(tracks: Sequence[Sequence[Boundary]], steepness: float) -> list[Curve]:
    """Quantile over noise level of each boundary, and a dot where the map's slope there first reaches `steepness`."""
    lines, dots = [], []
    for k, track in enumerate(tracks):
        levels, quantiles = np.array([b.level for b in track]), np.array([b.quantile for b in track])
        lines.append(Curve(f"boundary {k + 1}", levels, quantiles, "predicted", k % 6))
        steep = np.flatnonzero(np.array([b.slope for b in track]) >= steepness)[:1]
        if steep.size:
            dots.append(Curve(f"ridge {k + 1}", levels[steep], quantiles[steep], "measured", k % 6))
    return lines + dots


def growth_panel(levels: Mapping[str, Float[ndarray, " k"]], branches: int, exponent: float) -> list[Curve]:
    """Noise levels at which modes reach powers of `branches`, dots first, then rings; a line of the predicted slope."""
    panel = []
    for k, (name, reached) in enumerate(levels.items()):
        reached = np.asarray(reached)
        counts = branches ** np.arange(1.0, len(reached) + 1)
        panel.append(Curve(name, reached, counts, "open" if k else "measured", len(levels) - 1 + k))
    x, y = panel[0].x, panel[0].y
    return [*panel, Curve("predicted slope", x, y[0] * (x / x[0]) ** -exponent, "predicted", 6)]


def staircase(maps: Sequence[tuple[str, Float[ndarray, " k"], Float[ndarray, " j"]]], x_title: str,
              y_title: str, closer: float) -> go.Figure:
    """Step functions, whole and from 0 to `closer`.

    Args:
        maps: `(name, edges, values)` with one edge more than values.
        x_title: of both panels.
        y_title: likewise.
        closer: end of the second panel.
    """
    fig = make_subplots(1, 2, subplot_titles=("whole", f"up to {closer:g}"), horizontal_spacing=0.12)
    for k, (name, edges, values) in enumerate(maps):
        for col, end in ((1, np.inf), (2, closer)):
            kept = edges[:-1] < end
            x = np.stack([edges[:-1][kept], np.minimum(edges[1:][kept], end)], 1).ravel()
            fig.add_trace(go.Scatter(x=x.astype(np.float32), y=np.repeat(values[kept], 2).astype(np.float32), name=name,
                                     mode="lines", line={"color": COLOURS[k], "width": 5 - 3 * min(k, 1)},
                                     legendgroup=name, showlegend=col == 1), 1, col)
    fig.update_xaxes(title_text=x_title)
    fig.update_yaxes(title_text=y_title)
    legend = {"orientation": "h", "x": 0, "y": 1.1, "yanchor": "bottom"}
    return layout(fig, height=440, legend=legend).update_layout(margin={"t": 80})
