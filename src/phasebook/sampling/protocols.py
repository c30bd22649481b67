"""The centre of the library: what a model is, what it can be measured by, and what passes between the two.

A *model* is anything that predicts, at a noise level, the clean state and the noise of a noisy one:

    x_t = alpha x_0 + sigma eps,        xhat_0 = E[x_0 | x_t],        eps_hat = (x_t - alpha xhat_0) / sigma.

Samplers, slices, edits and hierarchies are written against `Model` and `Feature` alone. States are tensors with the
points first; what else they hold is the model's own affair, as long as the sampler may combine them linearly.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief, number
from phasebook.sampling.levels import Levels, check_levels
from phasebook.sampling.solve import rms
from phasebook.sampling.tangents import forward_mode, pushed

__all__ = ["Embedding", "Feature", "Frame", "Model", "Pixels", "Prediction", "Prompt", "State", "check_prompt",
           "check_steps"]

PICTURES = 256          # decoded at a time: 0.8 GB at 512 x 512
KEPT = 1 << 28          # numbers in the decoded pictures of a frame that are kept for the next feature

State = Float[Tensor, "p *s"]
Pixels = Float[Tensor, "p 3 y x"]


class Prediction(NamedTuple):
    """What a model says of noisy states at one level: the clean states `x0` and the noise `eps` in them."""

    x0: State
    eps: State

    @classmethod
    def of(cls, x0: State, x: State, levels: Levels, step: int, read: int | None = None) -> "Prediction":
        """The clean states that a model gives, and what is left of the noisy ones besides: their noise.

        Args:
            x0: clean states.
            x: noisy ones.
            levels: of the sampler.
            step: at which the model was asked.
            read: the level at which `x` lies, if another. Where that is clean, as a flow's end is, there is no noise.

        Returns:
            Both.
        """
        at = step if read is None else read
        if levels.sigma[at] == 0:
            return cls(x0, torch.zeros_like(x))
        return cls(x0, (x - float(levels.alpha[at]) * x0) / float(levels.sigma[at]))


class _Asked(NamedTuple):
    conditions: Mapping[str, Tensor]
    guidance: float


class Prompt(_Asked):
    """What a model is asked for.

    Attributes:
        conditions: tensors by name, each with one row for all points (1, ...) or a row a point (p, ...).
        guidance: the w of `eps_negative + w (eps_prompt - eps_negative)`, from 0; 1 or less: none.

    Raises:
        ValueError: for anything else.
    """

    __slots__ = ()

    def __new__(cls, conditions: Mapping[str, Tensor], guidance: float = 1.0):
        """The prompt, checked."""
        named = isinstance(conditions, Mapping) and conditions.values()
        if named is False or not all(isinstance(c, Tensor) and c.ndim for c in named):
            raise ValueError(f"prompt: its conditions are {brief(conditions)}; takes tensors by name, points first")
        number("guidance", guidance, "a finite number >= 0", least=0)
        return super().__new__(cls, conditions, guidance)

    def pick(self, index: Int[Tensor, " q"]) -> "Prompt":
        """The prompts of some points, in that order."""
        rows = {name: c if len(c) == 1 else c[index.to(c.device)] for name, c in self.conditions.items()}
        return Prompt(rows, self.guidance)

    def check(self, points: int) -> None:
        """ValueError unless there is one row for all `points`, or one for each."""
        for c in self.conditions.values():
            if len(c) not in (1, points):
                raise ValueError(f"prompt: of {len(c)} points; takes one for all {points}, or one a point")


def check_prompt(prompt: object, points: int | None = None) -> None:
    """ValueError unless it is a prompt, or None for none, of that many points."""
    if prompt is not None and not isinstance(prompt, Prompt):
        raise ValueError(f"prompt = {brief(prompt)}: takes a Prompt, such as model.prompt('a red cat')")
    if prompt is not None and points is not None:
        prompt.check(points)


def check_steps(steps: object, levels: Levels, points: int) -> Int[ndarray, " p"]:
    """The step of each point as an array. ValueError unless they are the sampler's own, and as many as points."""
    check_levels(levels)
    at = np.asarray(steps)
    if at.shape != (points,) or at.dtype.kind not in "iu" or (at < 0).any() or (at >= levels.steps).any():
        raise ValueError(f"steps = {brief(steps)}: takes a step from 0 to {levels.steps - 1} for each of {points} "
                         "points")
    return at


class Embedding(NamedTuple):
    """Coordinates of frames by which distances are taken: `<f, g> = sum(points_f * duals_g)`, times the unit squared.

    Attributes:
        points: coordinates, in the feature's unit.
        duals: of these; the points themselves for plain coordinates.
        d_points: derivatives along two tangents, or None.
        d_duals: likewise.
    """

    points: Float[Tensor, "p k"]
    duals: Float[Tensor, "p k"]
    d_points: Float[Tensor, "2 p k"] | None = None
    d_duals: Float[Tensor, "2 p k"] | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """All points at one step of the sampler.

    Attributes:
        model: whose states they are.
        step: 0 at the noisy end.
        x0: the clean states predicted at the step. A sweep may write the next step into the same memory: keep copies.
        x: the noisy states that the step starts from; None where a sweep does not form them.
        after: the states that the step ends on; None likewise.
        dx0: derivatives of `x0` along two tangents, or None.
    """

    model: "Model"
    step: int
    x0: State
    x: State | None = None
    after: State | None = None
    dx0: Float[Tensor, "2 p *s"] | None = None
    _embedded: dict[int, Embedding] = field(default_factory=dict, repr=False)
    _decoded: list[Pixels] = field(default_factory=list, repr=False)

    def pictures(self) -> Iterator[Pixels]:
        """The predicted pictures, some points at a time; decoded once for all features where they fit in memory."""
        if self._decoded:
            yield from self._decoded
            return
        parts = self.x0.split(PICTURES)
        for part in parts:
            pixels = self.model.decode(part)
            if len(self.x0) * pixels[0].numel() <= KEPT:
                self._decoded.append(pixels)
            yield pixels

    def pictures_at(self, points: Int[Tensor, " k"]) -> Pixels:
        """The predicted pictures of some points; not decoded again where a feature has looked at all."""
        if sum(map(len, self._decoded)) == len(self.x0):
            return torch.stack([self._decoded[point // PICTURES][point % PICTURES] for point in points.tolist()])
        return self.model.decode(self.x0[points])

    def embedded(self, feature: "Feature") -> Embedding:
        """The frame through a feature; computed once, however many features build on it."""
        if id(feature) not in self._embedded:
            f = feature(self)
            p = len(self.x0)
            if not isinstance(f, Embedding) or not all(isinstance(x, Tensor) and len(x) == p for x in f[:2]):
                raise ValueError(f"feature: a {type(feature).__name__} gives a {type(f).__name__}; takes one that "
                                 f"gives the Embedding of {p} points, tensors ({p}, k)")
            self._embedded[id(feature)] = f
        return self._embedded[id(feature)]


@runtime_checkable
class Feature(Protocol):
    """A Euclidean geometry of predictions.

    Attributes:
        unit: of distances: those of the embedding are multiplied by it.
        at: the steps at which it is measured, or None for all.
    """

    unit: float = 1.0
    at: Collection[int] | None = None

    def __call__(self, frame: Frame) -> Embedding:
        """The frame's points as coordinates."""
        ...

    def yardstick(self, model: "Model", prompt: Prompt | None = None) -> float:
        """The distance of two unrelated final predictions, by which jumps are called large."""
        ...


class Model(Protocol):
    """A denoiser with a latent space. Inherit from it: `push` and `sweep` are then there already.

    Attributes:
        shape: of a latent, without the points.
        fingerprint: the same text for the same model, wherever it runs.
        features: what its predictions can be measured by without more, the usual one first.
    """

    shape: tuple[int, ...]
    fingerprint: str
    features: Mapping[str, Feature]

    def levels(self, steps: int) -> Levels:
        """The noise levels of a sampler of `steps` steps."""
        ...

    def start(self, latents: Float[ndarray, "m *latent"], coefficients: Float[ndarray, "p m"] | None = None) -> State:
        """States of latents, or of combinations `coefficients @ latents` of a few."""
        ...

    def prompt(self, texts: str | Sequence[str], guidance: float = 1.0, negative: str = "") -> Prompt:
        """A prompt for all points, or one a point. '' is the plain distribution."""
        ...

    def predict(self, x: State, levels: Levels, step: int, prompt: Prompt | None = None,
                read: int | None = None) -> Prediction:
        """The prediction at `step`.

        Args:
            x: noisy states; any number of points.
            levels: those of the sampler.
            step: the model is asked at this step's level.
            prompt: None for the plain distribution.
            read: the level at which `x` lies and the answer is turned into clean state and noise, where it is not that
                of `step`. Inversion asks at `step` about the state after it.
        """
        ...

    def decode(self, x0: State) -> Pixels:
        """Pictures in [0, 1] of clean states. ValueError for a model without pictures."""
        ...

    def predict_each(self, x: State, levels: Levels, steps: Int[ndarray, " p"],
                     prompt: Prompt | None = None) -> Prediction:
        """Predictions of points that each lie at a step of their own: level by level, unless a model is faster."""
        steps = check_steps(steps, levels, len(x))
        parts, order = [], np.argsort(steps, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(steps[order])) + 1):
            index = torch.as_tensor(rows, device=x.device)
            parts.append(self.predict(x[index], levels, int(steps[rows[0]]), prompt and prompt.pick(index)))
        back = torch.as_tensor(np.argsort(order, kind="stable"), device=x.device)
        return Prediction(*(torch.cat(values)[back] for values in zip(*parts, strict=True)))

    def norm(self, x: State) -> Float[Tensor, " p"]:
        """Of differences of states: root mean square over the entries of the latents; NaN where one has NaN in it."""
        if not isinstance(x, Tensor) or x.ndim < 2:
            raise ValueError(f"x: {brief(x)}; takes differences of states, points first")
        return rms(x)

    def push(self, x: State, dx: Float[Tensor, "t p *s"], levels: Levels, step: int,
             prompt: Prompt | None = None) -> tuple[Prediction, Prediction]:
        """The prediction and its derivatives (t, p, ...) along tangents `dx`, by forward-mode differentiation."""
        both = pushed(lambda y: tuple(self.predict(y, levels, step, prompt)))
        with forward_mode():
            rows = [both(x, d) for d in dx]
        x0, eps = rows[0][:2]
        return Prediction(x0, eps), Prediction(*(torch.stack([r[k] for r in rows]) for k in (2, 3)))

    def sweep(self, x: State, levels: Levels, prompt: Prompt | None = None, *, first: int = 0,
              tangents: Float[Tensor, "2 p *s"] | None = None) -> Iterator[Frame]:
        """The deterministic sampler from states at level `first`, a frame a step.

        Returns:
            The frames of `samplers.sample`, to which a model may have a faster way.
        """
        from phasebook.sampling.samplers import sample

        return sample(self, x, levels, prompt, first=first, tangents=tangents)
