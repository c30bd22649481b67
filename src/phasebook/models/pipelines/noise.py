"""The noise of a trained network: the levels it knows, and how its answer splits a state into picture and noise.

A network is trained on `x = alpha x_0 + sigma eps`, with `alpha^2 + sigma^2 = 1` from a table of betas, or with
`alpha = 1 - sigma` (flow matching). It predicts eps, x_0, the velocity `v = alpha eps - sigma x_0` (Salimans and Ho
2022), or the flow's velocity `eps - x_0`. With levels and the split all first-order samplers are one formula
(`levels.Levels.mixing`), which Heun's method takes twice; so what is left of a scheduler is where it places its levels.
"""

import inspect
from copy import deepcopy
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief, whole
from phasebook.models.pipelines.checkpoints import FLOWS, SCHEDULERS, check_scheduler, quiet
from phasebook.sampling.levels import Levels

__all__ = ["Betas", "Flow", "Noise", "check_sampler", "noise_of"]

TABLE = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type")
KINDS = ("epsilon", "sample", "v_prediction")
OWN = ("EulerDiscreteScheduler", "HeunDiscreteScheduler")
CLOCK = 0.02        # by which sigma may miss that of its time: between the times of a table it is interpolated


class Noise(Protocol):
    """Levels by number of steps, a digest of them, and the split."""

    def levels(self, steps: int, name: str) -> Levels:
        """The levels of a sampler of `steps` steps; ValueError for a number that there are none for."""
        ...

    def split(self, x: Tensor, raw: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor]:
        """`(xhat_0, eps)` by what the network said of `x`, taken to lie at the level (alpha, sigma)."""
        ...

    def digest(self) -> bytes:
        """What tells one noise from another."""
        ...

    def check(self, levels: Levels) -> None:
        """ValueError unless the network was trained at these levels, at the times that it is told."""
        ...


def _levels(name: str, alpha: Float[ndarray, " s+1"], sigma: Float[ndarray, " s+1"], time: Float[ndarray, " s"],
            order: int = 1, landing: Float[ndarray, "2 s"] | None = None) -> Levels:
    """Levels; ValueError names the number of steps for which a scheduler's numbers are none."""
    takes = "takes another number of steps, or another scheduler"
    if not (np.isfinite(alpha) & np.isfinite(sigma)).all():
        raise ValueError(f"steps = {len(time)}: the scheduler's noise levels are not finite; {takes}")
    try:
        return Levels(name, alpha, sigma, time, order, landing)
    except ValueError as error:
        raise ValueError(f"steps = {len(time)}: the scheduler has no levels for them ({error}); {takes}") from None


def _check_clock(levels: Levels, total: Float[ndarray, " s+1"], trained: Float[ndarray, " s"]) -> None:
    """ValueError unless `total` is 1 at each level, and sigma at each step what the network was `trained` at."""
    takes = "takes this model's own levels, model.levels(steps)"
    if (levels.timestep < 0).any():
        raise ValueError(f"levels = {levels.name!r}: have no training times; {takes}")
    if (off := np.abs(total - 1)).max() > 1e-3:
        k = off.argmax()
        raise ValueError(f"levels = {levels.name!r}: alpha = {levels.alpha[k]:.3g} with sigma = {levels.sigma[k]:.3g} "
                         f"at level {k} is of another kind of noise; {takes}")
    apart = np.abs(levels.sigma[:-1] - trained)
    if apart.max() > CLOCK:
        k = apart.argmax()
        raise ValueError(f"levels = {levels.name!r}: sigma = {levels.sigma[k]:.3g} at time {levels.timestep[k]:g}, at "
                         f"which the network was trained on {trained[k]:.3g}; {takes}")


class Betas:
    """A table of betas; levels as DDIM takes them, or as Euler's or Heun's method does.

    Args:
        scheduler: a diffusers DDIMScheduler.
        own: a diffusers EulerDiscreteScheduler or HeunDiscreteScheduler, whose levels are taken instead.
    """

    def __init__(self, scheduler: Any, own: Any = None):
        self.scheduler, self.own = scheduler, own

    def digest(self) -> bytes:
        """The table, and what is made of the network's answer."""
        config = self.scheduler.config
        said = (config.prediction_type, config.clip_sample and config.clip_sample_range)
        return self.scheduler.alphas_cumprod.numpy().tobytes() + repr(said).encode()

    def check(self, levels: Levels) -> None:
        """Variance-preserving levels, each at its place in the table."""
        table = np.sqrt(1 - self.scheduler.alphas_cumprod.numpy().astype(np.float64))
        time, sigma = levels.timestep, levels.sigma[:-1]
        trained = np.interp(time, np.arange(len(table)), table)
        if self.own is not None:        # its sigma_min and sigma_max may lie beyond the table, whose ends are told then
            trained = np.where(time <= 0, np.minimum(trained, sigma), trained)
            trained = np.where(time >= len(table) - 1, np.maximum(trained, sigma), trained)
        _check_clock(levels, levels.alpha**2 + levels.sigma**2, trained)

    def levels(self, steps: int, name: str) -> Levels:
        """DDIM's levels: strides through the table, from its own end to its own `final_alpha_cumprod`.

        A step ends a stride below its time. Where times are not a stride apart, by 'linspace' or where the number of
        steps divides that of training badly, the next one takes what it finds as of its own time, as diffusers does.
        """
        most = self.scheduler.config.num_train_timesteps
        steps = whole("steps", steps, 1, most - 1)
        if self.own is not None:
            return self._owns(steps, name)
        self.scheduler.set_timesteps(int(steps))
        time = self.scheduler.timesteps.cpu().numpy()
        if time.max() >= most:
            raise ValueError(f"steps = {steps}: with this schedule's offset the first time is {time.max()}, beyond "
                             f"{most - 1}; take another number")
        table = self.scheduler.alphas_cumprod.numpy()
        before = time - most // int(steps)
        last = np.where(before >= 0, table[before.clip(0)], np.float32(self.scheduler.final_alpha_cumprod))
        alpha2 = np.append(table[time], last[-1])
        # 1 - alpha^2 in float32, as the scheduler has it: near the clean end it differs from the exact one
        (alpha, sigma), landing = (np.sqrt([a2, 1 - a2], dtype=np.float64) for a2 in (alpha2, last))
        return _levels(name, alpha, sigma, time, landing=landing)

    def _owns(self, steps: int, name: str) -> Levels:
        """sigma/alpha as Euler's or Heun's method has them, to 0 at the end; Heun's lists inner levels twice."""
        self.own.set_timesteps(int(steps))
        ratio, time = self.own.sigmas.double().cpu().numpy(), self.own.timesteps.cpu().numpy()
        if self.own.order == 2:
            ratio, time = (np.append(values[:1], values[1::2]) for values in (ratio, time))
        alpha = 1 / np.sqrt(1 + ratio**2)
        return _levels(name, alpha, ratio * alpha, time, self.own.order)

    def split(self, x: Tensor, raw: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor]:
        """By the scheduler's prediction type; the picture is clipped where the scheduler says so."""
        kind, clean = self.scheduler.config.prediction_type, isinstance(sigma, float) and sigma == 0
        if kind == "epsilon":
            x0, eps = (x - sigma * raw) / alpha, raw
        elif kind == "sample":      # at a clean level there is no noise
            x0, eps = raw, torch.zeros_like(x) if clean else (x - alpha * raw) / sigma
        else:
            x0, eps = alpha * x - sigma * raw, alpha * raw + sigma * x
        if self.scheduler.config.clip_sample:
            most = self.scheduler.config.clip_sample_range
            x0 = x0.clamp(-most, most)
            if self.own is not None:        # Heun's slope is that towards the clipped picture; DDIM keeps the network's
                eps = torch.zeros_like(x) if clean else (x - alpha * x0) / sigma
        return x0, eps


class Flow:
    """Flow matching: `alpha = 1 - sigma`, the network predicts `eps - x_0`.

    Args:
        scheduler: a diffusers FlowMatchEulerDiscreteScheduler.
        tokens: patches of a picture, by which some schedulers shift their levels.
        even: whether levels are spread evenly before they are shifted, as Flux does, or as the scheduler does.
    """

    def __init__(self, scheduler: Any, tokens: int, even: bool):
        self.scheduler, self.tokens, self.even = scheduler, tokens, even

    def digest(self) -> bytes:
        """The scheduler's numbers, and a shift that was set later: its ends stay those of the first one."""
        said = sorted((k, v) for k, v in self.scheduler.config.items() if not k.startswith("_"))
        if self.scheduler.shift != self.scheduler.config.shift:
            said.append(("set_shift", self.scheduler.shift))
        return repr(said).encode()

    def levels(self, steps: int, name: str) -> Levels:
        """The scheduler's own, to 0 at the end."""
        config = self.scheduler.config
        steps = whole("steps", steps, 1, config.num_train_timesteps - 1)
        options: dict[str, Any] = {}
        if config.get("use_dynamic_shifting"):
            low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
            most = config.get("max_shift", 1.15)
            slope = (most - config.get("base_shift", 0.5)) / (high - low)
            options["mu"] = self.tokens * slope + config.get("base_shift", 0.5) - slope * low
        if self.even:
            self.scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), **options)
        else:
            self.scheduler.set_timesteps(int(steps), **options)
        sigma = self.scheduler.sigmas.double().cpu().numpy()
        return _levels(name, 1 - sigma, sigma, self.scheduler.timesteps.double().cpu().numpy())

    def check(self, levels: Levels) -> None:
        """`alpha + sigma = 1`, and sigma the time as a share of all."""
        trained = levels.timestep / self.scheduler.config.num_train_timesteps
        _check_clock(levels, levels.alpha + levels.sigma, trained)

    def split(self, x: Tensor, raw: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor]:
        """From the velocity."""
        return x - sigma * raw, x + alpha * raw


def _as_it_is(scheduler: Any) -> dict[str, Any]:
    """A scheduler's configuration without its marks of defaults on values that were changed since: a pipeline in
    memory sets `steps_offset` and `clip_sample` behind them, and `from_config` would take them back."""
    config = dict(scheduler.config)
    own = inspect.signature(type(scheduler).__init__).parameters
    marked = config.get("_use_default_values", [])
    config["_use_default_values"] = [name for name in marked if name in own and config[name] == own[name].default]
    return config


def check_sampler(sampler: str) -> None:
    """ValueError unless it is one that there is."""
    if sampler not in ("ddim", "own"):
        raise ValueError(f"sampler = {brief(sampler)}: takes 'ddim' or 'own'")


def _check_own(label: str, config: Any) -> None:
    """ValueError where a scheduler asks a network at other times than those of its training."""
    if config.get("timestep_type") == "continuous" and config.prediction_type == "v_prediction":
        raise ValueError(f"{label}: sampler = 'own', but its scheduler tells the network logarithms of sigma; takes "
                         "timestep_type = 'discrete', or sampler = 'ddim'")
    spread = config.use_karras_sigmas or config.use_exponential_sigmas or config.use_beta_sigmas
    if config.get("interpolation_type", "linear") != "linear" and not spread:
        raise ValueError(f"{label}: sampler = 'own', but its scheduler has other levels than at the times that it "
                         "tells the network; takes interpolation_type = 'linear', or sampler = 'ddim'")
    if config.get("final_sigmas_type", "zero") not in ("zero", "sigma_min"):
        raise ValueError(f"{label}: final_sigmas_type = {brief(config.final_sigmas_type)}: takes zero or sigma_min")


def noise_of(label: str, scheduler: Any, tokens: int, even: bool, flow: bool, sampler: str) -> Noise:
    """The noise of a pipeline with this scheduler.

    Args:
        label: the beginning of every refusal.
        scheduler: the pipeline's own, of diffusers.
        tokens: patches of a picture.
        even: see `Flow`.
        flow: whether the network is trained by flow matching.
        sampler: 'ddim', the paper's choice, or 'own': as the pipeline's own scheduler places its levels.

    Raises:
        ValueError: one line, for a scheduler that this code does not know, or whose method is another one.
    """
    from diffusers import DDIMScheduler

    check_sampler(sampler)
    kind, known = type(scheduler).__name__, FLOWS if flow else SCHEDULERS
    if kind not in known:           # DDIM would read others' numbers without a word, and of betas they have none
        raise ValueError(f"{label}: its scheduler is a {kind}; takes one of {', '.join(known)}")
    check_scheduler(label, {**scheduler.config, "shift": scheduler.shift} if flow else scheduler.config, flow)
    if flow:
        if scheduler.config.get("stochastic_sampling"):
            raise ValueError(f"{label}: its scheduler adds noise at each step; takes stochastic_sampling = False")
        return Flow(deepcopy(scheduler), tokens, even)      # as it is now: a shift may be set anew for another model
    # other classes have other defaults (Heun's betas), which `from_config` would replace by DDIM's
    changes: dict[str, Any] = {key: scheduler.config[key] for key in TABLE if key in scheduler.config}
    changes["clip_sample"] = scheduler.config.get("clip_sample", False)         # where nothing is said DDIM would clip
    # samplers that place their times by linspace have none for DDIM's stride: it takes its own spacing
    if scheduler.config.get("timestep_spacing") == "linspace" and kind != "DDIMScheduler":
        changes["timestep_spacing"] = "leading"
    if sampler == "own" and kind in OWN:    # neither thresholds, and Euler's clips nothing, though one that was made
        changes["thresholding"] = False     # from another's configuration keeps the words
        if kind == "EulerDiscreteScheduler":
            changes["clip_sample"] = False
        _check_own(label, scheduler.config)
    if sampler == "own" and kind == "DDPMScheduler" and changes.get("timestep_spacing"):
        raise ValueError(f"{label}: sampler = 'own', but its scheduler places its times by linspace, which leaves gaps "
                         "between DDIM's steps; takes sampler = 'ddim'")
    try:
        with quiet():       # of another scheduler's keys, which are not DDIM's
            ddim = DDIMScheduler.from_config(_as_it_is(scheduler), **changes)
    except (ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:120]
        raise ValueError(f"{label}: its schedule is none of DDIM's ({reason})") from None
    if ddim.config.thresholding:
        raise ValueError(f"{label}: thresholding = {brief(ddim.config.thresholding)}: its scheduler thresholds; takes "
                         "thresholding = False")
    if ddim.config.prediction_type not in KINDS:
        raise ValueError(f"{label}: prediction_type = {brief(ddim.config.prediction_type)}: takes one of "
                         f"{', '.join(KINDS)}")
    if ddim.config.rescale_betas_zero_snr and ddim.config.prediction_type == "epsilon":
        raise ValueError(f"{label}: rescale_betas_zero_snr = {brief(ddim.config.rescale_betas_zero_snr)}: the first "
                         "state is pure noise, of which predicted noise says nothing; takes False, or prediction_type "
                         "= 'v_prediction' or 'sample'")
    if sampler == "ddim" or kind in ("DDIMScheduler", "DDPMScheduler"):
        return Betas(ddim)
    if kind not in OWN:
        raise ValueError(f"{label}: sampler = 'own', but its scheduler is a {kind}; takes a DDIMScheduler, a "
                         f"{' or a '.join(OWN)}, or sampler = 'ddim'")
    return Betas(ddim, deepcopy(scheduler))
