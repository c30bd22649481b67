"""Tables of the hierarchy: what is used, what is known, and no line that breaks in a number."""

import numpy as np

from phasebook.hierarchy.calibration import Placed
from phasebook.site.figures.hierarchy_tables import areas_table, estimates_table, places_table
from phasebook.stats import Estimate


def test_tables_say_what_is_used():
    low, high = (dict.fromkeys(("triples", "cophenetic", "gap", "delta"), Estimate(v, v, v, 24)) for v in (0.9, 0.99))
    assert areas_table({"splits": {"comb": low}}).count("<td>0.90</td>") == 4
    score = {"triples": 0.5, "cophenetic": 0.9, "resolved": 0.8}
    sets = [Placed(score, score | {"triples": 0.4}, score | {"triples": 0.6})] * 12
    areas = {"comb": low | {"triples": high["gap"]}, "ternary": high}
    html = places_table({"an-emoji": sets}, {"an-emoji": areas}, ["triples"], 0)
    assert "<td>0.5\u00a0[0.5,\u00a00.5]</td>" in html and "not used" not in html
    assert "an\u2011emoji" in html and "12 sets of each" in html and "Resolved: the share of triples" in html
    html = places_table({"noise 0.35": sets, "noise 0.5": sets[:9]}, dict.fromkeys(("noise 0.35", "noise 0.5"), areas),
                        ["triples"], 0)
    assert "Sets: noise 0.35 12, noise 0.5 9" in html and "of each" not in html
    html = places_table({"emoji": []}, {"emoji": {"comb": low}}, ["cophenetic"], 0)
    assert "not used" in html and html.count("<td>–</td>") == 5


def test_an_estimate_has_its_interval_or_n():
    row = [Estimate(1.834, -0.0421, 2.0, 16), Estimate(0.0034, -np.inf, np.inf, 3), None, Estimate(-1e-9, 0, 0, 12)]
    html = estimates_table({"q": row}, list("abcd"), "words").replace("\u00a0", " ")
    assert "<td>1.83 [−0.04, 2.00]</td><td>0.0034 (n = 3)</td><td>–</td><td>0 [0, 0]</td>" in html
