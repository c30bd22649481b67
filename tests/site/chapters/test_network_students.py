"""A network and its students on the same planes: where they are found, and what is counted."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.fewstep.planes import plane_latents
from phasebook.sampling.samplers import normal_start
from phasebook.site.chapters import network_students
from phasebook.site.chapters.few_steps import student_places
from phasebook.site.chapters.network_students import compared, drawn, foreseen, students_of, things
from phasebook_training import students
from phasebook_training.loop import Settings
from tests.builders import build


class Colours:
    """A judge to which a picture is its mean colour, and every caption a colour of its own."""

    def __call__(self, pictures):
        return pictures.mean((2, 3)) + 1e-3

    def text(self, captions):
        draw = torch.randn(len(captions), 3, generator=torch.Generator().manual_seed(0))
        return torch.nn.functional.normalize(draw, dim=-1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("students")
    students.PATHS, kept = 4, students.PATHS
    teacher = build(folder, "v_prediction")
    students.train(folder / "run", teacher, Settings(steps=1, batch=2, rate=1e-6, warmup=1))
    students.PATHS = kept
    return teacher, folder / "run"


def test_no_student_is_no_family(run):
    assert student_places(str(run[0]), None) == {} and students_of(str(run[0]), None, 4) == {}


def test_a_family_is_compared_with_its_teacher_first(run):
    teacher, folder = run
    family = students_of(str(teacher), str(folder), 16)
    assert list(family) == [20, 4, 2, 1] and [one.levels.steps for one in family.values()] == [20, 4, 2, 1]
    shape = family[20].model.shape
    planes = plane_latents(int(np.prod(shape)), 3, 2, 0, 0.5)
    table = compared(family, planes, 8, Colours(), 0)
    for steps, one in table.items():
        assert one.sharp.cut.shape == (steps, 2) and one.kinds.low <= one.kinds.value <= one.kinds.high <= 8
        assert one.melted.low <= one.melted.value <= one.melted.high and 0 <= one.split.value <= 1
        assert one.split.n == 4                 # pairs of eight starts that share none
        assert 0 <= one.asked and 0 < one.constant < np.inf
    assert table[20].melted.value == 0.25       # of eight pictures two are below the quartile


def test_of_noise_itself_no_more_is_asked_than_it_has(monkeypatch):
    """The identity of 1024 dimensions through the whole comparison: its constant is 1. Along the axis on which its
    values at these starts vary most it would be asked for 4."""
    shape = (4, 16, 16)
    model = SimpleNamespace(shape=shape, device="cpu", dtype=torch.float32, decode=lambda z: z[:, :3],
                            start=lambda z: torch.as_tensor(z, dtype=torch.float32))
    monkeypatch.setattr(network_students, "foreseen", lambda sampler, z: torch.as_tensor(z)[None].float())
    monkeypatch.setattr(network_students, "drawn", lambda sampler, z: z)
    for seed in range(5):
        one = compared({1: SimpleNamespace(model=model)}, plane_latents(1024, 4, 12, seed, 0.2), 48, Colours(), seed)[1]
        assert 0.3 < one.asked <= 1 and one.constant == pytest.approx(1, abs=1e-3)


def test_what_gradients_go_through_is_the_sampler(run):
    for sampler in students_of(str(run[0]), str(run[1]), 16).values():
        z = normal_start(sampler.model, 3, 2)
        assert torch.allclose(drawn(sampler, z), foreseen(sampler, z.numpy())[-1], atol=1e-4)


@pytest.mark.parametrize("kinds", [30, 300])
def test_the_interval_of_the_number_of_things_covers_its_mean(kinds):
    """Of 48 starts that name a thing of `kinds` at random; the mean is `kinds (1 - (1 - 1 / kinds)^48)`."""
    rng = np.random.default_rng(0)
    drawn = [things(rng.integers(kinds, size=48)) for _ in range(300)]
    mean = kinds * (1 - (1 - 1 / kinds)**48)
    assert np.mean([one.low <= mean <= one.high for one in drawn]) >= 0.95
    assert np.mean([one.high - one.low for one in drawn]) < 0.6 * mean


def test_students_of_another_network_are_refused(run):
    teacher, folder = run
    file = folder / "in-2" / "model" / "student.json"
    own = file.read_text()
    file.write_text(json.dumps(json.loads(own) | {"teacher": "another"}))
    with pytest.raises(ValueError, match="in-2/model had another teacher"):
        students_of(str(teacher), str(folder), 4)
    file.write_text(own)
