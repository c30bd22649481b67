"""What a chapter claims, fixed before it runs: `notebooks/claims/NN_name.yaml`, and the one rule for verdicts.

A file maps the id of each claim to its `kind`, `reference`, `statement` and `bound`, and where a statement of the paper
is repaired, to a `correction` with `statement` and `bound`. A bound is text:

    ">= 0.9"        at least
    "<= 1e-5"       at most
    "2 +- 0.01"     within a tolerance of a value

Rule. Let the estimate have the interval [low, high] (both ends the estimate itself where it has no uncertainty).
The claim `holds` if the whole interval satisfies the bound, `fails` if no point of it does, and is `undecided` if it
lies on both sides. Without an estimate it is `not tested here`. A claim that fails, but whose correction holds by the
same rule, `holds with correction`.
"""

import math
import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from phasebook.site import strict_yaml
from phasebook.site.paths import root

__all__ = ["Bound", "Kind", "Stated", "Verdict", "stated", "verdict"]

Kind = Literal["paper", "reading", "book", "check"]
Verdict = Literal["holds", "holds with correction", "fails", "undecided", "not tested here"]

SIZE = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
FORMS = re.compile(rf"(?P<sign><=|>=) (?P<limit>-?{SIZE})|(?P<value>-?{SIZE}) \+- (?P<tolerance>{SIZE})")


def _bound(text: str) -> str:
    parts = FORMS.fullmatch(text)
    if not parts or any(math.isinf(float(parts[name] or 0)) for name in ("limit", "value", "tolerance")):
        raise ValueError(f"bound = {text!r}: takes '<= x', '>= x' or 'x +- tolerance'")
    return text


Bound = Annotated[str, AfterValidator(_bound)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StatedCorrection(_Record):
    """The repaired form of a statement that fails as printed."""

    statement: str
    bound: Bound


class Stated(_Record):
    """A claim before its run. `kind`: `paper`, a sentence of the paper; `reading`, a precise form that we give to a
    sentence of the paper; `book`, a claim of ours; `check`, a solver against an oracle."""

    kind: Kind
    reference: str
    statement: Annotated[str, Field(min_length=10)]
    bound: Bound
    correction: StatedCorrection | None = None


def stated(chapter: str) -> dict[str, Stated]:
    """The claims of a chapter by id, in the order of its file; none where it has no file. ValueError for a bad file."""
    file = root() / "notebooks" / "claims" / f"{chapter}.yaml"
    if not file.is_file():
        return {}
    try:
        rows = strict_yaml.read(file)
        return {name: Stated.model_validate(row) for name, row in rows.items()}
    except (ValueError, AttributeError) as error:
        raise ValueError(f"notebooks/claims/{chapter}.yaml: {' '.join(str(error).split())}") from None


def limits(bound: str) -> tuple[float, float]:
    """The ends of the set of numbers that satisfy a bound."""
    parts = FORMS.fullmatch(bound)
    if parts["sign"] == "<=":
        return float("-inf"), float(parts["limit"])
    if parts["sign"] == ">=":
        return float(parts["limit"]), float("inf")
    value, tolerance = Decimal(parts["value"]), Decimal(parts["tolerance"])     # of 0.8 +- 0.1 floats leave out 0.7
    return float(value - tolerance), float(value + tolerance)


def verdict(estimate: float | None, interval: tuple[float | None, float | None] | None, bound: str,
            corrected: Verdict | None = None) -> Verdict:
    """The verdict by the one rule.

    Args:
        estimate: the number found, or None where nothing was run or could be measured.
        interval: its ends, None for an end that is unbounded; None for an estimate without uncertainty.
        bound: as text, see the head of this module.
        corrected: the verdict on the statement's correction, where it has one.
    """
    if estimate is None:
        return "not tested here"
    low, high = (estimate, estimate) if interval is None else interval
    low = float("-inf") if low is None else low
    high = float("inf") if high is None else high
    least, most = limits(bound)
    if least <= low and high <= most:
        return "holds"
    if high >= least and low <= most:
        return "undecided"
    return "holds with correction" if corrected == "holds" else "fails"
