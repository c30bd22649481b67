"""A contact sheet of the icons, to look whether a set means the same by a name as the others do.

    python -m tools.sheet_icons FIRST LAST SHEET.png       (things by their number, from 0)

Each thing has its number and name, and under them a picture a style, on a tinted ground where it is held out.
"""

import argparse
import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from phasebook.models.pictures.icons import PARTS, Icons, icons

__all__ = ["main", "sheet"]

SIDE, LINE, ACROSS = 40, 11, 4          # pixels of a picture and of its name; things in a row
HELD_OUT = (255, 225, 190)


def sheet(data: Icons, things: range) -> Image.Image:
    """The things of some numbers, column by column."""
    width = len(data.styles) * SIDE + 8
    down = -(-len(things) // ACROSS)
    picture = Image.new("RGB", (ACROSS * width, down * (SIDE + LINE)), "white")
    pen = ImageDraw.Draw(picture)
    for place, thing in enumerate(things):
        left, top = place // down * width, place % down * (SIDE + LINE)
        pen.text((left, top), f"{thing} {data.whats[thing]}", fill="black")
        for i in (data.what == thing).nonzero().flatten().tolist():
            cell = Image.fromarray(data.pixels[i].permute(1, 2, 0).numpy()).resize((SIDE - 2, SIDE - 2))
            corner = left + int(data.style[i]) * SIDE, top + LINE
            if PARTS[data.part[i]] == "held out":
                pen.rectangle((*corner, corner[0] + SIDE, corner[1] + SIDE), fill=HELD_OUT)
                cell = Image.composite(cell, Image.new("RGB", cell.size, HELD_OUT), cell.convert("L").point(_ink))
            picture.paste(cell, corner)
    return picture


def _ink(grey: int) -> int:
    return 255 if grey < 250 else 0


def main(arguments: list[str] | None = None) -> int:
    """The command; exit code 2 and one line where the numbers are none of the icons'."""
    parser = argparse.ArgumentParser(prog="python -m tools.sheet_icons", description=__doc__.split("\n")[0])
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("out", type=Path, metavar="SHEET.png")
    options = parser.parse_args(arguments)
    data = icons()
    if not 0 <= options.first <= options.last < len(data.whats):
        print(f"FIRST, LAST = {options.first}, {options.last}: takes numbers from 0 to {len(data.whats) - 1}",
              file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    sheet(data, range(options.first, options.last + 1)).save(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
