"""The benchmarks run as `phasebook bench` runs them; the slice's at a small size."""

import importlib.util

import pytest

from phasebook.site.build import runner

FILES = sorted((runner.root() / "benchmarks").glob("*.py"))


def loaded(file):
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_every_benchmark_has_rows(file):
    assert callable(loaded(file).rows)


def test_slice_benchmark_at_a_small_size():
    found = loaded(runner.root() / "benchmarks" / "exact_slice.py").rows(8, grid=9, steps=3, points=9, times=1)
    assert len(found) == 4
    for row in found:
        assert row["ours_s"] > 0 and row["peer_s"] > 0 and row["ratio"] > 0 and row["target"].startswith(">=")
