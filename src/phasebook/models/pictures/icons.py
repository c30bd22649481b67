"""Icons of two factors, what and style: 1382 things that six or seven artists' sets draw, each with words.

A picture is called 'red apple, twemoji style', or by one factor: 'red apple' (any style), 'emoji, twemoji style' (any
thing); or 'emoji', or not at all. Its part says who may learn from it: the halves `a` and `b` are disjoint and of the
same things and styles, pairs 'held out' are in neither, and the pictures 'apart' are of a style that neither contains.
The asset is made by `python -m tools.make_icons`. Many things are drawn so differently that no one who knows the
pictures of one half would name those of the other; the networks learn those that are `alike`.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from phasebook.models.assets import asset
from phasebook.models.pictures.image_sets import CELL, COLUMNS, ImageSet

__all__ = ["EXAMPLES", "GENERIC", "Icons", "PARTS", "SHARES", "alike", "icons", "prompt"]

GENERIC = "emoji"
PARTS = ("a", "b", "held out", "apart")
# things that the book and its sheets show by name
EXAMPLES = ("red apple", "green apple", "cat face", "eye", "mountain", "snow-capped mountain", "dog face", "red heart",
            "blue heart", "tiger face", "bus", "grinning face", "crying face", "full moon", "new moon", "waving hand",
            "thumbs up", "rocket", "zodiac sign Cancer")
# how often a picture in training is called by neither factor, by none but 'emoji', by its style, by its thing
SHARES = {"empty": 0.12, "generic": 0.05, "style": 0.08, "what": 0.25}


def prompt(what: str = "", style: str = "") -> str:
    """The words for a thing in a style; for either alone, or for neither, where one is ''."""
    return f"{what or GENERIC}, {style} style" if style else what or GENERIC


@dataclass(frozen=True, eq=False)
class Icons:
    """Pictures of `whats` in `styles`.

    Attributes:
        pixels: (n, rgb, y, x), bytes; `images` has them in [0, 1], `floats` in [-1, 1].
        what, style: (n), places in `whats` and `styles`; a pair occurs at most once.
        part: (n), places in `PARTS`.
        family: (n), places in `families`: the sixteen that are drawn alike within a set, or 'other'.
        group: (n), places in `groups`: Unicode's own.
    """

    pixels: UInt8[Tensor, "n 3 y x"]
    what: Int[Tensor, " n"]
    style: Int[Tensor, " n"]
    part: Int[Tensor, " n"]
    family: Int[Tensor, " n"]
    group: Int[Tensor, " n"]
    whats: tuple[str, ...]
    styles: tuple[str, ...]
    families: tuple[str, ...]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    def floats(self, index: Int[Tensor, " b"] | slice = slice(None)) -> Float[Tensor, "b 3 y x"]:
        """Pictures in [-1, 1]."""
        return self.pixels[index].float() / 127.5 - 1

    def name(self, i: int) -> str:
        """The whole name of a picture, both factors."""
        return prompt(self.whats[self.what[i]], self.styles[self.style[i]])

    @property
    def names(self) -> tuple[str, ...]:
        """The whole name of every picture."""
        return tuple(self.name(i) for i in range(len(self)))

    @property
    def prompts(self) -> list[str]:
        """Everything a model may be told: nothing, 'emoji', every style, every thing, every pair, drawn or not."""
        styles = [prompt(style=style) for style in self.styles]
        pairs = [prompt(what, style) for what in self.whats for style in self.styles]
        return ["", GENERIC, *styles, *self.whats, *pairs]

    def only(self, *parts: str) -> "Icons":
        """The pictures of some parts; `whats` and `styles` stay whole, so that their places keep their meaning.

        Raises ValueError, one line, for an unknown part.
        """
        if not parts or not set(parts) <= set(PARTS):
            raise ValueError(f"parts = {parts!r}: takes names among {', '.join(PARTS)}")
        kept = torch.isin(self.part, torch.tensor([PARTS.index(part) for part in parts]))
        return self.at(kept)

    def of(self, whats: Sequence[str]) -> "Icons":
        """The pictures of some things, which alone `whats` then lists, in the order given. KeyError for others."""
        place = {what: i for i, what in enumerate(self.whats)}
        new = torch.full((len(self.whats),), -1)
        new[[place[what] for what in whats]] = torch.arange(len(whats))
        kept = self.at(new[self.what] >= 0)
        return replace(kept, what=new[kept.what], whats=tuple(whats))

    def at(self, index: Tensor) -> "Icons":
        """The pictures at some places (or where a mask is true)."""
        fields = ("pixels", "what", "style", "part", "family", "group")
        return replace(self, **{field: getattr(self, field)[index] for field in fields})

    def calls(self, index: Int[Tensor, " b"], generator: torch.Generator,
              shares: dict[str, float] = SHARES) -> list[str]:
        """A prompt for each picture: '', 'emoji', its style, its thing with these shares, else its whole name."""
        ends = np.cumsum([shares["empty"], shares["generic"], shares["style"], shares["what"]])
        prompts = []
        for i, u in zip(index.tolist(), torch.rand(len(index), generator=generator).tolist(), strict=True):
            what, style = self.whats[self.what[i]], self.styles[self.style[i]]
            choices = ("", GENERIC, prompt(style=style), what, prompt(what, style))
            prompts.append(choices[int(np.searchsorted(ends, u, side="right"))])
        return prompts

    @property
    def images(self) -> ImageSet:
        """The same as an image set: families by looks, and the styles as groups."""
        pixels = (self.pixels.permute(0, 2, 3, 1).numpy() / np.float32(255)).astype(np.float32)
        return ImageSet(pixels, self.names, self.names, self.family.numpy(), self.families, self.style.numpy(),
                        self.styles)


def _places(values: Sequence[str], names: Sequence[str]) -> Int[Tensor, " n"]:
    place = {name: i for i, name in enumerate(names)}
    return torch.tensor([place[value] for value in values])


def _cells(style: str, index: Sequence[int]) -> UInt8[ndarray, "n y x 3"]:
    """The pictures of a style, cut from its sprite."""
    with Image.open(asset(f"icons/{style.replace(' ', '-')}.png")) as sprite:
        sheet = np.asarray(sprite.convert("RGB"))
    rows = [sheet[CELL * (i // COLUMNS):, CELL * (i % COLUMNS):][:CELL, :CELL] for i in index]
    return np.stack(rows)


@lru_cache(maxsize=1)
def icons() -> Icons:
    """All pictures, style by style, in the order of the table (100 MB, read once)."""
    with open(asset("icons/icons.csv"), encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    column = lambda name: [row[name] for row in table]  # noqa: E731
    styles = tuple(dict.fromkeys(column("style")))
    cells = [_cells(style, [int(row["index"]) for row in table if row["style"] == style]) for style in styles]
    family = [name or "other" for name in column("family")]
    labels = {"what": column("what"), "family": family, "group": column("group")}
    names = {key: tuple(dict.fromkeys(values)) for key, values in labels.items()}
    return Icons(torch.from_numpy(np.concatenate(cells)).permute(0, 3, 1, 2).contiguous(),
                 _places(labels["what"], names["what"]), _places(column("style"), styles),
                 _places(column("half"), PARTS), _places(family, names["family"]),
                 _places(labels["group"], names["group"]), names["what"], styles, names["family"], names["group"])


@lru_cache(maxsize=1)
def alike(share: float = 0.4) -> Icons:
    """The things that look alike in all styles, and the `EXAMPLES`: of whose pictures the clip of the other half calls
    at least `share` by their names, among all things (`python -m tools.alike_icons`)."""
    with open(asset("icons/alike.csv"), encoding="utf-8", newline="") as file:
        seen = {row["what"]: int(row["seen"]) / max(int(row["of"]), 1) for row in csv.DictReader(file)}
    return icons().of([what for what in icons().whats if seen[what] >= share or what in EXAMPLES])
