"""Parameters of the chapter on heat flow and transport: what is refused, in one line."""

import pytest

from phasebook.site.build import runner, sources
from phasebook.site.chapters.heat import Chapter
from phasebook.site.checks import memory
from phasebook.site.checks.parameters import ParameterError

GOOD = sources.defaults(runner.find_chapter("1"))


def test_defaults_are_accepted():
    assert Chapter.read(GOOD).torus_grid == 64


@pytest.mark.parametrize(("change", "line"), [
    ({"mixture_weights": [0.4, 0.5]}, "mixture_weights = .*sum to 1"),
    ({"torus_modes": [[1, 0, 1.2, 0.0]]}, "torus_modes = .*falls to"),
    ({"torus_modes": [[1, 0, 0.9999, 0.0]]}, "torus_modes: no grid up to 384"),
    ({"torus_modes": [[40, 0, 0.1, 0.0]]}, "aliases on a grid of 64"),
    ({"epsilons": []}, "epsilons"), ({"epsilons": [2.0]}, r"epsilons\[0\] = 2.0"),
    ({"gaussian_variance": 0.0}, "gaussian_variance = 0.0"),
    ({"torus_modes": [[1, k, 1e-3, 0.0] for k in range(65)]}, "torus_modes.*64"),
    ({"kink_rates": [1.0, 1.0]}, "kink_rates = .*unknown parameter"),
])
def test_bad_values_give_one_line(change, line):
    with pytest.raises(ParameterError, match=line) as error:
        Chapter.read({**GOOD, **change})
    assert "\n" not in str(error.value)


def test_a_density_that_does_not_fit_into_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1e9)
    with pytest.raises(ParameterError, match="torus_modes, torus_grid = 4 modes, 64 .refined up to 384.: about"):
        Chapter.read(GOOD)
