"""Students of the exact flow in few steps: what they are taught, how they are trained, and what they generate.

A student of k steps has a layer for each. Levels run from pure noise down to the data; states are divided by their
standard deviation. Two things can be taught, from pairs of states on one path of the exact flow. `trajectory`: from
the state at a level to the state at the next, so that the composition is the flow. `consistency`: from the state at
each level to the end of its path; noise is then added afresh to reach the next level (Song, Dhariwal, Chen, Sutskever
2023). The targets are exact, not the student's own.

In one step the two are the same. A generator's latent is all the Gaussian noise that it takes: d numbers, or k d with
fresh noise. All seeds, and all tasks of one size, train at once. What is random has a generator for each target, step
and purpose: layers learn from the same batches, soft and hard ones begin with the same weights, and none depends on
which other targets are learnt. float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief, number, whole
from phasebook.fewstep.layers import LAYERS, Layer, matched
from phasebook.fewstep.targets import Target, flowed

__all__ = ["KINDS", "Lesson", "Student", "distil", "fresh_noise", "lessons", "levels_of"]

KINDS = ("trajectory", "consistency")
MIDDLE = (1.5, 0.6, 0.25)       # noise levels between the first and the last, in units of the data's deviation
END = 0.2                       # the last one, in units of a Gaussian's own deviation
RATE, BATCH = 0.01, 32


def levels_of(steps: int) -> tuple[float, ...]:
    """The levels at which the steps after the first begin, in units of the data's deviation.

    Raises:
        ValueError: unless `steps` is 1, 2 or 4.
    """
    known = {1: (), 2: MIDDLE[1:2], 4: MIDDLE}
    if steps not in known:
        raise ValueError(f"steps = {steps}: takes 1, 2 or 4")
    return known[steps]


def fresh_noise(steps: int) -> list[float]:
    """The part of fresh noise in what the steps after the first are given, where consistency is taught: s of
    `chained_constant`, for maps in units of the data's deviation."""
    return [level / (1 + level**2)**0.5 for level in levels_of(steps)]


@dataclass(frozen=True, eq=False)
class Lesson:
    """Paths of the exact flow to one target: the states `x` of n paths at pure noise, at `MIDDLE` and at the end, each
    divided by its standard deviation but for the last, which is data."""

    target: Target
    states: Float[Tensor, "k+2 n d"]

    def at(self, level: float) -> Float[Tensor, "n d"]:
        """The states at one of the levels."""
        return self.states[1 + MIDDLE.index(level)]

    def pairs(self, steps: int, kind: str) -> list[tuple[Tensor, Tensor]]:
        """What each step of a student is given, and is to answer."""
        starts = [self.states[0], *(self.at(level) for level in levels_of(steps))]
        ends = [*starts[1:], self.states[-1]] if kind == "trajectory" else [self.states[-1]] * steps
        return list(zip(starts, ends, strict=True))


def lessons(target: Target, z: Float[ndarray, "n d"]) -> Lesson:
    """Paths from latents z."""
    scale = target.deviation
    end = END * np.sqrt(target.mixture.variances[0])
    noise = np.array([*MIDDLE, min(end / scale, MIDDLE[-1] / 2)]) * scale
    y = flowed(target.mixture, z, noise)
    whole = np.sqrt(scale**2 + noise[:-1]**2)
    states = [z, *(y[:-1] / whole[:, None, None]), y[-1]]
    return Lesson(target, torch.as_tensor(np.stack(states), dtype=torch.float32))


@dataclass(frozen=True, eq=False)
class Student:
    """S trained students of one kind.

    Attributes:
        layers: one a step, of S models each.
        target: what they learnt.
        kind: one of `KINDS`.
    """

    layers: Sequence[Layer]
    target: Target
    kind: str

    @property
    def steps(self) -> int:
        """How many."""
        return len(self.layers)

    @property
    def dims(self) -> int:
        """Gaussian numbers in a latent: d, or k d where noise is added afresh."""
        d = self.target.mixture.means.shape[1]
        return d * self.steps if self.kind == "consistency" else d

    @property
    def jumps(self) -> bool:
        """Whether the map is discontinuous."""
        return self.layers[0].jumps

    @property
    def size(self) -> int:
        """Weights of one student, all steps together."""
        return sum(w[0].numel() for layer in self.layers for w in layer.weights.values())

    def only(self, index: Sequence[int]) -> "Student":
        """Some of the students."""
        return Student([layer.only(torch.as_tensor(index)) for layer in self.layers], self.target, self.kind)

    @torch.no_grad()
    def answers(self, z: Float[Tensor, "s p dims"]) -> list[Float[Tensor, "s p d"]]:
        """What each step answers: the next state, or the data it foresees."""
        d, scale = self.target.mixture.means.shape[1], self.target.deviation
        x, said = z[..., :d], []
        for k, layer in enumerate(self.layers):
            if k and self.kind == "consistency":
                s = levels_of(self.steps)[k - 1] * scale
                x = (said[-1] + s * z[..., k * d:(k + 1) * d]) / (scale**2 + s**2)**0.5
            elif k:
                x = said[-1]
            said.append(layer(x))
        return said

    def __call__(self, z: Float[Tensor, "s p dims"]) -> Float[Tensor, "s p d"]:
        """The generator; latents with one row for all students are broadcast."""
        if len(z) == 1:
            z = z.expand(len(next(iter(self.layers[0].weights.values()))), -1, -1)
        return self.answers(z)[-1]


def distil(layer: str, taught: Sequence[Lesson], steps: int, kinds: Sequence[str] = KINDS, *, weights: int, seeds: int,
           budget: int, temperature: float, seed: int = 0) -> dict[tuple[str, str], Student]:
    """Train students of one layer and number of steps on several targets, all at once.

    Args:
        layer: one of `LAYERS`.
        taught: paths to each target; as many of the same dimension.
        steps: 1, 2 or 4, each with its own layer of `weights / steps`.
        kinds: what is taught, among `KINDS`; for one step `trajectory` alone is meant.
        weights: of a student, all steps together, to within what the layer's size allows.
        seeds: students of each kind and target; they differ in first weights and in the order of the data.
        budget: optimiser steps of a student, shared out evenly among its layers, of 32 pairs each (Adam, rate 0.01,
            falling as a cosine); none for 0.
        temperature: of soft choices.
        seed: of the first student.

    Returns:
        The students by target and kind.

    Raises:
        ValueError: for a layer, a kind or a number of steps that is unknown, no lesson, lessons of one name or of
            different shapes, or a setting that is none.
    """
    if layer not in LAYERS:
        raise ValueError(f"layer = {layer!r}: takes one of {', '.join(LAYERS)}")
    if isinstance(kinds, str) or not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"kinds = {brief(kinds)}: takes a list of {', '.join(KINDS)}")
    if not taught:
        raise ValueError("taught: no lesson; takes one at least")
    called, shapes = [one.target.name for one in taught], [tuple(one.states.shape[1:]) for one in taught]
    if len(set(called)) < len(called) or len(set(shapes)) > 1:      # students are told apart by names
        raise ValueError(f"taught: targets {brief(called)}, paths {brief(shapes)}; takes different names, and as many "
                         "paths of one dimension to each")
    weights, seeds, budget = whole("weights", weights, 1), whole("seeds", seeds, 1), whole("budget", budget, 0)
    temperature = number("temperature", temperature, "a positive number", above=0)
    kinds = ("trajectory",) if steps == 1 else tuple(kinds)
    names = [(one.target.name, kind) for one in taught for kind in kinds]
    tasks = [pair for one in taught for kind in kinds for pair in one.pairs(steps, kind)]
    keys = [(seed, name, k) for name, _ in names for k in range(steps)]
    size, models = matched(layer, tasks[0][0].shape[-1], weights // steps), []
    for key, (x, y) in zip(keys, tasks, strict=True):
        first = torch.randint(len(x), (seeds, max(size, 1)), generator=_draw(*key, "pieces"))
        models.append(LAYERS[layer](x[first], y[first], size, temperature, _draw(*key, "weights")))
    model = models[0].beside(*models[1:])
    x, y = (torch.stack([task[i] for task in tasks]) for i in (0, 1))
    _train(model, x, y, seeds, budget // steps, [_draw(*key, "batches") for key in keys])
    by_name = {one.target.name: one.target for one in taught}
    students = {}
    for i, (name, kind) in enumerate(names):
        layers = [model.only(torch.arange(seeds) + (i * steps + k) * seeds) for k in range(steps)]
        students[name, kind] = Student(layers, by_name[name], kind)
    return students


def _draw(*key: object) -> torch.Generator:
    """A generator of its own for each key."""
    digest = blake2b(repr(key).encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def _train(model: Layer, x: Float[Tensor, "t n d"], y: Float[Tensor, "t n d"], seeds: int, budget: int,
           draws: Sequence[torch.Generator]) -> None:
    """Adam on all models at once: its steps are entrywise, so the models do not know of each other. A task has a
    generator of its own for its batches."""
    owner = torch.arange(len(x)).repeat_interleave(seeds)[:, None]
    adam = torch.optim.Adam(list(model.weights.values()), lr=RATE)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(budget, 1), RATE / 50)
    for step in range(budget):
        index = torch.cat([torch.randint(x.shape[1], (seeds, BATCH), generator=draw) for draw in draws])
        total = model.loss(x[owner, index], y[owner, index], step / budget).sum()
        adam.zero_grad(set_to_none=True)
        total.backward()
        adam.step()
        fall.step()
