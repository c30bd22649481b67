"""Many verdicts at once: how many chance may make false, and which would not survive."""

import numpy as np
import pytest

from phasebook.site.results.chance import chances
from phasebook.site.results.claims import verdict
from phasebook.site.results.ledger import Claim, Correction


def claim(name, estimate, interval, bound=">= 0"):
    return Claim(id=f"toy.{name}", kind="book", reference="toy", statement="A number is large.", bound=bound,
                 estimate=estimate, interval=interval, verdict=verdict(estimate, interval, bound))


def test_what_rests_on_no_interval_does_not_count():
    one = chances([claim("a", 1.0, None), claim("b", 1.0, (None, None)), claim("c", 1.0, (0.5, 2.0))])
    assert one.intervals == one.decided == 1 and one.factor == pytest.approx(1) and one.lost == ()
    assert chances([]).intervals == 0


def test_a_verdict_with_little_to_spare_is_named():
    claims = [claim("near", 1.0, (0.01, 2.0)), claim("far", 9.0, (8.0, 10.0)), claim("open", 0.0, (-1.0, 1.0))]
    one = chances(claims)
    assert (one.intervals, one.decided, one.lost) == (3, 2, ("toy.near",)) and one.false == pytest.approx(0.05)
    assert one.factor == pytest.approx(2.394 / 1.960, rel=1e-3)                # normal quantiles at 0.025/3 and 0.025


def test_a_bound_with_two_ends_can_be_failed_on_both():
    """A measured quantity within its narrow bound: 5 % of wide intervals miss it, on the one side or on the other."""
    fails = claim("out", 3.0, (2.0, 4.0), "0 +- 0.1")
    holds = claim("in", 0.0, (-0.01, 0.01), "0 +- 0.1")
    assert chances([fails]).false == pytest.approx(0.05) and chances([holds]).false == pytest.approx(0.025)
    z = np.random.default_rng(1).standard_normal(4000)
    false = [verdict(float(x), (float(x - 1.96), float(x + 1.96)), "0 +- 0.01") == "fails" for x in z]
    assert 0.04 < np.mean(false) < 0.06


def test_stretched_intervals_hold_all_together():
    """Fifty true values at the bound itself: some interval misses it in nine of ten books, a stretched one seldom."""
    rng, plain, kept = np.random.default_rng(0), 0, 0
    for _ in range(60):
        z = rng.standard_normal(50)
        one = chances([claim(f"c{k}", float(x), (float(x - 1.96), float(x + 1.96))) for k, x in enumerate(z)])
        plain += one.decided > 0
        kept += one.decided > len(one.lost)
    assert plain > 48 and kept <= 9


def test_a_correction_has_an_interval_of_its_own():
    """A statement fails by far and its correction holds by a hair, or the statement fails without any interval."""
    def corrected(name, estimate, interval, correction):
        return Claim(id=f"toy.{name}", kind="book", reference="toy", statement="A number is large.", bound=">= 0",
                     estimate=estimate, interval=interval, verdict="holds with correction",
                     correction=Correction(statement="Another is small.", bound="<= 1", **correction))

    near = corrected("near", -9.0, (-10.0, -8.0), {"estimate": 0.5, "interval": (0.1, 0.9)})
    far = corrected("far", -9.0, None, {"estimate": 0.5, "interval": (0.49, 0.51)})
    plain = corrected("plain", -9.0, (-10.0, -8.0), {"estimate": 0.5, "interval": None})
    one = chances([near, far, plain])
    assert (one.intervals, one.decided, one.lost) == (3, 3, ("toy.near",)) and one.false == pytest.approx(4 * 0.025)
    assert one.factor == pytest.approx(2.498 / 1.960, rel=1e-3)                # four intervals behind three verdicts
