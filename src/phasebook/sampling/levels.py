"""Discrete noise levels: `x = alpha x_0 + sigma eps` at each step of a sampler, from the noisy end."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.arguments import brief, number, numbers, whole

__all__ = ["SCHEDULES", "Levels", "asked_at", "check_levels", "log_snr_levels", "named_levels", "scaled_linear_levels"]

MOST = 100_000          # steps


@dataclass(frozen=True, eq=False)
class Levels:
    """The S + 1 noise levels of a sampler of S steps, from the noisy end; float64.

    Attributes:
        name: of the schedule.
        alpha: the signal's factor (S + 1,); the last entry is the level that the last step ends on.
        sigma: the noise's standard deviation (S + 1,). `alpha^2 + sigma^2 = 1` for variance-preserving schedules,
            `alpha + sigma = 1` for flow matching.
        timestep: what a network is told at each step (S,), minus one where the schedule has no such clock.
        order: of the sampler: 1 for DDIM and Euler's method, 2 for Heun's, which asks a model at both ends of a step:
            `dataclasses.replace(levels, order=2)` is the same levels with Heun's.
        landing: alpha and sigma (2, S) at which each step ends, where that is not the level at which the next begins;
            else None. Some of diffusers' spacings leave such gaps: what arrives at one level is read as of the next.

    Raises:
        ValueError: for numbers that are not finite, lengths that do not fit, alpha < 0, alpha = 0 after the first
            level (at order 2 also at it), sigma = 0 before the end, another order, or gaps at order 2.
    """

    name: str
    alpha: Float[ndarray, " s+1"]
    sigma: Float[ndarray, " s+1"]
    timestep: Float[ndarray, " s"]
    order: int = 1
    landing: Float[ndarray, "2 s"] | None = None

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise ValueError(f"name = {brief(self.name)}: takes a text")
        for key in ("alpha", "sigma", "timestep"):
            given = numbers(key, getattr(self, key), "an array of numbers")
            object.__setattr__(self, key, given if key == "timestep" else given.astype(np.float64))
        a, s, t = self.alpha, self.sigma, self.timestep
        if a.ndim != 1 or len(a) < 2 or s.shape != a.shape or t.shape != (len(a) - 1,):
            raise ValueError(f"alpha, sigma, timestep: shapes {a.shape}, {s.shape}, {t.shape}; takes (S + 1,), "
                             "(S + 1,), (S,) for S >= 1 steps")
        if a.min() < -1e-6 or s.min() < 0 or s[:-1].min() == 0:         # 1 - sigma is rounded
            raise ValueError("alpha, sigma: a number below 0, or sigma = 0 before the end; takes alpha >= 0, sigma > 0")
        if a[1:].min() <= 0:
            raise ValueError(f"alpha = 0 at level {1 + a[1:].argmin()}: takes pure noise at the first level alone")
        object.__setattr__(self, "alpha", np.where(a > 0, a, 0.0))
        object.__setattr__(self, "order", whole("order", self.order, 1, 2))
        if self.order == 2 and self.alpha[0] == 0:
            raise ValueError("order = 2: Heun's method divides by alpha, which is 0 at the first level; takes 1")
        if self.landing is not None:
            object.__setattr__(self, "landing", self._gaps())

    def _gaps(self) -> Float[ndarray, "2 s"] | None:
        """`landing`, checked; None where there are no gaps."""
        lands = numbers("landing", self.landing, "an array of numbers").astype(np.float64)
        if lands.shape != (2, self.steps) or lands[0].min() <= 0 or lands[1].min() < 0:
            raise ValueError(f"landing = {brief(lands)}: takes alpha > 0 and sigma >= 0 of each step, (2, S) numbers")
        if np.array_equal(lands, [self.alpha[1:], self.sigma[1:]]):
            return None
        if self.order == 2:
            raise ValueError("landing: Heun's method asks where a step ends, and has no gaps; takes None, or order 1")
        return lands

    @property
    def steps(self) -> int:
        """The number of steps S."""
        return len(self.alpha) - 1

    @property
    def evaluations(self) -> int:
        """How often a model is asked over all steps: Heun's method asks twice a step, but at the last."""
        return self.order * self.steps - (self.order - 1)

    @property
    def sigma_over_alpha(self) -> Float[ndarray, " s"]:
        """The noise level of each step in units of the data; infinite for pure noise."""
        with np.errstate(divide="ignore"):
            return self.sigma[:-1] / self.alpha[:-1]

    @property
    def heights(self) -> Float[ndarray, " s"]:
        """The same on an axis that ends.

        Pure noise, with which a flow begins, stands as far above the first level with some signal as that above the
        second.
        """
        noise = self.sigma_over_alpha
        if self.steps > 1 and np.isinf(noise[0]):
            noise[0] = noise[1] ** 2 / noise[2] if self.steps > 2 else 2 * noise[1]
        return noise

    @property
    def log_snr(self) -> Float[ndarray, " s"]:
        """`2 log(alpha / sigma)` of each step."""
        return -2 * np.log(self.sigma_over_alpha)

    def thinned(self, stride: int) -> "Levels":
        """Every `stride`-th level.

        Args:
            stride: a divisor of the number of steps.

        Returns:
            The levels of a sampler of fewer steps, with the same first and last one, and without gaps.

        Raises:
            ValueError: for a stride that does not divide the number of steps.
        """
        if self.steps % whole("stride", stride, 1):
            raise ValueError(f"stride = {stride}: takes a divisor of the {self.steps} steps")
        return Levels(self.name, self.alpha[::stride], self.sigma[::stride], self.timestep[::stride], self.order)

    def alone(self, step: int) -> "Levels":
        """One step, from its own level to where it ends: over a gap that is not the next level.

        Args:
            step: from 0.

        Returns:
            Two levels.

        Raises:
            ValueError: for a step that is none of the sampler's.
        """
        step = whole("step", step, 0, self.steps - 1)
        lands = (self.alpha[1:], self.sigma[1:]) if self.landing is None else self.landing
        alpha, sigma = np.append(self.alpha[step], lands[0][step]), np.append(self.sigma[step], lands[1][step])
        return Levels(self.name, alpha, sigma, self.timestep[step:step + 1], self.order)

    def mixing(self, step: int, eta: float = 0.0) -> tuple[float, float, float]:
        """Coefficients of `x_next = a xhat_0 + b eps + s n`, n standard normal, at `step`.

        DDIM (Song, Meng, Ermon 2021, Eqs. 12 and 16): `a = alpha'`, `b = sqrt(sigma'^2 - s^2)`,
        `s = eta sigma' sqrt(1 - (alpha sigma' / (alpha' sigma))^2)`, which for variance-preserving levels is their
        `eta (sigma'/sigma) sqrt(1 - alpha^2/alpha'^2)`. With eta = 0 this is also Euler's step in `sigma/alpha`, and
        that of flow matching; with eta = 1 a draw from the Gaussian bridge of any levels.

        Args:
            step: from 0.
            eta: 0 for the deterministic sampler, 1 for the ancestral one.

        Returns:
            a, b and s.

        Raises:
            ValueError: for a step that is none of the sampler's, or an eta outside 0..1.
        """
        step, eta = whole("step", step, 0, self.steps - 1), number("eta", eta, "0 to 1", least=0, most=1)
        alpha, sigma = self.alpha[step], self.sigma[step]
        lands = (self.alpha[1:], self.sigma[1:]) if self.landing is None else self.landing
        alpha_next, sigma_next = lands[0][step], lands[1][step]
        variance = sigma_next**2 * (1 - (alpha * sigma_next / (alpha_next * sigma)) ** 2)
        spread = eta * float(max(variance, 0.0)) ** 0.5
        return float(alpha_next), float(max(sigma_next**2 - spread**2, 0.0)) ** 0.5, spread


def check_levels(levels: object) -> None:
    """ValueError for anything else."""
    if not isinstance(levels, Levels):
        raise ValueError(f"levels = {brief(levels)}: takes a Levels, such as model.levels(50)")


def asked_at(levels: Levels, step: int, read: int | None = None) -> tuple[int, int]:
    """The step at which a model is asked, and the level at which its answer is read.

    Args:
        levels: of the sampler.
        step: from 0.
        read: a level; None for that of the step.

    Returns:
        Both.

    Raises:
        ValueError: for no levels, or a step or level that they do not have.
    """
    check_levels(levels)
    step = whole("step", step, 0, levels.steps - 1)
    return step, step if read is None else whole("read", read, 0, levels.steps)


def scaled_linear_levels(steps: int, beta_start: float = 0.00085, beta_end: float = 0.012,
                         train_steps: int = 1000, offset: int = 1) -> Levels:
    """Stable Diffusion's schedule: sqrt(beta) linear, 'leading' spacing, final alpha that of training time 0.

    Equal to diffusers' DDIMScheduler with `steps_offset=offset, set_alpha_to_one=False`. Leading spacing takes
    every `floor(train_steps / steps)`-th time, so it starts at time 981 for 50 steps (sigma/alpha = 13.1) and, a
    quirk kept on purpose, well below the noisy end when `steps` divides 1000 badly; one step starts at time 1.

    Args:
        steps: 1 to train_steps - 1.
        beta_start: beta at training time 0.
        beta_end: beta at the last training time.
        train_steps: number of training times, up to 100000.
        offset: of the first time.

    Returns:
        Steps + 1 levels.

    Raises:
        ValueError: for `steps`, `train_steps` or `offset` out of range, or betas outside (0, 1).
    """
    steps = whole("steps", steps, 1, whole("train_steps", train_steps, 2, MOST) - 1)
    offset = whole("offset", offset, 0, train_steps - 1 - (steps - 1) * (train_steps // steps))
    for name, value in (("beta_start", beta_start), ("beta_end", beta_end)):
        number(name, value, "a number above 0, below 1", above=0, most=1 - 1e-9)
    beta = np.linspace(beta_start**0.5, beta_end**0.5, train_steps) ** 2
    cumulative = np.cumprod(1 - beta)
    stride = train_steps // steps
    timestep = (np.arange(steps) * stride)[::-1] + offset
    alpha2 = np.append(cumulative[timestep], cumulative[0])
    # the step after time `offset` would land below 0: it ends on the level of time 0; the others on their neighbour
    return Levels("scaled_linear", np.sqrt(alpha2), np.sqrt(1 - alpha2), timestep)


def log_snr_levels(steps: int, noisiest: float = 20.0, cleanest: float = 0.03) -> Levels:
    """Levels equally spaced in log-SNR: sigma/alpha geometric from `noisiest` to `cleanest`, variance preserving.

    Args:
        steps: 1 to 100000.
        noisiest: sigma/alpha at the first step.
        cleanest: sigma/alpha at the end.

    Returns:
        Steps + 1 levels.

    Raises:
        ValueError: unless `noisiest > cleanest > 0`, or for `steps` out of range.
    """
    steps = whole("steps", steps, 1, MOST)
    takes = "numbers noisiest > cleanest > 0"
    for name, value in (("noisiest", noisiest), ("cleanest", cleanest)):
        number(name, value, takes, above=0)
    if not noisiest > cleanest:
        raise ValueError(f"noisiest, cleanest = {brief(noisiest)}, {brief(cleanest)}: takes {takes}")
    ratio = np.geomspace(noisiest, cleanest, steps + 1)
    alpha = 1 / np.sqrt(1 + ratio**2)
    return Levels("log_snr", alpha, ratio * alpha, np.full(steps, -1))


SCHEDULES: dict[str, Callable[[int], Levels]] = {"scaled_linear": scaled_linear_levels, "log_snr": log_snr_levels}


def named_levels(schedule: str, steps: int) -> Levels:
    """The named schedule with `steps` steps.

    Returns:
        Steps + 1 levels.

    Raises:
        ValueError: for an unknown schedule, with the known ones.
    """
    if not isinstance(schedule, str) or schedule not in SCHEDULES:
        raise ValueError(f"schedule = {schedule!r}: unknown; takes one of {', '.join(SCHEDULES)}")
    return SCHEDULES[schedule](steps)
