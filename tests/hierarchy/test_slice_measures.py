"""Over slices of an exact model of families, and of the Gaussian of the same pictures, which has one phase."""

from types import SimpleNamespace

import numpy as np
import pytest

from phasebook.hierarchy.boundaries import coarse_first
from phasebook.hierarchy.slice_measures import beyond, boundaries, straight
from phasebook.hierarchy.straightness import Straightness
from phasebook.models.exact import ExactModel
from phasebook.models.gaussian import GaussianModel
from phasebook.slices.plane import Plane
from phasebook.slices.sweep import slice_of


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(2)
    family = np.arange(40) % 5
    pixels = 0.7 * rng.random((5, 8, 8, 3))[family] + 0.3 * rng.random((40, 8, 8, 3))
    return ExactModel.of(SimpleNamespace(pixels=pixels, family=family, names=tuple(map(str, range(40))),
                                         families=tuple("abcde")))


def slices(model, count):
    return [slice_of(model, Plane.random(model.shape, k, extent=(-1, 2, -1, 2), grid=25), model.levels(15))
            for k in range(count)]


def test_families_come_first_and_fine_phases_nest(model):
    own = slices(model, 3)
    b = boundaries(own, 0.2 * own[0].yardstick())
    assert (b.counts[:, 0] == 1).all() and b.counts[:, -1].min() >= 5
    assert b.nested.value > b.shuffled.value + 0.2 and b.beyond.value > 0.1
    assert b.before.value < 0.3 and b.coarse.value > 0
    assert b.nested.low == -np.inf                          # three slices: no interval
    assert b.each["coarse"][1] in [coarse_first(s, 0.2 * own[0].yardstick()) for s in own]
    lower = b._replace(each={"coarse": [v - 0.25 for v in b.each["coarse"]]})
    assert beyond(b, lower, "coarse").value == pytest.approx(0.25)
    lines = straight(own, 0.2 * own[0].yardstick(), 8)
    single = [straight([s], 0.2 * own[0].yardstick(), 8, k) for k, s in enumerate(own)]
    shares = [one.inside.value / one.across.value for one in single if one.inside and one.across]
    assert lines.share.value == pytest.approx(np.median(shares)) and lines.across.value > lines.inside.value


def test_one_gaussian_has_one_phase_and_straight_lines(model):
    own = slices(GaussianModel.of(model), 2)
    edge = 0.2 * own[0].yardstick()
    b = boundaries(own, edge)
    assert b.counts.max() == 1 and b.nested is None and b.lost is None
    inside, across, share = straight(own, edge, 8)
    assert inside.value < 0.05 and across is None and share is None


@pytest.mark.parametrize("inside, across, share", [(1.0, 10.0, 0.1), (1.0, 0.5, 1.0), (1.0, 0.0, 1.0), (0.0, 0.0, 1.0),
                                                   (0.0, 2.0, 0.0)])
def test_a_boundary_that_bends_nothing_is_no_evidence(model, monkeypatch, inside, across, share):
    """Lines that are as straight across a boundary as inside a phase say the opposite, and stay in."""
    pairs = Straightness(np.array([True, False]), np.array([inside, across]), np.zeros((2, 2, 2)))
    monkeypatch.setattr("phasebook.hierarchy.slice_measures.straightness", lambda *_: pairs)
    assert straight(slices(model, 2), 1.0, 8).share.value == pytest.approx(share)
