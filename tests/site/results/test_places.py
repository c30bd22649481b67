"""Where claims are recorded: by id, by an id put together, from a table; in every chapter of the book."""

import pytest

from phasebook.site.build import runner
from phasebook.site.results.claims import stated
from phasebook.site.results.places import line_of, of_model, recorded_in

CELLS = ['x = 1', 'for name in ("line", "torus"):\n    ledger.claim(f"heat.{name}.map", 1)',
         'ledger.claim("heat.order", 1)', 'names = {"a.b": 1}\nfor name in names:\n    ledger.claim(name, 1)',
         'for way in ("", "_back"):\n    ledger.claim(f"heat.order{way}", 1)']


def test_each_form_is_read():
    ids = ["heat.order", "heat.line.map", "heat.disk.map", "a.b", "heat.order_back", "gone.away"]
    assert recorded_in(CELLS, ids) == {"heat.order": 2, "heat.line.map": 1, "heat.disk.map": 1, "a.b": 3,
                                       "heat.order_back": 4}


def test_a_template_that_is_all_hole_claims_nothing():
    assert recorded_in(['ledger.claim(f"{name}", 1)'], ["heat.order"]) == {}


@pytest.mark.parametrize("source", runner.chapters(), ids=lambda s: s.stem)
def test_every_claim_of_the_book_has_a_cell_and_a_line(source):
    cells = [c.source for c in runner.notebook(source).cells if c.cell_type == "code"]
    told = stated(source.stem)
    found = recorded_in(cells, told)
    assert set(found) == set(told)
    text = source.read_text(encoding="utf-8")
    for name, cell in found.items():
        line = text.splitlines()[line_of(text, cells[cell], name) - 1]
        assert "ledger.claim(" in line or f'"{name}"' in line


def test_a_model_s_id_belongs_to_the_claim_it_extends():
    assert of_model("a.b.emoji", ["a", "a.b", "a.bc"]) == "a.b" and of_model("c.d", ["a"]) is None


def test_code_that_is_not_in_the_source_has_no_line():
    assert line_of("\n".join(CELLS), 'print("never there")', "heat.order") is None
