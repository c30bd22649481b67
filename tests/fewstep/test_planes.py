"""Planes of latents, and what is foreseen on them."""

import numpy as np
import pytest
import torch

from phasebook.fewstep.planes import plane_latents, student_foresees, teacher_foresees, teacher_levels
from phasebook.fewstep.students import distil, lessons
from phasebook.fewstep.targets import denoised, flowed, latents, named_target
from tests.builders import refuses

TARGET = named_target("two_disks")


def test_planes_are_flat_before_they_are_scaled():
    z = plane_latents(6, 5, 2, 0)
    assert z.shape == (2, 5, 5, 6) and np.allclose(np.linalg.norm(z, axis=-1), 6**0.5)
    assert np.linalg.matrix_rank(z[0].reshape(-1, 6), tol=1e-9) == 3


def test_the_teacher_foresees_the_mean_first_and_its_own_end_last():
    z = plane_latents(2, 4, 1, 0)
    said = teacher_foresees(TARGET, z, 6)
    assert np.abs(said[0]).max() < 0.3
    levels = teacher_levels(TARGET, 6)
    assert teacher_levels(TARGET, 6, 5)[[0, -1]] == pytest.approx([levels[0] / 2, levels[-1]])
    y = flowed(TARGET.mixture, z.reshape(-1, 2), levels[-1:])[0]
    assert np.abs(said[-1].reshape(-1, 2) - denoised(TARGET.mixture, y, levels[-1])).max() < 2e-3


def test_fresh_noise_is_one_for_a_plane():
    lesson = lessons(TARGET, latents(128, 2, 0))
    student = distil("mlp", [lesson], 2, ("consistency",), weights=100, seeds=2, budget=5,
                     temperature=1.0)["two_disks", "consistency"]
    z = np.zeros((2, 3, 3, 2))
    said = student_foresees(student, z, 0)
    assert said.shape == (2, 2, 3, 3, 2) and np.ptp(said, axis=(2, 3)).max() < 1e-6
    again = student.layers[0](torch.zeros(2, 1, 2)).detach().numpy()
    assert np.allclose(said[0, :, 0, 0], again[:, 0], atol=1e-5)


def test_students_of_trajectories_foresee_nothing_before_they_end():
    students = distil("mlp", [lessons(TARGET, latents(128, 2, 0))], 2, ("trajectory",), weights=100, seeds=2, budget=0,
                      temperature=1.0)
    refuses(lambda: student_foresees(students["two_disks", "trajectory"], np.zeros((2, 3, 3, 2)), 0),
            "student: taught 'trajectory', which answers with states; takes one taught 'consistency'")
