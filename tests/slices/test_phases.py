"""Phases of a slice: watershed and true basins, boundaries, linking, nesting; films of the exact model."""

from types import SimpleNamespace

import numpy as np
import pytest
from phasebook.slices.film import film_of, nearby_pairs, pairs_between, starts_apart
from phasebook.slices.slices import Plane, seeded_anchors, slice_of

from phasebook.hierarchy.hierarchy import ridge_split
from phasebook.models.exact import ExactModel
from phasebook.sampling.samplers import levels
from phasebook.slices.phases import (
    areas,
    boundary_length,
    connected,
    depth_points,
    lineage,
    link,
    nesting,
    parents,
    persistence,
    phases_of,
    watershed_labels,
)

N = 60


def halves(n=N):
    return np.repeat([[0] * (n // 2) + [1] * (n // 2)], n, axis=0)


def quarters(n=N):
    return halves(n) + 2 * halves(n).T


def test_watershed_parts_valleys_at_their_ridges():
    x = np.linspace(0, 1, N)
    height = np.exp(-((x - 0.5) / 0.03) ** 2) * np.ones((N, 1))         # one ridge, along beta = 1/2
    labels = watershed_labels(height, 0.1)
    assert labels.max() == 1
    assert (labels[:, 0] == labels[0, 0]).all() and (labels[:, -1] == labels[0, -1]).all()
    assert abs(areas(labels)[0] - 0.5) < 0.03
    cross = np.maximum(height, height.T)
    assert watershed_labels(cross, 0.1).max() == 3
    assert watershed_labels(0.05 * cross, 0.1).max() == 0                # nothing that deep
    assert watershed_labels(np.ones((9, 9)), 0.1).max() == 0


def test_shallow_valleys_are_no_basins():
    x = np.linspace(0, 1, N)
    height = np.exp(-((x - 0.5) / 0.03) ** 2) + 0.05 * np.sin(40 * x)
    height = height * np.ones((N, 1))
    assert watershed_labels(height, 0.2).max() == 1
    assert watershed_labels(height, 0.02).max() > 3


def test_an_open_ridge_parts_what_a_cut_does_not():
    """A ridge with a gap: the pass in the gap is still a climb."""
    x = np.linspace(0, 1, N)
    open_ridge = np.exp(-((x - 0.5) / 0.05) ** 2) * (1 - 0.5 * np.exp(-((x - 0.5) / 0.05) ** 2))[:, None]
    assert watershed_labels(open_ridge, 0.3).max() == 1
    assert watershed_labels(open_ridge, 0.7).max() == 0


def test_connected_pieces_count_apart():
    stripes = np.repeat([[0, 0, 1, 1, 0, 0]], 4, axis=0)
    assert connected(stripes).max() == 2
    assert connected(np.eye(3, dtype=int)).max() == 4                   # corners do not connect


def test_lengths_and_areas():
    square = np.zeros((N, N), dtype=int)
    square[10:30, 10:50] = 1
    assert areas(square).tolist() == [1 - 800 / N**2, 800 / N**2]
    h = 1 / (N - 1)
    assert boundary_length(square, (h, h)) == pytest.approx(np.pi / 4 * 120 * h)
    y, x = np.mgrid[:401, :401] / 400 - 0.5
    disk = (x**2 + y**2 < 0.16).astype(int)                             # the right length on average over directions
    assert boundary_length(disk, (1 / 400, 1 / 400)) == pytest.approx(2 * np.pi * 0.4, rel=0.01)
    found = phases_of(np.stack([np.zeros((N, N), int), quarters()]), (h, h))
    assert found.count.tolist() == [1, 4] and found.length[0] == 0 and found.largest.tolist() == [1, 0.25]


def test_nesting_is_one_for_refinements_and_chance_for_strangers():
    assert nesting(halves(), quarters()).score == 1
    perfect = nesting(quarters(), quarters())
    assert perfect.score == 1 and perfect.beyond_chance == 1 and perfect.shuffled < 0.3
    across = nesting(halves(), halves().T)
    assert across.score == pytest.approx(0.5) and abs(across.beyond_chance) < 0.05
    shifted = np.roll(quarters(), 3, axis=1)
    assert 0.85 < nesting(halves(), shifted).score < 0.95
    assert nesting(np.zeros((N, N), int), quarters()).beyond_chance == 0        # one coarse phase says nothing


def test_links_and_lineage():
    table = link(halves(), quarters())
    assert table.shape == (2, 4) and table.sum() == N * N
    parent, share = parents(halves(), quarters())
    assert parent.tolist() == [0, 1, 0, 1] and (share == 1).all()
    ancestors = lineage(np.stack([np.zeros((N, N), int), halves(), quarters()]))
    split = ridge_split(ancestors)
    assert split[0, 1] == 1 and split[0, 2] == 2 and split[1, 2] == 1
    with pytest.raises(ValueError, match="one grid"):
        link(halves(), halves(20))


def test_persistence_of_ridges():
    moved = np.roll(halves(), 8, axis=1)
    stays = persistence(np.stack([halves(), quarters()]))
    assert stays.tolist() == [1, 1]
    gone = persistence(np.stack([moved, halves()]))
    assert gone[0] < 0.6 and gone[1] == 1
    assert persistence(np.zeros((2, 5, 5), int)).tolist() == [1, 1]


def test_deepest_points():
    points = depth_points(quarters(), 0.1, 3)
    assert points.shape == (3, 2) and len({int(quarters()[i, j]) for i, j in points}) == 3


@pytest.mark.parametrize("call, words", [
    (lambda: watershed_labels(np.full((4, 4), np.nan), 0.1), "NaN or Inf"),
    (lambda: watershed_labels(np.ones((4, 4)), 0.0), "depth = 0.0"),
])
def test_bad_inputs_are_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(2)
    family = np.arange(20) % 4
    pixels = 0.6 * rng.random((4, 8, 8, 3))[family] + 0.4 * rng.random((20, 8, 8, 3))
    return ExactModel.of(SimpleNamespace(pixels=pixels, family=family, names=tuple(map(str, range(20))),
                                         families=tuple("abcd")))


@pytest.fixture(scope="module")
def film(model):
    plane = Plane(seeded_anchors(model.shape, 1), grid=21)
    return film_of(model, plane, levels("scaled_linear", 12))


def test_a_film_agrees_with_the_slice(model, film):
    ds = slice_of(model, film.plane, levels("scaled_linear", 12), tangents=False)
    np.testing.assert_allclose(film.E + film.G, ds.tr_g.values, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(film.up, ds.jump_alpha.values, rtol=1e-3, atol=1e-5)
    assert (film.atom == ds.atom.values).mean() > 0.999
    film.surface(11)                                                    # a metric, to rounding


def test_phases_of_a_film(model, film):
    true = film.true()
    member = film.true(model.family)
    assert true.shape == film.E.shape and true[-1].max() >= member[-1].max()
    assert film.cut(0.05)[-1].max() >= 1 and film.watershed(0.05)[-1].max() >= 1
    assert film.watershed(1e3).max() == 0
    with pytest.raises(ValueError, match="no posterior"):
        film._replace(atom=None).true()


def test_distances_between_points(model, film):
    pairs = pairs_between(model, film.plane, levels("scaled_linear", 12), film.plane.alpha[[0, 1, 20]],
                          film.plane.beta[[4, 4, 4]])
    np.testing.assert_allclose(pairs.distances[:, 0, 1], film.up[:, 0, 4], rtol=1e-3, atol=1e-5)
    pixels = model.atoms.numpy()
    x0 = pairs.weights[-1] @ pixels
    np.testing.assert_allclose(pairs.distances[-1, 0, 2], np.linalg.norm(x0[0] - x0[2]) * model.unit, rtol=1e-3)


def test_nearby_pairs_are_neighbours_across_the_largest_jumps(film):
    pairs = nearby_pairs(film, 3, 0.2)
    steps = np.abs(pairs[:, 0] - pairs[:, 1])
    np.testing.assert_allclose(steps.max(1), film.plane.spacing[0], rtol=1e-9)
    assert (steps.min(1) == 0).all()
    assert np.abs(np.diff(pairs.mean(1)[:2], axis=0)).max() > 0.2


def test_starts_reach_different_pictures(model):
    found = starts_apart(model, levels("scaled_linear", 12), 30, 0, least=0.01)
    final = found.distances[-1] + np.eye(found.distances.shape[1])
    assert 2 <= len(final) <= 20 and final.min() > 0.01
