"""Any points side by side: their predictions at every step, and how far apart they are."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from phasebook.sampling.features import distances
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Feature, Model, Prompt, State

__all__ = ["Pairs"]


class Pairs(NamedTuple):
    """The predictions of n points at every step.

    Attributes:
        distances: between them, in a feature.
        x0: their states, what `model.decode` takes.
    """

    distances: Float[ndarray, "step n n"]
    x0: Float[torch.Tensor, "step n *s"]

    @classmethod
    def of(cls, model: Model, start: State, levels: Levels, feature: Feature, prompt: Prompt | None = None) -> "Pairs":
        """The predictions from `start` at every step.

        Args:
            model: any.
            start: states at level 0.
            levels: of the sampler.
            feature: by which distances are taken.
            prompt: for all points, or one a point.

        Returns:
            Distances and states.
        """
        apart, x0 = [], []
        for frame in model.sweep(start, levels, prompt):
            apart.append(distances(frame.embedded(feature), feature.unit).cpu().numpy())
            x0.append(frame.x0.clone().cpu())
        return cls(np.stack(apart), torch.stack(x0))
