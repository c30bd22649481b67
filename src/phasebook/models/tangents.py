"""Tangents of networks by forward-mode differentiation: `f(x)` and `J_f(x) dx` in one pass each."""

from collections.abc import Callable
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["forward_mode", "pushforward"]


@contextmanager
def forward_mode():
    """Kernels that forward-mode differentiation knows: no flash attention, no fused encoder layers."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def pushforward(function: Callable[[Tensor], Tensor], x: Float[Tensor, "p *s"],
                dx: Float[Tensor, "t p *s"]) -> tuple[Tensor, Tensor]:
    """`f(x)` and `J_f(x) dx` for each tangent, by forward-mode differentiation with the math attention kernel."""
    with forward_mode():
        pairs = [torch.func.jvp(function, (x,), (d,)) for d in dx]
    return pairs[0][0], torch.stack([d for _, d in pairs])
