"""How chapter 7 enters its findings: the same statements for the exact and for the trained model."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from phasebook.site.chapters.ledger import Ledger

__all__ = ["record_findings", "record_round_trip"]


class Interval(Protocol):
    value: float | None
    low: float | None
    high: float | None


# name of the finding: id, reference, statement, bound (an interval that touches zero has not left it), which end of the
# interval must meet it, what is measured
STATEMENTS = {
    "monotone": ("threshold_monotone", "Sec. 3", "Whether an edit succeeds has one threshold in k.", ">= 0.95", "low",
                 "share of pairs"),
    "split": ("k_follows_split", "Sec. 3", "Editing success correlates with mode-splitting times: k* rises with the "
              "split step.", ">= 0.001", "low", "rank correlation"),
    "split_given_distance": ("split_beyond_distance", "Sec. 3", "At equal distance of the two pictures, k* still rises "
                             "with the split step.", ">= 0.001", "low", "partial rank correlation"),
    "distance": ("k_follows_distance", "Fig. 3", "k* falls with the distance of the two pictures.", "<= -0.001", "high",
                 "rank correlation"),
    "fine": ("fine_needs_fewer", "Fig. 3", "Fine edits (within a family) need fewer inverted steps than coarse ones "
             "(across families).", ">= 0.001", "low", "steps more for coarse edits"),
    "basin": ("same_basin_fewer", "Abstract", "At equal latent distance, images within one basin can be edited with "
              "fewer inversion steps than images across a boundary.", ">= 0.001", "low",
              "steps more across a boundary"),
    "basin_given_picture": ("same_basin_beyond_picture", "Abstract", "The same at equal distance of the two pictures "
                            "as well.", ">= 0.001", "low", "steps more across a boundary"),
}


def record_findings(ledger: Ledger, found: Mapping[str, Interval], prefix: str, model: str) -> None:
    """Enter each finding as the claim `prefix + id`. Where an interval decides, its unfavourable end is measured."""
    for name, (key, reference, statement, bound, end, what) in STATEMENTS.items():
        interval = found[name]
        decides = {"value": "", "low": "; the lower end is measured", "high": "; the upper end is measured"}[end]
        ledger.claim(prefix + key, reference, statement, bound, getattr(interval, end),
                     note=f"{model}; {what} {interval}{decides if interval.value is not None else ''}")


def record_round_trip(ledger: Ledger, key: str, error: Float[ndarray, "step p"] | None,
                      settled: Bool[ndarray, "step p"] | None, model: str) -> None:
    """Enter the largest round-trip error of the points whose inversion converged all the way; the note names the rest.
    """
    measured, note = None, model
    if error is not None and settled.any():
        measured = float(error[settled].max())
        lost = np.flatnonzero(~settled.all(1))
        note += (f"; {settled.mean():.0%} of {error.size} inversions converged" + (
            f"; from steps {', '.join(map(str, lost))} some did not, their largest error {error[~settled].max():.1e}"
            if len(lost) else ""))
    ledger.claim(key, "Sec. 3", "Inversion followed by sampling under the same prompt returns the source, from every "
                 "step from which the iteration converges.", "<= 1e-4", measured, note=note)
