"""Parameters of the chapter on chains in the plane: what is refused, in one line."""

import pytest

from phasebook.site.build import sources
from phasebook.site.chapters.plane_chain import Chapter
from phasebook.site.checks.parameters import ParameterError

GOOD = sources.defaults(next(s for s in sources.chapters() if s.stem.endswith("plane_chain")))


def test_defaults_are_accepted():
    assert Chapter.read(GOOD).sigma_start == 6.0


@pytest.mark.parametrize(("change", "line"), [
    ({"sigma_end": 7.0}, "sigma_end = 7: takes a level below sigma_start = 6"), ({"links": [0]}, r"links\[0\] = 0"),
    ({"atom_weights": [0.5, 0.5]}, "atom_weights: shape"), ({"grid": 2.0}, "grid = 2.0: .*>= 4"),
    ({"atoms": [[-500.0, 0.0], [500.0, 0.0]], "atom_weights": [0.5, 0.5]},
     r"atoms: they spread over 1000; takes at most 20 sigma_start = 120"),
    ({"sigma_start": 0.25, "atoms": [[0.0, 0.0], [0.0, 6.0]], "atom_weights": [0.5, 0.5]}, "atoms: they spread over 6"),
    ({"atoms": [[0.0, 0.0], [0.0, 0.0]], "atom_weights": [0.5, 0.5]}, "coincide"),
])
def test_bad_values_give_one_line(change, line):
    with pytest.raises(ParameterError, match=line) as error:
        Chapter.read({**GOOD, **change})
    assert "\n" not in str(error.value)
