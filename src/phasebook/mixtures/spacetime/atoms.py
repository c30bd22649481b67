r"""Spacetime of finitely many atoms: a piece of the sphere of radius 2, in closed form.

The posterior of n atoms is a vector of weights w, and `w -> 2 sqrt w` maps the Fisher-Rao metric to the sphere of
radius 2. Since `log w_i = log pi_i + q . x_i - k |x_i|^2 / 2 + const`, atoms in affinely independent position reach
every positive w, at any SNR k: their spacetime is the whole open orthant of the sphere, great circles included, and

    d(w, w') = 2 arccos sum_i sqrt(w_i w'_i).

On a line three atoms or more are not affinely independent. For equal weights at -1, 0, 1, `k >= 0` says
`w_0^2 >= w_-1 w_1`, which forbids a convex cone; the shortest way between the outer atoms runs along its boundary
`k = 0`, and its length is `int sqrt(Var_q[x_0]) dq`. float64.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import softmax

__all__ = ["free_distance", "great_circle", "great_circle_path", "great_circles", "level_posteriors", "line_distance",
           "no_signal_length"]


def great_circle(w: Float[ndarray, " n"], w_: Float[ndarray, " n"]) -> float:
    """Fisher-Rao distance of two distributions on n points, the whole simplex allowed.

    Args:
        w: weights of the one.
        w_: weights of the other.

    Returns:
        `2 arccos sum sqrt(w w')`, at most pi; written by the chord, `arccos` being blind to small distances.
    """
    chord = np.linalg.norm(np.sqrt(w) - np.sqrt(w_))
    return float(4 * np.arcsin(min(chord / 2, 1.0)))


def great_circle_path(w: Float[ndarray, " n"], w_: Float[ndarray, " n"],
                      s: Float[ndarray, " m"]) -> Float[ndarray, "m n"]:
    """The geodesic between two distributions on n points.

    Args:
        w: weights of the one.
        w_: weights of the other.
        s: shares of the way, in [0, 1].

    Returns:
        The weights at each share.
    """
    angle = great_circle(w, w_) / 2
    s = np.asarray(s, dtype=float)[:, None]
    one, other = ((1 - s) * np.sinc((1 - s) * angle / np.pi), s * np.sinc(s * angle / np.pi))
    root = (one * np.sqrt(w) + other * np.sqrt(w_)) / np.sinc(angle / np.pi)                # 0 / 0 has its limit
    return root**2


def level_posteriors(square: Float[ndarray, "n n"], r: float) -> Float[ndarray, "n n"]:
    """Posterior weights of n equal atoms at each of them: `w_i` proportional to `exp(-|x_i - x_j|^2 / (2 r^2))`.

    Args:
        square: squared distances of the atoms.
        r: noise level `sigma / alpha`, in the unit of the distances.

    Returns:
        Row j: the weights at `x_t = alpha x_j`, the middle of the noised atom j.
    """
    return softmax(-square / (2 * r**2), axis=1)


def great_circles(w: Float[ndarray, "m n"]) -> Float[ndarray, "m m"]:
    """Distances of all pairs of distributions on n points.

    Args:
        w: weights of each.

    Returns:
        `2 arccos sum sqrt(w w')`, by the chord; distances below 1e-7 are lost in rounding.
    """
    root = np.sqrt(w)
    distances = 4 * np.arcsin(np.sqrt(np.clip((1 - root @ root.T) / 2, 0, 1)))
    np.fill_diagonal(distances, 0)
    return (distances + distances.T) / 2


def free_distance(w: Float[ndarray, " n"], w_: Float[ndarray, " n"], points: int = 64) -> float:
    """Distance of two posteriors of affinely independent atoms by a minimised curve that knows of no circle.

    A polygon whose corners have free log weights, which affinely independent atoms all reach; the energy of its
    Fisher-Rao chords by L-BFGS from a straight line of weights, coarse to fine, extrapolated. Between log weights of
    -50 and -1 a line of logarithms would put corners where no weight moves, and the search would stop there. For
    weights down to 1e-30 the result is right to 1e-7 of itself, whatever the pieces: more of them are harder to search.

    Args:
        w: weights of the one end, positive, of sum 1.
        w_: weights of the other.
        points: pieces of the finest polygon, a multiple of 4.

    Returns:
        The distance.

    Raises:
        ValueError: for a weight that is not positive, sums that are not 1, or another number of pieces.
    """
    if points < 8 or points % 4:
        raise ValueError(f"points = {points}: takes 8, 12, 16, ...")
    if not min(np.min(w), np.min(w_)) > 0:
        raise ValueError(f"w, w_: a weight of {min(np.min(w), np.min(w_)):g}; takes positive ones, with logarithms")
    both = np.stack([w, w_])
    if not np.abs(both.sum(1) - 1).max() < 1e-9:
        raise ValueError(f"w, w_: sums {both[0].sum():.12g} and {both[1].sum():.12g}; takes weights of sum 1")
    ends, lengths, chord = np.log(both), [], 4 * float((np.diff(np.sqrt(both), axis=0) ** 2).sum())
    if chord == 0:
        return 0.0
    v, n = ends, points // 4
    while n <= points:
        old, new = np.linspace(0, 1, len(v)), np.linspace(0, 1, n + 1)
        v = np.log(np.stack([np.interp(new, old, column) for column in softmax(v, axis=1).T], axis=1))
        least = minimize(_free_chords, v[1:-1].ravel(), (ends, n, chord), jac=True, method="L-BFGS-B",
                         options={"maxiter": 5000, "maxfun": 10_000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30})
        v = np.concatenate([ends[:1], least.x.reshape(n - 1, -1), ends[1:]])
        lengths.append(float(np.sqrt(chord * least.fun)))
        n *= 2
    first, second = ((4 * b - a) / 3 for a, b in zip(lengths[:-1], lengths[1:], strict=True))
    return (16 * second - first) / 15


def _free_chords(v: Float[ndarray, " mn"], ends: Float[ndarray, "2 n"], pieces: int,
                 unit: float) -> tuple[float, ndarray]:
    """`pieces / unit * sum |2 sqrt w_{i+1} - 2 sqrt w_i|^2` of a polygon of log weights between fixed ends; its
    gradient."""
    inner = v.reshape(-1, ends.shape[1])
    v = np.concatenate([ends[:1], inner, ends[1:]])
    w = np.exp(v - v.max(1, keepdims=True))         # SciPy's softmax takes three times as long on arrays this small
    w /= w.sum(1, keepdims=True)
    step = np.diff(np.sqrt(w), axis=0)
    pull = 4 * pieces / unit * (step[:-1] - step[1:]) * np.sqrt(w[1:-1])
    slope = pull - w[1:-1] * pull.sum(1, keepdims=True)
    return 4 * pieces / unit * float((step**2).sum()), slope.ravel()


def no_signal_length(x: Float[ndarray, " n"]) -> float:
    """Length of the curve `k = 0` between the outermost of n equal atoms on a line.

    Args:
        x: positions, ascending and distinct.

    Returns:
        `int sqrt(Var_q) dq` over all q, Var the variance of the weights `exp(q x)`; free of the unit of x.

    Raises:
        ValueError: for positions that do not ascend.
    """
    x = _ascending(x)
    x = (x - x.mean()) / np.ptp(x) * 2
    far = np.log(80 / np.diff(x).min())                          # beyond it the weights stand still to exp(-40)

    def speed(u, side):                                          # |q| sqrt(Var_q) at log |q| = u, where each gap,
        w = softmax(side * np.exp(u) * x)                        # however small, has a peak as wide as any other
        return np.exp(u) * np.sqrt(w @ (x - w @ x) ** 2)

    return sum(quad(speed, np.log(1e-13), far, (side,), limit=400, epsabs=1e-12)[0] for side in (-1, 1))


def line_distance(x: Float[ndarray, " n"], points: int = 64) -> tuple[float, float]:
    """Distance of the outermost of n equal atoms on a line under `k >= 0`, by a minimised curve.

    A polygon of posteriors with free `(q, k = c^2)` between the two pure atoms: the energy of its chords in `2 sqrt w`,
    from coarse to fine by L-BFGS. The error falls with the square of the number of points and is extrapolated.

    Args:
        x: positions, ascending and distinct.
        points: of the finest polygon, a multiple of 4 and at least 16.

    Returns:
        The distance, no longer than the curve `k = 0`, and the largest k on the finest polygon (atoms at distance
        about 1).

    Raises:
        ValueError: for positions that do not ascend, or another number of points.
    """
    if points < 16 or points % 4:
        raise ValueError(f"points = {points}: takes 16, 20, 24, ...")
    x = _ascending(x)
    x = (x - x.mean()) / np.diff(x).mean()
    place = np.linspace(-1, 1, points // 4 + 1)[1:-1]
    v, lengths = np.concatenate([6 * place, np.ones_like(place)]), []
    for n in (points // 4, points // 2, points):
        if lengths:
            old, new = (np.linspace(0, 1, m + 1)[1:-1] for m in (n // 2, n))
            q, c = v.reshape(2, -1)
            v = np.concatenate([np.interp(new, old, q), np.maximum(np.interp(new, old, np.abs(c)), 0.05)])
        minimum = minimize(_chords, v, (x, n), jac=True, method="L-BFGS-B",
                           options={"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-10, "maxcor": 30})
        v = minimum.x
        lengths.append(float(np.sqrt(minimum.fun)))
    found = (4 * lengths[2] - lengths[1]) / 3
    return min(found, no_signal_length(x)), float((v.reshape(2, -1)[1] ** 2).max())      # the search may stop short


def _ascending(x: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    x = np.asarray(x, dtype=float)
    if x.ndim != 1 or len(x) < 2 or not (np.diff(x) > 0).all():
        raise ValueError(f"x = {np.array2string(x, threshold=6)}: takes two or more positions on a line, ascending")
    return x


def _chords(v: Float[ndarray, " 2m"], x: Float[ndarray, " n"], pieces: int) -> tuple[float, ndarray]:
    """`pieces * sum |2 sqrt w_{i+1} - 2 sqrt w_i|^2` of the polygon from pure atom to pure atom, and its gradient."""
    q, c = v.reshape(2, -1)
    features = np.stack([x, -(x**2) / 2])
    w = softmax(np.stack([q, c**2], axis=1) @ features, axis=1)
    pure = np.eye(len(x))[[0, -1]]
    step = np.diff(np.concatenate([pure[:1], np.sqrt(w), pure[1:]]), axis=0)
    pull = 4 * pieces * (step[:-1] - step[1:]) * np.sqrt(w)
    slope = pull @ features.T - pull.sum(1, keepdims=True) * (w @ features.T)
    return 4 * pieces * float((step**2).sum()), np.concatenate([slope[:, 0], 2 * c * slope[:, 1]])
