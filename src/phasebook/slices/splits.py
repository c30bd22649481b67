"""When two predictions part."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

__all__ = ["split_steps"]


def split_steps(apart: Float[ndarray, "p step"], threshold: float | None = None) -> Int[ndarray, " p"]:
    """The first step at which two predictions are further apart than a threshold that all pairs share.

    Args:
        apart: the distance of the two predictions of each pair at every step.
        threshold: by default half the median final distance of all pairs, so that split steps compare between pairs.

    Returns:
        Steps from the noisy end; the number of steps where that never happens.
    """
    if threshold is None:
        threshold = float(np.median(apart[:, -1])) / 2
    beyond = apart > threshold
    return np.where(beyond.any(1), beyond.argmax(1), apart.shape[1])
