"""Data from a chapter's parameters: refused in one line."""

import pytest

from phasebook.mixtures.setting import atoms_on_line, check_interval, mixture_on_line


def test_atoms():
    law = atoms_on_line(5, [-1, 2], 3)
    assert law.means.shape == (5, 1) and (law.means >= -1).all() and (law.means <= 2).all()
    assert atoms_on_line(5, [-1, 2], 3, [0.0, 1.0]).means[:, 0].tolist() == [0, 1]


@pytest.mark.parametrize("call, words", [
    (lambda: check_interval([1, 1]), r"interval = \[1, 1\]: takes \[a, b\] with a < b"),
    (lambda: mixture_on_line([0, 1], [1], [0.5, 0.5]), "mixture_stds, mixture_weights: lengths 1, 2"),
    (lambda: mixture_on_line([0, 1], [1, -1], [0.5, 0.5]), "mixture_stds = .*>= 0"),
    (lambda: mixture_on_line([0, 1], [1, 1], [0.5, 0.6]), "mixture_weights = .*sum to 1"),
])
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
