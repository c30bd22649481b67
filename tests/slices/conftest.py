"""A small exact model that the tests of slices share."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.models.exact import ExactModel


def small_images(n=20, size=8, families=4, seed=2):
    rng = np.random.default_rng(seed)
    family = np.arange(n) % families
    pixels = 0.6 * rng.random((families, size, size, 3))[family] + 0.4 * rng.random((n, size, size, 3))
    return SimpleNamespace(pixels=pixels, family=family, names=tuple(map(str, range(n))), families=tuple("abcd"))


@pytest.fixture(scope="session")
def small():
    """Twenty pictures of 8 x 8 in four families, float32."""
    return ExactModel.of(small_images())


@pytest.fixture(scope="session")
def wide():
    """The same in float64."""
    return ExactModel.of(small_images(), dtype=torch.float64)
