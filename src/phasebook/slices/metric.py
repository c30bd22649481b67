"""The pullback metric of a slice, Eqs. (4) and (5): `G = J^T J`, J = (df/dalpha, df/dbeta).

J comes either from finite differences on the grid, as in the paper (centred inside, one-sided at the border), or
from exact tangents. Features may be given with duals: inner products are `sum(f * dual)`, see `protocols.Embedding`.

`S = det G` is what the paper maps and calls proportional to the volume element; the volume element is `sqrt det G`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Metric", "differences", "finite_difference_metric", "jumps", "pullback"]


@dataclass(frozen=True, eq=False)
class Metric:
    """`G = [[aa, ab], [ab, bb]]` and its determinant, each (*points); a = alpha, b = beta; float64.

    `det` is kept beside the entries because `aa bb - ab^2` cancels where G has rank one.
    """

    aa: Float[Tensor, "*p"]
    ab: Float[Tensor, "*p"]
    bb: Float[Tensor, "*p"]
    det: Float[Tensor, "*p"]

    @property
    def trace(self) -> Float[Tensor, "*p"]:
        """E + G: the squared Frobenius norm of the Jacobian."""
        return self.aa + self.bb

    @property
    def largest(self) -> Float[Tensor, "*p"]:
        """The larger eigenvalue: the squared Lipschitz constant of the feature map at the point."""
        return self.trace / 2 + ((self.aa - self.bb) ** 2 / 4 + self.ab**2).sqrt()

    @property
    def volume(self) -> Float[Tensor, "*p"]:
        """The volume element `sqrt det G`."""
        return self.det.sqrt()


def _inner(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum(-1)           # faster than einsum here, which batches products of single rows


def pullback(f_a: Float[Tensor, "*p k"], f_b: Float[Tensor, "*p k"], m_a: Float[Tensor, "*p k"] | None = None,
             m_b: Float[Tensor, "*p k"] | None = None, unit: float = 1.0) -> Metric:
    """The metric of two columns of J and their duals (the columns themselves where none are given).

    `det = |u|^2 |v - <u,v>/<u,u> u|^2` with u the longer column: for nearly parallel columns the small remainder is
    formed before it is squared, which keeps float32 columns good for determinants 1e-12 of `aa bb`.
    """
    m_a, m_b = f_a if m_a is None else m_a, f_b if m_b is None else m_b
    aa, ab, bb = _inner(f_a, m_a), _inner(f_a, m_b), _inner(f_b, m_b)
    # by Cauchy and Schwarz |slope| <= 1; round-off says otherwise only where both columns vanish
    slope = (ab / torch.maximum(aa, bb).clamp(min=torch.finfo(aa.dtype).tiny)).clamp(-1, 1)
    one = torch.ones_like(slope)
    p, r = (torch.where(bb > aa, x, y)[..., None] for x, y in ((one, -slope), (-slope, one)))
    rest, rest_dual = (p * f_a).addcmul_(r, f_b), (p * m_a).addcmul_(r, m_b)
    det = torch.maximum(aa, bb).double() * _inner(rest, rest_dual).double().clamp(min=0)
    u2 = unit**2
    return Metric(aa.double().clamp(min=0) * u2, ab.double() * u2, bb.double().clamp(min=0) * u2, det * u2**2)


def differences(f: Float[Tensor, "a b *k"], spacing: float, axis: int) -> Float[Tensor, "a b *k"]:
    """Derivative along a grid axis: centred differences inside, one-sided ones at the border. Needs two points."""
    f = f.movedim(axis, 0)
    d = torch.empty_like(f)
    d[1:-1] = (f[2:] - f[:-2]).div_(2 * spacing)
    d[0], d[-1] = (f[1] - f[0]) / spacing, (f[-1] - f[-2]) / spacing
    return d.movedim(0, axis)


def finite_difference_metric(f: Float[Tensor, "a b k"], dual: Float[Tensor, "a b k"] | None,
                             spacing: tuple[float, float], unit: float = 1.0) -> Metric:
    """The paper's estimate of G on a grid with `spacing` (alpha, beta)."""
    f_a, f_b = (differences(f, h, axis) for axis, h in enumerate(spacing))
    if dual is None or dual is f:
        return pullback(f_a, f_b, unit=unit)
    m_a, m_b = (differences(dual, h, axis) for axis, h in enumerate(spacing))
    return pullback(f_a, f_b, m_a, m_b, unit)


def jumps(f: Float[Tensor, "a b k"], dual: Float[Tensor, "a b k"],
          unit: float = 1.0) -> tuple[Float[Tensor, "a-1 b"], Float[Tensor, "a b-1"]]:
    """Feature distance between grid neighbours, along alpha and along beta."""
    along = []
    for axis in (0, 1):
        d = f.diff(dim=axis)
        square = d.mul_(d if dual is f else dual.diff(dim=axis)).sum(-1)
        along.append(square.clamp(min=0).sqrt() * unit)
    return along[0], along[1]
