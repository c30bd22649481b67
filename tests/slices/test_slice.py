"""What a measured slice answers, on one small exact model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from phasebook.models.denoiser import Denoiser
from phasebook.sampling.features import OfPixels
from phasebook.sampling.levels import scaled_linear_levels
from phasebook.slices.measures.phases import connected
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.slice import RIDGE
from phasebook.slices.sweep import slice_of
from tests.builders import refuses


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


def test_phases_of_one_step_are_those_of_all(one):
    phases = one.phases(one.ridge())
    assert all((one.phases_at(k, one.ridge()) == phases[k]).all() for k in range(one.steps)) and phases.max() > 0


def test_each_feature_has_its_own_numbers_and_phases_need_a_measured_step(small):
    mean = OfPixels(lambda pixels: pixels.mean((2, 3)), at=[1, 3])
    s = slice_of(small, Plane(seeded_anchors(small.shape, 1), grid=9), scaled_linear_levels(4),
                 features={"pixels": small.features["pixels"], "mean": mean})
    turned = replace(s, features=dict(reversed(s.features.items())))        # as a mapping may come
    for name in s.features:
        np.testing.assert_array_equal(turned.values("det", name), s.data.det.sel(feature=name).values)
        np.testing.assert_array_equal(turned.values("jump_beta", name), s.data.jump_beta.sel(feature=name).values)
    assert s.phases_at(3, 0.01, "mean").shape == (9, 9)
    refuses(lambda: s.phases_at(2, 0.01, "mean"), "feature = 'mean': measured at steps [1, 3] alone", "at step 2")
    refuses(lambda: s.phases(0.01, feature="mean"), "measured at steps [1, 3] alone", "measured at every step")


def test_telling_steps_increase_and_end_with_the_last(one):
    for count in (2, 3, 6):
        steps = one.telling(count)
        assert steps == sorted(set(steps)) and steps[0] == 0 and steps[-1] == 11 and len(steps) <= count
    assert one.resting() == one.telling(6)[-2]
    part = one.data.copy(deep=True)
    part.det.values[..., -1, -1] = np.nan           # as of a store that is not done
    for call in (lambda s: s.telling(3), lambda s: s.resting()):
        refuses(lambda call=call: call(replace(one, data=part)), "slice: some of its tiles are missing")


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


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32])
def test_phases_by_a_field_of_any_whole_type(one, dtype):
    s = replace(one, data=one.data.assign(side=(one.data.atom > 2).astype(dtype)))
    np.testing.assert_array_equal(s.phases(1.0, by="side")[-1], connected(one.data.atom.values[-1] > 2))


def test_only_kept_pictures_and_carried_tangents(one):
    assert one.pictures([11]).shape == (1, 3, 3, 8, 8, 3)
    assert one.pictures({11}).shape == one.pictures(np.array([11])).shape == (1, 3, 3, 8, 8, 3)
    with pytest.raises(ValueError, match="no pictures of step 5"):
        one.pictures([5])
    with pytest.raises(ValueError, match="no tangents were carried"):
        one.values("det", exact=True)
    with pytest.raises(ValueError, match="feature = 'clip': not measured here; takes pixels"):
        one.values("det", "clip")


STEPS = (1.5, "a", None, True, -1, 12)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_there_is_not_is_refused(one, step):
    for call in (one.figure, one.height, one.surface, lambda k: one.phases_at(k, one.ridge())):
        refuses(lambda call=call: call(step), "step = ", "takes a step from 0 to 11")


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf, "a", None, True, [1.0], 1j])
def test_a_height_that_is_none_is_refused(one, value):
    refuses(lambda: one.phases(value), "ridge = ", "takes a positive height")
    refuses(lambda: one.phases_at(0, value), "ridge = ", "takes a positive height")
    refuses(lambda: one.ridge(share=value), "share = ", "takes a positive number")


@pytest.mark.parametrize("call, words", [
    (lambda s: s.telling(2.5), "count = 2.5: takes a whole number from 2"), (lambda s: s.telling("a"), "count = 'a'"),
    (lambda s: s.telling(10**9), "count = 1000000000"), (lambda s: s.values("E", exact="x"), "exact = 'x': takes True"),
    (lambda s: s.telling(0), "count = 0"), (lambda s: s.pictures(0), "steps = 0: takes a list of some of [0, 11]"),
    (lambda s: s.pictures(np.array([[0, 11]])), "steps: an array of shape (1, 2); takes a list of some of [0, 11]"),
    (lambda s: s.pictures(["a"]), "no pictures of step a"), (lambda s: s.between([], []), "alpha, beta: no point"),
    (lambda s: s.between("a", [0.5]), "takes n numbers of each"), (lambda s: s.between(None, 0.5), "beta = None, 0.5"),
    (lambda s: s.values("det", ["pixels"]), "feature = ['pixels']: not measured here"),
    (lambda s: s.phases(1.0, by=["cut"]), "by = ['cut']: takes watershed, cut, atom"),
    (lambda s: s.phases(1.0, by="E"), "by = 'E': takes watershed, cut, atom"),
])
def test_bad_questions_are_one_line(one, call, words):
    refuses(lambda: call(one), words)


def test_a_constant_model_has_no_ridge_and_its_refusal_says_so():
    model = Denoiser((2,), lambda x, alpha, sigma: torch.ones_like(x))
    s = slice_of(model, Plane.random((2,), 0, grid=5), model.levels(3))
    refuses(lambda: s.phases(s.ridge()), "ridge = 0.0", "unless all predictions of the model are equal")
    refuses(lambda: s.pictures([0]), "no pictures were kept")


def test_smooth_transitions_get_lower_on_finer_grids_and_jumps_do_not():
    def heights(denoise):
        model = Denoiser((2,), denoise)
        planes = (Plane.random((2,), 0, grid=grid) for grid in (11, 41))
        return [slice_of(model, plane, model.levels(2)).height(0).max() for plane in planes]

    smooth, sharp = (heights(f) for f in (lambda x, a, s: x, lambda x, a, s: x[:, :1].sign().expand(-1, 2)))
    assert smooth[0] / smooth[1] == pytest.approx(4, rel=1e-6) and sharp[0] == sharp[1] > 0
