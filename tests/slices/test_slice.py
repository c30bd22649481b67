"""What a measured slice answers, on one small exact model."""

import numpy as np
import pytest

from phasebook.sampling.levels import scaled_linear_levels
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.slice import RIDGE
from phasebook.slices.sweep import slice_of


@pytest.fixture(scope="module")
def one(small):
    plane = Plane(seeded_anchors(small.shape, 1), grid=21)
    return slice_of(small, plane, scaled_linear_levels(12), fields=small.fields, pictures=3, keep=[0, 11])


def test_largest_eigenvalue_and_trace_are_those_of_the_matrix(one):
    E, F, G = (one.values(name)[6] for name in "EFG")
    values = np.linalg.eigvalsh(np.stack([np.stack([E, F], -1), np.stack([F, G], -1)], -2).astype(float))
    np.testing.assert_allclose(one.values("largest")[6], values[..., 1], rtol=1e-5)
    np.testing.assert_allclose(one.values("trace")[6], values.sum(-1), rtol=1e-5)


def test_height_is_the_largest_jump_to_a_neighbour(one):
    up, right = one.values("jump_alpha")[7], one.values("jump_beta")[7]
    height = one.height(7)
    assert height[4, 9] == max(up[4, 9], up[3, 9], right[4, 9], right[4, 8])
    assert height[0, 0] == max(up[0, 0], right[0, 0])


def test_one_threshold_for_ridges(one, small):
    typical = small.features["pixels"].yardstick(small)
    assert one.ridge() == RIDGE * typical and one.ridge(share=0.5) == 0.5 * typical


def test_telling_steps_increase_and_end_with_the_last(one):
    for count in (2, 3, 6):
        steps = one.telling(count)
        assert steps == sorted(set(steps)) and steps[0] == 0 and steps[-1] == 11 and len(steps) <= count
    assert one.resting() == one.telling(6)[-2]


def test_distances_between_points_are_those_of_neighbours(one):
    pairs = one.between(one.plane.alpha[[0, 1, 20]], one.plane.beta[[4, 4, 4]])
    np.testing.assert_allclose(pairs.distances[:, 0, 1], one.values("jump_alpha")[:, 0, 4], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("alpha, beta, message", [
    ([0.5, 1.2], [0.5, 0.5], "alpha, beta = 1.2, 0.5: outside the slice; takes alpha from 0 to 1 and beta from 0 to 1"),
    ([0.5, 0.5], [0.5, np.nan], "alpha, beta = 0.5, nan: outside the slice"),
    ([0.5, 0.5], [0.5], r"alpha, beta: shapes \(2,\) and \(1,\)"),
])
def test_points_outside_the_slice_are_refused(one, alpha, beta, message):
    with pytest.raises(ValueError, match=message) as error:
        one.between(alpha, beta)
    assert "\n" not in str(error.value)


def test_phases_by_cut_and_by_field(one):
    cut, atoms = one.phases(one.ridge(), by="cut"), one.phases(one.ridge(), by="atom")
    assert cut.shape == atoms.shape == (12, 21, 21) and cut[0].max() == 0
    assert atoms[-1].max() >= cut[-1].max()
    with pytest.raises(ValueError, match="by = 'colour': takes watershed, cut, atom"):
        one.phases(one.ridge(), by="colour")


def test_only_kept_pictures_and_carried_tangents(one):
    assert one.pictures([11]).shape == (1, 3, 3, 8, 8, 3)
    with pytest.raises(ValueError, match="no pictures of step 5"):
        one.pictures([5])
    with pytest.raises(ValueError, match="no tangents were carried"):
        one.values("det", exact=True)
    with pytest.raises(ValueError, match="feature = 'clip': not measured here; takes pixels"):
        one.values("det", "clip")
