"""Edits: the exact model in Gram space against pixels, the law for two pictures, the statistics against SciPy."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from test_pipeline import build
from tokenizers import Tokenizer

from phasebook.edits import edit_statistics as statistics
from phasebook.edits.edit_inputs import check_edits, edit_images, read_picture
from phasebook.edits.editing import Pairs, edit, k_star, monotone, pick_pairs, round_trip, split_steps
from phasebook.edits.editors import ExactEditor, PipelineEditor
from phasebook.models.exact import ExactModel
from phasebook.models.image_sets import load_images
from phasebook.models.pipeline import PipelineModel
from phasebook.models.vocabulary import picture_size, unknown_word
from phasebook.sampling.samplers import ddim, ddim_step, levels, log_snr_levels
from phasebook.site.build import runner
from phasebook.site.chapters.parameters import ParameterError


@pytest.fixture(scope="module")
def images():
    return load_images("families", 16, ["faces", "hearts", "clocks"])


@pytest.fixture(scope="module")
def editor(images):
    return ExactEditor(ExactModel.of(images, dtype=torch.float64), levels("scaled_linear", 30))


def one(source, target, group=0):
    return Pairs((source,), (target,), ("across",), (group,))


# --- the exact model --------------------------------------------------------------------------------------------

def test_gram_space_is_pixel_space(editor, images):
    """The same edit by the plain sampler on pictures: start, prompt, inversion by a root finder, target prompt."""
    model, made = editor.model, editor.levels
    names = images.names[3], images.names[60]
    edits = edit(editor, one(*names), [12, 20], seed=4, iterations=30)
    target, plain = (model.encode_prompt(text, 12.0) for text in (names[1], ""))
    source = model.encode_prompt(names[0], 1e4)
    z = torch.randn(model.shape, generator=torch.Generator().manual_seed(4)).double()[None]
    go = lambda x, prior, start=0: list(ddim(lambda y, a, s: model.denoise(y, a, s, prior), x, made, start))[-1]  # noqa: E731
    last = go(z, source)
    x = ddim_step(last.x, last.x0, made.steps - 1, made)
    states = {}
    for k in range(made.steps - 1, 11, -1):
        y, at = x.clone(), (float(made.alpha[k]), float(made.sigma[k]))
        for _ in range(300):
            y = y + at[0] / made.alpha[k + 1] * (x - ddim_step(y, model.denoise(y, *at, plain), k, made))
        states[k] = x = y
    for column, k in enumerate((12, 20)):
        final = go(states[k], target, k).x0
        picture = model.decode(edits.pictures[0, column])
        expected = model.mean.view(model.shape) + final[0] / model.scale
        np.testing.assert_allclose(picture, expected.movedim(0, -1).clamp(0, 1).numpy(), atol=2e-4)


def test_distances_are_those_of_the_pictures(editor, images):
    names = images.names[3], images.names[60]
    found = edit(editor, one(*names), [0, 29], seed=4, iterations=4)
    gap = np.sqrt(((images.pixels[3] - images.pixels[60]) ** 2).mean())
    assert found.to_source[0, 0] == pytest.approx(gap, rel=1e-3) and found.to_target[0, 0] < 1e-3
    assert found.to_target[0, 1] == pytest.approx(gap, rel=1e-3) and found.moved[0, 1] < 1e-3
    assert found.success.tolist() == [[True, False]] and found.k_star.tolist() == [0]
    latent = np.linalg.norm((editor.model.atoms[3] - editor.model.atoms[60]).numpy()) / 768**0.5
    assert found.distance[0] == pytest.approx(latent * editor.levels.alpha[-1], rel=1e-2)


def test_the_exact_model_returns_from_every_step(editor, images):
    off, settled = round_trip(editor, list(images.names[:6]), 1, iterations=20)
    assert settled.mean() > 0.9 and off[settled].max() <= 1e-4
    assert round_trip(editor, list(images.names[:6]), 1, iterations=0)[0].max() > 10 * off[settled].max()


def test_a_whole_inversion_of_the_generic_prompt_returns_to_the_start(editor):
    starts = editor.starts([5, 6])
    made = editor.sample(starts, np.zeros(2, int), [None, None])
    done = editor.invert(made.state, [None, None], 30)
    assert done.converged.all()
    assert editor.apart(done.x[0], starts).max() < 1e-4


def test_an_edit_of_a_given_picture_starts_from_it(editor, images):
    states = editor.encode(images.pixels[10:11], seed=0)
    weights = editor.predict(states, 29)[:, len(images):]
    assert int(weights.argmax()) == 10
    given = {0: type(editor.sample(states, np.array([30]), [None]))(states[0], weights[0])}
    found = edit(editor, one(images.names[3], images.names[60]), [29], 4, 4, sources=given)
    np.testing.assert_allclose(editor.model.decode(found.pictures[0, 0]), images.pixels[10], atol=1e-3)


@pytest.mark.parametrize("bonus", [8.0, 12.0, 20.0])
def test_the_law_of_two_pictures_is_what_two_pictures_do(bonus):
    """Two atoms, starts whose noise has no share along their difference: the threshold is the constant's."""
    pixels = np.zeros((2, 8, 8, 3), np.float32)
    pixels[1, :, :4] = 1
    pair = SimpleNamespace(pixels=pixels, family=np.zeros(2, int), families=("f",), names=("a", "b"))
    model = ExactModel.of(pair, dtype=torch.float64)
    made = log_snr_levels(400, 30.0, 0.05)
    gap = float((model.atoms[1] - model.atoms[0]).norm())
    a, b = model.atoms @ model.atoms.T
    states = torch.cat([torch.as_tensor(made.alpha[:-1])[:, None] * a, torch.zeros(400, 2).double()], 1)
    final = ExactEditor(model, made, bonus).sample(states, np.arange(400), ["b"] * 400).picture
    works = (final[:, 1] > 0.5).numpy()
    edge = made.sigma_over_alpha[works.argmin() - 1:works.argmin() + 1].mean()
    assert monotone(works[None]).all() and works[0] and not works[-1]
    assert edge * np.sqrt(2 * bonus) / gap == pytest.approx(statistics.two_picture_constant(bonus), rel=0.01)


def test_noise_along_the_edit_is_that_of_the_state(editor, images):
    """Rebuilt in pixels: the inverted state less its picture, projected on the difference of the two pictures."""
    names, model = (images.names[3], images.names[60]), editor.model
    edits = edit(editor, one(*names), range(30), seed=4, iterations=20)
    k, z = int(edits.k_star[0]), torch.randn(model.shape, generator=torch.Generator().manual_seed(4)).double().flatten()
    state, n = edits.states[k, 0], len(images)
    # what the start still weighs follows from any one picture's product
    share = (state[:n] - model.gram @ state[n:]) @ (model.atoms @ z) / (model.atoms @ z).square().sum()
    x = share * z + state[n:] @ model.atoms
    dx = model.atoms[60] - model.atoms[3]
    g = (x - editor.levels.alpha[k] * model.atoms[3]) @ dx / (editor.levels.sigma[k] * dx.norm())
    assert editor.noise_along(edits)[0] == pytest.approx(float(g), abs=2e-3)


def test_even_odds_are_even():
    g, r = np.array([-1.5, 0.0, 2.0]), statistics.even_odds(12.0, np.array([-1.5, 0.0, 2.0]))
    np.testing.assert_allclose(12 - 0.5 / r**2 + g / r, 0, atol=1e-9)


def test_pairs_are_of_the_levels_they_say(images):
    pairs = pick_pairs(images, 31, 2)
    family = dict(zip(images.names, images.family, strict=True))
    assert len(pairs) == 31 and pairs == pick_pairs(images, 31, 2) != pick_pairs(images, 31, 3)
    for source, target, level, group in zip(*(getattr(pairs, k) for k in ("source", "target", "level", "group")),
                                            strict=True):
        assert source != target and (family[source] == family[target]) == (level == "within")
        assert pairs.source[2 * group] == source
    with pytest.raises(ValueError, match="two families"):
        pick_pairs(load_images("families", 8, ["hearts"]), 4, 0)


def test_k_star_is_the_largest_even_where_success_is_not_monotone():
    success = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 1, 1, 1]], bool)
    assert k_star(success, np.array([0, 3, 6, 9])).tolist() == [3, -1, 6, 9]
    assert monotone(success).tolist() == [True, True, False, False]


def test_split_steps_by_both_thresholds():
    apart = np.array([[0, 0.4, 0.9, 1.0], [0, 0.0, 0.1, 0.2], [0, 1.5, 3.0, 4.0]])
    assert split_steps(apart).tolist() == [2, 4, 1] and split_steps(apart, own=True).tolist() == [2, 3, 2]


# --- the trained model ------------------------------------------------------------------------------------------

def test_a_pipeline_is_edited_through_the_same_code(tmp_path):
    """With a random network nothing is shown, but every number can be computed again one picture at a time."""
    model = PipelineModel.load(build(tmp_path, "v_prediction"), batch=3)
    clip = SimpleNamespace(text=lambda texts: torch.eye(8)[[len(t) % 8 for t in texts]])

    class Clip:
        text = staticmethod(clip.text)

        def __call__(self, pixels):
            return pixels.flatten(1)[:, :8]

    editor = PipelineEditor(model, model.levels(6), Clip(), generic="red apple", guidance=2.0)
    pairs = Pairs(("cat face", "cat face", "green apple"), ("red apple", "green apple", "cat face"), ("across",) * 3,
                  (0, 0, 1))
    found = edit(editor, pairs, [0, 2, 5], seed=3, iterations=1)
    assert found.success.shape == (3, 3) and found.apart.shape == (3, 6) and found.words.shape == (3, 3)
    z = torch.randn(model.shape, generator=torch.Generator().manual_seed(4))[None]
    *_, last = model.sweep(z, editor.levels, model.encode_prompt("green apple", guidance=2.0))
    torch.testing.assert_close(found.source[2], last.x0[0], atol=1e-4, rtol=1e-3)
    from phasebook.sampling.inversion import invert
    back = invert(model, last.after, editor.levels, model.encode_prompt("red apple"), iterations=1,
                  tolerance=editor.tolerance)
    *_, final = model.sweep(back.x[2], editor.levels, model.encode_prompt("cat face", guidance=2.0), first=2)
    scale = float(final.x0.abs().max())
    torch.testing.assert_close(found.pictures[2, 1] / scale, final.x0[0] / scale, atol=1e-3, rtol=1e-3)
    assert found.moved[2, 1] == pytest.approx(
        np.sqrt(((model.decode(final.x0)[0] - model.decode(last.x0)[0]) ** 2).mean()), abs=1e-3)


def test_words_without_tokens_and_sizes_are_read_from_files(tmp_path):
    folder = build(tmp_path, "v_prediction")
    assert unknown_word(folder, "red apple") is None and unknown_word(folder, "red äpfel") == "äpfel"
    assert picture_size(folder) == 16
    file = folder / "tokenizer" / "tokenizer.json"
    padded = Tokenizer.from_file(str(file))
    padded.enable_padding(pad_id=padded.token_to_id("<|endoftext|>"), length=16)
    padded.save(str(file))
    assert unknown_word(folder, "red apple") is None and unknown_word(folder, "red äpfel") == "äpfel"


# --- statistics -------------------------------------------------------------------------------------------------

def test_rank_correlations_are_scipys():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=50), rng.normal(size=50)
    y = np.round(x + z + rng.normal(size=50))
    assert statistics.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    a, b, c = (stats.spearmanr(*pair).statistic for pair in ((x, y), (x, z), (y, z)))
    expected = (a - b * c) / np.sqrt((1 - b**2) * (1 - c**2))
    assert statistics.partial_spearman(x, y, z) == pytest.approx(expected)
    assert np.isnan(statistics.spearman(x, np.ones(50)))


def test_difference_at_equal_distance_sees_through_a_confounder():
    rng = np.random.default_rng(1)
    second = rng.random(400) < 0.5
    distance = second + rng.normal(size=400)
    y = 3 * distance + 0.5 * second + 0.01 * rng.normal(size=400)
    assert statistics.difference(y, second) == pytest.approx(y[second].mean() - y[~second].mean())
    assert statistics.difference(y, second, distance) == pytest.approx(0.5, abs=0.01)
    assert np.isnan(statistics.difference(y, np.ones(400, bool)))


def test_bootstrap_draws_sources_and_covers():
    rng = np.random.default_rng(2)
    shared, hits = rng.normal(size=(200, 40)), 0
    for row in shared[:60]:
        values, groups = np.repeat(row, 3), np.repeat(np.arange(40), 3)
        found = statistics.bootstrap(lambda i, v=values: v[i].mean(), groups, 0, draws=200)
        hits += found.low <= 0 <= found.high
    assert 51 <= hits <= 60                                        # drawing edits would cover about 74 %
    assert statistics.bootstrap(lambda i: np.nan, groups, 0) == (None, None, None)
    assert "95 % interval" in str(found) and str(statistics.bootstrap(np.mean, np.array([]), 0)) == "not measurable"


def test_thresholds_lie_between_steps():
    noise = np.array([8.0, 4.0, 1.0])
    np.testing.assert_allclose(statistics.thresholds(np.array([0, 1, 2]), noise), [32**0.5, 2, 1])


# --- what is refused --------------------------------------------------------------------------------------------

def parameters(**changes):
    own = {"image_set": "captioned", "resolution": 16, "source_prompt": "red apple", "target_prompt": "green apple",
           "source_image": "", "edits": [["eye", "cat face"]], "k_values": [], "steps": 10, "trained": "",
           "revision": "", "variant": "", "feature_trained": "emoji-clip", "pretrained": "", "prompt": "emoji",
           "negative_prompt": "", "k_values_trained": [0, 3], "steps_trained": 5, "trained_edits": [], "points": [],
           "expected_steps": []}
    return SimpleNamespace(**own | changes)


def test_good_parameters_pass_and_captioned_pictures_shrink():
    check_edits(parameters(source_prompt="cats", k_values=[0, 9]))
    small = edit_images("captioned", 16)
    assert small.pixels.shape[1:] == (16, 16, 3) and "snow-capped mountain" in small.names


@pytest.mark.parametrize("changes, message", [
    ({"source_prompt": ""}, "source_prompt = '': is empty; takes words"),
    ({"target_prompt": "  "}, "target_prompt = '': is empty"),
    ({"target_prompt": "Red apple"}, "target_prompt = 'Red apple': is the source's prompt"),
    ({"target_prompt": "quark soup"}, "target_prompt = 'quark soup': names no image"),
    ({"edits": [["eye", "quark"]]}, "edits = 'quark': names no image"),
    ({"k_values": [3, 10]}, "k_values = [3, 10]: takes rising steps from 0 to 9 (steps - 1)"),
    ({"k_values": [-1]}, "k_values = [-1]: takes rising steps"),
    ({"k_values": [4, 2]}, "k_values = [4, 2]: takes rising steps"),
    ({"resolution": 4}, "resolution = 4"),
    ({"image_set": "nowhere"}, "image_set = 'nowhere'"),
    ({"source_image": "/nowhere/a.png"}, "source_image = '/nowhere/a.png': no such file; takes a picture"),
])
def test_bad_parameters_are_one_line(changes, message):
    with pytest.raises(ValueError) as error:
        check_edits(parameters(**changes))
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_bad_pictures_are_one_line(tmp_path):
    from PIL import Image

    Image.new("RGB", (20, 16)).save(tmp_path / "wide.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    for name, message in (("wide.png", "20 x 16 pixels; takes 16 x 16 or 64 x 64"), ("broken.png", "cannot be read"),
                          (".", "cannot be read")):
        with pytest.raises(ValueError, match=message) as error:
            read_picture(str(tmp_path / name), [16, 64])
        assert "\n" not in str(error.value) and str(error.value).startswith("source_image = ")
    Image.new("RGBA", (16, 16), "red").save(tmp_path / "good.png")
    assert read_picture(str(tmp_path / "good.png"), [16]).tolist()[0][0] == [1, 0, 0]


def test_what_a_trained_model_cannot_hear_is_refused(tmp_path, monkeypatch):
    folder = build(tmp_path, "v_prediction")
    monkeypatch.setattr("phasebook.edits.edit_inputs.check_trained", lambda p: None)
    trained = {"trained": str(folder), "trained_edits": [["red apple", "cat face"]]}
    check_edits(parameters(**trained))
    for changes, message in [
        ({"trained_edits": [["red apple", "Katze für alle"]]}, "'für' is not in the vocabulary"),
        ({"prompt": "日本"}, "prompt = '日本': the word '日本' is not in the vocabulary"),
        ({"k_values_trained": [0, 5]}, "k_values_trained = [0, 5]: takes rising steps from 0 to 4 (steps_trained - 1)"),
        ({"points": [[0.5, 0.5], [0.1, 0.1]]}, "takes one (alpha, beta) for each of 1 edits"),
        ({"expected_steps": [3, 4]}, "takes one for each of 1 edits"),
    ]:
        with pytest.raises(ValueError) as error:
            check_edits(parameters(**trained | changes))
        assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("changes, message", [
    ({"target_prompt": ""}, "target_prompt = '': is empty"),
    ({"k_values": [50]}, "k_values = [50]: takes rising steps from 0 to 49 (steps - 1)"),
    ({"eta": 2.0}, "eta = 2.0"),
    ({"pairs": 1}, "pairs = 1"),
    ({"edits": [["eye"]]}, "edits[0] = ['eye']"),
    ({"log_prior": 0.0}, "log_prior = 0.0"),
    ({"fixed_point_iterations": -1}, "fixed_point_iterations = -1"),
    ({"trained": "no/such/place"}, "trained = 'no/such/place': no such directory"),
])
def test_the_chapter_refuses_before_it_runs(changes, message):
    with pytest.raises(ParameterError) as error:
        runner.check(runner.find_chapter("7"), {"trained": "", **changes})
    assert message in str(error.value) and "\n" not in str(error.value)


def test_neighbours_are_samples_of_near_starts(editor):
    pairs, pictures = editor.neighbours(12, 0.8, seed=50)
    assert len(pictures) == 2 * len(pairs) and 0 < len(pairs) <= 12
    model = editor.model
    one, other = (editor.starts([s]) for s in (50 + 0, 62 + 0))
    starts = torch.cat([one, np.cos(0.8) * one + np.sin(0.8) * other])
    ends = editor.sample(starts, np.zeros(2, int), [None, None]).picture.argmax(1).tolist()
    if ends[0] != ends[1]:
        assert (pairs.source[0], pairs.target[0]) == tuple(model.names[i] for i in ends)
    for i, (source, target) in enumerate(zip(pairs.source, pairs.target, strict=True)):
        assert source != target == model.names[int(pictures[len(pairs) + i].picture.argmax())]
    found = edit(editor, pairs, [0, 10, 20], 0, 8, sources=pictures)
    assert (found.k_star >= 0).mean() > 0.8
    expected = statistics.difference(found.needed, split_steps(found.apart) < np.median(split_steps(found.apart)))
    assert statistics.basins(found, 0)["basin"].value == pytest.approx(expected)


def test_references_are_the_datas_own_pictures():
    """Nearer to the data's picture than to the made one: the reference decides; unknown prompts have none."""
    data = edit_images("captioned", 8)

    class Clip:
        def __call__(self, pixels):
            return pixels.flatten(1)[:, :5] + 0.1

    editor = PipelineEditor(None, None, Clip(), data=data)
    found, = editor.references(["red apple", "eye"])
    rows = data.pixels[[data.names.index("red apple"), data.names.index("eye")]]
    expected = np.moveaxis(rows, -1, 1).reshape(2, -1)[:, :5] + 0.1
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5)
    assert editor.references(["red apple", "a green eyed cat"]) == []
