"""Backwards over one step of a sampler: the state from which the step leads to a given one.

    y <- y + (alpha_k / alpha_{k+1}) (x_{k+1} - F_k(y)),        F_k the step,

the fixed-point iteration on eps (at pure noise, alpha_k = 0 or hardly more, with the rate 1: there F_k moves with y by
the factor sigma_{k+1} / sigma_k, below 1), with Anderson's mixing of the last few iterates (Walker and Ni 2011), point
by point: a step that ends near data contracts noise slowly and pictures fast, and mixing learns both. Where the
residual grows, a point goes back to the best state met and takes plain updates at half the rate.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Solved", "rms", "solve_step"]

MEMORY = 6              # iterates that are mixed


def rms(x: Float[Tensor, "p *latent"]) -> Float[Tensor, " p"]:
    """Root mean square of each point's entries; of half precision in float32, where squares neither vanish nor end."""
    return x.flatten(1).to(torch.promote_types(x.dtype, torch.float32)).square().mean(1).sqrt()


class Solved(NamedTuple):
    """`x` with `|F(x) - target|` = `residual` (p,), and the `x0` that F has read there."""

    x: Tensor
    residual: Float[Tensor, " p"]
    x0: Tensor


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


def solve_step(advance: Callable[[Tensor, Int[Tensor, " m"]], tuple[Tensor, Tensor]], target: Tensor, first: Tensor,
               rate: float, iterations: int, tolerance: float, norm: Callable[[Tensor], Tensor] = rms) -> Solved:
    """Solve `F(x) = target` from the guess `first`, point by point, in at most `iterations` >= 1 updates.

    A point whose residual is at most `tolerance` is not looked at again. The best state met is returned with its
    residual.

    Args:
        advance: gives F(x), and what it has read in x, of some points: their states, and which of all they are.
        target: F(x) of each point.
        first: the guess.
        rate: see above.
        iterations: updates at most.
        tolerance: of the residual.
        norm: of the residual.
    """
    column = (-1, *(1,) * (target.ndim - 1))
    points = torch.arange(len(target), device=target.device)        # that have not settled, as all that follows
    least = torch.full((len(target),), torch.inf, device=target.device)
    y = best = first
    gap, speed, history = torch.zeros_like(target), torch.full_like(least, 2 * rate), []
    found = Solved(first.clone(), least.clone(), torch.zeros_like(first))
    for update in range(iterations + 1):
        after, x0 = advance(y, points)
        off = target[points] - after
        size = norm(off).to(least)
        better = size < least
        at = better.view(column)
        best, gap, least = torch.where(at, y, best), torch.where(at, off, gap), torch.where(better, size, least)
        seen = torch.where(at, x0, seen) if update else x0
        speed = torch.where(better, speed, speed / 2)
        history = [*history[1 - MEMORY:], (y, off)]
        for whole, part in zip(found, (best, least, seen), strict=True):
            whole[points] = part
        on = ~(least <= tolerance)
        if update == iterations or not bool(on.any()):
            break
        plain = best + (speed / 2).view(column).to(gap) * gap
        y = torch.where(at, _mixed(history, rate), plain)
        points, y, best, gap, least, seen, speed = (part[on] for part in (points, y, best, gap, least, seen, speed))
        history = [(state[on], missed[on]) for state, missed in history]
    return found
