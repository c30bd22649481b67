"""Figures of the transport chapters: animated densities, curves on log axes, vector fields on the torus.

Builders take arrays and return a plotly Figure; labels are Unicode and HTML.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from numpy import ndarray
from plotly.subplots import make_subplots

from phasebook.site.figures.base import COLOURS, SEQUENTIAL, layout, log_axis

__all__ = ["Curve", "Field", "animated_pair", "chain_panels", "curves", "error_panels", "fields", "ratio_panels"]


class Curve(NamedTuple):
    """One curve: `kind` 'measured' (dots), 'open' (rings), 'predicted' (line) or 'fitted' (dashes).

    `colour` indexes COLOURS.
    """

    name: str
    x: Float[ndarray, " p"]
    y: Float[ndarray, " p"]
    kind: str = "measured"
    colour: int = 0


class Field(NamedTuple):
    """A scalar on the torus grid with arrows on top: `z[i, j]` at x1 = 2 pi i / n, `points` and `arrows` (p, 2).

    Arrows are drawn `stretch` times their length.
    """

    title: str
    z: Float[ndarray, "n n"]
    points: Float[ndarray, "p 2"]
    arrows: Float[ndarray, "p 2"]
    stretch: float
    label: str

    @classmethod
    def thinned(cls, title: str, z: Float[ndarray, "n n"], arrows: Float[ndarray, "n n 2"], label: str) -> "Field":
        """About twelve arrows an axis of a field given on the grid of z, the longest drawn 0.6 long."""
        n = len(z)
        step = max(n // 12, 1)
        axis = 2 * np.pi * np.arange(0, n, step) / n
        points = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        few = arrows[::step, ::step].reshape(-1, 2)
        longest = max(float(np.hypot(*few.T).max()), 1e-300)
        return cls(title, z, points, few, 0.6 / longest, label)


def error_panels(sweeps: Mapping, constants: Mapping) -> list[list[Curve]]:
    """Two panels of curves: the errors (13) and (12) of each setting, and their predictions.

    Args:
        sweeps: by setting, with `epsilons`, `map_error` and `w2` (theory.heat.interpolation.Sweep).
        constants: by setting, with `grad_q_norm` (theory.heat.expansion.Expansion).
    """
    panels = [[], []]
    for i, (name, s) in enumerate(sweeps.items()):
        for panel, error, share in zip(panels, (s.map_error, s.w2), (8, 32), strict=True):
            predicted = s.epsilons**2 / share * constants[name].grad_q_norm
            panel.append(Curve(name, s.epsilons, error, "measured", i))
            panel.append(Curve(f"predicted, {name}", s.epsilons, predicted, "predicted", i))
    return panels


def ratio_panels(sweeps: Mapping, constants: Mapping) -> list[list[Curve]]:
    """Two panels of curves: |measured / predicted - 1| of (13) and (12), and `|beta| eps`, `3/2 |beta| eps`.

    Args:
        sweeps: as for `error_panels`.
        constants: by setting, with `grad_q_norm` and `beta`.
    """
    panels = [[], []]
    for i, (name, s) in enumerate(sweeps.items()):
        size, beta = constants[name].grad_q_norm, abs(constants[name].beta)
        for panel, error, share, order in zip(panels, (s.map_error, s.w2), (8, 32), (1, 1.5), strict=True):
            ratio = error / (s.epsilons**2 / share * size)
            panel.append(Curve(name, s.epsilons, np.abs(ratio - 1), "measured", i))
            panel.append(Curve(f"next order, {name}", s.epsilons, order * beta * s.epsilons, "predicted", i))
    return panels


def chain_panels(chains: Mapping, constants: Mapping) -> list[list[Curve]]:
    """Two panels of curves: errors of chains beside their predicted limits, and the relative distance from the limit.

    Args:
        chains: by setting, with `n`, `forward` and `backward` (theory.chains.chain.Chain).
        constants: by setting, with `forward` and `backward` = lim n^2 error (theory.chains.chain.Constants).
    """
    left, right = [], []
    for i, (name, chain) in enumerate(chains.items()):
        limits = constants[name]
        left.append(Curve(f"predicted, {name}", chain.n, limits.forward / chain.n**2, "predicted", i))
        both = (("forward", chain.forward, limits.forward, "measured"),
                ("backward", chain.backward, limits.backward, "open"))
        for way, errors, limit, kind in both:
            left.append(Curve(f"{name}, {way}", chain.n, errors, kind, i))
            if limit > 0:
                right.append(Curve(f"{name}, {way}", chain.n, np.abs(chain.n**2 * errors / limit - 1), kind, i))
    return [left, right]


def _compact(values) -> ndarray:
    """Four significant digits are plenty for a page."""
    values = np.asarray(values, dtype=np.float64)
    size = 10.0 ** (4 - np.ceil(np.log10(np.abs(values).max() or 1.0)))
    return (np.round(values * size) / size).astype(np.float32)


def curves(panels: Sequence[Sequence[Curve]], x_titles: Sequence[str], y_titles: Sequence[str], *,
           log: bool = True, height: int = 440) -> go.Figure:
    """Panels side by side, one list of curves each; log axes unless told otherwise."""
    fig = make_subplots(1, len(panels), horizontal_spacing=0.13)
    style = {"measured": "markers", "open": "markers", "predicted": "lines", "fitted": "lines"}
    named = set()
    for column, panel in enumerate(panels, 1):
        for c in panel:
            fig.add_trace(go.Scatter(
                x=np.asarray(c.x), y=np.asarray(c.y), name=c.name, mode=style[c.kind], legendgroup=c.name,
                showlegend=c.name not in named, marker={"size": 8, "color": COLOURS[c.colour]} if c.kind != "open" else
                {"size": 13, "color": COLOURS[c.colour], "symbol": "circle-open", "line": {"width": 2}},
                line={"color": COLOURS[c.colour], "dash": "dash" if c.kind == "fitted" else "solid", "width": 1.6},
            ), 1, column)
            named.add(c.name)
    for column, (panel, x, y) in enumerate(zip(panels, x_titles, y_titles, strict=True), 1):
        both = [np.concatenate([c[i] for c in panel]) for i in (1, 2)]
        axes = ((fig.update_xaxes, x, max(3, 8 // len(panels))), (fig.update_yaxes, y, 8))    # labels that have room
        for (update, title, most), data in zip(axes, both, strict=True):
            update(title=title, row=1, col=column, **(log_axis(data, most=most) if log else {}))
    return layout(fig, height=height, legend={"orientation": "h", "y": -0.22, "x": 0})


def animated_pair(times: Sequence[float], first, second, difference, *, names: tuple[str, str],
                  x_title: str, y_titles: tuple[str, str], difference_name: str) -> go.Figure:
    """Two densities over one axis and, below, their difference, moving in time; opens at the middle time.

    `first[k]`, `second[k]`, `difference[k]` are pairs (x, y) of arrays at `times[k]`. All frames share their axes.
    """
    def traces(k):
        pairs = ((first[k], COLOURS[0], "solid", names[0]), (second[k], COLOURS[1], "dash", names[1]),
                 (difference[k], COLOURS[2], "solid", difference_name))
        return [go.Scatter(x=_compact(p[0]), y=_compact(p[1]), name=n, mode="lines",
                           line={"color": c, "dash": d, "width": 2.2, "simplify": False}) for p, c, d, n in pairs]

    fig = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.68, 0.32], vertical_spacing=0.06)
    middle = len(times) // 2
    for trace, row in zip(traces(middle), (1, 1, 2), strict=True):
        fig.add_trace(trace, row, 1)
    fig.frames = [go.Frame(name=f"{t:.3g}", data=traces(k), traces=[0, 1, 2]) for k, t in enumerate(times)]
    low, high = min(d[1].min() for d in difference), max(d[1].max() for d in difference)
    pad = 0.08 * (high - low)
    top = max(f[1].max() for f in first)
    fig.update_yaxes(title=y_titles[0], range=[-0.02 * top, 1.06 * top], row=1, col=1)
    fig.update_yaxes(title=y_titles[1], range=[low - pad, high + pad], exponentformat="power", row=2, col=1)
    fig.update_xaxes(title=x_title, row=2, col=1, range=[float(first[0][0].min()), float(first[0][0].max())])
    still = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate", "transition": {"duration": 0}}
    steps = [{"args": [[f.name], still], "label": f.name, "method": "animate"} for f in fig.frames]
    play = {"label": "Play", "method": "animate",
            "args": [None, {"frame": {"duration": 120, "redraw": False}, "transition": {"duration": 0}}]}
    pause = {"label": "Pause", "method": "animate", "args": [[None], still]}
    layout(fig, height=560, legend={"orientation": "h", "y": 1.1, "x": 0})
    return fig.update_layout(
        margin={"b": 110},
        sliders=[{"steps": steps, "active": middle, "currentvalue": {"prefix": "heat time t = "},
                  "x": 0.16, "len": 0.84, "y": -0.14}],
        updatemenus=[{"type": "buttons", "direction": "left", "buttons": [play, pause], "x": 0.12, "y": -0.16,
                      "xanchor": "right", "yanchor": "top", "showactive": False}])


def _arrows(field: Field) -> list[go.Scatter]:
    """Shafts as one broken line, heads as rotated markers."""
    tips = field.points + field.stretch * field.arrows
    gap = np.full(len(tips), np.nan)
    shaft = [np.stack([field.points[:, i], tips[:, i], gap], 1).ravel() for i in (0, 1)]
    length = np.hypot(*field.arrows.T)
    turn = np.degrees(np.arctan2(field.arrows[:, 0], field.arrows[:, 1]))          # clockwise from up
    plain = {"showlegend": False, "hoverinfo": "skip"}
    return [
        go.Scatter(x=_compact_broken(shaft[0]), y=_compact_broken(shaft[1]), mode="lines",
                   line={"color": "white", "width": 1.6}, **plain),
        go.Scatter(x=_compact(tips[:, 0]), y=_compact(tips[:, 1]), mode="markers", **plain,
                   marker={"symbol": "arrow", "size": np.round(3 + 6 * length / length.max(), 1),
                           "angle": np.round(turn, 1), "color": "white"}),
    ]


def _compact_broken(values):
    return [None if np.isnan(v) else round(float(v), 3) for v in values]


def _below(label: str, domain: Sequence[float]) -> dict:
    """A colour bar under its panel: beside it there is no room on a page of two panels."""
    return {"title": {"text": label, "side": "top"}, "orientation": "h", "thickness": 12, "xanchor": "center",
            "len": domain[1] - domain[0], "x": sum(domain) / 2, "y": -0.21, "yanchor": "top"}


def fields(panels: Sequence[Field], *, height: int = 450) -> go.Figure:
    """Scalar fields in colour with white arrows, side by side, on [0, 2 pi)^2."""
    fig = make_subplots(1, len(panels), subplot_titles=[p.title for p in panels], horizontal_spacing=0.1)
    for column, p in enumerate(panels, 1):
        axis = 2 * np.pi * np.arange(len(p.z)) / len(p.z)
        domain = fig.layout[f"xaxis{column if column > 1 else ''}"].domain
        fig.add_trace(go.Heatmap(x=_compact(axis), y=_compact(axis), z=_compact(p.z.T), colorscale=SEQUENTIAL,
                                 zsmooth="best", colorbar=_below(p.label, domain),
                                 hovertemplate="x₁ %{x:.2f}, x₂ %{y:.2f}: %{z:.3f}<extra></extra>"), 1, column)
        for trace in _arrows(p):
            fig.add_trace(trace, 1, column)
        letters = f"x{column if column > 1 else ''}"
        ticks = {"tickvals": [0, np.pi / 2, np.pi, 3 * np.pi / 2, 2 * np.pi],
                 "ticktext": ["0", "π/2", "π", "3π/2", "2π"], "range": [0, 2 * np.pi], "constrain": "domain"}
        fig.update_xaxes(title="x₁", row=1, col=column, **ticks)
        fig.update_yaxes(title="x₂", row=1, col=column, scaleanchor=letters, **ticks)
    fig.update_annotations(font_size=13)
    return layout(fig, height=height).update_layout(margin={"b": 115})
