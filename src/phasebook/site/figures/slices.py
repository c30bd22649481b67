"""Figures of latent slices: grids of predicted images beside maps of the metric, with alpha up and beta right.

Pictures are WebP inside HTML (a strip of steps) or layout images of a plotly figure.
Arrays come with index 0 at the lower end of alpha; `upright` turns them for display. One colour scale per row of maps,
shared by all steps; colours are perceptually uniform.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import plotly.graph_objects as go
from IPython.display import HTML, display
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont
from plotly.colors import sample_colorscale, unlabel_rgb

from phasebook.site.figures.base import COLOURS, layout, log_axis, noise_words
from phasebook.site.figures.widget import webp

__all__ = ["Map", "annotated", "as_bytes", "coloured", "curves", "mosaic", "overlaid", "phase_diagram",
           "show_strip"]

RIDGES = "Inferno"
HIGH, WIDE = 0.07, 0.03      # shares of a map: the height of a label, and the width of a letter
# of white letters, so that they can be read on a bright ridge
OUTLINE = ", ".join(f"{x}px {y}px 1px black" for x in (-1, 1) for y in (-1, 1)) + ", 0 0 4px black"
# text takes the page's colour; scientific colours are left alone in a dark theme (the site's rule for figures)
STYLE = """<style>
.pb-strip{display:grid;gap:6px 8px;align-items:center;font-size:.8rem;line-height:1.25;max-width:1000px}
.pb-strip img{width:100%;display:block;filter:none!important;background:none!important;border-radius:0!important}
.pb-strip .pb-head{text-align:center}.pb-strip .pb-sharp{image-rendering:pixelated}
.pb-strip .pb-up{writing-mode:vertical-rl;transform:rotate(180deg);display:flex;justify-content:space-between;
align-self:stretch;text-align:center}
.pb-strip .pb-right{display:flex;justify-content:space-between;padding:0 .4em}
.pb-strip .pb-bar{display:grid;grid-template-columns:14px auto;gap:4px;align-self:stretch;min-height:120px}
.pb-strip .pb-bar i{display:block;border-radius:2px}
.pb-strip .pb-ticks{position:relative}
.pb-strip .pb-ticks span{position:absolute;left:0;transform:translateY(50%)}
</style>"""


def as_bytes(pixels: Float[ndarray, "*p y x 3"]) -> UInt8[ndarray, "*p y x 3"]:
    """Pixels in [0, 1] as bytes."""
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def mosaic(thumbnails: UInt8[ndarray, "row col y x 3"], size: int, gap: int = 1) -> UInt8[ndarray, "h w 3"]:
    """The pictures as one, each at `size` pixels with a white gap, row 0 at the bottom."""
    rows, cols = thumbnails.shape[:2]
    cell = size + gap
    sheet = Image.new("RGB", (cols * cell - gap, rows * cell - gap), "white")
    for i in range(rows):
        for j in range(cols):
            tile = Image.fromarray(thumbnails[i, j]).resize((size, size), Image.Resampling.LANCZOS)
            sheet.paste(tile, (j * cell, (rows - 1 - i) * cell))
    return np.asarray(sheet)


def coloured(values: Float[ndarray, "a b"], limits: tuple[float, float],
             colours: str = RIDGES) -> UInt8[ndarray, "a b 3"]:
    """A map in colours between `limits`, alpha up."""
    table = np.array([unlabel_rgb(c) for c in sample_colorscale(colours, np.linspace(0, 1, 256))])
    low, high = limits
    level = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    return np.rint(table[np.rint(level * 255).astype(int)]).astype(np.uint8)[::-1]


@dataclass(frozen=True, eq=False)
class Map:
    """A scalar over the slice at every step, `values` (step, alpha, beta), and its label with the unit.

    `limits` of the colour scale: by default the extremes over all steps.
    """

    label: str
    values: Float[ndarray, "step a b"]
    limits: tuple[float, float] | None = None
    colours: str = RIDGES

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest value of the colours."""
        return self.limits or (float(self.values.min()), float(self.values.max()))

    def picture(self, step: int) -> UInt8[ndarray, "a b 3"]:
        """The map of a step in colours."""
        return coloured(self.values[step], self.range, self.colours)


def _up(extent: Sequence[float]) -> str:
    return f'<div class="pb-up"><span>{extent[0]:g}</span><span>α</span><span>{extent[1]:g}</span></div>'


def _right(extent: Sequence[float]) -> str:
    return f'<div class="pb-right"><span>{extent[2]:g}</span><span>β</span><span>{extent[3]:g}</span></div>'


def _bar(field: Map) -> str:
    stops = ",".join(sample_colorscale(field.colours, np.linspace(0, 1, 12)))
    low, high = field.range
    ticks = "".join(f'<span style="bottom:{100 * (v - low) / (high - low or 1):.1f}%">{v:g}</span>'.replace("-", "−")
                    for v in round_ticks(low, high))
    return (f'<div class="pb-bar"><i style="background:linear-gradient(to top,{stops})"></i>'
            f'<div class="pb-ticks">{ticks}</div></div>')


def round_ticks(low: float, high: float) -> list[float]:
    """At most six round numbers between two, none where its label would run over an end."""
    span = (high - low) or 1.0
    unit = 10.0 ** np.floor(np.log10(span))
    step = next(unit * f for f in (0.2, 0.5, 1.0, 2.0) if span / (unit * f) <= 6)
    first, last = np.ceil((low + 0.04 * span) / step), np.floor((high - 0.04 * span) / step)
    return [float(f"{k * step:.6g}") for k in np.arange(first, last + 1)]


def _image(uri: str, alt: str, sharp: bool = False) -> str:
    return f'<img src="{uri}" alt="{escape(alt, quote=True)}"{" class=pb-sharp" if sharp else ""}>'


def strip_html(steps: Sequence[int], noise: Float[ndarray, " step"], extent: Sequence[float], maps: Sequence[Map],
               thumbnails: UInt8[ndarray, "shown row col y x 3"] | None = None, *, alt: str, across: int = 3,
               size: int = 40) -> str:
    """Several steps side by side, `across` to a band: the grid of predicted images on top, below it a row of each map
    under its name.

    `noise` is sigma/alpha of every step; `thumbnails` go with `steps`.
    """
    if not alt.strip():
        raise ValueError("alt: empty; a figure needs an alternative text that says what it shows")
    longest = max((len(f"{v:g}") for field in maps for v in round_ticks(*field.range)), default=1)
    columns = f"1.2em repeat({across},minmax(0,1fr)) {max(4.2, 1.8 + 0.65 * longest):.4g}em"
    cells = []
    for first in range(0, len(steps), across):
        band = list(range(first, min(first + across, len(steps))))
        blank = ["<div></div>"] * (across - len(band))
        head = [f'<div class="pb-head"><b>step {steps[k]}</b>, {noise_words(noise[steps[k]], 3)}</div>' for k in band]
        cells += ["<div></div>", *head, *blank, "<div></div>"]
        if thumbnails is not None:
            shown = [_image(webp(mosaic(thumbnails[k], size), 74), f"Predicted images, step {steps[k]}") for k in band]
            cells += [_up(extent), *shown, *blank, "<div>x̂₀</div>"]
        for field in maps:
            sharp = field.values.shape[1] < 64
            shown = [_image(webp(field.picture(steps[k])), f"{field.label} at step {steps[k]}", sharp) for k in band]
            cells += ["<div></div>", f'<div class="pb-head" style="grid-column:span {across}">'
                      f"{escape(field.label)}</div>", "<div></div>", _up(extent), *shown, *blank, _bar(field)]
        cells += ["<div></div>", *[_right(extent)] * len(band), *blank, "<div></div>"]
    return (f'{STYLE}<div class="pb-strip pb-figure" role="group" aria-label="{escape(alt, quote=True)}" '
            f'style="grid-template-columns:{columns}">{"".join(cells)}</div>')


def show_strip(*args, **kwargs) -> None:
    """Display `strip_html`."""
    display(HTML(strip_html(*args, **kwargs)))


def annotated(thumbnails: UInt8[ndarray, "row col y x 3"], field: Map, step: int, extent: Sequence[float],
              labels: Sequence[tuple[float, float, str]], *, size: int = 40) -> go.Figure:
    """Fig. 6: the grid of images and a map with (alpha, beta) axes, origin at the lower left; anchors and basins named.

    `labels`: (alpha, beta, text) at a point of each basin.
    """
    a0, a1, b0, b1 = map(float, extent)
    fig = go.Figure()
    pictures = (webp(mosaic(thumbnails, size), 82), webp(field.picture(step)))
    for pane, uri in enumerate(pictures, 1):
        x, y = ("x", "y") if pane == 1 else ("x2", "y2")
        fig.add_layout_image(source=uri, xref=x, yref=y, x=b0, y=a1, sizex=b1 - b0, sizey=a1 - a0, sizing="stretch",
                             layer="below")
    axes = {"xaxis": x, "yaxis": y}
    # text near a side grows inward
    labels = _apart(labels, a1 - a0, b1 - b0)
    share = [(p[1] - b0) / (b1 - b0) for p in labels]
    place = ["middle right" if s < 0.12 else "middle left" if s > 0.88 else "middle center" for s in share]
    fig.add_scatter(x=[p[1] for p in labels], y=[p[0] for p in labels], text=[p[2] for p in labels], mode="text",
                    textposition=place or None,
                    textfont={"color": "white", "size": 12, "shadow": OUTLINE},
                    hovertemplate="%{text}: α = %{y:.2f}, β = %{x:.2f}<extra></extra>", showlegend=False, **axes)
    corners = [(b, a, t) for b, a, t in ((0, 0, "z₀"), (0, 1, "z₁"), (1, 0, "z₂")) if b0 <= b <= b1 and a0 <= a <= a1]
    low, high = field.range
    fig.add_scatter(x=[c[0] for c in corners] or [None], y=[c[1] for c in corners] or [None], mode="markers",
                    hovertext=[c[2] for c in corners], hoverinfo="text", showlegend=False, cliponaxis=False,
                    marker={"size": 13, "line": {"color": "white", "width": 2}, "color": [low] * max(1, len(corners)),
                            "cmin": low, "cmax": high, "colorscale": field.colours, "symbol": "diamond",
                            "showscale": True, "colorbar": {"title": {"text": field.label, "side": "right"},
                                                            "thickness": 14}}, **axes)
    layout(fig, height=410, xaxis={"domain": [0, 0.47]}, xaxis2={"domain": [0.53, 1], "anchor": "y2"},
           yaxis2={"anchor": "x2"})
    fig.update_xaxes(title="β", range=[b0, b1], showgrid=False, zeroline=False, ticks="outside")
    fig.update_yaxes(range=[a0, a1], showgrid=False, zeroline=False, ticks="outside")
    fig.update_layout(yaxis_title="α", yaxis2_showticklabels=False)
    for b, a, text in corners:
        inward_x, inward_y = (18 if b < (b0 + b1) / 2 else -18), (14 if a < (a0 + a1) / 2 else -14)
        fig.add_annotation(x=b, y=a, xref="x2", yref="y2", text=f"<b>{text}</b>", showarrow=False, xshift=inward_x,
                           yshift=inward_y, font={"color": "white", "size": 15, "shadow": "0 0 3px black"})
    return fig


def _apart(labels: Sequence[tuple[float, float, str]], up: float, right: float) -> list[tuple[float, float, str]]:
    """Labels of a map that is `up` high and `right` wide, moved up or down where they would lie on an earlier one."""
    kept: list[tuple[float, float, str]] = []

    def free(a: float, b: float, text: str) -> bool:
        return all(abs(a - c) >= HIGH * up or abs(b - d) >= WIDE * right * (len(text) + len(other)) / 2
                   for c, d, other in kept)

    for a, b, text in labels:
        moved = (a + k * HIGH * up for k in (0, 1, -1, 2, -2))
        kept.append((next((one for one in moved if free(one, b, text)), a), b, text))
    return kept


def curves(x: Sequence[float], series: dict[str, ndarray], *, xtitle: str, ytitle: str, log: str = "",
           faint: dict[str, ndarray] | None = None, dash: Sequence[str] = (), height: int = 380,
           reverse: bool = False, paired: int = 1) -> go.Figure:
    """Lines over a common x; `faint` gives, for a line's name, a bundle (k, x) drawn thin behind it.

    `log` names the axes on a logarithmic scale ('x', 'y', 'xy'); `reverse` lets x fall to the right. `paired`
    lines in a row share a colour and differ in `dash`.
    """
    fig, there = go.Figure(), np.isfinite(x)            # a flow begins at infinite noise
    x = np.asarray(x)[there]
    series = {name: np.asarray(y)[there] for name, y in series.items()}
    faint = {name: [np.asarray(one)[there] for one in bundle] for name, bundle in (faint or {}).items()}
    for i, (name, y) in enumerate(series.items()):
        colour = COLOURS[i // paired % len(COLOURS)]
        for one in faint.get(name, []):
            fig.add_scatter(x=x, y=_rounded(one), mode="lines", line={"color": colour, "width": 0.8}, opacity=0.35,
                            showlegend=False, hoverinfo="skip")
        style = dash[i] if i < len(dash) else "solid"
        fig.add_scatter(x=x, y=_rounded(y), name=name, mode="lines" if len(x) > 12 else "lines+markers",
                        line={"color": colour, "width": 2.5, "dash": style})
    layout(fig, height=height, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    fig.update_xaxes(title=xtitle, autorange="reversed" if reverse else True, **(log_axis(x) if "x" in log else {}))
    shown = [*series.values(), *(one for bundle in faint.values() for one in bundle)]
    return fig.update_yaxes(title=ytitle, **(log_axis(*shown) if "y" in log else {}))


def overlaid(figures: Sequence[go.Figure]) -> go.Figure:
    """The lines of several figures over one another, in the frame of the first; those of the others dashed."""
    whole, *others = figures
    for figure in others:
        for trace in figure.data:
            whole.add_trace(trace.update(line_dash="dash"))
    for axis, name in ((whole.layout.xaxis, "x"), (whole.layout.yaxis, "y")):
        if axis.type == "log":
            axis.update(log_axis(*(trace[name] for trace in whole.data)))
    return whole.update_layout(showlegend=len(whole.data) > 1)


def _rounded(y: ndarray) -> list[float | None]:
    """Four significant digits, which no eye exceeds, so that pages stay small; gaps where not finite."""
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in np.asarray(y, dtype=float)]


def phase_diagram(thumbnails: UInt8[ndarray, "shown row col y x 3"], field: Map, steps: Sequence[int],
                  noise: Float[ndarray, " step"], *, pane: int = 330) -> Image.Image:
    """Predicted images (top) and a map (below) at a few steps as one picture, for places that show no HTML.

    `book/_static/phase_diagram.png` is this at chapter 11's default slice, steps 0, 14, 20 and 27, in 256 colours.
    """
    gap, head, foot = 12, 34, 10
    sheet = Image.new("RGB", (len(steps) * (pane + gap) + gap, 2 * pane + gap + head + foot), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(17)
    for k, step in enumerate(steps):
        x = gap + k * (pane + gap)
        draw.text((x + pane / 2, head / 2), f"step {step}: noise / signal {noise[step]:.2g}", "black", font, "mm")
        top = Image.fromarray(mosaic(thumbnails[k], pane // thumbnails.shape[2] - 1))
        sheet.paste(top.resize((pane, pane), Image.Resampling.LANCZOS), (x, head))
        below = Image.fromarray(field.picture(step)).resize((pane, pane), Image.Resampling.BICUBIC)
        sheet.paste(below, (x, head + pane + gap))
    return sheet
