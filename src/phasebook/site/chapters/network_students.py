"""A network and its students in few steps: the same planes and starts, what they foresee, cover and melt."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.stats import norm
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from phasebook.fewstep.measures import demanded_on_axis, slope_below
from phasebook.models.pictures.icons import alike
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.models.towers.clip import ClipFeatures
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Prompt
from phasebook.sampling.samplers import normal_start, sample
from phasebook.site.chapters.few_steps import Sharp, check_teacher, ridge_of, sharp, student_places, student_record
from phasebook.slices.measures.splits import split_steps
from phasebook.stats import LEVEL, Estimate, median_interval, share_interval

__all__ = ["Compared", "Sampler", "compared", "drawn", "foreseen", "students_of", "things"]

CLIMBED = 32            # starts from which the ascent to a sampler's steepest place may begin
FEW = 4                 # steps that are held at a time where gradients are
POOR = 0.25             # share of the teacher's pictures by which the others are called melted


class Sampler(NamedTuple):
    """A network with the levels and the prompt that it is used with."""

    model: PipelineModel
    levels: Levels
    asked: Prompt


class Compared(NamedTuple):
    """A sampler's numbers.

    Attributes:
        sharp: boundaries on its planes.
        kinds: different things among its pictures from independent starts, by the judge.
        melted: share of those pictures that resemble no thing as well as three in four of the teacher's do.
        split: median share of the sampler at which two starts part, of which each is in one pair.
        asked: the Lipschitz constant that its latents ask for, along the axis on which the teacher's vary most on the
            planes: an axis that is fitted to the starts themselves would ask for too much of them.
        constant: its constant along this axis, measured from below.
    """

    sharp: Sharp
    kinds: Estimate
    melted: Estimate
    split: Estimate
    asked: float
    constant: float


def students_of(network: str, folder: str | None, batch: int) -> dict[int, Sampler]:
    """A network and its students by their numbers of steps, the most first; nothing where there is no student.

    Args:
        network: the teacher.
        folder: see `student_places`.
        batch: latents at a time.

    Raises:
        ValueError: one line, for students of another network.
    """
    places = student_places(network, folder)
    if not places:
        return {}
    teacher, family = PipelineModel.load(network, batch=batch), {}
    for count, place in places.items():
        record = student_record(place)
        check_teacher(network, teacher, {place: record})
        model, steps = PipelineModel.load(place, batch=batch), record["teacher_steps"]
        asked = teacher.prompt(record["prompt"])
        family.setdefault(steps, Sampler(teacher, teacher.levels(steps), asked))
        family[count] = Sampler(model, teacher.levels(steps).thinned(steps // count), asked)
    return family


def drawn(sampler: Sampler, z: Float[Tensor, "p c y x"]) -> Float[Tensor, "p c y x"]:
    """The clean latents at the end of the sampler, as `foreseen` has them, differentiable in where it starts.

    Of more than a few steps one at a time is held: on the way back each is run once more.
    """
    model, levels, x = sampler.model, sampler.levels, z

    def step(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        raw = model.output(x, levels, k, sampler.asked)
        x0, eps = model.noise.split(x, raw, float(levels.alpha[k]), float(levels.sigma[k]))
        a, b, _ = levels.mixing(k)
        return x0, a * x0 + b * eps

    for k in range(levels.steps):
        x0, x = step(x, k) if levels.steps <= FEW else checkpoint(step, x, k, use_reentrant=False)
    return x0


def foreseen(sampler: Sampler, z: Float[ndarray, "p c y x"]) -> Float[Tensor, "step p c y x"]:
    """The clean latents that are predicted on the way from latents, at each step."""
    frames = sample(sampler.model, sampler.model.start(z), sampler.levels, sampler.asked)
    return torch.stack([frame.x0 for frame in frames]).cpu()


def compared(family: dict[int, Sampler], planes: Float[ndarray, "s g g d"], starts: int, judge: ClipFeatures,
             seed: int) -> dict[int, Compared]:
    """All samplers on the same planes and from the same independent starts.

    Args:
        family: the teacher first.
        planes: of latents.
        starts: how many.
        judge: names the pictures.
        seed: of the starts.
    """
    words = judge.text(list(alike().whats)).cpu()
    by_steps, height, floor, axis = {}, None, None, None
    for steps, sampler in family.items():
        shape = sampler.model.shape
        z = normal_start(sampler.model, seed, starts)
        free = foreseen(sampler, z.cpu().numpy())
        ends = free[-1].flatten(1).numpy().astype(float)
        height = ridge_of(ends) if height is None else height
        flat = foreseen(sampler, planes.reshape(-1, *shape)).flatten(2).numpy().reshape(-1, *planes.shape)
        axis = _varied(flat[-1].reshape(-1, planes.shape[-1])) if axis is None else axis
        likeness, name = _likeness(judge, sampler.model.decode(free[-1]), words)
        floor = np.quantile(likeness, POOR) if floor is None else floor
        melted = share_interval(int((likeness < floor).sum()), starts)
        by_steps[steps] = Compared(sharp(flat, height), things(name), melted,
                                   median_interval(_splits(free) / len(free)), demanded_on_axis(ends @ axis),
                                   slope_below(_along(sampler, axis), z[:CLIMBED]))
    return by_steps


def _varied(x: Float[ndarray, "n d"]) -> Float[ndarray, " d"]:
    """The direction in which points vary most."""
    return np.linalg.svd(x - x.mean(0), full_matrices=False)[2][0]


def _along(sampler: Sampler, axis: Float[ndarray, " d"]) -> Callable[[Float[Tensor, "p c y x"]], Float[Tensor, " p"]]:
    """What the sampler makes of latents, along an axis."""
    direction = torch.as_tensor(axis).to(sampler.model.start(np.zeros((1, *sampler.model.shape))))

    return lambda z: drawn(sampler, z).flatten(1) @ direction


def _likeness(judge: ClipFeatures, pictures: Float[Tensor, "n 3 y x"],
              words: Float[Tensor, "k d"]) -> tuple[Float[ndarray, " n"], Int[ndarray, " n"]]:
    """The largest cosine of each picture with the words for a thing, and which."""
    best = (F.normalize(judge(pictures), dim=-1).cpu() @ words.T).max(-1)
    return best.values.numpy(), best.indices.numpy()


def things(names: Int[ndarray, " n"]) -> Estimate:
    """How many different names there are among n independent ones.

    The interval is the jackknife's, whose variance errs on the large side (Efron and Stein 1981): leaving one out
    changes the number if its name stands alone, so the variance is `(n - 1) q (1 - q)` with q the share that do. For q
    the least favourable end of its own interval is taken, or none would be left where all stand alone.
    """
    n, count = len(names), np.unique(names, return_counts=True)[1]
    alone = share_interval(int((count == 1).sum()), n)
    spread = max(q * (1 - q) for q in (alone.value, alone.low, alone.high, np.clip(0.5, alone.low, alone.high)))
    wide = float(norm.ppf((1 + LEVEL) / 2) * np.sqrt((n - 1) * spread))
    return Estimate(float(len(count)), max(1.0, len(count) - wide), min(float(n), len(count) + wide), n)


def _splits(free: Float[Tensor, "step p c y x"]) -> Int[ndarray, " m"]:
    """The step at which starts have parted, the first from the second, the third from the fourth and so on: pairs that
    share none are independent."""
    apart = np.stack([(x0[:-1:2] - x0[1::2]).flatten(1).norm(dim=1).numpy() for x0 in free], axis=1)
    return split_steps(apart)
