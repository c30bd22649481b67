"""The API page: what is public, and docstrings that are words and formulas."""

import importlib.util

import pytest

from phasebook.site.build import runner

FILE = runner.root() / "book" / "_ext" / "phasebook_api.py"
spec = importlib.util.spec_from_file_location("phasebook_api", FILE)
api = importlib.util.module_from_spec(spec)
spec.loader.exec_module(api)


def test_every_public_module_of_the_library_has_a_place_and_no_other():
    text = api.rooms()
    names = [line.removeprefix(".. automodule:: ") for line in text.splitlines() if line.startswith(".. automodule")]
    assert len(names) == len(set(names)) and "phasebook.stats" in names
    assert not [n for n in names if ".site" in n or n == "phasebook.cli"]
    rooms = {n.split(".")[1] for n in names if "." in n}
    assert {"theory", "mixtures", "sampling", "models", "slices", "hierarchy", "edits"} <= rooms


@pytest.mark.parametrize(("line", "shown"), [
    ("E|f|^2 = a*b", r"E\|f\|^2 = a\*b"), ("`a|b` and ``c*d``", "``a|b`` and ``c*d``"),
    ("see :func:`phasebook.f` | x", r"see :func:`phasebook.f` \| x"), (r"\hat x", r"\\hat x"),
])
def test_formulas_are_no_markup(line, shown):
    assert api.escaped(line) == shown


def test_a_table_stays_as_it_is_drawn():
    lines = ["Words:", "", "| a | b |", "|---|---|", "| 1 | 2 |", "More."]
    api.plain(None, "module", "m", None, None, lines)
    assert lines == ["Words:", "", "::", "", "    | a | b |", "    |---|---|", "    | 1 | 2 |", "", "More."]
