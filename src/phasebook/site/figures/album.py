"""An album: pictures computed in the notebook, chosen on the page by select boxes, sliders and buttons.

A panel has a tile for every state of the choices that it depends on; its tiles lie in one WebP sheet. Maps are kept
without loss. A drawing in SVG may stand above one panel, with a mark that moves along one choice.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from IPython.display import HTML, display
from jaxtyping import Float, UInt8
from numpy import ndarray

from phasebook.site.figures.widget import beside, resized, sheet, webp, widget_html

__all__ = ["Album", "Choice", "Drawing", "Panel", "album_html", "show_albums"]

LARGEST = 16_383            # pixels on a side of a sheet, a limit of the format
STILL = 360                 # height of the still picture
QUALITY = 78


class Choice(NamedTuple):
    """What the reader chooses: a `name`, a label for each state, `how` (select, slider, button), the state at the
    `start`, and for a slider the words of a button that runs through it."""

    name: str
    labels: Sequence[str]
    how: str
    start: int = 0
    play: str = ""


class Panel(NamedTuple):
    """Pictures by state.

    Attributes:
        title: above it.
        over: the names of the choices that it depends on.
        tiles: one for each of their states, their axes first.
        alts: what each tile shows, in the order of the tiles; or one text for all.
        sharp: a map, kept without loss and drawn in squares.
        words: whether the page shows the text too.
        least: width in rem below which it gets a row of its own.
        most: width in pixels that it does not exceed; 0 for none.
    """

    title: str
    over: Sequence[str]
    tiles: UInt8[ndarray, "*state y x 3"]
    alts: Sequence[str]
    sharp: bool = False
    words: bool = False
    least: float = 15.0
    most: int = 0


class Drawing(NamedTuple):
    """SVG above the panel number `panel`; its group of class `pba-mark` is moved down by `marks`, one a state of the
    choice `over`."""

    svg: str
    panel: int
    over: str
    marks: Float[ndarray, " state"]


class Album(NamedTuple):
    """An album.

    Attributes:
        choices: in the order of the controls.
        panels: from the left.
        noted: the names of the choices that the notes depend on.
        notes: a sentence for each of their states, in order.
        drawing: above one panel, or None.
        title: at the head of its controls, such as the name of a model.
    """

    choices: Sequence[Choice]
    panels: Sequence[Panel]
    noted: Sequence[str]
    notes: Sequence[str]
    drawing: Drawing | None = None
    title: str = ""


def show_albums(albums: Mapping[str, Album], *, alt: str) -> None:
    """Display albums, one beneath the other, as one figure: a cell has one label.

    Args:
        albums: each by its model, whose name stands at the head of its controls. Nothing is shown where there are none.
        alt: what each shows, for those who cannot see it.
    """
    if albums:
        display(HTML("".join(album_html(album._replace(title=title), alt=f"{title}: {alt}")
                             for title, album in albums.items())))


def album_html(album: Album, *, alt: str) -> str:
    """The album as HTML; `alt` is what it shows, for those who cannot see it.

    Raises:
        ValueError: for an empty `alt`, or tiles, texts or marks that are not one for each state.
    """
    names, sizes = [one.name for one in album.choices], [len(one.labels) for one in album.choices]
    start = [one.start for one in album.choices]
    panels = [_panel(panel, names, sizes) for panel in album.panels]
    at = [names.index(name) for name in album.noted]
    _check("notes", len(album.notes), [sizes[k] for k in at])
    data = {"title": album.title, "choices": [one._asdict() for one in album.choices], "panels": panels,
            "notes": {"over": at, "texts": list(album.notes)}}
    drawing = album.drawing
    if drawing:
        panels[drawing.panel]["beneath"] = True
        marked = names.index(drawing.over)
        _check("marks", len(drawing.marks), [sizes[marked]])
        data |= {"marks": np.round(drawing.marks, 3).tolist(), "marked": marked}
    return widget_html("album", data, _still(album, names, start), alt, ["album.js"], drawing.svg if drawing else "")


def _check(name: str, count: int, sizes: Sequence[int]) -> None:
    if count != np.prod(sizes, dtype=int):
        raise ValueError(f"{name}: {count} of them; takes one for each of {' x '.join(map(str, sizes))} states")


def _panel(panel: Panel, names: Sequence[str], sizes: Sequence[int]) -> dict:
    """A panel as the script reads it."""
    over = [names.index(name) for name in panel.over]
    states, (height, width) = panel.tiles.shape[:-3], panel.tiles.shape[-3:-1]
    if list(states) != [sizes[k] for k in over]:
        raise ValueError(f"tiles of {panel.title!r}: {states}; take one for each of "
                         f"{' x '.join(str(sizes[k]) for k in over)} states")
    tiles = panel.tiles.reshape(-1, height, width, 3)
    if len(panel.alts) != 1:
        _check(f"alts of {panel.title!r}", len(panel.alts), states)
    across = max(1, min(len(tiles), round(np.sqrt(len(tiles) * height / width)), LARGEST // width))
    if -(-len(tiles) // across) * height > LARGEST:
        raise ValueError(f"tiles of {panel.title!r}: {len(tiles)} of {width} x {height} pixels do not fit one sheet")
    return {"title": panel.title, "over": over, "width": width, "height": height, "across": across,
            "alts": list(panel.alts), "sharp": panel.sharp, "words": panel.words, "least": panel.least,
            "most": panel.most, "sheet": webp(sheet(tiles, across), None if panel.sharp else QUALITY)}


def _still(album: Album, names: Sequence[str], start: Sequence[int]) -> str:
    """The panels at the start, side by side."""
    first = []
    for panel in album.panels:
        tile = panel.tiles[tuple(start[names.index(name)] for name in panel.over)]
        if not (album.drawing and tile.shape[1] > 3 * tile.shape[0]):       # a strip belongs to its drawing
            first.append(resized(tile, STILL, panel.sharp))
    return webp(beside(first), 80)
