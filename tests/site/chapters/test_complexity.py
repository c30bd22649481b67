"""What chapters 5 and 6 refuse, in one line that names the parameter."""

import jupytext
import pytest

from phasebook.site.chapters import complexity, singular
from phasebook.site.checks.parameters import ParameterError
from phasebook.site.paths import root
from phasebook.site.results.claims import stated

NAMES = {"05_singular_sets": singular.Chapter, "06_complexity_and_drift": complexity.Chapter}


def defaults(name):
    cells = jupytext.read(root() / "notebooks" / f"{name}.py").cells
    (cell,) = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    values = {}
    exec(cell.source, {}, values)
    return values


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_accepted_and_every_claim_is_made(name):
    NAMES[name].read(defaults(name))
    text = (root() / "notebooks" / f"{name}.py").read_text(encoding="utf-8")
    assert [c for c in stated(name) if f'ledger.claim("{c}"' not in text] == []


@pytest.mark.parametrize("name, changes, words", [
    ("05_singular_sets", {"cantor_ratio": 0.5}, "cantor_ratio = 0.5"),
    ("05_singular_sets", {"cantor_ratio": 0.05, "generations": 12}, "generations = 12: .*at least 1e-12"),
    ("05_singular_sets", {"n_samples": 50}, "n_samples = 50"),
    ("05_singular_sets", {"half_necks": [1.2, 0.0]}, r"half_necks\[0\] = 1.2"),
    ("06_complexity_and_drift", {"tree_branches": 4, "tree_dimension": 2}, "tree_branches = 4: takes 2 to"),
    ("06_complexity_and_drift", {"tree_branches": 8, "tree_depth": 7}, "tree_depth = 7: .*at most 2048"),
    ("06_complexity_and_drift", {"line_weights": [0.5, 0.6, 0.1]}, "line_weights: sum 1.2"),
    ("06_complexity_and_drift", {"line_atoms": [0.0, 0.0, 1.0]}, r"line_atoms\[0\] and line_atoms\[1\]"),
    ("06_complexity_and_drift", {"atoms": [[0.0, 0.0]]}, "atom_weights: shape"),
])
def test_bad_values_are_one_line(name, changes, words):
    with pytest.raises(ParameterError, match=words) as caught:
        NAMES[name].read({**defaults(name), **changes})
    assert "\n" not in str(caught.value)
