"""Figures of the book: plotly, from builders that take arrays; `show` puts one into the page.

Labels are Unicode and HTML, never LaTeX (blank in JupyterLab). Colour scales are perceptually uniform.
"""

import json
import math
from collections.abc import Sequence
from html import escape
from itertools import count

import numpy as np
import plotly.graph_objects as go
from IPython.display import display
from jaxtyping import Float
from numpy import ndarray

from phasebook.site.results.tables import signs

__all__ = ["COLOURS", "SEQUENTIAL", "cells", "html_of", "json_block", "layout", "log_axis", "noise_words",
           "power_words", "show", "table"]

SEQUENTIAL = "Viridis"
# a qualitative set that survives colour blindness (Okabe and Ito 2008)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_number = count(1)


def layout(fig: go.Figure, *, height: int = 420, width: int | None = None, **options) -> go.Figure:
    """The house layout, in place and returned: margins, font, no title (captions carry it)."""
    fig.update_layout(template="plotly_white", height=height, width=width, font={"size": 13},
                      margin={"l": 60, "r": 20, "t": 40, "b": 50}, **options)
    return fig


def cells(rows: int, columns: int, least: int = 48) -> dict:
    """What tells the page that a figure is a sheet of square pictures: `meta` of its layout. The page gives it the
    height that they need, and lets it scroll where a picture would be narrower than `least` pixels."""
    return {"cells": {"rows": rows, "columns": columns, "least": least}}


def noise_words(level: float, digits: int = 2) -> str:
    """A noise level sigma/alpha in words; a flow begins at infinite noise."""
    return f"σ/α = {level:.{digits}g}".replace("inf", "∞")


def log_axis(*values: Float[ndarray, "*s"], most: int = 8) -> dict:
    """A logarithmic axis of these numbers with three labels or more, `most` at most: powers of ten, or round numbers
    between them where it spans little; plotly's own where it spans next to nothing."""
    shown = np.concatenate([np.ravel(v) for v in values]).astype(float)
    shown = shown[np.isfinite(shown) & (shown > 0)]
    low, high = (shown.min() / 1.1, shown.max() * 1.1) if len(shown) else (1.0, 1.0)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), range(1, 10)):
        inside = [(m, k) for k in decades for m in digits if low <= m * 10.0**k <= high]
        ticks = _apart(inside, (high / low) ** (1 / most))
        if len(ticks) > 2:
            plain = 1e-3 <= low and high <= 1e4
            return {"type": "log", "tickvals": [float(f"{m}e{k}") for m, k in ticks],
                    "ticktext": [f"{m * 10.0**k:g}" if plain else power_words(k, m) for m, k in ticks]}
    return {"type": "log"}


def _apart(ticks: Sequence[tuple[int, int]], least: float) -> list[tuple[int, int]]:
    """Those of m 10^k, rising, that are `least` times the one before or more, so that no label lies on another."""
    kept: list[tuple[int, int]] = []
    for m, k in ticks:
        if not kept or m / kept[-1][0] * 10.0 ** (k - kept[-1][1]) >= least * (1 - 1e-9):
            kept.append((m, k))
    return kept


def power_words(k: int, times: int = 1) -> str:
    """Ten to the k-th, or a multiple of it, as a label."""
    whole = {0: "1", 1: "10"}.get(k) or "10" + str(k).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return whole if times == 1 else f"{times}·{whole}"


def show(fig: go.Figure, alt: str) -> None:
    """Display a figure with its alternative text.

    The page gets a div and the figure's JSON, drawn by the site's one shared plotly.js; JupyterLab gets
    plotly's own mime type and draws it itself.
    """
    if not alt.strip():
        raise ValueError("alt: empty; a figure needs an alternative text that says what it shows")
    display({"text/html": html_of(fig, alt), "application/vnd.plotly.v1+json": json.loads(fig.to_json())}, raw=True)


def html_of(fig: go.Figure, alt: str) -> str:
    """A figure as the page gets it."""
    spec = json.loads(fig.to_json())
    name = f"pb-figure-{next(_number)}"
    text = json_block(spec)
    return (
        f'<div class="pb-figure"><div class="pb-plotly" id="{name}" role="img" aria-label="{escape(alt, quote=True)}" '
        f'style="min-height:{spec["layout"].get("height", 420)}px"></div></div>'
        f'<script type="application/json" class="pb-plotly-data" data-for="{name}">{text}</script>'
    )


def json_block(data: object) -> str:
    """JSON for a script element: without any `<`, by which a page could take a name from elsewhere for markup."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def table(header: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> str:
    """A plain HTML table of text cells, numbers with proper signs; it scrolls by itself where the page is narrow."""
    head = "".join(f"<th>{escape(h)}</th>" for h in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(signs(str(c)))}</td>" for c in row) + "</tr>" for row in rows)
    return (f'<div class="pb-scroll"><table class="pb-table"><caption><span>{escape(caption)}</span></caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")
