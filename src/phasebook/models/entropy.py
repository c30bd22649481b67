"""How much of the answer is settled at a noise level: entropies of the posterior over atoms and over families.

For data x_0 (atom I, family F) and `x_t = alpha x_0 + sigma eps`, the conditional entropies H(I | x_t), H(F | x_t) fall
from H(I), H(F) at high noise to 0. The level at which half of one is gone says when that choice is made.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief, numbers, whole

__all__ = ["Sampled", "entropy", "full_entropy", "half_level", "membership", "sampled_entropies"]


def entropy(p: Float[Tensor, "*p n"]) -> Float[Tensor, "*p"]:
    """`-sum p log p` in nats, 0 log 0 = 0."""
    return torch.special.entr(p).sum(-1).clamp(min=0)


def membership(labels: Int[ndarray, " n"]) -> Float[Tensor, "n f"]:
    """Indicator matrix of integer labels: `weights @ membership` sums posterior weights by label."""
    return torch.eye(int(np.max(labels)) + 1)[torch.as_tensor(np.asarray(labels, dtype=np.int64))]


class Sampled(NamedTuple):
    """Entropies (nats) of the posterior over labels at noise levels, for samples (x_0, eps) one by one: `values` (r, m)
    by labelling, and the atom `origin` (m) that each sample comes from."""

    values: dict[str, Float[ndarray, "r m"]]
    origin: Int[ndarray, " m"]


def sampled_entropies(gram: Float[Tensor, "n n"], ratios: Float[ndarray, " r"],
                      labelings: dict[str, Int[ndarray, " n"]], samples: int, seed: int) -> Sampled:
    """The entropy of the posterior over labels at each sigma/alpha in `ratios`, for several labelings of the atoms.

    With `g = Gram_I + ratio <eps, x>` the posterior is `softmax((g - |x_i|^2/2) / ratio^2)`, and `<eps, x_i>` is
    Gaussian with covariance Gram: no pixels.

    Args:
        gram: inner products of the atoms.
        ratios: noise levels sigma/alpha.
        labelings: a label for each atom, by name.
        samples: pairs (x_0, eps) per level, the same for all levels.
        seed: of the draws.

    Raises:
        ValueError: for no level, one that is not positive, no sample, or a labeling of another number of atoms.
    """
    ratios, samples = numbers("ratios", ratios, "noise levels > 0"), whole("samples", samples, 1)
    if ratios.ndim != 1 or not len(ratios) or ratios.min() <= 0:
        raise ValueError(f"ratios = {brief(ratios.tolist())}: takes noise levels > 0, one at least")
    for name, labels in labelings.items():
        if len(labels) != len(gram):
            raise ValueError(f"labelings: {name!r} has {len(labels)}; takes one for each of {len(gram)} atoms")
    gram = torch.as_tensor(gram).to(torch.float64)
    generator = torch.Generator().manual_seed(seed)
    values, vectors = torch.linalg.eigh(gram)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    n = len(gram)
    noise = torch.randn(samples, n, generator=generator, dtype=torch.float64) @ root
    origin = torch.cat([torch.randperm(n, generator=generator) for _ in range(-(-samples // n))])[:samples]
    groups = {name: membership(labels).to(gram) for name, labels in labelings.items()}
    rows = {name: [] for name in labelings}
    for ratio in ratios:
        w = torch.softmax((gram[origin] + ratio * noise - gram.diagonal() / 2) / ratio**2, -1)
        for name, member in groups.items():
            rows[name].append(entropy(w @ member).numpy())
    return Sampled({name: np.stack(v) for name, v in rows.items()}, origin.numpy())


def half_level(ratios: Float[ndarray, " r"], entropies: Float[ndarray, " r"], full: float) -> float | None:
    """The noise level at which half of the entropy `full` is gone, interpolated in log-level.

    None where there is nothing to lose (`full` = 0, one family or one atom) or the levels do not bracket the half.
    """
    order = np.argsort(ratios)
    level, rest = np.log(np.asarray(ratios)[order]), np.maximum.accumulate(np.asarray(entropies)[order])
    if full <= 0 or not rest[0] < full / 2 < rest[-1]:
        return None
    return float(np.exp(np.interp(full / 2, rest, level)))


def full_entropy(labels: Int[ndarray, " n"]) -> float:
    """Entropy in nats of the label of a uniformly drawn atom."""
    p = np.bincount(np.asarray(labels)) / len(labels)
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())
