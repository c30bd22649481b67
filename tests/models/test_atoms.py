"""Blocks of a few rows give what whole arrays give."""

import numpy as np
import pytest
import torch

from phasebook.models import atoms


@pytest.mark.parametrize("at_once", [7, 100, 10**6])
def test_blocks_give_what_whole_arrays_give(monkeypatch, at_once):
    monkeypatch.setattr(atoms, "AT_ONCE", at_once)
    pixels = np.random.default_rng(0).random((11, 4, 4, 3)).astype(np.float32)
    found, mean, scale = atoms.centred_atoms(pixels, 5.0, "cpu", torch.float32)
    flat = pixels.astype(float).transpose(0, 3, 1, 2).reshape(11, -1)
    centred = flat - flat.mean(0)
    expected = 5 * centred / np.sqrt((centred**2).sum(1).mean())
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(mean + found[0] / scale, flat[0], atol=1e-6)
    np.testing.assert_allclose(atoms.gram_of(found), expected @ expected.T, atol=1e-5)
    z = torch.randn(3, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    np.testing.assert_allclose(atoms.products_with(found, z), z.numpy() @ found.double().numpy().T, atol=1e-12)
