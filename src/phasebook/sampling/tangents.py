"""Tangents of networks by forward-mode differentiation: `f(x)` and `J_f(x) dx` in one pass each."""

from collections.abc import Callable
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["forward_mode", "pushed", "pushforward"]


@contextmanager
def forward_mode():
    """Where `pushed` functions may be called, in any thread; a process has one such place at a time. Kernels are those
    that forward-mode differentiation knows: no flash attention, no fused encoder layers."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), forward_ad.dual_level():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def pushed(function: Callable[[Tensor], tuple[Tensor, ...]]) -> Callable[[Tensor, Tensor], tuple[Tensor, ...]]:
    """`(x, dx) -> (*f(x), *J_f(x) dx)`, to be called within `forward_mode`. No gradients."""
    @torch.inference_mode(False)            # it drops tangents without a word
    @torch.no_grad()
    def both(x: Tensor, dx: Tensor) -> tuple[Tensor, ...]:
        pairs = [forward_ad.unpack_dual(y) for y in function(forward_ad.make_dual(x.clone(), dx.clone()))]
        return *(p.primal for p in pairs), *(p.primal * 0 if p.tangent is None else p.tangent for p in pairs)

    return both


def pushforward(function: Callable[[Tensor], Tensor], x: Float[Tensor, "p *s"],
                dx: Float[Tensor, "t p *s"]) -> tuple[Tensor, Tensor]:
    """`f(x)` and `J_f(x) dx` for each tangent."""
    with forward_mode():
        pairs = [pushed(lambda y: (function(y),))(x, d) for d in dx]
    return pairs[0][0], torch.stack([d for _, d in pairs])
