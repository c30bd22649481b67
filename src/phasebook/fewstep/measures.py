"""What students are measured by: leak, coverage, distance to the target, and their Lipschitz constant from below.

Everything is for S students at once, from generators that take latents (s, p, dims) to data (s, p, d).
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import beta
from torch import Tensor

from phasebook.arguments import number, numbers, whole
from phasebook.fewstep.bound import least_constant
from phasebook.fewstep.students import Student
from phasebook.fewstep.targets import Target
from phasebook.sampling.batches import side_by_side
from phasebook.theory.cells.power_cells import solve

__all__ = ["Score", "brenier_mismatch", "cautious", "constant_below", "demanded", "demanded_on_axis", "score",
           "sliced_distance", "slope_below"]

Generator = Callable[[Float[Tensor, "s p d"]], Float[Tensor, "s p k"]]
STEP = 1e-3             # half of a secant
CANDIDATES, TRIALS = 6, 6
AROUND = 1 << 24        # coordinates of points around others that secants are taken from at a time
NEAR = 0.02             # half of a secant in many dimensions, where float32 leaves less room
LEAP = 0.03             # first leap of the ascent there, in lengths of a latent
HELD = 16               # latents at a time and thread where gradients are held
WINDOWS = np.linspace(0.1, 0.9, 9)
MISSED = 0.001          # how often a leak may lie above what is taken for its upper end


def constant_below(generator: Generator, z: Float[Tensor, "p d"], students: int, *, rounds: int = 10,
                   seed: int = 0) -> Float[ndarray, " s"]:
    """The Lipschitz constant of each student, from below: the steepest secant of length 0.002 that an ascent meets.

    From the steepest of the given points it climbs by random moves that shrink, on the largest singular value of the
    Jacobian by centred differences. What is returned is a difference quotient of the map itself, so it exceeds the
    constant by rounding alone (float32: 1e-4 of it, for values of order one); how far below it stays is not known.

    Args:
        generator: the students' map.
        z: latents to begin from.
        students: S.
        rounds: of the ascent.
        seed: of its moves.
    """
    draw = torch.Generator().manual_seed(seed)
    x = z.expand(students, -1, -1)
    steep, _ = _steepest(generator, x)
    top = steep.topk(min(CANDIDATES, x.shape[1]), dim=1).indices
    best = x.gather(1, top[..., None].expand(-1, -1, x.shape[-1]))
    value, direction = _steepest(generator, best)
    for k in range(rounds):
        moves = 0.3 * 0.6**k * torch.randn((students, TRIALS, *best.shape[1:]), generator=draw)
        near = (best[:, None] + moves).flatten(1, 2)
        slope, along = _steepest(generator, near)
        slope, pick = slope.view(students, TRIALS, -1).max(1)
        at = (pick * best.shape[1] + torch.arange(best.shape[1]))[..., None].expand(-1, -1, best.shape[-1])
        better = (slope > value)[..., None]
        best = torch.where(better, near.gather(1, at), best)
        direction = torch.where(better, along.gather(1, at), direction)
        value = torch.maximum(value, slope)
    secant = (generator(best + STEP * direction) - generator(best - STEP * direction)).norm(dim=-1) / (2 * STEP)
    return secant.max(1).values.numpy()


def _steepest(generator: Generator, x: Float[Tensor, "s p d"]) -> tuple[Float[Tensor, "s p"], Float[Tensor, "s p d"]]:
    """Largest singular value of the Jacobian at each point, and its direction in the latents; some points at a time."""
    (s, p, d), shift = x.shape, STEP * torch.eye(x.shape[-1])
    if p > (some := max(1, AROUND // (s * 2 * d**2))):
        found = [_steepest(generator, part) for part in x.split(some, 1)]
        return torch.cat([slope for slope, _ in found], 1), torch.cat([along for _, along in found], 1)
    around = torch.stack([x[:, :, None] + shift, x[:, :, None] - shift], 2)        # all at once: calls are what costs
    up, down = generator(around.view(s, 2 * p * d, d)).view(s, p, 2, d, -1).unbind(2)
    jacobian = ((up - down) / (2 * STEP)).mT
    square, along = torch.linalg.eigh(jacobian.mT @ jacobian)
    return square[..., -1].clamp(min=0).sqrt(), along[..., -1]


def slope_below(value: Callable[[Float[Tensor, "p *s"]], Float[Tensor, " p"]], z: Float[Tensor, "p *s"], *,
                candidates: int = 2, rounds: int = 1) -> float:
    """The Lipschitz constant of a real function of many latents, from below: the steepest secant that an ascent meets.

    In many dimensions random moves find no way up. From the steepest of the given points the ascent follows the
    derivative of the slope, the Hessian along the gradient, by steps that shrink; it ends with a difference quotient
    of the function itself, as `constant_below` does.

    Args:
        value: of latents; differentiable.
        z: latents to begin from.
        candidates: points that climb.
        rounds: of the ascent, two gradients each.
    """
    uphill = _gradient(value, z)
    top = _norm(uphill).flatten().topk(min(candidates, len(z))).indices
    at, uphill = z[top], uphill[top]
    best, along = at, uphill
    for k in range(rounds):
        near = _gradient(value, at + NEAR * uphill / _norm(uphill))
        bend = near - uphill
        at = at + LEAP * z[0].numel()**0.5 * 0.6**k * bend / _norm(bend)
        uphill = _gradient(value, at)
        better = _norm(uphill) > _norm(along)
        best, along = torch.where(better, at, best), torch.where(better, uphill, along)
    move = NEAR * along / _norm(along)
    with torch.no_grad():
        return float(((value(best + move) - value(best - move)).abs() / (2 * NEAR)).max())


def _gradient(value: Callable[[Float[Tensor, "p *s"]], Float[Tensor, " p"]],
              x: Float[Tensor, "p *s"]) -> Float[Tensor, "p *s"]:
    def of(some: Float[Tensor, "q *s"]) -> Float[Tensor, "q *s"]:
        some = some.detach().requires_grad_()
        return torch.autograd.grad(value(some).sum(), some)[0]

    return torch.cat(side_by_side(of, x.split(HELD)))


def _norm(x: Float[Tensor, "p *s"]) -> Float[Tensor, "p *_"]:
    return x.flatten(1).norm(dim=1).clamp(min=1e-30).view(-1, *[1] * (x.ndim - 1))


def sliced_distance(x: Float[ndarray, "s p d"], y: Float[ndarray, "p d"], directions: int = 48,
                    seed: int = 0) -> Float[ndarray, " s"]:
    """Sliced Wasserstein distance of each sample to y: the root mean square over directions of W2 of projections.

    Args:
        x: S samples.
        y: as many points.
        directions: random ones.
        seed: of these.

    Raises:
        ValueError: for another number of points, or of coordinates; for no point or direction.
    """
    directions = whole("directions", directions, 1)
    if np.ndim(x) != 3 or np.shape(x)[1:] != np.shape(y) or 0 in np.shape(y):
        raise ValueError(f"x, y: shapes {np.shape(x)}, {np.shape(y)}; take samples (s, p, d) and as many points (p, d)")
    axes = np.random.default_rng(seed).standard_normal((y.shape[1], directions))
    axes = axes / np.linalg.norm(axes, axis=0)
    there = np.sort((y @ axes).T)
    return np.array([np.sqrt(((np.sort((one @ axes).T) - there)**2).mean()) for one in x])


class Score:
    """Numbers of S students: `leak`, `coverage` (the least part's mass over its share, at most 1), `distance`,
    `masses` (S, m), and `moved`, the share of latents that end nearest to another part than the teacher's."""

    def __init__(self, target: Target, x: Float[ndarray, "s p d"], teacher: Float[ndarray, "p d"] | None):
        self.masses = target.masses(x)
        self.leak = 1 - self.masses.sum(-1)
        self.coverage = np.minimum(self.masses / target.shares, 1).min(-1)
        self.distance = None if teacher is None else sliced_distance(x, teacher)
        self.moved = None if teacher is None else (target.near(x) != target.near(teacher)).mean(-1)


def score(student: Student, z: Float[Tensor, "p dims"], teacher: Float[ndarray, "p d"] | None = None) -> Score:
    """Score students on latents; `teacher`: where the exact flow takes the same latents."""
    return Score(student.target, student(z[None, :, :student.dims]).numpy().astype(float), teacher)


def cautious(masses: Float[ndarray, "*b m"], count: int, level: float = 1 - MISSED) -> Float[ndarray, "*b m"]:
    """Masses made smaller in proportion, so that the leak is the upper end of its exact binomial interval.

    Args:
        masses: shares of `count` latents.
        count: of the latents.
        level: of the one-sided interval.

    Raises:
        ValueError: for no latent, or a level outside (0, 1).
    """
    count = whole("count", count, 1)
    if number("level", level, "a share in (0, 1)", above=0) >= 1:
        raise ValueError(f"level = {level:g}: takes a share in (0, 1)")
    inside = masses.sum(-1, keepdims=True)
    out = np.round((1 - inside) * count)
    upper = np.where(out < count, beta.ppf(level, out + 1, np.maximum(count - out, 1e-9)), 1.0)
    return masses * (1 - upper) / np.maximum(inside, 1e-12)


def demanded(target: Target, masses: Float[ndarray, "s m"], count: int) -> Float[ndarray, " s"]:
    """The Lipschitz constant that each student's masses ask for, at the upper end of its leak's interval."""
    return least_constant(cautious(masses, count), target.gaps)


def demanded_on_axis(values: Float[ndarray, " p"]) -> float:
    """The Lipschitz constant that a sample of one real function of the latents asks for.

    Its parts are what lies below a and what lies above b; the largest demand over all a < b among the sample's deciles
    is taken, each at the upper end of its leak's interval, at a level at which all hold at once.

    Args:
        values: at independent latents, none of which the function was chosen by: along an axis fitted to them they
            lie further apart than along it anywhere else.

    Raises:
        ValueError: for no value, or one that is not finite.
    """
    values = numbers("values", values, "a list of numbers")
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values: shape {values.shape}; takes a list of numbers, one at least")
    edges, level = np.quantile(values, WINDOWS), 1 - MISSED / math.comb(len(WINDOWS), 2)
    asked = [0.0]
    for i, a in enumerate(edges):
        for b in edges[i + 1:][edges[i + 1:] > a]:      # where many values are equal some deciles are
            masses = np.array([(values <= a).mean(), (values >= b).mean()])
            asked.append(least_constant(cautious(masses, len(values), level), np.array([[0.0, b - a], [b - a, 0.0]])))
    return max(asked)


def brenier_mismatch(layer, z: Float[ndarray, "p 2"]) -> Float[ndarray, " s"]:
    """Share of latents at which hard potential layers choose another piece than the optimal transport does.

    The transport is solved anew, from the pieces and the masses of their cells among z alone.

    Args:
        layer: `potential_hard` in the plane.
        z: many latents, evenly spread.
    """
    chosen = layer.scores(torch.as_tensor(z, dtype=torch.float32).expand(len(layer.weights["a"]), -1, -1)).argmax(-1)
    wrong = []
    for pieces, cell in zip(layer.weights["a"].detach().numpy().astype(float), chosen.numpy(), strict=True):
        used, index, count = np.unique(cell, return_inverse=True, return_counts=True)
        transport = solve(pieces[used], count / count.sum())
        wrong.append(float((transport.cell_of(z) != index).mean()))
    return np.array(wrong)
