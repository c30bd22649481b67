"""The samplers of slices and edits: DDIM (Song, Meng, Ermon 2021) and Heun's, forwards, resumed, and backwards.

At step k the model predicts `xhat_0` and `eps` of the state at level k, and the sampler combines them at level k + 1:

    x_{k+1} = alpha_{k+1} xhat_0 + sqrt(sigma_{k+1}^2 - s^2) eps + s n,       n standard normal, s = 0 for eta = 0.

As steps get finer this is the probability-flow ODE. For eta = 0 it is Euler's method in sigma/alpha, and for flow
matching (alpha = 1 - sigma) Euler's method on the velocity.

At levels of `order` 2 Heun's method goes on from there: with h the step in sigma/alpha, the mean of `eps` at both ends
takes the place of that at the first, `x_{k+1} += alpha_{k+1} h (eps' - eps) / 2`, eps' predicted at x_{k+1} (Karras,
Aittala, Aila, Laine 2022, algorithm 1, in units of the data); the last step has no second end.

Inversion. Backwards, `x_k = alpha_k xhat_0 + sigma_k eps` needs the prediction at the `x_k` that is looked for. Taking
it at `x_{k+1}` instead, with the network asked at step k, is diffusers' DDIMInverseScheduler. With iterations the
prediction is guessed from those at the two levels before, which costs nothing and is nearer, and `solve.solve_step`
goes on from there until the sampler's own step leads from `x_k` to `x_{k+1}`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from phasebook.arguments import brief, first_not_finite, number, switch, whole
from phasebook.sampling.levels import Levels, check_levels
from phasebook.sampling.protocols import Frame, Model, Prediction, Prompt, State, check_prompt
from phasebook.sampling.solve import solve_step

__all__ = ["Inversion", "Resumed", "check_begin", "check_kinds", "check_model", "check_tangents", "invert",
           "normal_start", "resume", "sample"]

PURE = 1e-3             # alpha below which a level counts as one of pure noise
TOGETHER = 2048         # points that `resume` advances at a time: full batches for networks, a bound for the memory


def normal_start(model: Model, seed: int, count: int = 1) -> State:
    """States of `count` standard normal latents, each from a generator of its own seeded `seed`, `seed + 1`, ..."""
    seed, count = whole("seed", seed, 0, 2**63 - 1), whole("count", count, 1)
    draw = [torch.randn(model.shape, generator=torch.Generator().manual_seed(seed + i)) for i in range(count)]
    return model.start(torch.stack(draw).numpy())


def check_model(model: object) -> None:
    """ValueError for anything else."""
    if not hasattr(model, "predict") or isinstance(model, type):
        said = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise ValueError(f"model: {said}; takes a model, such as Denoiser(shape, function)")


def check_kinds(model: Model, levels: Levels, prompt: Prompt | None) -> None:
    """ValueError for an argument in another's place."""
    check_model(model)
    check_levels(levels)
    check_prompt(prompt)


def check_begin(levels: Levels, size: float = 1.0) -> None:
    """ValueError where latents of this size, root mean square, are no noise of the first level, or the noise grows."""
    alpha, sigma = levels.alpha, levels.sigma
    if (grows := sigma[1:] * alpha[:-1] > (1 + 1e-6) * sigma[:-1] * alpha[1:]).any():
        raise ValueError(f"levels = {levels.name!r}: sigma / alpha grows after level {grows.argmax()}; takes levels "
                         "from the noisy end")
    if (first := levels.sigma[0]) > 2 * max(1.0, size):
        raise ValueError(f"levels = {levels.name!r}: noise of standard deviation {first:.3g} at the first level, for "
                         f"latents of size {size:.3g}; takes levels from standard normal latents, such as "
                         "log_snr_levels, with lambda x, alpha, sigma: f(x / alpha, sigma / alpha) for a function f of "
                         "x_0 + sigma eps")


def _check(model: Model, x: State, levels: Levels, prompt: Prompt | None) -> None:
    """ValueError for an argument in another's place, or states of another shape or type than the model's own."""
    check_kinds(model, levels, prompt)
    if not isinstance(x, torch.Tensor):
        raise ValueError(f"x: a {type(x).__name__}; takes states, such as model.start(latents)")
    own = model.start(np.zeros((1, *model.shape)))
    if x.shape[1:] != own.shape[1:] or x.dtype != own.dtype or len(x) == 0:
        raise ValueError(f"x: {_named(x)}; this model takes states that are {_named(own).replace('(1', '(p', 1)}")
    if (point := first_not_finite(x)) is not None:
        raise ValueError(f"x: not finite at point {point}; takes states of finite numbers")
    if prompt is not None:
        prompt.check(len(x))


def check_tangents(tangents: object, x: State) -> None:
    """ValueError unless they are finite derivatives of `x`, or None for none."""
    if tangents is None:
        return
    takes = f"takes derivatives of x, a tensor (t, {', '.join(map(str, x.shape))})"
    if not isinstance(tangents, torch.Tensor):
        raise ValueError(f"tangents: a {type(tangents).__name__}; {takes}")
    if tangents.shape[1:] != x.shape or tangents.dtype != x.dtype or len(tangents) == 0:
        raise ValueError(f"tangents: {_named(tangents)}; {takes}, {str(x.dtype).removeprefix('torch.')}")
    if (point := first_not_finite(tangents.flatten(0, 1))) is not None:
        raise ValueError(f"tangents: not finite at point {point % len(x)}; {takes}, of finite numbers")


def _check_finite(x0: State, levels: Levels, step: int, points: Int[Tensor, " p"] | None = None) -> None:
    """ValueError names the step, its level and the point (of `points`) at which a model has not given numbers."""
    if (point := first_not_finite(x0)) is not None:
        point = point if points is None else int(points[point])
        raise ValueError(f"denoise: the prediction is not finite at step {step} of {levels.steps} (sigma/alpha = "
                         f"{levels.sigma_over_alpha[step]:.3g}), point {point}")


def _named(x: State) -> str:
    return f"{str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape)}"


def _predict(model: Model, x: State, tangents: Float[Tensor, "t p *s"] | None, levels: Levels, step: int,
             prompt: Prompt | None) -> tuple[Prediction, Prediction | None]:
    """The prediction, and its derivatives along tangents where there are any."""
    if tangents is None:
        told = model.predict(x, levels, step, prompt)
        if not isinstance(told, Prediction) or any(part.shape != x.shape for part in told):
            said = [tuple(part.shape) for part in told] if isinstance(told, Prediction) else type(told).__name__
            raise ValueError(f"model: its predict gives {said}; takes a Prediction of x0 and eps, each of shape "
                             f"{tuple(x.shape)}")
        return told, None
    return model.push(x, tangents, levels, step, prompt)


def _step(prediction: Prediction, levels: Levels, step: int) -> State:
    """The state after a deterministic step of first order; linear, so it carries tangents as well."""
    a, b, _ = levels.mixing(step)
    return a * prediction.x0 + b * prediction.eps


def _advance(model: Model, x: State, dx: Float[Tensor, "t p *s"] | None, levels: Levels, step: int,
             prompt: Prompt | None) -> tuple[tuple[Prediction, Prediction | None], State, Tensor | None]:
    """One deterministic step: what the model says before it, the states after it, and their tangents."""
    first = _predict(model, x, dx, levels, step, prompt)
    x, dx = (one and _step(one, levels, step) for one in first)
    if levels.order == 2 and step + 1 < levels.steps:
        ratio = levels.sigma[step:step + 2] / levels.alpha[step:step + 2]
        half = float(levels.alpha[step + 1] * (ratio[1] - ratio[0]) / 2)
        second = _predict(model, x, dx, levels, step + 1, prompt)
        x, dx = (one and y + half * (two.eps - one.eps) for y, one, two in zip((x, dx), first, second, strict=True))
    return first, x, dx


@torch.no_grad()
def sample(model: Model, x: State, levels: Levels, prompt: Prompt | None = None, *, first: int = 0,
           tangents: Float[Tensor, "2 p *s"] | None = None) -> Iterator[Frame]:
    """The deterministic sampler, all points together, a frame a step.

    Args:
        model: any.
        x: states at level `first`; not changed.
        levels: of the sampler.
        prompt: for all points, or one a point.
        first: the step to begin with.
        tangents: derivatives of `x`, carried along.

    Yields:
        A `Frame` a step; unlike those of `model.sweep` frames may be kept.

    Raises:
        ValueError: for a `first` outside the sampler's steps, states of another shape or type than the model's, or a
            prediction that is not finite, once its frame has been given.
    """
    _check(model, x, levels, prompt)
    first = whole("first", first, 0, levels.steps - 1, "a step")
    check_tangents(tangents, x)
    for step in range(first, levels.steps):
        (prediction, slope), after, tangents = _advance(model, x, tangents, levels, step, prompt)
        yield Frame(model, step, prediction.x0, x, after, slope and slope.x0)
        _check_finite(prediction.x0, levels, step)      # after whoever draws the frames, who knows more of the points
        x = after


class Resumed(NamedTuple):
    """The final states `x`, and the clean ones `x0` predicted at the last step, which are what is shown."""

    x: State
    x0: State


@torch.no_grad()
def resume(model: Model, x: State, first: Int[Tensor, " p"], levels: Levels, prompt: Prompt | None = None, *,
           eta: float = 0.0, seed: int = 0, progress: bool = False) -> Resumed:
    """Sample points that start at levels of their own on to the end.

    At each step all points that have begun are advanced together, so that batches stay full.

    Args:
        model: any.
        x: states, each at its level of `first`; not changed.
        first: a level from 0 to S for each point; one at level S is returned as it is.
        levels: of the sampler.
        prompt: for all points, or one a point.
        eta: 0 to 1. The noise of a step is drawn from `seed + step` and shared by all points, so that they differ in
            where they start alone.
        seed: of that noise.
        progress: show a bar.

    Returns:
        The final states `x`, and `x0`, the clean ones predicted at the last step, which are what is shown.

    Raises:
        ValueError: for a `first` outside 0..S or of another length, an eta outside 0..1 (for Heun's method other than
            0), states of another shape or type than the model's, or a prediction that is not finite.
    """
    _check(model, x, levels, prompt)
    first = _levels_of(first, levels.steps, len(x))
    eta, seed = number("eta", eta, "0 to 1", least=0, most=1), whole("seed", seed, 0, 2**62)
    switch("progress", progress)
    if eta and levels.order == 2:
        raise ValueError(f"eta = {eta:g}: Heun's method adds no noise; takes 0, or levels of order 1")
    x = x.clone()
    clean = x.clone()
    with tqdm(total=int((levels.steps - first).sum()), desc="resume", disable=not progress) as bar:
        for step in range(levels.steps):
            begun = (first <= step).nonzero()[:, 0].to(x.device)
            for i in range(0, len(begun), TOGETHER):
                active = begun[i:i + TOGETHER]
                own = prompt and prompt.pick(active)
                (prediction, _), after, _ = _advance(model, x[active], None, levels, step, own)
                _check_finite(prediction.x0, levels, step, active)
                clean[active] = prediction.x0
                if eta:
                    a, b, spread = levels.mixing(step, eta)
                    after = a * prediction.x0 + b * prediction.eps + spread * normal_start(model, seed + step)
                x[active] = after
                bar.update(len(active))
    return Resumed(x, clean)


def _levels_of(first: Int[Tensor, " p"] | int, steps: int, points: int) -> Int[Tensor, " p"]:
    """The level of each point. ValueError unless they are whole numbers from 0 to `steps`, one, or one a point."""
    try:
        levels = torch.as_tensor(first)
        levels = levels.expand(points) if levels.ndim == 0 else levels
    except (TypeError, ValueError, RuntimeError):
        levels = torch.empty(0)
    odd = levels.is_floating_point() or levels.is_complex() or levels.dtype == torch.bool
    if odd or levels.shape != (points,) or int(levels.min()) < 0 or int(levels.max()) > steps:
        raise ValueError(f"first = {brief(first)}: takes a level from 0 to {steps} for each of {points} points")
    return levels


class Inversion(NamedTuple):
    """The way back of `invert`.

    Attributes:
        x: `x[k]`, the states at level k, from `stop` (before it: zeros) to S, the source.
        residual: the norm by which the sampler's step from `x[k]` misses `x[k + 1]`, infinite where nothing was
            iterated.
        converged: whether it is within the tolerance; without iterations nothing is checked, and no point counts as
            converged.
        x0: `x0[k]`, what the model predicts at `x[k]`; None where nothing was iterated.
    """

    x: Float[Tensor, "s+1 p *s"]
    residual: Float[Tensor, "s p"]
    converged: Bool[Tensor, "s p"]
    x0: Float[Tensor, "s p *s"] | None


@torch.no_grad()
def invert(model: Model, x: State, levels: Levels, prompt: Prompt | None = None, *, stop: int = 0, iterations: int = 0,
           tolerance: float = 1e-5, progress: bool = False) -> Inversion:
    """From the clean end (level S) back to level `stop`: with iterations, the exact reverse of `sample`.

    Args:
        model: any.
        x: states at level S; not changed.
        levels: of the sampler.
        prompt: for all points, or one a point.
        stop: the level to go back to.
        iterations: updates a step at most; 0 is diffusers' inverse scheduler, first order in the step. Guidance above 1
            makes a step steep: more are needed, and some points may not settle.
        tolerance: of the residual, in the model's own norm.
        progress: show a bar.

    Returns:
        The states `x` (level, point, ...) at all levels, of which `x[stop]` is the last one found, with the `residual`
        of each step and whether it `converged`.

    Raises:
        ValueError: for a `stop` outside the sampler's steps, fewer iterations than none, a tolerance that is not
            positive, states that are not finite or of another shape or type than the model's, or a prediction that is
            not finite.
    """
    _check(model, x, levels, prompt)
    stop, iterations = whole("stop", stop, 0, levels.steps - 1, "a step"), whole("iterations", iterations, 0)
    tolerance, _ = number("tolerance", tolerance, "a positive number", above=0), switch("progress", progress)
    states, x0 = x.new_zeros(levels.steps + 1, *x.shape), x.new_zeros(levels.steps, *x.shape)
    residual = torch.full((levels.steps, len(x)), torch.inf)
    states[-1] = x
    for step in tqdm(range(levels.steps - 1, stop - 1, -1), desc="invert", disable=not progress):
        # over a gap the step that is undone has ended before the next level
        at, k = (levels, step) if levels.landing is None else (levels.alone(step), 0)
        if iterations and step + 1 < levels.steps:
            ahead = x0[step + 1] if step + 2 == levels.steps else 2 * x0[step + 1] - x0[step + 2]
            back = Prediction.of(ahead, x, at, k, read=k + 1)
        else:
            back = model.predict(x, at, k, prompt, read=k + 1)
            _check_finite(back.x0, levels, step)
        x = float(levels.alpha[step]) * back.x0 + float(levels.sigma[step]) * back.eps

        def advance(y: State, points: Int[Tensor, " m"], step=step) -> tuple[State, State]:
            (prediction, _), after, _ = _advance(model, y, None, levels, step, prompt and prompt.pick(points))
            return after, prediction.x0

        if iterations:
            alpha = levels.alpha[step]
            rate = float(alpha / levels.alpha[step + 1]) if alpha > PURE else 1.0         # see solve_step
            x, left, x0[step] = solve_step(advance, states[step + 1], x, rate, iterations, tolerance, model.norm)
            _check_finite(x0[step], levels, step)
            residual[step] = left.float().cpu()
        states[step] = x
    return Inversion(states, residual, residual <= tolerance, x0 if iterations else None)
