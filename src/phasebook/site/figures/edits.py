"""Figures of edits: rows of pictures by starting step, shares of success, and what the threshold follows."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from IPython.display import HTML, display
from jaxtyping import Float
from numpy import ndarray
from PIL import Image
from plotly.subplots import make_subplots

from phasebook.site.figures.base import COLOURS, layout, log_axis
from phasebook.site.figures.widget import webp

__all__ = ["EditRow", "Panel", "edits_html", "scatters", "show_edits", "success_curves", "trip_curves"]

STYLE = """<style>
.pb-edits{display:grid;gap:4px;align-items:center;font-size:.8rem;line-height:1.2;max-width:1000px;min-width:640px}
.pb-edits-title{margin:.6rem 0 .2rem;font-weight:600}
.pb-edits img{width:100%;display:block;filter:none!important;background:#fff!important;border-radius:3px;
box-sizing:border-box;border:3px solid transparent}
.pb-edits img.pb-star{border-color:#D55E00}.pb-edits .pb-head{text-align:center}.pb-edits .pb-end{padding:0 4px}
</style>"""

TICKS = [m * 10.0**e for e in range(-2, 3) for m in (1, 2, 5)]


class EditRow(NamedTuple):
    """One edit: its prompts, pictures (y, x, 3) in [0, 1] of the source, of each k shown and of the target, the index
    of k* among those shown or None."""

    source: str
    target: str
    source_picture: ndarray
    pictures: Float[ndarray, "k y x 3"]
    target_picture: ndarray
    star: int | None


def _webp(picture: Float[ndarray, "y x 3"], largest: int) -> str:
    image = Image.fromarray(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))
    if image.width > largest:
        image = image.resize((largest, largest), Image.Resampling.LANCZOS)
    return webp(np.asarray(image), 80)


def edits_html(rows: Sequence[EditRow], k_shown: Sequence[int], noise: Float[ndarray, " step"], *, alt: str,
               title: str = "", largest: int = 128) -> str:
    """One row an edit, one column a starting step; the frame marks k*.

    Args:
        rows: the edits.
        k_shown: the steps of the columns.
        noise: sigma/alpha of every step.
        alt: the alternative text.
        title: above the rows, where several models are shown.
        largest: pixels on a side of a picture.
    """
    if not alt.strip():
        raise ValueError("alt: empty; a figure needs an alternative text that says what it shows")
    head = ["k<br>σ/α", "source", *(f"<b>{k}</b><br>{noise[k]:.2g}".replace("inf", "∞") for k in k_shown), "target"]
    cells = [f'<div class="pb-head">{text}</div>' for text in head]
    for row in rows:
        cells += _row_cells(row, k_shown, largest)
    columns = f"minmax(80px,1.5fr) repeat({len(k_shown) + 2},minmax(0,1fr))"
    heading = f'<div class="pb-edits-title">{escape(title)}</div>' if title else ""
    return (f'{STYLE}{heading}<div class="pb-scroll"><div class="pb-edits pb-figure" role="group" '
            f'aria-label="{escape(alt, quote=True)}" style="grid-template-columns:{columns}">'
            f'{"".join(cells)}</div></div>')


def _row_cells(row: EditRow, k_shown: Sequence[int], largest: int) -> list[str]:
    label = f"{row.source} → {row.target}"
    cells = [f"<div>{escape(row.source)} → <b>{escape(row.target)}</b></div>",
             f'<div class="pb-end">{_image(row.source_picture, row.source, largest)}</div>']
    for i, (k, picture) in enumerate(zip(k_shown, row.pictures, strict=True)):
        star = i == row.star
        cells.append(_image(picture, f"{label}, resumed at step {k}" + (" (k*)" if star else ""), largest, star))
    cells.append(f'<div class="pb-end">{_image(row.target_picture, row.target, largest)}</div>')
    return cells


def _image(picture: Float[ndarray, "y x 3"], text: str, largest: int, star: bool = False) -> str:
    mark = " class=pb-star" if star else ""
    return f'<img src="{_webp(picture, largest)}" alt="{escape(text, quote=True)}"{mark}>'


def show_edits(parts: Mapping[str, tuple[Sequence[EditRow], Sequence[int], Float[ndarray, " step"]]], alt: str) -> None:
    """Display the edits of some models, by title: rows, steps of the columns, sigma/alpha of every step."""
    display(HTML("".join(edits_html(*part, alt=f"{title}: {alt}", title=title) for title, part in parts.items())))


def success_curves(parts: Mapping[str, tuple[Sequence[int], Mapping[str, tuple[ndarray, ndarray]]]],
                   height: int = 380) -> go.Figure:
    """Share of successful edits, and how far the picture has moved from its source, against the starting step.

    Args:
        parts: by model, a row each: the steps, and by level the two curves.
        height: of a row.
    """
    fig = make_subplots(len(parts), 2, horizontal_spacing=0.13, vertical_spacing=0.3 / len(parts),
                        subplot_titles=[text for title in parts for text in (title, "")])
    for row, (k_values, levels) in enumerate(parts.values(), 1):
        for i, (name, curves) in enumerate(levels.items()):
            for column, y in enumerate(curves, 1):
                fig.add_trace(go.Scatter(
                    x=np.asarray(k_values), y=np.round(np.asarray(y, float), 4), name=name, mode="lines+markers",
                    legendgroup=name, showlegend=column == row == 1, marker={"size": 5},
                    line={"color": COLOURS[i], "dash": ("solid", "dash")[i % 2]}), row, column)
    fig.update_xaxes(title="resumed at step k<br>(0 = all noise)", rangemode="tozero")
    fig.update_yaxes(title="share that succeeds", range=[-0.03, 1.03], col=1)
    fig.update_yaxes(title="rms distance to the source", rangemode="tozero", col=2)
    legend = {"orientation": "h", "y": 1.1, "yanchor": "bottom", "x": 0}
    return layout(fig, height=60 + height * len(parts), legend=legend)


class Panel(NamedTuple):
    """A scatter plot, one point a pair: titles and values of the axes, the level of each pair, its text on hovering.

    `diagonal`: both axes are logarithmic, and the line y = x is drawn.
    """

    title: str
    x_title: str
    x: Float[ndarray, " e"]
    y_title: str
    y: Float[ndarray, " e"]
    level: Sequence[str]
    hover: Sequence[str]
    diagonal: bool = False


def _spread(values: Float[ndarray, " e"], rng: np.random.Generator) -> Float[ndarray, " e"]:
    """Whole numbers moved a little, so that pairs that agree stay visible."""
    values = np.asarray(values, float)
    return values + rng.uniform(-0.25, 0.25, len(values)) if np.all(values == np.round(values)) else values


def scatters(panels: Sequence[Panel], columns: int = 2, height: int = 380) -> go.Figure:
    """Panels in rows of `columns`, coloured by level; whole numbers are jittered by a quarter."""
    rows = -(-len(panels) // columns)
    fig = make_subplots(rows, columns, horizontal_spacing=0.1, vertical_spacing=0.25 / rows,
                        subplot_titles=[panel.title for panel in panels])
    rng = np.random.default_rng(0)
    for place, panel in enumerate(panels):
        row, column = divmod(place, columns)
        _scatter(fig, panel, row + 1, column + 1, rng, legend=place == 0)
    return layout(fig, height=60 + height * rows, legend={"orientation": "h", "y": 1.1, "yanchor": "bottom", "x": 0})


def _scatter(fig: go.Figure, panel: Panel, row: int, column: int, rng: np.random.Generator, legend: bool) -> None:
    x, y, level = _spread(panel.x, rng), _spread(panel.y, rng), np.asarray(panel.level)
    for i, name in enumerate(("within", "across")):
        mine = np.flatnonzero(level == name)
        fig.add_trace(go.Scatter(
            x=np.round(x[mine], 4), y=np.round(y[mine], 4), mode="markers", name=name, legendgroup=name,
            showlegend=legend, text=[panel.hover[j] for j in mine], hovertemplate="%{text}<extra></extra>",
            marker={"size": 8, "color": COLOURS[i], "symbol": ("circle", "diamond")[i], "opacity": 0.7}), row, column)
    scale = {"type": "log", "tickvals": TICKS} if panel.diagonal else {}
    if panel.diagonal and len(x):
        ends = np.array([x.min(), x.max()])
        fig.add_trace(go.Scatter(x=ends, y=ends, mode="lines", showlegend=False, hoverinfo="skip",
                                 line={"color": "#777777", "dash": "dash"}), row, column)
    fig.update_xaxes(title=panel.x_title, ticklabelstandoff=5, row=row, col=column, **scale)   # apart in the corner
    fig.update_yaxes(title=panel.y_title, row=row, col=column, **scale)


def trip_curves(errors: Mapping[str, Float[ndarray, " step"]], tolerance: float, height: int = 360) -> go.Figure:
    """Round-trip errors against the share of the steps that was inverted, with the tolerance as a dashed line."""
    fig = go.Figure()
    for i, (name, y) in enumerate(errors.items()):
        inverted = 1 - np.arange(len(y)) / len(y)
        fig.add_trace(go.Scatter(x=inverted, y=np.float32(np.maximum(y, 1e-16)), name=name, mode="lines+markers",
                                 marker={"size": 5}, line={"color": COLOURS[i % len(COLOURS)]}))
    fig.add_hline(tolerance, line={"dash": "dash", "color": "#777777"})
    fig.update_xaxes(title="share of the steps inverted")
    shown = np.concatenate([np.maximum(y, 1e-16) for y in errors.values()]) if errors else np.array([tolerance])
    fig.update_yaxes(title="mean squared error / mean square", **log_axis(shown))
    return layout(fig, height=height, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
