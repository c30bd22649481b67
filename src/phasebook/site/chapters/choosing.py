"""Edits to choose from: every source to every target, and what the page shows of them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from phasebook.edits.editing import Edits
from phasebook.edits.pairs import EditPairs
from phasebook.sampling.protocols import Model, Prompt
from phasebook.site.figures.album import Album, Choice, Panel
from phasebook.site.figures.base import noise_words
from phasebook.site.figures.hierarchy import as_bytes
from phasebook.site.figures.widget import resized

__all__ = ["crossed", "edit_album", "spread_steps"]

CHOSEN = 4              # sources and as many targets
STEPS = 12              # of k to choose from
PICTURE = 72            # pixels on a side
WIDE = 220              # of it on the page, at most


def crossed(edits: Sequence[Sequence[str]]) -> EditPairs:
    """The sources of the first edits, each edited to each of their targets; one start a source."""
    sources, targets = ([edit[k] for edit in edits[:CHOSEN]] for k in (0, 1))
    rows = [(a, b, "shown", group) for group, a in enumerate(sources) for b in targets]
    return EditPairs(*(tuple(column) for column in zip(*rows, strict=True)))


def spread_steps(k_values: Sequence[int]) -> list[int]:
    """At most a dozen of the steps, evenly spread, the first and the last among them."""
    return [k_values[k] for k in sorted({round(x) for x in np.linspace(0, len(k_values) - 1, STEPS)})]


def edit_album(edits: Edits, model: Model, generic: Prompt | None) -> Album:
    """The edits of `crossed` as an album.

    Args:
        edits: made from them.
        model: which made them.
        generic: the prompt of the inversion.

    Returns:
        An album of the source's picture, of what the model predicts of it once it is noised to step k, and of the
        result.
    """
    n = round(len(edits.pairs)**0.5)
    sources, targets = edits.pairs.source[::n], edits.pairs.target[:n]
    k_values = edits.k_values.tolist()
    noised = [model.predict(edits.inverted[k, ::n], edits.levels, k, generic).x0 for k in k_values]
    denoised = np.stack([_pictures(model, x0) for x0 in noised], 1)
    results = np.stack([_pictures(model, x0) for x0 in edits.pictures])
    noise = [f"k = {k}, {noise_words(edits.levels.sigma_over_alpha[k])}" for k in k_values]
    choices = [Choice("Source", sources, "select"), Choice("Target", targets, "select"),
               Choice("Back to step", noise, "slider", len(k_values) // 2)]
    every, some = ["Source", "Target", "Back to step"], ["Source", "Back to step"]
    read = [f"{a}, as the model reads it at {k}" for a in sources for k in noise]
    made = [f"{title}, resumed at {k}" for title in edits.pairs.titles for k in noise]
    panels = [Panel("Source", ["Source"], _pictures(model, edits.source[::n]), list(sources)),
              Panel("Denoised", some, denoised, read),
              Panel("Result", every, results.reshape(n, n, *results.shape[1:]), made)]
    panels = [panel._replace(words=True, least=6, most=WIDE) for panel in panels]
    return Album(choices, panels, every, _notes(edits))


def _pictures(model: Model, x0: Tensor) -> UInt8[ndarray, "p y x 3"]:
    decoded = as_bytes(model.decode(x0).detach().float().cpu())
    return np.stack([resized(one, PICTURE) for one in decoded])


def _notes(edits: Edits) -> list[str]:
    """Of each edit from each step: whether it succeeds, and the last of these steps that does, which is k* only where
    all steps are among them."""
    texts = []
    for title, success, star in zip(edits.pairs.titles, edits.success, edits.k_star, strict=True):
        most = f"the last that succeeds is {star}" if star >= 0 else "it succeeds from none"
        texts += [f"{title} {'succeeds' if one else 'fails'} from here; of the steps to choose from, {most}."
                  for one in success]
    return texts
