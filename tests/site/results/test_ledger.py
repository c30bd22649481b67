"""The ledger: verdicts follow from numbers, files are refused when they do not."""

import json
import math

import numpy as np
import pytest

from phasebook.site.build import runner
from phasebook.site.checks.parameters import Count, Parameters
from phasebook.site.results.claims import Stated, StatedCorrection, stated
from phasebook.site.results.ledger import SCHEMA, Claim, Ledger, Results, schema, slug
from phasebook.stats import Estimate


class P(Parameters):
    n: Count


TOLD = Stated(kind="paper", reference="Eq. <1>", statement="One is x < y.", bound=">= 1")


def ledger(**told: Stated) -> Ledger:
    """A ledger whose file holds `toy.a`, as it stands or changed."""
    book = Ledger("00_no_such_chapter", P(n=1))
    book.stated = {"toy.a": TOLD, **{f"toy.{k}": v for k, v in told.items()}}
    return book


def test_a_claim_takes_its_words_from_the_file_and_its_numbers_from_the_chapter():
    book = ledger()
    book.claim("toy.a", 1.5, note="how")
    assert book.claims["toy.a"].verdict == "holds"
    told = TOLD.model_dump(exclude={"correction"})
    assert book.claims["toy.a"].model_dump() == {
        "id": "toy.a", **told, "estimate": 1.5, "interval": None, "verdict": "holds", "note": "how", "correction": None}


@pytest.mark.parametrize(("estimate", "interval", "word", "written"), [
    (Estimate(1.5, 1.2, 1.8, 30), None, "holds", (1.2, 1.8)),
    (Estimate(1.5, 0.2, 1.8, 30), None, "undecided", (0.2, 1.8)),
    (Estimate(1.5, -np.inf, np.inf, 3), None, "undecided", (None, None)),
    (np.float32(0.5), (0.25, 0.75), "fails", (0.25, 0.75)),
    (1.5, (1.2, None), "holds", (1.2, None)), (None, None, "not tested here", None),
])
def test_an_estimate_brings_its_interval(estimate, interval, word, written):
    book = ledger()
    book.claim("toy.a", estimate, interval)
    assert book.claims["toy.a"].verdict == word
    assert book.claims["toy.a"].interval == written


def test_a_failing_statement_may_hold_in_its_repaired_form():
    told = TOLD.model_copy(update={"correction": StatedCorrection(statement="Repaired.", bound="<= 0.5")})
    for value, corrected, word in ((0.0, 0.1, "holds with correction"), (0.0, 0.9, "fails"), (0.0, None, "fails"),
                                   (2.0, 0.9, "holds"), (None, 0.1, "not tested here")):
        book = ledger(b=told)
        book.claim("toy.b", value, corrected=corrected)
        assert book.claims["toy.b"].verdict == word


def test_several_models_have_a_row_each():
    book = ledger()
    book.claim("toy.a", 1.0)
    book.claim("toy.a", 0.0, model="Lykon/dreamshaper-8")
    assert {name: c.verdict for name, c in book.claims.items()} == {
        "toy.a": "holds", "toy.a.dreamshaper_8": "fails"}
    assert slug("assets/icons-unet-a/") == "icons_unet_a"
    book.claim("toy.a", 1.0, model="networks/模型/")        # no letter of an id: the row has a name all the same
    assert "toy.a.model" in book.claims and slug(".") == "model"


def test_what_is_no_number_is_refused():
    for bad, words in ((math.nan, "not finite"), (math.inf, "not finite")):
        with pytest.raises(ValueError, match=words):
            ledger().claim("toy.a", bad)
    for ends in ((2.0, 1.0), (math.nan, 1.0), (None, math.nan)):
        with pytest.raises(ValueError, match="lower one first"):
            ledger().claim("toy.a", 1.0, ends)
    book = ledger()
    with pytest.raises(ValueError, match="not in notebooks/claims"):
        book.claim("toy.z", 1.0)
    book.claim("toy.a", 1.0)
    with pytest.raises(ValueError, match="twice"):
        book.claim("toy.a", 1.0)
    with pytest.raises(ValueError, match="finite"):
        book.number("n", [1.0, np.inf], "1")
    with pytest.raises(ValueError, match="recorded"):
        book.number("n", object(), "1")


def test_nothing_is_emitted_until_every_claim_is_recorded(capsys):
    book = ledger(b=TOLD)
    book.claim("toy.a", 1.0)
    with pytest.raises(ValueError, match="claim 'toy.b': .*nothing was recorded"):
        book.emit()
    book.claim("toy.b", 1.0, model="assets/icons-unet-a")       # on one model at least
    book.emit()
    assert "toy.b" in capsys.readouterr().out


def test_claims_that_stand_elsewhere_need_no_table(monkeypatch):
    shown_to_reader = []
    monkeypatch.setattr("phasebook.site.results.ledger.display", lambda data, raw: shown_to_reader.append(*data))
    book = ledger()
    book.claim("toy.a", 1.0)
    book.emit()
    book.emit(table=False)
    assert shown_to_reader == ["text/html", "application/json", "application/json"]


@pytest.mark.parametrize("change", [
    {"verdict": "holds"}, {"bound": "<= 1"}, {"estimate": 2.0}, {"interval": [0.0, 2.0]}, {"estimate": None},
])
def test_an_edited_row_is_refused(change):
    book = ledger()
    book.claim("toy.a", 0.0)
    good = book.claims["toy.a"].model_dump(mode="json")
    assert good["verdict"] == "fails" and Claim.model_validate(good)
    with pytest.raises(ValueError, match="does not follow"):
        Claim.model_validate({**good, **change})


def test_numbers_become_plain_json():
    book = ledger()
    book.number("a", np.arange(3.0), "1")
    book.number("b", {"rows": [np.float32(0.5), None, "x"]}, "m")
    text = book.results().model_dump_json()
    again = Results.model_validate_json(text)
    assert again.numbers["a"].value == [0.0, 1.0, 2.0]
    assert json.loads(text)["numbers"]["b"] == {"value": {"rows": [0.5, None, "x"]}, "unit": "m"}
    assert text == book.results().model_dump_json()        # no time of day


def test_tracked_schema_is_that_of_the_model():
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == schema()


def rule(row: dict) -> str:
    """The verdict of a row, written a second time."""
    def met(bound: str, x: float) -> bool:
        if bound[1] == "=":
            return x <= float(bound[3:]) if bound[0] == "<" else x >= float(bound[3:])
        value, tolerance = map(float, bound.split(" +- "))
        return value - tolerance <= x <= value + tolerance

    def plain(estimate, interval, bound) -> str:
        if estimate is None:
            return "not tested here"
        low, high = interval or (estimate, estimate)
        low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
        ends = [met(bound, low), met(bound, high)]
        if all(ends):
            return "holds"
        inside = bound[1] != "=" and low <= float(bound.split()[0]) <= high
        return "undecided" if any(ends) or inside else "fails"

    word, correction = plain(row["estimate"], row["interval"], row["bound"]), row["correction"]
    if word == "fails" and correction:
        repaired = plain(correction["estimate"], correction["interval"], correction["bound"])
        return "holds with correction" if repaired == "holds" else "fails"
    return word


@pytest.mark.parametrize("source", runner.chapters(), ids=lambda s: s.stem)
def test_rows_of_a_results_file_follow_from_their_numbers_and_from_the_tracked_claims(source):
    file = runner.root() / "tests" / "reference" / "results" / f"{source.stem}.results.json"
    rows = json.loads(file.read_text(encoding="utf-8"))["claims"]
    told = stated(source.stem)
    assert {i for i in told} == {max((i for i in told if (r["id"] + ".").startswith(i + ".")), key=len) for r in rows}
    for row in rows:
        assert row["verdict"] == rule(row), row["id"]
        name = max((i for i in told if (row["id"] + ".").startswith(i + ".")), key=len)
        words = told[name].model_dump(exclude={"correction"})
        assert {k: row[k] for k in words} == words
        correction = told[name].correction
        kept = row["correction"] and {k: row["correction"][k] for k in ("statement", "bound")}
        assert kept == (correction and correction.model_dump())


def test_what_the_parameters_leave_untested_is_said():
    ledger = Ledger("12_ridges_and_resolution", P(n=1))
    ledger.claim("slice.plateau_exact", 3.0, (2.0, 4.0), corrected=1.0, note="here", unless="no step near 0.1")
    ledger.claim("slice.full_rank", 0.5, note="there", unless="")
    one, two = ledger.claims.values()
    assert (one.verdict, one.note, one.correction.estimate) == ("not tested here", "no step near 0.1", None)
    assert (two.verdict, two.note) == ("holds", "there")
