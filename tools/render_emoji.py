"""Render the emoji asset: one sprite of all distinct images and its table.

    python -m tools.render_emoji [DIRECTORY]       (default: assets/emoji)

Names, groups and subgroups come from Unicode's `emoji-test.txt`, pictures from Noto Color Emoji; both are Debian
packages (`apt install fonts-noto-color-emoji unicode-data`). The asset is tracked, so only a person who wants
another font or another Unicode version ever runs this. Skin tones and flags are left out, and of two emoji that
the font draws alike the first stays.

The font holds bitmaps of 136 x 128 pixels whose ink lies in the middle 128 x 128: that square, on white, is
averaged 2 x 2 to 64 x 64, and all images together share one palette of 256 colours.
"""

import argparse
import csv
import re
import sys
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont, features

from phasebook.models.assets import ROOT
from phasebook.models.pictures.image_sets import CELL, COLUMNS

__all__ = ["Emoji", "caption_of", "family_of", "listed", "load_font", "draw", "sprite", "render", "missing", "main"]

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
EMOJI_TEST = Path("/usr/share/unicode/emoji/emoji-test.txt")
PACKAGES = {FONT: "fonts-noto-color-emoji", EMOJI_TEST: "unicode-data"}
LINE = re.compile(r"(?P<points>[0-9A-F ]+?) *; fully-qualified *# \S+ E[\d.]+ (?P<name>.+)")

# Subgroups of which every picture is drawn alike make a family as they stand ...
WHOLE = {"cat-face": "cats", "zodiac": "zodiac", "arrow": "arrows", "keycap": "keycaps", "av-symbol": "buttons",
         "person-role": "people", "transport-sign": "signs", "religion": "religions",
         "hand-fingers-open": "hands", "hand-fingers-partial": "hands", "hand-fingers-closed": "hands",
         "hand-single-finger": "hands"}
# ... of others only the names that match do ...
PART = [("face-(?!costume|hat)", "", "faces"), ("heart", ".*heart", "hearts"),
        ("time", ".*o'clock|.*-thirty", "clocks"), ("sky & weather", ".*moon", "moons"),
        ("sky & weather", ".*cloud", "clouds"), ("family", "family", "households"), ("family", "", "couples")]
# ... and these are drawn unlike the rest of theirs.
STRAYS = {"skull", "skull and crossbones", "smiling face with horns", "angry face with horns", "dotted line face",
          "face in clouds", "exploding head", "heart on fire", "heart decoration", "heart exclamation",
          "dim button", "bright button", "vibration mode"}


@dataclass(frozen=True)
class Emoji:
    """A row of the table; `code_points` are hexadecimal, with spaces between."""

    index: int
    code_points: str
    name: str
    group: str
    subgroup: str
    family: str
    caption: str

    @property
    def text(self) -> str:
        return "".join(chr(int(point, 16)) for point in self.code_points.split())


def family_of(name: str, subgroup: str) -> str:
    """The visually coherent family of an emoji, or '' for none."""
    if name in STRAYS:
        return ""
    if subgroup in WHOLE:
        return WHOLE[subgroup]
    for subgroups, names, family in PART:
        if re.match(subgroups, subgroup) and re.match(names, name):
            return family
    return ""


def caption_of(name: str, subgroup: str) -> str:
    """A short natural caption: 'family: man, boy' -> 'family of man and boy', 'keycap: 5' -> 'keycap 5'."""
    head, _, tail = name.partition(": ")
    listing = re.sub(r", (?=[^,]*$)", " and ", tail)
    if subgroup == "family" and tail:
        return {"kiss": f"{listing} kissing", "couple with heart": f"{listing} with a heart"}.get(
            head, f"{head} of {listing}")
    if subgroup == "person" and tail:
        return {"beard": f"{head} with a beard", "bald": f"bald {head}"}.get(tail, f"{head} with {tail}")
    if family_of(name, subgroup) == "clocks":
        return f"clock showing {name}"
    if subgroup == "zodiac":
        return f"zodiac sign {name}"
    return re.sub(r' \(.*\)|[:"]', "", name)


def listed(emoji_test: str) -> list[Emoji]:
    """Every fully qualified emoji of the text of `emoji-test.txt` but skin tones and flags, in its order."""
    group = subgroup = ""
    rows = []
    for line in emoji_test.splitlines():
        if line.startswith("# group: "):
            group = line.removeprefix("# group: ").strip()
        elif line.startswith("# subgroup: "):
            subgroup = line.removeprefix("# subgroup: ").strip()
        elif (match := LINE.match(line)) and group != "Flags" and not re.search("1F3F[B-F]", match["points"]):
            name = match["name"].strip().translate(str.maketrans("’“”", "'\"\""))
            rows.append(Emoji(len(rows), match["points"], name, group, subgroup,
                              family_of(name, subgroup), caption_of(name, subgroup)))
    return rows


def load_font(path: Path = FONT) -> ImageFont.FreeTypeFont:
    """Noto Color Emoji at its one bitmap size."""
    return ImageFont.truetype(path, 109, layout_engine=ImageFont.Layout.RAQM)


def draw(emoji: Emoji, font: ImageFont.FreeTypeFont) -> UInt8[ndarray, "64 64 3"]:
    """The emoji on white at 64 px."""
    image = Image.new("RGB", (2 * CELL, 2 * CELL), "white")
    ImageDraw.Draw(image).text((-4, 0), emoji.text, font=font, embedded_color=True)
    return np.asarray(image.reduce(2))


def sprite(cells: UInt8[ndarray, "n 64 64 3"]) -> Image.Image:
    """The images in rows of 40 as one palette image: 255 colours by k-means, and exact white.

    Colours enter the k-means by their frequency to the power 3/4, so that rare ones keep a place.
    """
    from scipy.spatial import cKDTree
    from sklearn.cluster import KMeans

    rows = -(-len(cells) // COLUMNS)
    sheet = np.full((rows * COLUMNS, CELL, CELL, 3), 255, np.uint8)
    sheet[: len(cells)] = cells
    sheet = sheet.reshape(rows, COLUMNS, CELL, CELL, 3).transpose(0, 2, 1, 3, 4).reshape(rows * CELL, -1, 3)
    bins = (sheet.reshape(-1, 3).astype(int) >> 3) @ np.array([1024, 32, 1])
    _, inverse, count = np.unique(bins, return_inverse=True, return_counts=True)
    mean = np.stack([np.bincount(inverse, sheet[..., c].ravel()) / count for c in range(3)], axis=1)
    ink = (mean < 254.5).any(axis=1)
    means = KMeans(min(255, ink.sum()), n_init=1, max_iter=40, random_state=0)
    means.fit(mean[ink], sample_weight=count[ink] ** 0.75)
    palette = np.vstack([[255, 255, 255], means.cluster_centers_]).round().astype(np.uint8)
    nearest = cKDTree(palette.astype(float)).query(sheet.astype(float))[1].astype(np.uint8)
    image = Image.fromarray(nearest)
    image.putpalette(palette.tobytes())
    return image


def render(directory: Path) -> int:
    """Write `emoji.png` and `emoji.csv` into `directory`; the number of distinct images."""
    font = load_font()
    distinct: dict[bytes, Emoji] = {}
    for emoji in listed(EMOJI_TEST.read_text(encoding="utf-8")):
        distinct.setdefault(draw(emoji, font).tobytes(), emoji)
    cells = np.stack([np.frombuffer(pixels, np.uint8).reshape(CELL, CELL, 3) for pixels in distinct])
    directory.mkdir(parents=True, exist_ok=True)
    sprite(cells).save(directory / "emoji.png", optimize=True)
    with open(directory / "emoji.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Emoji))
        writer.writerows((index, *astuple(emoji)[1:]) for index, emoji in enumerate(distinct.values()))
    return len(cells)


def missing() -> str:
    """What the machine lacks, in one line, or ''."""
    absent = [package for path, package in PACKAGES.items() if not path.is_file()]
    if absent:
        return f"missing Debian packages: apt install {' '.join(absent)}"
    return "" if features.check("raqm") else "this Pillow lacks raqm, which joins emoji sequences: use PyPI's wheel"


def main(arguments: list[str] | None = None) -> int:
    """The command; exit code 2 and one line where a package is missing or the directory cannot be written."""
    summary = __doc__.split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tools.render_emoji", description=summary)
    parser.add_argument("directory", type=Path, nargs="?", default=ROOT / "emoji")
    directory = parser.parse_args(arguments).directory
    if line := missing():
        print(line, file=sys.stderr)
        return 2
    try:
        print(f"{render(directory)} distinct images in {directory}")
    except OSError as error:
        print(f"directory = {str(directory)!r}: cannot be written ({error.strerror})", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
