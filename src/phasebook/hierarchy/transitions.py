r"""Transitions in time: trips to a noise level and back, what survives them, and where the theory puts the changes.

A trip noises a sample, `y = x_0 + r eps` with `r = sigma / alpha`, and denoises it again by the reverse *stochastic*
process, which ends on a draw from `p(x_0 | y)`. What it keeps says what is decided at r. Two trips from one y are
clones. For the exact model of n pictures the draw is one from n posterior weights, so its trips need no sampler:

    w = softmax((<y, x_i> - |x_i|^2 / 2) / r^2),        <y, x_i> = Gram_{Ii} + r <eps, x_i>.

References: Biroli, Bonnaire, de Bortoli, Mezard (2024); Sclocchi, Favero, Wyart (2025).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import brentq

from phasebook.arguments import brief, numbers, whole
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Frame, Model, Prompt, State
from phasebook.sampling.samplers import normal_start
from phasebook.slices.measures.statistics import centred_gram
from phasebook.slices.slice import Slice

__all__ = ["Trips", "collapse_of", "exact_trips", "falling", "first_ridge", "pair_clones", "peak", "peak_over_class",
           "posteriors", "sampled_trips", "settled", "starts_of", "susceptibility", "there_and_back", "visited_steps"]

APART = 4.0             # ratio of the noise levels beside a peak, up to which a parabola finds it to a quarter
SEEDS = 1000            # of the noise of a step, one a state: as many are kept apart where there are fewer states


class Trips(NamedTuple):
    """Trips from s samples to each of r noise levels, one by one; probabilities where they are known, else 0 or 1.

    Attributes:
        noise: sigma/alpha of each level, falling.
        label: whether the label (a family, a kind) survives.
        clones: whether two trips from one noisy sample end on the same label.
        picture: whether the picture itself survives; NaN where pictures are not told apart.
        change: distance from before to after, any unit.
        square: its square.
        origin: the label before.
    """

    noise: Float[ndarray, " r"]
    label: Float[ndarray, "r s"]
    clones: Float[ndarray, "r s"]
    picture: Float[ndarray, "r s"]
    change: Float[ndarray, "r s"]
    square: Float[ndarray, "r s"]
    origin: Int[ndarray, " s"]


def posteriors(gram: Float[ndarray, "n n"], ratios: Sequence[float], origin: Int[ndarray, " s"],
               seed: int) -> Iterator[Float[ndarray, "s n"]]:
    """The weights of all pictures, given noised ones, at each level; one draw of noise serves all levels.

    Args:
        gram: inner products of the pictures.
        ratios: sigma/alpha.
        origin: the pictures that are noised.
        seed: of the noise.
    """
    values, vectors = np.linalg.eigh(gram)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    noise = np.random.default_rng(seed).standard_normal((len(origin), len(gram))) @ root
    for ratio in ratios:
        logits = (gram[origin] + ratio * noise - np.diag(gram) / 2) / ratio**2
        weights = np.exp(logits - logits.max(1, keepdims=True))
        yield weights / weights.sum(1, keepdims=True)


def starts_of(samples: int, pictures: int, seed: int) -> Int[ndarray, " s"]:
    """Pictures to start from, each as often as the others; what is left over goes to some at random, not to the first
    ones: sets of pictures are in the order of families, or of styles.

    Args:
        samples: how many.
        pictures: of how many.
        seed: of the choice and the order.
    """
    rng = np.random.default_rng(seed)
    rounds = [rng.permutation(pictures) for _ in range(-(-samples // pictures))]
    return np.concatenate(rounds)[:samples]


def falling(ratios: Float[ndarray, " r"]) -> Float[ndarray, " r"]:
    """Noise levels sigma/alpha from the largest down, each once. ValueError unless there are some, all positive."""
    given = np.ravel(numbers("ratios", ratios, "noise levels > 0")).astype(np.float64)
    if not given.size or given.min() <= 0:
        raise ValueError(f"ratios = {brief(given.tolist())}: takes noise levels > 0, one at least")
    return np.unique(given)[::-1]


def exact_trips(gram: Float[ndarray, "n n"], labels: Int[ndarray, " n"], ratios: Float[ndarray, " r"], samples: int,
                seed: int) -> Trips:
    """Trips of the exact model, their last draw averaged out.

    Args:
        gram: inner products of the pictures.
        labels: one for each picture.
        ratios: sigma/alpha.
        samples: (picture, noise) pairs, see `starts_of`.
        seed: of the noise.

    Raises:
        ValueError: for no level, one that is not positive, no sample, or another number of labels than pictures.
    """
    gram, (names, which) = np.asarray(gram, dtype=np.float64), np.unique(labels, return_inverse=True)
    labels, samples = np.asarray(labels), whole("samples", samples, 1)
    if gram.ndim != 2 or gram.shape != (len(which),) * 2:
        raise ValueError(f"gram, labels: shapes {gram.shape}, {labels.shape}; take inner products (n, n) of n pictures "
                         "and a label for each")
    ratios = falling(ratios)
    origin = starts_of(samples, len(gram), seed + 1)
    own, member = np.arange(samples), np.eye(len(names))[which]
    square = np.diag(gram)[origin, None] + np.diag(gram) - 2 * gram[origin]
    square = square.clip(0)
    rows = []
    for w in posteriors(gram, ratios, origin, seed):
        groups = w @ member
        rows.append((groups[own, which[origin]], (groups**2).sum(1), w[own, origin], (w * np.sqrt(square)).sum(1),
                     (w * square).sum(1)))
    return Trips(ratios, *(np.stack(column) for column in zip(*rows, strict=True)), labels[origin])


@torch.no_grad()
def there_and_back(model: Model, x0: State, levels: Levels, step: int, prompt: Prompt | None = None,
                   seed: int = 0, clones: int = 2) -> list[State]:
    """Samples noised to a level and denoised by the reverse stochastic process, several times from one noisy state.

    A step draws from the Gaussian bridge `q(x_{k+1} | x_k, xhat_0)`, whose variance is
    `sigma'^2 (1 - (alpha sigma' / (alpha' sigma))^2)`; for variance-preserving levels that is DDIM with eta = 1.

    Args:
        model: any.
        x0: clean states.
        levels: of the sampler.
        step: the level to go to, from 0.
        prompt: for all points, or one a point.
        seed: of the noise; the points and the steps have noise of their own.
        clones: how often each noisy state is denoised.

    Returns:
        The last predictions of each clone.

    Raises:
        ValueError: for a step that the sampler does not have, or no clone.
    """
    step, clones = whole("step", step, 0, levels.steps - 1, "a step"), whole("clones", clones, 1)
    seeds = max(SEEDS, len(x0))
    noise = normal_start(model, seed, len(x0))
    noisy = float(levels.alpha[step]) * x0 + float(levels.sigma[step]) * noise
    ends = []
    for clone in range(clones):
        x = noisy
        for k in range(step, levels.steps):
            prediction = model.predict(x, levels, k, prompt)
            alpha, sigma = levels.alpha[k:k + 2], levels.sigma[k:k + 2]
            kept = sigma[1] * (alpha[0] * sigma[1]) / (alpha[1] * sigma[0])
            fresh = normal_start(model, seed + seeds * (1 + k + levels.steps * clone), len(x0))
            spread = float(np.sqrt(max(sigma[1]**2 - kept**2, 0)))
            x = float(alpha[1]) * prediction.x0 + float(kept) * prediction.eps + spread * fresh
        ends.append(prediction.x0)
    return ends


def sampled_trips(model: Model, x0: State, levels: Levels, at: Sequence[int],
                  label: Callable[[Frame], Int[ndarray, " s"]], prompt: Prompt | None = None, seed: int = 0) -> Trips:
    """Trips of any model through its own sampler, two from each noisy state.

    Args:
        model: any.
        x0: clean states to start from, such as samples of its own.
        levels: of the sampler.
        at: the steps whose levels are visited.
        label: of the states of a frame, such as the kind of the nearest picture.
        prompt: for all points, or one a point.
        seed: of the noise.

    Raises:
        ValueError: for no step, or one that the sampler does not have.
    """
    last, rows, at = levels.steps - 1, [], visited_steps(at, levels)
    before = label(Frame(model, last, x0))
    for number, step in enumerate(at):
        ends = there_and_back(model, x0, levels, step, prompt, seed + 10_000_000 * number)
        one, two = (label(Frame(model, last, end)) for end in ends)
        change = [model.norm(end - x0).cpu().double().numpy() for end in ends]
        kept = ((one == before).astype(float) + (two == before)) / 2
        square = (change[0]**2 + change[1]**2) / 2
        rows.append((kept, (one == two).astype(float), np.full(len(before), np.nan), sum(change) / 2, square))
    columns = (np.stack(column) for column in zip(*rows, strict=True))
    return Trips(levels.heights[at], *columns, before)


def visited_steps(at: Sequence[int], levels: Levels) -> list[int]:
    """Steps of a sampler in order, each once. ValueError for none, or one that it does not have."""
    steps = sorted({whole("at", step, 0, levels.steps - 1, "steps") for step in at})
    if not steps:
        raise ValueError("at: no step; takes one at least")
    return steps


def settled(noise: Float[ndarray, " r"], kept: Float[ndarray, " r"]) -> float:
    """The noise level at which what trips keep has come half way from its value at the noisiest level to 1; NaN where
    the levels do not bracket it.

    Args:
        noise: sigma/alpha, falling.
        kept: share that survives at each level.
    """
    rest = np.maximum.accumulate(kept)
    half = (rest[0] + 1) / 2
    if rest[-1] < half or rest[0] > 0.99:
        return np.nan
    return float(np.exp(np.interp(half, rest, np.log(noise))))


def susceptibility(trips: Trips, index: Int[ndarray, " m"]) -> Float[ndarray, " r"]:
    """The variance of the change over trips, at each level: small where all change alike, large where some change the
    picture's kind and others nothing.

    Args:
        trips: to any levels.
        index: which of the samples.
    """
    return trips.square[:, index].mean(1) - trips.change[:, index].mean(1)**2


def peak(noise: Float[ndarray, " r"], values: Float[ndarray, " r"]) -> float:
    """The noise level of the largest value, by a parabola through it and its neighbours in the logarithm of the noise;
    NaN where it lies at either end, and is no peak, or where its neighbours lie too far apart to locate it."""
    k = int(np.argmax(values))
    if k in (0, len(values) - 1) or noise[k - 1] > APART * noise[k + 1]:
        return np.nan
    a, b, _ = np.polyfit(np.log(noise[k - 1:k + 2]), values[k - 1:k + 2], 2)
    return float(np.exp(-b / (2 * a)))


def peak_over_class(trips: Trips, index: Int[ndarray, " m"]) -> float:
    """The level of the largest susceptibility over that at which the label is settled; NaN where either is missing.

    Args:
        trips: to any levels.
        index: which of the samples.
    """
    return peak(trips.noise, susceptibility(trips, index)) / settled(trips.noise, trips.label[:, index].mean(1))


def pair_clones(gram: Float[ndarray, "n n"], labels: Int[ndarray, " n"], samples: int, seed: int,
                least: int = 8) -> Float[ndarray, "f f"]:
    """For every two labels alone, the probability that clones at `r^2 = Lambda_1` of the pair share the label.

    Args:
        gram: inner products of the pictures.
        labels: one for each picture; those of fewer than `least` pictures are left out.
        samples: noisy states for each pair.
        seed: of the noise of the first pair; the others count on.
        least: pictures a label.

    Returns:
        A symmetric matrix over the labels that are left, NaN on its diagonal. Of both labels equally many pictures are
        taken.
    """
    gram, labels = np.asarray(gram, dtype=np.float64), np.asarray(labels)
    members = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    members = [m for m in members if len(m) >= least]
    table = np.full((len(members),) * 2, np.nan)
    for a in range(len(members)):
        for b in range(a):
            size = min(len(members[a]), len(members[b]))
            pick = np.concatenate([members[a][:size], members[b][:size]])
            part = gram[np.ix_(pick, pick)]
            part = part - part.mean(0) - part.mean(1, keepdims=True) + part.mean()
            ratio = np.sqrt(np.linalg.eigvalsh(part)[-1] / len(pick))
            number = a * (a - 1) // 2 + b
            trips = exact_trips(part, np.arange(2 * size) // size, [ratio], samples, seed + number)
            table[a, b] = table[b, a] = trips.clones.mean()
    return table


def collapse_of(gram: Float[ndarray, "n n"]) -> float:
    """The noise level at which the random energy model puts the collapse onto single pictures.

    The entropy condition of Biroli et al. for a Gaussian cloud of any spectrum: half the sum of
    `log(1 + lambda_j / r^2)` over the eigenvalues of the covariance equals `log n`.

    Args:
        gram: inner products of n pictures.

    Raises:
        ValueError: where `centred_gram` refuses them.
    """
    values = np.linalg.eigvalsh(centred_gram(gram))[1:].clip(0) / len(gram)
    excess = lambda s: np.log1p(values / np.exp(2 * s)).sum() / 2 - np.log(len(gram))  # noqa: E731
    top = np.log(np.sqrt(values.sum()))
    return float(np.exp(brentq(excess, top - 12, top + 12)))


def first_ridge(one: Slice, ridge: float, feature: str | None = None) -> float | None:
    """The noise level sigma/alpha of the first step at which some neighbours on the grid are a ridge apart; None where
    there is no such step."""
    jumps = np.maximum(one.values("jump_alpha", feature).max((1, 2)), one.values("jump_beta", feature).max((1, 2)))
    beyond = np.flatnonzero(jumps > ridge)
    return float(one.levels.heights[beyond[0]]) if len(beyond) else None
