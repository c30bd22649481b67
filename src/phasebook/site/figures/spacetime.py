"""Figures of spacetime: energies, curves of pictures, the curvature of a slice.

Builders take arrays and return a plotly figure; see `figures.show`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from numpy import ndarray
from PIL import Image
from plotly.subplots import make_subplots

from phasebook.site.figures.base import COLOURS, SEQUENTIAL, cells, layout
from phasebook.site.figures.widget import webp
from phasebook.stats import Estimate

__all__ = ["compared", "measured_against", "slice_curvature", "strips"]


def measured_against(starts: Sequence[str], measured: Mapping[str, Sequence[float]],
                     published: Mapping[str, Sequence[float]], excess: Sequence[float]) -> go.Figure:
    """Energies by start, filled where measured and open where published; right, an excess length in per cent.

    Args:
        starts: names on the axis.
        measured: by curve, an energy for each start.
        published: the same.
        excess: relative excess of length for each start.

    Returns:
        The figure.
    """
    fig = make_subplots(1, 2, horizontal_spacing=0.14)
    for i, (name, values) in enumerate(measured.items()):
        fig.add_trace(go.Scatter(x=list(starts), y=list(values), mode="markers", name=name,
                                 marker={"color": COLOURS[i], "size": 9}), 1, 1)
        fig.add_trace(go.Scatter(x=list(starts), y=list(published[name]), mode="markers", name=f"{name}, published",
                                 marker={"color": COLOURS[i], "size": 16, "symbol": "circle-open",
                                         "line": {"width": 2}}), 1, 1)
    fig.add_trace(go.Bar(x=list(starts), y=[100 * e for e in excess], width=0.4, showlegend=False,
                         marker={"color": COLOURS[0]}), 1, 2)
    fig.update_xaxes(title="start of the flow at t = 1")
    fig.update_yaxes(title="energy (raw sum)", rangemode="tozero", row=1, col=1)
    fig.update_yaxes(title="excess length of the flow, %", row=1, col=2)
    return layout(fig, height=380, legend={"orientation": "h", "y": -0.25})


def strips(rows: Mapping[str, Float[ndarray, "m y x 3"]], size: int = 64) -> go.Figure:
    """Rows of pictures along curves.

    Args:
        rows: by name, pictures in [0, 1] at equal shares of a curve.
        size: pixels of a picture.

    Returns:
        The figure; names stand left of their rows, shares of the way below.
    """
    count = len(next(iter(rows.values())))
    sheet = Image.new("RGB", (count * size, len(rows) * size), "white")
    for i, pictures in enumerate(rows.values()):
        for k, picture in enumerate(pictures):
            tile = Image.fromarray(np.uint8(np.round(255 * np.clip(picture, 0, 1)))).resize((size, size))
            sheet.paste(tile, (k * size, i * size))
    fig = go.Figure(go.Scatter(x=[0, count], y=[0, len(rows)], mode="markers", marker={"opacity": 0}, hoverinfo="skip"))
    fig.add_layout_image(source=webp(np.asarray(sheet), 85), xref="x", yref="y", x=0, y=0, sizex=count, sizey=len(rows),
                         sizing="stretch", layer="above")
    shares = np.linspace(0, 1, count)
    fig.update_xaxes(title="share of the way", tickvals=np.arange(count) + 0.5, ticktext=[f"{s:.2f}" for s in shares],
                     range=[0, count], showgrid=False, zeroline=False)
    fig.update_yaxes(tickvals=np.arange(len(rows)) + 0.5, ticktext=list(rows), range=[len(rows), 0], showgrid=False,
                     zeroline=False, scaleanchor="x", constrain="domain")
    return layout(fig, height=90 + 85 * len(rows), meta=cells(len(rows), count)).update_layout(margin={"l": 110})


def slice_curvature(axes: tuple[Float[ndarray, " a"], Float[ndarray, " b"]], trace: Float[ndarray, "a b"],
                    density: Float[ndarray, "a b"]) -> go.Figure:
    """Two maps of a slice: log of the metric's trace, and curvature for each unit of the slice.

    Args:
        axes: coordinates u_1, u_2.
        trace: `tr G`.
        density: `K sqrt(det G)`, of both signs.

    Returns:
        The figure; the right map is clipped at the 99th percentile of its size.
    """
    fig = make_subplots(1, 2, subplot_titles=["log₁₀ tr G", "K √det G"], horizontal_spacing=0.2)
    top = float(np.quantile(np.abs(density), 0.99)) or 1.0
    maps = ((np.log10(trace), SEQUENTIAL, {}, 0.4), (density, "RdBu", {"zmin": -top, "zmax": top}, 1.0))
    for k, (values, scale, limits, place) in enumerate(maps, 1):
        fig.add_trace(go.Heatmap(x=axes[1], y=axes[0], z=np.float32(values), colorscale=scale, colorbar={"x": place},
                                 **limits), 1, k)
        fig.update_xaxes(title="u₂", row=1, col=k, constrain="domain", ticklabelstandoff=5)
        fig.update_yaxes(title="u₁", row=1, col=k, scaleanchor=f"x{k if k > 1 else ''}", scaleratio=1,
                         constrain="domain")
    return layout(fig, height=400)


def compared(x: Float[ndarray, " m"], lengths: Mapping[str, Sequence[Estimate]], across: str, up: str) -> go.Figure:
    """Estimates with their intervals against one number each.

    Args:
        x: where each stands.
        lengths: by name, an estimate for each x.
        across: title of the x axis.
        up: title of the y axis.

    Returns:
        The figure.
    """
    fig = go.Figure()
    for i, (name, values) in enumerate(lengths.items()):
        middle, low, high = np.array([e[:3] for e in values]).T
        bars = {"type": "data", "symmetric": False, "array": high - middle, "arrayminus": middle - low, "thickness": 1}
        fig.add_trace(go.Scatter(x=x, y=middle, error_y=bars, mode="markers", name=name, marker={"color": COLOURS[i]}))
    fig.update_xaxes(title=across)
    fig.update_yaxes(title=up, rangemode="tozero")
    return layout(fig, legend={"orientation": "h", "y": -0.2})
