"""What students are taught, that they learn it, and how their steps compose."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from phasebook.fewstep.layers import LAYERS
from phasebook.fewstep.students import distil, fresh_noise, lessons, levels_of
from phasebook.fewstep.targets import latents, named_target
from tests.builders import refuses

LESSON = lessons(named_target("two_disks"), latents(256, 2, 0))
OTHER = lessons(named_target("eight"), latents(256, 2, 0))
SMALL = {"weights": 200, "seeds": 2, "budget": 60, "temperature": 0.2}


def test_states_have_unit_variance_until_the_data():
    assert torch.allclose(LESSON.states[:-1].square().mean((1, 2)), torch.ones(4), atol=0.08)
    assert LESSON.target.masses(LESSON.states[-1].numpy()).sum() > 0.99


def test_trajectories_chain_and_consistency_aims_at_the_end():
    chain, aims = LESSON.pairs(4, "trajectory"), LESSON.pairs(4, "consistency")
    assert all(torch.equal(a[1], b[0]) for a, b in zip(chain, chain[1:], strict=False))
    assert all(torch.equal(end, LESSON.states[-1]) for _, end in aims)
    with pytest.raises(ValueError, match="steps = 3"):
        levels_of(3)


@pytest.mark.parametrize("layer", ["mlp", "potential_hard", "icnn"])
def test_training_comes_nearer_to_the_teacher(layer):
    def error(budget):
        student = distil(layer, [LESSON], 1, **SMALL | {"budget": budget})["two_disks", "trajectory"]
        return float(((student(LESSON.states[:1]) - LESSON.states[-1])**2).mean())
    assert error(120) < 0.7 * error(1)


def test_the_same_seed_gives_the_same_students_and_seeds_differ():
    a, b = (distil("mlp", [LESSON], 1, **SMALL)["two_disks", "trajectory"](LESSON.states[:1]) for _ in range(2))
    assert torch.equal(a, b) and not torch.allclose(a[0], a[1], atol=1e-3)


def test_steps_compose_as_the_sampler_says():
    students = distil("mlp", [LESSON], 2, **SMALL)
    z = torch.randn((1, 5, 4), generator=torch.Generator().manual_seed(0))
    flow, jump = students["two_disks", "trajectory"], students["two_disks", "consistency"]
    assert (flow.dims, jump.dims) == (2, 4) and flow.size == pytest.approx(200, rel=0.1)
    both = z.expand(2, -1, -1)
    assert torch.allclose(flow(z[..., :2]), flow.layers[1](flow.layers[0](both[..., :2])).detach(), atol=1e-6)
    d = LESSON.target.deviation
    noisy = (jump.layers[0](both[..., :2]) + 0.6 * d * both[..., 2:]) / np.sqrt(d**2 + (0.6 * d)**2)
    assert torch.allclose(jump(z), jump.layers[1](noisy).detach(), atol=1e-5)
    assert torch.allclose(jump.only([1])(z)[0], jump(z)[1], atol=1e-6)


@pytest.mark.parametrize("layer", ["mlp", "potential_hard"])
def test_what_a_student_is_does_not_depend_on_which_other_targets_are_learnt(layer):
    small = SMALL | {"budget": 8}
    alone = distil(layer, [LESSON], 1, **small)["two_disks", "trajectory"]
    both = distil(layer, [OTHER, LESSON], 1, **small)["two_disks", "trajectory"]
    assert torch.allclose(alone(LESSON.states[:1]), both(LESSON.states[:1]), atol=1e-4)


def test_layers_learn_from_the_same_batches_and_soft_ones_begin_as_hard_ones(monkeypatch):
    given = {}
    for layer in ("mlp", "potential_hard", "moe_soft"):
        rows = given.setdefault(layer, [])
        kind, own = LAYERS[layer], LAYERS[layer].loss

        def loss(self, x, y, progress, own=own, rows=rows):
            rows.append(x)
            return own(self, x, y, progress)

        monkeypatch.setattr(kind, "loss", loss)
        distil(layer, [LESSON], 2, **SMALL | {"budget": 6})
        monkeypatch.undo()
    first, *others = (torch.stack(rows) for rows in given.values())
    assert len(first) == 3 and all(torch.equal(first, other) for other in others)      # six updates for two layers
    assert not torch.equal(first[:, 0], first[:, 1])            # and seeds differ
    soft, hard = (distil(f"potential_{name}", [LESSON], 1, **SMALL | {"budget": 0})["two_disks", "trajectory"]
                  for name in ("soft", "hard"))
    assert torch.equal(soft.layers[0].weights["a"], hard.layers[0].weights["a"])


def test_the_part_of_fresh_noise_is_that_of_the_sampler():
    (part,) = fresh_noise(2)
    assert part**2 / (1 - part**2) == pytest.approx(0.6**2)


@pytest.mark.parametrize("wrong, words", [
    ({"layer": "cnn"}, "layer = 'cnn': takes one of mlp, moe_soft"), ({"taught": []}, "taught: no lesson"),
    ({"kinds": ["copy"]}, "kinds = ['copy']: takes a list of trajectory, consistency"),     # was taught consistency
    ({"kinds": "trajectory"}, "kinds = 'trajectory': takes a list"), ({"kinds": []}, "kinds = []"),
    ({"temperature": 0.0}, "temperature = 0.0: takes a positive number"), ({"seeds": 0}, "seeds = 0: takes a whole"),
    ({"budget": -1}, "budget = -1: takes a whole number >= 0"), ({"weights": 2.5}, "weights = 2.5"),
    ({"steps": 3}, "steps = 3: takes 1, 2 or 4"),
    ({"taught": [LESSON, replace(OTHER, target=LESSON.target)]}, "taught: targets ['two_disks', 'two_disks'], paths"),
    ({"taught": [LESSON, replace(OTHER, states=OTHER.states[:, :9])]}, "paths [(256, 2), (9, 2)]; takes different"),
])
def test_what_is_no_student_is_refused(wrong, words):
    usual = SMALL | {"layer": "mlp", "taught": [LESSON], "steps": 2, "budget": 0}
    refuses(lambda: distil(**usual | wrong), words)
