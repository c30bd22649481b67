"""What a slice costs against each of its sizes, side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from phasebook.site.figures.base import COLOURS, layout, log_axis

__all__ = ["cost_curves"]

COLUMNS = 3


def cost_curves(seconds: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> go.Figure:
    """Panels of seconds against a size, both axes logarithmic, a decade of seconds or more in each.

    Args:
        seconds: sizes and seconds, by what is varied.
    """
    rows = -(-len(seconds) // COLUMNS)
    fig = make_subplots(rows, COLUMNS, horizontal_spacing=0.09, vertical_spacing=0.22)
    for k, (name, (sizes, took)) in enumerate(seconds.items()):
        at = {"row": k // COLUMNS + 1, "col": k % COLUMNS + 1}
        line = {"mode": "lines+markers", "line_color": COLOURS[0], "showlegend": False}
        fig.add_scatter(x=list(sizes), y=list(took), **line, **at)
        fig.update_xaxes(title=name, type="log", tickvals=list(sizes), ticktext=[f"{x:g}" for x in sizes], **at)
        low, high = np.log10([min(took), max(took)])
        shown = (low + high) / 2 + max(0.5, (high - low) / 2 + 0.05) * np.array([-1, 1])   # what is flat looks flat
        fig.update_yaxes(title="seconds" if at["col"] == 1 else None, range=list(shown), **at,
                         **log_axis(10**shown * [1.1, 1 / 1.1]))
    return layout(fig, height=230 * rows + 60)
