"""One slider for a slice's phases and the tree of their points: what the chapter on the hierarchy links."""

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from scipy.cluster.hierarchy import dendrogram

from phasebook.hierarchy.leaves import linkage_of
from phasebook.site.figures.album import Album, Choice, Drawing, Panel
from phasebook.site.figures.base import noise_words
from phasebook.site.figures.hierarchy import as_bytes
from phasebook.site.figures.phase_colours import phase_colours
from phasebook.site.figures.widget import resized
from phasebook.slices.measures.phases import depth_points
from phasebook.slices.measures.splits import split_levels
from phasebook.slices.slice import Slice

__all__ = ["linked_album"]

LEAVES = 12             # phases of the last step that the tree has, the largest
LEAST = 0.004           # share of the area from which a phase is one of them
FRAMES = 30             # steps that the slider has
MAP, PICTURE, BAR = 6, 40, 6    # pixels: of a point of the map, of a leaf's picture, of the colour above it
SMALL, LARGE = 240, 400         # of a map: points of few are larger, of many smaller, or the sheet had no room
UNIT, TALL = 40, 240    # units of the drawing: width of a leaf at least, height of the tree
LEFT, HEAD = 44, 24     # of the noise levels beside it, and of their name above them
FEW = 320               # width of a tree of few leaves, which lie further apart
WIDE = 60               # pixels of a leaf on the page at most
MOST = 340              # of the map


def linked_album(s: Slice, phases: Int[ndarray, "step a b"]) -> Album | None:
    """The phases of a slice and the tree of their deepest points at one noise level.

    A leaf stands for a phase of the last step. Two leaves part where the distance of their predictions first exceeds
    half the median final distance of all pairs; average linkage makes a tree of it, as in the rest of the chapter.

    Args:
        s: the slice.
        phases: of every point at every step.

    Returns:
        The album; None where the last step has a single phase.
    """
    points = depth_points(phases[-1], LEAST, LEAVES)
    if len(points) < 2:
        return None
    near = s.between(s.plane.alpha[points[:, 0]], s.plane.beta[points[:, 1]])
    tree = linkage_of(_heights(near.distances, s.levels.heights))
    order = np.array(dendrogram(tree, no_plot=True)["leaves"])
    points, steps = points[order], sorted({round(k) for k in np.linspace(0, s.steps - 1, FRAMES)})
    colours, noise = phase_colours(phases)[steps], s.levels.heights
    of_leaves = colours[:, points[:, 0], points[:, 1]]
    decoded = [as_bytes(s.model.decode(near.x0[k][order])) for k in steps]
    strips = [_strip(pictures, bars) for pictures, bars in zip(decoded, of_leaves, strict=True)]
    labels = [noise_words(s.levels.sigma_over_alpha[k]) for k in steps]
    notes = [_note(label, phases[k], points) for label, k in zip(labels, steps, strict=True)]
    wide = max(WIDE * len(points), MOST) + LEFT
    panels = [Panel("Phases of the slice", ["Noise"], _maps(colours, points), notes, sharp=True, most=MOST),
              Panel("Tree of its points", ["Noise"], np.stack(strips), notes, least=20, most=wide)]
    start = int(np.argmax([len(np.unique(of, axis=0)) > len(points) // 2 for of in of_leaves]))
    top = max(tree[:, 2].max(), np.log(noise[0] / noise[-1]))
    marks = TALL * (1 - np.log(noise[steps] / noise[-1]) / top)
    drawing = Drawing(_svg(tree, top, float(noise[-1]), marks[start]), 1, "Noise", marks)
    return Album([Choice("Noise", labels, "slider", start, "Lower the noise")], panels, ["Noise"], notes, drawing)


def _heights(distances: Float[ndarray, "step n n"], noise: Float[ndarray, " step"]) -> Float[ndarray, "n n"]:
    """At which each two leaves part."""
    n = distances.shape[1]
    rows, columns = np.triu_indices(n, 1)
    heights = np.zeros((n, n))
    heights[rows, columns] = split_levels(distances[:, rows, columns].T, noise)
    return heights + heights.T


def _maps(colours: UInt8[ndarray, "k a b 3"], points: Int[ndarray, "n 2"]) -> UInt8[ndarray, "k y x 3"]:
    """The maps, alpha up, with a white square on black at each leaf's point."""
    side = max(1, min(max(MAP, SMALL // colours.shape[1]), LARGE // colours.shape[1]))
    maps = colours.repeat(side, 1).repeat(side, 2)
    third = max(1, side // 4)
    for row, column in points * side:
        maps[:, row:row + side, column:column + side] = 0
        maps[:, row + third:row + side - third, column + third:column + side - third] = 255
    return maps[:, ::-1]


def _unit(leaves: int) -> int:
    """The width of a leaf in a tree of some leaves."""
    return max(UNIT, FEW // leaves)


def _strip(pictures: UInt8[ndarray, "n y x 3"], bars: UInt8[ndarray, "n 3"]) -> UInt8[ndarray, "h w 3"]:
    """The leaves' pictures in a row beneath their branches, each below a bar of its phase's colour."""
    unit = _unit(len(pictures))
    strip = np.full((PICTURE + BAR, LEFT + unit * len(pictures), 3), 255, np.uint8)
    for k, (picture, bar) in enumerate(zip(pictures, bars, strict=True)):
        at = LEFT + unit * k + (unit - PICTURE) // 2
        strip[:BAR, at + 1:at + PICTURE - 1] = bar
        strip[BAR:, at + 1:at + PICTURE - 1] = resized(picture, PICTURE)[:, 1:-1]
    return strip


def _note(label: str, phases: Int[ndarray, "a b"], points: Int[ndarray, "n 2"]) -> str:
    count, together = len(np.unique(phases)), len(np.unique(phases[points[:, 0], points[:, 1]]))
    if count == 1:
        return f"At {label} the slice is one phase."
    where = "one of them" if together == 1 else f"{together} of them"
    return f"At {label} the slice has {count} phases; the {len(points)} points of the tree lie in {where}."


def _svg(tree: Float[ndarray, "n-1 4"], top: float, last: float, mark: float) -> str:
    """The tree, roots above, noise levels on its left, and the mark of a level."""
    n, drawn = len(tree) + 1, dendrogram(tree, no_plot=True)
    unit = _unit(n)
    wide, down = LEFT + unit * n, lambda height: TALL * (1 - np.asarray(height) / top)
    lines = []
    for place, height in zip(drawn["icoord"], drawn["dcoord"], strict=True):
        at = [f"{LEFT + unit * x / 10:.1f},{y:.1f}" for x, y in zip(place, down(height), strict=True)]
        lines.append(f'<polyline class="pba-branch" points="{" ".join(at)}"/>')
    end = f'x="{LEFT - 10}" text-anchor="end" font-size="15"'
    texts = [f'<text {end} y="{5 - HEAD / 2:.0f}">σ/α</text>']
    for v in (10, 3, 1, 0.3, 0.1):
        y = down(np.log(v / last))
        if 0 <= y <= TALL:
            lines.append(f'<polyline class="pba-branch" points="{LEFT - 6},{y:.1f} {LEFT},{y:.1f}"/>')
            texts.append(f'<text {end} y="{y + 5:.1f}">{v:g}</text>')
    words = f"Merge tree of {n} points of the slice over the noise, most noise above; a dashed line marks the level"
    line = f'<line x1="{LEFT}" x2="{wide}" y1="0" y2="0"/>'
    return (f'<svg viewBox="0 {-HEAD} {wide} {TALL + HEAD}" role="img" aria-label="{words}">{"".join(lines)}'
            f'{"".join(texts)}<g class="pba-mark" transform="translate(0 {mark:.1f})">{line}</g></svg>')
