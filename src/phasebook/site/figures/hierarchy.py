"""Figures of the hierarchy: phases over steps, nearby pairs, merge trees with pictures, likeness to a tree, geodesics.

All take arrays. alpha points up and beta right; index 0 is the lower end of alpha.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from PIL import Image
from plotly.subplots import make_subplots
from scipy.cluster.hierarchy import dendrogram

from phasebook.site.figures.base import COLOURS, layout, noise_words
from phasebook.site.figures.phase_colours import phase_colours
from phasebook.site.figures.widget import webp
from phasebook.stats import Estimate

__all__ = ["MergeTree", "PairStrip", "PhaseRow", "as_bytes", "geodesic_map", "likeness_scales", "merge_trees",
           "pair_strips", "phase_maps", "ridge_curves"]

THUMBNAIL = 64                  # pixels of a picture in a strip
BESIDE = 0.01                   # between the marks of two models, on an axis of thresholds


def as_bytes(pixels: Float[ndarray, "*p 3 y x"]) -> UInt8[ndarray, "*p y x 3"]:
    """Decoded pictures in [0, 1] as bytes, the colours last.

    Args:
        pixels: an array or a tensor.
    """
    return np.rint(np.moveaxis(np.clip(np.asarray(pixels, dtype=np.float64), 0, 1), -3, -1) * 255).astype(np.uint8)


def _place(fig: go.Figure, uri: str, x: tuple[float, float], y: tuple[float, float], **place: int) -> None:
    """A picture that fills a rectangle of a pane, and an invisible mark without which plotly draws no pane."""
    fig.add_layout_image(source=uri, xref="x", yref="y", x=x[0], y=y[1], sizex=x[1] - x[0], sizey=y[1] - y[0],
                         sizing="stretch", layer="below", **place)
    fig.add_scatter(x=list(x), y=list(y), mode="markers", marker={"opacity": 0}, showlegend=False, hoverinfo="skip",
                    **place)


class PhaseRow(NamedTuple):
    """One model's phases: `title`, `labels` at every step, the `steps` that are shown, `noise` (sigma/alpha) and
    `counts` of phases of every step."""

    title: str
    labels: Int[ndarray, "step a b"]
    steps: Sequence[int]
    noise: Float[ndarray, " step"]
    counts: Int[ndarray, " step"]


def phase_maps(rows: Sequence[PhaseRow], extent: Sequence[float]) -> go.Figure:
    """The phases at a few steps as coloured maps, a row a model; a phase keeps its parent's colour where it can.

    Args:
        rows: of equally or differently many steps.
        extent: of all maps, [alpha0, alpha1, beta0, beta1].
    """
    a0, a1, b0, b1 = map(float, extent)
    columns = max(len(row.steps) for row in rows)
    titles = [_step_title(row, k) for row in rows for k in [*row.steps, *[None] * (columns - len(row.steps))]]
    fig = make_subplots(len(rows), columns, subplot_titles=titles, horizontal_spacing=0.045,
                        vertical_spacing=0.2 / (len(rows) - 1) if len(rows) > 1 else 0)
    for r, row in enumerate(rows, 1):
        colours = phase_colours(row.labels)
        size = max(1, 240 // row.labels.shape[1])
        for c, k in enumerate(row.steps, 1):
            last = not any(len(below.steps) >= c for below in rows[r:])
            _place(fig, webp(colours[k][::-1].repeat(size, 0).repeat(size, 1)), (b0, b1), (a0, a1), row=r, col=c)
            fig.update_xaxes(title="β" if last else None, range=[b0, b1], row=r, col=c)
            fig.update_yaxes(title=f"{row.title}<br>α" if c == 1 else None, range=[a0, a1], showticklabels=c == 1,
                             scaleanchor=fig.get_subplot(r, c).xaxis.plotly_name.replace("axis", ""), row=r, col=c)
    layout(fig, height=80 + 215 * len(rows))
    fig.update_annotations(font_size=13)
    plain = {"showgrid": False, "zeroline": False, "constrain": "domain", "ticks": "outside", "ticklen": 4}
    return fig.update_xaxes(**plain).update_yaxes(constraintoward="top", **plain)


def _step_title(row: PhaseRow, step: int | None) -> str:
    if step is None:
        return ""
    return f"{noise_words(row.noise[step])}<br>{row.counts[step]} phase{'s' if row.counts[step] > 1 else ''}"


class PairStrip(NamedTuple):
    """Two nearby points: a `title`, `pictures` of both at the `shown` steps, their `distances` at every step in a
    `unit`, and the `noise` of every step and of the `split`, sigma/alpha."""

    title: str
    pictures: UInt8[ndarray, "shown 2 y x 3"]
    shown: Sequence[int]
    distances: Float[ndarray, " step"]
    noise: Float[ndarray, " step"]
    split: float
    unit: str


def pair_strips(pairs: Sequence[PairStrip]) -> go.Figure:
    """Figs. 4 and 5: for each pair the predictions of its two points at some steps, one below the other, and below them
    their distance over the noise level, with the split dotted.

    Args:
        pairs: from the top.
    """
    count = len(pairs)
    share = 0.94 / count
    # a pair from the top of its share: title, strip, curve, its axis
    fig = make_subplots(2 * count, 1, row_heights=[0.54, 0.46] * count, vertical_spacing=0)
    for k, pair in enumerate(pairs):
        top = 1 - k / count
        _strip(fig, pair, 2 * k + 1)
        _distance_curve(fig, pair, 2 * k + 2)
        fig.update_yaxes(domain=[top - 0.46 * share, top - 0.02 * share], constraintoward="bottom",
                         row=2 * k + 1, col=1)
        fig.update_yaxes(domain=[top - 0.87 * share, top - 0.58 * share], row=2 * k + 2, col=1)
        fig.add_annotation(text=pair.title, x=0.5, xref="paper", y=1, yanchor="bottom", showarrow=False,
                           yref=f"y{2 * k + 1 if k else ''} domain")
    layout(fig, height=350 * count + 90)
    return fig.update_annotations(font_size=12)


def _strip(fig: go.Figure, pair: PairStrip, row: int) -> None:
    across = len(pair.shown)
    size = [[np.asarray(Image.fromarray(one).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)) for one in two]
            for two in pair.pictures]
    sheet = np.concatenate([np.concatenate(two, 0) for two in size], 1)         # the first point above
    _place(fig, webp(sheet, 85), (-0.5, across - 0.5), (-0.5, 1.5), row=row, col=1)
    ticks = [f"{pair.noise[k]:.2g}".replace("inf", "∞") for k in pair.shown]
    fig.update_xaxes(range=[-0.5, across - 0.5], tickvals=list(range(across)), ticktext=ticks, showgrid=False,
                     zeroline=False, constrain="domain", row=row, col=1)
    # pictures stay square at any width
    fig.update_yaxes(range=[-0.5, 1.5], tickvals=[0, 1], ticktext=["second", "first"], showgrid=False, zeroline=False,
                     scaleanchor=f"x{row if row > 1 else ''}", constrain="domain", row=row, col=1)


def _distance_curve(fig: go.Figure, pair: PairStrip, row: int) -> None:
    place = {"row": row, "col": 1}
    known = np.isfinite(pair.noise)                 # a flow begins at infinite noise
    x, y = np.log10(pair.noise[known]).round(4).tolist(), [float(f"{v:.4g}") for v in pair.distances[known]]
    fig.add_scatter(x=x, y=y, mode="lines", line={"color": COLOURS[0], "width": 2.5}, showlegend=False, **place)
    fig.add_vline(x=float(np.log10(pair.split)), line={"dash": "dot", "color": COLOURS[1]}, **place)
    ticks = [v for v in (10, 3, 1, 0.3, 0.1) if pair.noise.min() <= v <= pair.noise.max()]
    fig.update_xaxes(autorange="reversed", tickvals=np.log10(ticks).tolist(),
                     ticktext=[f"{v:g}" for v in ticks], **place)
    fig.update_xaxes(title="σ/α", title_standoff=4, **place)
    fig.update_yaxes(title=f"distance, {pair.unit}", rangemode="tozero", **place)


class MergeTree(NamedTuple):
    """A dendrogram: `title`, SciPy's `linkage`, and the picture of each leaf."""

    title: str
    linkage: Float[ndarray, "n-1 4"]
    pictures: UInt8[ndarray, "n y x 3"]


def merge_trees(trees: Sequence[MergeTree], xtitle: str) -> go.Figure:
    """Dendrograms side by side, roots on the left, with the picture of each leaf.

    Args:
        trees: from the left.
        xtitle: what heights are, with their unit.
    """
    fig = make_subplots(1, len(trees), subplot_titles=[tree.title for tree in trees], horizontal_spacing=0.06)
    for col, tree in enumerate(trees, 1):
        drawn = dendrogram(tree.linkage, no_plot=True)
        top = max(float(tree.linkage[:, 2].max()), 1e-12)
        for height, across in zip(drawn["dcoord"], drawn["icoord"], strict=True):
            fig.add_scatter(x=np.round(height, 4).tolist(), y=[(v - 5) / 10 for v in across], mode="lines",
                            showlegend=False, line={"color": COLOURS[0], "width": 1.6}, hoverinfo="x", row=1, col=col)
        for y, leaf in enumerate(drawn["leaves"]):
            fig.add_layout_image(source=webp(tree.pictures[leaf], 85), xref="x", yref="y", x=-0.02 * top, y=y,
                                 sizex=0.11 * top, sizey=0.94, xanchor="left", yanchor="middle", sizing="contain",
                                 layer="above", row=1, col=col)
        fig.update_xaxes(title=xtitle, range=[1.04 * top, -0.14 * top], zeroline=False, row=1, col=col)
        fig.update_yaxes(visible=False, range=[-0.8, len(tree.pictures) - 0.2], row=1, col=col)
    return layout(fig, height=100 + 24 * max(len(tree.pictures) for tree in trees))


def likeness_scales(rows: Mapping[str, Mapping[str, Sequence[float]]], xtitle: str) -> go.Figure:
    """One line of dots for each set of data and each of its companions.

    Args:
        rows: by data set, from the top; for each, values by the companion's name (data, twin, tree, blends).
        xtitle: of the common axis.
    """
    fig = go.Figure()
    kinds = list(dict.fromkeys(kind for row in rows.values() for kind in row))
    # about the row's label, however many it has
    beside = [{kind: 0.12 * (k - (len(row) - 1) / 2) for k, kind in enumerate(row)} for row in rows.values()]
    for k, kind in enumerate(kinds):
        x = [round(float(v), 4) for row in rows.values() for v in row.get(kind, [])]
        y = [i + beside[i][kind] for i, row in enumerate(rows.values()) for _ in row.get(kind, [])]
        marker = {"color": COLOURS[k % len(COLOURS)], "size": 7, "opacity": 0.7}
        fig.add_scatter(x=x, y=y, mode="markers", name=kind, marker=marker)
    layout(fig, height=140 + 90 * len(rows), legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    fig.update_xaxes(title=xtitle)
    return fig.update_yaxes(tickvals=list(range(len(rows))), ticktext=list(rows), range=[len(rows) - 0.4, -0.6],
                            zeroline=False)


def ridge_curves(ridges: Sequence[float], panes: Mapping[str, Mapping[str, Sequence[Estimate | None]]],
                 bounds: Mapping[str, float]) -> go.Figure:
    """Estimates against the ridge's threshold, a pane a quantity and a line a model, with intervals as bars; a hollow
    mark has none.

    Args:
        ridges: thresholds.
        panes: by quantity, by model, an estimate for each threshold.
        bounds: of each quantity, dotted.
    """
    fig = make_subplots(1, len(panes), subplot_titles=list(panes), horizontal_spacing=0.07)
    for col, (quantity, models) in enumerate(panes.items(), 1):
        for k, (model, estimates) in enumerate(models.items()):
            aside = BESIDE * (k - (len(models) - 1) / 2)                # bars of two models side by side
            known = [(r + aside, e) for r, e in zip(ridges, estimates, strict=True) if e is not None]
            sure = [(r, e) for r, e in known if np.isfinite([e.low, e.high]).all()]
            style = {"name": model, "legendgroup": model, "line": {"color": COLOURS[k % 7], "width": 2.5}}
            fig.add_scatter(x=[r for r, _ in known], y=[e.value for _, e in known], mode="lines+markers",
                            marker={"size": 9, "symbol": "circle-open"}, showlegend=False, row=1, col=col, **style)
            bars = {"type": "data", "array": [e.high - e.value for _, e in sure],
                    "arrayminus": [e.value - e.low for _, e in sure]}
            fig.add_scatter(x=[r for r, _ in sure] or [None], y=[e.value for _, e in sure] or [None], error_y=bars,
                            mode="markers", marker={"size": 9, "color": COLOURS[k % 7]}, showlegend=col == 1, row=1,
                            col=col, **style)
        fig.add_hline(y=bounds[quantity], line={"dash": "dot", "color": "grey"}, row=1, col=col)
        fig.update_xaxes(title="ridge", row=1, col=col)
    return layout(fig, height=380, legend={"orientation": "h", "y": -0.25, "x": 0})


def geodesic_map(log_metric: Float[ndarray, "a b"], curves: Float[ndarray, "m k 2"], inside: Sequence[bool],
                 phases: Int[ndarray, "a b"], extent: Sequence[float], label: str) -> go.Figure:
    """Geodesics and their chords (dotted) over a map of the metric and the borders of phases.

    Args:
        log_metric: the map.
        curves: geodesics in units of the grid.
        inside: whether the ends of each share a phase.
        phases: of every point.
        extent: of the map, [alpha0, alpha1, beta0, beta1].
        label: of the map, with its unit.
    """
    a0, a1, b0, b1 = map(float, extent)
    a, b = log_metric.shape
    alpha, beta = np.linspace(a0, a1, a), np.linspace(b0, b1, b)
    bar = {"title": {"text": label, "side": "right"}, "thickness": 14}
    fig = go.Figure(go.Heatmap(z=np.round(log_metric, 2).tolist(), x=beta.round(4), y=alpha.round(4), colorbar=bar,
                               colorscale="Greys", reversescale=True, hoverinfo="skip"))
    across, up = _borders(phases, beta, alpha)
    fig.add_scatter(x=across, y=up, mode="lines", line={"color": COLOURS[2], "width": 1.6}, name="borders of phases",
                    hoverinfo="skip")
    named = set()
    for curve, same in zip(curves, inside, strict=True):
        y, x = a0 + curve[:, 0] * (a1 - a0) / (a - 1), b0 + curve[:, 1] * (b1 - b0) / (b - 1)
        name, colour = ("inside a phase", COLOURS[5]) if same else ("across a boundary", COLOURS[4])
        fig.add_scatter(x=x.round(4), y=y.round(4), mode="lines", line={"color": colour, "width": 3}, name=name,
                        showlegend=name not in named, legendgroup=name)
        fig.add_scatter(x=x[[0, -1]].round(4), y=y[[0, -1]].round(4), mode="lines+markers", legendgroup=name,
                        line={"color": colour, "width": 1.2, "dash": "dot"}, marker={"size": 6}, showlegend=False)
        named.add(name)
    layout(fig, height=520, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    pad = [-0.03, 0.03]                         # marks at the edge are whole
    fig.update_xaxes(title="β", range=[b + (b1 - b0) * v for b, v in zip((b0, b1), pad, strict=True)],
                     constrain="domain", showgrid=False, zeroline=False)
    return fig.update_yaxes(title="α", range=[a + (a1 - a0) * v for a, v in zip((a0, a1), pad, strict=True)],
                            scaleanchor="x", constrain="domain", showgrid=False, zeroline=False)


def _borders(labels: Int[ndarray, "a b"], x: Float[ndarray, " b"], y: Float[ndarray, " a"]) -> tuple[list, list]:
    """The sides of the grid's cells between points of two phases, as one broken line."""
    half = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    beside, above = (np.argwhere(labels[:, 1:] != labels[:, :-1]), np.argwhere(labels[1:] != labels[:-1]))
    lines = [((x[j] + half[0], y[i] - half[1]), (x[j] + half[0], y[i] + half[1])) for i, j in beside]
    lines += [((x[j] - half[0], y[i] + half[1]), (x[j] + half[0], y[i] + half[1])) for i, j in above]
    return tuple([None if k == 2 else round(float(line[k][axis]), 4) for line in lines for k in range(3)]
                 for axis in (0, 1))
