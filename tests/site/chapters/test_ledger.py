"""The ledger: verdicts follow from numbers, files are refused when they do not."""

import json
import math

import numpy as np
import pytest

from phasebook.site.chapters.ledger import SCHEMA, Claim, Correction, Ledger, Results, claims_table, schema, verdict
from phasebook.site.chapters.parameters import Count, Parameters


class P(Parameters):
    n: Count


def ledger() -> Ledger:
    return Ledger("01_test", P(n=1))


@pytest.mark.parametrize(
    ("expected", "measured", "tolerance", "result"),
    [
        (1.0, 1.0, 0.0, "holds"),
        (1.0, 1.002, 0.003, "holds"),
        (1.0, 1.004, 0.003, "fails"),
        ("<= 0.05", 0.05, 0.0, "holds"),
        ("<= 0.05", 0.051, 0.0, "fails"),
        (">= 3", 2.99, 0.01, "holds"),
        (">= -1e-3", -2e-3, 0.0, "fails"),
        (1.0, None, 0.0, "not tested here"),
        (None, None, 0.0, "not tested here"),
    ],
)
def test_verdict(expected, measured, tolerance, result):
    assert verdict(expected, measured, tolerance) == result


def test_a_correction_counts_only_when_the_printed_form_fails_and_it_is_met():
    met = Correction(statement="repaired", expected=2.0, measured=2.0, tolerance=0.1)
    missed = met.model_copy(update={"measured": 3.0})
    assert verdict(1.0, 1.0, 0.0, met) == "holds"
    assert verdict(1.0, 5.0, 0.0, met) == "holds with correction"
    assert verdict(1.0, 5.0, 0.0, missed) == "fails"


def test_a_typed_verdict_is_refused():
    book = ledger()
    book.claim("a.b", "Eq. (1)", "x", 1.0, 2.0)
    good = book.claims["a.b"].model_dump()
    assert good["verdict"] == "fails"
    with pytest.raises(ValueError, match="does not follow"):
        Claim.model_validate({**good, "verdict": "holds"})


def test_nan_and_repetition_are_refused():
    book = ledger()
    with pytest.raises(ValueError, match="not finite"):
        book.claim("a.b", "", "x", 1.0, math.nan)
    book.claim("a.b", "", "x", 1.0, 1.0)
    with pytest.raises(ValueError, match="twice"):
        book.claim("a.b", "", "x", 1.0, 1.0)
    with pytest.raises(ValueError, match="finite"):
        book.number("n", [1.0, np.inf], "1")
    with pytest.raises(ValueError, match="records?ed"):
        book.number("n", object(), "1")


def test_numbers_become_plain_json():
    book = ledger()
    book.number("a", np.arange(3.0), "1")
    book.number("b", {"rows": [np.float32(0.5), None, "x"]}, "m")
    text = book.results().model_dump_json()
    again = Results.model_validate_json(text)
    assert again.numbers["a"].value == [0.0, 1.0, 2.0]
    assert json.loads(text)["numbers"]["b"] == {"value": {"rows": [0.5, None, "x"]}, "unit": "m"}


def test_tracked_schema_is_that_of_the_model():
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == schema()


def test_table_escapes_text_and_shows_corrections():
    book = ledger()
    book.claim("a.b", "Eq. <1>", "x < y", 1.0, 5.0, correction=Correction(statement="z", expected=1.0, measured=1.0))
    html = claims_table(list(book.claims.values()))
    assert "x &lt; y" in html and "Corrected: z" in html and "pb-holds-with-correction" in html
