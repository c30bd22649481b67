"""Edits by partial inversion: how far back must a picture go before another prompt can change it?

A source picture, made from a start z under its own prompt, is inverted to every level under a generic prompt. From
each level k the sampler resumes under the target prompt, everything else fixed. `k*` is the largest k (the least noise)
from which the result is the target; `steps - k*` inverted steps are needed. One inversion serves all k, and all
resumptions of all pairs advance together. A model is asked through an *editor* (`latent.editors`) for these alone:

    starts, make, sample, invert, predict, look, references, words, pixels, apart

States are opaque tensors with the points first; features are Euclidean coordinates of pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.models.image_sets import ImageSet
from phasebook.sampling.inversion import Inversion

__all__ = ["Editor", "Edits", "Look", "Pairs", "Sampled", "edit", "k_star", "listed", "monotone", "pick_pairs",
           "round_trip", "split_steps"]

LEAST = 0.02            # root mean square of pixels in [0, 1]


class Look(NamedTuple):
    """Pictures as judged: `features`, and `surface`, in which distances are root mean squares of pixels."""

    features: Float[ndarray, "p f"]
    surface: Float[ndarray, "p s"]


class Sampled(NamedTuple):
    """What sampling ends on: the `state` to invert, the `picture` to show, both with the points first."""

    state: Tensor
    picture: Tensor


class Editor(Protocol):
    """What an edit needs of a model. `prompts`: one text a point, None for the generic prompt."""

    steps: int

    def starts(self, seeds: Sequence[int]) -> Tensor: ...
    def make(self, starts: Tensor, prompts: Sequence[str]) -> Sampled: ...
    def sample(self, states: Tensor, first: ndarray, prompts: Sequence[str | None]) -> Sampled: ...
    def invert(self, states: Tensor, prompts: Sequence[str | None], iterations: int) -> Inversion: ...
    def predict(self, states: Tensor, step: int) -> Tensor: ...
    def look(self, pictures: Tensor) -> Look: ...
    def references(self, prompts: Sequence[str]) -> list[Float[ndarray, "p f"]]: ...
    def words(self, features: ndarray, pairs: "Pairs") -> ndarray | None: ...
    def pixels(self, pictures: Tensor) -> Float[ndarray, "p y x 3"]: ...
    def apart(self, one: Tensor, other: Tensor) -> Float[ndarray, " p"]: ...


@dataclass(frozen=True)
class Pairs:
    """Edits to make: prompts, whether both pictures are of one family (level 'within') or not ('across'), and `group`,
    the number of the source: edits of one source are not independent, and are drawn together by the bootstrap."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    level: tuple[str, ...]
    group: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.source)


def pick_pairs(images: ImageSet, count: int, seed: int) -> Pairs:
    """`count` edits of different sources, by turns to a picture of the same family and to one of another, two a source.

    Pictures that differ by less than `LEAST` are the same for an edit. ValueError where no family has two pictures, or
    there is only one family.
    """
    sizes = np.bincount(images.family)
    flat = images.pixels.reshape(len(images), -1)
    unlike = lambda i: np.sqrt(((flat - flat[i]) ** 2).mean(1)) >= LEAST  # noqa: E731
    able = np.array([i for i, f in enumerate(images.family) if (unlike(i) & (images.family == f)).any()])
    if len(able) == 0 or (sizes > 0).sum() < 2:
        raise ValueError(f"pairs = {count}: takes two families or more, one of them with two pictures")
    rng = np.random.default_rng(seed)
    sources = np.resize(rng.permutation(able), (count + 1) // 2)
    rows = []
    for group, i in enumerate(sources):
        same = images.family == images.family[i]
        for level, pool in (("within", same & unlike(i)), ("across", ~same)):
            rows.append((images.names[i], images.names[rng.choice(np.flatnonzero(pool))], level, group))
    return Pairs(*(tuple(column) for column in zip(*rows[:count], strict=True)))


def listed(edits: Sequence[tuple[str, str]]) -> Pairs:
    """Edits named one by one, each with a start of its own."""
    return Pairs(tuple(a for a, _ in edits), tuple(b for _, b in edits), ("shown",) * len(edits),
                 tuple(range(len(edits))))


def k_star(success: Bool[ndarray, "p k"], k_values: Int[ndarray, " k"]) -> Int[ndarray, " p"]:
    """The largest k with success, -1 where no k has it. Success at smaller k is not asked for: see `monotone`."""
    return np.where(success, np.asarray(k_values), -1).max(1)


def monotone(success: Bool[ndarray, "p k"]) -> Bool[ndarray, " p"]:
    """Whether success, along rising k, is lost once at most and never regained."""
    return ~(np.diff(success.astype(int), axis=1) > 0).any(1)


def split_steps(apart: Float[ndarray, "p step"], own: bool = False) -> Int[ndarray, " p"]:
    """First step at which two predictions are further apart than half the median final distance of all pairs, or than
    half their `own` one; the number of steps where that never happens."""
    threshold = apart[:, -1:] / 2 if own else np.median(apart[:, -1]) / 2
    beyond = apart > threshold
    return np.where(beyond.any(1), beyond.argmax(1), apart.shape[1])


@dataclass(frozen=True, eq=False)
class Edits:
    """What came of `pairs`; e counts edits, k the starting steps `k_values`.

    `to_source`, `to_target` (e, k): feature distances of the result from the nearest picture of the source and of the
    target prompt: the one made from the edit's start, and the editor's references.
    `words` (e, k): by how much the result's CLIP score with the target prompt exceeds that with the source's, or None.
    `moved` (e, k): root mean square difference of pixels to the source. `distance` (e): of the two clean latents;
    `latent_distance` (e): of the two inverted to level 0. `apart` (e, step): of the predictions along both inversions.
    `converged` (step, e): of the source's inversion, `states` (step + 1, e, ...) its states. `pictures` (e, k, ...),
    `source`, `target` (e, ...): to decode.
    """

    pairs: Pairs
    steps: int
    k_values: Int[ndarray, " k"]
    to_source: Float[ndarray, "e k"]
    to_target: Float[ndarray, "e k"]
    words: Float[ndarray, "e k"] | None
    moved: Float[ndarray, "e k"]
    distance: Float[ndarray, " e"]
    latent_distance: Float[ndarray, " e"]
    apart: Float[ndarray, "e step"]
    converged: Bool[ndarray, "step e"]
    states: Float[Tensor, "step+1 e *s"]
    pictures: Float[Tensor, "e k *s"]
    source: Float[Tensor, "e *s"]
    target: Float[Tensor, "e *s"]

    @property
    def success(self) -> Bool[ndarray, "e k"]:
        """Twice as near to the target as to the source, and nearer by its words too where the features know words.

        Merely nearer is not enough for a person to call it the target.
        """
        near = 2 * self.to_target <= self.to_source
        return near if self.words is None else near & (self.words > 0)

    @property
    def k_star(self) -> Int[ndarray, " e"]:
        return k_star(self.success, self.k_values)

    @property
    def needed(self) -> Int[ndarray, " e"]:
        """Inverted steps needed, `steps - k*`; `steps + 1` where not even a whole inversion is enough."""
        return self.steps - self.k_star

    def shown(self, pixels: Callable[[Tensor], ndarray], k_shown: Sequence[int]) -> list[tuple]:
        """For a figure, a row an edit: prompts, source picture, pictures at some of the k, target picture, and the
        place of the largest k shown that is at most k*, or None."""
        columns = [list(self.k_values).index(k) for k in k_shown]
        rows = []
        for i, star in enumerate(self.k_star):
            first, *between, last = pixels(torch.cat([self.source[i:i + 1], self.pictures[i, columns],
                                                      self.target[i:i + 1]]))
            reached = [j for j, k in enumerate(k_shown) if k <= star]
            rows.append((self.pairs.source[i], self.pairs.target[i], first, np.stack(between), last,
                         reached[-1] if reached else None))
        return rows

    def rows(self) -> list[dict]:
        """One row a pair, for the ledger: `k_star` is null where no k succeeds."""
        split, k = split_steps(self.apart), self.k_star
        return [{"source": s, "target": t, "k_star": int(k[i]) if k[i] >= 0 else None, "split_step": int(split[i]),
                 "distance": round(float(self.distance[i]), 4), "level": level,
                 "latent_distance": round(float(self.latent_distance[i]), 4)}
                for i, (s, t, level) in enumerate(zip(self.pairs.source, self.pairs.target, self.pairs.level,
                                                      strict=True))]


def edit(editor: Editor, pairs: Pairs, k_values: Sequence[int], seed: int, iterations: int,
         starts: Tensor | None = None, sources: dict[int, Sampled] | None = None) -> Edits:
    """Make all `pairs` from all `k_values`.

    Source and target pictures come from the same start: of seed `seed + group`, or `starts` (one a pair). `sources`
    replaces the sources of some pairs, e.g. by encoded pictures.
    """
    e, k_values = len(pairs), np.asarray(k_values, dtype=int)
    if starts is None:
        starts = editor.starts([seed + g for g in pairs.group])
    # a picture that several edits share is made and inverted once
    texts, groups = [*pairs.source, *pairs.target], [*pairs.group] * 2
    place = {key: i for i, key in reversed(list(enumerate(zip(texts, groups, strict=True))))}
    index = sorted(place.values()) if sources is None else list(range(2 * e))
    every = [index.index(place[key]) for key in zip(texts, groups, strict=True)] if sources is None else index
    made = editor.make(torch.cat([starts, starts])[index], [texts[i] for i in index])
    for i, (state, picture) in (sources or {}).items():
        made.state[i], made.picture[i] = state, picture
    inverted = editor.invert(made.state, [None] * len(index), iterations)
    split = [editor.predict(inverted.x[k], k)[every].split(e) for k in range(editor.steps)]
    x, made = inverted.x[:, every], Sampled(made.state[every], made.picture[every])
    apart = np.stack([editor.apart(*both) for both in split], 1)
    resumed = torch.cat([x[k, :e] for k in k_values])                       # k outside, pairs inside
    final = editor.sample(resumed, np.repeat(k_values, e), [*pairs.target] * len(k_values)).picture
    turn = lambda v: v.reshape(len(k_values), e, *v.shape[1:]).swapaxes(0, 1)  # noqa: E731
    own, found = editor.look(made.picture), editor.look(final)
    f, surface = turn(found.features), turn(found.surface)
    to_source, to_target = (
        np.min([np.linalg.norm(f - g[:, None], axis=-1) for g in (made_, *editor.references(named))], axis=0)
        for made_, named in zip(np.split(own.features, 2), (pairs.source, pairs.target), strict=True))
    return Edits(
        pairs, editor.steps, k_values, to_source, to_target, editor.words(f, pairs),
        np.linalg.norm(surface - own.surface[:e, None], axis=-1), editor.apart(*made.state.split(e)),
        editor.apart(*x[0].split(e)), apart, inverted.converged[:, every[:e]].numpy(), x[:, :e], turn(final),
        made.picture[:e], made.picture[e:])


def round_trip(editor: Editor, prompts: Sequence[str | None], seed: int,
               iterations: int) -> tuple[Float[ndarray, "step p"], Bool[ndarray, "step p"]]:
    """Invert pictures of `prompts` under these same prompts and sample again, from every step.

    Mean squared error of the final state over the variance of the latent, and whether every inverted step from the
    end down to this one converged.
    """
    p = len(prompts)
    made = editor.sample(editor.starts(range(seed, seed + p)), np.zeros(p, int), prompts).state
    x, _, converged = editor.invert(made, prompts, iterations)
    back = editor.sample(x[:-1].flatten(0, 1), np.repeat(np.arange(editor.steps), p), [*prompts] * editor.steps).state
    again = made.repeat(editor.steps, *(1,) * (made.ndim - 1))
    off = (editor.apart(back, again) / editor.apart(again, torch.zeros_like(again))).reshape(editor.steps, p)
    return off**2, np.logical_and.accumulate(converged.numpy()[::-1])[::-1]
