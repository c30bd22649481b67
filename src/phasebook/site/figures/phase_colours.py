"""Colours of phases that neighbours do not share, and that a phase keeps from step to step where it can.

The colour itself means nothing.
"""

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

__all__ = ["PHASES", "colour_of", "phase_colours"]

# twelve colours of similar lightness, told apart by hue (Paul Tol's muted set, and three more)
PHASES = np.array([[51, 34, 136], [136, 204, 238], [68, 170, 153], [17, 119, 51], [153, 153, 51], [221, 204, 119],
                   [204, 102, 119], [136, 34, 85], [170, 68, 153], [102, 153, 204], [238, 136, 102], [187, 187, 187]],
                  dtype=np.uint8)


def _neighbours(labels: Int[ndarray, "a b"], n: int) -> list[set[int]]:
    """The phases that each phase borders on."""
    touch: list[set[int]] = [set() for _ in range(n)]
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        for p, q in set(zip(a[a != b].tolist(), b[a != b].tolist(), strict=True)):
            touch[p].add(q)
            touch[q].add(p)
    return touch


def colour_of(labels: Int[ndarray, "a b"], before: Int[ndarray, "a b"] | None) -> Int[ndarray, "a b"]:
    """The colour of every point, an index into `PHASES`.

    Args:
        labels: phases of a step, counted from 0.
        before: colours of the step before; None at the first.

    Returns:
        Its parent's colour for the child that has most of it, else one that no neighbour has.
    """
    labels = np.asarray(labels)
    n = int(labels.max()) + 1
    touch = _neighbours(labels, n)
    colour, used, spent = np.full(n, -1), len(PHASES), np.zeros(len(PHASES), dtype=int)
    sizes = np.bincount(labels.ravel(), minlength=n)
    for p in np.argsort(-sizes, kind="stable"):
        taken = {int(colour[q]) for q in touch[p]}
        wanted = -1 if before is None else int(np.bincount(before[labels == p]).argmax())
        free = sorted((c for c in range(used) if c not in taken), key=lambda c: (spent[c], (c * 5) % used))
        colour[p] = wanted if wanted >= 0 and wanted not in taken else (free[0] if free else p % used)
        spent[colour[p]] += 1
    return colour[labels]


def phase_colours(labels: Int[ndarray, "step a b"]) -> UInt8[ndarray, "step a b 3"]:
    """The colour of every point at every step, alpha upwards: a phase keeps its parent's colour where it can."""
    before, maps = None, []
    for one in labels:
        before = colour_of(one, before)
        maps.append(PHASES[before])
    return np.stack(maps)
