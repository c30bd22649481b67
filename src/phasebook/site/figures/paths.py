"""Figures of transition paths: an energy with curves and paths on it, densities along a curve under a slider.

Builders take arrays and return a plotly figure; see `figures.show`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from numpy import ndarray

from phasebook.site.figures.base import COLOURS, layout

__all__ = ["along", "landscape"]

GREYS = [[0, "#6b6b6b"], [1, "#ffffff"]]
EVERY = 4       # points of a path that are drawn


def landscape(axes: tuple[Float[ndarray, " a"], Float[ndarray, " b"]], energy: Float[ndarray, "a b"],
              curves: Mapping[str, Float[ndarray, "n 2"]], titles: Sequence[str], unit: str, top: float,
              paths: Float[ndarray, "n p 2"] | None = None,
              region: Float[ndarray, "a b"] | None = None) -> go.Figure:
    """An energy in grey, paths as thin lines, curves over them.

    Args:
        axes: nodes of both coordinates.
        energy: on the nodes.
        curves: by name, points in the plane.
        titles: of the two axes.
        unit: of the energy.
        top: where the scale ends.
        paths: positions of some paths, or None.
        region: 1 inside a region whose outline is drawn, 0 outside, or None.

    Returns:
        The figure.
    """
    shown = np.round(np.minimum(energy, top), 2).astype(np.float32).T
    fig = go.Figure(go.Heatmap(x=axes[0], y=axes[1], z=shown, colorscale=GREYS, zmin=0, zmax=top, hoverinfo="skip",
                               colorbar={"title": f"U, {unit}"}))
    if paths is not None:
        gap = np.full((1, paths.shape[1], 2), np.nan)
        x, y = np.moveaxis(np.concatenate([paths[::EVERY], gap]), -1, 0)
        joined = [[None if np.isnan(v) else round(float(v), 3) for v in part.T.ravel()] for part in (x, y)]
        fig.add_trace(go.Scatter(x=joined[0], y=joined[1], mode="lines", name="paths", hoverinfo="skip", opacity=0.6,
                                 line={"color": COLOURS[5], "width": 1}))
    if region is not None:
        fig.add_trace(go.Contour(x=axes[0], y=axes[1], z=np.float32(region.T), showscale=False, name="region",
                                 contours={"start": 0.5, "end": 0.5, "size": 1, "coloring": "none"},
                                 line={"color": COLOURS[6], "width": 2, "dash": "dot"}, showlegend=True))
    for i, (name, points) in enumerate(curves.items()):
        x, y = np.float32(points).T
        fig.add_trace(go.Scatter(x=x, y=y, mode="lines", name=name,
                                 line={"color": COLOURS[(0, 1, 2, 3)[i % 4]], "width": 3}))
    fig.update_xaxes(title=titles[0], range=[axes[0][0], axes[0][-1]], constrain="domain")
    fig.update_yaxes(title=titles[1], range=[axes[1][0], axes[1][-1]], scaleanchor="x", constrain="domain")
    return layout(fig, height=560, legend={"orientation": "h", "y": -0.12})


def along(axes: tuple[Float[ndarray, " a"], Float[ndarray, " b"]], densities: Float[ndarray, "m a b"],
          curve: Float[ndarray, "m 2"], shares: Sequence[float], titles: Sequence[str]) -> go.Figure:
    """Denoising distributions along a curve, one for each place of a slider.

    Args:
        axes: nodes of both coordinates.
        densities: masses of the nodes; each is shown over its largest.
        curve: their means.
        shares: of the way.
        titles: of the two axes.

    Returns:
        The figure.
    """
    middle, fig = len(shares) // 2, go.Figure()
    for k, density in enumerate(densities):
        scaled = np.round(density / density.max(), 3).astype(np.float32).T
        fig.add_trace(go.Heatmap(x=axes[0], y=axes[1], z=scaled, colorscale="Viridis", zmin=0, zmax=1,
                                 visible=k == middle, colorbar={"title": "p / max"}, hoverinfo="skip"))
    x, y = np.float32(curve).T
    dot = {"color": COLOURS[1], "size": 3}                      # smaller than a cell, which may hold a whole density
    fig.add_trace(go.Scatter(x=x, y=y, mode="lines+markers", name="means", line={"color": "white", "width": 1},
                             marker=dot, showlegend=False))
    steps = []
    for k, share in enumerate(shares):
        visible = [i == k for i in range(len(shares))] + [True]
        steps.append({"method": "restyle", "args": [{"visible": visible}], "label": f"{share:.2f}"})
    fig.update_xaxes(title=titles[0], constrain="domain")
    fig.update_yaxes(title=titles[1], scaleanchor="x", constrain="domain")
    slider = {"steps": steps, "active": middle, "currentvalue": {"prefix": "share of the way: "}, "pad": {"t": 50}}
    return layout(fig, height=600, sliders=[slider])
