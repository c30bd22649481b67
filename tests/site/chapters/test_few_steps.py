"""What the chapter on few steps refuses, and how it counts boundaries."""

import shutil
from dataclasses import replace
from typing import get_args

import jupytext
import numpy as np
import pytest

from phasebook.fewstep.students import distil, lessons
from phasebook.fewstep.targets import latents, named_target, of_pictures
from phasebook.models.assets import asset
from phasebook.site.chapters.few_steps import (
    Chapter,
    Kind,
    Name,
    formed,
    measured,
    pick_pictures,
    sharp,
    sooner,
    words,
    wrong_pictures,
)
from phasebook.site.checks import memory
from phasebook.site.checks.parameters import ParameterError
from phasebook.site.paths import root
from phasebook.site.results.claims import stated

(SOURCE,) = (root() / "notebooks").glob("*_few_steps.py")


def defaults():
    (cell,) = [c for c in jupytext.read(SOURCE).cells if "parameters" in c.metadata.get("tags", [])]
    values = {}
    exec(cell.source, {}, values)
    return values


def test_defaults_are_accepted_and_every_claim_is_made():
    Chapter.read(defaults())
    text = SOURCE.read_text(encoding="utf-8")
    assert [c for c in stated(SOURCE.stem) if f'"{c}"' not in text] == []


@pytest.mark.parametrize("changes, words", [
    ({"layers": ["icnn", "moe_hard"]}, "layers = .*takes a list with mlp"),
    ({"layers": ["mlp", "mlp"]}, "layers = .*takes each once"),
    ({"steps_student": [2, 4]}, r"steps_student = \[2, 4\]: takes a list of 1, 2 and 4 with 1"),
    ({"steps_student": [1, 3]}, r"steps_student = \[1, 3\]: takes"), ({"steps_student": [True, 4]}, "steps_student"),
    ({"steps_student": "[true, 4]"}, "steps_student"),
    ({"targets": ["two_disks"], "chained": ["eight"]}, "eight is not among targets"),
    ({"width": 12}, r"width = 12: the layers differ in size by more than 5%; takes one of \[19"),
    ({"targets": ["annulus"], "chained": []}, r"targets = \['annulus'\]: takes a list with one whose parts lie apart"),
    ({"budget": 3}, "budget = 3"), ({"paths": 1000}, "paths = 1000: takes a power of 2"),
    ({"temperature": 0.0}, "temperature = 0.0"), ({"temperature": 5e-324}, "temperature = 5e-324"),
    ({"reach": 1e300}, r"reach = 1e\+300"), ({"left_mass": 1e-300}, "left_mass = 1e-300"),
    ({"students": "/nowhere"}, "students = '/nowhere': holds no in-1/model"),
    ({"network": "no-such-model"}, "network = 'no-such-model'"),
])
def test_bad_values_are_one_line(changes, words):
    with pytest.raises(ParameterError, match=words) as refused:
        Chapter.read(defaults() | changes)
    assert "\n" not in str(refused.value)


def test_a_wall_is_cut_and_parts_two_phases():
    step = np.zeros((2, 1, 6, 6, 1))
    step[1, 0, :, 3:] = 1.0
    found = sharp(step, 0.5)
    assert found.phases.tolist() == [2]
    assert found.cut[:, 0] == pytest.approx([0.0, 0.1])         # 6 of 30 edges of one direction, none of the other


def test_boundaries_have_formed_where_half_of_the_last_is_there():
    cut = np.array([[0.0, 0.0], [0.1, 0.0], [0.2, 0.0], [0.2, 0.0]])
    assert formed(cut) == [0.25, None]
    assert sooner([0.5, 0.25, None], [0.25, None, 0.5]) == [0.25]


def test_each_seed_has_pictures_of_its_own():
    """The second number is that of a student who learnt the second draw of pictures alone."""
    p = Chapter.read(defaults() | {"pictures": 4, "seeds": 2, "budget": 8, "paths": 64, "width_emoji": 36})
    pixels = np.random.default_rng(0).random((30, 4, 4, 3))
    found = wrong_pictures(pixels, p, ["mlp", "potential_hard"])
    assert [len(found[name]) for name in found] == [2, 2]
    target = replace(of_pictures(pick_pictures(pixels, 4, p.seed + 1))[0], name="emoji 1")
    album, again = (lessons(target, latents(64, 3, p.seed + k)) for k in (4, 5))
    (student,) = distil("mlp", [album], 1, ("consistency",), weights=p.weights(emoji=True), seeds=1, budget=8,
                        temperature=p.temperature, seed=p.seed).values()
    said = student(again.states[0][None].float())[0].numpy()
    assert found["mlp"][1] == (target.near(said) != target.near(again.states[-1].numpy())).mean()


@pytest.fixture
def record(tmp_path):
    """The record of a student, as the trainer writes it."""
    shutil.copytree(asset("icons-unet-a-in-1"), tmp_path / "run" / "in-1" / "model")
    return tmp_path / "run" / "in-1" / "model" / "student.json"


@pytest.mark.parametrize("text", ["{", "[]", '{"teacher": "a", "prompt": ""}', '{"teacher": 1}',
                                  *(f'{{"teacher": "a", "prompt": "", "teacher_steps": {steps}}}'
                                    for steps in (100000, 4, 10, "true", "20.0", '"20"')), "[" * 9999])
def test_a_record_of_a_student_that_is_none_is_refused(record, text):
    own = {"students": str(record.parents[2])}
    Chapter.read(defaults() | own)
    record.write_text(text)
    with pytest.raises(ParameterError, match="students: .*student.json") as refused:
        Chapter.read(defaults() | own)
    assert "\n" not in str(refused.value)


def test_students_of_another_teacher_or_without_a_network_are_refused_before_anything_runs(record):
    """Of another teacher than `network`, or than one another; or a record that stands alone."""
    own, text = defaults() | {"students": str(record.parents[2])}, record.read_text()
    with pytest.raises(ParameterError, match="in-1/model had another teacher"):
        Chapter.read(own | {"network": "icons-unet-a-in-2"})
    other = record.parents[2] / "in-2" / "model"
    shutil.copytree(asset("icons-unet-a-in-2"), other)
    Chapter.read(own)
    (other / "student.json").write_text(text.replace('"teacher_steps": 20', '"teacher_steps": 8'))
    with pytest.raises(ParameterError, match="in-1/model had teacher_steps = 20, .*takes students of one teacher"):
        Chapter.read(own)
    shutil.rmtree(other)
    (record.parent / "model_index.json").unlink()
    with pytest.raises(ParameterError, match="students = .*model_index.json"):
        Chapter.read(own)


def test_planes_of_a_network_that_do_not_fit_are_refused(record, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 4e9)
    large = defaults() | {"network_planes": 200, "network_grid": 21}
    Chapter.read(large | {"network": "icons-unet-a-in-1"})     # of which there is no student: no planes
    with pytest.raises(ParameterError, match="network_planes, network_grid, starts = 200, 21, .* GB of memory"):
        Chapter.read(large | {"students": str(record.parents[2])})



def test_words_for_every_layer_and_target():
    told_of = [words(name) for name in (*get_args(Kind), *get_args(Name))]
    assert len(set(told_of)) == 10 and not any("_" in one for one in told_of)


def test_what_is_said_of_four_steps_is_asked_of_four():
    """With other steps these claims are not tested, rather than tested on something else."""
    text = SOURCE.read_text(encoding="utf-8")
    assert "max(p.steps_emoji)].cut" not in text and "max(p.steps_student)" not in text
    assert Chapter.read(defaults() | {"steps_student": [4, 1]}).steps_emoji == [1, 4]


@pytest.mark.parametrize("layer", ["mlp", "potential_hard"])
def test_a_layer_that_jumps_has_no_constant_and_is_not_asked_for_one(layer):
    lesson = lessons(named_target("two_disks"), latents(64, 2, 0))
    (student,) = distil(layer, [lesson], 1, weights=60, seeds=2, budget=0, temperature=0.1).values()
    z, ends = latents(64, 2, 1), lesson.states[-1].numpy().astype(float)
    row = measured(student, z, ends, 2)
    assert (row.constant is None) is (not row.bound) is student.jumps is (layer == "potential_hard")
    assert measured(student, z, ends, 2, climb=False).constant is None
