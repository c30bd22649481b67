"""Parameters of the chapter on the spacetime of images, and its pairs, chains and strips."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from pydantic import Field, model_validator
from torch import Tensor

from phasebook.hierarchy.calibration import Areas, Likeness, Placed, placed, separation
from phasebook.hierarchy.trees import distances_of
from phasebook.hierarchy.ultrametric import likeness
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.spacetime.atoms import free_distance, great_circles, level_posteriors
from phasebook.mixtures.spacetime.energy import eta_of
from phasebook.mixtures.spacetime.polygon import polygon_length
from phasebook.models.pipelines.checkpoints import known_directory
from phasebook.models.pipelines.vocabulary import picture_size
from phasebook.models.towers.tower import Tower
from phasebook.models.towers.vision import check_features
from phasebook.sampling.protocols import Model, Prompt
from phasebook.site.chapters.network import DATA
from phasebook.site.checks.memory import DECODED, named
from phasebook.site.checks.models import (
    Device,
    Seed,
    check_pictures,
    check_trained,
    entries_of,
    memory_of_network,
    memory_of_pictures,
    small_pictures,
)
from phasebook.site.checks.parameters import Finite, Parameters
from phasebook.spacetime.expectations import (
    FINEST,
    Expectations,
    all_probes,
    expectations,
    levels_at,
    sign_probes,
)
from phasebook.spacetime.geodesic import CurveSearch, expectations_along
from phasebook.spacetime.measure import Curve, length_ratio
from phasebook.stats import Estimate, spearman

__all__ = ["Chapter", "affine_rank", "between_trees", "clip_of", "curves_along", "latents_of", "likeness_at", "listed",
           "noised_ends", "parted_pairs", "pictures_of", "ranked", "sphere_errors", "through_posteriors",
           "trace_deviations", "worst_ratio"]

Noise = Annotated[float, Field(ge=0.25, le=100)]
CURVES = 12             # arrays of the states along all curves that live at a time
ICONS = 8e8             # bytes of all icons, as they are read, and of states that are moved along probes
PIXELS = 64             # on a side of the icons
SINGULAR = 1e-10        # eigenvalue of a Gram matrix, over the largest, that counts as zero
SHARE = 0.05            # of the largest distance: what triples resolve, as of geodesics of a slice
COARSE, FINE = 33, 129          # points of polygons in natural parameters; more where fewer have not converged

LogSnr = Annotated[Finite, Field(ge=-4, le=6)]


class Chapter(Parameters):
    """What the chapter's first cell sets; see there."""

    image_set: str
    noise: Annotated[list[Noise], Field(min_length=1, max_length=8)]
    endpoints: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]
    subset: Annotated[int, Field(ge=4, le=16)]
    checked: Annotated[list[Noise], Field(min_length=1, max_length=8)]
    width: Annotated[float, Field(ge=0.01, le=0.1)]
    tree_noise: Noise
    other_trees: Annotated[list[Noise], Field(max_length=4)]
    sets: Annotated[int, Field(ge=12, le=40)]
    trees: Annotated[int, Field(ge=2, le=500)]
    starts: Annotated[int, Field(ge=8, le=1000)]
    model: Annotated[str, Field(min_length=1)]
    prompt: str
    judge: Annotated[str, Field(min_length=1)]
    pretrained: str
    levels: Annotated[list[LogSnr], Field(min_length=1, max_length=6)]
    edit_level: LogSnr
    pictures: Literal["icons a", "icons b"]
    pair: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]
    flows: Annotated[int, Field(ge=1, le=20)]
    pairs: Annotated[int, Field(ge=4, le=200)]
    curve_points: Annotated[int, Field(ge=5, le=129)]
    fine_points: Annotated[int, Field(ge=5, le=129)]
    fine_pairs: Annotated[int, Field(ge=1, le=200)]
    nodes: Annotated[int, Field(ge=1, le=60)]
    iterations: Annotated[int, Field(ge=1, le=1000)]
    probes: Annotated[int, Field(ge=3, le=256)]
    flow_probes: Annotated[int, Field(ge=3, le=256)]
    traced: Annotated[int, Field(ge=0, le=100)]
    traced_entries: Annotated[int, Field(ge=16)]
    batch: Annotated[int, Field(ge=1, le=4096)]
    device: Device
    seed: Seed

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        small = check_pictures(self.image_set)
        if len(small) < 4 * self.sets or len(small) < self.subset:
            raise ValueError(f"image_set = {self.image_set!r}: {len(small)} pictures; takes {4 * self.sets} or more, "
                             f"four for each of sets = {self.sets}")
        for name, count in (("endpoints", len(small)), ("pair", DATA[self.pictures])):
            value = getattr(self, name)
            if max(value) >= count or value[0] == value[1]:
                raise ValueError(f"{name} = {value}: takes two different pictures, from 0 to {count - 1}")
        if self.traced > self.pairs + 1:
            raise ValueError(f"traced = {self.traced}: takes at most pairs + 1 = {self.pairs + 1}")
        if self.fine_pairs > self.pairs:
            raise ValueError(f"fine_pairs = {self.fine_pairs}: takes at most pairs = {self.pairs}")
        if self.curve_points < self.nodes + 2:
            raise ValueError(f"nodes = {self.nodes}: takes at most curve_points - 2 = {self.curve_points - 2}")
        check_trained(self.model, "model", FINEST, prompt=self.prompt)
        folder = known_directory(self.model)
        if folder and (size := picture_size(folder)) != PIXELS:
            raise ValueError(f"model = {self.model!r}: its pictures have {size or 'an unknown number of'} pixels a "
                             f"side; takes a latent diffusion pipeline of {PIXELS}, as the icons have")
        check_features(self.judge, self.pretrained or None, "judge")
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`: tables of all pictures at each level, states along all curves, a batch that is probed."""
        n = len(small_pictures(self.image_set))
        curves = self.pairs + 2 * self.flows + len(self.levels)
        points = curves * self.curve_points + self.fine_pairs * self.fine_points
        entries = entries_of(self.model, parameter="model")
        return memory_of_pictures(self.image_set) | memory_of_network(self.model, parameter="model") | {
            named(image_set=repr(self.image_set), noise=self.noise):
                8.0 * n * ((len(self.noise) + 8) * n + 4 * 3 * PIXELS**2),
            named(pairs=self.pairs, curve_points=self.curve_points, fine_pairs=self.fine_pairs,
                  fine_points=self.fine_points): 8.0 * CURVES * points * entries,
            named(pictures=repr(self.pictures)): ICONS,
            named(batch=self.batch): DECODED * self.batch if self.device == "cpu" else 0.0}


def affine_rank(points: Float[ndarray, "n d"]) -> int:
    """Dimension of the plane through all points; n - 1 where they are affinely independent."""
    centred = points - points.mean(0)
    spread = np.linalg.eigvalsh(centred @ centred.T)
    return int((spread > SINGULAR * spread.max()).sum())


def sphere_errors(apart: Float[ndarray, "n n"], noise: list[float]) -> Float[ndarray, "c 3"]:
    """Minimised curves between all pairs of noised points, at several levels, held against their great circles.

    Args:
        apart: distances of affinely independent points.
        noise: levels, in their unit.

    Returns:
        A row each: the relative errors of the polygon of free weights and of that in natural parameters, and how far
        the last extrapolation moved the second.
    """
    middle = np.eye(len(apart)) - 1 / len(apart)
    spread, axes = np.linalg.eigh(-middle @ apart**2 @ middle / 2)      # coordinates from distances (Torgerson 1952)
    atoms, rows = Mixture.atoms(axes[:, 1:] * np.sqrt(spread[1:])), []
    for r in noise:
        w = level_posteriors(apart**2, r)
        exact = great_circles(w)
        for i, j in zip(*np.triu_indices(len(apart), 1), strict=True):
            ends = np.column_stack([atoms.means[[i, j]] / r**2, np.full(2, -0.5 / r**2)])
            natural, moved = polygon_length(atoms, ends, COARSE, FINE)
            rows.append([abs(free_distance(w[i], w[j], 8) / exact[i, j] - 1), abs(natural / exact[i, j] - 1), moved])
    return np.array(rows)


def likeness_at(apart: Float[ndarray, "n n"], r: float) -> Likeness | None:
    """Likeness to a tree of the spacetime distances of pictures at one level of the noise.

    Args:
        apart: distances of the pictures, at any scale.
        r: noise level, in the mean of these distances.

    Returns:
        None for pictures that are all equal.
    """
    if not apart.any():
        return None
    unit = apart / apart[np.triu_indices(len(apart), 1)].mean()
    sphere = great_circles(level_posteriors(unit**2, r))
    return likeness(sphere, SHARE * sphere.max()) if sphere.any() else None


def through_posteriors(points: Float[ndarray, "n d"], seed: int, r: float) -> Likeness | None:
    """Points -> posteriors of the points noised to a level -> spacetime distances -> likeness to a tree. Of points that
    are given nothing is drawn: the seed changes nothing."""
    return likeness_at(distances_of(points), r)


def between_trees(parts: Sequence[Float[ndarray, "n n"]], r: float, trees: int,
                  seed: int) -> tuple[Areas, list[Placed]]:
    """Sets of pictures between twin and tree, all at one level of the noise, and which statistics tell these apart.

    Args:
        parts: distances of the pictures of each set.
        r: noise level, in the mean distance of a set.
        trees: known trees of each kind, of as many leaves as the smallest set has.
        seed: of the first tree and the first set's twin; the others count on.

    Returns:
        The areas under the curve of known trees, and the sets; those of equal pictures are left out.
    """
    chain = partial(through_posteriors, r=r)
    sets = [placed(here, apart, chain, seed + k) for k, apart in enumerate(parts) if (here := likeness_at(apart, r))]
    return separation(chain, min(map(len, parts)), trees, seed), [one for one in sets if one]


def ranked(x: Float[ndarray, " e"], y: Float[ndarray, " e"]) -> float | None:
    """Rank correlation; None where there is none, since one is constant."""
    value = spearman(x, y)
    return value if np.isfinite(value) else None


def listed(estimate: Estimate | None) -> list[float | None] | None:
    """The value and the ends of its interval, none where these are infinite; None for no estimate."""
    return estimate and [estimate.value, *(x if np.isfinite(x) else None for x in estimate[1:3])]


def noised_ends(model: Model, latents: Float[ndarray, "c 2 d"], log_snr: Float[ndarray, " c"],
                seed: int) -> Float[ndarray, "c 2 d+1"]:
    """Natural parameters of pairs of clean latents, each pair noised by one and the same draw at its log-SNR.

    Args:
        model: whose levels they are.
        latents: flat.
        log_snr: one a pair.
        seed: of the draws.
    """
    levels = levels_at(model, log_snr)
    alpha, sigma = (np.repeat(v[:-1, None], 2, axis=1) for v in (levels.alpha, levels.sigma))
    noise = np.random.default_rng(seed).normal(size=(len(latents), 1, latents.shape[2]))
    return eta_of(alpha[..., None] * latents + sigma[..., None] * noise, alpha, sigma)


def parted_pairs(kind: Int[ndarray, " n"], count: int, seed: int) -> Int[ndarray, "c 2"]:
    """Pairs of pictures that share no picture; every second one, as far as there are enough, of one kind.

    Args:
        kind: of each picture.
        count: pairs.
        seed: of the choice.
    """
    rng, chosen = np.random.default_rng(seed), []
    free = list(rng.permutation(len(kind)))
    while len(chosen) < count and len(free) > 1:
        a = free.pop()
        like = [b for b in free if kind[b] == kind[a]]
        b = like[0] if like and len(chosen) % 2 == 0 else free[0]
        free.remove(b)
        chosen.append((a, b))
    return np.array(chosen)


def curves_along(search: CurveSearch, probes: Float[Tensor, "r *s"],
                 *etas: Float[ndarray, "c n d+1"]) -> list[list[Curve]]:
    """Curves with the expectations of their points; one list for each array. The ends are taken once.

    Args:
        search: names the model, the prompt and how derivatives are taken.
        probes: shared by all.
        *etas: natural parameters along curves; all arrays have the same ends.
    """
    first, *others = etas
    n = first.shape[1]
    points = np.concatenate([first, *(eta[:, 1:-1] for eta in others)], axis=1)
    cuts = np.cumsum([n, *(eta.shape[1] - 2 for eta in others)])
    places = [np.arange(n), *(np.r_[0, a:b, n - 1] for a, b in zip(cuts[:-1], cuts[1:], strict=True))]
    known = expectations_along(search, points, probes)
    return [[(curve, Expectations(e.x0[at], e.square[:, at])) for curve, e in zip(points[:, at], known, strict=True)]
            for at in places]


def worst_ratio(above: list[Curve], below: list[Curve]) -> Estimate:
    """The largest ratio of lengths to those they are held against, each pair measured with the same probes.

    Its interval is that of the largest of all pairs: it ends where the largest of the single intervals does, and these
    are made wide enough (Bonferroni) to hold all at once in 95 % of cases.
    """
    level = 1 - 0.05 / len(above)
    ratios = [length_ratio(a, b, level) for a, b in zip(above, below, strict=True)]
    ends = (max(r[i] for r in ratios) for i in range(3))
    return Estimate(*ends, min(r.n for r in ratios))


def trace_deviations(model: Model, eta: Float[ndarray, "p d+1"], prompt: Prompt | None, entries: int, probes: int,
                     seed: int) -> Float[ndarray, " p"]:
    """By how many standard errors the estimated trace misses the exact one, at each point over a block of its own.

    Args:
        model: whose denoiser's Jacobian it is.
        eta: the points.
        prompt: for all.
        entries: of the diagonal block, drawn at random; all of them for the whole trace.
        probes: of the estimate.
        seed: of blocks and probes.
    """
    rng, missed, count = np.random.default_rng(seed), [], eta.shape[1] - 1
    for i, point in enumerate(eta):
        block = rng.permutation(count)[:entries]
        every, some = all_probes(model, block), sign_probes(model, probes, seed + i, block)
        exact, found = (expectations(model, point[None], v, prompt, "difference").square for v in (every, some))
        missed.append((found.mean() - exact.mean()) / (found.std(ddof=1) / np.sqrt(probes)))
    return np.array(missed)


def latents_of(model: Model, pixels: Float[ndarray, "n y x 3"]) -> Float[ndarray, "n d"]:
    """Flat clean latents of pictures in [0, 1], float64."""
    clean = model.encode(torch.as_tensor(pixels).permute(0, 3, 1, 2))
    return clean.flatten(1).double().cpu().numpy()


def pictures_of(model: Model, x0: Float[ndarray, "p d"]) -> Float[ndarray, "p y x 3"]:
    """Pictures of flat clean states."""
    return model.decode(torch.as_tensor(x0).float().view(-1, *model.shape)).permute(0, 2, 3, 1).cpu().numpy()


def clip_of(judge: Tower, pixels: Float[ndarray, "n y x 3"]) -> Float[ndarray, "n k"]:
    """The features that a judge has of pictures in [0, 1]."""
    return judge(torch.as_tensor(pixels).permute(0, 3, 1, 2)).double().cpu().numpy()
