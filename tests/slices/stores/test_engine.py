"""Engines: the same bits in process and on workers, tiles tried again, one line where it cannot go on."""

import os
import shutil
import subprocess
import sys
import threading
import time
import types
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from distributed.security import Security

from phasebook.models.denoiser import Denoiser
from phasebook.models.sources import ExactSource
from phasebook.slices.plane import Plane
from phasebook.slices.stores import engine, workers
from phasebook.slices.stores.engine import store_slice
from phasebook.slices.stores.reading import open_store
from phasebook.slices.stores.store import stored
from phasebook.slices.stores.workers import EngineError
from phasebook.slices.sweep import slice_of
from tests.slices.stores.small_stores import files, made

ANY = "127.0.0.1:0"
PLANE = Plane.random((2,), seed=0, grid=12)


def source(folder="", pause=0.0):
    """What loads a model of two wells in a worker, and says so in a folder; sent by value, not by name."""
    def load():
        import os
        import time
        from pathlib import Path

        from phasebook.models.denoiser import Denoiser

        if folder:
            Path(folder, str(os.getpid())).touch(exist_ok=False)

        def wells(x, alpha, sigma):
            time.sleep(pause)
            return (x * alpha / sigma**2).tanh()

        return Denoiser((2,), wells, name="wells")
    load.__module__ = "__main__"
    return load


@pytest.fixture(scope="module")
def cluster():
    with workers._quiet(), workers._cluster(2) as cluster:
        yield cluster


def test_workers_start_beside_a_main_module_without_a_specification(monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", types.SimpleNamespace(__name__="__main__"))
    with workers._quiet(), workers._cluster(1) as cluster:
        assert len(cluster.workers) == 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("engines") / "whole.zarr"
    store_slice(source()(), PLANE, 3, path, tile=3)
    return path


def test_workers_give_the_same_bits_and_load_the_model_once(cluster, whole, tmp_path):
    (tmp_path / "loads").mkdir()
    with Client(cluster) as client:
        store_slice(source(str(tmp_path / "loads"), 0.02), PLANE, 3, tmp_path / "there.zarr", tile=3, engine=client)
    assert files(tmp_path / "there.zarr") == files(whole)
    assert len(list((tmp_path / "loads").iterdir())) == 2


def test_a_worker_that_is_killed_loses_nothing_and_is_one_line(cluster, whole, tmp_path, capfd):
    first = next(iter(cluster.workers.values()))
    address, path = first.worker_address, tmp_path / "there.zarr"

    def kill():
        while not (path / "checksum/c").exists():           # a tile is done, and the others are not
            time.sleep(0.005)
        os.kill(first.pid, 9)

    thread = threading.Thread(target=kill)
    thread.start()
    store_slice(source(pause=0.03), PLANE, 3, path, tile=3, engine=cluster.scheduler_address)
    thread.join()
    assert files(path) == files(whole)
    line = f"engine: a worker was lost ({address}); what it had not finished is computed again\n"
    assert capfd.readouterr() == ("", line)


def test_an_error_of_the_arguments_comes_back_from_a_worker(cluster, tmp_path):
    with pytest.raises(ValueError, match="features = 'smell': takes latent"):
        store_slice(source(), PLANE, 3, tmp_path / "x.zarr", features=["smell"], engine=cluster)


def test_a_scheduler_that_is_lost_is_one_line_and_the_same_call_goes_on(monkeypatch, whole, tmp_path):
    monkeypatch.setattr(workers, "LONG", 1.0)
    path = tmp_path / "lost.zarr"
    with workers._quiet(), LocalCluster(n_workers=1, processes=False, dashboard_address=ANY, silence_logs=50) as lost:
        def end():
            while len(list(path.glob("checksum/c/*/*"))) < 3:         # the root stands before the first mark
                time.sleep(0.02)
            lost.close(timeout=5)

        thread = threading.Thread(target=end)
        thread.start()
        with pytest.raises(EngineError, match="^engine: the scheduler was lost; tiles that are done are kept") as error:
            store_slice(source(pause=0.05), PLANE, 3, path, tile=3, engine=lost.scheduler_address)
        thread.join()
    assert "\n" not in str(error.value) and 3 <= stored(path)[0].status().done < 16
    store_slice(source(), PLANE, 3, path, tile=3)
    assert files(path) == files(whole)


@pytest.mark.parametrize("failures, tries, kind", [(2, 3, None), (3, 3, EngineError), (1, 1, EngineError)])
def test_a_tile_that_fails_is_tried_again(small, monkeypatch, tmp_path, failures, tries, kind):
    real, left = workers.computed, [failures]

    def computed(work, ends):
        if ends[0] == 4 and left[0]:
            left[0] -= 1
            raise RuntimeError("CUDA error:\nan illegal memory access")
        return real(work, ends)

    monkeypatch.setattr(workers, "computed", computed)
    if kind is None:
        assert made(small, tmp_path / "x.zarr", tries=tries).measured().tolist() == [0, 1, 2, 3]
        return
    with pytest.raises(kind, match=rf"^tile 1, 0: failed {tries} times \(CUDA error: an illegal memory access\)"):
        made(small, tmp_path / "x.zarr", tries=tries)
    assert stored(tmp_path / "x.zarr")[0].status().done == 3


def test_an_error_of_the_numbers_is_not_tried_again(tmp_path):
    asked = []

    def broken(x, alpha, sigma):
        asked.append(len(x))
        return x / 0 if len(x) == 16 else x

    with pytest.raises(ValueError, match="not finite at step 0"):
        store_slice(Denoiser((2,), broken, name="b"), PLANE, 3, tmp_path / "x.zarr", tile=3)
    assert asked.count(16) == 1


@pytest.mark.parametrize("change, said", [
    ({"engine": "dask"}, "engine = 'dask': takes a model that each worker can load"),
    ({"engine": "tcp://127.0.0.1:1"}, "engine = 'tcp://127.0.0.1:1': takes a model"),
    ({"engine": "foo"}, "engine = 'foo': takes local, dask, an address"),
    ({"engine": None}, "engine = None: takes local"), ({"fields": "atom"}, "fields = 'atom': takes a list of names"),
    ({"tile": 1}, "tile = 1: takes a whole number >= 2"), ({"tries": 0}, "tries = 0"), ({"workers": 0}, "workers = 0"),
    ({"fields": ["smell"]}, "fields = 'smell': takes atom"), ({"fields": {"atom": len}}, "fields = {'atom': .*a list"),
    ({"fields": None}, "fields = None: takes a list of names"),
], ids=str)
def test_refusals(small, tmp_path, change, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        made(small, tmp_path / "x.zarr", **change)
    assert not (tmp_path / "x.zarr").exists()


@pytest.mark.parametrize("name", ["a/b", "../x", "", "zarr.json", "x.part"])
def test_a_field_whose_name_is_no_folders_is_refused(tmp_path, name):
    model = source()()
    model.fields = {name: lambda frame: frame.x0[:, 0]}
    with pytest.raises(ValueError, match="^fields = .*takes names that can be those of folders"):
        store_slice(model, PLANE, 2, tmp_path / "store" / "x.zarr", fields=[name])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [None, 3, b"x.zarr"])
def test_a_place_that_is_none_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="^path = .*: takes the path of a folder, or a URL"):
        store_slice(source(), PLANE, 2, path)
    assert not list(tmp_path.iterdir())


def test_a_source_that_gives_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="^model: the source gives a NoneType; takes a function that loads a model"):
        store_slice(lambda: None, PLANE, 2, tmp_path / "x.zarr")
    with pytest.raises(ValueError, match=r"^source: a function of \(name\); takes a function of \(\)"):
        store_slice(lambda name: None, PLANE, 2, tmp_path / "x.zarr")
    with pytest.raises(ValueError, match=r"^plane: a function of \(shape, grid\); takes a function of \(shape\)"):
        store_slice(source(), lambda shape, grid: PLANE, 2, tmp_path / "x.zarr")


def test_fields_of_any_number_type_are_kept(tmp_path):
    """Truth, brain floats and long doubles: the first was written and could not be read, the others not be written."""
    model = source()()
    half = lambda frame: frame.x0[:, 0].bfloat16()  # noqa: E731
    model.fields = {"right": lambda frame: frame.x0[:, 0] > 0, "half": half,
                    "long": lambda frame: frame.x0[:, 0].numpy().astype(np.longdouble)}
    kept = store_slice(model, PLANE, 2, tmp_path / "x.zarr", fields=list(model.fields), tile=5)
    there = slice_of(model, PLANE, model.levels(2), fields=model.fields)
    for name, kind in (("right", "bool"), ("half", "float32"), ("long", "float64")):
        assert kept.data[name].dtype == there.data[name].dtype == kind
        np.testing.assert_array_equal(kept.data[name], there.data[name])
    (tmp_path / "x.zarr/checksum/c/0/0/0").unlink()
    assert not open_store(tmp_path / "x.zarr").data.right[:, :5, :5].any()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "/nowhere/scheduler.json", "slurm"])
def test_no_scheduler(monkeypatch, tmp_path, address):
    monkeypatch.setattr(workers, "ANSWER", 1)
    with pytest.raises(ValueError, match=rf"^engine = '{address}': (no scheduler answers there|takes local, dask)"):
        store_slice(source(), PLANE, 3, tmp_path / "x.zarr", engine=address)


def test_what_does_not_fit_is_refused(small, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(engine, "free_memory", lambda: 1e3)
    with pytest.raises(ValueError, match="^workers, tile: .*B of memory for 1 at a time; takes what fits into the 1 k"):
        made(small, tmp_path / "x.zarr")
    monkeypatch.undo()
    monkeypatch.setattr("phasebook.slices.stores.files._Folder.free", lambda self: 10.0)
    with pytest.raises(ValueError, match=r"^path = .*B to write; takes a place with as much free, here are 10 B$"):
        made(small, tmp_path / "x.zarr", progress=True)
    assert "9 tiles, 225 points: 900 evaluations" in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.setattr("phasebook.slices.stores.engine.Cost.check", lambda *_: None)
    monkeypatch.setattr(engine, "free_memory", lambda: 1e3)
    with pytest.raises(ValueError, match=r"^read = True: .*B of memory for all of .*; takes False"):
        made(small, tmp_path / "x.zarr")
    assert made(small, tmp_path / "x.zarr", read=False) is None


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("jacobian", ["differences", "jvp"])
def test_the_evaluations_that_are_told_are_those_that_are_made(tmp_path, monkeypatch, jacobian, order):
    asked, told, real = [], [], engine.Cost.check

    def check(cost, *given):
        told.append(cost.calls)
        asked.clear()               # those of the first look
        real(cost, *given)

    def denoise(x, alpha, sigma):
        asked.append(len(x))
        return (x * alpha).tanh()

    monkeypatch.setattr(engine.Cost, "check", check)
    model = Denoiser((2,), denoise, name="counted")
    levels = replace(model.levels(3), order=order)
    store_slice(model, PLANE, levels, tmp_path / "x.zarr", tile=5, jacobian=jacobian)
    assert told == [sum(asked)]


def test_what_cannot_even_be_counted_is_refused(tmp_path):
    with pytest.raises(ValueError, match="^grid, tile = 100000, 26: 14799409 tiles; takes 100000 at most"):
        store_slice(source()(), Plane.random((2,), seed=0, grid=100_000), 3, tmp_path / "x.zarr")
    with pytest.raises(ValueError, match="^workers = 1000000: more than fit into memory; takes "):
        store_slice(source(), PLANE, 3, tmp_path / "x.zarr", engine="dask", workers=1_000_000)
    assert not (tmp_path / "x.zarr").exists()


def test_an_extent_is_the_same_however_it_is_written(tmp_path):
    """Whole numbers and floats are equal, and have another text: all tiles were lost, and done under another hash."""
    path, anchors = tmp_path / "x.zarr", np.array([[0.0, 0], [1, 0], [0, 1]])
    for extent in ((0, 1, -1, 1), (0.0, 1.0, -1.0, 1.0)):
        s = store_slice(source(), Plane(anchors, extent, 5, False), 2, path, tile=3)
        assert np.isfinite(s.values("E")).all()
        assert stored(path)[0].status().done == 4


def test_the_store_of_a_source_with_options_goes_on(tmp_path):
    """Options of a source have an order of their own, which is not that of the text in the store."""
    for _ in range(2):
        s = store_slice(ExactSource("families", 8), partial(Plane.random, seed=1, grid=3), 2, tmp_path / "x.zarr")
    assert np.isfinite(s.values("E")).all()


@pytest.mark.parametrize("dtype, normalise", [(np.uint8, False), (np.longdouble, np.bool_(True))])
def test_planes_of_any_number_type_are_kept(tmp_path, dtype, normalise):
    plane = Plane(np.array([[0, 0], [1, 3], [5, 1]], dtype=dtype), (0.1, 1, 0.1, 1), 4, normalise)
    kept = store_slice(source(), plane, 2, tmp_path / "x.zarr")
    assert kept.data.identical(open_store(tmp_path / "x.zarr").data) and np.isfinite(kept.values("E")).all()


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"address": 5}'])
def test_a_file_that_names_no_scheduler_is_one_line(tmp_path, text):
    (tmp_path / "s.json").write_bytes(text)
    with pytest.raises(ValueError, match=r"^engine = '.*s.json': no scheduler answers there \(\w+\)$"):
        store_slice(source(), PLANE, 2, tmp_path / "x.zarr", engine=str(tmp_path / "s.json"))
    assert not (tmp_path / "x.zarr").exists()


@pytest.mark.parametrize("scheme", ["tls", "tcp"])
def test_what_answers_and_is_no_scheduler_is_one_line(tmp_path, monkeypatch, scheme):
    """A web page, such as dask's own of its workers."""
    monkeypatch.setattr(workers, "ANSWER", 1)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(ValueError, match=r"^engine = '.*': no scheduler answers there \(\w+\)$"):
        store_slice(source(), PLANE, 2, tmp_path / "x.zarr", engine=f"{scheme}://127.0.0.1:{server.server_port}")
    server.shutdown()


def test_a_scheduler_without_workers_is_waited_for_in_words(capsys):
    workers._Dask(types.SimpleNamespace(nthreads=dict), 1, False)
    assert capsys.readouterr().err == "engine: the scheduler has no workers yet, and is waited for\n"


def test_threads_that_no_worker_can_have_are_refused(tmp_path):
    with pytest.raises(ValueError, match="^threads = 10000: takes a whole number from 1 to 256$"):
        store_slice(source(), PLANE, 2, tmp_path / "x.zarr", threads=10_000)


def test_a_scheduler_with_certificates_is_asked_with_those_of_dasks_configuration(tmp_path):
    openssl = shutil.which("openssl") or pytest.skip("there is no openssl, which makes a certificate")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    tls = {f"{who}.{what}": str(file) for who in ("client", "scheduler", "worker")
           for what, file in (("key", key), ("cert", cert))}
    with workers._quiet(), dask.config.set({f"distributed.comm.tls.{k}": v for k, v in tls.items()} |
                                           {"distributed.comm.tls.ca-file": str(cert)}):
        with LocalCluster(n_workers=0, host="tls://127.0.0.1", security=Security(), dashboard_address=ANY) as cluster:
            with workers._connected(Client, cluster.scheduler_address) as client:
                assert client.scheduler.address.startswith("tls://")
