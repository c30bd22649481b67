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
from phasebook.site.results.ledger import Claim, Correction

__all__ = ["Chances", "chances"]

TAIL = 0.025
DECIDED = ("holds", "holds with correction", "fails")


class Chances(NamedTuple):
    """Attributes:
    intervals: claims that rest on an interval with two ends, their own or that of the correction with which they hold.
    decided: those among them that are not undecided.
    false: decided verdicts that chance alone may make false, at most, on average (`TAIL` an interval, or twice that).
    factor: by which an interval is stretched so that all hold together.
    lost: ids of the decided verdicts that are others by the stretched intervals.
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
    resting = [(c, behind) for c in claims if (behind := _behind(c))]
    decided = [(c, behind) for c, behind in resting if c.verdict in DECIDED]
    factor = float(norm.isf(TAIL / max(1, sum(len(behind) for _, behind in resting))) / norm.isf(TAIL))
    lost = tuple(c.id for c, _ in decided if _stretched(c, factor) != c.verdict)
    false = sum(_risk(c, one) for c, behind in decided for one in behind)
    return Chances(len(resting), len(decided), false, factor, lost)


def _behind(claim: Claim) -> list[Claim | Correction]:
    """Whose intervals a verdict rests on: of a statement, and of the correction with which it holds."""
    both = [claim, claim.correction] if claim.verdict == "holds with correction" else [claim]
    return [one for one in both if one.interval is not None and None not in one.interval]


def _risk(claim: Claim, one: Claim | Correction) -> float:
    """The largest probability with which chance alone makes this verdict false by one of its intervals."""
    holds = one is claim.correction or claim.verdict == "holds"
    return TAIL if holds or not np.isfinite(limits(one.bound)).all() else 2 * TAIL


def _stretched(claim: Claim, factor: float) -> str:
    """The verdict of a claim whose intervals are `factor` times as wide about their estimates."""
    corrected = None
    if claim.verdict == "holds with correction":
        corrected = verdict(claim.correction.estimate, _wider(claim.correction, factor), claim.correction.bound)
    return verdict(claim.estimate, _wider(claim, factor), claim.bound, corrected)


def _wider(one: Claim | Correction, factor: float) -> tuple[float | None, ...] | None:
    ends = one.interval or ()
    return tuple(end if end is None else one.estimate + factor * (end - one.estimate) for end in ends) or None
