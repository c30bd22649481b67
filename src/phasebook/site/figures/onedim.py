"""Figures of diffusion on the line: density over time with mode trees and geodesics, curves side by side, dendrogram.

Builders take arrays and return a plotly figure; see `figures.show`. Positions x are in the frame of `x_t`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from numpy import ndarray
from PIL import Image
from plotly.subplots import make_subplots

from phasebook.site.figures.base import COLOURS, layout, log_axis
from phasebook.site.figures.widget import webp

__all__ = ["dendrogram", "lines", "spacetime"]

# white to mid grey, even in lightness: the blue tree and the red geodesic stay readable on all of it
WIDTH, TREE, LEAST = 900, 360, 20      # pixels: of a wide page, of the height of a tree, of a leaf's picture
GREYS = [[0, "#ffffff"], [1, "#7d7d7d"]]
BLUE, RED = COLOURS[0], "#c1121f"

Polyline = Float[ndarray, "k 2"]


def _joined(polylines: Sequence[Polyline]) -> tuple[list, list]:
    """Polylines as one trace: None between them; rounded, to keep the page small."""
    gap = np.full((1, 2), np.nan)
    rows = np.concatenate([part for line in polylines for part in (line, gap)]) if len(polylines) else gap
    return [[None if np.isnan(v) else round(float(v), 4) for v in column] for column in rows.T]


def _tree(polylines: Sequence[Polyline], name: str, dash: str = "solid", **options) -> go.Scatter:
    x, y = _joined(polylines)
    return go.Scatter(x=x, y=y, mode="lines", name=name, hoverinfo="skip",
                      line={"color": BLUE, "width": 2 if dash == "solid" else 1, "dash": dash}, **options)


def spacetime(t: Float[ndarray, " a"], x: Float[ndarray, " b"], density: Float[ndarray, "a b"],
              panels: Mapping[str, Mapping[str, Sequence[Polyline]]],
              geodesics: Mapping[str, Polyline] | None = None) -> go.Figure:
    """Density over time and position, one panel for each tree.

    Args:
        t: diffusion times.
        x: positions.
        density: each slice is scaled to its maximum; one that is 0 everywhere stays it.
        panels: by title, 'tree' (solid) and 'joins' (dotted, optional): polylines of (t, x).
        geodesics: named polylines of (t, x), over the first panel.

    Returns:
        The figure.
    """
    fig = make_subplots(1, len(panels), shared_yaxes=True, horizontal_spacing=0.05,
                        subplot_titles=list(panels) if len(panels) > 1 else None)
    top = np.maximum(density.max(1, keepdims=True), 1e-300)     # far atoms may lie between the positions
    shade = np.round(density / top, 3).astype(np.float32)
    for k, panel in enumerate(panels.values(), 1):
        fig.add_trace(go.Heatmap(x=t, y=x, z=shade.T, colorscale=GREYS, zmin=0, zmax=1, showscale=k == len(panels),
                                 colorbar={"title": "p<sub>t</sub>(x) / max"},
                                 hovertemplate="t %{x:.3f}, x %{y:.2f}: %{z:.2f}<extra></extra>"), 1, k)
        if panel.get("joins"):
            fig.add_trace(_tree(panel["joins"], "swallowed by", "dot", showlegend=k == 1), 1, k)
        fig.add_trace(_tree(panel["tree"], "modes", showlegend=k == 1), 1, k)
        fig.update_xaxes(title="diffusion time t (0 = data)", range=[t[0], t[-1]], row=1, col=k)
    for i, (name, curve) in enumerate((geodesics or {}).items()):
        (cx, cy), dash = _joined([curve]), ("solid", "dash", "dot")[i % 3]
        fig.add_trace(go.Scatter(x=cx[:-1], y=cy[:-1], mode="lines", name=name,
                                 line={"color": RED, "width": 3, "dash": dash}), 1, 1)
        fig.add_trace(go.Scatter(x=[cx[0], cx[-2]], y=[cy[0], cy[-2]], mode="markers", showlegend=False,
                                 marker={"color": RED, "size": 9, "line": {"color": "white", "width": 1}}), 1, 1)
    fig.update_yaxes(title="position x", range=[x[0], x[-1]], row=1, col=1)
    fig.update_yaxes(range=[x[0], x[-1]])
    return layout(fig, height=470, legend={"orientation": "h", "y": 1.02 if len(panels) == 1 else -0.2,
                                             "yanchor": "bottom" if len(panels) == 1 else "top", "x": 0})


def lines(panels: Mapping[str, Mapping[str, tuple]], x_titles: Sequence[str], y_titles: Sequence[str], *,
          log: Sequence[str] = (), marks: Mapping[str, Sequence[tuple[float, str]]] | None = None) -> go.Figure:
    """Curves side by side.

    Args:
        panels: by title, curves by name: (x, y) or (x, y, 'markers' / 'dash').
        x_titles: of each panel.
        y_titles: of each panel.
        log: the log axes of each panel: '', 'x', 'y' or 'xy'.
        marks: by panel, vertical lines (place, words).

    Returns:
        The figure.
    """
    titles = list(panels) if len(panels) > 1 else None
    fig, colours, named = make_subplots(1, len(panels), horizontal_spacing=0.12, subplot_titles=titles), {}, set()
    for k, (title, curves) in enumerate(panels.items(), 1):
        for name, (x, y, *form) in curves.items():
            colour = colours.setdefault(name, COLOURS[len(colours) % len(COLOURS)])
            kind = form[0] if form else "lines"
            style = {"marker": {"color": colour, "size": 7}} if kind == "markers" else {
                "line": {"color": colour, "width": 2, "dash": "dash" if kind == "dash" else "solid"}}
            fig.add_trace(go.Scatter(x=np.asarray(x, np.float32), y=np.asarray(y, np.float32), name=name,
                                     legendgroup=name, showlegend=name not in named,
                                     mode="markers" if kind == "markers" else "lines", **style), 1, k)
            named.add(name)
        for place, words in (marks or {}).get(title, ()):
            fig.add_vline(x=place, line={"color": "#777", "dash": "dot"}, row=1, col=k, annotation_text=words,
                          annotation_position="top left", annotation_textangle=-90)
        kinds = log[k - 1] if k <= len(log) else ""
        for i, (update, names) in enumerate(((fig.update_xaxes, x_titles), (fig.update_yaxes, y_titles))):
            scale = log_axis(*(curve[i] for curve in curves.values())) if "xy"[i] in kinds else {}
            update(title=names[k - 1], row=1, col=k, **scale)
    fig.update_xaxes(ticklabelstandoff=5)       # in the corner apart from the other axis's
    return layout(fig, legend={"orientation": "h", "y": -0.25})


def dendrogram(linkage: Float[ndarray, "m-1 4"], order: Sequence[int], thumbnails: Float[ndarray, "m y x 3"],
               labels: Sequence[str], y_title: str, size: int = 24) -> go.Figure:
    """A mode tree as a dendrogram; below each leaf its picture, in as many staggered rows as they need.

    Args:
        linkage: SciPy's, heights already as drawn.
        order: the leaves from left to right.
        thumbnails: pictures of the leaves, in [0, 1].
        labels: what hovering says.
        y_title: of the heights.
        size: of a picture, in pixels.

    Returns:
        The figure.
    """
    m = len(order)
    place = np.empty(2 * m - 1)
    place[np.asarray(order)] = np.arange(m)
    height = np.zeros(2 * m - 1)
    floor = linkage[:, 2].min()
    height[:m] = floor - 0.02 * (linkage[:, 2].max() - floor)
    links = []
    for i, (a, b, h, _) in enumerate(linkage):
        a, b = int(a), int(b)
        place[m + i], height[m + i] = (place[a] + place[b]) / 2, h
        links.append(np.array([[place[a], height[a]], [place[a], h], [place[b], h], [place[b], height[b]]]))
    fig = go.Figure(_tree(links, "merges", showlegend=False).update(line={"width": 1}))
    rows = -(-LEAST * m // WIDTH)
    strip, span = _strip(thumbnails[np.asarray(order)], rows, size)
    pixels = rows**2 * WIDTH / span                 # a picture is as wide as `rows` leaves, and no narrower than LEAST
    top = linkage[:, 2].max() * 1.02
    depth = pixels / TREE * (top - floor)
    fig.add_layout_image(source=strip, xref="x", yref="y", x=-0.5, y=height[0], sizex=span, sizey=depth,
                         sizing="contain", xanchor="left", yanchor="top", layer="below")
    fig.add_trace(go.Scatter(x=np.arange(m), y=np.full(m, height[0]), mode="markers", hoverinfo="text",
                             text=[labels[i] for i in order], marker={"size": 3, "color": BLUE}, showlegend=False))
    fig.update_xaxes(visible=False, range=[-0.5, span - 0.5])
    ticks = [v for v in range(0, 200, 2) if floor <= v <= top]
    fig.update_yaxes(title=y_title, range=[height[0] - depth, top], tickvals=ticks, zeroline=False)
    return layout(fig, height=round(TREE + pixels + 50)).update_layout(margin={"b": 10})


def _strip(pictures: Float[ndarray, "m y x 3"], rows: int, size: int) -> tuple[str, float]:
    """Pictures on white, picture i in row i mod rows at the place of leaf i; a data address and its width in leaves."""
    m = len(pictures)
    step = size / rows                                              # pixels a leaf
    sheet = Image.new("RGB", (int(np.ceil(step * m + size)), rows * size), "white")
    for i, picture in enumerate(pictures):
        tile = Image.fromarray(np.uint8(np.round(255 * np.clip(picture, 0, 1)))).resize((size, size), Image.LANCZOS)
        left = max(0, int(round(step * (i + 0.5) - size / 2)))
        sheet.paste(tile, (left, (i % rows) * size))
    return webp(np.asarray(sheet), 85), sheet.width / step
