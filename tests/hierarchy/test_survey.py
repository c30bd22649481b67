"""What chapter 6 measures on a slice, on slices whose answer is known."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from phasebook.slices.film import Film, check_pairs, film_of, film_seen, pairs_between
from phasebook.slices.slices import Plane, seeded_anchors

from phasebook.hierarchy.hierarchy import spread
from phasebook.hierarchy.survey import coarse_first, divergence, drops, geodesic_distances, straightness, survey
from phasebook.models.exact import ExactModel
from phasebook.models.gaussian import GaussianModel
from phasebook.sampling.samplers import levels
from phasebook.slices.geodesic import Surface


def film_with(up, right):
    """A film of given jumps, (step, a, b), its metric one-sided."""
    n = up.shape[2]
    zero = np.zeros((len(up), n, n))
    return Film(Plane(seeded_anchors((2, 4), 0), grid=n), zero, zero, zero, up, right)


def walls(first, second, steps=10, n=8, sizes=(1.0, 0.4)):
    """Two walls across beta: at column 2 of jump sizes[0] from step `first`, at column 5 of sizes[1] from `second`."""
    up, right = np.zeros((steps, n - 1, n)), np.zeros((steps, n, n - 1))
    right[first:, :, 2], right[second:, :, 5] = sizes
    return film_with(up, right)


def test_coarse_first_has_the_sign_of_the_order():
    assert coarse_first(walls(2, 6), 0.1) == pytest.approx(-1)
    assert coarse_first(walls(6, 2), 0.1) == pytest.approx(1)
    assert coarse_first(walls(4, 4), 0.1) == 0
    assert coarse_first(walls(2, 6), 2.0) is None


def test_pairs_diverge_when_walls_rise():
    film = walls(4, 6)
    found = divergence(film, film.cut(0.2), 0.2)
    assert found.before == 0 and found.control == 0 and found.pairs == 16
    drifting = film._replace(right=film.right + 0.05 * (film.right[-1] > 0))
    assert divergence(drifting, film.cut(0.2), 0.2).before == pytest.approx(np.median([0.05 / 1.05, 0.05 / 0.45]))
    assert divergence(film, np.zeros((10, 8, 8), int), 0.2) is None


def test_watershed_of_a_film_finds_the_walls():
    counts = [labels.max() + 1 for labels in walls(3, 7).watershed(0.3)]
    assert counts == [1] * 3 + [2] * 4 + [3] * 3


def test_drops_counts_falls():
    assert drops(np.array([1, 2, 2, 4])) == 0 and drops(np.array([3, 2, 2, 1])) == pytest.approx(2 / 3)


def test_straight_inside_a_flat_phase_and_bent_round_a_wall():
    n = 41
    one, labels = np.ones((n, n)), np.zeros((n, n), int)
    flat = straightness(Surface(one, 0 * one, one, (0.025,) * 2), labels, 20, 0)
    assert flat.inside.all() and np.abs(flat.excess).max() < 1e-9
    cost = one.copy()
    cost[:30, 19:22] = 400.0
    labels[:, 20:] = 1
    bent = straightness(Surface(cost, 0 * one, cost, (0.025,) * 2), labels, 30, 0)
    inside, across = bent.medians()
    assert inside < 0.05 < 0.1 < across


def test_geodesic_distances_need_five_phases():
    one = np.ones((12, 12))
    quarters = np.kron(np.arange(4).reshape(2, 2), np.ones((6, 6), int))
    ninths = np.kron(np.arange(9).reshape(3, 3), np.ones((4, 4), int))
    surface = Surface(one, 0 * one, one, (1.0, 1.0))
    assert geodesic_distances(surface, quarters, 20) is None
    d, points = geodesic_distances(surface, ninths, 20)
    np.testing.assert_allclose(d, np.linalg.norm(points[:, None] - points[None], axis=-1), rtol=1e-9)
    assert geodesic_distances(Surface(0 * one, 0 * one, 0 * one, (1.0, 1.0)), ninths, 20) is None
    _, spread_out = geodesic_distances(surface, None, 5)        # the middle and the corners
    assert sorted(map(tuple, spread_out[1:])) == [(0, 0), (0, 11), (11, 0), (11, 11)]


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(2)
    family = np.arange(40) % 5
    pixels = 0.7 * rng.random((5, 8, 8, 3))[family] + 0.3 * rng.random((40, 8, 8, 3))
    return ExactModel.of(SimpleNamespace(pixels=pixels, family=family, names=tuple(map(str, range(40))),
                                         families=tuple("abcde")))


def test_a_survey_of_the_exact_model_and_of_one_gaussian(model):
    L, plane = levels("scaled_linear", 15), Plane(seeded_anchors(model.shape, 1), (-1, 2, -1, 2), 25)
    edge = 0.2 * model.typical_distance()
    found = survey(film_of(model, plane, L), edge, partial(pairs_between, model, plane, L), leaves=10, draws=10, seed=0,
                   member=model.family)
    assert found.counts["watershed"][0] == 1 and found.counts["watershed"][-1] >= 5
    assert found.nesting.score > found.nesting.shuffled and found.pairs.before < 0.3
    assert found.geodesic and found.split and found.ridges.cophenetic.value > 0.9
    gaussian = GaussianModel.of(model)
    alone = survey(film_of(gaussian, plane, L), edge, partial(pairs_between, gaussian, plane, L), leaves=10, draws=10,
                   seed=0)
    assert alone.counts["watershed"].max() == 1 and alone.nesting is None and alone.ridges is None
    assert alone.inside is not None and alone.across is None and alone.pairs is None


def test_other_features_of_a_film_that_kept_its_predictions(model):
    L, plane = levels("scaled_linear", 6), Plane(seeded_anchors(model.shape, 1), grid=7)
    film = film_of(model, plane, L, keep=[2, 5])
    pixels = model.atoms.numpy() * model.unit
    seen = film_seen(film, lambda weights: weights @ pixels, batch=10)
    np.testing.assert_allclose(seen.E, film.E[[2, 5]], rtol=1e-3, atol=1e-6)
    with pytest.raises(ValueError, match="no predictions were kept"):
        film_seen(film._replace(weights=None), lambda weights: weights)


def test_spread_passes_over_what_is_missing():
    assert spread([None, None], 0).value is None and spread([None], 0).words == "nothing to measure"
    found = spread([1.0, None, 3.0, 2.0], 0)
    assert found.value == 2 and found.count == 3 and found.low <= 2 <= found.high


@pytest.mark.parametrize("pairs", [[[[0.1, 0.2], [0.1, 0.2]]], [[[0.1, 0.2], [1.5, 0.2]]], [[[0.1, 0.2]]]])
def test_bad_pairs_are_one_line(pairs):
    with pytest.raises(ValueError, match="pair_coordinates") as error:
        check_pairs(pairs, [0, 1, 0, 1])
    assert "\n" not in str(error.value)
