"""Basins kept on disk: the same files whatever stops their writer, and nothing is evaluated twice but one batch."""

import json
import os
import random
import resource
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from phasebook.models.denoiser import Denoiser
from phasebook.sampling.levels import scaled_linear_levels
from phasebook.sampling.protocols import Embedding
from phasebook.slices.adaptive import adaptive_basins
from phasebook.slices.evaluator import evaluator
from phasebook.slices.plane import Plane
from phasebook.slices.slice import RIDGE
from phasebook.slices.stores import basins
from phasebook.slices.stores.basins import basins_status, check_basins, store_basins
from phasebook.slices.stores.engine import store_slice
from phasebook.slices.stores.store import check_store
from phasebook.slices.sweep import slice_of
from tests.builders import refuses
from tests.slices.stores.small_stores import files, forked, killed

LEVELS = scaled_linear_levels(4)
KILLS = int(os.environ.get("STOPS", "0")) or 6


def plane(model, grid=33):
    return Plane.random(model.shape, 3, extent=(-1.0, 2.0, -1.0, 2.0), grid=grid)


def made(model, path, **changes):
    return store_basins(model, plane(model, changes.pop("grid", 33)), LEVELS, path, **{"probes": 20} | changes)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(basins, "BATCH", 50)


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """A folder that nothing has disturbed."""
    path = tmp_path_factory.mktemp("basins") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(basins, "BATCH", 50)
        made(small, path)
    return path


@pytest.fixture
def asked(monkeypatch):
    """How many points each evaluation has, without the look at one corner."""
    calls, real = [], basins.evaluator

    def counting(*arguments):
        ask = real(*arguments)
        return lambda points: (calls.append(len(points)) if len(points) > 1 else None, ask(points))[1]

    monkeypatch.setattr(basins, "evaluator", counting)
    return calls


def test_the_same_basins_as_in_memory_and_nothing_is_asked_again(small, whole, tmp_path, asked):
    found = made(small, tmp_path / "b")
    s = slice_of(small, plane(small), LEVELS)
    ask = evaluator(small, plane(small), LEVELS, 3, small.features["pixels"])
    inside = adaptive_basins(ask, 33, s.ridge(), probes=20)
    assert np.array_equal(found.labels, inside.labels) and np.array_equal(found.evaluated, inside.evaluated)
    assert found.missed == inside.missed and len(np.unique(found.labels)) > 2 and found.share < 0.9
    assert sum(asked) >= found.evaluated.sum() - 1 and max(asked) <= 50
    asked.clear()
    again = made(small, tmp_path / "b")
    assert not asked and np.array_equal(again.labels, found.labels) and files(tmp_path / "b") == files(whole)
    with xr.open_dataset(tmp_path / "b" / "basins.nc") as kept:
        assert np.array_equal(kept.basin, found.labels) and np.array_equal(kept.evaluated, found.evaluated)
        assert kept.attrs["missed_high"] == found.missed.high and kept.attrs["ridge"] == RIDGE
    assert basins_status(tmp_path / "b") == f"{found.evaluated.sum()} predictions kept; the basins are there"
    assert basins_status(tmp_path / "c") is None


def test_kills_at_random_moments(small, whole, tmp_path, monkeypatch):
    """The same files, no more batches evaluated twice than there were kills, of which one fell between two batches at
    least. STOPS in the environment asks for more kills."""
    path, begun, real = tmp_path / "b", tmp_path / "begun", basins.evaluator

    def told(*arguments):
        ask = real(*arguments)

        def evaluate(points):
            with begun.open("a") as file:
                file.write("one\n" * (len(points) > 1))
            return ask(points)
        return evaluate

    monkeypatch.setattr(basins, "evaluator", told)
    start = time.monotonic()
    forked(made, small, tmp_path / "first").join()
    most, count = time.monotonic() - start, len(files(whole)) - 2
    assert begun.read_text().count("\n") >= count - 1           # a batch of one point is not counted
    begun.write_text("")
    draw, kills, folders, between = random.Random(1), 0, 1, 0
    while kills < KILLS or not between:
        if (path / "basins.nc").exists():
            assert files(path) == files(whole)
            shutil.rmtree(path)
            folders += 1
        hit = killed(draw.uniform(0, most), made, small, path)
        kills += hit
        between += hit and 0 < len(list(path.glob("evaluations/*"))) < count
    made(small, path)
    assert files(path) == files(whole)
    assert begun.read_text().count("\n") <= folders * count + kills


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
                                   lambda data: b"", None], ids=["cut off", "a bit", "empty", "gone"])
def test_what_is_damaged_is_evaluated_again_and_nothing_else(small, whole, tmp_path, asked, spoil):
    path = tmp_path / "b"
    shutil.copytree(whole, path)
    file = max(sorted((path / "evaluations").iterdir()), key=lambda f: f.stat().st_size)
    file.write_bytes(spoil(file.read_bytes())) if spoil else file.unlink()
    (path / "basins.json").write_bytes(b"{")
    made(small, path)
    assert asked == [int(file.suffix[1:])] and files(path) == files(whole)


def test_a_damaged_root_is_mended_by_the_same_call_and_refuses_another_slice(small, whole, tmp_path, asked):
    path = tmp_path / "b"
    shutil.copytree(whole, path)
    data = (whole / "basins.json").read_bytes()
    for at in (3, data.index(b"hash") + 10, data.index(b"anchors") + 12, data.index(b'"grid": 33') + 9):
        (path / "basins.json").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])     # JSON, still
        assert "basins.json is damaged" in basins_status(path)
        made(small, path)
        assert not asked and files(path) == files(whole)
    (path / "basins.json").unlink()
    assert "basins.json is damaged" in basins_status(path)
    spoilt = files(path)
    refuses(lambda: store_basins(small, Plane.random(small.shape, 4, grid=33), LEVELS, path),
            "its basins.json is damaged, and no evaluation is of this slice")
    assert not asked and files(path) == spoilt


@pytest.mark.parametrize("name, held", [("basins.nc", "theirs"), ("basins.nc", None), ("basins.json", '{"a": 1}'),
                                        ("basins.json", "[1]"), ("basins.json", None), ("evaluations", "theirs"),
                                        ("evaluations/diary.txt", "theirs")], ids=range(7))
def test_files_of_others_by_the_same_names_are_not_touched(small, tmp_path, name, held):
    path = tmp_path / "b" / name
    path.parent.mkdir(parents=True)
    path.mkdir() if held is None else path.write_text(held)
    for call in (lambda: made(small, tmp_path / "b", grid=9), lambda: check_basins(tmp_path / "b")):
        refuses(call, f"holds other files, such as {name.split('/')[0]!r}")
    assert [f for f in (tmp_path / "b").rglob("*") if f.name != "evaluations" or f == path] == [path]
    assert path.is_dir() if held is None else path.read_text() == held
    assert basins_status(tmp_path / "b") is None


def test_status_counts_what_is_sound(small, whole, tmp_path):
    path = tmp_path / "b"
    shutil.copytree(whole, path)
    (path / "evaluations" / ".DS_Store").touch()
    file = min((path / "evaluations").glob("*.*.*"))
    file.write_bytes(file.read_bytes()[:-1])
    (path / "basins.nc").write_bytes((path / "basins.nc").read_bytes()[:200])
    points = sum(int(f.suffix[1:]) for f in (path / "evaluations").glob("*.*.*")) - int(file.suffix[1:])
    assert basins_status(path) == f"{points} predictions kept; 1 files of them damaged; the basins are not known yet"
    made(small, path)
    assert files(path) == files(whole) | {"evaluations/.DS_Store": b""}


def test_the_batch_of_big_latents_is_small_and_what_does_not_fit_is_refused(small, tmp_path, asked, monkeypatch):
    big = Denoiser((100_000,), lambda x, alpha, sigma: x, levels=scaled_linear_levels, dtype=torch.float32)
    monkeypatch.setattr(basins, "STATES", 6e7)
    made(big, tmp_path / "b", grid=5)
    assert sum(asked) >= 24 and max(asked) < 50
    refuses(lambda: made(small, tmp_path / "c", grid=100_000), "of memory at least")
    assert not (tmp_path / "c").exists()


def test_memory_of_a_device_that_runs_out_ends_it(tmp_path):
    model = Denoiser((4,), lambda x, alpha, sigma: x, levels=scaled_linear_levels)
    model.batch, model.largest_batch = 40, [20]
    refuses(lambda: made(model, tmp_path / "b"), "batch = 40: the device's memory ran out; takes at most 20")


def test_a_feature_without_a_name_has_the_same_in_the_next_process(small, tmp_path, asked):
    made(small, tmp_path / "b", feature=lambda x: x.flatten(1)[:, :2])
    asked.clear()
    made(small, tmp_path / "b", feature=lambda x: x.flatten(1)[:, :2])
    spec = json.loads((tmp_path / "b" / "basins.json").read_text())["spec"]
    assert not asked and spec["features"] == ["feature"]


def test_another_slice_is_refused_and_another_ridge_uses_what_is_there(small, whole, tmp_path, asked):
    path = tmp_path / "b"
    shutil.copytree(whole, path)
    other = Plane.random(small.shape, 4, grid=33)
    refuses(lambda: store_basins(small, other, LEVELS, path), "holds another slice (anchors = ")
    refuses(lambda: made(small, path, grid=34), "grid = 33 there, 34 here")
    refuses(lambda: made(small, path, step=2), "step = 3 there, 2 here")
    assert not asked and files(path) == files(whole)
    made(small, path, ridge=0.5)
    assert sum(asked) < 0.9 * made(small, path, ridge=0.5).evaluated.sum()     # the coarse grid was there
    path = tmp_path / "c"
    path.mkdir()
    (path / "letter.txt").touch()
    for call in (lambda: made(small, path), lambda: check_basins(path)):
        refuses(call, "holds other files, such as 'letter.txt'")
    refuses(lambda: check_store(whole), "holds other files, such as")
    store_slice(small, plane(small, 5), LEVELS, tmp_path / "slice.zarr")
    refuses(lambda: made(small, tmp_path / "slice.zarr"), "holds other files, such as")


@pytest.mark.parametrize("change, said", [
    ({"step": 4}, "step = 4: takes a step from 0 to 3"), ({"ridge": 0}, "ridge = 0: takes a positive number"),
    ({"coarse": 0}, "coarse = 0: takes"), ({"probes": -1}, "probes = -1: takes"), ({"seed": "x"}, "seed = 'x': takes"),
    ({"threads": 0}, "threads = 0: takes"), ({"feature": "smell"}, "feature = 'smell'"),
    ({"feature": 3}, "feature = 3: takes a name"), ({"feature": {"a": 3}}, "feature: a = 3; takes a feature"),
    ({"progress": "x"}, "progress = 'x': takes True or False"),
    ({"grid": 2}, "grid = 2: takes"),
    ({"feature": {"a": "pixels", "b": "posterior"}}, "feature: a, b are given; takes one"),
])
def test_bad_arguments_are_one_line_and_nothing_is_written(small, tmp_path, change, said):
    refuses(lambda: made(small, tmp_path / "b", **change), said)
    assert not (tmp_path / "b").exists()
    refuses(lambda: store_basins(lambda: 1 / 0, None, LEVELS, tmp_path / ("x" * 300)), "name too long")
    with pytest.raises(OSError, match=r"path = .*: cannot be read \(file name too long\)"):
        basins.place_of(tmp_path / ("x" * 300)).times("evaluations")
    refuses(lambda: store_basins(7, plane(small), LEVELS, tmp_path / "b"), "source: a int; takes a model")
    refuses(lambda: store_basins(lambda name: small, plane(small), LEVELS, tmp_path / "b"),
            "source: a function of (name)")
    refuses(lambda: store_basins(small, lambda: plane(small), LEVELS, tmp_path / "b"), "plane: a function of ()")


def test_a_full_disk_keeps_what_is_done(small, whole, tmp_path):
    path = tmp_path / "b"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = max(f.stat().st_size for f in (whole / "evaluations").iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, hard))
    try:
        with pytest.raises(OSError, match="cannot be written") as error:
            made(small, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(error.value)
    made(small, path)
    assert files(path) == files(whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(basins.place_of(path)), "free", lambda place: 0.0)
        made(small, path)           # all of it is there
        refuses(lambda: made(small, tmp_path / "c"), "to write at least; takes a place with as much free, here are 0 B")


def test_a_model_that_was_moved_makes_the_same_files(small, whole, tmp_path, asked):
    path, named = tmp_path / "b", replace(LEVELS, name="elsewhere")
    shutil.copytree(whole, path)
    (path / "basins.json").unlink()
    store_basins(small, plane(small), named, path, probes=20)
    assert not asked and files(path) == files(whole)


def test_predictions_that_are_not_finite_are_not_kept(small, whole, tmp_path, monkeypatch):
    """The look at a corner and two batches are sound, the third batch is not."""
    calls, real = [], basins.evaluator

    def spoilt(*arguments):
        ask = real(*arguments)

        def evaluate(points):
            calls.append(len(points))
            f = ask(points)
            return f if len(calls) != 4 else Embedding(f.points * float("nan"), f.duals)
        return evaluate

    monkeypatch.setattr(basins, "evaluator", spoilt)
    refuses(lambda: made(small, tmp_path / "b"), "the prediction is not finite at row")
    kept = [basins._unpacked(file.read_bytes()) for file in (tmp_path / "b" / "evaluations").iterdir()]
    assert len(kept) == 2 and all(f.points.isfinite().all() for f in kept)
    made(small, tmp_path / "b")
    assert files(tmp_path / "b") == files(whole)


def test_half_precision_is_kept_as_single(small, tmp_path):
    half = lambda x: x.flatten(1)[:, :2].bfloat16()  # noqa: E731
    one, two = (made(small, tmp_path / "c", feature={"two": half}) for _ in range(2))
    assert np.array_equal(one.labels, two.labels)


def test_a_store_behind_a_url(small, whole):
    url = "memory://basins"
    one, two = (made(small, url) for _ in range(2))
    assert np.array_equal(one.labels, two.labels) and "the basins are there" in basins_status(url)
    import fsspec

    system = fsspec.filesystem("memory")
    assert system.cat_file("/basins/basins.nc") == Path(whole / "basins.nc").read_bytes()
    assert json.loads(system.cat_file("/basins/basins.json")) == json.loads((whole / "basins.json").read_bytes())
