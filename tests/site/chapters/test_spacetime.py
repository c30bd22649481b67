"""Parameters of the chapter on spacetime: what it takes, and one line for what it does not."""

import pytest

from phasebook.site.build import runner
from phasebook.site.checks.parameters import ParameterError

SOURCE = runner.find_chapter("08")


@pytest.mark.parametrize("change", [
    {"schedule": "vp_cosine", "endpoints": [[0.02, -2.5], [0.97, 3.0]]}, {"images": None}, {"slice_time": 0.0},
    {"mixture_means": [-8.0, 0.0, 8.0], "optimiser": "adam"}, {"mixture_stds": [0.0, 0.0, 0.0]},
])
def test_odd_settings_are_taken(change):
    runner.check(SOURCE, change)


@pytest.mark.parametrize("change, words", [
    ({"endpoints": [[0.3, 0.0], [1.3, 1.0]]}, "endpoints: t = 1.3 is outside the schedule"),
    ({"schedule": "vp_linear", "endpoints": [[0.0, 0.0], [0.3, 1.0]]}, "endpoints: t = 0 has log-SNR inf"),
    ({"mixture_weights": [0.5, 0.5, 0.5]}, "mixture_weights = .*sum to 1"),
    ({"nodes": 31, "points": 32}, "nodes = 31: takes at most points - 2 = 30"),
    ({"dimensions": [65]}, r"dimensions\[0\] = 65"),
    ({"heights": [1.0]}, r"heights\[0\] = 1.0"),
    ({"noise": [0.0]}, r"noise\[0\] = 0.0"),
    ({"slice_time": 1.0}, "slice_time = 1.0"),
])
def test_others_are_refused_in_one_line(change, words):
    with pytest.raises(ParameterError, match=words) as caught:
        runner.check(SOURCE, change)
    assert "\n" not in str(caught.value)
