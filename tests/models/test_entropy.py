"""Entropies of the posterior, against quadrature and their limits."""

import numpy as np
import pytest
import torch

from phasebook.models.entropy import entropy, half_level, membership, sampled_entropies
from phasebook.models.exact import ExactModel
from tests.builders import images, refuses


def test_entropies_have_the_right_ends_and_order():
    wide = ExactModel.of(images(), dtype=torch.float64)
    labels = {"atom": np.arange(12), "family": wide.family}
    ratios = np.geomspace(200, 0.05, 25)
    sampled = sampled_entropies(wide.gram, ratios, labels, 400, seed=0)
    found = {name: values.mean(1) for name, values in sampled.values.items()}
    assert found["atom"][0] == pytest.approx(np.log(12), abs=0.02) and found["atom"][-1] < 1e-3
    assert found["family"][0] == pytest.approx(np.log(3), abs=0.02)
    assert (found["family"] <= found["atom"] + 1e-9).all()
    family, atom = half_level(ratios, found["family"], np.log(3)), half_level(ratios, found["atom"], np.log(12))
    assert family > atom > 0
    assert half_level(ratios, np.zeros(25), 0.0) is None


def test_two_atoms_entropy_against_quadrature():
    """Two atoms at distance d: H(I | x) is an integral over one Gaussian variable."""
    d, ratio = 3.0, 2.0
    gram = torch.tensor([[d**2 / 4, -(d**2) / 4], [-(d**2) / 4, d**2 / 4]], dtype=torch.float64)
    found = sampled_entropies(gram, np.array([ratio]), {"atom": np.arange(2)}, 200_000, seed=1).values["atom"].mean()
    x, w = np.polynomial.hermite_e.hermegauss(80)
    p = 1 / (1 + np.exp(-((d / ratio) ** 2 / 2 + d / ratio * x)))
    h = -(p * np.log(p) + (1 - p) * np.log1p(-p))
    assert found == pytest.approx((w * h).sum() / w.sum(), abs=3e-3)


def test_entropy_of_uniform_and_grouped():
    p = torch.full((4,), 0.25)
    assert float(entropy(p)) == pytest.approx(np.log(4))
    assert float(entropy(p @ membership(np.array([0, 0, 1, 1])))) == pytest.approx(np.log(2))
    assert float(entropy(torch.tensor([1.0, 0.0]))) == 0


@pytest.mark.parametrize("change, words", [
    ({"ratios": [1.0, 0.0]}, "ratios = [1.0, 0.0]: takes noise levels > 0"), ({"ratios": []}, "ratios = []"),
    ({"ratios": [np.nan]}, "ratios: NaN or Inf"), ({"ratios": [-1.0]}, "ratios = [-1.0]"),
    ({"samples": 0}, "samples = 0: takes a whole number >= 1"),
    ({"labelings": {"half": np.zeros(2, dtype=int)}}, "labelings: 'half' has 2; takes one for each of 4 atoms"),
])
def test_what_has_no_posterior_is_refused(change, words):
    usual = {"gram": np.eye(4), "ratios": [1.0], "labelings": {"atom": np.arange(4)}, "samples": 5, "seed": 0}
    assert sampled_entropies(**usual).values["atom"].shape == (1, 5)
    refuses(lambda: sampled_entropies(**usual | change), words)


def test_samples_left_over_come_from_any_atom():
    x = torch.as_tensor(np.random.default_rng(0).standard_normal((40, 3)))
    drawn = [sampled_entropies(x @ x.T, np.ones(1), {"atom": np.arange(40)}, 60, k).origin for k in range(40)]
    counts = np.bincount(np.concatenate(drawn), minlength=40)
    assert counts[:20].sum() == pytest.approx(counts[20:].sum(), rel=0.1)
