"""Figures as the page gets them."""

import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from phasebook.site.figures import base

NAME = "<!--<script>alert(1)</script>"       # a folder of pictures may be called so


def shown(monkeypatch, fig: go.Figure, alt: str) -> dict:
    found = []
    monkeypatch.setattr(base, "display", lambda data, raw: found.append(data))
    base.show(fig, alt)
    return found[0]


def test_a_name_from_elsewhere_is_no_markup(monkeypatch):
    html = shown(monkeypatch, go.Figure(go.Bar(x=[NAME], y=[1])), alt=f'a bar "{NAME}"')["text/html"]
    block = re.search(r"<script[^>]*>(.*?)</script>$", html, re.S)[1]
    assert "<" not in block and json.loads(block)["data"][0]["x"] == [NAME]
    assert html.count("<script") == 1 and "<!--" not in html
    assert NAME not in base.table(["name"], [[NAME]], NAME)


def test_a_figure_needs_words():
    with pytest.raises(ValueError, match="alt: empty"):
        base.show(go.Figure(), " ")


@pytest.mark.parametrize("low, high", [(6, 25), (1, 3), (0.2, 0.9), (3e-3, 40), (1e-9, 2e5), (1e-40, 1e-3), (2e6, 5e6)])
def test_a_log_axis_has_labels_enough_and_none_beyond_it(low, high):
    axis = base.log_axis(np.array([low, np.nan, -1.0]), np.array([high, 0.0]))
    assert 3 <= len(axis["tickvals"]) <= 8 and all(low / 1.1 <= v <= 1.1 * high for v in axis["tickvals"])
    assert len(set(axis["ticktext"])) == len(axis["tickvals"])
    gaps = np.diff(np.log(axis["tickvals"]))
    assert gaps.min() >= np.log(1.21 * high / low) / 8 - 1e-9          # no label lies on another


def test_labels_of_a_log_axis():
    assert base.log_axis(np.array([1e-6, 1e-3]))["ticktext"] == ["10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³"]
    assert base.log_axis(np.array([2e-6, 2e-5]))["ticktext"] == ["2·10⁻⁶", "5·10⁻⁶", "10⁻⁵", "2·10⁻⁵"]
    assert base.log_axis(np.array([])) == base.log_axis(np.array([5.0, 5.001])) == {"type": "log"}
