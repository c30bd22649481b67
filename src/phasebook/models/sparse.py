"""Products with a Gram matrix that use how few pictures a neighbourhood is still made of.

A point of a slice has posterior weights on a handful of pictures once the noise has fallen, and its neighbours have
weights on nearly the same handful. So points are taken in blocks of neighbours, and in each block only those pictures
take part in the products `w Gram` whose weight somewhere in the block is more than rounding: `eps / 16`, about 1e-8 in
float32 and 1e-17 in float64. Over 50 steps that is a third of all pictures on average, and one or two at the end.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["blocks", "live", "product"]

BLOCK = 200             # points: a few hundred fit in a cache, and pay for the rows of the Gram matrix that they gather
DENSE = 0.8             # with a larger share of the pictures alive, gathering costs more than it saves


def blocks(q: Float[Tensor, "p n"], size: int = BLOCK) -> Iterator[Int[Tensor, " b"]]:
    """Indices of points in blocks of neighbours, each point once.

    Starts on a plane are combinations of three: two fixed directions tell near from far. The points are cut into strips
    along the one and each strip into blocks along the other. Of other starts any blocks will do.

    Args:
        q: the starts' products with the pictures.
        size: of a block, about.
    """
    p, n = q.shape
    if p <= size or q.device.type != "cpu":
        yield from [torch.arange(p, device=q.device)][:p]           # of no points no block
        return
    directions = torch.randn(n, 2, generator=torch.Generator().manual_seed(0)).to(q)
    u = q @ directions
    strips = max(1, round((p / size) ** 0.5))
    for strip in u[:, 0].argsort(stable=True).tensor_split(strips):
        along = strip[u[strip, 1].argsort(stable=True)]
        yield from along.tensor_split(-(-len(along) // size))


def live(weights: Float[Tensor, "b n"]) -> Int[Tensor, " m"] | None:
    """The pictures with more than rounding of weight anywhere in a block; None for all, where most have."""
    there = (weights.amax(0) > torch.finfo(weights.dtype).eps / 16).nonzero()[:, 0]
    return there if len(there) <= DENSE * weights.shape[1] else None


def product(w: Float[Tensor, "b n"], index: Int[Tensor, " m"] | None,
            rows: Float[Tensor, "m n"]) -> Float[Tensor, "b n"]:
    """`w @ gram` over some pictures alone.

    Args:
        w: of a block.
        index: the pictures that take part, from `live`; None for all.
        rows: `gram[index]`, gathered once for all products of a block.
    """
    return (w if index is None else w[:, index]) @ rows
