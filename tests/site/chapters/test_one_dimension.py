"""Parameters of the chapter on one dimension: what it takes, and one line for what it does not."""

import pytest

from phasebook.site.build import runner
from phasebook.site.checks.parameters import ParameterError

SOURCE = runner.find_chapter("07")


@pytest.mark.parametrize("change", [
    {"atoms": [0.0, 1e-9, 1.0]}, {"atoms": [3.0]}, {"schedule": "vp_cosine"}, {"images": None}, {"n_atoms": 400},
])
def test_odd_settings_are_taken(change):
    runner.check(SOURCE, change)


@pytest.mark.parametrize("change, words", [
    ({"interval": [1.0, 1.0]}, r"interval = \[1.0, 1.0\]: takes \[a, b\] with a < b"),
    ({"atoms": [0.0, 1e9]}, r"atoms\[1\] = 1000000000.0"),
    ({"threshold": 1.0}, "threshold = 1.0"),
    ({"schedule": "edm"}, "schedule = 'edm'"),
    ({"endpoints": [[0.3, 0.0], [0.3, 1.0]]}, "endpoints"),
])
def test_others_are_refused_in_one_line(change, words):
    with pytest.raises(ParameterError, match=words) as caught:
        runner.check(SOURCE, change)
    assert "\n" not in str(caught.value)
