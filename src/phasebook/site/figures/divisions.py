"""Divisions of the latent plane among atoms, or of slices among basins, side by side."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from numpy import ndarray
from plotly.subplots import make_subplots

from phasebook.site.figures.base import COLOURS, layout
from phasebook.site.figures.phase_colours import PHASES, colour_of
from phasebook.site.figures.singular import _pale, _short

__all__ = ["divisions", "partitions"]


def divisions(titles: Sequence[str], labels: Int[ndarray, "k g g"], axis: Float[ndarray, " g"]) -> go.Figure:
    """One panel for each division; latents that a later one gives to another atom than the first are black.

    Args:
        titles: of the panels.
        labels: atoms, index [panel, row, column] = [panel, z_2, z_1].
        axis: coordinates of the grid, the same for both axes.
    """
    labels = np.asarray(labels)
    n = int(labels.max()) + 1
    colours = [_pale(COLOURS[k % 6]) for k in range(n)] + ["#000000"]
    scale = [(edge / (n + 1), colours[k]) for k in range(n + 1) for edge in (k, k + 1)]
    fig = make_subplots(1, len(titles), subplot_titles=list(titles), horizontal_spacing=0.05)
    for column, panel in enumerate(labels, 1):
        shown = np.where(panel == labels[0], panel, n).astype(np.uint8)
        fig.add_trace(go.Heatmap(x=_short(axis), y=_short(axis), z=shown, zmin=-0.5, zmax=n + 0.5, colorscale=scale,
                                 showscale=False, hovertemplate="atom %{z}<extra></extra>"), 1, column)
        fig.update_xaxes(title_text="z₁ (latent)", constrain="domain", row=1, col=column)
        fig.update_yaxes(scaleanchor=f"x{column if column > 1 else ''}", constrain="domain", constraintoward="top",
                         row=1, col=column)             # titles stand right above the panels at any width
    fig.update_yaxes(title_text="z₂ (latent)", row=1, col=1)
    return layout(fig, height=280)


def partitions(titles: Sequence[str], labels: Int[ndarray, "k s g g"]) -> go.Figure:
    """A row for each model, a column for each slice. A basin has the colour of the first model's basin that it covers
    most of, as far as neighbours differ.

    Args:
        titles: of the models.
        labels: basins, index [model, slice, alpha, beta].
    """
    labels = np.asarray(labels)
    fig = make_subplots(len(titles), labels.shape[1], horizontal_spacing=0.02, vertical_spacing=0.015)
    for column in range(labels.shape[1]):
        first = None
        for row, panel in enumerate(labels[:, column], 1):
            colours = colour_of(np.unique(panel, return_inverse=True)[1].reshape(panel.shape), first)
            first = colours if first is None else first
            fig.add_trace(go.Image(z=PHASES[colours], hoverinfo="skip"), row, column + 1)
    fig.update_xaxes(showticklabels=False, ticks="")
    fig.update_yaxes(showticklabels=False, ticks="", autorange=True)
    for row, title in enumerate(titles, 1):
        fig.update_yaxes(title={"text": title, "font": {"size": 11}}, row=row, col=1)
    return layout(fig, height=20 + 130 * len(titles)).update_layout(margin={"l": 30, "r": 8, "t": 10, "b": 10})
