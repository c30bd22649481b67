"""The pullback metric against closed forms and autograd."""

import numpy as np
import pytest
import torch

from phasebook.slices.metric import differences, finite_difference_metric, jumps, pullback


def grid(n, f):
    a = torch.linspace(0, 1, n, dtype=torch.float64)
    return f(*torch.meshgrid(a, a, indexing="ij"))


def surface(a, b):
    return torch.stack([torch.sin(2 * a + b), a * b, torch.exp(-b) + a**2], -1)


def test_second_order_inside_first_order_at_the_border():
    inside, border, counts = [], [], [11, 21, 41, 81]
    for n in counts:
        f, h = grid(n, surface), 1 / (n - 1)
        exact = grid(n, lambda a, b: torch.stack([2 * torch.cos(2 * a + b), b, 2 * a], -1))
        error = (differences(f, h, 0) - exact).abs().amax((1, 2))
        inside.append(error[1:-1].max())
        border.append(max(error[0], error[-1]))
    slope = lambda e: np.polyfit(np.log(counts), np.log(e), 1)[0]  # noqa: E731
    assert slope(inside) == pytest.approx(-2, abs=0.15) and slope(border) == pytest.approx(-1, abs=0.1)


def test_axes_are_alpha_then_beta_and_each_has_its_spacing():
    a, b = torch.meshgrid(torch.linspace(0, 2, 5), torch.linspace(0, 3, 4), indexing="ij")
    metric = finite_difference_metric(torch.stack([3 * a, 5 * b], -1), None, (0.5, 1.0))
    torch.testing.assert_close(metric.aa, torch.full((5, 4), 9.0).double())
    torch.testing.assert_close(metric.bb, torch.full((5, 4), 25.0).double())
    assert float(metric.ab.abs().max()) < 1e-6
    torch.testing.assert_close(metric.det, torch.full((5, 4), 225.0).double())
    torch.testing.assert_close(metric.largest, metric.bb)


def test_two_points_suffice():
    f = torch.tensor([[[0.0], [1.0]], [[2.0], [3.0]]])
    metric = finite_difference_metric(f, None, (1.0, 1.0))
    assert (metric.aa == 4).all() and (metric.bb == 1).all() and (metric.det == 0).all()


def test_pullback_equals_eigenvalues_of_j_transpose_j():
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(2, 50, 7, generator=generator, dtype=torch.float64)
    metric = pullback(*columns, unit=0.5)
    jacobian = columns.permute(1, 2, 0) / 2
    values = torch.linalg.eigvalsh(jacobian.mT @ jacobian)
    torch.testing.assert_close(metric.largest, values[:, 1])
    torch.testing.assert_close(metric.det, values.prod(1))
    torch.testing.assert_close(metric.volume, torch.linalg.svdvals(jacobian).prod(1))


def test_duals_replace_an_inner_product():
    generator = torch.Generator().manual_seed(1)
    basis = torch.randn(5, 9, generator=generator, dtype=torch.float64)
    w = torch.randn(2, 30, 5, generator=generator, dtype=torch.float64)
    m = w @ (basis @ basis.T)
    torch.testing.assert_close(pullback(*w, *m).det, pullback(*(w @ basis)).det)


def test_float32_determinants_survive_nearly_parallel_columns():
    """det is 1e-12 of aa bb: the plain formula has no digit left in float32."""
    u, v = torch.zeros(3), torch.zeros(3)
    u[0], v[0], v[1] = 300.0, 300.0, 3e-4
    assert float(pullback(u, v).det) == pytest.approx(300**2 * 3e-4**2, rel=1e-5)
    assert torch.isfinite(pullback(torch.zeros(3), torch.zeros(3)).det)


@pytest.mark.parametrize("scale", [1e-18, 1e-9, 1.0, 1e9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parallel_columns_span_nothing_at_any_scale(scale, dtype):
    u = scale * torch.tensor([1.0, 2.0, 3.0], dtype=dtype)
    assert float(pullback(u, 2 * u).det) < 1e-12 * 196 * scale**4
    tilted = pullback(u, 2 * u + scale * torch.tensor([0.0, 0.0, 1e-2], dtype=dtype))
    assert float(tilted.det) == pytest.approx(5e-4 * scale**4, rel=1e-3)


def test_jumps_are_distances_of_neighbours():
    f = grid(4, surface)
    up, right = jumps(f, f, 2.0)
    torch.testing.assert_close(up[1, 2], 2 * (f[2, 2] - f[1, 2]).norm())
    torch.testing.assert_close(right[3, 0], 2 * (f[3, 1] - f[3, 0]).norm())
