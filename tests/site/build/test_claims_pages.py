"""What the book's extension makes of claims: the page of the paper's statements, and links in a line of text."""

import importlib.util
import json
import re

import pytest
from docutils.nodes import Text, container, figure, literal, paragraph, raw, section

from phasebook.mixtures.mixtures import Mixture
from phasebook.site.build import runner
from phasebook.site.figures.toy import toy_html

FILE = runner.root() / "book" / "_ext" / "phasebook_claims.py"
spec = importlib.util.spec_from_file_location("phasebook_claims", FILE)
claims = importlib.util.module_from_spec(spec)
spec.loader.exec_module(claims)


def test_sections_stand_where_the_paper_has_them():
    """An introduction is the first section, and a discussion the fourth, whatever the alphabet says."""
    told = ["Abstract", "Introduction", "Sec. 1", "Section 2", "Discussion", "Discussion, a later version", "Sec. 4",
            "Sec. 4, Thm 2.1"]
    told_of = {str(k): {"id": str(k), "kind": "paper", "reference": reference, "statement": "x"}
               for k, reference in enumerate(sorted(told, key=lambda words: words[::-1]))}
    rows = claims.statements(told_of).splitlines()
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows if row.endswith("` |")] == told


def test_equations_go_by_their_numbers():
    assert sorted(["Eq. (18)", "Eqs. (13), (14)", "Eq. (2) with the proof"], key=claims.in_order) == [
        "Eq. (2) with the proof", "Eqs. (13), (14)", "Eq. (18)"]


def test_a_layer_has_the_name_that_its_figures_give_it():
    assert [claims.whose(name) for name in ("moe_hard", "potential_hard", "icons_unet_a")] == [
        "hard experts", "hard potential", "icons-unet-a"]


def test_no_text_says_the_verdict_that_its_badge_says():
    """A claim's verdict is put behind its name when the pages are laid out."""
    known = json.loads((runner.root() / "tests" / "reference" / "verdicts.json").read_text(encoding="utf-8"))
    for file in sorted((runner.root() / "notebooks").glob("*.py")):
        said = re.findall(r"`([\w.]+)`,? (?:it )?(?:holds|fails|is undecided)\b", file.read_text(encoding="utf-8"))
        assert not set(said) & set(known), file.name


@pytest.mark.parametrize(("before", "after", "pieces", "words"), [
    ("claimed (", "): rest", 1, ["claimed ", "(a0):", " rest"]), ("(", "), as", 2, ["", "(a0;", " ", "a1),", " as"]),
    ("at ", " here", 1, ["at ", "a0", " here"]), ("", "", 1, ["a0"]),
])
def test_a_name_keeps_its_brackets_and_strokes(before, after, pieces, words):
    """No line ends with the bracket before a verdict, and none begins with the one behind it."""
    name = literal("a", "a")
    line = paragraph("", "", *([Text(before)] if before else []), name, *([Text(after)] if after else []))
    claims.joined(name, [[Text(f"a{k}")] for k in range(pieces)])
    assert [node.astext() for node in line] == words


def test_a_claim_leads_to_the_figure_before_it_and_to_no_toy():
    cell, other = container(), container()
    toy = figure("", raw("", f"<div {claims.TOY}></div>", format="html"), ids=["fig-toy"])
    assert claims.TOY in toy_html(Mixture.atoms([[-1.0, 0.0], [1.0, 0.0]]), alt="two atoms")
    first, second = figure(ids=["fig-a"]), figure(ids=["fig-b"])
    around = section("", toy, cell, first, other, second)
    assert claims.nearest(around, other) == "fig-a" and claims.nearest(around, cell) == "fig-a"
    assert claims.nearest(section("", cell, toy), cell) == ""
