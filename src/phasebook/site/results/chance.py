"""What chance alone does to many verdicts that are each read from a 95 % interval of their own.

A decided verdict is false if its interval lies on one side of the bound and the truth on the other. For a bound with
one end the interval misses the truth on a known side then, in at most 2.5 % of the cases. A bound with two ends can be
missed on either side: a false 'fails' of such a one has up to 5 %, a false 'holds' 2.5 %. Over n intervals these add up
(Bonferroni): with ends at the 1 - 0.025 / n quantile *all* decided verdicts are right together with probability 95 % or
more. An interval that is stretched from its estimate by the ratio of the two normal quantiles is such a one where the
estimate is nearly normal, and a measure of margin where it is not.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from phasebook.site.results.claims import limits, verdict
from phasebook.site.results.ledger import Claim

__all__ = ["Chances", "chances"]

TAIL = 0.025
DECIDED = ("holds", "holds with correction", "fails")


class Chances(NamedTuple):
    """Attributes:
    intervals: claims that rest on an interval with two ends.
    decided: those among them that are not undecided.
    false: decided verdicts that chance alone may make false, at most, on average (`TAIL` each, or twice that).
    factor: by which an interval is stretched so that all hold together.
    lost: ids of the decided verdicts that the stretched intervals leave undecided.
    """

    intervals: int
    decided: int
    false: float
    factor: float
    lost: tuple[str, ...]


def chances(claims: Iterable[Claim]) -> Chances:
    """How many of the verdicts rest on an interval, and how many of these would survive intervals that hold together.

    Args:
        claims: of one chapter or of many; those without an interval do not count.
    """
    resting = [c for c in claims if c.interval is not None and None not in c.interval]
    decided = [c for c in resting if c.verdict in DECIDED]
    factor = float(norm.isf(TAIL / max(1, len(resting))) / norm.isf(TAIL))
    lost = tuple(c.id for c in decided if _stretched(c, factor) == "undecided")
    return Chances(len(resting), len(decided), sum(map(_risk, decided)), factor, lost)


def _risk(claim: Claim) -> float:
    """The largest probability with which chance alone makes this verdict false."""
    two_ended = np.isfinite(limits(claim.bound)).all()
    return TAIL if claim.verdict == "holds" or not two_ended else 2 * TAIL


def _stretched(claim: Claim, factor: float) -> str:
    """The verdict of a claim whose interval is `factor` times as wide about its estimate."""
    ends = (claim.estimate + factor * (end - claim.estimate) for end in claim.interval)
    return verdict(claim.estimate, tuple(ends), claim.bound)
