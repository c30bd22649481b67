"""The claims ledger of a chapter: every statement, its measured number, its verdict.

A notebook fills a Ledger and emits it from its last cell as one JSON output; the runner checks that output
against `results.schema.json` and writes it as `NN_name.results.json`. A verdict is computed from the numbers
beside it (`claims.verdict`), so anyone can compute it again from the file.
"""

import math
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from IPython.display import display
from pydantic import BaseModel, ConfigDict, Field, model_validator

from phasebook.site.results.claims import Bound, Kind, Verdict, stated, verdict
from phasebook.site.results.tables import claims_table

if TYPE_CHECKING:       # SciPy's statistics take a second to load, in every kernel
    from phasebook.stats import Estimate

__all__ = ["Claim", "Correction", "Ledger", "Results", "schema", "slug", "versions"]

SCHEMA = Path(__file__).with_name("results.schema.json")
PACKAGES = ("phasebook", "numpy", "scipy", "torch", "diffusers", "plotly", "papermill", "jupyter-book")

Number = Annotated[float, Field(allow_inf_nan=False)]
Interval = tuple[Number | None, Number | None]      # an end that is None is unbounded


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Correction(_Record):
    """The repaired form of a statement that fails as printed, with its own numbers."""

    statement: str
    bound: Bound
    estimate: Number | None
    interval: Interval | None = None

    @property
    def verdict(self) -> Verdict:
        """By the rule, from estimate, interval and bound."""
        return verdict(self.estimate, self.interval, self.bound)


class Claim(_Record):
    """One statement in the positive, and what was measured.

    `estimate` is one finite number, or None where nothing was run; `interval` its 95 % interval, or None for a number
    without uncertainty. `verdict` follows from estimate, interval and bound by `claims.verdict`.
    """

    id: Annotated[str, Field(pattern=r"^[a-z]+(\.[a-z0-9_]+)+$")]
    kind: Kind
    reference: str
    statement: str
    estimate: Number | None
    interval: Interval | None
    bound: Bound
    verdict: Verdict
    note: str = ""
    correction: Correction | None = None

    @model_validator(mode="after")
    def _computed(self):
        right = verdict(self.estimate, self.interval, self.bound, self.correction and self.correction.verdict)
        if self.interval is not None and not _ordered(self.interval):
            raise ValueError(f"{self.id}: interval = {self.interval}: takes two ends, the lower one first")
        if self.verdict != right:
            raise ValueError(f"{self.id}: verdict {self.verdict!r} does not follow from its numbers ({right!r})")
        return self


class Value(_Record):
    """A raw number behind the claims: a finite number or a nested list of them (text labels and None allowed)."""

    value: Any
    unit: str


class Results(_Record):
    """What a chapter leaves behind: `NN_name.results.json`. The same sources and versions give the same bytes: times
    stand elsewhere (`times.json` of a build)."""

    chapter: str
    parameters: dict[str, Any]
    versions: dict[str, str]
    claims: list[Claim]
    numbers: dict[str, Value]


def schema() -> dict[str, Any]:
    """The JSON schema of a results file; `results.schema.json` holds the same, for readers and other languages."""
    return Results.model_json_schema()


class Ledger:
    """Collects a chapter's claims and numbers.

    What is claimed stands in the chapter's file of claims; the chapter gives the numbers.

    >>> ledger = Ledger("01_heat_and_transport", p)
    >>> ledger.claim("heat.order", slope)
    >>> ledger.number("grad_q_norm_torus", norm, "1")
    >>> ledger.emit()          # last cell, tagged `results`
    """

    def __init__(self, chapter: str, parameters: BaseModel):
        self.chapter = chapter
        self.parameters = parameters
        self.stated = stated(chapter)
        self.claims: dict[str, Claim] = {}
        self.numbers: dict[str, Value] = {}

    def claim(self, id: str, estimate: "float | Estimate | None", interval: Interval | None = None, *,
              note: str = "", corrected: "float | Estimate | None" = None, model: str = "exact",
              unless: str = "") -> None:
        """Record what was found on a claim of the chapter's file.

        Args:
            id: of the claim, as in the file.
            estimate: a number, an estimate with its interval, or None where nothing was run.
            interval: the interval of a plain number.
            note: a line for the table: how it was measured; where nothing was run, why.
            corrected: the number for the file's correction of the statement.
            model: for a claim on several models, which one; the id of any but the exact one ends with its name.
            unless: why the parameters leave nothing of what the statement says: it is not tested, and this is the note.

        Raises:
            ValueError: for an id that the file does not have, a repeated one, or a number that is not finite.
        """
        if id not in self.stated:
            raise ValueError(f"claim {id!r}: not in notebooks/claims/{self.chapter}.yaml")
        told = self.stated[id]
        if unless:
            estimate, corrected, note = None, None, unless
        name = id if model == "exact" else f"{id}.{slug(model)}"
        if name in self.claims:
            raise ValueError(f"claim {name!r} is recorded twice")
        numbers = dict(zip(("estimate", "interval"), _written(name, estimate, interval), strict=True))
        correction = None
        if told.correction:
            value, ends = _written(name, corrected, None)
            correction = Correction(statement=told.correction.statement, bound=told.correction.bound, estimate=value,
                                    interval=ends)
        word = verdict(**numbers, bound=told.bound, corrected=correction and correction.verdict)
        words = told.model_dump(exclude={"correction"})
        self.claims[name] = Claim(id=name, **numbers, **words, verdict=word, note=note, correction=correction)

    def number(self, name: str, value: Any, unit: str) -> None:
        """Record a raw value: a scalar or nested list (arrays and mappings are converted). Refuses NaN and Inf."""
        if name in self.numbers:
            raise ValueError(f"number {name!r} is recorded twice")
        self.numbers[name] = Value(value=_plain(name, value), unit=unit)

    def results(self) -> Results:
        """What was recorded so far."""
        return Results(
            chapter=self.chapter, parameters=self.parameters.model_dump(mode="json"), versions=versions(),
            claims=list(self.claims.values()), numbers=self.numbers,
        )

    def emit(self, table: bool = True) -> None:
        """Show the ledger: a table for the reader, then one JSON output for the runner (a page leaves it out).

        Args:
            table: whether the reader gets one here.

        Raises:
            ValueError: where a claim of the chapter's file was not recorded.
        """
        missing = [name for name in self.stated if not any(c == name or c.startswith(name + ".") for c in self.claims)]
        if missing:
            raise ValueError(f"claim {missing[0]!r}: in notebooks/claims/{self.chapter}.yaml, but nothing was recorded")
        results = self.results()
        if table:
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


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that do the work."""
    names = {"python": python_version()}
    for package in PACKAGES:
        try:
            names[package] = version(package)
        except PackageNotFoundError:
            names[package] = "not installed"
    return names


def _written(id: str, estimate: "float | Estimate | None",
           interval: Interval | None) -> tuple[float | None, Interval | None]:
    """A number and its interval as they are written: unbounded ends as None."""
    if estimate is None:
        return None, None
    if isinstance(estimate, tuple):
        estimate, interval = estimate.value, (estimate.low, estimate.high)
    if not math.isfinite(value := float(estimate)):
        raise ValueError(f"claim {id!r}: estimate = {value} is not finite")
    if interval is None:
        return value, None
    ends = tuple(None if end is None or math.isinf(end) else float(end) for end in interval)
    if not _ordered(ends):
        raise ValueError(f"claim {id!r}: interval = {tuple(interval)}: takes two ends, the lower one first")
    return value, ends


def _ordered(ends: Interval) -> bool:
    """Whether an interval's ends are in order; NaN is in none."""
    low, high = ends
    if low is None or high is None:
        return not any(end is not None and math.isnan(end) for end in ends)
    return low <= high


def slug(name: str) -> str:
    """A model's name as part of an id: the last part of a path or hub id, in letters, digits and underscores; `model`
    where it has none of them, in another alphabet say."""
    return re.sub(r"[^a-z0-9]+", "_", name.rstrip("/").rsplit("/", 1)[-1].lower()).strip("_") or "model"
