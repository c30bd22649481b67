"""What would fail late in a run is refused before it: data, models, levels, weights and numbers out of proportion."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from phasebook.models.assets import asset
from phasebook.models.pipelines.families import FAMILIES
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.site.build import runner, sources
from phasebook.site.chapters.edits import Chapter
from phasebook.site.checks.parameters import ParameterError

STABLE = {"family": FAMILIES["StableDiffusionPipeline"], "pipe": None}
NETWORK = {"models": ["icons-unet-a"], "steps": 4, "k_values": [0], "pairs": 0, "neighbours": 0, "nearness": 0.1,
           "halvings": 0, "guidance": 5.0, "source_guidance": 5.0, "iterations": 1, "tolerance": 1e-3}


def refusal(chapter: str, changes: dict) -> str:
    with pytest.raises(ParameterError) as error:
        source = next(source for source in runner.chapters() if source.stem[3:] == chapter)
        runner.check(source, runner.profile("smoke", source) | changes)
    message = str(error.value)
    assert "\n" not in message and len(message) < 400
    return message


@pytest.fixture
def equal(tmp_path):
    """A folder of three equal pictures."""
    for name in "abc":
        Image.new("RGB", (16, 16), "red").save(tmp_path / f"{name}.png")
    return str(tmp_path)


@pytest.mark.parametrize("chapter, name", [
    ("one_dimension", "images"), ("spacetime", "images"), ("phase_boundaries", "image_set"),
    ("ridges_and_resolution", "image_set"), ("hierarchy", "image_set"), ("hierarchy", "compared"),
    ("edits", "image_set")])
def test_sets_without_two_pictures_are_refused(equal, tmp_path, chapter, name):
    wrap = (lambda value: [value]) if name == "compared" else (lambda value: value)
    assert f"{name} = {equal!r}: all 3 pictures are equal" in refusal(chapter, {name: wrap(equal)})
    assert f"{name} = 'elephants'" in refusal(chapter, {name: wrap("elephants")})
    (tmp_path / "b.png").unlink()
    (tmp_path / "c.png").unlink()
    assert f"{name} = {equal!r}: holds 1 picture files" in refusal(chapter, {name: wrap(equal)})


@pytest.mark.parametrize("chapter, changes, words", [
    ("heat_and_transport", {"mixture_means": [-1e300, 1e300]}, "mixture_means[0] = -1e+300"),
    ("heat_and_transport", {"mixture_stds": [1e-300, 0.5]}, "mixture_stds[0] = 1e-300"),
    ("chain_of_transports", {"mixture_stds": [1e300, 0.5]}, "mixture_stds[0] = 1e+300"),
    ("heat_and_transport", {"torus_modes": [[1, 0, 0.3, 1e300]]}, "takes a phase from -1e+06 to 1e+06"),
    ("chain_of_transports", {"circle_modes": [[1, 0.3, -1e300]]}, "takes a phase from -1e+06 to 1e+06"),
    ("plane_chain", {"sigma_start": 1e300}, "sigma_start = 1e+300"),
    ("plane_chain", {"sigma_end": 1e-300}, "sigma_end = 1e-300"),
    ("one_dimension", {"interval": [0.0, 1e-9]}, "interval = [0.0, 1e-09]"),
    ("spacetime", {"interval": [-1e6, 1e6]}, "interval = [-1000000.0, 1000000.0]"),
    ("hierarchy", {"starts": [8, 8]}, "starts = 8: takes at least 16 for an exact model"),
    ("hierarchy", {"sets": 200}, "sets = 200: takes at most 105, so that each has four of 420 pictures"),
    ("edits", {"image_set": "families", "families": ["hearts"], "edits": [["heart", "blue heart"]]},
     "takes two families or more"),
    ("network_and_data", {"judge": "ViT-B-32-quickgelu", "pretrained": "openai"}, "cannot be fetched from the hub"),
    ("spacetime_of_images", {"prompt": "emoji " * 40}, "takes at most 16"),
    ("spacetime_of_images", {"endpoints": [0, 0]}, "endpoints = [0, 0]"),
    ("same_basins", {"guidances": [5.0, 5.0]}, "guidances = [5.0, 5.0]: takes each once"),
    ("same_basins", {"step_counts": [3]}, "step_counts = [3]: takes each once, and not 3"),
    ("same_basins", {"data": ["icons a", "icons a"]}, "data = ['icons a', 'icons a']: takes each once"),
    ("phase_boundaries", {"norms": [12.8, 6.4, 12.8]}, "norms = [12.8, 6.4, 12.8]: takes each once"),
    ("hierarchy", {"compared": ["digits", "digits"]}, "compared = ['digits', 'digits']: takes each once"),
    ("phase_boundaries", {"grid\nx": 5}, "'grid\\nx' = 5: unknown parameter (did you mean grid?)"),
    ("same_basins", {"models": ["icons-unet-a", "./icons-unet-a"]}, "two are called 'icons_unet_a'"),
    ("network_and_data", {"models": ["icons-unet-a/", "icons-unet-a"]}, "two are called 'icons_unet_a'"),
    ("network_and_data", {"revision": "main"}, "revision = 'main': of a hub id"),
    ("temporal_transitions", {"models": ["exact"], "steps": 9, "starts": 9, "visits": 9, "slices": 4, "grid": 3,
                              "revision": "main"}, "revision = 'main': of a hub id"),
    ("edits", {"pretrained": "openai"}, "pretrained = 'openai': judge = 'icons-clip-b' is a directory"),
    ("network_and_data", {"pretrained": "x.safetensors"}, "pretrained = 'x.safetensors': judge = "),
    ("plane_chain", {"seed": 2**62}, "seed = 4611686018427387904"),
    ("transition_paths", {"seed": 10**20}, "seed = 100000000000000000000"),
    ("one_dimension", {"seed": 2**64}, "seed = 18446744073709551616"),
    ("ridges_and_resolution", {"store": "nowhere://x"}, "store = 'nowhere://x'"),
    ("ridges_and_resolution", {"store": "a\0b"}, "store = 'a\\x00b': takes a path without a null character"),
    ("phase_boundaries", {"store": "/dev/null"}, "store = '/dev/null': takes a folder, new or of a slice"),
    ("phase_boundaries", {"store": "x" * 260}, "cannot be read (file name too long)"),
    ("transition_paths", {"potential": "x" * 260 + ".npy"}, "unknown; takes one of alanine"),
    ("edits", NETWORK | {"edits": [["cat " * 40, "eye"]]}, "edits[0] = 'cat cat"),
])
def test_what_would_fail_later_is_refused_now(chapter, changes, words):
    assert words in refusal(chapter, changes)


def test_a_batch_counts_at_the_size_of_its_latents(tmp_path):
    """A network of pictures of 4096 pixels on a side has weights like any other, and nothing else that is small."""
    shutil.copytree(asset("icons-unet-a"), tmp_path / "wide")
    config = tmp_path / "wide" / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sample_size": 1024}))
    own = {"models": [str(tmp_path / "wide")], "trained_on": "", "other_half": "", "same_backbone": ""}
    assert refusal("network_and_data", own | {"batch": 90}).startswith("batch = 90: about 2.")


def test_the_last_value_of_a_list_holds_for_all_further_models(tmp_path):
    for name in ("second", "third"):
        (tmp_path / name).symlink_to(asset("icons-unet-a"))
    network = "icons-unet-a"
    own = {"models": ["exact", network, str(tmp_path / "second"), str(tmp_path / "third")]}
    source = next(source for source in runner.chapters() if source.stem[3:] == "edits")
    p = Chapter.read(sources.defaults(source) | runner.profile("smoke", source) | own)
    assert [p.at("pairs", name) for name in p.models] == [12, 4, 4, 4]
    assert [p.k_at(name) for name in p.models] == [list(range(16)), [0, 2], [0, 2], [0, 2]]
    assert p.making(p.models[2])["guidance"] == 5.0 and len(p.pictures("exact")) > len(p.pictures(network))


@pytest.mark.parametrize("chapter, changes, words", [
    ("spacetime_of_images", {"prompt": "emoji " * 40}, "prompt = 'emoji emoji"),
    ("network_and_data", {"negative_prompt": "ugly " * 60}, "negative_prompt = 'ugly ugly"),
    ("edits", NETWORK | {"edits": [["cat " * 40, "eye"]]}, "edits[0] = 'cat cat"),
])
def test_nothing_is_said_beside_the_refusal_of_a_long_prompt(foreign, chapter, changes, words):
    """transformers warns of it as well."""
    assert words in refusal(chapter, changes)
    assert foreign == []


@pytest.mark.parametrize("chapter, words", [
    ("network_and_data", "trained_on = 'icons a': icons-unet-a is a network of pixels"),
    ("same_basins", "data = ['icons a', 'icons b']: icons-unet-a is a network of pixels"),
    ("temporal_transitions", "trained_on = 'icons a': icons-unet-a is a network of pixels"),
])
def test_a_network_that_has_no_latents_of_its_data_is_refused(monkeypatch, chapter, words):
    pixels = SimpleNamespace(encoder=None, shape=(3, 64, 64), **STABLE)
    monkeypatch.setattr(PipelineModel, "check", lambda *given: pixels)
    own = {} if chapter == "temporal_transitions" else {"same_backbone": ""}
    assert words in refusal(chapter, own)


def test_networks_of_two_latent_spaces_have_no_common_slice(monkeypatch):
    shapes = {"icons-unet-a": (4, 16, 16), "icons-transformer-a": (4, 8, 8)}
    monkeypatch.setattr(PipelineModel, "check", lambda name, *given: SimpleNamespace(shape=shapes[name], **STABLE))
    assert "takes models of one latent space, (4, 16, 16)" in refusal("same_basins", {"same_backbone": ""})


def test_levels_that_a_model_has_not_are_refused(tmp_path):
    """Of a model trained on fewer times than are asked for; its scheduler's configuration says so."""
    model = tmp_path / "model"
    shutil.copytree(asset("icons-unet-a"), model)
    file = model / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"num_train_timesteps": 20}))
    said = refusal("network_and_data", {"models": [str(model)], "steps": 25})
    assert said.startswith("steps = 25: ") and "takes a whole number from 1 to 19" in said
    source = next(source for source in runner.chapters() if source.stem[3:] == "network_and_data")
    runner.check(source, runner.profile("smoke", source) | {"models": [str(model)], "steps": 6})
    file = model / "unet" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sample_size": 0}))
    assert "sample_size = 0" in refusal("network_and_data", {"models": [str(model)], "steps": 6})


def test_weights_of_another_model_are_refused(tmp_path):
    """By the header alone, where the model is a name with a file and where it is a directory."""
    weights = asset("icons-clip-b") / "open_clip_model.safetensors"
    said = refusal("network_and_data", {"judge": "ViT-B-32-quickgelu", "pretrained": str(weights)})
    assert "holds another model" in said and "pretrained = " in said
    model = tmp_path / "clip"
    shutil.copytree(asset("icons-clip-b"), model)
    file = model / "open_clip_config.json"
    config = json.loads(file.read_text())
    config["model_cfg"]["embed_dim"] *= 2
    file.write_text(json.dumps(config))
    assert "holds another model" in refusal("network_and_data", {"judge": str(model)})


def test_a_store_is_tried_out_and_nothing_stays(tmp_path):
    """Checked before a run begins: a folder of something else, and a new one."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    assert "holds other files, such as 'a.txt'" in refusal("phase_boundaries", {"store": str(tmp_path / "letters")})
    (tmp_path / "file").write_text("")
    assert "takes a folder" in refusal("phase_boundaries", {"store": str(tmp_path / "file" / "below")})
    source = next(source for source in runner.chapters() if source.stem[3:] == "phase_boundaries")
    runner.check(source, runner.profile("smoke", source) | {"store": str(tmp_path / "new" / "store")})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "letters"]


@pytest.mark.parametrize("energy, words", [
    (np.full((9, 9), 1e300) * np.eye(9), "its energies span 1e+300; takes 1e-09 to 1e+09"),
    (1e308 * np.where(np.eye(9) > 0, 1, -1), "span inf"), (1e-300 * np.eye(9), "span 1e-300"),
    (np.full((9, 9), np.nan), "takes finite real energies"), (np.eye(9) + 0j, "takes finite real energies"),
    (np.eye(9)[0], "takes 2 angles"), (None, "holds an archive"), ("header", "Unable to allocate"),
], ids=["huge", "endless", "tiny", "nan", "complex", "line", "archive", "header"])
def test_a_potential_that_cannot_be_used_is_refused(tmp_path, energy, words):
    file = tmp_path / "potential.npy"
    with open(file, "wb") as stream:
        if energy is None:
            np.savez(stream, a=np.eye(9))
        elif isinstance(energy, str):
            shape = {"descr": "<f8", "fortran_order": False, "shape": (10**7, 10**7)}
            np.lib.format.write_array_header_1_0(stream, shape)
        else:
            np.save(stream, energy)
    said = refusal("transition_paths", {"potential": str(file)})
    assert said.startswith(f"potential = {str(file)!r}: ") and words in said


def test_words_that_a_kind_of_pipeline_has_no_place_for_are_refused():
    for kind, words, said in (("DDPMPipeline", {"prompt": "a cat"}, "prompt = 'a cat': a DDPMPipeline takes none"),
                              ("DDIMPipeline", {"prompt": "", "negative_prompt": "blur"}, "negative_prompt = 'blur'"),
                              ("FluxPipeline", {"negative_prompt": "blur"}, "negative_prompt = 'blur': Flux")):
        with pytest.raises(ValueError, match=said):
            FAMILIES[kind].check_words(None, **words)
    FAMILIES["FluxPipeline"].check_words(None, prompt="a cat", negative_prompt="")
    FAMILIES["StableDiffusionPipeline"].check_words(None, prompt="a cat", negative_prompt="blur")
