"""The one rule for verdicts, against a rule that only looks at points; and the files of claims."""

import math
from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from phasebook.site.build import sources
from phasebook.site.paths import root
from phasebook.site.results.claims import Stated, limits, stated, verdict

NUMBERS = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
SMALL = st.floats(0, 1e3).map(lambda x: round(x, 3))
BOUNDS = st.one_of(
    NUMBERS.map(lambda x: f"<= {x:.3f}"), NUMBERS.map(lambda x: f">= {x:.3f}"),
    st.tuples(NUMBERS, SMALL).map(lambda v: f"{v[0]:.3f} +- {v[1]:.3f}"))
ENDS = st.one_of(st.none(), NUMBERS)


def satisfies(x: float, bound: str) -> bool:
    """By the words of the bound."""
    sign, _, number = bound.partition(" ")
    if sign == "<=":
        return x <= float(number)
    if sign == ">=":
        return x >= float(number)
    value, _, tolerance = bound.partition(" +- ")
    return abs(Decimal(repr(x)) - Decimal(value)) <= Decimal(tolerance)         # as it is written, not in binary


def points(low, high, bound):
    """An interval's ends, its middle, and where it meets the ends of the bound."""
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    edges = [e for e in limits(bound) if low <= e <= high]
    beyond = [x for e in limits(bound) if math.isfinite(e) for x in (e - 1, e + 1) if low <= x <= high]
    return [low, high, *edges, *beyond]


@given(BOUNDS, NUMBERS)
def test_a_number_without_uncertainty_is_never_undecided(bound, x):
    assert verdict(x, None, bound) == ("holds" if satisfies(x, bound) else "fails")


@given(BOUNDS, NUMBERS, ENDS, ENDS)
def test_an_interval_holds_with_all_its_points_and_fails_with_none(bound, x, one, other):
    low, high = sorted((one, other)) if None not in (one, other) else (one, other)
    met = [satisfies(p, bound) for p in points(low, high, bound)]
    assert verdict(x, (low, high), bound) == ("holds" if all(met) else "undecided" if any(met) else "fails")


@given(BOUNDS, NUMBERS, st.lists(NUMBERS, min_size=4, max_size=4))
def test_more_data_decide_but_never_turn_a_verdict(bound, x, ends):
    """A narrower interval inside a wider one keeps 'holds' and 'fails'."""
    a, b, c, d = sorted(ends)
    wide, narrow = verdict(x, (a, d), bound), verdict(x, (b, c), bound)
    assert wide in ("undecided", narrow)


@given(BOUNDS, NUMBERS)
def test_a_correction_counts_only_where_the_printed_form_fails(bound, x):
    plain = verdict(x, None, bound)
    assert verdict(x, None, bound, "holds") == ("holds" if plain == "holds" else "holds with correction")
    for word in ("fails", "undecided", "not tested here"):
        assert verdict(x, None, bound, word) == plain


@given(BOUNDS)
def test_without_an_estimate_nothing_is_concluded(bound):
    assert verdict(None, None, bound) == verdict(None, None, bound, "holds") == "not tested here"


@pytest.mark.parametrize(("estimate", "interval", "bound", "word"), [
    (1.0, None, "1 +- 0", "holds"), (1.004, None, "1 +- 0.003", "fails"), (0.05, None, "<= 0.05", "holds"),
    (-2e-3, None, ">= -1e-3", "fails"), (0.92, (0.847, 0.95), ">= 0.9", "undecided"),
    (0.92, (0.91, None), ">= 0.9", "holds"), (0.92, (None, None), ">= 0.9", "undecided"),
    (2.0, (1.0, 3.0), ">= 3", "undecided"), (2.0, (1.0, 2.9), ">= 3", "fails"),
    (0.7, None, "0.8 +- 0.1", "holds"), (0.3, (0.2, 0.3), "0.2 +- 0.1", "holds"),
])
def test_the_rule_by_examples(estimate, interval, bound, word):
    assert verdict(estimate, interval, bound) == word


@pytest.mark.parametrize("bound", ["", "1", "< 1", ">= ", "1 +- ", ">=1", "<= nan", "<= inf", "1 +- -1 +- 2", "== 1",
                                   "1 +- -0.1", "<= 1e999", "1 +- 1e400"])
def test_other_bounds_are_refused(bound):
    row = {"kind": "book", "reference": "", "statement": "A statement of ours.", "bound": bound}
    with pytest.raises(ValueError, match="takes '<= x', '>= x' or 'x"):
        Stated.model_validate(row)


@pytest.mark.parametrize(("text", "words"), [
    ("a.b:\n  kind: paper\n", "reference"), ("- a", "attribute"), ("a.b: 1\na.b: 2\n", "stands twice"),
    ("a.b: {kind: guess, reference: x, statement: A statement of ours., bound: '>= 1'}", "kind"),
    ("a.b: {kind: book, reference: x, statement: A statement of ours., bound: '>= 1', verdict: holds}", "verdict"),
])
def test_a_bad_file_of_claims_is_one_line_that_names_it(tmp_path, monkeypatch, text, words):
    (tmp_path / "notebooks" / "claims").mkdir(parents=True)
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "notebooks" / "claims" / "01_toy.yaml").write_text(text)
    monkeypatch.setenv("PHASEBOOK_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="notebooks/claims/01_toy.yaml: ") as error:
        stated("01_toy")
    assert words in str(error.value) and "\n" not in str(error.value)


def test_files_of_claims_belong_to_chapters_and_share_no_id():
    folder = root() / "notebooks" / "claims"
    names = sorted(f.stem for f in folder.glob("*"))
    assert set(names) <= {s.stem for s in sources.chapters()}
    ids = [i for name in names for i in stated(name)]
    assert len(ids) == len(set(ids))
    for name in names:
        rows = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
        assert list(stated(name)) == list(rows)
