"""Curvature of a decoded slice: against Brioschi's formula in 40 digits, autograd, Gauss-Bonnet, closed cases."""

import mpmath as mp
import numpy as np
import pytest
import torch

from phasebook.mixtures.curvature import gauss_bonnet, score_derivatives, surface
from phasebook.mixtures.flow import decode
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import schedule

LINEAR = schedule("log_snr_linear")
SPACE = Mixture(np.array([[1.2, 0.3, -0.5], [-1.0, 0.8, 0.4], [0.1, -1.3, 0.6], [0.4, 0.9, 1.1]]),
                np.array([0.15, 0.2, 0.1, 0.25]), np.array([0.3, 0.25, 0.25, 0.2]))
ORIGIN, BASIS = np.array([0.0, 0.0, 0.3]), np.eye(3)[:2]


def precise_decode(u, steps, stop):
    """The same Runge-Kutta map in 40 digits, written out anew."""
    levels = [mp.mpf(float(v)) for v in LINEAR.log_snr(np.array([1.0, stop]))]
    means, variances, weights = (mp.matrix(a.tolist()) for a in (SPACE.means, SPACE.variances, SPACE.weights))

    def rate(x, level):
        sigma2 = 1 / (1 + mp.exp(level))
        alpha, total, pull = mp.sqrt(1 - sigma2), mp.mpf(0), [mp.mpf(0)] * 3
        for i in range(4):
            s2 = alpha**2 * variances[i] + sigma2
            gap = [alpha * means[i, k] - x[k] for k in range(3)]
            w = weights[i] * mp.exp(-sum(g**2 for g in gap) / (2 * s2)) / s2 ** mp.mpf("1.5")
            total += w
            pull = [p + w * g / s2 for p, g in zip(pull, gap, strict=True)]
        return [sigma2 / 2 * (a + p / total) for a, p in zip(x, pull, strict=True)]

    x, h = [u[0], u[1], mp.mpf(float(ORIGIN[2]))], (levels[1] - levels[0]) / steps
    for n in range(steps):
        level = levels[0] + n * h
        a = rate(x, level)
        b = rate([p + h / 2 * q for p, q in zip(x, a, strict=True)], level + h / 2)
        c = rate([p + h / 2 * q for p, q in zip(x, b, strict=True)], level + h / 2)
        e = rate([p + h * q for p, q in zip(x, c, strict=True)], level + h)
        x = [p + h / 6 * (i + 2 * j + 2 * k + m) for p, i, j, k, m in zip(x, a, b, c, e, strict=True)]
    return x


def brioschi(u, steps, stop, h):
    """Gaussian curvature from the metric alone, every derivative a central difference."""
    memory = {}

    def D(i, j):
        if (i, j) not in memory:
            memory[i, j] = precise_decode((u[0] + i * h, u[1] + j * h), steps, stop)
        return memory[i, j]

    def metric(i, j):
        a = [(p - q) / (2 * h) for p, q in zip(D(i + 1, j), D(i - 1, j), strict=True)]
        b = [(p - q) / (2 * h) for p, q in zip(D(i, j + 1), D(i, j - 1), strict=True)]
        return [sum(p * q for p, q in zip(v, w, strict=True)) for v, w in ((a, a), (a, b), (b, b))]

    G = {(i, j): metric(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    E, F, g = G[0, 0]
    Eu, Fu, gu = ((p - q) / (2 * h) for p, q in zip(G[1, 0], G[-1, 0], strict=True))
    Ev, Fv, gv = ((p - q) / (2 * h) for p, q in zip(G[0, 1], G[0, -1], strict=True))
    Evv = (G[0, 1][0] - 2 * E + G[0, -1][0]) / h**2
    guu = (G[1, 0][2] - 2 * g + G[-1, 0][2]) / h**2
    Fuv = (G[1, 1][1] - G[1, -1][1] - G[-1, 1][1] + G[-1, -1][1]) / (4 * h**2)
    one = mp.matrix([[-Evv / 2 + Fuv - guu / 2, Eu / 2, Fu - Ev / 2], [Fv - gu / 2, E, F], [gv / 2, F, g]])
    two = mp.matrix([[0, Ev / 2, gu / 2], [Ev / 2, E, F], [gu / 2, F, g]])
    return (mp.det(one) - mp.det(two)) / (E * g - F**2) ** 2


@pytest.mark.parametrize("u", [(0.3, -0.2), (-1.0, 0.5), (0.8, 0.9)])
def test_against_brioschi(u):
    with mp.workdps(40):
        expected = float(brioschi([mp.mpf(u[0]), mp.mpf(u[1])], 24, 0.2, mp.mpf("1e-8")))
    found = surface(SPACE, LINEAR, ORIGIN, BASIS, np.array(u), 1.0, 0.2, 24).curvature()
    assert abs(expected) > 1e-3 and abs(found - expected) < 1e-8


def test_score_derivatives_against_autograd():
    rng = np.random.default_rng(0)
    x, a, b = rng.normal(size=(3, 3))
    m, v, w = (torch.tensor(q) for q in (SPACE.means, SPACE.variances, SPACE.weights))

    def score(p):
        p = p.detach().requires_grad_(True) if not p.requires_grad else p
        s2 = 0.64 * v + 0.36
        value = torch.logsumexp(w.log() - ((p - 0.8 * m) ** 2).sum(-1) / (2 * s2) - 1.5 * s2.log(), 0)
        return torch.autograd.grad(value, p, create_graph=True)[0]

    def along(p, q):
        return torch.autograd.functional.jvp(score, p, torch.tensor(q), create_graph=True)[1]

    s, first, second = score_derivatives(SPACE, x, 0.8, 0.6, np.stack([a, b]), [(0, 1)])
    point = torch.tensor(x)
    np.testing.assert_allclose(s, score(point).detach(), rtol=1e-10)
    np.testing.assert_allclose(first[0], along(point, a).detach(), rtol=1e-8)
    twice = torch.autograd.functional.jvp(lambda p: along(p, a), point, torch.tensor(b))[1]
    np.testing.assert_allclose(second[0], twice.detach(), rtol=1e-8)


def test_the_surface_is_the_decoder_and_its_derivatives():
    u, h = np.random.default_rng(1).normal(size=(4, 2)), 1e-5
    s = surface(SPACE, LINEAR, ORIGIN, BASIS, u, 1.0, 0.1, 64)
    np.testing.assert_allclose(s.x, decode(SPACE, LINEAR, ORIGIN + u @ BASIS, 1.0, 0.1, 64), atol=1e-12)
    ahead, behind = (surface(SPACE, LINEAR, ORIGIN, BASIS, u + k * h * np.eye(2)[0], 1.0, 0.1, 64) for k in (1, -1))
    np.testing.assert_allclose((ahead.x - behind.x) / (2 * h), s.first[0], atol=1e-6)
    np.testing.assert_allclose((ahead.first - behind.first) / (2 * h), s.second[:2], atol=1e-4)


def test_flat_cases():
    """Gaussian data, and any data in the plane (the decoder fills it): curvature 0."""
    u = np.random.default_rng(2).normal(size=(5, 2))
    gaussian = Mixture(np.array([[1.0, 2, 3]]), np.array([0.3]), np.ones(1))
    assert np.abs(surface(gaussian, LINEAR, ORIGIN, BASIS, u, 1.0, 0.0).curvature()).max() < 1e-12
    plane = Mixture(SPACE.means[:, :2], SPACE.variances, SPACE.weights)
    assert np.abs(surface(plane, LINEAR, np.zeros(2), np.eye(2), u, 1.0, 0.2).curvature()).max() < 1e-8
    with pytest.raises(ValueError, match="finite log-SNR in vp_cosine"):
        surface(plane, schedule("vp_cosine"), np.zeros(2), np.eye(2), u, 1.0, 0.2)


@pytest.mark.parametrize("basis", [np.eye(3)[:2], [[0.9, 0.1, 0.3], [0.2, 0.7, -0.4]]])
def test_gauss_bonnet(basis):
    inside, outside = gauss_bonnet(SPACE, LINEAR, ORIGIN, np.array(basis), [-1, 1.2, -0.8, 1], 1.0, 0.4, 6, steps=32)
    assert abs(inside) > 0.01 and abs(inside - outside) < 1e-3
