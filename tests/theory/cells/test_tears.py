"""Tears against closed forms; the stretch tells jumps from smooth maps; rays are dual to missing edges of the hull."""

import numpy as np
import pytest
from scipy.stats import norm

from phasebook.stats import slope_interval
from phasebook.theory.cells import targets
from phasebook.theory.cells.power_cells import solve
from phasebook.theory.cells.sources import SOURCES
from phasebook.theory.cells.tears import missing_edges, resolved, tears, transport_onto

BOTH = pytest.mark.parametrize("source", ["gaussian", "disk"])


def test_bad_mass_is_one_clear_line():
    with pytest.raises(ValueError, match="left_mass = 1: takes"):
        transport_onto(targets.two_disks(5.0), 100, "disk", left_mass=1)


def test_two_disks_meet_both_oracles():
    assert transport_onto(targets.two_disks(5.0), 4000, "disk").tears.length == pytest.approx(2, abs=1e-4)
    assert transport_onto(targets.two_disks(5.0), 4000, "gaussian").tears.length == pytest.approx(norm.pdf(0), abs=1e-4)


@pytest.mark.parametrize("p", [0.3, 0.05, 1e-12, 1 - 1e-12])
def test_unequal_disks_meet_gaussian_isoperimetry(p):
    length = transport_onto(targets.two_disks(5.0), 1000, "gaussian", left_mass=p).tears.length
    assert length == pytest.approx(norm.pdf(norm.ppf(p)), abs=1e-4)


def test_random_samples_of_two_disks_need_no_symmetry():
    rng = np.random.default_rng(2)
    y = SOURCES["disk"].sample(1000, rng) + np.where(np.arange(1000) % 2, 5.0, -5.0)[:, None] * [1, 0]
    torn = tears(solve(y, None, "disk"), targets.two_disks(5.0), np.sqrt(2 * np.pi / 1000))
    assert torn.length == pytest.approx(2, abs=2e-3)


@BOTH
@pytest.mark.parametrize("domain", [targets.ellipse(), targets.ellipse(2.0, 0.7), targets.square(),
                                    targets.dumbbell(1.0), targets.cassini(1.5)])
def test_convex_targets_have_no_tear(domain, source):
    assert transport_onto(domain, 700, source).tears.jump == 0.0


def test_potential_has_a_kink_along_a_tear():
    """The second difference across a tear is the jump: phi is not differentiable there."""
    done = transport_onto(targets.two_disks(5.0), 1000, "disk")
    middle = done.tears.walls.ends(1.0).mean(axis=1)
    normal = 0.02 * np.stack([done.tears.walls.direction[:, 1], -done.tears.walls.direction[:, 0]], axis=1)
    phi = done.cells.potential
    bend = phi(middle + normal) + phi(middle - normal) - 2 * phi(middle)
    long = done.tears.lengths > 0.01
    assert (bend / (0.02 * done.tears.jumps))[long] == pytest.approx(1, abs=0.05)


def test_jump_grows_as_the_neck_closes():
    jumps = [transport_onto(targets.dumbbell(w), 1500, "disk").tears.jump for w in (1.0, 0.8, 0.6, 0.4, 0.2, 0.05)]
    assert jumps[:2] == [0.0, 0.0]
    assert (np.diff(jumps[1:]) > 0.05).all()


def test_cassini_ovals_split_between_regular_and_torn():
    assert transport_onto(targets.cassini(1.2), 1500, "disk").tears.jump == 0.0
    assert transport_onto(targets.cassini(1.03), 1500, "disk").tears.jump > 0.05


@pytest.mark.parametrize("domain, exponent", [
    (targets.ellipse(2.0, 1.0), 0), (targets.cassini(1.25), 0), (targets.two_disks(3.0), 1), (targets.ell(), 1),
    (targets.annulus(0.5), 1), (targets.annulus(0.4, 0.3), 1)])
def test_stretch_grows_where_the_map_jumps_and_only_there(domain, exponent):
    runs = [transport_onto(domain, n, "disk") for n in (250, 500, 1000, 2000)]
    found = slope_interval([1 / run.spacing for run in runs], [run.stretch for run in runs])
    assert found.value == pytest.approx(exponent, abs=0.3)


def test_the_jump_integral_is_blind_to_a_point():
    """The annulus map jumps by 1 at the origin, its integral is a fiftieth of the L's, and lies at the origin."""
    ring, notch = transport_onto(targets.annulus(0.5), 4000, "disk"), transport_onto(targets.ell(), 4000, "disk")
    assert ring.tears.jump < 0.15 * notch.tears.jump
    ends = ring.tears.walls.ends(1.0)
    assert np.linalg.norm(ends[np.isfinite(ends).all((1, 2))], axis=-1).max() < 2 * ring.spacing
    assert ring.stretch * ring.spacing == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("domain, edges", [
    (targets.square(), 0), (targets.ell(), 1), (targets.horseshoe(), 1), (targets.dumbbell(0.3), 2),
    (targets.two_disks(3.0), 2), (targets.cassini(1.02), 2), (targets.annulus(0.5), 0), (targets.annulus(0.4, 0.3), 0)])
def test_missing_edges_tear_a_gaussian_to_infinity_and_holes_do_not(domain, edges):
    done = transport_onto(domain, 800, "gaussian")
    assert missing_edges(domain, done.cells.atoms, done.spacing) == edges
    ends = done.tears.walls.ends(1e3)
    at_rim = np.isclose(np.linalg.norm(ends, axis=-1), 1e3).sum()
    assert at_rim == edges


def test_images_along_a_tear_lie_on_the_notch_and_its_mass_vanishes():
    coarse, fine = transport_onto(targets.ell(), 500, "disk"), transport_onto(targets.ell(), 2000, "disk")
    for atom in (fine.tears.walls.left, fine.tears.walls.right):
        y = fine.cells.atoms[atom]
        assert (np.abs(y).min(axis=1) < fine.spacing).all() and (y.max(axis=1) > -fine.spacing).all()
    assert np.log(coarse.torn_mass / fine.torn_mass) / np.log(coarse.spacing / fine.spacing) > 0.7


def test_only_necks_two_bricks_apart_are_compared():
    assert resolved([1.0, 0.95, 0.79, 0.78, 0.5, 0.0], 0.1).tolist() == [0, 2, 4, 5]
    assert resolved([1.0, 0.95], 0.1).tolist() == [0]


def test_many_necks_on_a_coarse_sample_give_no_false_fall():
    necks = np.linspace(1, 0, 20)
    apart = necks[resolved(necks, targets.dumbbell(necks[0]).sample(1500)[2])]
    assert len(apart) >= 5
    jumps = [transport_onto(targets.dumbbell(w), 1500, "disk").tears.jump for w in apart]
    assert np.diff(jumps).min() >= 0
