"""Parameters of the chapter on chains of transports: what is refused, in one line, and the grids that it works on."""

import pytest

from phasebook import cli
from phasebook.site.build import runner, sources
from phasebook.site.chapters.chain import Chapter, circle_grid, torus_grid
from phasebook.site.checks.parameters import ParameterError
from phasebook.theory.heat.torus import TorusDensity

GOOD = sources.defaults(runner.find_chapter("3"))


def test_defaults_are_accepted():
    assert Chapter.read(GOOD).tau == 0.5


def test_grids_are_finer_where_the_density_needs_it():
    smooth, sharp = ([[1, 0.1, 0.0]], [[1, 0.6, 0.0], [5, 0.1, 0.3]])
    assert circle_grid(TorusDensity.from_rows(smooth, 1)) == (128, "")
    n, remark = circle_grid(TorusDensity.from_rows(sharp, 1))
    assert n > 128 and remark.startswith("WARNING: circle_grid")
    assert torus_grid(TorusDensity.from_rows(GOOD["torus_modes"]), 16)[0] > 16


@pytest.mark.parametrize(("change", "line"), [
    ({"circle_modes": [[1, 1.2, 0.0]]}, "circle_modes = .*falls to"), ({"tau": 5.0}, "tau = 5.0: .*<= 4"),
    ({"n_steps": [0]}, r"n_steps\[0\] = 0"), ({"n_steps": []}, "n_steps"),
    ({"torus_modes": [[1, 0, 0.9999, 0.0]]}, "torus_modes: no grid up to 192"),
    ({"circle_modes": [[1, 0.99999, 0.0]]}, "circle_modes: no grid up to 1024"),
    ({"circle_modes": [[k, 1e-3, 0.0] for k in range(1, 66)]}, "circle_modes.*64"),
])
def test_bad_values_give_one_line(change, line):
    with pytest.raises(ParameterError, match=line) as error:
        Chapter.read({**GOOD, **change})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("modes", "line"), [
    ("[[1, 1.2, 0.0]]", "circle_modes = [[1.0, 1.2, 0.0]]"), ("[[1, 0.99999, 0.0], [2]]", "circle_modes"),
    ("[[1.5, 0.1, 0.0], [2, 0.1, 1e300]]", "circle_modes"),
])
def test_the_door_says_the_line_alone(tmp_path, capsys, modes, line):
    assert cli.main(["run", "3", "--profile", "smoke", "-p", "circle_modes", modes, "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"phasebook: {line}") and said.count("\n") == 1 and not (tmp_path / "out").exists()
