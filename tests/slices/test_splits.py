"""When predictions part."""

import numpy as np

from phasebook.slices.splits import split_steps


def test_split_steps_by_a_shared_threshold():
    apart = np.array([[0, 0.4, 0.9, 1.0], [0, 0.0, 0.1, 0.2], [0, 1.5, 3.0, 4.0]])
    assert split_steps(apart).tolist() == [2, 4, 1]
    assert split_steps(apart, 0.15).tolist() == [1, 3, 1] and split_steps(apart, 5.0).tolist() == [4, 4, 4]
