"""Figures of edits: rows of pictures by starting step, shares of success, and what the threshold follows."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from IPython.display import HTML, display
from jaxtyping import Float
from numpy import ndarray
from PIL import Image
from plotly.subplots import make_subplots

from phasebook.site.figures.base import COLOURS, layout

__all__ = ["EditRow", "edits_html", "scatters", "show_edits", "success_curves", "trip_curves"]

STYLE = """<style>
.pb-edits{display:grid;gap:4px;align-items:center;font-size:.8rem;line-height:1.2;max-width:1000px}
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
    file = BytesIO()
    image.save(file, "WEBP", quality=80, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def edits_html(rows: Sequence[EditRow], k_shown: Sequence[int], noise: Float[ndarray, " step"], *, alt: str,
               largest: int = 128) -> str:
    """One row an edit, one column a starting step; the frame marks k*. `noise` is sigma/alpha of every step."""
    if not alt.strip():
        raise ValueError("alt: empty; a figure needs an alternative text that says what it shows")
    head = ["", "source", *(f"<b>k = {k}</b><br>σ/α = {noise[k]:.2g}" for k in k_shown), "target"]
    cells = [f'<div class="pb-head">{text}</div>' for text in head]
    for row in rows:
        image = lambda picture, text, mark="": (  # noqa: E731
            f'<img src="{_webp(picture, largest)}" alt="{escape(text, quote=True)}"{mark}>')
        label = f"{row.source} → {row.target}"
        cells.append(f"<div>{escape(row.source)} → <b>{escape(row.target)}</b></div>")
        cells.append(f'<div class="pb-end">{image(row.source_picture, row.source)}</div>')
        cells += [image(picture, f"{label}, resumed at step {k}" + (" (k*)" if i == row.star else ""),
                        " class=pb-star" if i == row.star else "")
                  for i, (k, picture) in enumerate(zip(k_shown, row.pictures, strict=True))]
        cells.append(f'<div class="pb-end">{image(row.target_picture, row.target)}</div>')
    columns = f"minmax(80px,1.5fr) repeat({len(k_shown) + 2},minmax(0,1fr))"
    return (f'{STYLE}<div class="pb-edits pb-figure" role="group" aria-label="{escape(alt, quote=True)}" '
            f'style="grid-template-columns:{columns}">{"".join(cells)}</div>')


def show_edits(*args, **kwargs) -> None:
    """Display `edits_html`."""
    display(HTML(edits_html(*args, **kwargs)))


def success_curves(k_values: Sequence[int], success: Mapping[str, Float[ndarray, " k"]],
                   moved: Mapping[str, Float[ndarray, " k"]], height: int = 380) -> go.Figure:
    """Share of successful edits, and how far the picture has moved from its source, against the starting step."""
    fig = make_subplots(1, 2, horizontal_spacing=0.13)
    for column, curves in enumerate((success, moved), 1):
        for i, (name, y) in enumerate(curves.items()):
            fig.add_trace(go.Scatter(
                x=np.asarray(k_values), y=np.round(np.asarray(y, float), 4), name=name, mode="lines+markers",
                legendgroup=name, showlegend=column == 1, marker={"size": 5},
                line={"color": COLOURS[i], "dash": ("solid", "dash")[i % 2]}), 1, column)
    fig.update_xaxes(title="resumed at step k (0 = all noise)", rangemode="tozero")
    fig.update_yaxes(title="share of edits that succeed", range=[-0.03, 1.03], col=1)
    fig.update_yaxes(title="distance to the source (rms of pixels)", rangemode="tozero", col=2)
    return layout(fig, height=height, legend={"orientation": "h", "y": 1.12, "x": 0})


class Panel(NamedTuple):
    """A scatter plot of `y` against `x`, one point a pair."""

    x_title: str
    x: Float[ndarray, " e"]
    y_title: str
    y: Float[ndarray, " e"]


def _spread(values: Float[ndarray, " e"], rng: np.random.Generator) -> Float[ndarray, " e"]:
    """Whole numbers moved a little, so that pairs that agree stay visible."""
    values = np.asarray(values, float)
    return values + rng.uniform(-0.25, 0.25, len(values)) if np.all(values == np.round(values)) else values


def scatters(panels: Sequence[tuple], group: Sequence[str], hover: Sequence[str], *, log: Sequence[bool] = (),
             laws: Sequence[tuple[int, ndarray, ndarray, str]] = (), height: int = 400) -> go.Figure:
    """Panels side by side, coloured by `group`; `log`: which have log axes. `laws`: lines, (panel, x, y, name)."""
    fig, rng = make_subplots(1, len(panels), horizontal_spacing=0.08), np.random.default_rng(0)
    group = np.asarray(group)
    for column, panel in enumerate((Panel(*panel) for panel in panels), 1):
        x, y = _spread(panel.x, rng), _spread(panel.y, rng)
        for i, name in enumerate(("within", "across")):
            mine = np.flatnonzero(group == name)
            fig.add_trace(go.Scatter(
                x=np.round(x[mine], 3), y=np.round(y[mine], 3), mode="markers", name=name, legendgroup=name,
                showlegend=column == 1, text=[hover[j] for j in mine], hovertemplate="%{text}<extra></extra>",
                marker={"size": 8, "color": COLOURS[i], "symbol": ("circle", "diamond")[i], "opacity": 0.7}), 1, column)
        scale = {"type": "log", "tickvals": TICKS} if log and log[column - 1] else {}
        fig.update_xaxes(title=panel.x_title, row=1, col=column, **scale)
        fig.update_yaxes(title=panel.y_title, row=1, col=column, **scale)
    for i, (panel, x, y, name) in enumerate(laws):
        fig.add_trace(go.Scatter(x=x, y=y, mode="lines", name=name, line={
            "color": "#777777", "dash": ("dash", "dot")[i % 2]}), 1, panel + 1)
    return layout(fig, height=height, legend={"orientation": "h", "y": 1.12, "x": 0})


def trip_curves(errors: Mapping[str, Float[ndarray, " step"]], tolerance: float, height: int = 360) -> go.Figure:
    """Round-trip errors against the step inverted to, on a log axis, with the tolerance as a dashed line."""
    fig = go.Figure()
    for i, (name, y) in enumerate(errors.items()):
        fig.add_trace(go.Scatter(x=np.arange(len(y)), y=np.float32(np.maximum(y, 1e-16)), name=name,
                                 mode="lines+markers", marker={"size": 5}, line={"color": COLOURS[i]}))
    fig.add_hline(tolerance, line={"dash": "dash", "color": "#777777"})
    fig.update_xaxes(title="inverted to step k")
    fig.update_yaxes(title="mean squared error / variance", type="log", exponentformat="power", dtick=2)
    return layout(fig, height=height, legend={"orientation": "h", "y": 1.14, "x": 0})
