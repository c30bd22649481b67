"""The bound against counts of generators that attain it, against search, and against other preimages."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from phasebook.fewstep.bound import (
    chained_constant,
    leak_of_two,
    least_constant,
    least_leak,
    searched_leak,
    sectors_leak,
    slabs_leak,
)
from phasebook.fewstep.targets import named_target
from tests.builders import refuses

PAIR = np.array([[0.0, 2.0], [2.0, 0.0]])
EVEN = (np.arange(200_000) + 0.5) / 200_000
CASES = [(3.0, 0.0), (3.0, 1.2), (8.0, -2.5), (1.0, 0.2)]


def counted(constant, shift):
    """Masses that `G(z) = L z + b` puts left of -1 and right of 1, by counting."""
    x = constant * ndtri(EVEN) + shift
    return np.array([(x <= -1).mean(), (x >= 1).mean()])


@pytest.mark.parametrize("constant, shift", CASES)
def test_a_ramp_attains_the_bound_and_tells_its_own_constant(constant, shift):
    """One flipped sign, of either quantile or of the width, breaks this."""
    p, q = counted(constant, shift)
    assert 1 - p - q == pytest.approx(leak_of_two(p, 2 / constant), abs=3e-5)
    assert least_constant(np.array([p, q]), PAIR) == pytest.approx(constant, rel=2e-4)


@pytest.mark.parametrize("constant, shift", CASES)
def test_in_the_right_proportion_the_leak_is_that_of_the_ramp(constant, shift):
    masses = counted(constant, shift)
    assert least_leak(masses / masses.sum(), PAIR, constant) == pytest.approx(1 - masses.sum(), abs=3e-5)


@pytest.mark.parametrize("p, width", [(0.2, 0.6), (0.5, 0.1)])
def test_no_preimage_of_intervals_leaks_less(p, width):
    assert searched_leak(p, width, intervals=2) == pytest.approx(leak_of_two(p, width), abs=1e-4)


def test_a_continuous_generator_of_a_nonlinear_kind_obeys():
    x = np.tanh(3 * ndtri(EVEN)) * 1.5                          # constant 4.5
    assert least_constant(np.array([(x <= -1).mean(), (x >= 1).mean()]), PAIR) <= 4.5


def test_without_leak_no_constant_is_enough_and_without_mass_any_is():
    assert least_constant(np.array([0.5, 0.5]), PAIR) == np.inf
    assert least_constant(np.array([0.9, 0.0]), PAIR) == 0


def test_of_eight_parts_the_bound_lies_below_sectors_and_these_below_slabs():
    apart = np.abs(np.exp(2j * np.pi * np.arange(8) / 8)[:, None] - np.exp(2j * np.pi * np.arange(8) / 8))
    gaps = apart / apart[0, 1]
    for width in (0.02, 0.2):
        bound = least_leak(np.full(8, 1 / 8), gaps, 1 / width)
        assert bound < sectors_leak(8, width) < slabs_leak(8, width)


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_sectors_leak_what_is_counted_between_them(parts):
    z = np.random.default_rng(0).standard_normal((200_000, 2))
    angle = np.arctan2(z[:, 1], z[:, 0]) % (2 * np.pi / parts) - np.pi / parts
    inside = np.hypot(*z.T) * np.sin(np.pi / parts - np.abs(angle)) >= 0.15
    if parts == 2:
        inside = np.abs(z[:, 1]) >= 0.15
    assert sectors_leak(parts, 0.3) == pytest.approx(1 - inside.mean(), abs=4e-3)


def test_slabs_have_equal_masses_and_their_gaps():
    leak = slabs_leak(3, 0.4)
    p = (1 - leak) / 3
    first = ndtri(p)
    assert ndtr(-first - 0.4) - ndtr(first + 0.4) == pytest.approx(p, abs=1e-9)


def test_fresh_noise_can_make_a_chain_steeper_than_its_product():
    """After a constant map the noise of the second step is all there is: L_2 s, where the product is 0."""
    assert chained_constant([0.0, 5.0], [0.6]) == pytest.approx(3.0)
    assert chained_constant([3.0] * 4) == pytest.approx(81)
    for constants, fresh, said in (([], [], "constants = "), ([2.0, -1.0], [], "constants = "),
                                   ([np.nan], [], "constants: NaN"), ([2.0] * 2, [1.5], "fresh = "),
                                   ([2.0] * 3, [0.5], "takes none, or 2 numbers"), ("21", [], "constants = '21'"),
                                   (3.0, [], "constants = 3.0"), ([[2.0], [3.0]], [], "constants = "),
                                   ((L for L in [2.0]), [], "constants = "), ([2.0, 3.0], "5", "fresh = '5'")):
        refuses(lambda constants=constants, fresh=fresh: chained_constant(constants, fresh), said)
    assert chained_constant([1e200] * 2) == np.inf and chained_constant([1e200, 1e200, 0.0]) == 0


@pytest.mark.parametrize("p, width, word", [(1.5, 0.1, "p = 1.5"), ([0.5, -0.1], 0.1, "p = "), (0.5, -1, "width = -1"),
                                            ("half", 1, "p = 'half'"), (0.5, np.nan, "width: NaN")])
def test_what_is_no_probability_or_width_is_refused(p, width, word):
    refuses(lambda: leak_of_two(p, width), word)


@pytest.mark.parametrize("seed", range(3))
def test_a_chain_of_linear_maps_of_the_line_attains_its_constant_and_no_other_exceeds_it(seed):
    rng = np.random.default_rng(seed)
    slopes, fresh = rng.uniform(0.2, 4, 4), rng.uniform(0, 1, 3)
    bound = chained_constant(slopes, fresh)
    turns = [np.linalg.qr(rng.standard_normal((2, 2)))[0] for _ in slopes]

    def chain(z, map_):
        x = map_(0, z[..., 0, :])
        for j, s in enumerate(fresh, 1):
            x = map_(j, np.sqrt(1 - s**2) * x + s * z[..., j, :])
        return x

    def steepest(map_, dims):
        z, h = rng.standard_normal((400, 4, dims)), 1e-5
        moves = h * np.eye(4 * dims).reshape(-1, 1, 4, dims)
        jacobian = (chain(z + moves, map_) - chain(z - moves, map_)) / (2 * h)
        return np.linalg.norm(np.moveaxis(jacobian, 0, -1), 2, axis=(1, 2)).max()

    assert steepest(lambda j, x: slopes[j] * x, 1) == pytest.approx(bound, rel=1e-6)
    assert 0.3 * bound < steepest(lambda j, x: slopes[j] * np.sin(x @ turns[j]), 2) <= bound * (1 + 1e-6)
    assert bound <= max(np.prod(slopes[j:]) for j in range(4)) * (1 + 1e-12)


def test_leaks_at_the_ends_of_their_scale():
    """Touching parts leak nothing, and parts a hundred Lipschitz constants apart all there is."""
    for parts in (2, 3, 8):
        assert slabs_leak(parts, 0.0) == pytest.approx(0, abs=1e-12) == sectors_leak(parts, 0.0)
        assert slabs_leak(parts, 100.0) == pytest.approx(1) == sectors_leak(parts, 100.0)
    assert slabs_leak(2, 12.0) == pytest.approx(1 - 2 * ndtr(-6), abs=1e-11)
    assert least_leak(np.array([0.5, 0.5]), PAIR, 0.01) == 1
    with np.errstate(all="raise"):              # a part without a share asks for nothing
        assert least_leak(np.array([1.0, 0.0]), PAIR, 1.0) == 0


@pytest.mark.parametrize("masses, gaps, words", [
    ([np.nan, 0.5], PAIR, "masses: NaN"), (["a", "b"], PAIR, "masses = "),
    ([0.4, 0.5], "gaps", "gaps = 'gaps'"), ([-0.2, 0.8], PAIR, "masses = "), ([0.8, 0.8], PAIR, "of sum at most 1"),
    ([0.4, 0.5], np.nan * PAIR, "gaps: NaN"), ([0.4, 0.5], -PAIR, "gaps = "),
    ([0.4, 0.5], np.zeros((3, 3)), "of 2 parts"),
    ([0.4, 0.5], [[0, 1], [5, 0]], "gaps = "), (0.4, PAIR, "masses = 0.4"),
])
def test_what_is_no_mass_or_no_gap_is_refused(masses, gaps, words):
    for call in (lambda: least_constant(masses, gaps), lambda: least_leak(masses, gaps, 3.0)):
        refuses(call, words)


def test_lists_are_taken_and_parts_that_touch_demand_nothing():
    assert least_constant([0.4, 0.5], PAIR.tolist()) == least_constant(np.array([0.4, 0.5]), PAIR) > 0
    assert least_constant([0.5, 0.5], 0 * PAIR) == 0
    for constant in (0, -1, float("nan")):
        refuses(lambda constant=constant: least_leak([0.5, 0.5], PAIR, constant), "constant = ", "takes a number above")


def test_many_generators_are_asked_at_once():
    target = named_target("eight")
    masses = np.random.default_rng(0).dirichlet(np.ones(9), 20)[:, :8] * (np.arange(20) > 0)[:, None]
    each = [least_constant(one, target.gaps) for one in masses]
    assert least_constant(masses, target.gaps).tolist() == each and each[0] == 0 < min(each[1:])
    refuses(lambda: least_leak([[0.4, 0.5]], PAIR, 3.0), "shares = ", "takes those of one target")


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_masses_in_short_formats_are_reckoned_with_in_float64(dtype):
    masses, p, width = np.array([0.3, 0.6], dtype), np.array([0.3, 0.9], dtype), np.array([0.5, 0.01], dtype)
    wide = least_constant(masses.astype(float), PAIR)
    assert least_constant(masses, PAIR.astype(dtype)) == pytest.approx(wide, rel=1e-14)
    np.testing.assert_allclose(leak_of_two(p, width), leak_of_two(p.astype(float), width.astype(float)), rtol=1e-14)


@pytest.mark.parametrize("call, words", [
    (lambda: least_leak([0.2, 0.2], PAIR, 1.0), "takes shares of all parts, of sum 1"),
    (lambda: sectors_leak(1, 0.5), "parts = 1: takes a whole number >= 2"),
    (lambda: sectors_leak(2.5, 0.5), "parts = 2.5"), (lambda: sectors_leak(3, -0.5), "width = -0.5"),
    (lambda: slabs_leak(1, 0.5), "parts = 1: takes a whole number >= 2"),
    (lambda: slabs_leak(3, np.nan), "width = nan: takes a number from 0 on"),
    (lambda: searched_leak(2.0, 0.5), "p = 2.0: takes a number from 0 to 1"),       # a leak of -1, it said
    (lambda: searched_leak(0.3, -0.5), "width = -0.5"), (lambda: searched_leak(0.3, 0.5, 0), "intervals = 0"),
])
def test_fewer_parts_than_two_and_shares_of_some_have_no_leak(call, words):
    refuses(call, words)


@pytest.mark.parametrize("small", [1e-3, 1e-6, 1e-10])
def test_no_leak_asks_for_no_finite_constant_however_small_a_part(small):
    """The quantile of 1 - 1e-6 has lost five digits, which was taken for a leak."""
    assert least_constant([1 - small, small], [[0.0, 1.0], [1.0, 0.0]]) == np.inf
