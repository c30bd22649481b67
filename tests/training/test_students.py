"""Students of a pipeline in few steps: their losses, that they learn, resume, and load as pipelines."""

import json

import pytest
import torch

import phasebook_training as training
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.samplers import sample
from phasebook_training import students
from phasebook_training.loop import Settings
from tests.builders import build


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return build(tmp_path_factory.mktemp("teacher"), "v_prediction")


@pytest.fixture(autouse=True)
def few_paths(monkeypatch):
    monkeypatch.setattr(students, "PATHS", 8)


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_what_the_teacher_says_lands_on_its_own_path(prediction, tmp_path):
    model = PipelineModel.load(build(tmp_path, prediction))
    asked, levels = model.prompt("red apple"), model.levels(6)
    x = torch.randn(2, *model.shape, generator=torch.Generator().manual_seed(0))
    for frame in sample(model, x, levels, asked):
        with torch.no_grad():
            raw = model.output(frame.x, levels, frame.step, asked)
        there = students.landing(model, levels, frame.step, frame.x, raw)
        torch.testing.assert_close(there, frame.after, atol=1e-4, rtol=1e-3)


def test_levels_are_thinned_to_the_ends_of_the_teachers(teacher):
    levels = PipelineModel.load(teacher).levels(20)
    four = levels.thinned(5)
    assert four.steps == 4 and four.alpha[-1] == levels.alpha[-1] and (four.timestep == levels.timestep[::5]).all()
    with pytest.raises(ValueError, match="stride = 3: takes a divisor of the 20 steps"):
        levels.thinned(3)


def test_students_come_nearer_to_the_paths_and_resume(teacher, tmp_path, capsys):
    settings = Settings(steps=24, batch=8, rate=5e-3, ema=0.5, warmup=1, weight_decay=0.0)
    done = students.train(tmp_path / "run", teacher, settings)
    assert done.step == 72
    said = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
    losses = [float(words[-1]) for words in said]           # two reports of each student
    assert all(last < first for first, last in zip(losses[::2], losses[1::2], strict=True))
    assert students.train(tmp_path / "run", teacher, settings).step == 72       # nothing is left to do
    own = PipelineModel.load(teacher)
    for count in students.STEPS:
        place = tmp_path / "run" / f"in-{count}" / "model"
        record = json.loads((place / "student.json").read_text())
        assert (record["steps"], record["teacher"]) == (count, own.fingerprint)
        assert PipelineModel.load(place).fingerprint != own.fingerprint
    (tmp_path / "run" / "paths.safetensors").write_bytes(b"none")
    with pytest.raises(ValueError, match="paths.safetensors: no 8 paths of this model; remove it to start anew"):
        students.train(tmp_path / "run", teacher, settings)


def test_the_door_finds_teachers_and_publishes_students(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(students, "SETTINGS", Settings(steps=1, batch=2, rate=1e-3))
    with pytest.raises(FileNotFoundError, match="no teacher; run `phasebook train transformer-b` first"):
        training.train("student-transformer-b", tmp_path)
    assert training.train("student-unet-a", tmp_path, start=teacher).step == 3
    place = training.publish("student-unet-a", tmp_path, tmp_path / "assets")
    assert place == tmp_path / "assets" / "icons-unet-a-in-1"
    assert sorted(p.name[-1] for p in (tmp_path / "assets").iterdir()) == ["1", "2", "4"]
