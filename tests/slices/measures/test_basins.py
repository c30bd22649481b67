"""Basins of hand-made fields."""

import numpy as np

from phasebook.slices.measures.basins import basin_centres, basin_count, basin_labels


def steps_to(field):
    return np.abs(np.diff(field, axis=0)), np.abs(np.diff(field, axis=1))


def test_basins_are_what_ridges_leave_connected():
    field = np.zeros((12, 12))
    field[:, 6:], field[8:, 6:] = 1.0, 2.0
    labels = basin_labels(*steps_to(field), 0.5)
    assert basin_count(labels) == 3
    assert len(np.unique(labels[field == 1])) == 1
    assert basin_count(basin_labels(*steps_to(field), 5.0)) == 1
    gap = field.copy()
    gap[4, :] = np.linspace(0, 1, 12)                     # a pass through the ridge joins two basins
    assert basin_count(basin_labels(*steps_to(gap), 0.5)) == 2
    assert basin_centres(labels, 0.05)[0] in [(i, j) for i in range(2, 10) for j in (2, 3)]


def test_specks_are_no_basins():
    field = np.zeros((40, 40))
    field[20, 20] = 9
    assert basin_count(basin_labels(*steps_to(field), 0.5)) == 1
