"""Parameters of the chapter on the proof and on corners: what is refused, in one line."""

import pytest

from phasebook.site.build import runner, sources
from phasebook.site.chapters.corners import Chapter
from phasebook.site.checks.parameters import ParameterError

GOOD = sources.defaults(runner.find_chapter("02_proof_and_corners"))


def test_defaults_are_accepted():
    assert Chapter.read(GOOD).kink_rates == [1.0, 1.0]


def test_a_parameter_of_the_chapter_before_is_unknown():
    with pytest.raises(ParameterError, match="gaussian_variance = 2.0: unknown parameter"):
        Chapter.read({**GOOD, "gaussian_variance": 2.0})


@pytest.mark.parametrize(("change", "line"), [
    ({"kink_rates": [1.0]}, "kink_rates = .*length 2"), ({"kink_rates": [1.0, 0.0]}, r"kink_rates\[1\] = 0.0"),
    ({"jump_left_mass": 1.0}, "jump_left_mass = 1.0: .*< 1"), ({"split_stds": [1.0, 2e3]}, r"split_stds\[1\]"),
    ({"torus_modes": [[1, 0, 1.2, 0.0]]}, "torus_modes = .*falls to"),
])
def test_bad_values_give_one_line(change, line):
    with pytest.raises(ParameterError, match=line) as error:
        Chapter.read({**GOOD, **change})
    assert "\n" not in str(error.value)
