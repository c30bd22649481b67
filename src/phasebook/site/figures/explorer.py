"""The explorer: a map of a scalar over a latent slice beside the image under the pointer.

One self-contained HTML output (script, style and data inside), the same in the book's page and in JupyterLab:
pointer, arrow keys, step slider, pins. The images lie in one lossy WebP atlas; the maps are quantised to 256 levels
of the colour scale they share over the steps, and deflated.
"""

import zlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO

import numpy as np
from IPython.display import HTML, display
from jaxtyping import Float, UInt8
from PIL import Image
from plotly.colors import sample_colorscale, unlabel_rgb

from phasebook.site.figures.base import SEQUENTIAL, json_block
from phasebook.site.figures.widget import base64_of, read, sheet

__all__ = ["show_explorer"]

LEVELS = 256
LARGEST_WEBP = 16383  # pixels on a side, a limit of the format
ATLAS_BYTES = 850_000  # the quality is lowered until the images fit
QUALITIES = (88, 80, 70, 60, 50, 40)


def show_explorer(
    thumbnails: UInt8[np.ndarray, "shown row col y x 3"],
    values: Mapping[str, Float[np.ndarray, "step alpha beta"]],
    *,
    extent: Sequence[float],
    steps_shown: Sequence[int],
    alt: str,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    colours: str = SEQUENTIAL,
    start: tuple[float, float] | None = None,
    start_step: int | None = None,
    pins: Sequence[tuple[float, float]] = (),
) -> None:
    """Display the explorer of one slice.

    Everything lies on regular grids that include both ends of the extent; index 0 is the lower end, so that alpha
    points up and beta right in the display.

    thumbnails   xhat_0 at `steps_shown`, on a grid of row (alpha) x col (beta) points, y from the top of the image
    values       the scalars to choose from, label -> map at every step; the label is shown as it stands ('log det G')
    extent       [alpha0, alpha1, beta0, beta1]
    steps_shown  for each thumbnail frame its step, increasing, an index into the first axis of `values`; the slider
                 runs over all steps of `values`, the image is that of the nearest shown step, and says so
    alt          what the explorer shows, for those who cannot see it
    ranges       label -> (low, high) of the colour scale; default: the extremes over all steps
    colours      a plotly colour scale, perceptually uniform
    start        (alpha, beta) at the beginning, default the centre; start_step: the step, default the last
    pins         points (alpha, beta) pinned from the start

    ValueError: shapes that do not fit, a value that is not finite, an empty alt, a range that is none.
    """
    display(HTML(explorer_html(thumbnails, values, extent=extent, steps_shown=steps_shown, alt=alt, ranges=ranges,
                               colours=colours, start=start, start_step=start_step, pins=pins)))


def explorer_html(thumbnails, values, *, extent, steps_shown, alt, ranges=None, colours=SEQUENTIAL, start=None,
                  start_step=None, pins=()) -> str:
    """The explorer as HTML; arguments as in `show_explorer`."""
    steps = _checked(thumbnails, values, extent, steps_shown, alt)
    a0, a1, b0, b1 = map(float, extent)
    count = next(iter(values.values())).shape[0]
    unknown = sorted(set(ranges or {}) - set(values))
    if unknown:
        raise ValueError(f"ranges: no map {unknown[0]!r}; there are {', '.join(map(repr, values))}")
    if start_step is not None and not 0 <= start_step < count:
        raise ValueError(f"start_step = {start_step}: take a step in 0..{count - 1}")
    atlas, columns = pack(thumbnails)
    data = {
        "alt": alt,
        "extent": [a0, a1, b0, b1],
        "steps": steps,
        "grid": list(next(iter(values.values())).shape),
        "tiles": {"rows": thumbnails.shape[1], "cols": thumbnails.shape[2], "height": thumbnails.shape[3],
                  "width": thumbnails.shape[4], "across": columns, "atlas": atlas},
        "maps": [quantise(name, np.asarray(v), (ranges or {}).get(name)) for name, v in values.items()],
        "colours": base64_of(palette(colours).tobytes()),
        "start": list(start or ((a0 + a1) / 2, (b0 + b1) / 2)),
        "start_step": count - 1 if start_step is None else int(start_step),
        "pins": [list(p) for p in pins],
    }
    text = json_block(data)
    fallback = f"{alt} (The explorer needs JavaScript; in JupyterLab, trust the notebook.)"
    return (f'<style>{read("widget.css")}{read("explorer.css")}</style>'
            f'<div class="pb-explorer" role="group" aria-label="{escape(alt, quote=True)}"><p>{escape(fallback)}</p>'
            f'<script type="application/json">{text}</script></div>'
            f'<script>{read("widget.js")}\n{read("explorer.js")}</script>')


def _checked(thumbnails, values, extent, steps_shown, alt) -> list[int]:
    """The shown steps as plain integers, or ValueError in one line."""
    if not alt.strip():
        raise ValueError("alt: empty; an explorer needs an alternative text that says what it shows")
    if thumbnails.ndim != 6 or thumbnails.shape[-1] != 3 or thumbnails.dtype != np.uint8 or 0 in thumbnails.shape:
        raise ValueError(f"thumbnails: {thumbnails.dtype} {thumbnails.shape}; take uint8 (step, row, col, y, x, 3)")
    shapes = {np.shape(v) for v in values.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 3 or min(shape) < 1 or min(shape[1:]) < 2:
        raise ValueError("values: take at least one map, all of one shape (step, alpha, beta), at least 2 x 2 points")
    for name, v in values.items():
        if not np.isfinite(v).all():
            raise ValueError(f"values[{name!r}]: holds a number that is not finite")
    if len(extent) != 4 or not (np.isfinite(extent).all() and extent[0] < extent[1] and extent[2] < extent[3]):
        raise ValueError(f"extent = {list(extent)}: take [alpha0, alpha1, beta0, beta1], increasing")
    steps = [int(s) for s in steps_shown]
    ordered = all(a < b for a, b in zip(steps, steps[1:], strict=False))
    if len(steps) != len(thumbnails) or not ordered or steps[0] < 0 or steps[-1] >= shape[0]:
        raise ValueError(f"steps_shown = {steps}: take {len(thumbnails)} increasing steps in 0..{shape[0] - 1}, "
                         "one for each frame of thumbnails")
    return steps


def pack(thumbnails: UInt8[np.ndarray, "shown row col y x 3"]) -> tuple[str, int]:
    """The tiles in reading order (step, row, col) as one WebP data URI, and the number of tiles across."""
    tiles = thumbnails.reshape(-1, *thumbnails.shape[3:])
    n, height, width, _ = tiles.shape
    across = min(int(np.ceil(np.sqrt(n * height / width))), LARGEST_WEBP // width)
    down = -(-n // across)
    if down * height > LARGEST_WEBP:
        raise ValueError(f"thumbnails: {n} of {width} x {height} pixels do not fit one atlas; take fewer or smaller")
    whole = sheet(tiles, across)
    encoded = {}

    def fits(quality: int) -> bool:
        encoded[quality] = BytesIO()
        Image.fromarray(whole).save(encoded[quality], "WEBP", quality=quality, method=4)
        return encoded[quality].tell() <= ATLAS_BYTES

    bisect_left(QUALITIES, True, key=fits)      # sizes nearly always fall with the quality
    small = [quality for quality, file in encoded.items() if file.tell() <= ATLAS_BYTES]
    file = encoded[max(small, default=min(encoded))]
    return "data:image/webp;base64," + base64_of(file.getvalue()), across


def quantise(label: str, values: Float[np.ndarray, "step alpha beta"], limits: tuple[float, float] | None) -> dict:
    """One map in 256 levels between `limits`, each row as differences, deflated: what the script reads.

    A reader sees the value to half a level, 1/510 of the range.
    """
    low, high = map(float, limits or (values.min(), values.max()))
    if not (np.isfinite([low, high]).all() and low <= high):
        raise ValueError(f"ranges[{label!r}] = ({low}, {high}): take (low, high), finite and increasing")
    high = high if high > low else low + 1.0
    level = np.clip(np.rint((values - low) / (high - low) * (LEVELS - 1)), 0, LEVELS - 1).astype(np.uint8)
    step = np.diff(level.reshape(-1, level.shape[-1]), axis=1, prepend=np.uint8(0))
    return {"label": label, "low": low, "high": high, "data": base64_of(zlib.compress(step.tobytes(), 9))}


def palette(colours: str) -> UInt8[np.ndarray, "256 3"]:
    """The colour of each level."""
    return np.rint([unlabel_rgb(c) for c in sample_colorscale(colours, np.linspace(0, 1, LEVELS))]).astype(np.uint8)
