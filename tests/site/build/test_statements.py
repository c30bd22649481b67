"""The page of the paper's statements is in the paper's order."""

import importlib.util
import json
import re

from phasebook.site.build import runner

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
