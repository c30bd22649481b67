"""Edits by partial inversion: how far back must a picture go before another prompt can change it?

A source picture, made from a start z under its own prompt, is inverted to every level under a generic prompt. From
each level k the sampler resumes under the target prompt, everything else fixed. `k*` is the largest k (the least noise)
from which the result is the target; `steps - k*` inverted steps are needed. One inversion serves all k, and all
resumptions of all pairs advance together. Works on every model of `sampling.protocols`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief, switch, whole
from phasebook.edits.judges import Judge, apart, picked
from phasebook.edits.pairs import EditPairs
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Frame, Model, Prompt, State
from phasebook.sampling.samplers import Inversion, Resumed, check_kinds, invert, normal_start, resume

__all__ = ["Edits", "edit", "k_star", "make", "monotone", "round_trip"]


def k_star(success: Bool[ndarray, "p k"], k_values: Int[ndarray, " k"]) -> Int[ndarray, " p"]:
    """The largest k with success, -1 where no k has it. Success at smaller k is not asked for: see `monotone`."""
    return np.where(success, np.asarray(k_values), -1).max(1)


def monotone(success: Bool[ndarray, "p k"]) -> Bool[ndarray, " p"]:
    """Whether success, along rising k, is lost once at most and never regained."""
    return ~(np.diff(success.astype(int), axis=1) > 0).any(1)


@dataclass(frozen=True, eq=False)
class Edits:
    """What came of `pairs`; e counts edits, k the starting steps.

    Attributes:
        pairs: the edits.
        levels: of the sampler.
        k_values: the steps at which sampling resumed.
        to_source: (e, k) the judge's distance of the result from the source's picture, or from a known picture of its
            prompt where that is nearer.
        to_target: (e, k) the same for the target.
        preference: (e, k) by how much the target's words suit the result better than the source's, or None.
        moved: (e, k) root mean square difference of pixels to the source.
        distance: (e) of the two clean latents, in the model's norm.
        parting: (e, step) of the two predictions along both inversions, in the model's norm; None where the targets
            were not followed back.
        converged: (step, e) of the source's inversion.
        inverted: (step + 1, e, ...) the source's states at every level.
        pictures: (e, k, ...) the results, as clean states to decode.
        source: (e, ...) the sources.
        target: (e, ...) the pictures that the targets' prompts make of the same starts.
    """

    pairs: EditPairs
    levels: Levels
    k_values: Int[ndarray, " k"]
    to_source: Float[ndarray, "e k"]
    to_target: Float[ndarray, "e k"]
    preference: Float[ndarray, "e k"] | None
    moved: Float[ndarray, "e k"]
    distance: Float[ndarray, " e"]
    parting: Float[ndarray, "e step"] | None
    converged: Bool[ndarray, "step e"]
    inverted: Float[Tensor, "step+1 e *s"]
    pictures: Float[Tensor, "e k *s"]
    source: Float[Tensor, "e *s"]
    target: Float[Tensor, "e *s"]

    @property
    def success(self) -> Bool[ndarray, "e k"]:
        """Twice as near to the target as to the source, and nearer by its words too where the judge knows words.

        Merely nearer is not enough for a person to call it the target.
        """
        near = 2 * self.to_target <= self.to_source
        return near if self.preference is None else near & (self.preference > 0)

    @property
    def k_star(self) -> Int[ndarray, " e"]:
        """The largest k with success, -1 where there is none."""
        return k_star(self.success, self.k_values)

    @property
    def done(self) -> Bool[ndarray, " e"]:
        """Which edits succeed from some k."""
        return self.k_star >= 0

    @property
    def needed(self) -> Float[ndarray, " e"]:
        """The share of the sampler's steps that must be inverted, `1 - k*/steps`; more than one where no k succeeds."""
        return 1 - self.k_star / self.levels.steps


def make(model: Model, pairs: EditPairs, *, levels: Levels, guidance: float, negative: str = "", seed: int = 0,
         starts: State | None = None) -> Resumed:
    """Pictures of the sources' and of the targets' prompts; both of an edit come from the same start.

    Args:
        model: any that takes prompts.
        pairs: the edits.
        levels: of the sampler.
        guidance: of the prompts.
        negative: the negative prompt.
        seed: the start of group g is drawn from `seed + g`.
        starts: one an edit, in place of those drawn.

    Returns:
        2 e states and pictures: the sources, then the targets.

    Raises:
        ValueError: for edits or starts that are none, or not one start an edit.
    """
    _check_pairs(pairs)
    if starts is not None and (not isinstance(starts, Tensor) or len(starts) != len(pairs)):
        said = f"shape {tuple(starts.shape)}" if isinstance(starts, Tensor) else f"a {type(starts).__name__}"
        raise ValueError(f"starts: {said}; takes states, one for each of {len(pairs)} edits")
    if starts is None:
        starts = torch.cat([normal_start(model, seed + group) for group in pairs.group])
    first, back = _shared(pairs)
    texts = np.array([*pairs.source, *pairs.target])[first].tolist()
    begin = torch.zeros(len(first), dtype=torch.int64)
    made = resume(model, torch.cat([starts, starts])[first], begin, levels, model.prompt(texts, guidance, negative))
    return Resumed(made.x[back], made.x0[back])


def _check_pairs(pairs: object) -> None:
    """ValueError for anything else."""
    if not isinstance(pairs, EditPairs):
        raise ValueError(f"pairs = {brief(pairs)}: takes edits, such as listed([(source, target)])")


def _shared(pairs: EditPairs, targets: bool = True) -> tuple[Int[ndarray, " m"], Int[ndarray, " n"]]:
    """Which of the pictures, e sources and e targets, or of the sources alone, differ, and which of these each one is:
    edits of a group share their source."""
    sides = (pairs.source, pairs.target) if targets else (pairs.source,)
    keys = [f"{group} {text}" for side in sides for group, text in zip(pairs.group, side, strict=True)]
    _, first, back = np.unique(keys, return_index=True, return_inverse=True)
    return first, back


def edit(model: Model, judge: Judge, pairs: EditPairs, k_values: Sequence[int], made: Resumed, *, levels: Levels,
         generic: Prompt | None = None, guidance: float = 1.0, negative: str = "", eta: float = 0.0, seed: int = 0,
         iterations: int = 20, tolerance: float = 1e-5, parting: bool = True) -> Edits:
    """Make all edits from all steps.

    Args:
        model: any that takes prompts and has pictures.
        judge: of success.
        pairs: the edits.
        k_values: the steps to resume at, increasing.
        made: source and target pictures, by `make` or given: 2 e of them, the sources first.
        levels: of the sampler.
        generic: the prompt of the inversion; None for the plain distribution.
        guidance: of the target prompts.
        negative: the negative prompt beside them.
        eta: of the sampler that resumes; its noise is shared by all k.
        seed: of that noise.
        iterations: of each inverted step, at most; 0 is first order.
        tolerance: of an inverted step, in the model's norm.
        parting: whether the targets are followed back as well, which takes as long again and serves nothing else.

    Raises:
        ValueError: for no step, one that the sampler does not have, or steps that do not rise; for a judge, edits or
            pictures that are none.
    """
    check_kinds(model, levels, generic)
    _check_pairs(pairs)
    if not hasattr(k_values, "__iter__"):
        raise ValueError(f"k_values = {brief(k_values)}: takes rising steps from 0 to {levels.steps}")
    if not isinstance(judge, Judge):
        raise ValueError(f"judge = {brief(judge)}: takes a Judge, such as Judge(model.features['pixels'])")
    if not isinstance(made, Resumed) or len(made.x) != 2 * len(pairs) or len(made.x0) != 2 * len(pairs):
        raise ValueError(f"made: a {type(made).__name__}; takes what make gives, two states for each of {len(pairs)} "
                         "edits")
    switch("parting", parting)
    e, k_values = len(pairs), np.array([whole("k_values", k, 0, levels.steps, "steps") for k in k_values], dtype=int)
    if not len(k_values):
        raise ValueError("k_values: no step; takes one at least")
    if (np.diff(k_values) <= 0).any():          # by their order success counts as lost and regained
        raise ValueError(f"k_values = {brief(k_values.tolist())}: takes rising steps")
    first, back = _shared(pairs, parting)
    inversion = invert(model, made.x[first], levels, generic, iterations=iterations, tolerance=tolerance)
    inverted = inversion.x[:, back[:e]]
    asked = model.prompt([*pairs.target] * len(k_values), guidance, negative)
    begin = torch.as_tensor(k_values).repeat_interleave(e)                      # k outside, edits inside
    final = resume(model, inverted[k_values].flatten(0, 1), begin, levels, asked, eta=eta, seed=seed).x0
    to_source, to_target, preference, moved = _judged(judge, model, levels.steps - 1, final.split(e), made.x0, pairs)
    return Edits(
        pairs, levels, k_values, to_source, to_target, preference, moved,
        model.norm(made.x[:e] - made.x[e:]).cpu().numpy(),
        _parting(model, inversion, back, levels, generic) if parting else None,
        inversion.converged[:, back[:e]].numpy(), inverted, final.unflatten(0, (-1, e)).transpose(0, 1),
        made.x0[:e], made.x0[e:])


def _judged(judge: Judge, model: Model, step: int, results: Sequence[State], made: State,
            pairs: EditPairs) -> tuple[ndarray, ndarray, ndarray | None, ndarray]:
    """What the judge says of the results of every k, and how far their pixels have moved: (e, k) each.

    One k at a time, since what judges look at is many times a state.
    """
    e, pixels = len(pairs), model.features["pixels"]
    both = judge.embed(Frame(model, step, made))
    source, target = picked(both, slice(e)), picked(both, slice(e, None))
    before = Frame(model, step, made[:e]).embedded(pixels)
    rows = []
    for x0 in results:
        frame = Frame(model, step, x0)
        pictures = judge.embed(frame)
        rows.append((judge.nearness(pictures, source, pairs.source), judge.nearness(pictures, target, pairs.target),
                     judge.preference(pictures, pairs.source, pairs.target),
                     apart(frame.embedded(pixels), before) * pixels.unit))
    return tuple(None if column[0] is None else torch.stack(column, 1).cpu().numpy()
                 for column in zip(*rows, strict=True))


def _parting(model: Model, inversion: Inversion, back: Int[ndarray, " 2e"], levels: Levels,
             generic: Prompt | None) -> Float[ndarray, "e step"]:
    """Distances of the predictions of source and target along their inversions."""
    e, read = len(back) // 2, inversion.x0
    if read is None:
        read = (model.predict(inversion.x[k], levels, k, generic).x0 for k in range(levels.steps))
    return np.stack([model.norm(x0[back[:e]] - x0[back[e:]]).cpu().numpy() for x0 in read], 1)


def round_trip(model: Model, prompt: Prompt | None, count: int, *, levels: Levels, seed: int = 0, iterations: int = 20,
               tolerance: float = 1e-5) -> tuple[Float[ndarray, "step p"], Bool[ndarray, "step p"]]:
    """Invert pictures under the prompt that they were made under and sample again, from every step.

    Args:
        model: any.
        prompt: for all pictures, or one each.
        count: pictures.
        levels: of the sampler.
        seed: of the starts.
        iterations: of each inverted step, at most.
        tolerance: of an inverted step, in the model's norm.

    Returns:
        The mean squared error of the final state over the mean square of the latent, and whether every inverted step
        from the end down to this one converged.
    """
    steps = levels.steps
    made = resume(model, normal_start(model, seed, count), torch.zeros(count, dtype=torch.int64), levels, prompt).x
    inversion = invert(model, made, levels, prompt, iterations=iterations, tolerance=tolerance)
    begin = torch.arange(steps).repeat_interleave(count)
    each = prompt and prompt.pick(torch.arange(count).repeat(steps))
    again = resume(model, inversion.x[:-1].flatten(0, 1), begin, levels, each).x
    missed = model.norm(again - made.repeat(steps, *(1,) * (made.ndim - 1))).view(steps, count)
    settled = np.logical_and.accumulate(inversion.converged.numpy()[::-1])[::-1]
    return ((missed / model.norm(made)) ** 2).cpu().numpy(), settled
