"""Image sets: finite sets of small pictures in families, each the data distribution of an exact diffusion model.

A set is named: `families` (420 emoji that are drawn alike within their family), `emoji` (all 1600 distinct ones),
`icons` (8104 pictures of 1382 things in seven styles; their groups are the styles), `digits` (the 1797 handwritten
digits that scikit-learn carries), `captioned` (the emoji that have a kind, named by their captions), `known` (those
of them that the networks know) or the path of a directory of pictures. Nothing is downloaded. Order and pixels depend
on the arguments alone.
"""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int
from numpy import ndarray
from PIL import Image, ImageOps

from phasebook.arguments import brief, whole
from phasebook.models.assets import asset
from phasebook.models.pictures.captions import kind_of
from phasebook.models.pictures.picture_files import pictures_below

__all__ = ["ImageSet", "load_images", "read_picture", "IMAGE_SETS", "RESOLUTIONS", "CELL", "COLUMNS"]

IMAGE_SETS = ("families", "emoji", "icons", "digits", "captioned", "known")
RESOLUTIONS = (8, 256)
MOST = 10_000                   # the exact model keeps a matrix of n x n numbers
LARGEST = 10**8          # pixels of one of them
CELL, COLUMNS = 64, 40          # the emoji sprite: pixels of a cell, cells in a row
GREYS = {"L;2": 85, "L;4": 17}  # by which Pillow multiplies pixels of 2 and of 4 bits
PHOTOMETRIC = 262               # the tag of TIFF that says whether 0 is black
# Readers that may look at a file, whatever its name: Pillow's for PostScript would run Ghostscript on what is in it.
READERS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "TGA", "AVIF", "JPEG2000", "ICO", "PSD")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """`n` pictures with two ways to sort them: `family` by looks, `group` by meaning (Unicode's own, the null).

    `pixels` (n, y, x, rgb) in [0, 1]; `names` and `captions` (n); `family` and `group` (n) index `families` and
    `groups`. An emoji that belongs to no family has the family 'other'; outside the emoji, group and family agree.
    """

    pixels: Float32[ndarray, "n y x 3"]
    names: tuple[str, ...]
    captions: tuple[str, ...]
    family: Int[ndarray, " n"]
    families: tuple[str, ...]
    group: Int[ndarray, " n"]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def resolution(self) -> int:
        """Pixels on a side."""
        return self.pixels.shape[1]


@dataclass(frozen=True)
class _Row:
    """One RGB picture, square but not yet of the size asked for."""

    picture: Image.Image
    name: str
    caption: str
    family: str
    group: str


def load_images(name: str | Path = "families", resolution: int = 64, families: Sequence[str] | None = None,
                parameter: str = "name") -> ImageSet:
    """An image set, or some of its families.

    Sizes change by Lanczos filtering, which averages when it shrinks. The pictures of a directory are turned as
    their EXIF says, put on white where they are transparent, and taken at 8 bits a channel (files have at most 16);
    then their middle square is resized (Pillow's `ImageOps.fit`). Its sub-directories, if any, are the families, and
    pictures beside these form one more, of the directory's own name. Files are pictures by their suffix (`.png`,
    `.jpg` and others, see `picture_files.SUFFIXES`), and a picture that cannot be read, such as any `.svg` or `.heic`,
    is refused; files of other suffixes, hidden ones, links that lead nowhere and links to other directories are passed
    over. Equal pictures are kept: an atom that occurs twice has twice the weight.

    Args:
        name: of a set that is shipped, or a directory of pictures.
        resolution: pixels on a side.
        families: only these; None for all.
        parameter: by which refusals call `name`.

    Returns:
        The pictures, with their names and families.

    Raises:
        ValueError: one line that begins with the parameter (`name`, `resolution`, `families`): an unknown
            name, a picture that cannot be read, fewer than 2 pictures or more than 10 000, a resolution outside
            8..256, an unknown family.
    """
    low, high = RESOLUTIONS
    resolution = whole("resolution", resolution, low, high)
    if name == "digits":
        table = _digits()
    elif name in ("captioned", "known"):
        table = _captioned(only_known=name == "known")
    elif name == "icons":
        table = _icons()
    elif name in IMAGE_SETS:
        table = _emoji(only_families=name == "families")
    else:
        table = _directory(name, resolution, parameter)
    table = _of_families(table, families)
    family, family_names = _labels([row.family for row in table])
    group, group_names = _labels([row.group for row in table])
    pixels = np.empty((len(table), resolution, resolution, 3), np.float32)
    for one, row in zip(pixels, table, strict=True):
        np.divide(_fitted(row.picture, resolution), np.float32(255), out=one)
    return ImageSet(
        pixels=pixels,
        names=tuple(row.name for row in table), captions=tuple(row.caption for row in table),
        family=family, families=family_names, group=group, groups=group_names,
    )


def _labels(names: list[str]) -> tuple[Int[ndarray, " n"], tuple[str, ...]]:
    """Integers, and the names they stand for in order of first appearance."""
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([place[name] for name in names]), tuple(place)


def _of_families(table: list[_Row], families: Sequence[str] | None) -> list[_Row]:
    if families is None:
        return table
    known = list(dict.fromkeys(row.family for row in table))
    if not isinstance(families, list | tuple) or not families or any(family not in known for family in families):
        raise ValueError(f"families = {families!r}: takes a list of names among {', '.join(known)}")
    kept = [row for row in table if row.family in families]
    if len(kept) < 2:
        raise ValueError(f"families = {families!r}: {len(kept)} picture; takes families of at least 2 together")
    return kept


def _fitted(picture: Image.Image, resolution: int) -> Image.Image:
    """The middle square of an RGB picture at `resolution`."""
    if picture.size == (resolution, resolution):
        return picture
    return ImageOps.fit(picture, (resolution, resolution), method=Image.Resampling.LANCZOS)


def _emoji(only_families: bool) -> list[_Row]:
    """All emoji, or those of a family."""
    rows = []
    for entry, cut in _cells():
        if entry["family"] or not only_families:
            rows.append(_Row(cut(), entry["name"], entry["caption"], entry["family"] or "other", entry["group"]))
    return rows


def _captioned(only_known: bool) -> list[_Row]:
    """The emoji that have a kind, all or the things that networks learn; captions are names, kinds the families."""
    from phasebook.models.pictures.icons import alike

    rows, known = [], set(alike().whats) if only_known else ()
    for entry, cut in _cells():
        caption, kind = entry["caption"], kind_of(entry)
        if kind and (caption in known or not only_known):
            rows.append(_Row(cut(), caption, caption, kind, kind))
    return rows


def _cells() -> Iterator[tuple[dict[str, str], Callable[[], Image.Image]]]:
    """The table of the tracked sprite, and what cuts each of its pictures out."""
    with open(asset("emoji/emoji.csv"), encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    with Image.open(asset("emoji/emoji.png")) as sprite:
        sheet = sprite.convert("RGB")
    for entry in table:
        y, x = divmod(int(entry["index"]), COLUMNS)
        yield entry, partial(sheet.crop, (x * CELL, y * CELL, (x + 1) * CELL, (y + 1) * CELL))


def _icons() -> list[_Row]:
    """The icons, style by style."""
    from phasebook.models.pictures.icons import icons

    data = icons()
    pictures = data.pixels.permute(0, 2, 3, 1).numpy()
    families = [data.families[i] for i in data.family.tolist()]
    styles = [data.styles[i] for i in data.style.tolist()]
    rows = zip(pictures, data.names, families, styles, strict=True)
    return [_Row(Image.fromarray(picture), name, name, family, style) for picture, name, family, style in rows]


def _digits() -> list[_Row]:
    """8 x 8 pixels of 17 levels, black on white, sorted by digit."""
    from sklearn.datasets import load_digits

    data = load_digits()
    rows = []
    for i in np.argsort(data.target, kind="stable"):
        grey = (255 * (1 - data.images[i] / 16)).round().astype(np.uint8)
        digit = str(data.target[i])
        picture = Image.fromarray(grey).convert("RGB")
        rows.append(_Row(picture, f"{digit} (sample {i})", f"handwritten digit {digit}", digit, digit))
    return rows


def _directory(name: str | Path, resolution: int, parameter: str) -> list[_Row]:
    """Every picture below a directory, sorted by path; the first level of sub-directories are the families."""
    refused = f"{parameter} = {repr(str(name)) if isinstance(name, str | Path) else brief(name)}:"
    root = Path(os.path.expanduser(name)) if isinstance(name, str | Path) and str(name) else None
    if root is None or not os.path.isdir(root):
        raise ValueError(f"{refused} takes {', '.join(IMAGE_SETS)} or an existing directory of pictures")
    paths = pictures_below(root, refused, MOST)
    if not 2 <= len(paths) <= MOST:
        raise ValueError(f"{refused} holds {len(paths)} picture files; takes 2 to {MOST} (png, jpg, webp, ...)")
    rows, unreadable = [], []
    for path in paths:
        family = path.parts[0] if len(path.parts) > 1 else root.resolve().name
        try:
            path.as_posix().encode()        # names stand in ledgers and figures, which are UTF-8
            picture = _fitted(_opened(root / path), resolution)
        except Exception as error:  # corrupt files make Pillow's readers raise some ten different kinds
            size = f"{error} pixels, and at most {LARGEST} in all" if isinstance(error, _OtherSize) else ""
            known = {_NoRange: "32-bit pixels", UnicodeEncodeError: "its name is not UTF-8",
                     Image.DecompressionBombError: f"more than {LARGEST} pixels"}
            reason = size or known.get(type(error), type(error).__name__)
            unreadable.append(f"{path.as_posix()!r} ({reason})")
        else:
            rows.append(_Row(picture, path.as_posix(), path.stem.replace("_", " "), family, family))
    if unreadable:
        more = f" and {len(unreadable) - 5} more" if len(unreadable) > 5 else ""
        raise ValueError(f"{refused} cannot read {', '.join(unreadable[:5])}{more}; takes pictures that Pillow reads, "
                         "of at most 16 bits a channel")
    return rows


def read_picture(path: str | Path, label: str, sizes: Sequence[int] = ()) -> Float32[ndarray, "y x 3"]:
    """The picture in a file, upright, in RGB on white, in [0, 1]: as `load_images` reads those of a directory.

    Args:
        path: of the file.
        label: what a refusal begins with, e.g. "source_image = 'a.png'".
        sizes: pixels on a side that are accepted; () for any picture. They are checked before anything is decoded.

    Returns:
        The pixels.

    Raises:
        ValueError: one line, for a file that is not there, cannot be read, has another size, or has 32-bit pixels,
            whose range nobody knows.
    """
    try:
        picture = _opened(Path(os.path.expanduser(path)), sizes)
    except FileNotFoundError:
        raise ValueError(f"{label}: no such file; takes a picture") from None
    except _OtherSize as error:
        takes = " or ".join(f"{side} x {side}" for side in dict.fromkeys(sizes)) or f"at most {LARGEST} in all"
        raise ValueError(f"{label}: {error} pixels; takes {takes}") from None
    except Image.DecompressionBombError:        # Pillow's own bound, which is higher
        raise ValueError(f"{label}: more pixels than Pillow opens; takes at most {LARGEST} in all") from None
    except _NoRange as error:
        raise ValueError(f"{label}: {error}") from None
    except Exception as error:  # corrupt files make Pillow's readers raise some ten different kinds
        raise ValueError(f"{label}: cannot be read ({type(error).__name__}); takes a picture that Pillow "
                         "reads") from None
    return np.asarray(picture, np.float32) / 255


class _OtherSize(Exception):
    """Its text is the size, in pixels."""


class _NoRange(ValueError):
    """Pixels whose black and white are not known; its text says what is taken."""


def _raw(image: Image.Image) -> str:
    """Pillow's name for the pixels as they lie in the file; '' for those of most formats."""
    if not image.tile:
        return ""
    kind = image.tile[0][3]
    return str(kind[0] if isinstance(kind, tuple) and kind else kind)


def _opened(path: Path, sizes: Sequence[int] = ()) -> Image.Image:
    """The upright picture in RGB on white. _NoRange for 32-bit numbers."""
    if path.exists() and not path.is_file():        # a pipe would be waited for
        raise OSError("no file")
    with Image.open(path, formats=READERS) as image:
        if sizes and (image.width != image.height or image.width not in sizes):
            raise _OtherSize(f"{image.width} x {image.height}")
        if image.width * image.height > LARGEST:
            raise _OtherSize(f"{image.width} x {image.height}")
        scaled = image.mode == "I" and image.format == "PPM"            # by Pillow, to 16 bits
        raw = _raw(image)
        white = 4095 if raw == "I;12" else 65535
        negative = image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC) == 0    # of 16 bits Pillow leaves it so
        image = ImageOps.exif_transpose(image)
        clear = image.info.get("transparency")
        if raw == "RGB;16B" and clear is not None:      # of each channel the upper byte is read
            image.info["transparency"] = tuple(value >> 8 for value in clear)
        if raw in GREYS and clear is not None:          # the pixels are spread over a byte, this number is not
            image.info["transparency"] = clear * GREYS[raw]
        if image.mode.startswith("I;16") or scaled:     # Pillow's own conversion cuts 16 bits off at 255
            values = np.asarray(image)
            shades = np.where(values == clear, 255, np.rint(values / (white / 255))).astype(np.uint8)
            image = Image.fromarray(255 - shades if negative else shades)
        elif image.mode in ("I", "F"):
            kind = "whole" if image.mode == "I" else "floating-point"
            raise _NoRange(f"pixels are 32-bit {kind} numbers of unknown range; takes 8 or 16 bits a channel")
        if not image.has_transparency_data:
            return image.convert("RGB")
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
