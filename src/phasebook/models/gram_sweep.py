"""The sampler of the exact model in Gram space: products with the pictures move on, and no pixel is touched.

With `q` the products of the points with the pictures and `m = w Gram` those of their predictions, a step of DDIM is

    q'/sigma' = q/sigma + (alpha'/sigma' - alpha/sigma) m,

one addition where q itself takes two passes; tangents likewise. Points move on in blocks of neighbours, each by the
pictures that are alive there (see `sparse`).
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from phasebook.models.sparse import blocks, live, product
from phasebook.sampling.levels import Levels

__all__ = ["gram_sweep", "posterior"]


class _Block(NamedTuple):
    """Some points of a sweep: where they stand among all, `q / sigma` and its derivatives, and their log-prior."""

    index: Int[Tensor, " b"]
    scaled: Float[Tensor, "b n"]
    rates: Float[Tensor, "2 b n"] | None
    log_prior: Tensor | None


def posterior(products: Float[Tensor, "p n"], norms: Float[Tensor, " n"], factor: float, snr: float,
              log_prior: Float[Tensor, "p n"] | None = None) -> Float[Tensor, "p n"]:
    """The weights `softmax(log p_i + factor products_i - snr |x_i|^2 / 2)` of the pictures.

    Args:
        products: of the points with the pictures.
        norms: `|x_i|^2`.
        factor: of the products.
        snr: alpha^2 / sigma^2.
        log_prior: one row for all points or a row a point; None where all pictures are equally likely.
    """
    offset = norms * float(-snr / 2)
    if log_prior is not None:
        offset = offset + log_prior.to(offset)
    return torch.softmax(torch.add(offset, products, alpha=float(factor)), -1)


def gram_sweep(x: Float[Tensor, "p 2n"], gram: Float[Tensor, "n n"], levels: Levels, log_prior: Tensor | None,
               first: int, tangents: Float[Tensor, "2 p 2n"] | None) -> Iterator[tuple[int, Tensor, Tensor | None]]:
    """Every step from `first` on, the predictions `(w Gram, w)` and their derivatives along the tangents, if any.

    Args:
        x: states `(q, c)` at level `first`.
        gram: of the pictures.
        levels: of the sampler.
        log_prior: see `posterior`.
        first: step.
        tangents: of the states.

    Yields:
        Tensors that the next step overwrites.
    """
    n, norms = len(gram), gram.diagonal().clone()
    parts = [_Block(i, x[i, :n] / levels.sigma[first], None if tangents is None else
                    tangents[:, i, :n] / levels.sigma[first], _rows(log_prior, i)) for i in blocks(x[:, :n])]
    x0 = torch.empty_like(x)
    dx0 = None if tangents is None else torch.empty_like(tangents)
    for step in range(first, levels.steps):
        last = step + 1 == levels.steps         # nothing follows, and the end of a flow has no noise to divide by
        ratio = float(levels.alpha[step] / levels.sigma[step])
        after = ratio if last else float(levels.alpha[step + 1] / levels.sigma[step + 1])
        for part in parts:
            w = posterior(part.scaled, norms, ratio, ratio**2, part.log_prior)
            m, slope = _advanced(part, w, gram, ratio, after - ratio)
            x0[part.index, :n], x0[part.index, n:] = m, w
            if slope is not None:
                dx0[:, part.index] = slope
        yield step, x0, dx0


def _advanced(part: _Block, w: Float[Tensor, "b n"], gram: Float[Tensor, "n n"], ratio: float,
              rise: float) -> tuple[Tensor, Tensor | None]:
    """A block's `w Gram` and the derivatives of `(w Gram, w)`; its own products move on to the next step."""
    index = live(w)
    rows = gram if index is None else gram[index]
    m = product(w, index, rows)
    part.scaled.add_(m, alpha=rise)
    if part.rates is None:
        return m, None
    dw = part.rates * ratio
    dw.sub_((w * dw).sum(-1, keepdim=True)).mul_(w)
    dm = product(dw.flatten(0, 1), index, rows).view_as(dw)
    part.rates.add_(dm, alpha=rise)
    return m, torch.cat([dm, dw], -1)


def _rows(c: Tensor | None, index: Int[Tensor, " b"]) -> Tensor | None:
    return c[index.to(c.device)] if c is not None and c.ndim == 2 and len(c) > 1 else c
