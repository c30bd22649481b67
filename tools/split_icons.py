"""Which pictures of the icons a model may learn from: two disjoint halves, pairs held out, and a style apart.

A thing's drawings are first put into groups that resemble each other (the two Fluent sets are one drawing, shaded and
flat; some sets have copied a square or an exclamation mark), so that no picture of one half has its twin in the other.
Of two things in five that have four groups or more, one group is held out: its pairs of what and style are in neither
half. The other groups go to the halves `a` and `b` in turn. All choices are made by a hash of the names, so that
they do not change when things are added.
"""

import hashlib
from itertools import combinations

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

__all__ = ["APART", "TWINS", "groups", "split"]

APART = "firefox"                       # a style that no half contains
TWINS = ("fluent", "flat fluent")       # always together
NEAR = 0.2                              # root mean square difference of pixels in [-1, 1] at half resolution
HELD_OUT = 0.4                          # share of the things of which a group is held out
FEWEST = 4                              # groups a thing must have for that

Key = tuple[str, str]                   # what, style


def _chance(*words: str) -> float:
    """A number in [0, 1) that depends on the words alone."""
    return int.from_bytes(hashlib.sha256("|".join(words).encode()).digest()[:6], "big") / 2**48


def _coarse(picture: UInt8[ndarray, "64 64 3"]) -> Float[ndarray, "32 32 3"]:
    return picture.reshape(32, 2, 32, 2, 3).mean((1, 3)) / 127.5


def groups(pictures: dict[str, UInt8[ndarray, "64 64 3"]]) -> list[tuple[str, ...]]:
    """The styles of one thing, by resemblance: two are together where a chain of near pictures joins them."""
    coarse = {style: _coarse(picture) for style, picture in pictures.items()}
    label = {style: style for style in coarse}
    for one, other in combinations(coarse, 2):
        near = np.sqrt(((coarse[one] - coarse[other]) ** 2).mean()) < NEAR
        if near or {one, other} == set(TWINS):
            old, new = label[other], label[one]
            label = {style: new if at == old else at for style, at in label.items()}
    found: dict[str, list[str]] = {}
    for style, at in label.items():
        found.setdefault(at, []).append(style)
    return [tuple(styles) for styles in found.values()]


def split(drawn: dict[Key, UInt8[ndarray, "64 64 3"]]) -> dict[Key, str]:
    """'a', 'b', 'held out' or 'apart' for every picture.

    Args:
        drawn: pictures by (what, style).

    Returns:
        The part of each; every thing with two groups or more has pictures in both halves.
    """
    part = {key: "apart" for key in drawn if key[1] == APART}
    for what in dict.fromkeys(what for what, _ in drawn):
        own = {style: picture for (w, style), picture in drawn.items() if w == what and style != APART}
        order = sorted(groups(own), key=lambda group: _chance(what, *group))
        held = order[:1] if len(order) >= FEWEST and _chance(what) < HELD_OUT else []
        first = int(_chance("first", what) < 0.5)
        for i, group in enumerate(order[len(held):]):
            part |= {(what, style): "ab"[(i + first) % 2] for style in group}
        part |= {(what, style): "held out" for group in held for style in group}
    return part
