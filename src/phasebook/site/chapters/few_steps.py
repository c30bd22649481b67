"""Parameters of the chapter on few steps and their checks; sharp boundaries of teacher and students."""

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from pydantic import Field, model_validator

from phasebook.fewstep.layers import LAYERS, matched
from phasebook.fewstep.measures import AROUND, Score, constant_below, demanded, score
from phasebook.fewstep.students import Student, distil, lessons
from phasebook.fewstep.targets import latents, named_target, of_pictures
from phasebook.models.pipelines.checkpoints import known_directory
from phasebook.models.pipelines.loading import check_available
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.models.pipelines.staging import read_config
from phasebook.models.towers.clip import check_feature
from phasebook.site.checks.memory import named
from phasebook.site.checks.models import Seed, entries_of, memory_of_network
from phasebook.site.checks.parameters import Parameters
from phasebook.slices.measures.basins import basin_count, basin_labels

__all__ = ["Chapter", "Row", "Sharp", "formed", "good", "less", "measured", "pick_pictures", "ridge_of", "sharp",
           "check_teacher", "sooner", "student_places", "student_record", "words", "wrong_pictures"]

Name = Literal["two_disks", "eight", "unequal", "annulus"]
Kind = Literal["mlp", "moe_soft", "moe_hard", "potential_soft", "potential_hard", "icnn"]
COUNTED = 1 << 14       # latents at which hard potentials are held against the transport
CLIMBING = 256          # latents from which the ascent to a constant may begin
PARTS = 8               # of a target in the plane, at most; pictures are one more than dimensions
ARRAYS = 5              # of numbers inside a layer that live at a time
ASKED = 1e9             # bytes that networks take, whatever they are asked: icons, a batch decoded, its gradients
FORESEEN = 3            # arrays of what a network foresees on all planes that live at a time
Scale = Annotated[float, Field(ge=1e-3, le=1e3)]         # beyond, slopes in float32 are no numbers
UNEVEN = 0.05           # sizes may differ by this share
COUNTS = (4, 2, 1)      # steps of a student
WORDS = {"mlp": "MLP", "icnn": "input-convex", "potential_soft": "soft potential", "potential_hard": "hard potential",
         "moe_soft": "soft experts", "moe_hard": "hard experts"}
RIDGE = 0.2             # a jump over this share of the distance of two pictures is sharp


class Chapter(Parameters):
    """What the chapter takes."""

    distinct = ("targets", "chained", "layers", "steps_student")

    targets: Annotated[list[Name], Field(min_length=1, max_length=4)]
    chained: list[Name]
    layers: Annotated[list[Kind], Field(min_length=2, max_length=6)]
    steps_student: Annotated[list[int], Field(min_length=1, max_length=3)]
    budget: Annotated[int, Field(ge=4, le=100_000)]
    width: Annotated[int, Field(ge=8, le=200)]
    width_emoji: Annotated[int, Field(ge=8, le=400)]
    seeds: Annotated[int, Field(ge=1, le=200)]
    temperature: Scale
    left_mass: Annotated[float, Field(ge=0.001, le=0.999)]
    pictures: Annotated[int, Field(ge=3, le=40)]
    grid: Annotated[int, Field(ge=5, le=201)]
    steps_teacher: Annotated[int, Field(ge=4, le=200)]
    paths: Annotated[int, Field(ge=64, le=1 << 16)]
    network: Annotated[str, Field(min_length=1)]
    students: str | None
    judge: Annotated[str, Field(min_length=1)]
    network_planes: Annotated[int, Field(ge=1, le=200)]
    network_grid: Annotated[int, Field(ge=3, le=101)]
    reach: Scale
    starts: Annotated[int, Field(ge=8, le=1000)]
    seed: Seed

    @model_validator(mode="after")
    def _usable(self):
        if "mlp" not in self.layers:
            raise ValueError(f"layers = {self.layers}: takes a list with mlp, to which the others are compared")
        if 1 not in self.steps_student or not set(self.steps_student) <= set(COUNTS):
            raise ValueError(f"steps_student = {self.steps_student}: takes a list of 1, 2 and 4 with 1, to which more "
                             "are compared")
        if strange := [name for name in self.chained if name not in self.targets]:
            raise ValueError(f"chained = {self.chained}: {strange[0]} is not among targets")
        if all(named_target(name).gaps is None for name in self.targets):
            raise ValueError(f"targets = {self.targets}: takes a list with one whose parts lie apart, for the bound")
        if self.paths & (self.paths - 1):
            raise ValueError(f"paths = {self.paths}: takes a power of 2")
        check_available(self.network, None, None, "network")
        check_feature(self.judge, None, "judge")
        if self.students is not None and not student_places(self.network, self.students):
            raise ValueError(f"students = {self.students!r}: holds no in-1/model; takes what `phasebook train "
                             "student-unet-a` left, or null")
        _ = self.teacher_steps
        self._check_even("width", 2, self.steps_student)
        self._check_even("width_emoji", self.pictures - 1, self.steps_emoji)
        return self

    @property
    def steps_emoji(self) -> list[int]:
        """Of students of the emoji: the same, in order."""
        return sorted(self.steps_student)

    def weights(self, emoji: bool = False) -> int:
        """Of a student, after an MLP of one step."""
        dims, width = (self.pictures - 1, self.width_emoji) if emoji else (2, self.width)
        return LAYERS["mlp"].count(dims, width)

    def memory(self) -> dict[str, float]:
        """See `Parameters`: what students answer at many points at once, as many of them side by side as there are
        threads, and what is foreseen on all planes: on those of the network nothing where it has no students."""
        dims, plane = self.pictures - 1, self.seeds * self.grid**2
        flat = sorted((self._width(name, 2, self.weights()) for name in self.layers), reverse=True)
        held, around, threads = [], [], torch.get_num_threads()
        for name in self.layers:
            for k in (0, *self.steps_emoji):            # one without training; neither it nor hard layers are climbed
                d, climbed = max(k, 1) * dims, bool(k) and not LAYERS[name].jumps
                around += [climbed * min(AROUND, self.seeds * 2 * CLIMBING * d**2)]
                held += [max(self.paths, self.grid**2, around[-1] // (self.seeds * d))
                         * self._width(name, dims, self.weights(emoji=True) // max(k, 1))]
        hidden = max(self.paths * sum(flat[:threads]), COUNTED * flat[0], sum(sorted(held, reverse=True)[:threads]))
        foreseen = 5 * self.steps_teacher + 3 * len(self.layers) * sum(self.steps_emoji)
        points = self.network_planes * self.network_grid**2 + self.starts
        entries = entries_of(self.network, parameter="network")
        return memory_of_network(self.network, parameter="network") | {
            named(seeds=self.seeds, paths=self.paths): 4.0 * ARRAYS * self.seeds * hidden,
            named(seeds=self.seeds, pictures=self.pictures): 4.0 * 4 * sum(sorted(around, reverse=True)[:threads]),
            named(seeds=self.seeds, grid=self.grid, steps_teacher=self.steps_teacher, pictures=self.pictures):
                8.0 * plane * (dims * foreseen + 3 * self.pictures),
            named(network_planes=self.network_planes, network_grid=self.network_grid, starts=self.starts):
                ASKED * bool(self.teacher_steps) + 4.0 * FORESEEN * self.teacher_steps * points * entries}

    @cached_property        # asked for by the check and by the memory
    def teacher_steps(self) -> int:
        """Of the teacher, which is that of all students; 0 for none. Students that were named are held against it."""
        places = student_places(self.network, self.students)
        records = {place: student_record(place) for place in places.values()}
        first = next(iter(records), None)
        for place, record in records.items():
            check_available(place, None, None, "students")
            for name in ("teacher", "teacher_steps"):
                if record[name] != records[first][name]:
                    raise ValueError(f"students: {place} had {name} = {record[name]}, {first} {records[first][name]}; "
                                     "takes students of one teacher")
        if self.students is not None:
            check_teacher(self.network, PipelineModel.load(self.network), records)
        return records[first]["teacher_steps"] if records else 0

    def _width(self, name: str, dims: int, weights: int) -> int:
        """Numbers that a layer has at one point, or its score: where it ends, and its distances to all parts."""
        return max(matched(name, dims, weights) * (dims + 1 if name.startswith("moe") else 1), 2 * dims + PARTS)

    def _check_even(self, name: str, dims: int, steps: list[int]) -> None:
        """Whether the layers can be had in one size."""
        width = getattr(self, name)
        if uneven(width, dims, self.layers, steps) > UNEVEN:
            good = [w for w in range(8, 100) if uneven(w, dims, self.layers, steps) <= UNEVEN]
            raise ValueError(f"{name} = {width}: the layers differ in size by more than {UNEVEN:.0%}; takes one of "
                             f"{good[:12]}")


def uneven(width: int, dims: int, layers: list[str], steps: list[int]) -> float:
    """The largest relative difference of a student's number of weights from that of an MLP of one step."""
    wanted = LAYERS["mlp"].count(dims, width)
    sizes = [k * LAYERS[name].count(dims, matched(name, dims, wanted // k)) for name in layers for k in steps]
    return max(abs(size / wanted - 1) for size in sizes)


class Row(NamedTuple):
    """Some students and their numbers, one a seed: the `constant` measured from below (None where it was not), and the
    one `asked` for by their leak (None where no bound says anything)."""

    student: Student
    score: Score
    constant: Float[ndarray, " s"] | None
    asked: Float[ndarray, " s"] | None

    @property
    def bound(self) -> bool:
        """Whether the theorem speaks of them: continuous, and of parts that do not touch."""
        return self.asked is not None and not self.student.jumps


def measured(student: Student, z: Float[ndarray, "p dims"], teacher: Float[ndarray, "p d"], seeds: int,
             climb: bool = True) -> Row:
    """A row: students on latents z, of which they take as many numbers as they need. Where the map is continuous, and
    if asked to `climb`, the constant is measured by ascents from some of them."""
    latents = torch.as_tensor(z[:, :student.dims], dtype=torch.float32)
    scored = score(student, latents, teacher)
    constant = constant_below(student, latents[:CLIMBING], seeds) if climb and not student.jumps else None
    asked = None if student.target.gaps is None else demanded(student.target, scored.masses, len(z))
    return Row(student, scored, constant, asked)


def good(row: Row) -> bool:
    """Whether most of the students leak at most 1 % and have every mass to a tenth."""
    off = np.abs(row.score.masses / row.student.target.shares - 1).max(-1)
    return bool(((row.score.leak <= 0.01) & (off <= 0.1)).mean() > 0.5)


def words(name: str) -> str:
    """A layer, or a target, as figures and tables call it."""
    return WORDS.get(name, name.replace("_", " "))


def less(rows: dict, first: tuple, second: tuple, targets: list[str]) -> Float[ndarray, " s"]:
    """By how much the second kind of student leaks less than the first, by seed, mean over targets.

    Args:
        rows: by (target, layer, steps, kind).
        first: (layer, steps, kind).
        second: likewise.
        targets: names.
    """
    return np.mean([rows[name, *first].score.leak - rows[name, *second].score.leak for name in targets], axis=0)


class Sharp(NamedTuple):
    """Of S planes at each step: the share of grid edges that are `cut` by a sharp boundary, and the `phases` that the
    last step's cuts leave."""

    cut: Float[ndarray, "step s"]
    phases: Int[ndarray, " s"]


def sharp(foreseen: Float[ndarray, "step s g g d"], height: float) -> Sharp:
    """Sharp boundaries: edges of the grid across which the foreseen data jump by more than `height`."""
    up, right = (np.stack([np.linalg.norm(np.diff(one, axis=axis), axis=-1) for one in foreseen]) for axis in (1, 2))
    cut = ((up > height).mean((2, 3)) + (right > height).mean((2, 3))) / 2
    phases = [basin_count(basin_labels(a, b, height)) for a, b in zip(up[-1], right[-1], strict=True)]
    return Sharp(cut, np.array(phases))


def formed(cut: Float[ndarray, "step s"]) -> list[float | None]:
    """The share of the sampler at which half of the final length is there; None for planes without any."""
    steps, last = len(cut), cut[-1]
    first = (cut >= last / 2).argmax(0)
    return [float(k / steps) if end > 0 else None for k, end in zip(first, last, strict=True)]


def sooner(late: list[float | None], soon: list[float | None]) -> list[float]:
    """By how much boundaries have formed at a smaller share in the second than in the first, for planes where both
    have some."""
    return [a - b for a, b in zip(late, soon, strict=True) if a is not None and b is not None]


def pick_pictures(pixels: Float[ndarray, "n y x 3"], count: int, seed: int) -> Float[ndarray, "count y x 3"]:
    """Different pictures at random."""
    return pixels[np.random.default_rng(seed).permutation(len(pixels))[:count]]


def wrong_pictures(pixels: Float[ndarray, "n y x 3"], p: Chapter, layers: list[str]) -> dict[str, Float[ndarray, " s"]]:
    """By layer, the share of latents that a student of one step sends to a picture other than the exact flow does: for
    each seed one student, of pictures of its own.

    Args:
        pixels: all pictures, of which each seed draws its own; all layers learn the same ones.
        p: the chapter's.
        layers: their names.
    """
    z, taught = latents(p.paths, p.pictures - 1, p.seed + 4), []
    for k in range(p.seeds):
        target, _ = of_pictures(pick_pictures(pixels, p.pictures, p.seed + k))
        taught.append(lessons(replace(target, name=f"emoji {k}"), z))
    test = latents(p.paths, p.pictures - 1, p.seed + 5)
    ends = {one.target.name: lessons(one.target, test).states[-1].numpy().astype(float) for one in taught}
    points, wrong = torch.as_tensor(test, dtype=torch.float32), {}
    for name in layers:
        students = distil(name, taught, 1, ("consistency",), weights=p.weights(emoji=True), seeds=1, budget=p.budget,
                          temperature=p.temperature, seed=p.seed)
        wrong[name] = np.array([score(one, points, ends[target]).moved[0] for (target, _), one in students.items()])
    return wrong


def ridge_of(centres: Float[ndarray, "n d"]) -> float:
    """The height from which a jump counts as sharp: a fifth of the median distance of two pictures."""
    apart = np.stack([np.linalg.norm(one - centres, axis=-1) for one in centres])
    return float(RIDGE * np.median(apart[np.triu_indices(len(centres), 1)]))


def student_places(network: str, folder: str | None) -> dict[int, Path]:
    """Directories of a network's students by their number of steps, those that are there.

    Args:
        network: a directory, also below assets/; its students lie beside it with `-in-4` and so on at their names.
        folder: or what the trainer left, with `in-4/model` and so on.
    """
    if folder is not None:
        places = {k: Path(os.path.expanduser(folder)) / f"in-{k}" / "model" for k in COUNTS}
    else:
        places = {k: known_directory(f"{network}-in-{k}") for k in COUNTS}
    return {k: place for k, place in places.items() if place and (place / "student.json").is_file()}


def student_record(place: Path) -> dict[str, Any]:
    """What the trainer wrote beside a student: `teacher`, its fingerprint; `teacher_steps`; `prompt`.

    Raises:
        ValueError: one line, for anything else.
    """
    record = read_config("students", place / "student.json", "record of a student")
    kinds = {"teacher": str, "teacher_steps": int, "prompt": str}
    wrong = [name for name, kind in kinds.items() if type(record.get(name)) is not kind]
    steps = record.get("teacher_steps")
    if wrong or steps % COUNTS[0] or not COUNTS[0] < steps <= 1000:
        name = wrong[0] if wrong else "teacher_steps"
        raise ValueError(f"students: {place}/student.json has {name} = {str(record.get(name))[:40]}; takes what "
                         f"`phasebook train` wrote: texts, and a multiple of {COUNTS[0]} from {2 * COUNTS[0]} to 1000")
    return record


def check_teacher(network: str, teacher: PipelineModel, records: dict[Path, dict[str, Any]]) -> None:
    """ValueError for a student of another teacher than `network`, as it was loaded."""
    for place, record in records.items():
        if record["teacher"] != teacher.fingerprint:
            raise ValueError(f"network = {network!r}: the students in {place} had another teacher")
