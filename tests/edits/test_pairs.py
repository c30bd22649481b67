"""Which edits are made."""

import numpy as np
import pytest

from phasebook.edits.pairs import listed, pick_pairs
from phasebook.models.pictures.image_sets import load_images
from tests.builders import refuses


def test_pairs_are_of_the_levels_they_say(images):
    pairs = pick_pairs(images.pixels, images.names, images.family, 31, 2)
    assert len(pairs) == 31 and pairs == pick_pairs(images.pixels, images.names, images.family, 31, 2)
    assert pairs != pick_pairs(images.pixels, images.names, images.family, 31, 3)
    family = dict(zip(images.names, images.family, strict=True))
    for source, target, level, group in zip(pairs.source, pairs.target, pairs.level, pairs.group, strict=True):
        assert source != target and (family[source] == family[target]) == (level == "within")
        assert pairs.source[2 * group] == source


def test_one_family_has_no_pairs():
    hearts = load_images("families", 8, ["hearts"])
    with pytest.raises(ValueError, match="two families"):
        pick_pairs(hearts.pixels, hearts.names, hearts.family, 4, 0)


def test_a_copy_in_another_family_is_no_target():
    """An edit of a picture to its like would succeed from every step, at distance 0."""
    pixels = np.random.default_rng(0).random((6, 4, 4, 3))
    pixels[3:5] = pixels[:2] + 1e-3
    names, family = ["a", "b", "c", "a again", "b again", "d"], [0, 0, 0, 1, 1, 1]
    pairs = pick_pairs(pixels, names, family, 60, 0)
    assert all(target.removesuffix(" again") != source.removesuffix(" again")
               for source, target in zip(pairs.source, pairs.target, strict=True))
    refuses(lambda: pick_pairs(pixels[[0, 1, 3]] * [[[[1]]], [[[0]]], [[[1]]]], ["a", "b", "a again"], [0, 0, 1], 9, 0),
            "'a' has nothing but copies in other families; takes")


def test_what_are_no_pictures_of_families(images):
    some = images.pixels, images.names, images.family
    assert pick_pairs(images.pixels, images.names, list(images.family), 5, 0) == pick_pairs(*some, 5, 0)
    grey = np.zeros((4, 2, 2, 3))
    for pixels, words in (((255 * images.pixels).astype(np.uint8), "pixels: uint8; takes floating-point numbers in"),
                          (np.nan * images.pixels, "with NaN or Inf"), (grey, "pixels, names, family: 4, ")):
        refuses(lambda pixels=pixels: pick_pairs(pixels, images.names, images.family, 4, 0), words)


def test_listed_edits_have_starts_of_their_own():
    pairs = listed([["a", "b"], ["a", "c"]])
    assert pairs.group == (0, 1) and pairs.titles == ["a → b", "a → c"]


def test_no_edits_are_none(images):
    some = images.pixels, images.names, images.family
    for count in (0, -1, 2.5):
        refuses(lambda count=count: pick_pairs(*some, count, 0), f"count = {count}: takes a whole number >= 1")
    for edits in (None, 3, "ab", [None], [], [["a"]], ["ab"], [["a", 3]], [["a", "b", "c"]]):
        refuses(lambda edits=edits: listed(edits), "edits = ", "takes pairs of texts (source, target), one at least")
