"""The toy: two to five atoms in the plane that the reader drags, the posterior's cells, the score's basins, the tree.

The page computes in `toy_model.js` what `phasebook.mixtures` computes: posterior, modes at a noise level, and the tree
that they form over all levels (`plane_tree`). Frame: `y = x_t / alpha`, `s = sigma / alpha`.
"""

import numpy as np
from IPython.display import HTML, display
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.critical_points import equilateral_triangle, modes
from phasebook.mixtures.modes.plane_tree import PlaneTree, plane_tree
from phasebook.site.figures.widget import beside, webp, widget_html

__all__ = ["show_toy", "toy_html"]

COLOURS = np.array([[0, 114, 178], [199, 84, 0], [0, 128, 93], [176, 89, 143], [138, 101, 0]])   # as in toy.js
REACH = 2.0                     # the plane is [-REACH, REACH]^2
LOW, HIGH = 0.06, 3.0           # noise levels of the slider and of the tree
STILL = 448                     # pixels on a side of the still picture
MARGIN = 24                     # of its tree


def show_toy(mixture: Mixture, *, alt: str, s: float = 0.4) -> None:
    """Display the toy; a sentence instead where a mixture is none of two to five atoms in its plane.

    Args:
        mixture: of the start.
        alt: what the figure shows, for those who cannot see it.
        s: noise level at the start.
    """
    n, d = mixture.means.shape
    if 2 <= n <= len(COLOURS) and d == 2 and np.abs(mixture.means).max() <= 0.95 * REACH:
        display(HTML(toy_html(mixture, alt=alt, s=s)))
    else:
        display(HTML(f"<p>The toy takes two to five atoms in the plane, within {0.95 * REACH:g} of the origin on each "
                     f"axis; here are {n} in {d} dimensions.</p>"))


def toy_html(mixture: Mixture, *, alt: str, s: float = 0.4) -> str:
    """The toy as HTML; arguments as in `show_toy`.

    Raises:
        ValueError: for an empty `alt`, or a level outside the slider.
    """
    if not LOW <= s <= HIGH:
        raise ValueError(f"s = {s}: takes a noise level from {LOW} to {HIGH}")
    examples = [_example("these atoms", mixture, s), _example("an equilateral triangle", equilateral_triangle(), 0.72),
                _example("two unequal atoms", Mixture.atoms([[-1.0, 0.0], [1.0, 0.0]], np.array([0.3, 0.7])), 0.7)]
    data = {"alt": alt, "examples": examples, "low": LOW, "high": HIGH, "reach": REACH}
    tree = plane_tree(mixture, LOW, HIGH, levels=24, tolerance=1e-2)
    still = webp(beside([_plane(mixture, s), _drawn(tree, s)]), 84)
    return widget_html("toy", data, still, alt, ["toy_model.js", "toy.js"])


def _example(name: str, mixture: Mixture, s: float) -> dict:
    return {"name": name, "atoms": mixture.means.tolist(), "weights": mixture.weights.tolist(), "s": s}


def _plane(mixture: Mixture, s: float) -> UInt8[ndarray, "y x 3"]:
    """The posterior's colours, the atoms as discs and the modes as rings."""
    axis = REACH * (2 * (np.arange(STILL) + 0.5) / STILL - 1)
    points = np.stack(np.meshgrid(axis, axis[::-1]), -1)
    pale = COLOURS[:len(mixture.means)] + (255 - COLOURS[:len(mixture.means)]) * 0.35
    picture = Image.fromarray(np.rint(mixture.responsibilities(points, 1.0, s) @ pale).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for point, colour in zip(mixture.means, COLOURS.tolist(), strict=False):
        pen.circle(_spot(point), 11, fill=tuple(colour), outline="white", width=2)
    for point in modes(mixture, s):
        pen.circle(_spot(point), 19, outline="black", width=4)
        pen.circle(_spot(point), 18, outline="white", width=2)
    return np.asarray(picture)


def _spot(point: Float[ndarray, " 2"]) -> tuple[float, float]:
    x, y = STILL * (np.asarray(point) / REACH + 1) / 2
    return float(x), float(STILL - y)


def _drawn(tree: PlaneTree, s: float) -> UInt8[ndarray, "y x 3"]:
    """The tree, most noise above, and the level as a line."""
    picture = Image.new("RGB", (STILL * 2 // 3, STILL), "white")
    pen = ImageDraw.Draw(picture)
    down = lambda level: MARGIN + (STILL - 2 * MARGIN) * np.log(HIGH / level) / np.log(HIGH / LOW)  # noqa: E731
    across = {n: picture.width * (k + 0.5) / len(tree.births) for k, n in enumerate(_order(tree))}
    for n, born in enumerate(tree.births):
        colour = tuple(COLOURS[n].tolist()) if n < len(tree.first) else (93, 102, 112)
        join = next((j for j in tree.joins if j.child == n), None)
        end = down(join.s) if join else 0
        pen.line([across[n], down(born), across[n], end], colour, 4)
        if join:
            pen.line([across[n], end, across[join.parent], end], colour, 4)
    pen.line([0, down(s), picture.width, down(s)], (0, 114, 178), 2)
    return np.asarray(picture)


def _order(tree: PlaneTree) -> list[int]:
    """Branches from left to right: each followed by those that join it, the earliest first."""
    children = {n: [j.child for j in tree.joins if j.parent == n] for n in range(len(tree.births))}
    dead = {j.child for j in tree.joins}
    order = [n for n in range(len(tree.births)) if n not in dead]
    for n in order:                                 # grows while it is read
        at = order.index(n) + 1
        order[at:at] = children[n]
    return order
