"""Tangents of networks by forward-mode differentiation: `f(x)` and `J_f(x) dx` in one pass each."""

import warnings
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from threading import RLock

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["forward_mode", "pushed"]

_ONE = RLock()


@contextmanager
def forward_mode():
    """Where `pushed` functions may be called, in any thread; a process has one such place at a time, and others wait.
    Kernels are those that forward-mode differentiation knows: no flash attention, no fused encoder layers."""
    with _ONE:
        fused = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with sdpa_kernel(SDPBackend.MATH), forward_ad.dual_level():
                _prepared()
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)


@cache
def _prepared() -> None:
    """The first dual number, which makes torch load a table; torch warns there that its own way to do so is old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        forward_ad.make_dual(torch.zeros(1), torch.zeros(1))


def pushed(function: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
    """`(x, dx, *held) -> (*f(x, *held), *J_f(x) dx)`, to be called within `forward_mode`. No gradients."""
    @torch.inference_mode(False)            # it drops tangents without a word
    @torch.no_grad()
    def both(x: Tensor, dx: Tensor, *held: Tensor) -> tuple[Tensor, ...]:
        dual = forward_ad.make_dual(x.clone(), dx.clone())
        pairs = [forward_ad.unpack_dual(y) for y in function(dual, *held)]
        slopes = [torch.zeros_like(p.primal) if p.tangent is None else p.tangent for p in pairs]
        return *(p.primal for p in pairs), *slopes

    return both
