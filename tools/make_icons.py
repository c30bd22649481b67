"""Make the icons asset: a thousand things, each drawn in up to seven styles, with names, families and a split.

    python -m tools.make_icons [--tarballs DIR] [DIRECTORY]       (default: assets/icons)

Drawings are the npm packages `@iconify-json/...` of `STYLES`, single JSON files of SVG bodies, packed by `npm pack`
(which runs no script) or taken from `--tarballs`; `resvg_py` (PyPI `resvg-py`) draws them at 64 px on white. What there
is to draw, and its name, is the tracked table `assets/emoji/emoji.csv`; a set is matched to it by code point where the
set knows them, else by the Unicode name. Sets that ask for share-alike are refused.
"""

import argparse
import csv
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from phasebook.models.assets import ROOT, asset
from phasebook.models.pictures.captions import kind_of
from phasebook.models.pictures.image_sets import CELL
from tools.render_emoji import sprite
from tools.split_icons import APART, split

__all__ = ["STYLES", "Drawings", "attribution", "draw", "kebab", "main", "make", "matched", "missing", "pack", "things"]

# the style as a prompt calls it: the npm package that draws so
STYLES = {"noto": "noto", "old noto": "noto-v1", "twemoji": "twemoji", "fluent": "fluent-emoji",
          "flat fluent": "fluent-emoji-flat", "emojione": "emojione", "firefox": "fxemoji"}
LEAST = 4               # styles that must draw a thing, the one that stands apart not counted
FREE = {"MIT", "Apache-2.0", "CC-BY-4.0"}
COLUMNS = ("style", "index", "what", "half", "family", "kind", "group", "subgroup", "source")

# Names of a set that mean something else than Unicode's, as the sheets of all pictures show.
STRANGERS = {("old noto", "cricket"), ("emojione", "cricket"), ("old noto", "UP! button"), ("emojione", "UP! button"),
             ("firefox", "sunglasses"), ("firefox", "kiss"), ("firefox", "bird"), ("firefox", "cat")}
# The package of Firefox OS has neither code points nor Unicode's names.
FIREFOX = {"eggplant": "aubergine", "hot pepper": "chilipepper", "ear of corn": "earofmaize", "pizza": "sliceofpizza",
           "panda": "pandaface", "wolf": "wolfface", "pig": "pigside", "spouting whale": "spurtingwhale",
           "fallen leaf": "fallingleaf", "evergreen tree": "evergreen", "bouquet": "bouquetofflowers",
           "green heart": "heartgreen", "yellow heart": "heartyellow",
           "purple heart": "heartpurple", "heart with arrow": "heartarrow", "pile of poo": "poo", "gem stone": "gem",
           "bullseye": "directhit", "loudspeaker": "bullhornwithsoundwaves", "wrapped gift": "present",
           "high-heeled shoe": "heels", "locomotive": "steamlocomotive", "racing car": "racecar"}


@dataclass(frozen=True)
class Drawings:
    """A package: `info` of the set, its `icons` by name, `aliases` of names, and names by code points (`chars`)."""

    info: dict
    icons: dict[str, dict]
    aliases: dict[str, dict]
    chars: dict[str, str]
    size: tuple[int, int]
    version: str

    @classmethod
    def read(cls, tarball: Path) -> "Drawings":
        """From what `npm pack` wrote. Raises ValueError, one line, for a licence that is not in `FREE`."""
        with tarfile.open(tarball) as archive:
            load = lambda name: json.load(archive.extractfile(f"package/{name}.json"))  # noqa: E731
            icons, info, chars, version = load("icons"), load("info"), load("chars"), load("package")["version"]
        if info["license"]["spdx"] not in FREE:
            raise ValueError(f"{tarball.name}: licence {info['license']['spdx']}; takes {', '.join(sorted(FREE))}")
        points = {re.sub("-?fe0f", "", key): name for key, name in chars.items()}
        return cls(info, icons["icons"], icons.get("aliases", {}), points, (icons["width"], icons["height"]), version)

    def svg(self, name: str) -> str:
        """The picture of a name, or of what the name stands for, as a document; wide and tall ones on a square."""
        alias = self.aliases.get(name, {})
        icon = self.icons[alias.get("parent", name)]
        width, height = icon.get("width", self.size[0]), icon.get("height", self.size[1])
        left, top, side = icon.get("left", 0), icon.get("top", 0), max(width, height)
        body = icon["body"]
        if alias.get("hFlip"):
            body = f'<g transform="translate({2 * left + width} 0) scale(-1 1)">{body}</g>'
        box = f"{left - (side - width) / 2} {top - (side - height) / 2} {side} {side}"
        return ('<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
                f'viewBox="{box}" width="{CELL}" height="{CELL}">{body}</svg>')


def pack(directory: Path) -> None:
    """Have npm write the tarballs of all styles into `directory`. Raises ValueError, one line, where it cannot."""
    for package in STYLES.values():
        command = ["npm", "pack", "--ignore-scripts", "--silent", f"@iconify-json/{package}"]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
        if done.returncode:
            told = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[0]
            raise ValueError(f"npm pack @iconify-json/{package}: {told}")


def tarball(directory: Path, package: str) -> Path:
    """The newest tarball of a package in `directory`. Raises ValueError, one line, where there is none."""
    found = sorted(directory.glob(f"iconify-json-{package}-[0-9]*.tgz"))
    if not found:
        raise ValueError(f"tarballs = {str(directory)!r}: no iconify-json-{package}-*.tgz; takes what `npm pack` wrote")
    return found[-1]


def kebab(name: str) -> str:
    """A Unicode name as the packages spell it: "Mother's Day" -> 'mothers-day'."""
    plain = name.lower().translate(str.maketrans("ñãéíçôåü", "naeicoau", "'’.!\""))
    return re.sub(r"[^a-z0-9#*]+", "-", plain).strip("-")


def matched(row: dict[str, str], style: str, drawings: Drawings) -> str | None:
    """The name under which a set draws a row of the emoji table, or None."""
    if (style, row["caption"]) in STRANGERS:
        return None
    points = "-".join(point for point in row["code_points"].lower().split() if point != "fe0f")
    name = kebab(row["name"])
    tries = [drawings.chars.get(points), name, f"{name}-face"]
    if style == "firefox":
        tries = [FIREFOX.get(row["caption"]), name, name.replace("-", "")]
    for candidate in tries:
        if candidate in drawings.icons or candidate in drawings.aliases:
            return candidate
    return None


def things(table: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows worth a caption: no variants of a person by sex or kin, and no buttons that need Japanese."""
    captions = {row["caption"] for row in table}

    def variant(row: dict[str, str]) -> bool:
        bare = re.sub(r"^(man|men|woman|women) ", "", row["caption"])
        neutral = {bare, f"person {bare}", f"people {bare}"}
        return bare != row["caption"] and bool(neutral & captions)

    kin = lambda row: row["subgroup"] == "family" and row["caption"] != "family"  # noqa: E731
    japanese = lambda row: row["caption"].startswith("Japanese") and row["caption"].endswith("button")  # noqa: E731
    return [row for row in table if not (variant(row) or kin(row) or japanese(row))]


def draw(svg: str) -> UInt8[ndarray, "64 64 3"]:
    """A document on white at 64 px."""
    import resvg_py

    picture = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))))
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB"))


def attribution(sets: dict[str, Drawings]) -> str:
    """Who drew what under which licence, as the packages' own `info.json` says, in Markdown."""
    lines = ["# Who drew the icons", "", "Drawn at 64 px on white and brought to 256 colours a style, else unchanged.",
             "", "| style | set | author | licence | package |", "|---|---|---|---|---|"]
    for style, drawings in sets.items():
        info = drawings.info
        author, licence = info["author"], info["license"]
        lines.append(f"| {style} | {info['name']} | [{author['name']}]({author['url']}) "
                     f"| [{licence['title']}]({licence['url']}) | @iconify-json/{STYLES[style]} {drawings.version} |")
    return "\n".join(lines) + "\n"


def make(tarballs: Path, directory: Path) -> int:
    """Write the sprites, the table and the attribution into `directory`; the number of pictures."""
    sets = {style: Drawings.read(tarball(tarballs, package)) for style, package in STYLES.items()}
    with open(asset("emoji/emoji.csv"), encoding="utf-8", newline="") as file:
        table = things(list(csv.DictReader(file)))
    names, drawn = {}, {}
    for row in table:
        found = {style: matched(row, style, drawings) for style, drawings in sets.items()}
        found = {style: name for style, name in found.items() if name}
        if len(found.keys() - {APART}) >= LEAST:
            for style, name in found.items():
                names[row["caption"], style] = name
                drawn[row["caption"], style] = draw(sets[style].svg(name))
    halves = split(drawn)
    directory.mkdir(parents=True, exist_ok=True)
    lines = []
    for style in sets:
        own = [row for row in table if (row["caption"], style) in drawn]
        cells = np.stack([drawn[row["caption"], style] for row in own])
        sprite(cells).save(directory / f"{style.replace(' ', '-')}.png", optimize=True)
        for index, row in enumerate(own):
            key = row["caption"], style
            lines.append((style, index, row["caption"], halves[key], row["family"], kind_of(row), row["group"],
                          row["subgroup"], names[key]))
    with open(directory / "icons.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(lines)
    (directory / "ATTRIBUTION.md").write_text(attribution(sets), encoding="utf-8")
    return len(lines)


def missing(tarballs: Path | None) -> str:
    """What the machine lacks, in one line, or ''."""
    if find_spec("resvg_py") is None:
        return "resvg_py: not installed; pip install resvg-py"
    if tarballs is None and shutil.which("npm") is None:
        return "npm: not found; install Node.js, or name a directory of the packages' tarballs with --tarballs"
    return ""


def main(arguments: list[str] | None = None) -> int:
    """The command; exit code 2 and one line where something is missing or cannot be read or written."""
    parser = argparse.ArgumentParser(prog="python -m tools.make_icons", description=__doc__.split("\n")[0])
    parser.add_argument("directory", type=Path, nargs="?", default=ROOT / "icons")
    parser.add_argument("--tarballs", type=Path, help="where `npm pack` has written the packages (default: run it)")
    options = parser.parse_args(arguments)
    if line := missing(options.tarballs):
        print(line, file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory() as folder:
            tarballs = options.tarballs or Path(folder)
            if options.tarballs is None:
                pack(tarballs)
            print(f"{make(tarballs, options.directory)} pictures in {options.directory}")
    except (ValueError, OSError) as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
