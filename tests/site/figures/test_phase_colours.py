"""Colours of phases: apart between neighbours, kept from parent to child."""

import numpy as np

from phasebook.site.figures.phase_colours import colour_of


def test_neighbouring_phases_never_share_a_colour_and_the_larger_child_keeps_its_parents():
    patches = np.kron(np.arange(36).reshape(6, 6), np.ones((3, 3), int))
    colour = colour_of(patches, None)
    assert ((colour[1:] != colour[:-1]) == (patches[1:] != patches[:-1])).all()
    assert ((colour[:, 1:] != colour[:, :-1]) == (patches[:, 1:] != patches[:, :-1])).all()
    uneven = np.zeros((12, 12), int)
    uneven[:, 9:] = 1
    after = colour_of(uneven, np.full((12, 12), 5))
    assert (after[:, :9] == 5).all() and (after[:, 9:] != 5).all()
