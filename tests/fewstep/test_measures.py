"""Measures against maps with known constants, leaks and transports."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.fewstep import measures
from phasebook.fewstep.layers import LAYERS
from phasebook.fewstep.measures import (
    Score,
    brenier_mismatch,
    cautious,
    constant_below,
    demanded,
    demanded_on_axis,
    sliced_distance,
    slope_below,
)
from phasebook.fewstep.targets import latents, named_target
from tests.builders import refuses

Z = torch.as_tensor(latents(256, 2, 0), dtype=torch.float32)


def test_the_constant_of_a_linear_map_is_its_norm():
    A = torch.tensor([[3.0, 1.0], [0.0, 0.5]])
    found = constant_below(lambda x: x @ A.T, Z, 2, rounds=2)
    assert found == pytest.approx(float(torch.linalg.matrix_norm(A, 2)), rel=1e-3)


def test_an_ascent_finds_a_narrow_ridge_and_stays_below_the_constant():
    """Steepest, 40, on a line that no starting point lies on."""
    def ridge(x):
        return torch.tanh(40 * (x - 0.7123))[..., :1]
    start = Z[(Z[:, 0] - 0.7123).abs() > 0.03]
    found = constant_below(ridge, start, 1)[0]
    assert 39 < found <= 40.01


def test_secants_are_taken_around_some_points_at_a_time(monkeypatch):
    """In 156 dimensions those around 256 points of twenty students are a billion numbers."""
    whole, asked = constant_below(lambda x: torch.sin(3 * x), Z, 3, rounds=2), []

    def watched(x):
        asked.append(x.numel())
        return torch.sin(3 * x)

    monkeypatch.setattr(measures, "AROUND", 600)
    np.testing.assert_allclose(constant_below(watched, Z, 3, rounds=2), whole, rtol=1e-5)
    assert max(asked) <= 600


def test_an_ascent_in_many_dimensions_meets_the_steepest_place_from_below():
    """`sum sin^2` of 500 coordinates: its slope is the norm of `sin 2 z`, at most sqrt(500), reached at odd pi / 4."""
    z = torch.pi / 4 + 0.1 * torch.randn(8, 500, generator=torch.Generator().manual_seed(0))
    start, end = (slope_below(lambda x: x.sin().square().sum(1), z, rounds=k) / 500**0.5 for k in (0, 8))
    assert start < 0.985 and 0.995 < end <= 1 + 1e-4


def test_a_linear_function_is_as_steep_as_its_gradient_in_any_shape():
    along = torch.arange(12.0).view(3, 2, 2)
    z = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    assert slope_below(lambda x: (x * along).flatten(1).sum(1), z) == pytest.approx(float(along.norm()), rel=1e-3)


def test_along_an_axis_no_more_is_asked_than_the_function_has():
    """A line of slope 2 is asked for nearly that; with a jump in it, which has no constant, for much more."""
    z = np.random.default_rng(0).standard_normal(20_000)
    assert 1.8 < demanded_on_axis(2 * z) <= 2.0
    assert demanded_on_axis(2 * z + 10 * (z > 0)) > 20
    assert demanded_on_axis(np.zeros(50)) == 0


def test_an_honest_generator_has_the_constant_that_it_is_asked_for():
    """Two disks by a ramp: what is demanded is at most the ramp's constant."""
    target, x = named_target("two_disks"), latents(4096, 2, 3)
    for constant in (3.0, 20.0):
        y = np.stack([np.clip(constant * x[:, 0], -1.5, 1.5), 0 * x[:, 1]], -1)
        asked = demanded(target, target.masses(y[None]), len(x))[0]
        assert 0.7 * constant < asked <= constant


def test_a_leak_that_was_not_counted_may_be_there():
    masses = cautious(np.array([[0.5, 0.5], [0.4, 0.4]]), 1000)
    assert 1 - masses[0].sum() == pytest.approx(1 - 0.001**(1 / 1000), rel=1e-6)
    assert 0.2 < 1 - masses[1].sum() < 0.25


def test_scores_of_the_teacher_itself():
    target = named_target("eight")
    x = target.mixture.means
    perfect = Score(target, np.stack([x, np.roll(x, 1, 0), 0 * x]), x)
    assert perfect.leak.tolist() == [0, 0, 1] and perfect.coverage.tolist() == [1, 1, 0]
    assert perfect.moved[:2].tolist() == [0, 1]
    assert perfect.distance[:2] == pytest.approx([0, 0])


def test_the_sliced_distance_of_a_shift():
    """The mean square of a projection of a unit shift is 1/2 in the plane."""
    x = np.random.default_rng(0).standard_normal((50, 2))
    assert sliced_distance((x + [2.0, 0.0])[None], x, directions=4000)[0] == pytest.approx(2 / 2**0.5, rel=0.03)


@pytest.mark.parametrize("call, words", [
    (lambda: demanded_on_axis(np.array([0.0, np.nan, 1.0])), "values: NaN or Inf at [1]"),      # nothing, it said
    (lambda: demanded_on_axis([]), "values: shape (0,)"), (lambda: demanded_on_axis(np.eye(9)), "values: shape (9, 9)"),
    (lambda: demanded_on_axis("ab"), "values = 'ab': takes a list of numbers"),
    (lambda: sliced_distance(np.zeros((1, 5, 2)), np.zeros((1, 2))), "x, y: shapes (1, 5, 2), (1, 2)"),
    (lambda: sliced_distance(np.zeros((5, 2)), np.zeros((5, 2))), "x, y: shapes (5, 2), (5, 2)"),
    (lambda: sliced_distance(np.zeros((1, 0, 2)), np.zeros((0, 2))), "x, y: shapes (1, 0, 2), (0, 2)"),
    (lambda: sliced_distance(np.zeros((1, 5, 2)), np.zeros((5, 2)), 0), "directions = 0: takes a whole number >= 1"),
    (lambda: cautious(np.array([0.5, 0.5]), 0), "count = 0"), (lambda: cautious(np.array([0.5]), 9, 2.0), "level = 2:"),
])
def test_what_cannot_be_measured_is_refused(call, words):
    refuses(call, words)


def test_a_list_of_values_is_a_sample():
    values = np.random.default_rng(0).standard_normal(500)
    assert demanded_on_axis(values.tolist()) == demanded_on_axis(values) > 0


@pytest.mark.parametrize("sign, least, most", [(1, 0.0, 0.005), (-1, 0.1, 1.0)])
def test_cells_of_a_convex_potential_are_the_transports(sign, least, most):
    """With the sign of the offsets' own scores flipped the pieces are no longer cells of their optimal transport."""
    many = latents(1 << 13, 2, 5)
    draw = torch.Generator().manual_seed(0)
    layer = LAYERS["potential_hard"](torch.zeros(1, 9, 2), torch.randn((1, 9, 2), generator=draw), 9, 1.0, draw)
    fresh = brenier_mismatch(layer, many)               # whose weights have gradients
    layer = layer.only(torch.tensor([0]))
    assert fresh == brenier_mismatch(layer, many)
    fake = SimpleNamespace(weights={"a": sign * layer.weights["a"]}, scores=layer.scores)
    assert least <= brenier_mismatch(fake, many)[0] <= most
