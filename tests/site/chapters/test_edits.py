"""What the chapter on edits refuses before it runs, one line each, and how its rows are laid out."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from phasebook.edits.pairs import listed
from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.site.build import runner
from phasebook.site.chapters.edits import edit_rows, judge_for, needs_panels, pair_rows, with_source
from phasebook.site.checks.models import Subject
from phasebook.site.checks.parameters import ParameterError

EXACT = {"models": ["exact"], "steps": 16, "k_values": [], "pairs": 4, "neighbours": 4, "nearness": 0.1, "halvings": 1,
         "guidance": 1.0, "source_guidance": 1000.0, "iterations": 3, "tolerance": 1e-6, "resolution": 16}


def check(**changes):
    runner.check(runner.find_chapter("17"), EXACT | changes)


def test_good_parameters_pass(tmp_path):
    check()
    check(edits=[["cats", "Red Apple"]], k_values=[0, 9], points=[[0.5, 0.5]])
    Image.new("RGB", (16, 16)).save(tmp_path / "black.png")
    check(source_image=str(tmp_path / "black.png"))


@pytest.mark.parametrize("changes, message", [
    ({"edits": [["", "eye"]]}, "edits[0] = ['', 'eye']: an empty text"),
    ({"edits": [["eye", " "]]}, "edits[0] = ['eye', ' ']: an empty text"),
    ({"edits": [["eye", "Eye "]]}, "edits[0] = ['eye', 'Eye ']: the target is the source"),
    ({"edits": [["eye", "quark soup"]]}, "edits[0] = 'quark soup': names no image"),
    ({"edits": [["eye"]]}, "edits[0] = ['eye']"),
    ({"edits": []}, "edits = []"),
    ({"k_values": [3, 16]}, "k_values = [3, 16]: takes rising steps from 0 to 15 (steps - 1)"),
    ({"k_values": [4, 2]}, "k_values = [4, 2]: takes rising steps"),
    ({"k_values": [-1]}, "k_values = [-1]: takes rising steps"),
    ({"k_values": [[0], [1]]}, "k_values = [[0], [1]]: takes one list of steps, or one for each of 1 models"),
    ({"steps": [16, 4]}, "steps = [16, 4]: takes one value, or one for each of 1 models"),
    ({"resolution": 4}, "resolution = 4"),
    ({"image_set": "nowhere"}, "image_set = 'nowhere'"),
    ({"eta": 2.0}, "eta = 2.0"),
    ({"log_prior": 0.0}, "log_prior = 0.0"),
    ({"iterations": -1}, "iterations = -1"),
    ({"points": [[0.5, 0.5], [0.1, 0.1]]}, "takes one (alpha, beta) for each of 1 edits"),
    ({"points": [[0.5, 0.5]], "anchors": "/nowhere.npy"}, "anchors = '/nowhere.npy': no such file"),
    ({"points": [[1e300, 0.5]]}, "points[0][0] = 1e+300"),
    ({"points": [[0.5, -1e7]]}, "points[0][1] = -10000000.0"),
    ({"source_image": "/nowhere/a.png"}, "source_image = '/nowhere/a.png': no such file; takes a picture"),
    ({"models": ["no/such/place"]}, "models = 'no/such/place': no such directory"),
])
def test_bad_parameters_are_one_line(changes, message):
    with pytest.raises(ParameterError) as error:
        check(**{"points": [], "edits": [["eye", "cat face"]]} | changes)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_words_that_a_network_has_no_tokens_for_are_refused():
    network = {"models": ["icons-unet-a"], "guidance": 5.0}
    with pytest.raises(ParameterError, match="the word '日本' is not in the vocabulary of icons-unet-a"):
        check(**network, edits=[["eye", "日本"]])
    with pytest.raises(ParameterError, match="prompt = '日本'"):
        check(**network, prompt="日本")


@pytest.fixture(scope="module")
def case():
    images = load_images("families", 16, ["hearts", "clocks"])
    model = ExactModel.of(images, dtype=torch.float64)
    subject = Subject("exact", model, model.levels(16), None, model.features, images)
    return SimpleNamespace(images=images, subject=subject, judge=judge_for(subject, images, None))


def test_an_edit_of_a_given_picture_starts_from_it(case, tmp_path):
    from phasebook.edits.editing import edit, make

    model, levels, names = case.subject.model, case.subject.levels, case.images.names
    pairs = listed([[names[0], names[30]], [names[1], names[31]]])
    made = make(model, pairs, levels=levels, guidance=1000.0)
    file = tmp_path / "given.png"
    Image.fromarray((case.images.pixels[10] * 255).round().astype(np.uint8)).save(file)
    given = with_source(made, case.subject, str(file), None, 0)
    assert int(model.weights(given.x0[0]).argmax()) == 10 and torch.equal(given.x[1:], made.x[1:])
    e = edit(model, case.judge, pairs, list(range(16)), given, levels=levels, tolerance=1e-8)
    np.testing.assert_allclose(model.decode(e.pictures[0, -1:])[0].movedim(0, -1), case.images.pixels[10], atol=1e-2)
    Image.new("RGB", (20, 20)).save(file)
    assert with_source(made, case.subject, str(file), None, 0) is made           # another model's size
    rows, k_shown = edit_rows(e, case.subject)
    assert len(k_shown) == 10 and [k_shown[row.star] for row in rows] == e.k_star.tolist()
    np.testing.assert_allclose(rows[1].source_picture, case.images.pixels[1], atol=1e-2)
    assert [row["k_star"] for row in pair_rows(e)] == e.k_star.tolist()
    split, distance = needs_panels(e, "title")
    assert split.y.tolist() == e.k_star.tolist() and distance.x.tolist() == e.distance.tolist()
    failed = replace(e, to_target=np.full_like(e.to_target, np.inf))
    assert needs_panels(failed, "title")[0].y.tolist() == [-1, -1]                # shown, not dropped
    assert len(split.hover) == len(split.level) == len(e.pairs)
