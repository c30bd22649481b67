"""A network and the exact denoiser of its data on one slice: one button from the one to the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

from phasebook.models.exact import ExactModel
from phasebook.sampling.protocols import Frame, Model, Pixels, State
from phasebook.site.chapters.network import nearest_kind
from phasebook.site.figures.album import Album, Choice, Panel
from phasebook.site.figures.base import noise_words
from phasebook.site.figures.widget import resized, sheet
from phasebook.slices.slice import Slice

__all__ = ["DrawnBy", "basin_of", "toggle_album"]

GOLDEN = (5**0.5 - 1) / 2
CELL = 34               # pixels of a picture
SIDE, LARGE = 20, 400  # pixels of a point of the map, and of the map


@dataclass(frozen=True, eq=False)
class DrawnBy(ExactModel):
    """The exact denoiser of a network's latents, whose predictions that network's decoder draws."""

    network: Model | None = None

    @classmethod
    def of_network(cls, data: ExactModel, network: Model) -> "DrawnBy":
        """The same model, with the network's decoder."""
        return cls(**{one.name: getattr(data, one.name) for one in fields(data)} | {"network": network})

    def decode(self, x0: State) -> Pixels:
        """The pictures that the network's decoder makes of `sum_i w_i x_i`."""
        return self.network.decode((self.weights(x0) @ self.atoms).view(-1, *self.shape))


def basin_of(data: ExactModel, views: int) -> Callable[[Frame], Int[ndarray, " p"]]:
    """A field of a slice of either model: the training picture whose latents come nearest to the prediction.

    Args:
        data: the exact denoiser, of `views` variations of each picture beside the picture itself.
        views: how many.
    """
    count = len(data.atoms) // (views + 1)
    nearest = nearest_kind(data, np.arange(len(data.atoms)) % count)

    def basin(frame: Frame) -> Int[ndarray, " p"]:
        if not isinstance(frame.model, ExactModel):
            return nearest(frame)
        return nearest(Frame(frame.model, frame.step, frame.model.weights(frame.x0) @ data.atoms))

    return basin


def toggle_album(network: Slice, exact: Slice, steps: Sequence[int]) -> Album:
    """Basins and pictures of both models on one plane.

    Args:
        network: the slice of the network, with the field `basin` and pictures at these steps.
        exact: that of the exact denoiser, likewise.
        steps: to choose from.
    """
    both = {"the network": network, "the exact denoiser": exact}
    labels = [noise_words(network.levels.sigma_over_alpha[k]) for k in steps]
    notes = [_note(title, label, s.data.basin.values[k]) for title, s in both.items()
             for label, k in zip(labels, steps, strict=True)]
    alts = [f"Predictions of {title} at {label}" for title in both for label in labels]
    pictures = [[_sheet(s.pictures([k])[0]) for k in steps] for s in both.values()]
    maps = [_maps(s.data.basin.values[list(steps)]) for s in both.values()]
    choices = [Choice("Model", list(both), "button"),
               Choice("Noise", labels, "slider", len(steps) - 1, "Lower the noise")]
    over = [one.name for one in choices]
    panels = [Panel("Predictions", over, np.array(pictures), alts),
              Panel("Nearest training picture", over, np.stack(maps), notes, sharp=True)]
    return Album(choices, panels, over, notes)


def _note(title: str, label: str, basins: Int[ndarray, "a b"]) -> str:
    n = len(np.unique(basins))
    which = "one training picture is" if n == 1 else f"{n} training pictures are"
    return f"{title[0].upper()}{title[1:]} at {label}: {which} the nearest somewhere on the slice."


def _maps(basins: Int[ndarray, "k a b"]) -> UInt8[ndarray, "k y x 3"]:
    """A colour for each training picture, the same in both models; alpha up."""
    turn = 2 * np.pi * (basins[..., None] * GOLDEN + np.array([0, 1 / 3, 2 / 3]))
    pale = 0.5 + 0.12 * (basins[..., None] % 3)
    colours = np.rint(255 * (pale + (0.95 - pale) * np.cos(turn) / 1.6).clip(0, 1)).astype(np.uint8)
    side = max(1, min(SIDE, LARGE // basins.shape[1]))
    return colours[:, ::-1].repeat(side, 1).repeat(side, 2)


def _sheet(pictures: UInt8[ndarray, "row column y x 3"]) -> UInt8[ndarray, "h w 3"]:
    rows = pictures[::-1]                           # alpha points up
    flat = rows.reshape(-1, *rows.shape[2:])
    return sheet(np.stack([resized(one, CELL) for one in flat]), rows.shape[1])
