"""Tables of the hierarchy: estimates with their intervals, areas under curves, places between twin and tree."""

from collections.abc import Mapping, Sequence

import numpy as np

from phasebook.hierarchy.calibration import Areas, Placed, least_areas, place, usable
from phasebook.site.figures.base import table
from phasebook.site.results.tables import told
from phasebook.stats import Estimate

__all__ = ["areas_table", "estimates_table", "places_table"]

HYPHEN = "\u2011"       # at which no line breaks


def estimates_table(rows: Mapping[str, Sequence[Estimate | None]], columns: Sequence[str], caption: str) -> str:
    """Estimates with their 95 % intervals, or with n where that is too small for one.

    Args:
        rows: by what is measured, an estimate for each column; None where there is nothing to measure.
        columns: of whom.
        caption: of the table.
    """
    return table(["", *columns], [[name, *map(told, estimates)] for name, estimates in rows.items()], caption)


def areas_table(areas: Mapping[str, Areas]) -> str:
    """The area under the curve of each statistic, by chain and kind of tree.

    Args:
        areas: from `calibration.separation`, by chain.
    """
    rows = [[chain, kind, *(f"{v.value:.2f}" for v in row.values())] for chain, kinds in areas.items()
            for kind, row in kinds.items()]
    return table(["distances", "tree", "triples", "cophenetic", "gap", "δ"], rows,
                 "Area under the ROC curve, known trees against their twins, through the whole chain: 1 for a sure "
                 "verdict, 0.5 for a coin")


def places_table(beside: Mapping[str, Sequence[Placed]], areas: Mapping[str, Areas], names: Sequence[str],
                 seed: int) -> str:
    """Where data lie between twin and tree.

    Args:
        beside: sets of each kind of data.
        areas: from `calibration.separation`, by kind of data.
        names: of the statistics.
        seed: of the draws behind the intervals.
    """
    rows = []
    for title, three in beside.items():
        for name in names:
            least = least_areas(areas[title])[name].value
            used = "" if name in usable(areas[title]) else " (not used)"
            ends = [_median([getattr(each, kind)[name] for each in three]) for kind in ("twin", "data", "tree")]
            resolved = _median([each.data["resolved"] for each in three])
            at = place(three, [name], seed)
            rows.append([title.replace("-", HYPHEN), name, f"{least:.2f}{used}", *ends, resolved, told(at)])
    counts = {title: len(three) for title, three in beside.items()}
    sizes = (f"{next(iter(counts.values()))} sets of each" if len(set(counts.values())) == 1 else
             "Sets: " + ", ".join(f"{title} {count}" for title, count in counts.items()))
    head = ["leaves of", "statistic", "least area", "twin", "data", "tree", "resolved", "place"]
    return table(head, rows, "Likeness to a tree, medians over sets, and the place of the data between twin (0) and "
                 "tree (1). Least area: under the ROC curve, for the kind of tree that is told worst from its twin. "
                 f"Resolved: the share of triples whose longest and shortest distance can be told apart. {sizes}")


def _median(values: Sequence[float]) -> str:
    return f"{np.median(values):.2f}".replace("-", "−") if len(values) else "–"
