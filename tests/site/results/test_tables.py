"""Numbers and claims as a reader meets them."""

import numpy as np
import pytest

from phasebook.site.results.claims import StatedCorrection
from phasebook.site.results.tables import claims_table, in_words, multiplicity, shown, signs, told
from phasebook.stats import Estimate
from tests.site.results.test_ledger import TOLD, ledger


def test_table_escapes_text_and_shows_corrections_and_intervals():
    corrected = TOLD.model_copy(update={"correction": StatedCorrection(statement="z > 0", bound="<= 0.5")})
    book = ledger(b=corrected, c=TOLD)
    book.claim("toy.a", 0.9, (0.8, 1.1))
    book.claim("toy.b", 0.0, corrected=0.25, note="<b>")
    book.claim("toy.c", 0.9, (None, None))
    html = claims_table(list(book.claims.values()))
    for words in ("x &lt; y", "Eq. &lt;1&gt;", "&lt;b&gt;", "Corrected: z &gt; 0", "pb-holds-with-correction",
                  "0.8 to 1.1", "pb-undecided", "≥ 1", "no interval", "One of these verdicts rests on"):
        assert words in html


@pytest.mark.parametrize("interval, words", [
    ((None, None), "no interval"), ((3.0, None), "3 or more"), ((None, 3.0), "3 or less"), ((2.0, 4.0), "2 to 4")])
def test_no_reason_is_made_up_for_an_end_that_is_not_there(interval, words):
    """A number known from one side, or one that tells nothing, is not always a matter of too few data."""
    book = ledger(a=TOLD)
    book.claim("toy.a", 3.0, interval, note="neighbours")
    html = claims_table(list(book.claims.values()))
    assert f"3<div class=\"pb-note\">{words}</div>" in html and "too few" not in html


def test_it_is_said_how_many_intervals_were_looked_at():
    book = ledger(**{f"b{i}": TOLD for i in range(40)})
    for i in range(40):
        book.claim(f"toy.b{i}", 2.0, (1.5, 2.5))
    book.claim("toy.a", 2.0)
    words = multiplicity(book.claims.values())
    assert words.startswith("40 of these verdicts rest on a 95 % interval") and "about 2 of 40" in words
    assert multiplicity([book.claims["toy.a"]]) == ""


@pytest.mark.parametrize("value, bound, text", [
    (4.0747198, "4.07472 +- 0.0001", "4.07472"), (0.8693, "1 +- 0.25", "0.8693"), (2.0, "2 +- 0", "2"),
    (4.819e6, "", "4.819·10⁶"), (1 - 2e-9, "1 +- 1e-8", "0.999999998"),
    (-3.2e-12, "<= 1e-9", "−3.2·10⁻¹²"), (1e-6, "", "10⁻⁶"), (110.0, "", "110"), (None, "1 +- 0.1", "–")])
def test_a_number_has_the_digits_that_its_bound_asks_for(value, bound, text):
    assert shown(value, bound) == text


def test_a_bound_has_proper_signs():
    assert in_words("<= -1e-4") == "≤ −10⁻⁴" and in_words("1 +- 5e-4") == "1 ± 5·10⁻⁴"


@pytest.mark.parametrize("words, text", [
    ("err 1e-06 at 89 x 89 x 2, 26%", "err 10⁻⁶ at 89 × 89 × 2, 26\u00a0%"),
    ("from -0.04 to -3.2e-12", "from −0.04 to −3.2·10⁻¹²"),
    ("icons-unet-a, step3, tree-2, 3-5", "icons-unet-a, step3, tree-2, 3-5")])
def test_numbers_in_words_have_proper_signs(words, text):
    assert signs(words) == text


@pytest.mark.parametrize("asked, text", [
    ((0.5, 0.25, 1.0, 20), "0.50 [0.25, 1.00]"), ((0.5, -np.inf, np.inf, 3), "0.5 (n = 3)"),
    ((-0.001, -0.3, 0.0, 20), "0.00 [−0.30, 0.00]"), ((4.0, 3.0, 12.0, 20), "4 [3, 12]"),
    ((4.5, 4.0, 5.0, 20), "4.5 [4.0, 5.0]"), ((0.96777, 0.93280, 0.98260, 60), "0.968 [0.933, 0.983]"),
    ((1.8, -0.042, 2.0, 20), "1.80 [−0.04, 2.00]"), ((-1e-9, 0.0, 0.0, 20), "0 [0, 0]"),
    ((1234.5, 1200.0, 1300.0, 20), "1234 [1200, 1300]"), ((2.0, 2.0, 2.0, 20), "2 [2, 2]")])
def test_a_number_is_told_with_its_interval_in_one_line(asked, text):
    assert told(Estimate(*asked)) == text.replace(" ", "\u00a0")       # or a table breaks it
    assert told(None) == "–"
