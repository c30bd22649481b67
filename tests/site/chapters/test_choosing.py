"""Edits to choose from: every source meets every target, and few steps stand for all."""

from phasebook.site.chapters.choosing import CHOSEN, crossed, spread_steps


def test_every_source_meets_every_target_from_one_start():
    pairs = crossed([["a", "b"], ["c", "d"]])
    assert list(zip(pairs.source, pairs.target, strict=True)) == [("a", "b"), ("a", "d"), ("c", "b"), ("c", "d")]
    assert pairs.group == (0, 0, 1, 1)
    assert len(crossed([["a", "b"]] * 10)) == CHOSEN**2


def test_steps_are_spread_with_both_ends():
    assert spread_steps([0, 2]) == [0, 2]
    some = spread_steps(range(50))
    assert some[0] == 0 and some[-1] == 49 and len(some) == 12 and some == sorted(set(some))
