"""Who says whether an edit has succeeded: a distance of pictures, pictures that are known by name, and words.

One judge serves every model. For the exact model the distance is that of pixels; for networks it is the distance of
CLIP features of norm one, and a CLIP model that reads text has a say as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from phasebook.sampling.protocols import Embedding, Feature, Frame, Pixels

__all__ = ["Judge", "Texts", "apart", "picked"]


class Texts(Protocol):
    """A model of pictures and words, such as CLIP."""

    def __call__(self, pixels: Pixels) -> Float[Tensor, "p f"]:
        """Features of pictures."""
        ...

    def text(self, texts: list[str]) -> Float[Tensor, "m f"]:
        """Features of texts, of norm one, in the same space."""
        ...


def apart(a: Embedding, b: Embedding) -> Float[Tensor, " p"]:
    """Distances of the points of two embeddings, row by row, before the feature's unit; one row is compared with all.

    Points and duals may be the same numbers (plain coordinates) or not (a Gram matrix between them).
    """
    square = ((a.points - b.points) * (a.duals - b.duals)).sum(-1)
    return square.clamp(min=0).sqrt()


def picked(embedding: Embedding, index: Int[Tensor, " q"] | slice) -> Embedding:
    """Some points of an embedding, without tangents."""
    return Embedding(embedding.points[index], embedding.duals[index])


@dataclass(frozen=True, eq=False)
class Judge:
    """A judge of pictures.

    Attributes:
        feature: whose distances count.
        names: of pictures that are known beforehand, e.g. the captions of the data; none by default.
        known: these pictures, in the feature's coordinates.
        texts: a model of pictures and words in the feature's space, or None where words have no say.
    """

    feature: Feature
    names: tuple[str, ...] = ()
    known: Embedding | None = None
    texts: Texts | None = None

    def embed(self, frame: Frame) -> Embedding:
        """Pictures in the feature's coordinates."""
        return frame.embedded(self.feature)

    def examples(self, prompts: Sequence[str]) -> Embedding | None:
        """The known picture of each prompt; None unless all of them name one."""
        if self.known is None or not set(prompts) <= set(self.names):
            return None
        index = torch.tensor([self.names.index(text) for text in prompts], device=self.known.points.device)
        return picked(self.known, index)

    def nearness(self, pictures: Embedding, made: Embedding, prompts: Sequence[str]) -> Float[Tensor, " p"]:
        """The distance of each picture from what it is compared with: a picture made for it, or the known one of its
        prompt if that is nearer."""
        distance = apart(pictures, made)
        examples = self.examples(prompts)
        if examples is not None:
            distance = torch.minimum(distance, apart(pictures, examples))
        return distance * self.feature.unit

    def preference(self, pictures: Embedding, source: Sequence[str],
                   target: Sequence[str]) -> Float[Tensor, " p"] | None:
        """By how much each picture's score with the target's words exceeds that with the source's; None without words.
        """
        if self.texts is None:
            return None
        words = list(dict.fromkeys([*source, *target]))
        scores = pictures.points @ self.texts.text(words).to(pictures.points).T
        rows = torch.arange(len(scores), device=scores.device)
        columns = [torch.tensor([words.index(text) for text in texts], device=scores.device)
                   for texts in (target, source)]
        return scores[rows, columns[0]] - scores[rows, columns[1]]

    def recognise(self, pictures: Embedding) -> Int[Tensor, " p"]:
        """The nearest known picture of each, as an index into `names`.

        Raises:
            ValueError: for a judge that knows no pictures.
        """
        if self.known is None:
            raise ValueError("judge: knows no pictures by name; takes Judge(..., names=, known=)")
        (points, duals), (known, known_duals) = (
            (f.points - self.known.points.mean(0), f.duals - self.known.duals.mean(0)) for f in (pictures, self.known))
        square = (known * known_duals).sum(-1) - 2 * points @ known_duals.T      # less what all have in common
        return square.argmin(1)
