"""Adaptive basins against the whole grid, on maps whose basins are known."""

import numpy as np
import pytest
import torch
import xarray as xr

from phasebook.models.denoiser import Denoiser
from phasebook.sampling.features import OfPixels, distances
from phasebook.sampling.protocols import Embedding
from phasebook.slices.adaptive import adaptive_basins, full_basins, same_basins
from phasebook.slices.evaluator import evaluator
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.sweep import slice_of
from tests.builders import refuses


def of(function, grid):
    """A map of the unit square, evaluated at grid points; `calls` counts the points."""
    calls = []

    def evaluate(points):
        calls.append(len(points))
        f = torch.as_tensor(function(*(points.T / (grid - 1)))).double().reshape(len(points), -1)
        return Embedding(f, f)

    return evaluate, calls


def circle(x, y):
    return (x - 0.47) ** 2 + (y - 0.52) ** 2 < 0.31**2


def cells(x, y):
    centres = np.random.default_rng(3).random((12, 2))
    nearest = ((np.stack([x, y], -1)[:, None] - centres) ** 2).sum(-1).argmin(1)
    return np.eye(12)[nearest] + 0.02 * np.stack([x, y] * 6, -1)        # basins that are not quite flat


@pytest.mark.parametrize("function, least, most", [(circle, 1.0, 0.16), (cells, 0.995, 0.25)])
@pytest.mark.parametrize("grid", [101, 97])
def test_same_basins_at_a_part_of_the_cost(function, least, most, grid):
    evaluate, calls = of(function, grid)
    found = adaptive_basins(evaluate, grid, 0.5)
    assert found.evaluated.sum() == sum(calls)                          # nothing is evaluated twice
    assert found.share <= most
    assert same_basins(found.labels, full_basins(of(function, grid)[0], grid, 0.5)) >= least


def test_more_cells_than_points_are_the_points():
    evaluate, calls = of(circle, 11)
    assert adaptive_basins(evaluate, 11, 0.5, coarse=10**12).evaluated.all() and calls == [121]


def test_cost_grows_with_the_boundary_and_not_with_the_area():
    """From each grid to the next, not in the mean alone; and what is evaluated whole is the same on all."""
    grids, cost = np.array([51, 101, 201, 401, 801]), []
    for n in grids:
        evaluate, calls = of(circle, n)
        cost.append(adaptive_basins(evaluate, n, 0.5, probes=0).evaluated.sum())
        assert calls[0] == 13**2
    local = np.diff(np.log(cost)) / np.diff(np.log(grids - 1))
    assert local.max() < 1.1, local


def test_probes_tell_of_islands_that_the_coarse_grid_steps_over():
    """Islands of radius 1/64 between the points of the coarse grid: 7 % of the area, none on it."""
    def islands(x, y):
        return ((x * 16) % 1 - 0.5) ** 2 + ((y * 16) % 1 - 0.5) ** 2 < 0.15**2

    def run(probes, seed=0):
        return adaptive_basins(of(islands, 129)[0], 129, 0.5, coarse=16, probes=probes, seed=seed)

    assert run(0).labels.max() == 0 and run(0).missed is None
    true = islands(*np.meshgrid(np.arange(129) / 128, np.arange(129) / 128)).mean()
    found = [run(400, seed) for seed in range(20)]
    values = np.array([one.missed.value for one in found])
    assert abs(values.mean() - true) < 3 * values.std() / 20**0.5
    assert sum(one.missed.low <= true <= one.missed.high for one in found) >= 17
    assert min(one.labels.max() for one in found) > 10                  # and what probes have met is followed


@pytest.mark.parametrize("name", ["pixels", "own", "latent"])
def test_labels_are_those_of_the_slice(small, name):
    """At the slice's own height, whatever the unit of the feature's coordinates."""
    model = Denoiser((2,), lambda x, alpha, sigma: torch.tanh(alpha * x / sigma**2)) if name == "latent" else small
    feature = OfPixels(lambda pixels: pixels, unit=3.0) if name == "own" else model.features[name]
    levels, plane = model.levels(20), Plane(seeded_anchors(model.shape, 5), grid=33)
    one = slice_of(model, plane, levels, features={name: feature})
    evaluate, cut = evaluator(model, plane, levels, 19, feature), one.phases(one.ridge(), by="cut")[-1]
    whole = full_basins(evaluate, 33, one.ridge())
    assert same_basins(whole, cut) > 0.99 and cut.max() > 0 and feature.unit != 1
    jumps = one.values("jump_alpha")[-1]
    column = jumps.max(0).argmax()
    at = np.stack([np.arange(33), np.full(33, column)], -1)
    assert distances(evaluate(at), 1.0).diagonal(1) == pytest.approx(jumps[:, column], abs=1e-3 * jumps.max())
    found = adaptive_basins(evaluate, 33, one.ridge(), coarse=8, probes=20)
    assert same_basins(found.labels, whole) >= 0.99 and found.share < 0.8


def test_filled_maps_are_interpolated_linearly():
    found = adaptive_basins(of(circle, 41)[0], 41, 0.5)
    x, y = np.meshgrid(np.arange(41.0), np.arange(41.0), indexing="ij")
    plane = 2 * x - 3 * y + 1
    hidden = np.where(found.evaluated, plane, np.nan)
    np.testing.assert_allclose(found.filled(hidden), plane, atol=1e-9)


def test_same_basins_by_hand():
    one = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    assert same_basins(one, 1 - one) == 1
    assert same_basins(one, np.zeros_like(one)) == 0.5                  # one basin has one partner
    assert same_basins(one, np.array([[0, 0, 0, 1], [0, 0, 1, 1]])) == 7 / 8


@pytest.mark.parametrize("wrong, words", [
    ({"grid": 2}, "grid = 2: takes a whole number >= 3"), ({"grid": 9.5}, "grid = 9.5"), ({"grid": "9"}, "grid = '9'"),
    ({"coarse": 0}, "coarse = 0: takes a whole number >= 1"), ({"coarse": 2.5}, "coarse = 2.5"),
    ({"ridge": 0.0}, "ridge = 0.0: takes a positive number"), ({"ridge": np.nan}, "ridge = nan"),
    ({"ridge": None}, "ridge = None"), ({"probes": -1}, "probes = -1"), ({"seed": -1}, "seed = -1"),
])
def test_refuses(wrong, words):
    refuses(lambda: adaptive_basins(of(circle, 9)[0], **{"grid": 9, "ridge": 0.5} | wrong), words)


def test_a_prediction_that_is_not_finite_is_named_and_not_filled_in():
    """All comparisons with NaN are false: it would lie in the basin of its neighbours."""
    def half(x, y):
        return np.where((x > 0.6) & (y > 0.6), np.nan, 0.0)

    refuses(lambda: adaptive_basins(of(half, 33)[0], 33, 0.5), "evaluate: the prediction is not finite at row 21,")
    refuses(lambda: adaptive_basins(lambda at: torch.zeros(len(at), 2), 9, 0.5), "evaluate: gives a Tensor; takes")
    few = Embedding(torch.zeros(3, 1), torch.zeros(3, 1))
    refuses(lambda: adaptive_basins(lambda at: few, 9, 0.5), "evaluate: gives a Embedding; takes")


@pytest.mark.parametrize("wrong, words", [
    ({"model": "exact"}, "model: a str; takes a model"), ({"levels": 20}, "levels = 20: takes a Levels"),
    ({"plane": (0, 1)}, "plane = (0, 1): takes a Plane"), ({"step": 20}, "step = 20: takes a step from 0 to 19"),
    ({"feature": "pixels"}, "feature = 'pixels': takes a feature"), ({"feature": torch.mean}, "takes a feature"),
])
def test_an_evaluator_refuses_before_it_is_asked(small, wrong, words):
    usual = {"model": small, "plane": Plane.random(small.shape, 0, grid=9), "levels": small.levels(20), "step": 19,
             "feature": small.features["pixels"]}
    refuses(lambda: evaluator(**usual | wrong), words)


def test_a_grid_finer_than_the_planes_and_no_function_are_refused(small):
    ask = evaluator(small, Plane.random(small.shape, 0, grid=5), small.levels(2), 1, small.features["pixels"])
    refuses(lambda: adaptive_basins(ask, 9, 0.5), "grid = 9: evaluate is of a plane of 5; takes as many")
    refuses(lambda: adaptive_basins(ask, 3, 0.5), "grid = 3: evaluate is of a plane of 5")
    for said, points in {"5 among their": [[0, 5]], "-1 among their": [[-1, 0]], "int64 of shape (2,)": [0, 1],
                         "float64": [[0.0, 1.0]]}.items():
        refuses(lambda points=points: ask(np.array(points)), f"points: {said}")
    refuses(lambda: adaptive_basins(None, 9, 0.5), "evaluate = None: takes a function of (points)")


@pytest.mark.parametrize("call, words", [
    (lambda found: found.dataset(None), "plane = None: takes a Plane"),
    (lambda found: found.figure("x"), "plane = 'x': takes a Plane"),
    (lambda found: found.dataset(Plane.random((2,), 0, grid=5)), "plane.grid = 5: takes 9"),
    (lambda found: found.filled("x"), "values: <U1 of shape (); takes real numbers of shape (9, 9)"),
    (lambda found: found.filled(np.zeros((3, 3))), "values: float64 of shape (3, 3)"),
    (lambda found: found.filled(np.full((9, 9), np.nan)), "values: NaN or Inf at row 0, column 0, which was evaluated"),
])
def test_bad_questions_are_one_line(call, words):
    found = adaptive_basins(lambda at: Embedding(*[torch.as_tensor(at).double()] * 2), 9, 50.0, coarse=2, probes=0)
    assert not found.evaluated.all()
    known = np.where(found.evaluated, 1.0, np.nan)              # no other value is read
    np.testing.assert_allclose(found.filled(known), 1)
    refuses(lambda: call(found), words)


def test_what_is_kept_holds_the_estimate_and_the_figure_says_it(tmp_path):
    plane = Plane(seeded_anchors((2,), 0), grid=101)
    found = adaptive_basins(of(circle, 101)[0], 101, 0.5)
    found.dataset(plane).to_zarr(tmp_path / "basins.zarr", consolidated=False)
    kept = xr.open_zarr(tmp_path / "basins.zarr", consolidated=False)
    assert (kept.basin.values == found.labels).all() and (kept.evaluated.values == found.evaluated).all()
    assert kept.attrs["share"] == found.share and kept.attrs["missed_high"] == found.missed.high > 0
    assert (kept.alpha.values == plane.alpha).all() and (kept.beta.values == plane.beta).all()
    fig = found.figure(plane)
    assert f"{found.share:.1%} of 101" in fig.layout.title.text and f"{found.missed.high:.2%}" in fig.layout.title.text
    dark = np.asarray(fig.data[0].z) == np.asarray(fig.data[0].z).max()
    assert (dark == found.evaluated).all()
    with pytest.raises(ValueError, match="plane.grid = 21: takes 101"):
        found.dataset(Plane(seeded_anchors((2,), 0), grid=21))


def test_basins_are_the_same_by_any_labels():
    one = np.array([[-1, -1, 3], [7, 7, 3]])
    assert same_basins(one, np.array([[0, 0, 1], [2, 2, 1]])) == 1
    assert same_basins(one, np.array([[1, 0, 0], [-1, -1, 0]])) == pytest.approx(5 / 6)
