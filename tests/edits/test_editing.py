"""Edits: the exact model in Gram space against pixels, a Gaussian model against its closed form."""

import numpy as np
import pytest
import torch

from phasebook.edits.editing import edit, k_star, make, monotone, round_trip
from phasebook.edits.pairs import EditPairs, pick_pairs
from phasebook.sampling.samplers import Resumed
from tests.builders import refuses

CERTAIN = 1000.0


def one(source, target):
    return EditPairs((source,), (target,), ("across",), (0,))


def edited(exact, pairs, k_values, seed=4, iterations=20, **options):
    made = make(exact.model, pairs, levels=exact.levels, guidance=CERTAIN, seed=seed)
    return edit(exact.model, exact.judge, pairs, k_values, made, levels=exact.levels, iterations=iterations,
                tolerance=1e-8, **options)


def ddim(model, levels, x, first, last, prompt=None):
    """In pixel space: states at level `last` and the last prediction."""
    for k in range(first, last):
        alpha, sigma = levels.alpha[k], levels.sigma[k]
        x0 = model.denoise(x, alpha, sigma, prompt)
        x = levels.alpha[k + 1] * x0 + levels.sigma[k + 1] * (x - alpha * x0) / sigma
    return x, x0


def test_gram_space_is_pixel_space(exact, images):
    """The same edit on pictures: start, prompt, inversion by plain iteration, target prompt."""
    model, levels = exact.model, exact.levels
    names = images.names[3], images.names[60]
    edits = edited(exact, one(*names), [12, 20], iterations=30)
    z = torch.randn(model.shape, generator=torch.Generator().manual_seed(4)).double()[None]
    x, _ = ddim(model, levels, z, 0, 30, model.prompt(names[0], CERTAIN))
    states = {}
    for k in range(29, 11, -1):
        y = x.clone()
        for _ in range(300):
            y = y + levels.alpha[k] / levels.alpha[k + 1] * (x - ddim(model, levels, y, k, k + 1)[0])
        states[k] = x = y
    for column, k in enumerate((12, 20)):
        _, final = ddim(model, levels, states[k], k, 30, model.prompt(names[1]))
        expected = model.mean.view(model.shape) + final[0] / model.scale
        picture = model.decode(edits.pictures[0, column][None])[0]
        np.testing.assert_allclose(picture, expected.clamp(0, 1), atol=2e-4)


def test_distances_are_those_of_the_pictures(exact, images):
    names = images.names[3], images.names[60]
    found = edited(exact, one(*names), [0, 29])
    gap = np.sqrt(((images.pixels[3] - images.pixels[60]) ** 2).mean())
    assert found.to_source[0, 0] == pytest.approx(gap, rel=1e-3) and found.to_target[0, 0] < 1e-3
    assert found.to_target[0, 1] == pytest.approx(gap, rel=1e-3) and found.moved[0, 1] < 1e-3
    assert found.success.tolist() == [[True, False]] and found.k_star.tolist() == [0] and found.needed.tolist() == [1]
    latent = np.linalg.norm((exact.model.atoms[3] - exact.model.atoms[60]).numpy()) / 768**0.5
    assert found.distance[0] == pytest.approx(latent * exact.levels.alpha[-1], rel=1e-2)
    # the predictions part on the way: near at the noisy end, as far apart as the pictures at the clean one
    assert found.parting[0, 0] < 0.3 * latent and found.parting[0, -1] == pytest.approx(latent, rel=0.01)


def test_the_exact_model_returns_from_every_step(exact):
    for prompt in (None, exact.model.prompt(list(exact.model.names[:6]))):
        off, settled = round_trip(exact.model, prompt, 6, levels=exact.levels, seed=1, tolerance=1e-8)
        assert settled.mean() > 0.9 and off[settled].max() <= 1e-9
    rough, none = round_trip(exact.model, None, 6, levels=exact.levels, seed=1, iterations=0)
    assert not none.any() and rough.max() > 1e-6


def test_edits_of_one_source_share_its_picture(exact, images):
    pairs = pick_pairs(images.pixels, images.names, images.family, 6, 0)
    made = make(exact.model, pairs, levels=exact.levels, guidance=CERTAIN, seed=9)
    for row, name in enumerate([*pairs.source, *pairs.target]):
        assert int(exact.model.weights(made.x0[row]).argmax()) == images.names.index(name)
    assert torch.equal(made.x[0], made.x[1]) and not torch.equal(made.x[0], made.x[2])
    together = edit(exact.model, exact.judge, pairs, [5, 15], made, levels=exact.levels, tolerance=1e-8)
    alone = EditPairs(*((v[3],) for v in (pairs.source, pairs.target, pairs.level, pairs.group)))
    only = Resumed(made.x[[3, 9]], made.x0[[3, 9]])
    single = edit(exact.model, exact.judge, alone, [5, 15], only, levels=exact.levels, tolerance=1e-8)
    np.testing.assert_allclose(together.to_target[3], single.to_target[0], atol=1e-6)
    np.testing.assert_allclose(together.parting[3], single.parting[0], atol=1e-6)
    sources = edit(exact.model, exact.judge, pairs, [5, 15], made, levels=exact.levels, tolerance=1e-8, parting=False)
    assert sources.parting is None and np.array_equal(sources.converged, together.converged)
    np.testing.assert_allclose(sources.to_target, together.to_target, atol=1e-6)


@pytest.mark.parametrize("k_values, words", [
    ([], "k_values: no step"), ([0.7, 4.2], "k_values = 0.7"), ([-1], "k_values = -1"), ([31], "k_values = 31"),
    ([9, 3], r"k_values = \[9, 3\]: takes rising steps"), ([3, 3], r"k_values = \[3, 3\]: takes rising"),
])
def test_steps_that_are_none_are_refused(exact, images, k_values, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        edited(exact, one(*images.names[:2]), k_values)


@pytest.mark.parametrize("change, words", [
    ({"k_values": 3}, "k_values = 3: takes rising steps from 0 to 30"), ({"judge": "x"}, "judge = 'x': takes a Judge"),
    ({"made": torch.zeros(2, 3)}, "made: a Tensor; takes what make gives, two states for each of 1 edits"),
    ({"made": Resumed(torch.zeros(3, 2), torch.zeros(3, 2))}, "made: a Resumed; takes what make gives"),
    ({"pairs": [("a", "b")]}, "pairs = [('a', 'b')]: takes edits"), ({"model": "x"}, "model: a str; takes a model"),
    ({"parting": "x"}, "parting = 'x': takes True or False"),
])
def test_what_is_no_edit_is_refused_in_one_line(exact, images, change, words):
    usual = {"model": exact.model, "judge": exact.judge, "pairs": one(*images.names[:2]), "k_values": [3], "made": None}
    refuses(lambda: edit(*(usual | change).values(), levels=exact.levels) if "parting" not in change else
            edit(*(usual | {"made": Resumed(torch.zeros(2, 1), torch.zeros(2, 1))}).values(), levels=exact.levels,
                 **change), words)


@pytest.mark.parametrize("starts, words", [
    ("x", "starts: a str; takes states, one for each of 1 edits"), (torch.zeros(2, 2), "starts: shape (2, 2); takes"),
    (torch.zeros(1, 2), "x: float32 of shape (2, 2); this model takes states"),
])
def test_starts_that_are_none_are_refused(exact, images, starts, words):
    refuses(lambda: make(exact.model, one(*images.names[:2]), levels=exact.levels, guidance=1.0, starts=starts), words)


def test_starts_are_those_of_the_seed_or_given(exact, images):
    names = images.names[3], images.names[60]
    own = make(exact.model, one(*names), levels=exact.levels, guidance=1.0, seed=4)
    z = torch.randn(exact.model.shape, generator=torch.Generator().manual_seed(4)).numpy()[None]
    given = make(exact.model, one(*names), levels=exact.levels, guidance=1.0, starts=exact.model.start(z))
    assert torch.equal(own.x, given.x)


def test_a_gaussian_model_is_edited_as_its_closed_form_says(worded):
    """Every step is linear, so each number can be computed again by plain multiplication."""
    model, levels = worded.model, worded.levels
    pairs = one("dark", "light")
    made = make(model, pairs, levels=levels, guidance=1.0, seed=3)
    found = edit(model, worded.judge, pairs, [0, 6, 11], made, levels=levels, generic=model.prompt("emoji"),
                 iterations=30, tolerance=1e-12)

    def run(x, first, mean):
        for k in range(first, 12):
            a, s = levels.alpha[k], levels.sigma[k]
            x0 = mean + a * 0.01 / (a**2 * 0.01 + s**2) * (x - a * mean)
            x = levels.alpha[k + 1] * x0 + levels.sigma[k + 1] * (x - a * x0) / s
        return x, x0

    def back(x, last, mean):
        """Each step is `x' = slope x + offset`."""
        for k in range(11, last - 1, -1):
            a, s, a1, s1 = levels.alpha[k], levels.sigma[k], levels.alpha[k + 1], levels.sigma[k + 1]
            shrink = a * 0.01 / (a**2 * 0.01 + s**2)
            slope = s1 / s + (a1 - s1 * a / s) * shrink
            x = (x - (a1 - s1 * a / s) * mean * (1 - shrink * a)) / slope
        return x

    z = torch.randn(model.shape, generator=torch.Generator().manual_seed(3)).double().numpy()
    source, picture = run(z, 0, 0.1)
    np.testing.assert_allclose(found.source[0], picture, atol=1e-9)
    for column, k in enumerate((0, 6, 11)):
        _, final = run(back(source, k, 0.5), k, 0.9)
        np.testing.assert_allclose(found.pictures[0, column], final, atol=1e-8)
    assert found.converged.all()
    assert found.preference[0, 0] > 0 > found.preference[0, 2]


def test_noise_of_a_step_is_shared_by_all_k(worded):
    """With eta = 1 two edits of one source differ in where they start alone, so from the same state they agree."""
    model, levels = worded.model, worded.levels
    made = make(model, one("dark", "light"), levels=levels, guidance=1.0)
    runs = [edit(model, worded.judge, one("dark", "light"), [4], made, levels=levels, eta=1.0, seed=seed,
                 iterations=5).pictures for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1]) and not torch.allclose(runs[0], runs[2])


def test_k_star_is_the_largest_even_where_success_is_not_monotone():
    success = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 1, 1, 1]], bool)
    assert k_star(success, np.array([0, 3, 6, 9])).tolist() == [3, -1, 6, 9]
    assert monotone(success).tolist() == [True, True, False, False]
