"""The store: the same bytes whatever happens to its writers, and nothing read that was not written whole."""

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr

from phasebook.models.sources import PipelineSource
from phasebook.sampling.features import OfPixels
from phasebook.sampling.levels import scaled_linear_levels
from phasebook.slices.plane import Plane
from phasebook.slices.stores import engine, workers
from phasebook.slices.stores.engine import store_slice
from phasebook.slices.stores.files import place_of
from phasebook.slices.stores.frame import ROOT, _seal, short
from phasebook.slices.stores.reading import open_store
from phasebook.slices.stores.store import check_store, stored
from phasebook.slices.stores.work import _options
from phasebook.slices.sweep import slice_of
from tests.builders import refuses
from tests.slices.stores.small_stores import WORDS, files, forked, killed, made

KILLS = int(os.environ.get("STOPS", "0")) or 8


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """A store that nothing has disturbed."""
    path = tmp_path_factory.mktemp("stores") / "whole.zarr"
    made(small, path)
    return path


@pytest.fixture
def copy(whole, tmp_path):
    path = tmp_path / "copy.zarr"
    shutil.copytree(whole, path)
    return path


@pytest.fixture
def counted(monkeypatch):
    """The tiles that are computed."""
    done, real = [], workers.computed

    def computed(work, ends):
        done.append(ends)
        return real(work, ends)

    monkeypatch.setattr(workers, "computed", computed)
    return done


def test_it_holds_levels_with_gaps(small, tmp_path):
    plane, plain = Plane.random(small.shape, 3, grid=5), scaled_linear_levels(4)
    levels = replace(plain, landing=[plain.alpha[1:], 0.5 * plain.sigma[1:]])
    held = store_slice(small, plane, levels, tmp_path / "gaps.zarr")
    assert np.array_equal(open_store(tmp_path / "gaps.zarr").levels.landing, levels.landing)
    again = slice_of(small, plane, held.levels)
    assert np.allclose(again.values("det"), held.values("det"), rtol=1e-5)
    straight = slice_of(small, plane, plain)
    assert not np.allclose(straight.values("det")[2], held.values("det")[2], rtol=0.1, atol=0)
    with pytest.raises(ValueError, match="another slice"):
        store_slice(small, plane, plain, tmp_path / "gaps.zarr")


def test_it_holds_the_slice(small, whole):
    plane, levels = Plane.random(small.shape, 3, grid=11), scaled_linear_levels(4)
    one = slice_of(small, plane, levels, features=WORDS["features"], fields={"atom": small.fields["atom"]}, pictures=3)
    kept = open_store(whole, small)
    assert set(one.data.variables) == set(kept.data.variables) and str(kept) == str(one)
    for name, there in one.data.variables.items():
        here = kept.data[name]
        assert (here.dims, here.dtype) == (there.dims, there.dtype)
        if here.dtype.kind == "f":
            np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-3)
        else:
            assert np.array_equal(here, there)
    assert kept.ridge() == pytest.approx(one.ridge()) and kept.levels.steps == 4
    assert np.array_equal(kept.phases(0.1), one.phases(0.1)) and np.array_equal(kept.plane.anchors, plane.anchors)
    assert kept.between([0.1, 0.9], [0.2, 0.3]).distances.shape == (4, 2, 2)
    plain = xr.open_zarr(whole, chunks=None)
    np.testing.assert_array_equal(plain.E, kept.data.E)
    assert plain.checksum.any("byte").all()


@pytest.mark.parametrize("key, change, again", [
    ("E/c/0/0/1/2", lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:], 1),
    ("det/c/0/0/0/0", lambda data: data[:-7], 1),
    ("atom/c/0/2/2", None, 1),
    ("picture/c/0/1/1/0/0/0", None, 1),
    ("checksum/c/1/1/0", None, 1),
    ("checksum/c/0/1/0", lambda data: data[:5], 1),
    ("alpha/c/0", lambda data: bytes([data[0] ^ 1]) + data[1:], 0),
    ("E/zarr.json", None, 0),
    ("zarr.json", lambda data: data.replace(b'"alpha"', b'"alphb"', 1), 0),
    ("zarr.json", lambda data: data[:100], 0),
    ("zarr.json", None, 0),
], ids=["flipped bit", "cut chunk", "lost chunk", "lost picture", "lost checksum", "cut checksum", "flipped level",
        "lost header", "changed attribute", "cut header", "lost root"])
def test_what_is_damaged_is_mended_and_nothing_else(small, whole, copy, counted, key, change, again):
    if change is None:
        (copy / key).unlink()
    else:
        (copy / key).write_bytes(change((copy / key).read_bytes()))
    made(small, copy)
    assert len(counted) == again and files(copy) == files(whole)


def test_a_reader_takes_what_is_sound(copy):
    data = bytearray((copy / "E/c/0/0/1/2").read_bytes())
    data[11] ^= 4
    (copy / "E/c/0/0/1/2").write_bytes(data)
    (copy / "checksum/c/0/0/0").unlink()
    s = open_store(copy)
    lost = np.isnan(s.values("E")[0])
    assert lost[:4, :4].all() and lost[4:8, 8:].all() and lost.sum() == 4 * 4 + 4 * 3
    assert (s.data.atom.values[:, :4, :4] == -1).all() and s.measured().tolist() == [0, 1, 2, 3]
    assert str(stored(copy)[0].status()).startswith("7 of 9 tiles done, 1 damaged (to be computed again)")
    with pytest.raises(ValueError, match="read without its model"):
        s.between([0.5], [0.5])
    (copy / "beta/c/0").write_bytes(b"")
    with pytest.raises(ValueError, match=r"beta/c/0 is damaged; the same call that made the store mends it$"):
        open_store(copy)


@pytest.mark.parametrize("changes, said", [
    ({"grid": 13}, "grid = 11 there, 13 here"), ({"tile": 5}, "tile = 4 there, 5 here"),
    ({"features": ["pixels"]}, "features = "), ({"threads": 2}, "threads = 1 there, 2 here"),
    ({"steps": 5}, "steps = 4 there, 5 here"), ({"pictures": 0}, "kept = ")], ids=str)
def test_another_slice_is_refused_in_one_line(small, copy, changes, said):
    before = files(copy)
    with pytest.raises(ValueError, match="holds another slice .*takes a place of its own$") as error:
        made(small, copy, **changes)
    assert said in str(error.value) and "\n" not in str(error.value) and files(copy) == before


def test_batches_of_a_model_and_of_a_feature_tell_stores_apart(small, tmp_path):
    """Rounding depends on them: a store that was begun with one is not continued with another."""
    class Tower:
        fingerprint = "tower"

        def __init__(self, batch):
            self.batch = batch

        def __call__(self, pixels):
            return pixels.flatten(1)[:, :3]

    def begun(path, batch=4, tower=4, decoder=1.0):
        model = _other()
        model.batch, model.decoder = batch, torch.nn.Linear(1, 1)
        torch.nn.init.constant_(model.decoder.weight, decoder)
        torch.nn.init.zeros_(model.decoder.bias)
        return made(model, path, features={"latent": model.features["latent"], "tower": OfPixels(Tower(tower))},
                    fields=[], pictures=0, grid=4)

    path = tmp_path / "batches.zarr"
    begun(path)
    begun(path)
    for change in ({"batch": 8}, {"tower": 8}, {"decoder": 2.0}):
        with pytest.raises(ValueError, match="holds another slice "):
            begun(path, **change)


def test_functions_of_one_name_tell_stores_apart(tmp_path):
    """What lies in a store by one function of pixels, or in one unit, is not continued by another."""
    def begun(factor=1.0, unit=1.0):
        function = OfPixels(lambda pixels: factor * pixels.flatten(1), unit)
        return made(_other(), tmp_path / "x.zarr", features={"mine": function}, fields=[], pictures=0, grid=4)

    assert begun().data.identical(begun().data)
    for change in ({"factor": 2.0}, {"unit": 0.5}):
        with pytest.raises(ValueError, match="holds another slice .weights = "):
            begun(**change)


def test_places_that_hold_something_else_are_refused(small, copy, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    with pytest.raises(ValueError, match="holds other files, such as 'a.txt'"):
        made(small, tmp_path / "letters")
    (copy / "zarr.json").write_bytes(b"{")
    with pytest.raises(ValueError, match="damaged, and no tile is of this slice"):
        made(small, copy, grid=13)
    with pytest.raises(ValueError, match="no store there"):
        open_store(tmp_path / "nothing")
    with pytest.raises(ValueError, match="of another"):
        open_store(made(small, "memory://another.zarr", tile=11) and "memory://another.zarr", _other())
    with pytest.raises(ValueError, match="nowhere://x.*fsspec"):
        open_store("nowhere://x")


@pytest.mark.parametrize("text", [
    '{"my": "notes"}', '[1, 2]', '{"zarr_format": 3, "node_type": "group", "attributes": {"spec": "", "hash": ""}}',
])
def test_what_others_keep_in_a_zarr_group_is_not_written_over(small, whole, tmp_path, text):
    place = tmp_path / "mine.zarr"
    (place / "E").mkdir(parents=True)
    (place / ROOT).write_text(text)
    (place / "E" / ROOT).write_text("{}")
    for call in (check_store, lambda path: made(small, path)):
        with pytest.raises(ValueError, match="its zarr.json is none of a slice's; takes a folder, new or of a slice"):
            call(place)
    assert files(place) == {ROOT: text.encode(), f"E/{ROOT}": b"{}"}


def test_a_slice_that_xarray_has_saved_is_not_written_over(small, whole, tmp_path):
    open_store(whole).data.to_zarr(tmp_path / "mine.zarr")
    before = files(tmp_path / "mine.zarr")
    with pytest.raises(ValueError, match="is none of a slice's"):
        made(small, tmp_path / "mine.zarr", steps=5)
    assert files(tmp_path / "mine.zarr") == before


@pytest.fixture(scope="module")
def tile(small, tmp_path_factory):
    """The same in one tile: with all that is written before the first."""
    path = tmp_path_factory.mktemp("stores") / "tile.zarr"
    made(small, path, grid=4, steps=2)
    return path


@pytest.mark.parametrize("count", range(0, 40, 3))
def test_one_that_was_stopped_while_it_was_begun_goes_on(small, tile, tmp_path, monkeypatch, count):
    """Folders without files, and parts of files, are what a kill or a full disk leaves."""
    place, real, done = tmp_path / "s.zarr", Path.write_bytes, []

    def full(path, data):
        done.append(path)
        if len(done) > count:
            raise OSError(28, "No space left on device")
        return real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="and the same call goes on"):
            made(small, place, grid=4, steps=2)
    (place / f".zarr.json.{2**22 + 1}.0123abcd.part").write_bytes(b"of a writer that died")
    check_store(place)
    made(small, place, grid=4, steps=2)
    assert files(place) == files(tile)


@pytest.mark.parametrize("root", ["nothing", "a link to nothing"])
def test_a_root_that_a_power_cut_emptied_is_mended(small, whole, copy, counted, root):
    (copy / ROOT).unlink()
    (copy / ROOT).write_bytes(b"") if root == "nothing" else (copy / ROOT).symlink_to(copy / "gone")
    check_store(copy)
    made(small, copy)
    assert files(copy) == files(whole) and not counted


@pytest.mark.parametrize("change", [{"free": lambda self: 1000.0}, {"free_memory": lambda: 1000.0}],
                         ids=["disk", "memory"])
def test_a_slice_that_does_not_fit_leaves_nothing(small, tmp_path, monkeypatch, change):
    for name, value in change.items():
        monkeypatch.setattr(type(place_of(tmp_path)) if name == "free" else engine, name, value)
    with pytest.raises(ValueError, match="to write; takes a place|of memory for"):
        made(small, tmp_path / "large.zarr")
    assert not (tmp_path / "large.zarr").exists()


def test_levels_of_another_name_are_the_same_slice(small, whole, copy, counted):
    """A model's are called after the path that it was loaded from."""
    plane, levels = Plane.random(small.shape, 3, grid=11), replace(scaled_linear_levels(4), name="elsewhere/model")
    store_slice(small, plane, levels, copy, **WORDS)
    assert files(copy) == files(whole) and not counted
    levels = replace(levels, alpha=levels.alpha * 0.9)
    with pytest.raises(ValueError, match=r"holds another slice \(levels = "):
        store_slice(small, plane, levels, copy, **WORDS)


def test_a_decoder_that_was_moved_is_the_same():
    """Its numbers tell, and not its path."""
    model, other = (SimpleNamespace(decoder=torch.nn.Linear(2, 2), encoder=None) for _ in range(2))
    here, there = PipelineSource("m", small_vae="here"), PipelineSource("n", small_vae="there")
    assert _options(here, model) == _options(there, model) != _options(here, other)
    assert _options(PipelineSource("m"), model)["small_vae"] is None


def test_a_file_of_a_writer_with_the_same_number_goes(small, whole, copy):
    """In containers every writer may have the same one."""
    (copy / f"E/c/.0.{os.getpid()}.0123abcd.part").write_bytes(b"of another")
    made(small, copy)
    assert files(copy) == files(whole)


def test_a_folder_in_a_files_place_is_named(small, copy):
    (copy / "E/c/0/0/0/0").unlink()
    (copy / "E/c/0/0/0/0").mkdir()
    with pytest.raises(OSError, match=r"E/c/0/0/0/0 cannot be written \(is a directory\)"):
        made(small, copy)


@pytest.mark.parametrize("kind", [",", "(1,", "f4,("])
def test_kinds_that_numpy_cannot_even_read_are_damage(copy, kind):
    _sealed_again(copy, "variables", lambda known: known | {"E": [kind, []]})
    with pytest.raises(ValueError, match="its zarr.json is damaged or not of a slice"):
        stored(copy)


@pytest.mark.parametrize("changes", [
    {"grid": 10**9, "tile": 2}, {"tile": 0}, {"grid": "x"}, {"pick": [10**30]}, {"fields": 3}, {"extent": 3},
], ids=range(6))
def test_a_root_that_someone_else_has_sealed_is_refused(copy, changes):
    """The seal is a checksum: whoever writes a root can write one."""
    root = json.loads((copy / ROOT).read_text())
    root["attributes"]["spec"] = json.dumps(json.loads(root["attributes"]["spec"]) | changes)
    root["attributes"]["seal"] = _seal(root)
    (copy / ROOT).write_text(json.dumps(root))
    for call in (stored, open_store):
        with pytest.raises(ValueError, match="its zarr.json is damaged or not of a slice"):
            call(copy)
    (copy / ROOT).write_text("[" * 100_000)
    with pytest.raises(ValueError, match="its zarr.json is damaged or not of a slice"):
        stored(copy)


def _sealed_again(path, key, change):
    """A store with another array, or other words in its root, under a seal that fits."""
    if key.endswith(ROOT):
        head = json.loads((path / key).read_text())
        (path / key).write_text(json.dumps(head | change))
    root = json.loads((path / ROOT).read_text())
    if not key.endswith(ROOT):
        root["attributes"][key] = change(root["attributes"][key])
    else:
        root["attributes"]["frame"][key] = short((path / key).read_bytes())
    root["attributes"]["seal"] = _seal(root)
    (path / ROOT).write_text(json.dumps(root))


HUGE = {"shape": [2, 4, 10**9, 10**9]}
ALIKE = {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 4, 10**5, 10**5]}}}


@pytest.mark.parametrize("key, change", [
    ("E/zarr.json", HUGE), ("E/zarr.json", ALIKE), ("E/zarr.json", {"shape": [2, 4, -11, 11]}),
    ("E/zarr.json", {"shape": "11"}), ("E/zarr.json", {"data_type": "int8", "fill_value": 0}),
    ("E/zarr.json", {"dimension_names": ["feature", "step", "beta", "alpha"]}), ("E/zarr.json", {"codecs": []}),
    ("checksum/zarr.json", {"shape": [10**6, 10**6, 32]}), ("alpha/zarr.json", {"shape": [10**9]}),
    ("anchors/zarr.json", {"shape": [3, 10**5, 10**5, 3]}), ("step/zarr.json", {"attributes": {"units": "days"}}),
    ("variables", lambda v: {name: kind for name, kind in v.items() if name != "E"}),
    ("variables", lambda v: v | {"E": ["|O", []]}), ("variables", lambda v: v | {"E": ["<f8", [-1]]}),
    ("features", lambda f: f | {"third": f["pixels"]}), ("features", lambda f: {}),
    ("frame", lambda f: f | {"../../../etc/passwd": "0"}),
    ("frame", lambda f: {k: v for k, v in f.items() if not k.startswith("level_alpha")}),
    ("spec", lambda s: s.replace('"grid": 11', '"grid": 1000000000').replace('"tile": 4', '"tile": 1000000000')),
    ("spec", lambda s: s.replace('"extent": [0.0', '"extent": [2.0')),
    ("spec", lambda s: s.replace("[0, 5,", "[5, 5,")),
], ids=range(21))
def test_an_array_that_is_not_the_slices_is_refused_and_mended(small, whole, copy, counted, key, change):
    """Before anything is made of what it claims."""
    _sealed_again(copy, key, change)
    with pytest.raises(ValueError, match="^path = .*(is not one of a slice|damaged)") as said:
        open_store(copy)
    assert "\n" not in str(said.value)
    if key != "spec":
        made(small, copy)
        assert files(copy) == files(whole) and not counted


def test_what_is_no_file_or_larger_than_memory_counts_as_damaged(small, whole, copy, counted, monkeypatch):
    (copy / "E/c/0/0/0/0").unlink()
    os.mkfifo(copy / "E/c/0/0/0/0")
    with open(copy / "det/c/0/0/1/1", "r+b") as file:
        file.truncate(10**12)
    (copy / ROOT).unlink()
    os.mkfifo(copy / ROOT)
    with pytest.raises(ValueError, match="no store there"):
        open_store(copy)
    made(small, copy)
    assert len(counted) == 2 and files(copy) == files(whole)
    monkeypatch.setattr("phasebook.slices.stores.reading.free_memory", lambda: 1e4)
    with pytest.raises(ValueError, match=r"^path = .*: [\d.]+ kB of memory for all of it, here are 10 kB; xarray"):
        open_store(copy)


def test_a_store_runs_nothing(copy, tmp_path):
    """Metadata of zarr 2 may name pickles as a filter."""
    root, anchors = json.loads((copy / ROOT).read_text()), copy / "anchors" / "0"
    root["consolidated_metadata"]["metadata"]["anchors"] = {
        "zarr_format": 2, "shape": [3], "chunks": [3], "dtype": "|O", "fill_value": None, "order": "C",
        "filters": [{"id": "pickle"}], "compressor": None, "attributes": {"_ARRAY_DIMENSIONS": ["anchor"]}}
    anchors.write_bytes(f"cos\nsystem\n(S'touch {tmp_path / 'it-ran'}'\ntR.".encode())
    root["attributes"]["seal"] = _seal(root)
    (copy / ROOT).write_text(json.dumps(root))
    assert open_store(copy).plane.anchors.shape == (3, 3, 8, 8)
    root["attributes"]["frame"]["anchors/0"] = short(anchors.read_bytes())
    root["attributes"]["seal"] = _seal(root)
    (copy / ROOT).write_text(json.dumps(root))
    with pytest.raises(ValueError, match="is not one of a slice"):
        open_store(copy)
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("url", ["reference://x", "github://x", "zip://x", "generic://x", "nowhere://x"])
def test_a_url_that_leads_nowhere_is_one_line(url):
    with pytest.raises(ValueError, match=f"^path = '{url}': .*takes a path or a URL") as said:
        place_of(url)
    assert "\n" not in str(said.value)


def _other():
    from phasebook.models.denoiser import Denoiser

    return Denoiser((2,), lambda x, alpha, sigma: x, name="another",
                    decode=lambda x: x[:, :1, None, None].sigmoid().expand(-1, 3, 1, 1))


def test_urls(small, whole, tmp_path):
    a = made(small, f"file://{tmp_path}/url.zarr")
    b = made(small, "memory://big/url.zarr")
    assert files(tmp_path / "url.zarr") == files(whole) and a.data.identical(b.data)
    import fsspec

    system = fsspec.filesystem("memory")
    system.pipe_file("/big/url.zarr/E/c/0/0/0/0", b"lost")
    assert str(stored("memory://big/url.zarr")[0].status()).startswith("8 of 9 tiles done, 1 damaged")
    assert made(small, "memory://big/url.zarr").data.identical(a.data)


def test_a_url_with_folders_and_one_that_fails_in_its_own_way(small, whole, tmp_path, monkeypatch):
    """What is behind a cache or on another machine may have real folders; errors there are of any kind."""
    import fsspec

    made(small, f"simplecache::file://{tmp_path}/deep/cached.zarr")
    assert files(tmp_path / "deep/cached.zarr") == files(whole)
    made(small, "memory://odd.zarr")
    system = type(fsspec.filesystem("memory"))
    for method, said in (("cat_file", "cannot be read"), ("pipe_file", "cannot be written"), ("ls", "cannot be read"),
                         ("find", "cannot be read")):
        def fails(*_, **__):
            raise RuntimeError("token\nhas expired")

        with monkeypatch.context() as patch:
            patch.setattr(system, method, fails)
            with pytest.raises(OSError, match=rf"^path = 'memory://.*: {said} \(token has expired\); what is done"):
                place = place_of("memory://odd.zarr")
                made(small, "memory://new.zarr") if method in ("pipe_file", "ls") else place.times("checksum")
                place.get(ROOT)
    with pytest.raises(ValueError, match="^path = '~nobody-here/x': nobody here has that home"):
        place_of("~nobody-here/x")


def test_a_store_that_was_moved_goes_on(small, whole, copy, tmp_path, counted):
    """Under a name with spaces, by a link, and by URL."""
    place = tmp_path / "my slice, größer?.zarr"
    shutil.move(copy, place)
    (place / "checksum/c/2/1/0").unlink()
    (tmp_path / "link").symlink_to(place)
    for name in (tmp_path / "link", place, f"file://{place}"):
        made(small, name)
    assert len(counted) == 1 and files(place) == files(whole)


def test_kills_at_random_moments(small, whole, tmp_path, monkeypatch):
    """The same bytes as of an undisturbed store, and no more tiles begun twice than there were kills, of which one at
    least fell into a tile. A store that is whole before the next kill is begun anew. STOPS in the environment asks for
    more kills."""
    path, begun, real = tmp_path / "killed.zarr", tmp_path / "begun", workers.computed

    def computed(work, ends):
        with begun.open("a") as file:
            file.write("a tile\n")
        return real(work, ends)

    monkeypatch.setattr(workers, "computed", computed)
    start = time.monotonic()
    forked(made, small, path).join()
    most = time.monotonic() - start
    draw, kills, stores, again = random.Random(5), 0, 1, 0
    while kills < KILLS or not again:
        done = stored(path)[0].status().done if (path / ROOT).exists() else 0
        again = begun.read_text().count("\n") - 9 * (stores - 1) - done
        if done == 9:
            assert files(path) == files(whole)
            shutil.rmtree(path)
            stores += 1
        kills += killed(draw.uniform(0, most), made, small, path)
    made(small, path)
    assert files(path) == files(whole)
    again = begun.read_text().count("\n") - 9 * stores
    assert again <= kills


def test_two_writers_at_once(small, whole, tmp_path):
    path = tmp_path / "both.zarr"
    writers = [forked(made, small, path) for _ in range(2)]
    while any(writer.is_alive() for writer in writers):
        if (path / "zarr.json").exists():
            s = open_store(path)                    # a reader beside them
            known = np.isfinite(s.values("E"))
            assert np.array_equal(s.values("E")[known], open_store(whole).values("E")[known])
        time.sleep(0.02)
    assert [writer.exitcode for writer in writers] == [0, 0] and files(path) == files(whole)


def test_arguments_of_a_prompt_that_it_does_not_take_are_refused(small, tmp_path):
    refuses(lambda: made(small, tmp_path / "x.zarr", prompt={"text": "a"}), "prompt = {'text': 'a'}: missing",
            "takes texts, guidance, negative by name")
    assert not (tmp_path / "x.zarr").exists()


def test_a_slice_of_a_prompt_is_read_with_one(small, tmp_path):
    """Without it, distances of its points would be those of the plain distribution."""
    prompt = small.prompt("a")
    kept = made(small, tmp_path / "x.zarr", prompt=prompt)
    with pytest.raises(ValueError, match="^prompt: none given; path = .* was asked for one; takes the same"):
        open_store(tmp_path / "x.zarr", small)
    read = open_store(tmp_path / "x.zarr", small, prompt)
    assert np.array_equal(*(s.between([0.1, 0.9], [0.2, 0.3]).distances for s in (kept, read)))


@pytest.mark.parametrize("call", [
    lambda s: s.phases(0.1), lambda s: s.phases(0.1, by="cut"), lambda s: s.phases(0.1, by="atom"),
    lambda s: s.telling(4), lambda s: s.phases_at(1, 0.1),
])
def test_phases_of_a_slice_that_is_not_done_are_refused(copy, call):
    """Missing points would be a basin each, or all of them one more."""
    call(open_store(copy))
    for file in (copy / "checksum" / "c").rglob("*"):
        if file.is_file():
            file.unlink()
            refuses(lambda: call(open_store(copy)), "slice: some of its tiles are missing; takes one whose")


@pytest.mark.parametrize("given, words", [(("x",), "model: a str; takes a model"), ((None, "x"), "prompt = 'x': ")])
def test_what_is_no_model_is_refused(whole, given, words):
    refuses(lambda: open_store(whole, *given), words)


def test_files_that_another_program_is_writing_are_left_alone(small, whole, copy):
    for name in ("x.part", "E/big.tar.gz.part", ".E.99999999999999999999.0123abcd.part"):
        (copy / name).write_bytes(b"half")
    (copy / f"E/c/.0.{2**22 + 1}.0123abcd.part").write_bytes(b"of a writer that died")
    made(small, copy)
    assert len(list(copy.rglob("*.part"))) == 3


@pytest.mark.parametrize("url", ["{}/race.zarr", "memory://race.zarr"])
def test_of_two_slices_begun_at_one_place_at_once_one_is_refused(small, tmp_path, monkeypatch, url):
    """The other has begun, and is done, between this one's look and its root."""
    url = url.format(tmp_path)
    kind = type(place_of(url))
    real = kind.put

    def put(place, key, data, new=False):
        monkeypatch.setattr(kind, "put", real)
        made(small, url, steps=5)
        return real(place, key, data, new)

    monkeypatch.setattr(kind, "put", put)
    with pytest.raises(ValueError, match="holds another slice .*steps = 5 there, 4 here"):
        made(small, url)
    assert np.isfinite(made(small, url, steps=5).values("E")).all()


def test_tiles_that_somebody_removes_on_the_way_are_not_given_as_nan(small, whole, tmp_path, monkeypatch):
    path, real, before = tmp_path / "x.zarr", workers.computed, []

    def computed(work, ends):
        before.append(ends)
        if len(before) == 5:
            shutil.rmtree(path)
        return real(work, ends)

    monkeypatch.setattr(workers, "computed", computed)
    with pytest.raises(OSError, match=r"^path = .*: 4 tiles that were done are lost, .*; the same call goes on$"):
        made(small, path)
    made(small, path)
    assert files(path) == files(whole) and len(before) == 9 + 4


def test_a_full_disk_keeps_what_is_done(small, whole, tmp_path, capfd):
    """A limit on the size of a file in place of a full disk: the first chunk that is larger cannot be written."""
    path = tmp_path / "full.zarr"
    made(small, path)
    shutil.rmtree(path / "jump_beta")
    sizes = [f.stat().st_size for f in (path / "det").rglob("2")]

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (min(sizes), resource.RLIM_INFINITY))
        made(small, path)

    writer = forked(limited)
    writer.join()
    assert writer.exitcode == 1
    said = capfd.readouterr().out.strip().splitlines()
    assert len(said) == 1 and "cannot be written (file too large); what is done stays" in said[0]
    assert not list(path.rglob("*.part"))
    made(small, path)
    assert files(path) == files(whole)


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if sys.platform != "linux" or os.getuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("takes Linux, and somebody who may mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up_on_the_way(small, whole, disk, monkeypatch):
    path, real, before = disk / "full.zarr", workers.computed, []

    def computed(work, ends):
        before.append(ends)
        if len(before) == 4:
            with suppress(OSError), (disk / "other").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        return real(work, ends)

    monkeypatch.setattr(workers, "computed", computed)
    with pytest.raises(OSError, match=r"^path = .*: \S+ cannot be written \(no space left on device\); what is "
                                      r"done stays, and the same call goes on$"):
        made(small, path)
    assert stored(path)[0].status().done == 3 and not list(path.rglob("*.part"))
    (disk / "other").unlink()
    made(small, path)
    assert files(path) == files(whole) and len(before) == 4 + 6


def test_a_folder_that_cannot_be_written(small, copy, whole, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot be written|takes a folder, new or of a slice"):
        made(small, tmp_path / "file" / "x.zarr")
    (copy / "checksum/c/1/1/0").unlink()
    if os.getuid() == 0:
        for folder in (tmp_path, *tmp_path.parents):
            if folder != folder.parent and folder.stat().st_uid == 0 and folder.as_posix() != "/tmp":
                folder.chmod(0o755)
    for folder in [copy, *(f for f in copy.rglob("*") if f.is_dir())]:
        folder.chmod(0o555)

    def nobody():
        if os.getuid() == 0:
            os.setuid(65534)
        made(small, copy)

    writer = forked(nobody)
    writer.join()
    assert writer.exitcode == 1
    said = capfd.readouterr().out.strip().splitlines()
    assert len(said) == 1 and "cannot be written (permission denied)" in said[0]
    for folder in [copy, *(f for f in copy.rglob("*") if f.is_dir())]:
        folder.chmod(0o755)
    made(small, copy)
    assert files(copy) == files(whole)


def test_edges(small, tmp_path):
    """One tile for all; a last tile of one row, to which no jump belongs; a grid of two."""
    for grid, tile in ((5, 26), (9, 4), (2, 2)):
        path = tmp_path / f"{grid}_{tile}.zarr"
        s = made(small, path, grid=grid, tile=tile, steps=2)
        assert all(np.isfinite(s.data[name]).all() for name in s.data.data_vars)
        one = slice_of(small, s.plane, s.levels, features=WORDS["features"])
        np.testing.assert_allclose(s.values("jump_alpha"), one.values("jump_alpha"), rtol=1e-3, atol=1e-4)
        assert stored(path)[0].status().done == (3 if grid == 9 else 1) ** 2
