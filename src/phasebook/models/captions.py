"""The captioned emoji that the shipped models are trained on, and the words they hear them called.

The families of the exact model, and what edits need besides: mammals, fruit, vehicles, mountains, hearts, eyes.
An image is called by its own caption, by its kind (`emoji of mammals`), by `emoji`, or not at all; the prefix keeps
kinds apart from captions.
"""

import csv
import re
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from phasebook.models.assets import asset
from phasebook.models.image_sets import ImageSet, load_images

__all__ = ["Captioned", "GENERIC", "captioned", "everything", "kind_of"]

GENERIC = "emoji"
# what the families lack, by Unicode subgroup and name; the right-hand side is the kind
EXTRA = [("animal-mammal", ".*", "mammals"), ("food-fruit", ".*", "fruit"), ("heart", ".*", "hearts"),
         ("place-geographic", ".*mountain|volcano|mount fuji|desert.*", "mountains"), ("body-parts", "eyes?", "eyes"),
         ("transport-ground", ".*(train|tram|bus|engine|car|taxi|automobile|vehicle|truck|lorry|tractor|motor.*e|"
                              "scooter|rickshaw|bicycle)|ambulance|locomotive|monorail|light rail", "vehicles")]


@dataclass(frozen=True, eq=False)
class Captioned:
    """`pixels` (n, rgb, y, x) in [-1, 1], float32; `captions` (n), all different; `kind` (n) indexes `kinds`."""

    pixels: Float[Tensor, "n 3 y x"]
    captions: tuple[str, ...]
    kind: Int[Tensor, " n"]
    kinds: tuple[str, ...]

    @property
    def images(self) -> ImageSet:
        """The same as an image set whose families are the kinds."""
        family = self.kind.numpy()
        return ImageSet((self.pixels / 2 + 0.5).permute(0, 2, 3, 1).numpy(), self.captions, self.captions, family,
                        self.kinds, family, self.kinds)

    def __len__(self) -> int:
        return len(self.captions)

    def floats(self, index: Int[Tensor, " b"] | slice = slice(None)) -> Float[Tensor, "b 3 y x"]:
        """Pictures in [-1, 1]."""
        return self.pixels[index]


def kind_of(row: dict[str, str]) -> str:
    """The family of a row of the emoji table, or the kind that stands for one; '' for none."""
    if row["family"]:
        return row["family"]
    for subgroup, names, kind in EXTRA:
        if row["subgroup"] == subgroup and re.fullmatch(names, row["name"]):
            return kind
    return ""


def captioned() -> Captioned:
    """The training set, in the order of the emoji table."""
    with open(asset("emoji/emoji.csv"), encoding="utf-8", newline="") as file:
        rows = [(i, kind_of(row), row["caption"]) for i, row in enumerate(csv.DictReader(file))]
    rows = [entry for entry in rows if entry[1]]
    kinds = tuple(sorted({kind for _, kind, _ in rows}))
    return Captioned(everything()[[i for i, _, _ in rows]], tuple(caption for _, _, caption in rows),
                     torch.tensor([kinds.index(kind) for _, kind, _ in rows]), kinds)


def everything() -> Float[Tensor, "n 3 y x"]:
    """All distinct emoji, in [-1, 1]."""
    return torch.as_tensor(load_images("emoji", resolution=64).pixels).permute(0, 3, 1, 2).contiguous() * 2 - 1
