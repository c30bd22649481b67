"""Discrete noise levels and the DDIM step with eta = 0 (Song, Meng, Ermon 2021): the sampler of every slice.

Noise levels. `x_t = alpha x_0 + sigma eps`, `alpha^2 + sigma^2 = 1`. A sampler of S steps visits S + 1 levels;
step k = 0 is the noisy end. At step k the denoiser gives `xhat_0 = E[x_0 | x_k]` at level k, and

    x_{k+1} = alpha_{k+1} xhat_0 + sigma_{k+1} eps_k,      eps_k = (x_k - alpha_k xhat_0) / sigma_k,

which is linear in the pair: `x_{k+1} = a_k x_k + b_k xhat_0`, `a_k = sigma_{k+1} / sigma_k`,
`b_k = alpha_{k+1} - a_k alpha_k`. As the steps get finer this is the probability-flow ODE.

Inversion. Backwards, `x_k = (x_{k+1} - b_k xhat_0) / a_k` needs the prediction at the `x_k` that is looked for.
Taking it at `x_{k+1}` instead (network and level of step k) is the usual first-order inversion, diffusers'
DDIMInverseScheduler. `solve_step` goes on from there to the solution of `F_k(x_k) = x_{k+1}`, F_k the step itself, by

    y <- y + (alpha_k / alpha_{k+1}) (x_{k+1} - F_k(y)),

the fixed-point iteration on eps, with Anderson's mixing of the last few iterates, point by point: a step that ends near
data contracts noise slowly and pictures fast, and mixing learns both. Where the residual grows, a point goes back to
the best state met and takes plain updates at half the rate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

__all__ = ["Inverted", "Levels", "SCHEDULES", "Solved", "Step", "ddim", "ddim_inverse_step", "ddim_step", "invert",
           "levels", "log_snr_levels", "rms", "scaled_linear_levels", "solve_step"]


@dataclass(frozen=True, eq=False)
class Levels:
    """The S + 1 noise levels of a sampler of S steps, from the noisy end; float64.

    `alpha`, `sigma` (S + 1,): the last entry is the level that the last step ends on. `timestep` (S,): the
    training time of each step out of 1000 (SD's schedule), or minus one where the schedule has no such clock.
    """

    name: str
    alpha: Float[ndarray, " s+1"]
    sigma: Float[ndarray, " s+1"]
    timestep: Int[ndarray, " s"]

    @property
    def steps(self) -> int:
        return len(self.alpha) - 1

    @property
    def sigma_over_alpha(self) -> Float[ndarray, " s"]:
        """The noise level of each step in units of the data."""
        return self.sigma[:-1] / self.alpha[:-1]

    @property
    def log_snr(self) -> Float[ndarray, " s"]:
        """`2 log(alpha / sigma)` of each step."""
        return -2 * np.log(self.sigma_over_alpha)

    def coefficients(self, step: int) -> tuple[float, float]:
        """`(a, b)` of `x_next = a x + b xhat_0` at `step`."""
        a = self.sigma[step + 1] / self.sigma[step]
        return float(a), float(self.alpha[step + 1] - a * self.alpha[step])

    def mixing(self, step: int, eta: float = 0.0) -> tuple[float, float, float]:
        """`(a, b, s)` of `x_next = a xhat_0 + b eps + s n`, n standard normal: DDIM with eta >= 0 at `step`."""
        alpha2, alpha2_next = self.alpha[step:step + 2] ** 2
        variance = self.sigma[step + 1]**2 / self.sigma[step]**2 * (1 - alpha2 / alpha2_next)
        spread = eta * float(max(variance, 0.0)) ** 0.5
        return float(self.alpha[step + 1]), float(max(self.sigma[step + 1]**2 - spread**2, 0.0)) ** 0.5, spread


def _check_steps(steps: int, most: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or not 1 <= steps <= most:
        raise ValueError(f"steps = {steps!r}: takes an integer from 1 to {most}")


def scaled_linear_levels(steps: int, beta_start: float = 0.00085, beta_end: float = 0.012,
                         train_steps: int = 1000, offset: int = 1) -> Levels:
    """Stable Diffusion's schedule: sqrt(beta) linear, 'leading' spacing, final alpha that of training time 0.

    Equal to diffusers' DDIMScheduler with `steps_offset=offset, set_alpha_to_one=False`. Leading spacing takes
    every `floor(train_steps / steps)`-th time, so it starts at time 981 for 50 steps (sigma/alpha = 13.1) and, a
    quirk kept on purpose, well below the noisy end when `steps` divides 1000 badly; one step starts at time 1.
    Raises ValueError for `steps` outside 1..train_steps - 1.
    """
    _check_steps(steps, train_steps - 1)
    beta = np.linspace(beta_start**0.5, beta_end**0.5, train_steps) ** 2
    cumulative = np.cumprod(1 - beta)
    stride = train_steps // steps
    timestep = (np.arange(steps) * stride)[::-1] + offset
    alpha2 = np.append(cumulative[timestep], cumulative[0])
    # the step after time `offset` would land below 0: it ends on the level of time 0; the others on their neighbour
    return Levels("scaled_linear", np.sqrt(alpha2), np.sqrt(1 - alpha2), timestep)


def log_snr_levels(steps: int, noisiest: float = 20.0, cleanest: float = 0.03) -> Levels:
    """Levels equally spaced in log-SNR: sigma/alpha geometric from `noisiest` to `cleanest`.

    Raises ValueError unless `noisiest > cleanest > 0` and steps is an integer from 1 to 100000.
    """
    _check_steps(steps, 100_000)
    if not noisiest > cleanest > 0:
        raise ValueError(f"noisiest, cleanest = {noisiest}, {cleanest}: take noisiest > cleanest > 0")
    ratio = np.geomspace(noisiest, cleanest, steps + 1)
    alpha = 1 / np.sqrt(1 + ratio**2)
    return Levels("log_snr", alpha, ratio * alpha, np.full(steps, -1))


SCHEDULES: dict[str, Callable[[int], Levels]] = {"scaled_linear": scaled_linear_levels, "log_snr": log_snr_levels}


def levels(schedule: str, steps: int) -> Levels:
    """The named schedule with `steps` steps; ValueError names an unknown schedule and lists the known ones."""
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule = {schedule!r}: unknown; takes one of {', '.join(SCHEDULES)}")
    return SCHEDULES[schedule](steps)

MEMORY = 6              # iterates that are mixed


class Step(NamedTuple):
    """One step of a sampler: the noisy state it starts from and the clean image predicted there."""

    step: int
    x: Any
    x0: Any


def ddim_step(x: Any, x0: Any, step: int, levels: Levels) -> Any:
    """The next state from the state `x` and its prediction `x0`; arrays or tensors of any shape."""
    a, b = levels.coefficients(step)
    return a * x + b * x0


def ddim(denoise: Callable[[Any, float, float], Any], x: Any, levels: Levels, start: int = 0) -> Iterator[Step]:
    """Yield every step from the state `x` at level `start`; `denoise(x, alpha, sigma)` gives `xhat_0`."""
    for step in range(start, levels.steps):
        x0 = denoise(x, float(levels.alpha[step]), float(levels.sigma[step]))
        yield Step(step, x, x0)
        x = ddim_step(x, x0, step, levels)


# --- inversion ---------------------------------------------------------------------------------------------------

def ddim_inverse_step(x: Any, x0: Any, step: int, levels: Levels) -> Any:
    """The state before `step` from the state `x` after it and the prediction `x0`."""
    a, b = levels.coefficients(step)
    return (x - b * x0) / a


def rms(x: Float[Tensor, "p *latent"]) -> Float[Tensor, " p"]:
    """Root mean square of each point's entries."""
    return x.flatten(1).square().mean(1).sqrt()


class Solved(NamedTuple):
    """`x` with `|F(x) - target|` = `residual` (p,), infinite where nothing was iterated."""

    x: Tensor
    residual: Float[Tensor, " p"]


def _mixed(history: list[tuple[Tensor, Tensor]], rate: float) -> Tensor:
    """Anderson's update: the affine combination of the iterates whose residuals combine to the least, then one step.

    `history`: (iterate, residual), the latest last.
    """
    y, off = history[-1]
    base = y + rate * off
    if len(history) == 1:
        return base
    apart = torch.stack([(o - off).flatten(1) for _, o in history[:-1]], 1).double()
    moves = torch.stack([x + rate * o - base for x, o in history[:-1]], 1)
    a = apart @ apart.mT
    ridge = (1e-10 * a.diagonal(dim1=1, dim2=2).sum(1) + 1e-30)[:, None, None]
    weights = torch.linalg.solve(a + ridge * torch.eye(a.shape[1]).to(a), -apart @ off.flatten(1).double()[..., None])
    return base + (weights.view(*weights.shape[:2], *(1,) * (y.ndim - 1)).to(moves) * moves).sum(1)


def solve_step(advance: Callable[[Tensor], Tensor], target: Tensor, first: Tensor, rate: float, iterations: int,
               tolerance: float, norm: Callable[[Tensor], Tensor] = rms) -> Solved:
    """Solve `advance(x) = target` from the guess `first`, point by point, in at most `iterations` updates.

    Stops when every residual is at most `tolerance`. The best state met is returned with its residual.
    """
    column = (-1, *(1,) * (target.ndim - 1))
    least = torch.full((len(target),), torch.inf, device=target.device)
    if iterations == 0:
        return Solved(first, least)
    y = best = first
    gap, speed, history = torch.zeros_like(target), torch.full_like(least, 2 * rate), []
    for update in range(iterations + 1):
        off = target - advance(y)
        size = norm(off).to(least)
        better = size < least
        at = better.view(column)
        best, gap, least = torch.where(at, y, best), torch.where(at, off, gap), torch.where(better, size, least)
        speed = torch.where(better, speed, speed / 2)
        history = [*history[1 - MEMORY:], (y, off)]
        settled = least <= tolerance
        if update == iterations or bool(settled.all()):
            break
        plain = best + (speed / 2).view(column).to(gap) * gap
        y = torch.where(settled.view(column), best, torch.where(at, _mixed(history, rate), plain))
    return Solved(best, least)


class Inverted(NamedTuple):
    """The state `x` at level `step`, and how far the sampler's step from it misses the state it came from."""

    step: int
    x: Tensor
    residual: Float[Tensor, " p"]
    converged: Bool[Tensor, " p"]


def invert(denoise: Callable[[Tensor, float, float], Tensor], x: Tensor, levels: Levels, stop: int = 0,
           iterations: int = 0, tolerance: float = 1e-5, norm: Callable[[Tensor], Tensor] = rms) -> Iterator[Inverted]:
    """From the clean end `x` (level S) back to level `stop`, one state a step; `x` is not changed.

    `denoise` as in `ddim`. Without iterations nothing is checked and no point counts as converged.
    """
    for step in range(levels.steps - 1, stop - 1, -1):
        at = float(levels.alpha[step]), float(levels.sigma[step])
        first = ddim_inverse_step(x, denoise(x, *at), step, levels)
        advance = lambda y, at=at, step=step: ddim_step(y, denoise(y, *at), step, levels)  # noqa: E731
        found = solve_step(advance, x, first, at[0] / float(levels.alpha[step + 1]), iterations, tolerance, norm)
        x = found.x
        yield Inverted(step, x, found.residual, found.residual <= tolerance)
