"""The frame of a live figure: a still picture that stands without scripts, its data, the code that takes its place.

`live`, `toy` and `album` are made of it; `explorer` shares its code. A page gets one self-contained HTML output: no
request, alive from `file://`, the same in JupyterLab.
"""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from phasebook.site.figures.base import json_block

__all__ = ["base64_of", "beside", "read", "resized", "sheet", "webp", "widget_html"]

GAP = 16                # pixels between two halves of a still picture


def widget_html(name: str, data: Mapping[str, Any], still: str, alt: str, scripts: Sequence[str],
                drawing: str = "") -> str:
    """One live figure.

    Args:
        name: of its class, `pb-<name>`, and of its style sheet.
        data: what its script reads, as JSON.
        still: the picture that stands until the script runs, as a data URI.
        alt: what it shows, for those who cannot see it.
        scripts: its files, after the shared one.
        drawing: SVG beneath the picture, which the script takes over.

    Raises:
        ValueError: for an empty `alt`.
    """
    if not alt.strip():
        raise ValueError("alt: empty; a figure needs an alternative text that says what it shows")
    style = read("widget.css") + read(f"{name}.css")
    code = "\n".join(read(file) for file in ("widget.js", *scripts))
    words = escape(alt, quote=True)
    return (f'<style>{style}</style><div class="pb-widget pb-{name}" role="group" aria-label="{words}">'
            f'<img class="pbv-still" alt="{words}" src="{still}">{drawing}'
            f'<script type="application/json">{json_block(data)}</script></div><script>{code}</script>')


def read(name: str) -> str:
    """A file beside this module."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def base64_of(raw: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(raw).decode("ascii")


def webp(pixels: UInt8[ndarray, "y x 3"], quality: int | None = None) -> str:
    """A picture as a data URI; without `quality` lossless, for maps."""
    file, options = BytesIO(), {"lossless": True} if quality is None else {"quality": quality}
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "WEBP", method=4, **options)
    return "data:image/webp;base64," + base64_of(file.getvalue())


def sheet(tiles: UInt8[ndarray, "n y x 3"], columns: int) -> UInt8[ndarray, "height width 3"]:
    """Tiles in rows of `columns`."""
    n, height, width, _ = tiles.shape
    rows = -(-n // columns)
    padded = np.zeros((rows * columns, height, width, 3), np.uint8)
    padded[:n] = tiles
    return padded.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)


def resized(pixels: UInt8[ndarray, "y x 3"], height: int, sharp: bool = False) -> UInt8[ndarray, "s t 3"]:
    """A picture at another height; `sharp` keeps its squares."""
    width = round(height * pixels.shape[1] / pixels.shape[0])
    how = Image.Resampling.NEAREST if sharp else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(pixels).resize((width, height), how))


def beside(pictures: Sequence[UInt8[ndarray, "y _ 3"]]) -> UInt8[ndarray, "y x 3"]:
    """Pictures of one height in a row, on white."""
    gap = np.full((len(pictures[0]), GAP, 3), 255, np.uint8)
    row = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate(row[1:], 1)
