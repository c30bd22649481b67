"""How means grow with a grid, and areas of cells, against closed forms."""

import numpy as np
import pytest
import torch

from phasebook.models.denoiser import Denoiser
from phasebook.sampling.levels import scaled_linear_levels
from phasebook.slices.jacobians import cell_areas, grid_exponents, growth
from phasebook.slices.plane import Plane, seeded_anchors

ANCHORS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


def test_growth_of_a_jump_and_of_a_smooth_map():
    means = {n: np.array([7.0, 3.0 * (n - 1), 0.0]) for n in (11, 21, 41)}
    np.testing.assert_allclose(growth(means), [0, 1, 0], atol=1e-12)
    assert growth({11: np.ones(2)}) is None
    for unit in (1e-30, 1e30):
        np.testing.assert_allclose(growth({n: unit * y for n, y in means.items()}), [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize("name, det, trace, tolerance", [("linear", 0, 0, 1e-6), ("sine", 0, 0, 0.02),
                                                         ("jumps", 2, 1, 0.1)])
def test_a_smooth_map_has_no_exponent_and_crossing_jumps_have_two(name, det, trace, tolerance):
    """Jumps: the signs of both coordinates about an irrational point."""
    maps = {"linear": lambda x: 3 * x, "sine": lambda x: torch.sin(2 * x), "jumps": lambda x: torch.sign(x - 0.4142)}
    model = Denoiser((2,), lambda x, alpha, sigma: maps[name](x), name=name)
    found = grid_exponents(model, Plane(ANCHORS, grid=65, normalise=False), model.levels(1), [0],
                           model.features["latent"])
    assert found["det"][0] == pytest.approx(det, abs=tolerance)
    assert found["trace"][0] == pytest.approx(trace, abs=tolerance)


def test_grids_must_be_nested(small):
    with pytest.raises(ValueError, match="grid = 12"):
        grid_exponents(small, Plane(seeded_anchors(small.shape, 1), grid=12), scaled_linear_levels(2), [1],
                       small.features["pixels"])


def test_area_of_cells_is_the_root_of_the_determinant(wide):
    plane = Plane(seeded_anchors(wide.shape, 3), grid=9)
    area, det = cell_areas(wide, plane, scaled_linear_levels(20), 8, wide.features["pixels"], 30, 1e-4, seed=0)
    np.testing.assert_allclose(area, np.sqrt(det), rtol=1e-3)
