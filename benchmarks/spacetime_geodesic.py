"""Spacetime geodesics against the published way, in one process: energy reached and time taken.

The peer is written after the description of Karczewski et al. (2025): the curve is a cubic spline in (t, x)
with 10 free coefficients a coordinate, 512 points, 2000 steps of Adam at 0.1; the denoiser is the gradient of the log
density and its divergence the gradient of that, both by automatic differentiation, and Adam's gradient goes
through them once more. Single thread, float64.
"""

import time

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from phasebook.mixtures.flow import euler_path
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import schedule
from phasebook.mixtures.spacetime import energy as spacetime
from phasebook.mixtures.spacetime.chart import CurveEnergy
from phasebook.mixtures.spacetime.geodesic import geodesic
from phasebook.mixtures.spacetime.polygon import least_polygon

POINTS, STEPS, RATE = 512, 2000, 0.1


def setting() -> tuple:
    """The published mixture, schedule and first reference endpoints."""
    mixture = Mixture(np.array([[-2.5], [0.5], [2.5]]), np.full(3, 0.75**2), np.array([0.275, 0.45, 0.275]))
    linear = schedule("log_snr_linear")
    _, path = euler_path(mixture, linear, np.array([[1.0]]), 1.0, 0.1, 512)
    return mixture, linear, np.array([[1.0, 1.0], [0.1, path[0, -1, 0]]])


def published(mixture: Mixture, endpoints: np.ndarray, nodes: int = 10, steps: int = STEPS) -> float:
    """Energy after the published optimisation."""
    m, v, w = (torch.tensor(a) for a in (mixture.means[:, 0], mixture.variances, mixture.weights))
    ends = torch.tensor(endpoints)
    s = np.linspace(0, 1, POINTS)
    basis = torch.tensor(CubicSpline(np.linspace(0, 1, nodes + 2), np.eye(nodes + 2))(s)[:, 1:-1])
    line = ends[0] + torch.tensor(s)[:, None] * (ends[1] - ends[0])
    free = torch.zeros(nodes, 2, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([free], lr=RATE)

    def energy():
        t, x = (line + basis @ free).unbind(1)
        log_snr = 10 - 20 * t
        alpha, sigma2 = torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr)
        spread = alpha[:, None] ** 2 * v + sigma2[:, None]
        log_p = torch.logsumexp(torch.log(w) - (x[:, None] - alpha[:, None] * m) ** 2 / (2 * spread)
                                - torch.log(spread) / 2, 1)
        score, = torch.autograd.grad(log_p.sum(), x, create_graph=True)
        mean = (x + sigma2 * score) / alpha
        divergence, = torch.autograd.grad(mean.sum(), x, create_graph=True)
        second = mean**2 + sigma2 / alpha * divergence
        eta = torch.stack([alpha * x / sigma2, -(alpha**2) / sigma2 / 2])
        return (eta.diff() * torch.stack([mean, second]).diff()).sum()

    best = np.inf
    for _ in range(steps):
        optimiser.zero_grad()
        t = (line + basis @ free)[:, 0]
        E = energy()
        best = min(best, float(E.detach()))
        soft = torch.relu(-t).square().sum() + torch.relu(t - 1).square().sum()
        (E + soft).backward()
        optimiser.step()
    return best


def rows(steps: int = STEPS) -> list[dict]:
    """Speed at 10 nodes, and energy above the minimum at 10 and 20 nodes."""
    mixture, linear, endpoints = setting()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.perf_counter()
    theirs = published(mixture, endpoints, steps=steps)
    peer_s = (time.perf_counter() - start) * STEPS / steps
    torch.set_num_threads(threads)
    took, energies = {}, {}
    for nodes in (10, 20):
        runs = []
        for _ in range(5):
            start = time.perf_counter()
            energies[nodes] = geodesic(mixture, linear, endpoints, nodes=nodes).energy
            runs.append(time.perf_counter() - start)
        took[nodes] = min(runs)
    eta = spacetime.eta_of(endpoints[:, 1:], linear.alpha(endpoints[:, 0]), linear.sigma(endpoints[:, 0]))
    curve = CurveEnergy(mixture, eta, -np.inf, np.inf)
    z, _ = least_polygon(curve, curve.chart.circle(*curve.ends, np.linspace(0, 1, POINTS)), 1e-13)
    least = curve(z)[0] / (POINTS - 1)
    speed = {
        "name": "spacetime geodesic, 10 nodes, 512 points", "ours_s": took[10], "peer_s": peer_s,
        "ratio": peer_s / took[10], "target": ">= 20",
        "detail": f"energy {energies[10]:.6f} against {theirs:.6f} (Adam, {STEPS} steps); minimum {least:.6f}",
    }
    above = [{
        "name": f"spacetime geodesic, energy above the minimum, {nodes} nodes", "ours_s": took[nodes],
        "peer_s": peer_s, "ratio": energies[nodes] / least - 1, "target": f"<= {target}",
        "detail": f"the published way: {theirs / least - 1:.1e}",
    } for nodes, target in ((10, "5e-4"), (20, "2e-5"))]
    return [speed, *above]


if __name__ == "__main__":
    for row in rows():
        print(row)
