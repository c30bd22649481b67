"""Image sets: finite sets of small pictures in families, each the data distribution of an exact diffusion model.

A set is named: `families` (about 420 emoji that are drawn alike within their family), `emoji` (all 1600 distinct
ones), `digits` (scikit-learn's 1797 handwritten digits of 8 x 8 pixels) or the path of a directory of pictures.
Nothing is downloaded. Order and pixels depend on the arguments alone.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int
from numpy import ndarray
from PIL import Image, ImageOps

from phasebook.models.assets import asset

__all__ = ["ImageSet", "load_images", "IMAGE_SETS", "RESOLUTIONS"]

IMAGE_SETS = ("families", "emoji", "digits")
RESOLUTIONS = (8, 256)
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}
CELL, COLUMNS = 64, 40


@dataclass(frozen=True, eq=False)
class ImageSet:
    """`n` pictures with two ways to sort them: `family` by looks, `group` by meaning (Unicode's, a null to compare).

    `pixels` (n, y, x, rgb) in [0, 1]; `names` (n); `family` and `group` (n) index `families` and `groups`. Outside
    the emoji, group and family are the same. An emoji without a family has the family 'other'.
    """

    pixels: Float32[ndarray, "n y x 3"]
    names: tuple[str, ...]
    family: Int[ndarray, " n"]
    families: tuple[str, ...]
    group: Int[ndarray, " n"]
    groups: tuple[str, ...]
    captions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def resolution(self) -> int:
        return self.pixels.shape[1]


def load_images(name: str = "families", resolution: int = 64, families: Sequence[str] | None = None) -> ImageSet:
    """The image set `name` at `resolution` x `resolution` pixels, or only its `families` of those names.

    Shrinking and enlarging are Lanczos, clipped to [0, 1]. In a directory, pictures are cropped to their middle
    square, turned as their EXIF says and put on white where they are transparent; its sub-directories, if any, are
    the families. Equal pictures are kept: an atom that occurs twice has twice the weight.

    Raises ValueError, one line that begins with the argument's name, for an unknown name or family, a resolution
    outside 8..256, a picture that cannot be read, and fewer than two pictures.
    """
    low, high = RESOLUTIONS
    if isinstance(resolution, bool) or not isinstance(resolution, int | np.integer) or not low <= resolution <= high:
        raise ValueError(f"resolution = {resolution!r}: takes a whole number from {low} to {high}")
    if name == "digits":
        table = _digits()
    elif name in IMAGE_SETS:
        table = _emoji(only_families=name == "families")
    else:
        table = _directory(name)
    table = _of_families(table, families)
    if len(table) < 2:
        raise ValueError(f"image_set = {str(name)!r}: {len(table)} picture left; takes at least 2")
    return _image_set(table, int(resolution))


@dataclass(frozen=True)
class _Row:
    """One picture before it is resized."""

    picture: Image.Image
    name: str
    family: str
    group: str
    caption: str


def _image_set(table: list[_Row], resolution: int) -> ImageSet:
    family, families = _labels([row.family for row in table])
    group, groups = _labels([row.group for row in table])
    return ImageSet(
        pixels=np.stack([_resized(row.picture, resolution) for row in table]),
        names=tuple(row.name for row in table), captions=tuple(row.caption for row in table),
        family=family, families=families, group=group, groups=groups,
    )


def _labels(names: list[str]) -> tuple[Int[ndarray, " n"], tuple[str, ...]]:
    """Integers, and the names they stand for in order of first appearance."""
    known = tuple(dict.fromkeys(names))
    return np.array([known.index(name) for name in names]), known


def _of_families(table: list[_Row], families: Sequence[str] | None) -> list[_Row]:
    if families is None:
        return table
    known = list(dict.fromkeys(row.family for row in table))
    unknown = [family for family in families if family not in known]
    if isinstance(families, str) or unknown or not families:
        raise ValueError(f"families = {families!r}: takes a list of names among {', '.join(known)}")
    return [row for row in table if row.family in families]


def _resized(picture: Image.Image, resolution: int) -> Float32[ndarray, "y x 3"]:
    """An RGB picture in [0, 1]; a power-of-two reduction of the emoji's 64 px stays close to the area mean."""
    if picture.size != (resolution, resolution):
        picture = picture.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return np.asarray(picture, dtype=np.float32) / 255


def _emoji(only_families: bool) -> list[_Row]:
    """The tracked sprite, cut by its table."""
    with open(asset("emoji/emoji.csv"), encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    with Image.open(asset("emoji/emoji.png")) as sprite:
        sheet = sprite.convert("RGB")
    rows = []
    for entry in table:
        if entry["family"] or not only_families:
            y, x = divmod(int(entry["index"]), COLUMNS)
            cell = sheet.crop((x * CELL, y * CELL, (x + 1) * CELL, (y + 1) * CELL))
            rows.append(_Row(cell, entry["name"], entry["family"] or "other", entry["group"], entry["caption"]))
    return rows


def _digits() -> list[_Row]:
    """Black on white, 0..16 levels, sorted by digit."""
    from sklearn.datasets import load_digits

    data = load_digits()
    rows = []
    for i in np.argsort(data.target, kind="stable"):
        grey = (255 * (1 - data.images[i] / 16)).round().astype(np.uint8)
        digit = str(data.target[i])
        rows.append(_Row(Image.fromarray(grey).convert("RGB"), f"{digit} ({i})", digit, digit, f"handwritten {digit}"))
    return rows


def _directory(name: str | Path) -> list[_Row]:
    """Every picture below a directory; the first level of sub-directories are the families."""
    root = Path(name)
    if not root.is_dir():
        raise ValueError(f"image_set = {str(name)!r}: takes {', '.join(IMAGE_SETS)} or an existing directory")
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
                   and not any(part.startswith(".") for part in path.relative_to(root).parts))
    pictures, unreadable = [], []
    for path in paths:
        try:
            pictures.append((path.relative_to(root), _opened(path)))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            unreadable.append(str(path.relative_to(root)))
    if unreadable:
        more = f" and {len(unreadable) - 5} more" if len(unreadable) > 5 else ""
        raise ValueError(f"image_set = {str(name)!r}: cannot read {', '.join(unreadable[:5])}{more}; "
                         "takes pictures that Pillow reads")
    if len(pictures) < 2:
        raise ValueError(f"image_set = {str(name)!r}: holds {len(pictures)} pictures ({', '.join(sorted(SUFFIXES))}); "
                         "takes at least 2")
    rows = []
    for path, picture in pictures:
        family = path.parts[0] if len(path.parts) > 1 else root.resolve().name
        rows.append(_Row(picture, path.as_posix(), family, family, path.stem.replace("_", " ")))
    return rows


def _opened(path: Path) -> Image.Image:
    """The middle square in RGB, transparency on white."""
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image)
        layers = image.convert("RGBA") if image.has_transparency_data else image.convert("RGB").convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    side = min(picture.size)
    return ImageOps.fit(picture, (side, side), method=Image.Resampling.BOX)
