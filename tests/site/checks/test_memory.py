"""What a run will keep in memory is estimated from above, and refused where it is not free."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from phasebook.models.assets import asset
from phasebook.site.build import runner
from phasebook.site.checks import memory
from phasebook.site.checks.memory import KERNEL, bytes_of_exact, check_memory, named, stated
from phasebook.site.checks.models import memory_of_network
from phasebook.site.checks.parameters import ParameterError

RING = [[math.cos(k), math.sin(k)] for k in range(200)]


def refusal(chapter: str, changes: dict) -> str:
    with pytest.raises(ParameterError) as error:
        source = next(source for source in runner.chapters() if source.stem[3:] == chapter)
        runner.check(source, runner.profile("smoke", source) | changes)
    message = str(error.value)
    assert "\n" not in message and len(message) < 400
    return message


@pytest.mark.parametrize("chapter, changes, free", [
    ("phase_boundaries", {"image_set": "emoji", "resolution": 256}, 3e9),
    ("ridges_and_resolution", {"image_set": "emoji", "resolution": 256}, 3e9),
    ("hierarchy", {"models": ["exact"], "grid": 9, "steps": 9, "starts": 40, "image_set": "emoji", "resolution": 256},
     3e9),
    ("phase_boundaries", {"sets": 200, "sets_grid": 201, "steps": 500}, 64e9),
    ("phase_boundaries", {"grid": 101, "steps": 400, "sets": 18, "sets_grid": 17, "resolution": 64,
                          "norms": [12.8, 6.4, 25.6, 110.9]}, 2.68e9),      # what it takes, measured
    ("ridges_and_resolution", {"refined_grid": 301}, 4.12e9),       # likewise
    ("ridges_and_resolution", {"grid": 1001, "steps": 40, "jacobian": "exact"}, 6.9e9),     # likewise
    ("network_and_data", {"sets": 200, "sets_grid": 201, "steps": 500}, 64e9),
    ("hierarchy", {"grid": [501, 9], "slices": 200, "steps": [500, 9]}, 64e9),
    ("hierarchy", {"models": ["exact"], "slices": 200, "image_set": "emoji", "starts": [40], "grid": [9], "steps": [9]},
     6.5e9),                                                                                # a cloud for each
    ("hierarchy", {"starts": [5000, 24], "steps": [500, 9]}, 64e9),
    ("edits", {"pairs": [2000, 4], "steps": [500, 4], "k_values": []}, 8e9),
    ("edits", {"pairs": [1000, 4], "steps": [50, 4], "k_values": [[], [0, 2]]}, 4.9e9),     # what it takes, measured
    ("edits", {"pairs": [600, 4], "steps": [200, 4], "k_values": [[0, 100], [0, 2]]}, 5.8e9),
    ("hierarchy", {"models": ["exact"], "starts": [4000], "steps": [50], "grid": [41]}, 10.1e9),    # likewise
    ("hierarchy", {"models": ["exact"], "slices": 2, "grid": [501], "steps": [4], "starts": [16]}, 3.1e9),  # likewise
    ("one_dimension", {"images": "icons"}, 1e9),
    ("one_dimension", {"images": "icons"}, 9.5e9),      # likewise
    ("one_dimension", {"clones": 1_000_000}, 2e9),
    ("plane_chain", {"links": [*range(117, 129)]}, 3e9),
    ("singular_sets", {"n_samples": 20_000, "half_necks": [k / 40 for k in range(40)],
                       "cassini_ratios": [0.5 + k / 40 for k in range(40)]}, 3e9),
    ("spacetime", {"triples": 1_000_000}, 1.5e9),
    ("complexity_and_drift", {"tree_branches": 6, "tree_depth": 4, "tree_dimension": 512}, 2.6e9),
    ("complexity_and_drift", {"grid": 400, "atoms": RING, "atom_weights": [0.005] * 200}, 7e9),
    ("spacetime_of_images", {"pairs": 200, "curve_points": 129}, 4e9),
    ("transition_paths", {"paths": 2000, "curve_points": 4096, "samples": 10_000_000}, 2e9),
    ("transition_paths", {"paths": 2000, "curve_points": 4096}, 3.7e9),     # likewise
    ("network_and_data", {"views": 16, "trained_on": "icons a"}, 4e9),
    ("same_basins", {"views": 16, "data": ["icons b"]}, 4e9),
    ("same_basins", {"sets": 200, "sets_grid": 201}, 16e9),
    ("temporal_transitions", {"samples": 100_000, "image_set": "emoji"}, 8e9),
    ("temporal_transitions", {"factor_sets": 1}, 3e9),
    ("temporal_transitions", {"views": 16, "trained_on": "icons a"}, 4e9),
    ("few_steps", {"seeds": 200, "paths": 65536}, 16e9),
    ("few_steps", {"seeds": 200, "grid": 201, "steps_teacher": 200}, 16e9),
    ("few_steps", {"network_planes": 1}, 3e9),          # likewise
    ("few_steps", {"network_planes": 40, "network_grid": 101}, 64e9),
    ("few_steps", {"pictures": 40, "width_emoji": 48, "seeds": 20, "paths": 64, "grid": 5}, 4.3e9),
    ("few_steps", {"pictures": 40, "width_emoji": 18, "layers": ["mlp", "icnn"], "steps_student": [1], "seeds": 100,
                   "paths": 32768}, 6.9e9),     # places in 39 dimensions and distances to 40 pictures
    ("spacetime", {"images": "icons"}, 1.4e9),
    ("network_and_data", {"batch": 4096}, 16e9),
    ("spacetime_of_images", {"batch": 4096}, 16e9),
    ("spacetime_of_images", {"pictures": "icons a", "batch": 1}, 2.9e9),      # likewise
    ("spacetime_of_images", {"pairs": 200, "curve_points": 5, "fine_pairs": 200, "fine_points": 129}, 5e9),
], ids=str)
def test_more_than_is_free_is_refused(monkeypatch, chapter, changes, free):
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    said = refusal(chapter, changes)
    assert re.search(r"about [\d.e+]+ GB of memory; takes what fits into the [\d.]+ GB that are free", said)
    assert any(name in said for name in changes) or "image_set" in said


@pytest.mark.parametrize("chapter, changes, free", [
    ("few_steps", {"network_planes": 40, "network_grid": 6, "starts": 400}, 4.3e9),
    ("spacetime_of_images", {"pairs": 60, "curve_points": 33, "fine_pairs": 60, "fine_points": 129}, 5.6e9),
    ("complexity_and_drift", {"tree_branches": 2, "tree_depth": 7, "tree_dimension": 512}, 2.45e9),
    ("complexity_and_drift", {"tree_branches": 6, "tree_depth": 4, "tree_dimension": 512}, 2.8e9),      # takes 2.2
], ids=str)
def test_what_fits_is_not_refused(monkeypatch, chapter, changes, free):
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    source = next(source for source in runner.chapters() if source.stem[3:] == chapter)
    runner.check(source, runner.profile("smoke", source) | changes)


def test_the_line_names_the_largest_part_and_what_all_need(monkeypatch):
    parts = {named(batch=3): 1e9, named(grid=9, steps=5): 3e9}
    monkeypatch.setattr(memory, "free_memory", lambda: stated(parts) - 1)
    with pytest.raises(ValueError, match=r"^grid, steps = 9, 5: about [\d.]+ GB of memory; takes what fits into the"):
        check_memory(parts)
    monkeypatch.setattr(memory, "free_memory", lambda: stated(parts))
    check_memory(parts)


def test_layers_that_answer_side_by_side_are_counted_together(monkeypatch):
    source, parts = next(source for source in runner.chapters() if source.stem[3:] == "few_steps"), []
    monkeypatch.setattr(memory, "free_memory", lambda: float("inf"))
    for threads in (1, 6):          # paths of eight seeds took 0.75 GB on one, 2 GB on six
        monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
        parts.append(runner.check(source, runner.profile("smoke", source) | {"paths": 32768, "seeds": 8}).memory())
    one, six = (part[named(seeds=8, paths=32768)] for part in parts)
    assert one > 0.75e9 and 2e9 < six < 5e9


@pytest.mark.parametrize("chapter, changes", [("hierarchy", {"compared": ["digits", "icons"], "starts": [400, 8]}),
                                              ("temporal_transitions", {"samples": 20_000}),
                                              ("same_basins", {"views": 4})])
def test_parts_that_fit_one_by_one_are_refused_together(monkeypatch, chapter, changes):
    source = next(source for source in runner.chapters() if source.stem[3:] == chapter)
    monkeypatch.setattr(memory, "free_memory", lambda: float("inf"))
    parts = runner.check(source, runner.profile("smoke", source) | changes).memory()
    assert max(parts.values()) < 0.9 * sum(parts.values())
    monkeypatch.setattr(memory, "free_memory", lambda: stated({}) + 1.05 * max(parts.values()))
    assert "GB of memory" in refusal(chapter, changes)


def test_weights_of_a_network_are_counted_as_their_files_say():
    numbers = 0
    for file in asset("icons-unet-a").glob("*/*.safetensors"):
        with safe_open(file, "pt") as held:
            numbers += sum(math.prod(held.get_slice(key).get_shape()) for key in held.keys())
    for dtype, width in (("float32", 4), ("bfloat16", 2)):
        found, = memory_of_network("icons-unet-a", dtype=dtype).values()
        assert found == pytest.approx((width + 4) * numbers, rel=1e-3)
    assert memory_of_network("somebody/model") == {}                # a hub id that is not here


PEAK = """
from pathlib import Path
from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import load_images
model = ExactModel.of(load_images("digits", 64))
model.gram
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak is read from /proc")
def test_the_peak_of_an_exact_model_is_below_the_estimate():
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert 1024 * float(done.stdout) < KERNEL + bytes_of_exact(1797, 64)
