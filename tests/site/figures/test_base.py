"""Figures as the page gets them."""

import json
import re

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
