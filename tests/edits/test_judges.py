"""Judges: distances through a Gram matrix and in plain coordinates, known pictures, words."""

import numpy as np
import pytest
import torch

from phasebook.edits.judges import Judge, apart, picked
from phasebook.sampling.features import OfPixels
from phasebook.sampling.protocols import Embedding, Frame


def test_distances_through_the_gram_matrix_are_those_of_pixels(exact, images):
    rows = torch.tensor([3, 7, 60])
    a, b = picked(exact.judge.known, rows), picked(exact.judge.known, rows.flip(0))
    found = apart(a, b) * exact.judge.feature.unit
    pixels = images.pixels[rows.numpy()].reshape(3, -1)
    expected = np.sqrt(((pixels - pixels[::-1]) ** 2).mean(1))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_the_nearer_of_made_and_known_picture_decides():
    known = Embedding(*[torch.tensor([[0.0, 0.0], [4.0, 0.0]])] * 2)
    judge = Judge(OfPixels(torch.flatten), ("zero", "four"), known)
    pictures, made = (Embedding(*[torch.tensor(x)] * 2) for x in ([[3.0, 0.0]] * 2, [[9.0, 0.0], [2.5, 0.0]]))
    assert judge.nearness(pictures, made, ["four", "four"]).tolist() == [1.0, 0.5]
    assert judge.nearness(pictures, made, ["four", "unknown"]).tolist() == [6.0, 0.5]
    assert judge.recognise(pictures).tolist() == [1, 1] and judge.preference(pictures, ["a"], ["b"]) is None
    with pytest.raises(ValueError, match="knows no pictures"):
        Judge(judge.feature).recognise(pictures)


def test_recognition_is_brute_force(exact):
    x = torch.rand(5, len(exact.model.atoms), generator=torch.Generator().manual_seed(0)).double().softmax(1)
    state = torch.cat([x @ exact.model.gram, x], 1)
    found = exact.judge.recognise(exact.judge.embed(Frame(exact.model, 29, state)))
    assert found.tolist() == torch.cdist(x @ exact.model.atoms, exact.model.atoms).argmin(1).tolist()


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_recognition_does_not_depend_on_the_origin(offset):
    """In float32, where products of points far away have no digit of their distances left."""
    draw = torch.Generator().manual_seed(0)
    known = torch.randn(50, 8, generator=draw) + offset
    pictures = known + 0.2 * torch.randn(50, 8, generator=draw)
    judge = Judge(OfPixels(torch.flatten), tuple(map(str, range(50))), Embedding(known, known))
    nearest = (pictures[:, None].double() - known).norm(dim=-1).argmin(1)
    assert judge.recognise(Embedding(pictures, pictures)).tolist() == nearest.tolist()


def test_words_that_suit_better_are_preferred(worded):
    dark, light = (torch.full((1, 3, 4, 4), v).double() for v in (0.1, 0.9))
    pictures = worded.judge.embed(Frame(worded.model, 11, torch.cat([dark, light])))
    said = worded.judge.preference(pictures, ["dark", "dark"], ["light", "light"])
    assert said[0] < 0 < said[1] and said[1] == pytest.approx(1 - np.cos(0.8), abs=1e-6)
