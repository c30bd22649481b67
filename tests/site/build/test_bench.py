"""The benchmarks run as `phasebook bench` runs them; the slice's at a small size."""

import importlib.util
import json

import numpy as np
import pytest

from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.site.build import bench, runner

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


def test_a_target_is_one_that_a_number_could_miss():
    """A share of at least nothing, or at most all, is kept by whatever comes out."""
    place = runner.root() / "benchmarks" / "results" / "cpu.json"
    targets = {row["target"] for row in json.loads(place.read_text())["rows"]} - {""}
    assert targets and all(float(target.split()[1]) > 0 for target in targets)


def test_adaptive_rows_at_small_sizes(monkeypatch, tmp_path):
    """Rows that compare: the exponents are of the evaluations, and Learner2D's area is over ours."""
    adaptive = loaded(runner.root() / "benchmarks" / "adaptive_slice.py")
    monkeypatch.setattr(adaptive, "TABLES", tmp_path)
    model = ExactModel.of(load_images("families", 8))
    exact = adaptive.Subject(model, model.levels(50), model.features["pixels"])
    fitted, local = adaptive._exponents(exact, (17, 33), (6, 7))
    assert 0.5 < fitted["ratio"] <= local["ratio"] + 1e-9 < 2 and len(fitted["curve"]["evaluations"]) == 2
    assert next(iter(fitted["curve"])) == "grid, adaptive"              # the panel "grid" is that of every point
    assert adaptive._fine(exact, 6, 17)["ratio"] > 0.9
    for row in adaptive._learner(exact, (6,), 17):
        assert row["target"] == "<= 1" and 0 < row["ratio"] < 2
    student = adaptive.one_set(adaptive.subject("student"), 6, 5, tmp_path / "student.npy", np.inf)
    assert student["share"] == student["same"] == 1                     # so few points are their own coarse grid
    row = adaptive._against_calls("icons-unet-a", 5, calls=1)
    assert row["ratio"] == row["peer_s"] / row["ours_s"] > 0 and "1.000 of the points" in row["detail"]


def test_targets_are_read():
    assert bench.holds(16, ">= 15") and not bench.holds(14, ">= 15 x on 2 cores")
    assert bench.holds(4e-4, "<= 5e-4") and bench.holds(1, "") is None


def test_rows_are_kept_beside_the_yardstick_and_shown(tmp_path):
    file = tmp_path / "quick.py"
    row = {"name": "a row", "ours_s": 1.0, "peer_s": 2.0, "ratio": 2.0, "target": ">= 3", "detail": "",
           "curve": {"grid": [1, 2], "seconds": [0.1, 0.2]}}
    file.write_text(f"def rows():\n    return [{row!r}]\n")
    rows = bench.measure(file)
    assert rows[0]["holds"] is False and min(rows[0]["gflops"]) > 0
    place = bench.record(tmp_path / "results")
    for found in (rows, [{**rows[0], "benchmark": "another"}], rows):       # replaced, not added
        bench.write(found, place)
    text = bench.page(place)
    assert text.count("a row") == 2 and "**no**" in text
    assert "a row: 2 where the target is ≥ 3, 0.67 times the bound" in bench.short(place)
    assert bench.curves(place) == {"grid": ([1, 2], [0.1, 0.2]), "grid (quick)": ([1, 2], [0.1, 0.2])}


def test_numbers_of_a_row_are_set_as_its_target_is(tmp_path):
    place = tmp_path / "cpu.json"
    bench.write([{"name": "one, 9 x 9 x 5", "benchmark": "b", "ours_s": 7.826e-6, "peer_s": 4854.7,
                  "ratio": 1.0152e-7, "target": ">= 5e-4", "detail": "by 1.6e-05: not the same", "gflops": [1.0, 1.0],
                  "holds": False}], place)
    row = "| one, 9 × 9 × 5 | 7.83·10⁻⁶ | 4855 | 1.02·10⁻⁷ | ≥\u00a05·10⁻⁴ |"
    assert row in bench.page(place) and "by 1.6·10⁻⁵: not the same" in bench.short(place)


@pytest.mark.parametrize("text", ['{"rows": [', "[]", "{}", "7"])
def test_a_record_that_cannot_be_read_is_one_line_before_anything_is_timed(house, phasebook, capsys, text):
    place = house / "benchmarks" / "results" / "cpu.json"
    place.parent.mkdir(parents=True)
    place.write_text(text)
    (house / "benchmarks" / "quick.py").write_text("def rows():\n    raise AssertionError\n")
    assert phasebook("bench", "quick") == 2
    said = capsys.readouterr().err
    assert "cpu.json: holds no rows" in said and said.count("\n") == 1 and place.read_text() == text


def test_the_page_of_what_is_on_record_times_nothing(house, phasebook, capsys):
    (house / "benchmarks").mkdir(exist_ok=True)
    (house / "benchmarks" / "quick.py").write_text("def rows():\n    raise AssertionError\n")
    bench.write([{"name": "a row", "benchmark": "quick", "ours_s": 1.0, "peer_s": 2.0, "ratio": 2.0, "target": "",
                  "detail": "", "gflops": [1.0, 1.0], "holds": None}], bench.record(house / "benchmarks" / "results"))
    assert phasebook("bench", "--page") == 0 and capsys.readouterr().out.count("a row") == 1
    assert phasebook("bench", "quick", "--page") == 2
    assert capsys.readouterr().err == "phasebook: NAME = 'quick': --page times nothing, and shows all rows on record\n"


def test_a_full_disk_keeps_the_old_record(tmp_path):
    resource = pytest.importorskip("resource")
    place = bench.record(tmp_path)
    bench.write([{"benchmark": "quick"}], place)
    before, (soft, hard) = place.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with pytest.raises(OSError):
            bench.write([{"benchmark": "another"}], place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert place.read_bytes() == before and list(tmp_path.iterdir()) == [place]


def test_the_page_on_speed_shows_what_is_on_record(tmp_path, monkeypatch):
    extension = loaded(runner.root() / "book" / "_ext" / "phasebook_bench.py")
    monkeypatch.setattr(extension, "root", lambda: tmp_path)
    row = {"name": "a row", "ours_s": 1.0, "peer_s": 2.0, "ratio": 2.0, "target": ">= 1", "holds": True, "detail": "",
           "gflops": [9, 9], "benchmark": "quick", "curve": {"grid": [1, 2], "seconds": [0.1, 0.2]}}
    bench.write([row], tmp_path / "benchmarks" / "results" / "cpu.json")
    source = [(runner.root() / "book" / "speed.md").read_text(encoding="utf-8")]
    extension.fill(None, extension.PAGE, source)
    assert not extension.MARK.search(source[0]) and "| a row | 1 | 2 | 2 | ≥\u00a01 | yes |" in source[0]
    assert "```{raw} html\n<div" in source[0] and "on logarithmic axes: grid" in source[0]
    assert "Every row on record keeps to its target" in source[0] and "(`cuda.json`)" in source[0]


def test_the_grid_on_record_is_that_of_every_point_and_an_adaptive_one_says_so():
    shown = bench.curves(runner.root() / "benchmarks" / "results" / "cpu.json")
    grid, took = shown["grid"]
    assert np.polyfit(np.log(grid), np.log(took), 1)[0] > 1.5 and "grid, adaptive" in shown


def test_rows_of_a_graphics_card_at_tiny_sizes_without_one():
    """The code of the rows that need a CUDA device runs; what it measures here means nothing."""
    sizes = loaded(runner.root() / "benchmarks" / "stable_diffusion_sizes.py")
    unet = {"sample_size": 8, "cross_attention_dim": 8, "attention_head_dim": 8, "block_out_channels": (32, 32),
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "layers_per_block": 1}
    rows = sizes.rows("cpu", unet, (1, 2), 64, ((32,) * 4, (8,) * 4))
    assert len(rows) == 7 and all(row["ratio"] > 0 for row in rows)
    assert sum("bfloat16" in row["name"] for row in rows) == 3


def test_sparse_and_transport_at_small_sizes():
    small = loaded(runner.root() / "benchmarks" / "sparse_sweep.py").rows((40,), 100, 3, 1)
    maps = loaded(runner.root() / "benchmarks" / "transport_maps.py").rows(16, 50, 1)
    assert small[0]["ratio"] > 0 and maps[2]["ratio"] <= 1e-10
