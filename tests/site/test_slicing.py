"""The verb `phasebook slice`."""

import shutil

import numpy as np
import pytest

from phasebook.models.assets import ROOT
from phasebook.site import verbs
from phasebook.slices.stores.reading import open_store

SMALL = ["--image-set", "digits", "--resolution", "8", "--grid", "9", "--steps", "2", "--tile", "5"]


def test_a_store_is_made_shown_and_continued(tmp_path, capsys):
    path = str(tmp_path / "s.zarr")
    assert verbs.do(["slice", "exact", "-o", path, *SMALL]) == 0
    said = capsys.readouterr().out
    assert "4 tiles, 121 points: 242 evaluations" in said and "4 of 4 tiles done" in said
    mark = tmp_path / "s.zarr" / "checksum" / "c" / "1" / "0" / "0"
    mark.unlink()
    assert verbs.do(["slice", "--status", "-o", path]) == 0
    assert "3 of 4 tiles done" in capsys.readouterr().out
    assert np.isnan(open_store(path).values("E")).any()
    (tmp_path / "s.zarr" / "beta" / "c" / "0").write_bytes(b"")
    assert verbs.do(["slice", "--status", "-o", path]) == 2
    told = capsys.readouterr()
    assert "3 of 4 tiles done" in told.out and "beta/c/0 is damaged; the same call" in told.err
    assert verbs.do(["slice", "exact", "-o", path, *SMALL]) == 0
    assert "1 tiles" in capsys.readouterr().out and np.isfinite(open_store(path).values("E")).all()


def test_basins_are_made_shown_and_continued(tmp_path, capsys):
    path, call = str(tmp_path / "b"), ["slice", "exact", "--basins", *SMALL[:-2], "-o", str(tmp_path / "b")]
    assert verbs.do([*call, "--anchors", "no.npy"]) == 2 and not (tmp_path / "b").exists()
    capsys.readouterr()
    assert verbs.do(call) == 0
    first = capsys.readouterr().out
    assert "81 to 81 points, each 2 evaluations" in first and "100.0% of 9 × 9 points evaluated" in first
    assert verbs.do(["slice", "--status", "-o", path]) == 0
    assert "81 predictions kept; the basins are there" in capsys.readouterr().out
    assert verbs.do(call) == 0 and capsys.readouterr().out == first
    assert verbs.do([*call, "--seed", "7"]) == 2 and "holds another slice" in capsys.readouterr().err
    assert verbs.do(["slice", "exact", *SMALL, "-o", path]) == 2 and "holds other files" in capsys.readouterr().err


@pytest.mark.parametrize("arguments, said", [
    (["--status"], "no store there"), ([], "MODEL: none given"), (["no/such/model/at/all"], "no such directory"),
    (["exact", "--image-set", "nothing"], "image_set = 'nothing'"),
    (["exact", "--variant", "fp16"], "variant = 'fp16': is a pipeline's, and MODEL is exact"),
    (["exact", "--small-vae", "x"], "small_vae = 'x': is a pipeline's"),
    (["assets/icons-unet-a", "--image-set", "emoji"], "image_set = 'emoji': is the exact model's, and MODEL is assets"),
    (["exact", "--workers", "3"], "workers = 3: of --engine dask, which starts them, and engine = 'local'"),
    (["exact", *SMALL, "--features", "smell"], "features = 'smell'"),
    (["exact", *SMALL, "--features", "icons-unet-a/unet"], "features = 'icons-unet-a/unet'"),
    (["exact", *SMALL, "--features", "icons-clip-b", "icons-clip-b"], "takes directories of different names"),
    (["exact", *SMALL, "--extent", "[1, 0, 0, 1]"], "extent ="),
    (["exact", *SMALL, "--extent", "null"], "extent = None: takes four finite numbers"),
    (["exact", *SMALL, "--anchors", "no.npy"], "anchors ="),
    (["exact", *SMALL, "--engine", "nowhere"], "engine = 'nowhere'"),
    (["exact", *SMALL, "--dtype", "float16"], "dtype = 'float16'"),
    (["icons-unet-a", "--batch", "0"], "batch = 0: takes a whole number >= 1"),
    (["exact", *SMALL, "--batch", "3"], "batch = 3: is a pipeline's, and MODEL is exact"),
    (["exact", *SMALL, "--guidance", "7"], "guidance = 7.0: of a prompt, and none is given"),
    (["exact", *SMALL, "--workers", "3", "--engine", "tcp://x:1"], "workers = 3: of --engine dask"),
    (["exact", *SMALL, "--threads", "9999999999"], "threads = 9999999999: takes a whole number from 1 to 256"),
    (["exact", *SMALL, "--sampler", "own"], "sampler = 'own': the exact model has no scheduler; takes 'ddim'"),
    (["icons-unet-a", "--sampler", "heun"], "sampler = 'heun': takes 'ddim' or 'own'"),
    (["exact", *SMALL, "--guidance", "nan"], "guidance = nan: takes a finite number"),
    (["exact", *SMALL, "--basins"], "tile = 5: is of a slice with all its points, not of --basins"),
    (["exact", *SMALL, "--ridge", "0.2"], "ridge = 0.2: is of a slice with --basins alone"),
    (["exact", "--basins", "--ridge", "-1"], "ridge = -1.0: takes a positive number"),
    (["exact", *SMALL[:-2], "--basins", "--step", "2"], "step = 2: takes a step from 0 to 1"),
], ids=str)
def test_one_line_and_nothing_written(tmp_path, capsys, arguments, said):
    assert verbs.do(["slice", *arguments, "-o", str(tmp_path / "s.zarr")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0] and not (tmp_path / "s.zarr").exists()


@pytest.mark.parametrize("arguments, said", [
    (["train", "autoencoder", "--steps", "1", "-o", "FILE"], "-o FILE: cannot be written"),
    (["train", "autoencoder", "--steps", "1", "--seed", "-1", "-o", "new"], "seed = -1: takes a whole number"),
    (["slice", "exact", *SMALL, "--grid", "1000000000", "-o", "new"], "grid = 1000000000: takes"),
    (["slice", "--status", "-o", "github://x"], "store = 'github://x': "),
], ids=range(4))
def test_what_a_verb_cannot_take_is_refused_before_anything_runs(tmp_path, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    assert verbs.do(arguments) == 2
    assert said in capsys.readouterr().err and [f.name for f in tmp_path.iterdir()] == ["FILE"]


@pytest.mark.parametrize("place", ["FILE", "FILE/below", "nowhere", "loop", "/proc/x", "x" * 256, "a\nb/" + "x" * 256],
                         ids=range(7))
def test_a_place_that_cannot_be_written_is_refused_before_a_model_is_loaded(tmp_path, capsys, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("phasebook.slices.stores.engine.store_slice", None)
    (tmp_path / "FILE").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "no" / "where")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert verbs.do(["slice", "exact", *SMALL, "-o", place]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("phasebook: store = ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FILE", "loop", "nowhere"]


def test_a_feature_is_the_directory_of_a_vision_model(tmp_path, capsys):
    store, own = str(tmp_path / "s.zarr"), {name: tmp_path / name / "clip" for name in ("icons-clip", "icons-clip-b")}
    for name, folder in own.items():
        shutil.copytree(ROOT / name, folder)
    made = ["slice", "exact", "-o", store, *SMALL, "--features", "pixels"]
    assert verbs.do([*made, str(own["icons-clip"])]) == 0
    E = [open_store(store).values("E", name) for name in ("clip", "pixels")]
    assert E[0].shape == (2, 9, 9) and np.isfinite(E).all() and (E[0] != E[1]).any()
    capsys.readouterr()
    assert verbs.do([*made, str(own["icons-clip-b"])]) == 2        # of the same name, with other weights
    said = capsys.readouterr().err
    assert "weights" in said and len(said.strip().splitlines()) == 1
