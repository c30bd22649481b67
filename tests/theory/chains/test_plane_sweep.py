"""Chains against the flow: the mismatch falls, what is not resolved is left out, the order of a made-up sweep."""

import numpy as np
import pytest

from phasebook.theory.chains.plane_atoms import Atoms
from phasebook.theory.chains.plane_sweep import Sweep, order, sweep

FIVE = Atoms([[-1.2, 0.3], [0.2, 1.1], [1.3, 0.1], [-0.3, -1.0], [0.3, 0.2]], [0.25, 0.15, 0.3, 0.2, 0.1])


def test_more_maps_are_nearer_to_the_flow():
    found = sweep(FIVE, 6.0, 0.2, [1, 4, 12], 4.0, 60, 0)
    assert found.n.tolist() == [1, 4, 12] and not found.remark
    assert 0.037 < found.mismatch[0] < 0.043
    assert found.mismatch[1] < found.mismatch[0] / 3 and found.mismatch[2] < found.mismatch[1] / 6
    assert found.last[0] == pytest.approx(found.mismatch[0], rel=1e-9) and found.last[2] < found.mismatch[2]
    assert found.links[0] == 0 and 0 < found.links[2] < found.links[1] < found.mismatch[1]
    assert (found.mismatch <= found.last + found.links).all()                 # a distance of divisions


def test_a_number_of_maps_that_is_not_resolved_is_left_out():
    found = sweep(FIVE, 6.0, 0.02, [1, 2], 4.0, 20, 0)
    assert found.n.tolist() == [1] and "chains of 2 maps left out" in found.remark


def test_the_order_needs_three_short_chains():
    n = np.array([1, 4, 8, 16, 32])
    made = Sweep(n, 0.1 / n**2.0 + 1e-3, 0 * n + 1e-3, 0.1 / n**2.0, [], "")  # the last map alone has a limit
    assert order(made, 30.0)[0].value == pytest.approx(2.0)
    bent = order(made._replace(links=made.links * [1, 1, 1, 1.3, 1]), 30.0)[0]
    assert bent.low < 1.9 < 2.1 < bent.high
    assert order(made._replace(n=n[:3], mismatch=made.mismatch[:3], links=made.links[:3]), 30.0)[0] is None
    assert order(made._replace(mismatch=0 * made.mismatch), 30.0)[0] is None
