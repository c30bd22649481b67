"""The chapters on slices refuse what they cannot use, in one line, before anything runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from phasebook import cli
from phasebook.models.exact import ExactModel
from phasebook.site.build import runner
from phasebook.site.chapters.slices import opening
from phasebook.site.checks.parameters import ParameterError
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.sweep import slice_of
from tests.builders import images

SOURCE, NETWORK = runner.find_chapter("11"), runner.find_chapter("13")

BAD = [
    ({"grid": 1}, "grid = 1"),
    ({"grid": -3}, "grid = -3"),
    ({"grid": 33.5}, "grid = 33.5"),
    ({"grid": "many"}, "grid = 'many': text is not accepted here"),
    ({"grid": 1001, "steps": 500}, "grid, steps = 1001, 500"),
    ({"steps": 1}, "steps = 1"),
    ({"steps": True}, "steps = True"),
    ({"image_set": "elephants"}, "image_set = 'elephants'"),
    ({"image_set": ""}, "image_set = ''"),
    ({"families": ["hearts", "dragons"]}, "families = ['hearts', 'dragons']"),
    ({"families": "hearts"}, "families = 'hearts'"),
    ({"resolution": 0}, "resolution = 0"),
    ({"resolution": 4096}, "resolution = 4096"),
    ({"schedule": "cosine"}, "schedule = 'cosine'"),
    ({"feature": "clip"}, "feature = 'clip'"),
    ({"extent": [1.0, 0.0, 0.0, 1.0]}, "extent = [1.0, 0.0, 0.0, 1.0]"),
    ({"extent": [0.0, 1.0, 0.5, 0.5]}, "beta0 < beta1"),
    ({"extent": [0.0, 1.0, 0.0]}, "extent = [0.0, 1.0, 0.0]"),
    ({"extent": [0.0, float("nan"), 0.0, 1.0]}, "extent[1] = nan"),
    ({"extent": "[0, 1, 0, Infinity]"}, "extent[3] = inf"),
    ({"extent": "0 to 1"}, "extent = '0 to 1'"),
    ({"extent": [0.0, 1e300, 0.0, 1e300]}, "takes numbers from -1e+06 to 1e+06"),
    ({"extent": "0 to 1"}, "takes a list of numbers (length 4)"),
    ({"anchors": "nowhere/z.npy"}, "(no such file or directory); takes a .npy file: one array of floats, shape (3, 3"),
    ({"anchors": "."}, "anchors = '.': cannot be read (is no file)"),
    ({"anchors_seed": -1}, "anchors_seed = -1"),
    ({"anchors_seed": 1.5}, "anchors_seed = 1.5"),
    ({"normalise": "yes"}, "normalise = 'yes'"),
    ({"normalise": 1}, "normalise = 1"),
    ({"device": "tpu"}, "device = 'tpu'"),
    ({"model": "exact"}, "model = 'exact': unknown parameter"),
    ({"norms": []}, "norms = []"),
    ({"norms": [0.0]}, "norms[0] = 0.0"),
    ({"norms": "unit"}, "norms = 'unit'"),
    ({"sets": 0}, "sets = 0"),
    ({"sets_grid": 1}, "sets_grid = 1"),
    ({"null_images": 5000}, "null_images = 5000"),
    ({"refined_grid": 49}, "refined_grid = 49: unknown parameter"),
    ({"seed": -1}, "seed = -1"),
    ({"seed": None}, "seed = None"),
    ({"anchor_seed": 5}, "anchor_seed = 5: unknown parameter (did you mean anchors_seed?)"),
]

BAD_NETWORKS = [
    ({"guidence": 5}, "guidence = 5: unknown parameter (did you mean guidance?)"),
    ({"models": ["nowhere"]}, "models = 'nowhere': no such directory, and no hub id (OWNER/NAME)"),
    ({"models": ["exact"]}, "models = ['exact']: takes networks"),
    ({"models": []}, "models = []"),
    ({"models": ["icons-unet-a", "icons-unet-a"]}, "takes each model once"),
    ({"models": ["assets/emoji"]}, "no diffusers pipeline (emoji/model_index.json is missing)"),
    ({"models": ["someone/some-model"]}, "models = 'someone/some-model': not in the local cache, and the hub"),
    ({"judge": ""}, "judge = '': takes an open_clip model"),
    ({"judge": "ViT-Z-99"}, "judge = 'ViT-Z-99': no such directory, and no model of open_clip"),
    ({"judge": "ViT-B-32"}, "judge = 'ViT-B-32': needs a checkpoint; takes one of openai,"),
    ({"prompt": "cat " * 40}, "tokens with its begin and end; takes at most 16"),
    ({"negative_prompt": "cat " * 40}, "negative_prompt = 'cat cat"),
    ({"guidance": -1.0}, "guidance = -1.0"),
    ({"guidance": float("inf")}, "guidance = inf"),
    ({"dtype": "float8"}, "dtype = 'float8'"),
    ({"batch": 0}, "batch = 0"),
    ({"steps": 1}, "steps = 1"),
    ({"steps": [25, 50, 75]}, "steps = [25, 50, 75]: takes one value, or one for each of 2 models"),
    ({"shown": 9}, "shown = 9"),
    ({"shown": 1}, "shown = 1"),
    ({"grid": 1}, "grid = 1"),
    ({"ridges": 0}, "ridges = 0"),
    ({"trained_on": "laion"}, "trained_on = 'laion'"),
]


def refusal(changes, source=SOURCE) -> str:
    with pytest.raises(ParameterError) as error:
        runner.check(source, changes)
    message = str(error.value)
    assert "\n" not in message and len(message) < 600
    return message


@pytest.mark.parametrize("changes, words", BAD, ids=lambda v: str(v)[:40])
def test_bad_values_are_refused(changes, words):
    assert words in refusal(changes)


@pytest.mark.parametrize("changes, words", BAD_NETWORKS, ids=lambda v: str(v)[:40])
def test_bad_networks_are_refused(changes, words):
    assert words in refusal(changes, NETWORK)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_without_cuda():
    assert refusal({"device": "cuda"}) == "device = 'cuda': no CUDA device here; takes 'cpu'"


def write(folder, kind):
    """A bad anchors file of each kind."""
    z, path = seeded_anchors((3, 64, 64), 1), folder / f"{kind}.npy"
    if kind == "pickled":
        np.save(path, np.array([{"z": 1}], dtype=object), allow_pickle=True)
        return path
    if kind == "archive":
        np.savez(folder / "archive", z=z)
        (folder / "archive.npz").rename(path)
        return path
    if kind == "nan":
        z[1, 2, 3, 4] = np.nan
        np.save(path, z)
        return path
    changed = {"coincident": np.stack([z[0], z[1], z[1]]), "collinear": np.stack([z[0], z[1], 2 * z[1] - z[0]]),
               "shape": z[:, :, :32], "two": z[:2], "integers": (9 * z).astype(int), "infinite": z * np.float32(np.inf),
               "zero": np.zeros_like(z), "huge": 1e200 * z.astype(float)}.get(kind, z)
    np.save(path, changed)
    whole = path.read_bytes()
    cut = {"truncated": whole[:-1000], "header": whole[:20], "empty": b"", "text": b"1 2 3",
           "zip": b"PK\x03\x04 cut"}
    path.write_bytes(cut.get(kind, whole))
    return path


@pytest.mark.parametrize("kind, words", [
    ("truncated", "not a readable .npy array"), ("header", "not a readable"), ("empty", "not a readable"),
    ("text", "not an array"), ("zip", "not a readable"),
    ("pickled", "not a readable"), ("archive", "holds an archive"),
    ("shape", "shape (3, 3, 32, 64); takes (3, 3, 64, 64)"), ("two", "shape (2, 3, 64, 64)"),
    ("nan", "NaN or Inf at [1, 2, 3, 4]"), ("infinite", "NaN or Inf"),
    ("integers", "takes a .npy file: one array of floats"),
    ("huge", "takes numbers up to 1e+06"),
    ("coincident", "lie on one line or coincide"), ("collinear", "lie on one line"), ("zero", "lie on one line"),
])
def test_bad_anchor_files_are_refused(tmp_path, kind, words):
    path = write(tmp_path, kind)
    message = refusal({"anchors": str(path)})
    assert words in message and str(path) in message


def test_a_slice_that_cannot_be_normalised_is_refused(tmp_path):
    z = seeded_anchors((3, 64, 64), 1)
    np.save(tmp_path / "z.npy", np.stack([z[0], -z[0], z[1]]))
    changes = {"anchors": str(tmp_path / "z.npy"), "grid": 3}
    assert "standard deviation zero at alpha = 0.5, beta = 0" in refusal(changes)
    runner.check(SOURCE, changes | {"normalise": False})


def test_unreadable_pictures_are_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"not a picture")
    (tmp_path / "b.png").write_bytes(b"neither")
    assert "a.png" in refusal({"image_set": str(tmp_path)})


@pytest.mark.parametrize("changes", [
    {"anchors_seed": 7, "grid": 33}, {"extent": "[-1, 2, 0.5, 0.75]"}, {"families": ["hearts"]},
    {"image_set": "digits"},
    {"resolution": 16, "grid": 2, "steps": 2}, {"schedule": "log_snr", "normalise": False, "feature": "posterior"},
])
def test_good_values_are_taken(changes):
    runner.check(SOURCE, changes)


@pytest.mark.parametrize("changes", [{"steps": [30]}, {"steps": [31]}, {"steps": [500]},
                                     {"grid": 5, "trained_on": ""}, {"guidance": 5.0, "shown": 2}])
def test_good_networks_are_taken(changes):
    runner.check(NETWORK, changes)


def test_the_door_says_one_line_and_writes_nothing(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        raise SystemExit(cli.main(["run", SOURCE.stem, "-p", "grid", "1", "-o", str(tmp_path / "out")]))
    said = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and len(said.splitlines()) == 1 and "grid = 1" in said and "unknown" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("gap", [1, 0.9])
def test_the_first_steps_of_a_sampler_predict_what_the_whole_does(gap):
    model = ExactModel.of(images(8, 6, 2))
    levels, plane = model.levels(12), Plane.random(model.shape, 0, grid=4)
    levels = replace(levels, landing=[levels.alpha[1:], gap * levels.sigma[1:]])
    whole, first = slice_of(model, plane, levels), slice_of(model, plane, opening(levels, 5))
    assert first.steps == 5 and np.allclose(first.values("det"), whole.values("det")[:5], rtol=1e-5)
    assert opening(levels, 99).steps == 12 and opening(levels, 0).steps == 1


@pytest.mark.parametrize("chapter", ["11", "12", "16"])
def test_a_ridge_is_a_fifth_in_one_place(chapter):
    """`slices.slice.RIDGE`, and no number of the chapter's own."""
    text = runner.find_chapter(chapter).read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    assert "0.2 *" not in code and "ridge = 0" not in code
