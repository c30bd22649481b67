"""Geodesics of models against closed forms: the half-space, the sphere; the gradient against differences."""

import numpy as np

from phasebook import Denoiser
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.spacetime.atoms import great_circle
from phasebook.mixtures.spacetime.chart import Chart
from phasebook.mixtures.spacetime.energy import posterior_parts
from phasebook.mixtures.spacetime.half_space import gaussian_distance
from phasebook.spacetime.expectations import all_probes
from phasebook.spacetime.geodesic import CurveSearch, circles, expectations_along, geodesics, lines, resampled
from phasebook.spacetime.measure import measured
from tests.builders import refuses
from tests.spacetime.test_expectations import ATOMS, denoise_atoms, denoise_normal


def search_of(denoise, ends, chart):
    model = Denoiser((3,), denoise)
    return CurveSearch(model, chart, ends, all_probes(model), tangents="difference")


def lengths_of(search, eta):
    return [measured(curve, e).length.value
            for curve, e in zip(eta, expectations_along(search, eta, search.probes), strict=True)]


def test_gaussian_data_from_a_straight_line_to_the_half_circle():
    rng = np.random.default_rng(0)
    y, s = rng.normal(size=(2, 2, 3)) * 0.6, np.array([[0.4, 0.4], [0.3, 0.6]])
    ends = np.concatenate([y / s[..., None] ** 2, (1 - 1 / s[..., None] ** 2) / 2], axis=-1)
    chart = Chart(np.zeros(3), 1.0)
    search = search_of(denoise_normal, ends, chart)
    wanted = [gaussian_distance(a, b) for a, b in zip(y, s, strict=True)]
    straight = lines(chart, ends, 25)
    found = lengths_of(search, geodesics(search, 25, (2, 5), 60, straight))
    assert max(lengths_of(search, chart.eta(circles(chart, ends, 25))) / np.array(wanted)) - 1 < 3e-3
    assert np.abs(np.array(found) / wanted - 1).max() < 3e-3
    assert (np.array(lengths_of(search, chart.eta(straight))) > np.array(wanted) * 1.01).any()


def test_atoms_to_the_great_circle():
    ends = np.stack([np.column_stack([ATOMS[[0, 2]] / 0.6**2, np.full(2, -0.5 / 0.6**2)]),
                     np.column_stack([ATOMS[[1, 3]] / 0.7**2, np.full(2, -0.5 / 0.7**2)])])
    search = search_of(denoise_atoms, ends, Chart(ATOMS.mean(0), float(ATOMS.var(0).mean())))
    wanted = [great_circle(*posterior_parts(Mixture.atoms(ATOMS), e)[0]) for e in ends]
    found = lengths_of(search, geodesics(search, 25, (1, 4), 80))
    ratio = np.array(found) / wanted
    assert ratio.min() > 0.999 and ratio.max() < 1.01


def test_gradient_is_that_of_the_energy():
    rng = np.random.default_rng(1)
    ends = np.column_stack([ATOMS[:2] / 0.5, np.full(2, -1.0)])[None]
    chart = Chart(np.zeros(3), 0.5)
    search = search_of(denoise_atoms, ends, chart)
    z = lines(chart, ends, 7) + 0.05 * rng.normal(size=(1, 7, 4))
    z[:, [0, -1]] = search.ends
    move = rng.normal(size=z.shape)
    move[:, [0, -1]] = 0
    h = 1e-5
    slope = (search(z + h * move)[0] - search(z - h * move)[0]) / (2 * h)
    assert abs((search(z)[1] * move).sum() / slope[0] - 1) < 2e-2          # mu's own derivative is one-sided


def test_no_point_is_noisier_than_the_model():
    chart = Chart(np.zeros(3), 1.0)
    ends = np.concatenate([np.full((1, 2, 3), [[-40.0], [40.0]]), np.full((1, 2, 1), -2.0)], axis=-1)
    search = search_of(denoise_normal, ends, chart)
    eta = geodesics(search, 9, (1,), 3)
    least = np.exp(search.model.levels(999).log_snr[0])
    assert (-2 * eta[..., -1]).min() >= least * (1 - 1e-9)
    for call, words in ((lambda: geodesics(search, 4, (3,)), "points = 4: takes a whole number >= 5"),
                        (lambda: geodesics(search, 9, ()), "nodes = (): takes numbers of nodes"),
                        (lambda: geodesics(search, 9, 3), "nodes = 3: takes numbers of nodes"),
                        (lambda: geodesics(search, 9, (0,)), "nodes = 0: takes a whole number >= 1"),
                        (lambda: geodesics(search, 9, (1,), 0), "iterations = 0"),
                        (lambda: geodesics(search, 9, (1,), 3, np.zeros((2, 9, 4))), "start: shape (2, 9, 4)"),
                        (lambda: search_of(denoise_normal, ends[0], chart), "ends: shape (2, 4); takes"),
                        (lambda: search_of(denoise_normal, -ends, chart), "ends: k = -4; takes k > 0"),
                        (lambda: circles(chart, ends, 1), "points = 1"), (lambda: lines(chart, ends, 0), "points = 0"),
                        (lambda: geodesics(search, 9, (1,), 3, circles(chart, ends[:, ::-1], 9)), "start: its ends"),
                        (lambda: resampled(chart, ends[0], 1), "points = 1: takes a whole number >= 2"),
                        (lambda: resampled(chart, ends[0][:, :3], 4), "eta: shape (2, 3); takes"),
                        (lambda: resampled(chart, ends[0] * np.nan, 4), "eta: NaN or Inf"),
                        (lambda: resampled(chart, -ends[0], 4), "eta: k = -4; takes k > 0")):
        refuses(call, words)


def test_a_curve_is_resampled_on_itself():
    chart = Chart(np.zeros(3), 1.0)
    ends = np.concatenate([np.array([[[-1.0, 0, 0], [1, 0.5, 0]]]), np.full((1, 2, 1), -2.0)], axis=-1)
    fine = chart.eta(circles(chart, ends, 40))[0]
    np.testing.assert_allclose(resampled(chart, fine, 14), chart.eta(circles(chart, ends, 14))[0], atol=1e-4)


def test_a_point_that_repeats_is_passed_over():
    chart = Chart(np.zeros(3), 1.0)
    ends = np.concatenate([np.array([[[-1.0, 0, 0], [1, 0.5, 0]]]), np.full((1, 2, 1), -2.0)], axis=-1)
    fine = chart.eta(circles(chart, ends, 12))[0]
    np.testing.assert_allclose(resampled(chart, np.repeat(fine, [1, 1, 3] + [1] * 9, axis=0), 9),
                               resampled(chart, fine, 9), atol=1e-12)
    np.testing.assert_allclose(resampled(chart, fine[[2, 2, 2]], 4), fine[[2, 2, 2, 2]])
