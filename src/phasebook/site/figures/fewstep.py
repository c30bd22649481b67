"""Figures of few-step students: layers side by side, leaks, planes of teacher and students, rows of pictures."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from numpy import ndarray
from plotly.subplots import make_subplots

from phasebook.site.figures.base import COLOURS, SEQUENTIAL, cells, layout, power_words
from phasebook.site.figures.transport import Curve, curves
from phasebook.site.figures.widget import webp

__all__ = ["Leaks", "Portrait", "leaks", "picture_rows", "planes", "portraits"]

NOWHERE = "#444444"     # of what lies between the parts
# of parts and pictures: Okabe and Ito's without their black, then others told apart by hue
PARTS = (*COLOURS[:6], "#F0E442", "#882255", "#332288", "#999933", "#AA4499", "#BBBBBB")
FLOOR = 1e-4            # no leak cannot stand on a log axis
BEYOND = 0.4            # decades from the largest finite constant to the infinite ones, and between their layers
ACROSS = 4              # panels in a row: more do not fit a page


class Portrait(NamedTuple):
    """One student: samples (p, 2) with their parts, and on a grid of latents parts and slopes (row: z_2, column: z_1).
    """

    title: str
    samples: Float[ndarray, "p 2"]
    part: Int[ndarray, " p"]
    parts: Int[ndarray, "g g"]
    slopes: Float[ndarray, "g g"]


class Leaks(NamedTuple):
    """Students of one target: by layer constants over the distance of its parts, infinite ones too, and leaks; the
    least leak at some constants."""

    layers: dict[str, tuple[Float[ndarray, " p"], Float[ndarray, " p"]]]
    constants: Float[ndarray, " c"]
    least: Float[ndarray, " c"]


def _colours(count: int) -> list[str]:
    """One for each part: those of the first dozen differ."""
    return [PARTS[k % len(PARTS)] for k in range(count)]


def _steps(colours: Sequence[str]) -> list[tuple[float, str]]:
    """A colour scale of steps."""
    return [(edge / len(colours), colour) for k, colour in enumerate(colours) for edge in (k, k + 1)]


def _beneath(name: str, y: float) -> dict:
    """A colour bar under the panels."""
    return {"title": {"text": name, "side": "top"}, "orientation": "h", "thickness": 12, "len": 0.6, "y": y,
            "yanchor": "top"}


def _head(fig: go.Figure, title: str, row: int, column: int) -> None:
    """A title right above a panel."""
    place = fig.get_subplot(row, column)
    fig.add_annotation(text=title, x=sum(place.xaxis.domain) / 2, y=place.yaxis.domain[1], xref="paper", yref="paper",
                       xanchor="center", yanchor="bottom", showarrow=False, font={"size": 12})


def portraits(columns: Sequence[Portrait], axis: Float[ndarray, " g"], parts: int) -> go.Figure:
    """A column a student: samples, the part that each latent goes to, and the slope of the map on a log scale.

    Args:
        columns: the students.
        axis: either coordinate of the grid of latents.
        parts: how many.
    """
    n = len(columns)
    fig = make_subplots(3, n, horizontal_spacing=0.03, vertical_spacing=0.07)
    scale = {"colorscale": _steps([NOWHERE, *_colours(parts)]), "cmin": -1.5, "cmax": parts - 0.5}
    top = max(float(np.log10(c.slopes).max()) for c in columns)
    for k, c in enumerate(columns, 1):
        fig.add_trace(go.Scatter(x=np.round(c.samples[:, 0], 3), y=np.round(c.samples[:, 1], 3), mode="markers",
                                 showlegend=False, marker={"size": 3, "color": c.part, **scale}), 1, k)
        fig.add_trace(go.Heatmap(x=axis, y=axis, z=c.parts.astype(np.int8), zmin=-1.5, zmax=parts - 0.5,
                                 colorscale=scale["colorscale"], showscale=False), 2, k)
        fig.add_trace(go.Heatmap(x=axis, y=axis, z=np.round(np.log10(np.maximum(c.slopes, 1e-2)), 2).astype(np.float32),
                                 zmin=-1, zmax=top, colorscale=SEQUENTIAL, showscale=k == n,
                                 colorbar=_beneath("log₁₀ slope", -0.07)), 3, k)
        _head(fig, c.title, 1, k)
    both = np.concatenate([c.samples for c in columns])
    reach = 1.1 * float(np.abs(both).max())
    fig.update_xaxes(range=[-reach, reach], row=1)
    fig.update_yaxes(range=[-reach, reach], row=1)
    for k in range(3 * n):
        fig.update_yaxes(scaleanchor=f"x{k + 1 if k else ''}", constrain="domain", showticklabels=k % n == 0,
                         row=k // n + 1, col=k % n + 1)
    for row, name in enumerate(("samples", "part", "slope"), 1):
        fig.update_yaxes(title=name, row=row, col=1)
    fig.update_xaxes(constrain="domain")
    return layout(fig, height=600).update_layout(margin={"t": 30, "b": 90})


def leaks(targets: Sequence[Leaks]) -> go.Figure:
    """A panel a target: leak against constant on log axes, with the bound.

    Args:
        targets: of which students of infinite constants stand beyond all others, layer beside layer, at a tick of
            their own.
    """
    panels, ticks = [], []
    for one in targets:
        finite = np.concatenate([one.constants, *(x[np.isfinite(x)] for x, _ in one.layers.values())])
        first, last = np.log10([finite.min(), finite.max()])
        jumping = [name for name, (x, _) in one.layers.items() if np.isinf(x).any()]
        panel = []
        for k, (name, (x, leak)) in enumerate(one.layers.items()):
            place = last + BEYOND * (1 + jumping.index(name)) if name in jumping else 0
            panel.append(Curve(name, np.where(np.isinf(x), 10.0**place, x), np.maximum(leak, FLOOR),
                               "open" if name in jumping else "measured", k))
        panels.append([*panel, Curve("bound at the target's masses", one.constants, np.maximum(one.least, FLOOR),
                                     "predicted", 6)])
        decades = range(int(first // 1), int(last // 1) + 1)
        ticks.append({10.0**k: power_words(k) for k in decades}
                     | {10.0 ** (last + BEYOND * (1 + len(jumping)) / 2): "∞" for _ in jumping[:1]})
    fig = curves(panels, ["L / D, measured from below"] * len(panels), ["leak"] * len(panels))
    for column, named in enumerate(ticks, 1):
        fig.update_xaxes(tickvals=list(named), ticktext=list(named.values()), row=1, col=column)
    return fig


def planes(titles: Sequence[str], nearest: Sequence[Int[ndarray, "g g"]], jumps: Sequence[Float[ndarray, "g g"]],
           parts: int) -> go.Figure:
    """Four models a block: the picture that each point of a plane comes nearest to and, beneath, the jump to its
    neighbours.

    Args:
        titles: of the models.
        nearest: numbers of pictures.
        jumps: likewise, on one scale for all.
        parts: how many pictures.
    """
    n, blocks = len(titles), -(-len(titles) // ACROSS)
    panels = [[{} if block * ACROSS + k < n else None for k in range(ACROSS)] for block in range(blocks)]
    fig = make_subplots(2 * blocks, ACROSS, specs=[row for row in panels for _ in range(2)],
                        horizontal_spacing=0.02, vertical_spacing=0.08 / blocks)
    top = max(float(j.max()) for j in jumps)
    for k, (title, labels, jump) in enumerate(zip(titles, nearest, jumps, strict=True)):
        row, column = 2 * (k // ACROSS) + 1, k % ACROSS + 1
        fig.add_trace(go.Heatmap(z=labels.astype(np.int8), zmin=-0.5, zmax=parts - 0.5,
                                 colorscale=_steps(_colours(parts)), showscale=False), row, column)
        fig.add_trace(go.Heatmap(z=np.round(jump, 2).astype(np.float32), zmin=0, zmax=top, colorscale=SEQUENTIAL,
                                 showscale=k == 0, colorbar=_beneath("jump", -0.02)), row + 1, column)
        for line, name in ((row, "nearest picture"), (row + 1, "jump")):
            fig.update_yaxes(scaleanchor=f"x{fig.get_subplot(line, column).xaxis.plotly_name[5:]}", constrain="domain",
                             title=name if column == 1 else None, row=line, col=column)
        _head(fig, title, row, column)
    fig.update_xaxes(constrain="domain", showticklabels=False)
    fig.update_yaxes(showticklabels=False, title_font_size=12)
    return layout(fig, height=80 + 310 * blocks).update_layout(margin={"l": 40, "b": 65})


def picture_rows(titles: Sequence[str], pictures: Float[ndarray, "row col y x 3"]) -> go.Figure:
    """Rows of pictures in [0, 1], a title a row."""
    rows, columns, height, width = pictures.shape[:4]
    whole = pictures.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)
    pixels = np.round(255 * np.clip(whole, 0, 1)).astype(np.uint8)
    fig = go.Figure(go.Image(source=webp(pixels, 85), hoverinfo="skip"))
    fig.update_xaxes(visible=False)
    fig.update_yaxes(tickvals=[(k + 0.5) * height for k in range(rows)], ticktext=list(titles), showgrid=False)
    return layout(fig, height=90 * rows + 60, meta=cells(rows, columns)).update_layout(margin={"l": 110})
