"""Edits to choose from: every source meets every target, and few steps stand for all."""

from types import SimpleNamespace

import numpy as np

from phasebook.site.chapters.choosing import CHOSEN, _notes, crossed, spread_steps


def test_every_source_meets_every_target_from_one_start():
    pairs = crossed([["a", "b"], ["c", "d"]])
    assert list(zip(pairs.source, pairs.target, strict=True)) == [("a", "b"), ("a", "d"), ("c", "b"), ("c", "d")]
    assert pairs.group == (0, 0, 1, 1)
    assert len(crossed([["a", "b"]] * 10)) == CHOSEN**2


def test_steps_are_spread_with_both_ends():
    assert spread_steps([0, 2]) == [0, 2]
    some = spread_steps(range(50))
    assert some[0] == 0 and some[-1] == 49 and len(some) == 12 and some == sorted(set(some))


def test_a_dozen_steps_do_not_tell_k_star():
    """The largest of all steps may lie between two of those to choose from."""
    edits = SimpleNamespace(pairs=SimpleNamespace(titles=["a to b", "c to d"]), k_star=np.array([9, -1]),
                            success=np.array([[True, False], [False, False]]))
    notes = _notes(edits)
    assert notes[0] == "a to b succeeds from here; of the steps to choose from, the last that succeeds is 9."
    assert notes[3] == "c to d fails from here; of the steps to choose from, it succeeds from none."
    assert not any("k*" in note for note in notes)
