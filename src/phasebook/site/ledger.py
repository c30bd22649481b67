"""The claims ledger of a chapter: every statement, its measured number, its verdict.

A notebook fills a Ledger and emits it from its last cell as one JSON output; the runner checks that output
against `results.schema.json` and writes it as `NN_name.results.json`. A verdict is computed from the numbers
beside it (`verdict`), so anyone can compute it again from the file.
"""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Annotated, Any, Literal

import numpy as np
from IPython.display import display
from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Claim", "Correction", "Ledger", "Results", "claims_table", "schema", "verdict"]

SCHEMA = Path(__file__).with_name("results.schema.json")
PACKAGES = ("phasebook", "numpy", "scipy", "torch", "diffusers", "plotly", "papermill", "jupyter-book")

Verdict = Literal["holds", "holds with correction", "fails", "not tested here"]
Number = Annotated[float, Field(allow_inf_nan=False)]
# a value to be met within the tolerance, or a bound such as "<= 0.05"
Expected = Number | Annotated[str, Field(pattern=r"^(<=|>=) -?\d+(\.\d+)?(e[+-]?\d+)?$")] | None


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Correction(_Record):
    """The repaired form of a statement that fails as printed, with its own numbers."""

    statement: str
    expected: Expected
    measured: Number | None
    tolerance: Annotated[float, Field(ge=0)] = 0.0


class Claim(_Record):
    """One statement of the paper in the positive, and what was measured.

    `expected` is a number, met when |measured - expected| <= tolerance, or a bound '<= x' / '>= x',
    met up to the tolerance. `measured` is one finite number, or None where nothing was run.
    """

    id: Annotated[str, Field(pattern=r"^[a-z]+(\.[a-z0-9_]+)+$")]
    reference: str
    statement: str
    expected: Expected
    measured: Number | None
    tolerance: Annotated[float, Field(ge=0)]
    verdict: Verdict
    note: str = ""
    correction: Correction | None = None

    @model_validator(mode="after")
    def _computed(self):
        right = verdict(self.expected, self.measured, self.tolerance, self.correction)
        if self.verdict != right:
            raise ValueError(f"{self.id}: verdict {self.verdict!r} does not follow from its numbers ({right!r})")
        return self


class Value(_Record):
    """A raw number behind the claims: a finite number or a nested list of them (text labels and None allowed)."""

    value: Any
    unit: str


class Results(_Record):
    """What a chapter leaves behind: `NN_name.results.json`."""

    chapter: str
    parameters: dict[str, Any]
    versions: dict[str, str]
    seconds: Number
    finished: str
    claims: list[Claim]
    numbers: dict[str, Value]


def schema() -> dict[str, Any]:
    """The JSON schema of a results file; `results.schema.json` holds the same, for readers and other languages."""
    return Results.model_json_schema()


def _met(expected: float | str, measured: float, tolerance: float) -> bool:
    if isinstance(expected, str):
        sign, bound = expected.split()
        slack = measured - float(bound) if sign == ">=" else float(bound) - measured
        return slack >= -tolerance
    return abs(measured - expected) <= tolerance


def verdict(expected: float | str | None, measured: float | None, tolerance: float,
            correction: Correction | None = None) -> Verdict:
    """The verdict that follows from the numbers.

    'not tested here' without a measurement; 'holds' when the expectation is met; otherwise 'holds with
    correction' when a correction is given and met, else 'fails'.
    """
    if measured is None or expected is None:
        return "not tested here"
    if _met(expected, measured, tolerance):
        return "holds"
    repaired = correction is not None and correction.measured is not None
    if repaired and _met(correction.expected, correction.measured, correction.tolerance):
        return "holds with correction"
    return "fails"


class Ledger:
    """Collects a chapter's claims and numbers.

    >>> ledger = Ledger("01_heat_and_transport", p)
    >>> ledger.claim("heat.order", "Eq. (13)", "The map error is second order in eps.", 2.0, slope, 0.002)
    >>> ledger.number("grad_q_norm_torus", norm, "1")
    >>> ledger.emit()          # last cell, tagged `results`
    """

    def __init__(self, chapter: str, parameters: BaseModel):
        self.chapter = chapter
        self.parameters = parameters
        self.claims: dict[str, Claim] = {}
        self.numbers: dict[str, Value] = {}
        self._start = time.perf_counter()

    def claim(self, id: str, reference: str, statement: str, expected: float | str | None,
              measured: float | None, tolerance: float = 0.0, *, note: str = "",
              correction: Correction | None = None) -> None:
        """Record a claim; its verdict is computed here. ValueError for a repeated id or a number not finite."""
        if id in self.claims:
            raise ValueError(f"claim {id!r} is recorded twice")
        if measured is not None:
            measured = float(measured)
            if not math.isfinite(measured):
                raise ValueError(f"claim {id!r}: measured = {measured} is not finite")
        if isinstance(expected, int | np.number):
            expected = float(expected)
        self.claims[id] = Claim(
            id=id, reference=reference, statement=statement, expected=expected, measured=measured,
            tolerance=float(tolerance), verdict=verdict(expected, measured, tolerance, correction), note=note,
            correction=correction,
        )

    def number(self, name: str, value: Any, unit: str) -> None:
        """Record a raw value: a scalar or nested list (arrays and mappings are converted). Refuses NaN and Inf."""
        if name in self.numbers:
            raise ValueError(f"number {name!r} is recorded twice")
        self.numbers[name] = Value(value=_plain(name, value), unit=unit)

    def results(self) -> Results:
        return Results(
            chapter=self.chapter, parameters=self.parameters.model_dump(mode="json"), versions=_versions(),
            seconds=round(time.perf_counter() - self._start, 3),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            claims=list(self.claims.values()), numbers=self.numbers,
        )

    def emit(self) -> None:
        """Show the ledger: a table for the reader, then one JSON output for the runner (a page leaves it out)."""
        results = self.results()
        display({"text/html": claims_table(results.claims)}, raw=True)
        display({"application/json": results.model_dump(mode="json")}, raw=True)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(name, v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(name, v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"number {name!r} holds {value}: only finite numbers are recorded")
    if value is not None and not isinstance(value, bool | int | float | str):
        raise ValueError(f"number {name!r} holds a {type(value).__name__}: numbers, text and lists are recorded")
    return value


def _versions() -> dict[str, str]:
    found = {"python": python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def shown(value: float | str | None) -> str:
    """A number to four significant digits, a bound as it stands."""
    if value is None:
        return "–"
    return value.replace("<=", "≤").replace(">=", "≥") if isinstance(value, str) else f"{value:.4g}"


def _within(c: Claim | Correction) -> str:
    return shown(c.expected) + (f" ± {c.tolerance:.2g}" if c.tolerance and c.measured is not None else "")


def claims_table(claims: list[Claim], caption: str = "") -> str:
    """The claims as an HTML table, one row a claim, the correction below its statement."""
    rows = []
    for c in claims:
        expected = _within(c)
        words, measured = escape(c.statement), shown(c.measured)
        if c.correction:
            k = c.correction
            words += f'<div class="pb-correction">Corrected: {escape(k.statement)}</div>'
            expected += f'<div class="pb-correction">{_within(k)}</div>'
            measured += f'<div class="pb-correction">{shown(k.measured)}</div>'
        if c.note:
            words += f'<div class="pb-note">{escape(c.note)}</div>'
        kind = c.verdict.replace(" ", "-")
        rows.append(
            f'<tr id="{c.id}" role="row">'
            f'<td role="rowheader"><code>{c.id}</code><div class="pb-note">{escape(c.reference)}</div></td>'
            f'<td role="cell">{words}</td><td role="cell">{expected}</td><td role="cell">{measured}</td>'
            f'<td role="cell"><span class="pb-verdict pb-{kind}">{c.verdict}</span></td></tr>'
        )
    names = ("claim", "statement", "expected", "measured", "verdict")
    head = "".join(f'<th role="columnheader">{h}</th>' for h in names)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    # the roles are written out because the page lays rows out as cards, which costs them their meaning as a table
    return (f'<div class="pb-scroll"><table class="pb-claims" role="table">{title}'
            f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
            f'<tbody role="rowgroup">{"".join(rows)}</tbody></table></div>')
