"""Figures of few-step students: layers side by side, planes of teacher and students, rows of pictures."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from numpy import ndarray
from plotly.subplots import make_subplots

from phasebook.site.figures.base import COLOURS, SEQUENTIAL, cells, layout
from phasebook.site.figures.widget import webp

__all__ = ["Portrait", "picture_rows", "planes", "portraits"]

NOWHERE = "#444444"     # of what lies between the parts


class Portrait(NamedTuple):
    """One student: samples (p, 2) with their parts, and on a grid of latents parts and slopes (row: z_2, column: z_1).
    """

    title: str
    samples: Float[ndarray, "p 2"]
    part: Int[ndarray, " p"]
    parts: Int[ndarray, "g g"]
    slopes: Float[ndarray, "g g"]


def _scale(count: int) -> list[tuple[float, str]]:
    """A colour for what leaks, and one for each part, as a colour scale of steps."""
    colours = [NOWHERE, *(COLOURS[k % 6] for k in range(count))]
    return [(edge / len(colours), colour) for k, colour in enumerate(colours) for edge in (k, k + 1)]


def portraits(columns: Sequence[Portrait], axis: Float[ndarray, " g"], parts: int) -> go.Figure:
    """A column a student: samples, the part that each latent goes to, and the slope of the map on a log scale."""
    n = len(columns)
    fig = make_subplots(3, n, column_titles=[c.title for c in columns], row_titles=["samples", "part", "slope"],
                        horizontal_spacing=0.03, vertical_spacing=0.06)
    scale = {"colorscale": _scale(parts), "cmin": -1.5, "cmax": parts - 0.5}
    top = max(float(np.log10(c.slopes).max()) for c in columns)
    for k, c in enumerate(columns, 1):
        fig.add_trace(go.Scatter(x=np.round(c.samples[:, 0], 3), y=np.round(c.samples[:, 1], 3), mode="markers",
                                 showlegend=False, marker={"size": 3, "color": c.part, **scale}), 1, k)
        fig.add_trace(go.Heatmap(x=axis, y=axis, z=c.parts.astype(np.int8), zmin=-1.5, zmax=parts - 0.5,
                                 colorscale=scale["colorscale"], showscale=False), 2, k)
        fig.add_trace(go.Heatmap(x=axis, y=axis, z=np.round(np.log10(np.maximum(c.slopes, 1e-2)), 2).astype(np.float32),
                                 zmin=-1, zmax=top, colorscale=SEQUENTIAL, showscale=k == n,
                                 colorbar={"title": "log₁₀ slope", "len": 0.3, "y": 0.14}), 3, k)
    both = np.concatenate([c.samples for c in columns])
    reach = 1.1 * float(np.abs(both).max())
    for k in range(n):
        fig.update_xaxes(range=[-reach, reach], row=1, col=k + 1)
        fig.update_yaxes(range=[-reach, reach], row=1, col=k + 1)
    for k in range(3 * n):
        fig.update_yaxes(scaleanchor=f"x{k + 1 if k else ''}", constrain="domain", showticklabels=k % n == 0,
                         row=k // n + 1, col=k % n + 1)
    fig.update_xaxes(constrain="domain")
    return layout(fig, height=760)


def planes(titles: Sequence[str], nearest: Sequence[Int[ndarray, "g g"]], jumps: Sequence[Float[ndarray, "g g"]],
           parts: int) -> go.Figure:
    """A column a model: the picture that each point of a plane comes nearest to, and the jump to its neighbours."""
    n = len(titles)
    fig = make_subplots(2, n, column_titles=list(titles), row_titles=["nearest picture", "jump"],
                        horizontal_spacing=0.03, vertical_spacing=0.06)
    top = max(float(j.max()) for j in jumps)
    for k, (labels, jump) in enumerate(zip(nearest, jumps, strict=True), 1):
        fig.add_trace(go.Heatmap(z=labels.astype(np.int8), zmin=-0.5, zmax=parts - 0.5, colorscale="Portland",
                                 showscale=False), 1, k)
        fig.add_trace(go.Heatmap(z=np.round(jump, 2).astype(np.float32), zmin=0, zmax=top, colorscale=SEQUENTIAL,
                                 showscale=k == n, colorbar={"title": "jump", "len": 0.45, "y": 0.23}), 2, k)
    for k in range(2 * n):
        fig.update_yaxes(scaleanchor=f"x{k + 1 if k else ''}", constrain="domain", showticklabels=False,
                         row=k // n + 1, col=k % n + 1)
    fig.update_xaxes(constrain="domain", showticklabels=False)
    fig.update_annotations(font_size=12)
    return layout(fig, height=330)


def picture_rows(titles: Sequence[str], pictures: Float[ndarray, "row col y x 3"]) -> go.Figure:
    """Rows of pictures in [0, 1], a title a row."""
    rows, columns, height, width = pictures.shape[:4]
    whole = pictures.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)
    pixels = np.round(255 * np.clip(whole, 0, 1)).astype(np.uint8)
    fig = go.Figure(go.Image(source=webp(pixels, 85), hoverinfo="skip"))
    fig.update_xaxes(visible=False)
    fig.update_yaxes(tickvals=[(k + 0.5) * height for k in range(rows)], ticktext=list(titles), showgrid=False)
    return layout(fig, height=90 * rows + 60, meta=cells(rows, columns)).update_layout(margin={"l": 110})
