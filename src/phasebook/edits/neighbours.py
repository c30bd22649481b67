"""Neighbours in latent space that a boundary parts: pairs of starts as near as one likes, on its two sides.

Two starts an angle apart, `x(phi) = cos(phi) z + sin(phi) n`, each sampled under the generic prompt. Where they end on
different known pictures, the arc between them crosses a boundary. Halving the arc, and keeping a half whose ends still
differ, brings both starts as near to the boundary as one likes: all pairs end up equally far apart in latent space.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from phasebook.arguments import number, whole
from phasebook.edits.judges import Judge, apart, picked
from phasebook.edits.pairs import EditPairs
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Frame, Model, Prompt, State
from phasebook.sampling.samplers import Resumed, normal_start, resume

__all__ = ["Neighbours", "neighbours"]


class Neighbours(NamedTuple):
    """Pairs across a boundary.

    Attributes:
        pairs: the edits that lead from one neighbour's picture to the other's; 'within' one family or 'across' two.
        made: the pictures, the sources first, as `edit` takes them.
        angle: between the two starts of each pair, in radians: their distance over their norm.
        tried: arcs that were looked at.
        parted: those of them whose ends differ.
    """

    pairs: EditPairs
    made: Resumed
    angle: float
    tried: int
    parted: int


class _Ends(NamedTuple):
    """What starts lead to: the sampler's end, and the known picture that it is nearest to."""

    made: Resumed
    name: Int[Tensor, " p"]


def neighbours(model: Model, judge: Judge, family: Int[np.ndarray, " n"], count: int, angle: float, halvings: int, *,
               levels: Levels, prompt: Prompt | None = None, seed: int = 0) -> Neighbours:
    """Pairs of starts `angle` apart that end on different known pictures.

    The two ends must be at least half as far apart as the two known pictures that they are nearest to: where a model
    passes from one picture to the other by blends, near ends are alike, and there is no boundary between them.

    Args:
        model: any.
        judge: knows pictures by name.
        family: of the judge's known pictures.
        count: arcs to look at.
        angle: between the starts of a pair, in radians.
        halvings: of an arc; arcs are `angle 2^halvings` long at first.
        levels: of the sampler.
        prompt: the generic one.
        seed: of the starts.

    Raises:
        ValueError: for no arc, an angle that is not positive, halvings that are no number, another number of families
            than known pictures, or a judge that knows none.
    """
    count, halvings = whole("count", count, 1), whole("halvings", halvings, 0)
    angle, family = number("angle", angle, "a positive number, in radians", above=0), np.asarray(family)
    if judge.known is not None and len(family) != len(judge.names):
        raise ValueError(f"family: {len(family)}; takes one for each of {len(judge.names)} known pictures")
    one, other = normal_start(model, seed, count), normal_start(model, seed + count, count)
    low = torch.zeros(count, dtype=torch.float64)
    high = low + angle * 2**halvings
    ends = [_ends(model, judge, _on_arc(one, other, phi), levels, prompt) for phi in (low, high)]
    keep = (ends[0].name != ends[1].name).nonzero()[:, 0].cpu()
    one, other, low, high = (v[keep.to(v.device)] for v in (one, other, low, high))
    first, last = (_Ends(_rows(end.made, keep), end.name[keep.to(end.name.device)]) for end in ends)
    for _ in range(halvings if len(keep) else 0):
        middle = (low + high) / 2
        half = _ends(model, judge, _on_arc(one, other, middle), levels, prompt)
        alike = half.name == first.name
        low, high = torch.where(alike.cpu(), middle, low), torch.where(alike.cpu(), high, middle)
        first, last = _either(alike, half, first), _either(alike, last, half)
    return _clear(model, judge, family, first, last, levels, angle, count)


def _on_arc(one: State, other: State, phi: Float[Tensor, " p"]) -> State:
    column = (-1, *(1,) * (one.ndim - 1))
    return torch.cos(phi).to(one).view(column) * one + torch.sin(phi).to(one).view(column) * other


def _ends(model: Model, judge: Judge, x: State, levels: Levels, prompt: Prompt | None) -> _Ends:
    begin = torch.zeros(len(x), dtype=torch.int64)
    made = resume(model, x, begin, levels, prompt)
    return _Ends(made, judge.recognise(judge.embed(Frame(model, levels.steps - 1, made.x0))))


def _rows(made: Resumed, index: Tensor) -> Resumed:
    return Resumed(*(v[index.to(v.device)] for v in made))


def _either(condition: Tensor, a: _Ends, b: _Ends) -> _Ends:
    """Row by row, `a` where the condition holds, else `b`."""
    column = condition.view(-1, *(1,) * (a.made.x.ndim - 1))
    made = Resumed(*(torch.where(column, u, v) for u, v in zip(a.made, b.made, strict=True)))
    return _Ends(made, torch.where(condition, a.name, b.name))


def _clear(model: Model, judge: Judge, family: Int[np.ndarray, " n"], first: _Ends, last: _Ends, levels: Levels,
           angle: float, tried: int) -> Neighbours:
    """The pairs whose ends are clearly different pictures."""
    keep = torch.zeros(0, dtype=torch.int64)
    if len(first.name):
        pictures = [judge.embed(Frame(model, levels.steps - 1, end.made.x0)) for end in (first, last)]
        known = [picked(judge.known, end.name) for end in (first, last)]
        keep = (2 * apart(*pictures) >= apart(*known)).nonzero()[:, 0].cpu()
    a, b = (end.name.cpu()[keep].numpy() for end in (first, last))
    level = tuple("within" if same else "across" for same in family[a] == family[b])
    names = [tuple(judge.names[i] for i in index) for index in (a, b)]
    made = [torch.cat([u, v]) for u, v in zip(_rows(first.made, keep), _rows(last.made, keep), strict=True)]
    return Neighbours(EditPairs(*names, level, tuple(range(len(keep)))), Resumed(*made), angle, tried, len(first.name))
