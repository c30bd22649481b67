"""Which edits to make: pairs of prompts, drawn from pictures in families or listed one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from phasebook.arguments import brief, whole

__all__ = ["EditPairs", "listed", "pick_pairs"]

LEAST = 0.02            # root mean square of pixels in [0, 1]: pictures nearer than this are the same for an edit


@dataclass(frozen=True)
class EditPairs:
    """Edits to make.

    Attributes:
        source: the prompt of each source.
        target: the prompt that each source is edited to.
        level: 'within' one family, 'across' two, or another word for edits that were not drawn.
        group: the number of the source. Edits of one source share its start, so statistics draw them together.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    level: tuple[str, ...]
    group: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def titles(self) -> list[str]:
        """`source → target`, for figures."""
        return [f"{a} → {b}" for a, b in zip(self.source, self.target, strict=True)]


def pick_pairs(pixels: Float[ndarray, "n y x 3"], names: Sequence[str], family: Int[ndarray, " n"], count: int,
               seed: int) -> EditPairs:
    """Edits of different sources, by turns to a picture of the same family and to one of another, two a source.

    Args:
        pixels: the pictures, in [0, 1].
        names: their prompts.
        family: their families, as numbers.
        count: edits.
        seed: of the draw.

    Raises:
        ValueError: for no edit, pixels that are no fractions, other numbers of names or families than pictures, and
            where no family has two different pictures, or there is only one family, or nothing but copies in others.
    """
    pixels, family, count = np.asarray(pixels), np.asarray(family), whole("count", count, 1)
    if pixels.dtype.kind != "f" or not np.isfinite(pixels).all():
        raise ValueError(f"pixels: {pixels.dtype}{' with NaN or Inf' if pixels.dtype.kind == 'f' else ''}; takes "
                         "floating-point numbers in [0, 1]")
    if not len(pixels) == len(names) == len(family):
        raise ValueError(f"pixels, names, family: {len(pixels)}, {len(names)}, {len(family)}; takes one each a picture")
    flat = pixels.reshape(len(pixels), -1)
    kin = [np.flatnonzero(family == one) for one in family]
    partners = [own[_unlike(flat[own], flat[i])] for i, own in enumerate(kin)]
    able = [i for i, others in enumerate(partners) if len(others)]
    if not able or len(np.unique(family)) < 2:
        raise ValueError(f"pairs = {count}: takes two families or more, one of them with two pictures")
    rng = np.random.default_rng(seed)
    sources = np.resize(rng.permutation(able), (count + 1) // 2)
    rows = []
    for group, i in enumerate(sources):
        strangers = np.flatnonzero(family != family[i])
        strangers = strangers[_unlike(flat[strangers], flat[i])]       # a copy in another family is no edit either
        if not len(strangers):
            raise ValueError(f"pairs = {count}: {names[i]!r} has nothing but copies in other families; takes pictures "
                             "of two families that differ")
        rows.append((names[i], names[rng.choice(partners[i])], "within", group))
        rows.append((names[i], names[rng.choice(strangers)], "across", group))
    return EditPairs(*(tuple(column) for column in zip(*rows[:count], strict=True)))


def _unlike(flat: Float[ndarray, "k d"], one: Float[ndarray, " d"]) -> Bool[ndarray, " k"]:
    return np.sqrt(((flat - one) ** 2).mean(1)) >= LEAST


def listed(edits: Sequence[Sequence[str]]) -> EditPairs:
    """Edits named one by one as (source, target), each with a start of its own. ValueError unless there is one at
    least, of two texts."""
    given = edits = list(edits) if hasattr(edits, "__iter__") and not isinstance(edits, str) else edits
    edits = [] if not isinstance(edits, list) else [
        tuple(edit) if hasattr(edit, "__iter__") and not isinstance(edit, str) else (edit,) for edit in edits]
    if not edits or not all(len(edit) == 2 and all(isinstance(text, str) for text in edit) for edit in edits):
        raise ValueError(f"edits = {brief(given)}: takes pairs of texts (source, target), one at least")
    source, target = zip(*edits, strict=True)
    return EditPairs(tuple(source), tuple(target), ("shown",) * len(edits), tuple(range(len(edits))))
