"""Domains and their samples: areas, outlines, and the two maps in closed form."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.spatial import ConvexHull

from phasebook.theory.cells import targets
from phasebook.theory.cells.power_cells import solve
from tests.builders import refuses


def test_a_sample_of_three_is_refused():
    with pytest.raises(ValueError, match="n = 3: takes"):
        targets.square().sample(3)


@pytest.mark.parametrize("domain, area", [
    (targets.ellipse(2.0, 0.5), np.pi), (targets.square(), 4.0), (targets.two_disks(3.0), 2 * np.pi),
    (targets.annulus(0.5), 0.75 * np.pi), (targets.annulus(0.4, 0.3), 0.84 * np.pi), (targets.ell(), 3.0)])
def test_samples_carry_the_area(domain, area):
    y, share, spacing = domain.sample(1000)
    assert len(y) == pytest.approx(1000, rel=0.05)
    assert share.sum() == pytest.approx(1)
    assert share.max() * area == pytest.approx(spacing**2 * np.sqrt(0.75), rel=0.03)


def test_symmetric_domains_have_symmetric_samples():
    for domain in (targets.dumbbell(0.3), targets.annulus(0.5), targets.horseshoe()):
        y = domain.sample(500)[0]
        assert np.allclose(np.sort(y[:, 0]), np.sort(-y[:, 0]), atol=1e-12)


@pytest.mark.parametrize("ratio", [0.9, 1.1, 1.6])
def test_outlines_lie_on_the_border(ratio):
    outline = targets.cassini_outline(ratio)
    shown = outline[np.isfinite(outline).all(1)]
    assert targets.cassini(ratio).inside(shown * (1 - 1e-9)).mean() > 0.4
    assert np.abs((shown[:, 0] + 1j * shown[:, 1]) ** 2 - 1) == pytest.approx(ratio**2)
    assert np.isnan(outline).any() == (ratio < 1)


@pytest.mark.parametrize("source, mass", [("disk", lambda r: 2 * r), ("gaussian", lambda r: r * np.exp(-r**2 / 2))])
@pytest.mark.parametrize("inner", [0.2, 0.7])
def test_the_annulus_map_keeps_mass(source, mass, inner):
    """The source's mass within |x|, by quadrature, is the annulus' share of area within |y|."""
    for radius in (inner + 0.02, 0.8, 0.95):
        y = radius * np.array([0.6, -0.8])
        x = targets.annulus_source(y, inner, source)
        assert x[0] * y[1] == pytest.approx(x[1] * y[0])
        assert quad(mass, 0, np.hypot(*x))[0] == pytest.approx((radius**2 - inner**2) / (1 - inner**2), rel=1e-9)


@pytest.mark.parametrize("source", ["disk", "gaussian"])
def test_cells_of_an_annulus_are_those_of_the_radial_map(source):
    y, share, spacing = targets.annulus(0.5).sample(800)
    x = targets.annulus_source(y, 0.5, source)
    assert np.linalg.norm(solve(y, share, source).transport(x) - y, axis=1).mean() < 0.1 * spacing


def test_a_smooth_map_onto_a_non_convex_domain_is_recovered():
    """`z + k conj(z)^2`, 1/4 < k < 1/2: a Brenier map by its potential, with a non-convex image."""
    z, area, spacing = targets.ellipse().sample(1600)
    image = targets.three_lobes(z, 0.4)
    cells = solve(image, area, "disk")
    assert np.linalg.norm(cells.transport(z) - image, axis=1).mean() < 0.05 * spacing
    edge = 2 * np.pi * np.arange(720) / 720
    curve = targets.three_lobes(np.c_[np.cos(edge), np.sin(edge)], 0.4)
    shoelace = np.abs((curve[:, 0] * np.roll(curve[:, 1], -1) - curve[:, 1] * np.roll(curve[:, 0], -1)).sum()) / 2
    assert shoelace == pytest.approx(np.pi * (1 - 2 * 0.4**2), rel=1e-3)          # pi - 2 pi k^2: area of the image
    assert ConvexHull(curve).volume > 1.05 * shoelace


def test_a_dumbbell_with_a_neck_wider_than_its_disks_lies_within_its_box():
    wide = targets.dumbbell(1.5)
    assert wide.inside(np.array([0.0, 1.45])) and wide.half_height == 1.5
    assert wide.bricks(0.1)[0][:, 1].max() > 1.4


def test_no_map_onto_an_annulus_without_one():
    y = np.array([[0.9, 0.0]])
    refuses(lambda: targets.annulus_source(y, 1.5, "disk"), "inner = 1.5: takes a radius in (0, 1)")
    refuses(lambda: targets.annulus_source(y, 0.5, "square"), "source = 'square': takes one of 'gaussian', 'disk'")
