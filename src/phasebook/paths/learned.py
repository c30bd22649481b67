r"""A small learned denoiser of two coordinates, beside the exact one.

The network predicts `E[x_0 | z] = y + exp(-u/2) f(y, u)` in the chart of the data's mean and variance: y is the
Gaussian guess and `exp(-u/2)` its standard deviation, so f is of order one at every noise level. It is trained by
least squares on equilibrium samples. The second moment follows from the first, `E|x_0|^2 = |E x_0|^2 + div_q E[x_0]`,
here by automatic differentiation. float32 in training, float64 afterwards.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from phasebook.arguments import numbers, whole
from phasebook.mixtures.spacetime.chart import Chart
from phasebook.paths.denoiser import Boltzmann

__all__ = ["Learned", "equilibrium", "train"]

LEVELS = (-6.0, 8.0)    # log-SNR of the training pairs
WIDTH, BATCH, RATE = 96, 512, 3e-3


class Learned(NamedTuple):
    """A trained denoiser: the network f and the chart of its data."""

    net: nn.Module
    chart: Chart

    def moments(self, eta: Float[ndarray, "m 3"]) -> Float[ndarray, "m 3"]:
        """`mu = (E[x_0], E|x_0|^2)` as the network has it, at natural parameters."""
        q = torch.tensor(eta[:, :2], requires_grad=True)
        k = torch.tensor(-2 * eta[:, 2:])
        mean = _mean(self.net, self.chart, q, k)
        div = sum(torch.autograd.grad(mean[:, i].sum(), q, retain_graph=True)[0][:, i] for i in (0, 1))
        return torch.cat([mean, ((mean**2).sum(1) + div)[:, None]], dim=1).detach().numpy()


def equilibrium(law: Boltzmann, count: int, rng: np.random.Generator) -> Float[ndarray, "count 2"]:
    """Independent samples of a Boltzmann density: a node by its mass, and a uniform place within its cell."""
    p = law.mass.ravel() / law.mass.sum()
    i, j = np.divmod(rng.choice(p.size, count, p=p), len(law.y))
    cell = np.array([law.x[1] - law.x[0], law.y[1] - law.y[0]])
    return np.column_stack([law.x[i], law.y[j]]) + cell * (rng.random((count, 2)) - 0.5)


def train(samples: Float[ndarray, "s 2"], steps: int, seed: int) -> Learned:
    """A denoiser of samples.

    Args:
        samples: of the data.
        steps: of Adam, the rate falling to zero as a cosine.
        seed: of the network and of the noise.

    Returns:
        The denoiser.

    Raises:
        ValueError: for samples that are no places of the plane, or all equal; for no step.
    """
    takes, steps = "places (s, 2), not all equal", whole("steps", steps, 1)
    samples = numbers("samples", samples, takes)
    if samples.ndim != 2 or samples.shape[1] != 2 or len(np.unique(samples, axis=0)) < 2:
        raise ValueError(f"samples: shape {samples.shape}; takes {takes}")
    mean = samples.mean(0)
    chart = Chart(mean, float(((samples - mean) ** 2).mean()))
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(18, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(),
                            nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 2))
    data, optimiser = torch.tensor(samples, dtype=torch.float32), torch.optim.Adam(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        x = data[torch.randint(len(data), (BATCH,), generator=generator)]
        level = torch.rand(BATCH, 1, generator=generator)
        k = torch.exp(LEVELS[0] + (LEVELS[1] - LEVELS[0]) * level)
        q = k * x + torch.sqrt(k) * torch.randn(x.shape, generator=generator)
        loss = ((k + 1 / chart.variance) * (_mean(net, chart, q, k) - x) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return Learned(net.double(), chart)


def _mean(net: nn.Module, chart: Chart, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """`E[x_0]` by the network: features are y, its waves of one to three turns in six units, and u."""
    K = k + 1 / chart.variance
    centre = torch.tensor(chart.mean, dtype=q.dtype)
    y = (q + centre / chart.variance) / K
    u = torch.log(K)
    away = y - centre
    waves = [turn(n * away) for n in (1, 2, 3) for turn in (torch.sin, torch.cos)]
    levels = [turn(u / 2) for turn in (torch.sin, torch.cos)]
    features = torch.cat([away, *waves, u / 4, *levels, u**2 / 16], dim=1)
    return y + torch.exp(-u / 2) * net(features)
