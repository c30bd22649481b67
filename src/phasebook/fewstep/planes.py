"""Teacher and students on the same planes of latents: what they foresee at each of their steps."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from phasebook.fewstep.students import END, Student
from phasebook.fewstep.targets import Target, denoised, flowed

__all__ = ["plane_latents", "student_foresees", "teacher_foresees", "teacher_levels"]

FAR = 10.0              # the teacher's first noise level, in units of the data's deviation


def plane_latents(dims: int, grid: int, planes: int, seed: int,
                  reach: float = 1.0) -> Float[ndarray, "planes g g dims"]:
    """Planes through three random latents each, `z_0 + alpha (z_1 - z_0) + beta (z_2 - z_0)` with alpha and beta from 0
    to `reach`, every point scaled to the norm `sqrt(dims)`."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((planes, 3, dims))
    at = np.linspace(0, reach, grid)
    a, b = at[:, None, None, None], at[None, :, None, None]
    flat = z[:, 0] + a * (z[:, 1] - z[:, 0]) + b * (z[:, 2] - z[:, 0])
    flat = flat / np.linalg.norm(flat, axis=-1, keepdims=True) * np.sqrt(dims)
    return flat.transpose(2, 0, 1, 3)


def teacher_levels(target: Target, steps: int, far: float = FAR) -> Float[ndarray, " steps"]:
    """Noise levels of the teacher, even in their logarithm, from `far` deviations of the data down to where
    students end."""
    end = END * np.sqrt(target.mixture.variances[0])
    return np.geomspace(far * target.deviation, end, steps)


def teacher_foresees(target: Target, z: Float[ndarray, "*b dims"], steps: int,
                     far: float = FAR) -> Float[ndarray, "steps *b dims"]:
    """The data that the exact denoiser foresees on the way, at each level of `teacher_levels`."""
    levels = teacher_levels(target, steps, far)
    y = flowed(target.mixture, z.reshape(-1, z.shape[-1]), levels)
    said = [denoised(target.mixture, one, s) for one, s in zip(y, levels, strict=True)]
    return np.stack(said).reshape(steps, *z.shape)


def student_foresees(student: Student, z: Float[ndarray, "s g g dims"], seed: int) -> Float[ndarray, "k s g g dims"]:
    """The data that each consistency student foresees at each of its steps on its own plane; the fresh noise of a step
    is one for the whole plane. ValueError for students of trajectories, whose steps before the last foresee none."""
    if student.steps > 1 and student.kind != "consistency":
        raise ValueError(f"student: taught {student.kind!r}, which answers with states; takes one taught 'consistency'")
    s, g = z.shape[:2]
    flat = torch.as_tensor(z, dtype=torch.float32).reshape(s, g * g, -1)
    extra = student.dims - flat.shape[-1]
    fresh = torch.randn((s, 1, extra), generator=torch.Generator().manual_seed(seed))
    said = student.answers(torch.cat([flat, fresh.expand(-1, g * g, -1)], -1))
    return torch.stack(said).numpy().astype(float).reshape(len(said), *z.shape)
