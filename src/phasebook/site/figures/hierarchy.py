"""Figures of the hierarchy: phases over steps, nearby pairs, merge trees with pictures, ordered distances, geodesics.

All take arrays. alpha points up and beta right; index 0 is the lower end of alpha. Phases get colours that neighbours
do not share; the colour itself means nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from plotly.subplots import make_subplots
from scipy.cluster.hierarchy import dendrogram, leaves_list

from .figures import COLOURS, SEQUENTIAL, layout, table
from .figures_slices import _webp, mosaic

__all__ = ["STATISTICS", "distance_matrices", "geodesic_map", "merge_tree", "pair_strips", "phase_maps",
           "ultrametric_table"]

# twelve colours of similar lightness, told apart by hue (Paul Tol's muted set, and three more)
PHASES = np.array([[51, 34, 136], [136, 204, 238], [68, 170, 153], [17, 119, 51], [153, 153, 51], [221, 204, 119],
                   [204, 102, 119], [136, 34, 85], [170, 68, 153], [102, 153, 204], [238, 136, 102], [187, 187, 187]],
                  dtype=np.uint8)
STATISTICS = {"triples": "triples that agree", "cophenetic": "cophenetic correlation",
              "gap": "gap to the subdominant ultrametric", "delta": "Gromov's δ"}


def _colour_of(labels: Int[ndarray, "a b"], before: Int[ndarray, "a b"] | None) -> Int[ndarray, "a b"]:
    """A colour for each phase: its parent's for the child that has most of it, else one that no neighbour has."""
    labels = np.asarray(labels)
    n = int(labels.max()) + 1
    touch = [set() for _ in range(n)]
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        for p, q in set(zip(a[a != b].tolist(), b[a != b].tolist(), strict=True)):
            touch[p].add(q)
            touch[q].add(p)
    colour, used, spent = np.full(n, -1), len(PHASES), np.zeros(len(PHASES), dtype=int)
    sizes = np.bincount(labels.ravel(), minlength=n)
    for p in np.argsort(-sizes, kind="stable"):
        taken = {int(colour[q]) for q in touch[p]}
        wanted = -1 if before is None else int(np.bincount(before[labels == p]).argmax())
        free = sorted((c for c in range(used) if c not in taken), key=lambda c: (spent[c], (c * 5) % used))
        colour[p] = wanted if wanted >= 0 and wanted not in taken else (free[0] if free else p % used)
        spent[colour[p]] += 1
    return colour[labels]


def phase_maps(labels: Int[ndarray, "step a b"], steps: Sequence[int], noise: Float[ndarray, " step"],
               extent: Sequence[float], counts: Sequence[int] | None = None) -> go.Figure:
    """The phases at a few steps as coloured maps, three to a row; a phase keeps its parent's colour where it can."""
    a0, a1, b0, b1 = map(float, extent)
    rows = -(-len(steps) // 3)
    words = {k: "" if counts is None else ": 1 phase" if counts[k] == 1 else f": {counts[k]} phases" for k in steps}
    titles = [f"step {k}, σ/α = {noise[k]:.3g}{words[k]}" for k in steps]
    fig = make_subplots(rows, 3, subplot_titles=titles, horizontal_spacing=0.07,
                        vertical_spacing=0.17 if rows > 1 else 0)
    before = None
    for i, k in enumerate(steps):
        before = _colour_of(labels[k], before)
        size = max(1, 240 // labels.shape[1])
        picture = PHASES[before][::-1].repeat(size, 0).repeat(size, 1)
        place = {"row": i // 3 + 1, "col": i % 3 + 1}
        fig.add_layout_image(source=_webp(np.ascontiguousarray(picture)), xref="x", yref="y", x=b0, y=a1,
                             sizex=b1 - b0, sizey=a1 - a0, sizing="stretch", layer="below", **place)
        fig.add_scatter(x=[b0, b1], y=[a0, a1], mode="markers", marker={"opacity": 0}, showlegend=False,
                        hoverinfo="skip", **place)
        fig.update_xaxes(title="β" if i // 3 == rows - 1 else None, range=[b0, b1], **place)
        fig.update_yaxes(title="α" if i % 3 == 0 else None, range=[a0, a1], **place)
    layout(fig, height=60 + 300 * rows)
    fig.update_annotations(font_size=12)
    fig.update_xaxes(showgrid=False, zeroline=False)
    return fig.update_yaxes(showgrid=False, zeroline=False)


def pair_strips(pictures: UInt8[ndarray, "pair step 2 y x 3"], shown: Sequence[int],
                distances: Float[ndarray, "pair step"], splits: Sequence[int], labels: Sequence[str],
                unit: str) -> go.Figure:
    """Figs. 4 and 5: for each pair the predictions of its two points at the `shown` steps, one below the other, and
    below them their distance at every step, with the split step dotted."""
    pairs, across = len(labels), len(shown)
    fig = make_subplots(2 * pairs, 1, row_heights=[0.58, 0.42] * pairs, vertical_spacing=0.22 / (2 * pairs),
                        subplot_titles=[t for name in labels for t in (name, "")])
    for p in range(pairs):
        sheet = mosaic(pictures[p].swapaxes(0, 1)[::-1], 64, 2)     # first point above
        strip, curve = {"row": 2 * p + 1, "col": 1}, {"row": 2 * p + 2, "col": 1}
        fig.add_layout_image(source=_webp(sheet, 85), xref="x", yref="y", x=-0.5, y=1.5, sizex=across, sizey=2,
                             sizing="stretch", layer="below", **strip)
        fig.add_scatter(x=[0], y=[0], mode="markers", marker={"opacity": 0}, showlegend=False, hoverinfo="skip",
                        **strip)
        fig.update_xaxes(range=[-0.5, across - 0.5], tickvals=list(range(across)), ticktext=[str(k) for k in shown],
                         showgrid=False, zeroline=False, constrain="domain", **strip)
        # pictures stay square at any width
        fig.update_yaxes(range=[-0.5, 1.5], tickvals=[0, 1], ticktext=["second", "first"], showgrid=False,
                         zeroline=False, scaleanchor=f"x{2 * p + 1 if p else ''}", constrain="domain", **strip)
        y = [float(f"{v:.4g}") for v in distances[p]]
        fig.add_scatter(x=list(range(len(y))), y=y, mode="lines", line={"color": COLOURS[0], "width": 2.5},
                        showlegend=False, **curve)
        if splits[p] < len(y):
            fig.add_vline(x=splits[p], line={"dash": "dot", "color": COLOURS[1]}, **curve)
        fig.update_yaxes(title=f"distance, {unit}", rangemode="tozero", **curve)
        fig.update_xaxes(title="step" if p == pairs - 1 else None, **curve)
    layout(fig, height=340 * pairs + 60)
    fig.update_annotations(font_size=13)
    return fig


def merge_tree(linkage: Float[ndarray, "n-1 4"], pictures: UInt8[ndarray, "n y x 3"], *, xtitle: str,
               reference: tuple[float, str] | None = None) -> go.Figure:
    """A dendrogram, root on the left, with the picture of each leaf. `reference`: a line at a height, and its name."""
    drawn = dendrogram(linkage, no_plot=True)
    n, top = len(pictures), max(float(linkage[:, 2].max()), 1e-12)
    fig = go.Figure()
    for height, place in zip(drawn["dcoord"], drawn["icoord"], strict=True):
        fig.add_scatter(x=height, y=[(v - 5) / 10 for v in place], mode="lines", showlegend=False,
                        line={"color": COLOURS[0], "width": 1.6}, hoverinfo="x")
    for row, leaf in enumerate(drawn["leaves"]):
        fig.add_layout_image(source=_webp(pictures[leaf], 85), xref="x", yref="y", x=-0.015 * top, y=row,
                             sizex=0.05 * top, sizey=0.92, xanchor="left", yanchor="middle", sizing="contain",
                             layer="above")
    if reference:
        fig.add_vline(x=reference[0], line={"dash": "dot", "color": COLOURS[1]}, annotation_text=reference[1])
    layout(fig, height=80 + 25 * n)
    fig.update_xaxes(title=xtitle, range=[1.04 * top, -0.05 * top], zeroline=False)
    return fig.update_yaxes(visible=False, range=[-0.8, n - 0.2])


def distance_matrices(matrices: Mapping[str, Float[ndarray, "n n"]], linkage: Float[ndarray, "n-1 4"]) -> go.Figure:
    """Distance matrices over their largest entry, rows and columns in the order of the tree's leaves."""
    order = leaves_list(linkage)
    fig = make_subplots(1, len(matrices), subplot_titles=list(matrices), horizontal_spacing=0.06)
    bar = {"title": {"text": "distance over the largest", "side": "right"}, "thickness": 14}
    for col, d in enumerate(matrices.values(), 1):
        shown = np.asarray(d)[np.ix_(order, order)] / max(float(np.max(d)), 1e-300)
        fig.add_heatmap(z=shown.round(3).tolist(), zmin=0, zmax=1, colorscale=SEQUENTIAL,
                        showscale=col == len(matrices), colorbar=bar,
                        hovertemplate="leaves %{y}, %{x}: %{z:.2f}<extra></extra>", row=1, col=col)
        fig.update_yaxes(scaleanchor=f"x{col if col > 1 else ''}", autorange="reversed", constrain="domain",
                         title="leaf" if col == 1 else None, row=1, col=col)
        fig.update_xaxes(title="leaf", constrain="domain", row=1, col=col)
    layout(fig, height=390)
    fig.update_annotations(font_size=13)
    return fig


def geodesic_map(log_metric: Float[ndarray, "a b"], curves: Float[ndarray, "m k 2"], inside: Sequence[bool],
                 extent: Sequence[float], label: str) -> go.Figure:
    """Geodesics and their chords (dotted) over a map of the metric. `curves` in units of the grid."""
    a0, a1, b0, b1 = map(float, extent)
    a, b = log_metric.shape
    alpha, beta = np.linspace(a0, a1, a), np.linspace(b0, b1, b)
    bar = {"title": {"text": label, "side": "right"}, "thickness": 14}
    fig = go.Figure(go.Heatmap(z=np.round(log_metric, 2).tolist(), x=beta.round(4), y=alpha.round(4), colorbar=bar,
                               colorscale="Greys", reversescale=True, hoverinfo="skip"))
    seen = set()
    for curve, same in zip(curves, inside, strict=True):
        y, x = a0 + curve[:, 0] * (a1 - a0) / (a - 1), b0 + curve[:, 1] * (b1 - b0) / (b - 1)
        name, colour = ("inside a phase", COLOURS[5]) if same else ("across a boundary", COLOURS[4])
        fig.add_scatter(x=x.round(4), y=y.round(4), mode="lines", line={"color": colour, "width": 3}, name=name,
                        showlegend=name not in seen, legendgroup=name)
        fig.add_scatter(x=x[[0, -1]].round(4), y=y[[0, -1]].round(4), mode="lines+markers", legendgroup=name,
                        line={"color": colour, "width": 1.2, "dash": "dot"}, marker={"size": 6}, showlegend=False)
        seen.add(name)
    layout(fig, height=520, legend={"orientation": "h", "y": 1.08, "x": 0})
    fig.update_xaxes(title="β", range=[b0, b1], constrain="domain")
    return fig.update_yaxes(title="α", range=[a0, a1], scaleanchor="x", constrain="domain")


def ultrametric_table(rows: Mapping[str, Any], caption: str) -> str:
    """One row for each kind of distance. `rows[name]` has the attributes of `STATISTICS`, each with `value, low, high,
    null_low, null_high`."""
    header = ["distances", *STATISTICS.values()]
    cells = [[name, *(_cell(getattr(found, s)) for s in STATISTICS)] for name, found in rows.items()]
    return table(header, cells, caption)


def _cell(s: Any) -> str:
    return f"{s.value:.2f} [{s.low:.2f}, {s.high:.2f}], null {s.null_low:.2f} to {s.null_high:.2f}"
