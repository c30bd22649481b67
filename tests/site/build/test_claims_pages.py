"""Claims as links: a name, its number and its verdict in a line of text."""

import importlib.util

import pytest
from docutils.nodes import Text, container, figure, literal, paragraph, raw, section

from phasebook.mixtures.mixtures import Mixture
from phasebook.site.build import runner
from phasebook.site.figures.toy import toy_html

FILE = runner.root() / "book" / "_ext" / "phasebook_claims.py"
spec = importlib.util.spec_from_file_location("phasebook_claims", FILE)
pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pages)


@pytest.mark.parametrize(("before", "after", "pieces", "words"), [
    ("claimed (", "): rest", 1, ["claimed ", "(a0):", " rest"]), ("(", "), as", 2, ["", "(a0;", " ", "a1),", " as"]),
    ("at ", " here", 1, ["at ", "a0", " here"]), ("", "", 1, ["a0"]),
])
def test_a_name_keeps_its_brackets_and_strokes(before, after, pieces, words):
    """No line ends with the bracket before a verdict, and none begins with the one behind it."""
    name = literal("a", "a")
    line = paragraph("", "", *([Text(before)] if before else []), name, *([Text(after)] if after else []))
    pages.joined(name, [[Text(f"a{k}")] for k in range(pieces)])
    assert [node.astext() for node in line] == words


def test_a_claim_leads_to_the_figure_before_it_and_to_no_toy():
    cell, other = container(), container()
    toy = figure("", raw("", f"<div {pages.TOY}></div>", format="html"), ids=["fig-toy"])
    assert pages.TOY in toy_html(Mixture.atoms([[-1.0, 0.0], [1.0, 0.0]]), alt="two atoms")
    first, second = figure(ids=["fig-a"]), figure(ids=["fig-b"])
    around = section("", toy, cell, first, other, second)
    assert pages.nearest(around, other) == "fig-a" and pages.nearest(around, cell) == "fig-a"
    assert pages.nearest(section("", cell, toy), cell) == ""
