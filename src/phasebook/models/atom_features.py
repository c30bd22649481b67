"""Features of the exact model, read off its states `(q, c)`: what they need of it are atoms and Gram matrix."""

from collections.abc import Collection

import torch

from phasebook.sampling.protocols import Embedding, Feature, Frame, Model, Prompt

__all__ = ["AtomPixels", "Posterior"]

ROUNDING = 1e-6         # of squared lengths in float32: a smaller squared distance is none


class AtomPixels(Feature):
    """Pixels of the exact model's predictions, through the Gram matrix: distances are root mean squares over pixels.

    Args:
        unit: of distances, the model's.
        at: the steps at which it is measured; None for all.
    """

    def __init__(self, unit: float, at: Collection[int] | None = None):
        self.unit, self.at = unit, at

    def __call__(self, frame: Frame) -> Embedding:
        """Weights as points, their products with the atoms as duals."""
        n = frame.x0.shape[-1] // 2
        slope = (None, None) if frame.dx0 is None else (frame.dx0[..., n:], frame.dx0[..., :n])
        return Embedding(frame.x0[:, n:], frame.x0[:, :n], *slope)

    def yardstick(self, model: Model, prompt: Prompt | None = None) -> float:
        """The median distance of two different atoms, copies of one left out where they are most; 0 for one atom."""
        n = len(model.atoms)
        if n < 2:
            return 0.0
        norms = model.gram.diagonal()
        square = norms[:, None] + norms - 2 * model.gram
        upper = torch.triu_indices(n, n, 1)
        square = square[upper[0], upper[1]]
        apart = square > ROUNDING * norms.max()
        if square.median() <= ROUNDING * norms.max() and apart.any():      # a length of 0 would measure nothing
            square = square[apart]
        return float(square.clamp(min=0).sqrt().median()) * self.unit


class Posterior(Feature):
    """`2 sqrt(w)` of the posterior weights.

    Euclidean distance there is the Fisher-Rao distance of posteriors to second order.
    """

    def __call__(self, frame: Frame) -> Embedding:
        """Square roots of the weights, and of their derivatives."""
        n = frame.x0.shape[-1] // 2
        root = 2 * frame.x0[:, n:].sqrt()
        if frame.dx0 is None:
            return Embedding(root, root)
        slope = torch.where(root > 0, 2 * frame.dx0[..., n:] / root, 0)
        return Embedding(root, root, slope, slope)

    def yardstick(self, model: Model, prompt: Prompt | None = None) -> float:
        """Of two different pictures: `2 sqrt 2`; 0 for one."""
        return 2 * 2**0.5 if len(model.atoms) > 1 else 0.0
