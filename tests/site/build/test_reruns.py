"""The page of worked reruns: each of its commands is given as it stands, at a small size, and does what the page says.

Chapters run in this process and not in a kernel of their own, which a test of the runner does elsewhere; only the sweep
by papermill starts kernels.
"""

import copy
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from PIL import Image

import phasebook.site.chapters as room
from phasebook.site.build import runner
from phasebook.site.results.ledger import Results
from tests.builders import build
from tests.conftest import REPLAYED

REAL = runner.root()
TEXT = (REAL / "book" / "reruns.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\d+)\..*?```bash\n(.*?)```", TEXT, re.M | re.S))
SMALL = {"11": "-p grid 7 -p steps 6 -p sets 2 -p sets_grid 5 -p resolution 8 -p norms [12.8] -p null_images 50",
         "8": "--grid 5 --steps 3"}


def here(notebook, name, changes, progress, threads=None, nursery=None):
    """Stands in for `execution.execute`: the cells one after another, the last one's outputs kept."""
    book = copy.deepcopy(notebook)
    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    for cell in (c for c in book.cells if c.cell_type == "code"):
        with capture_output() as said:
            shell.run_cell(cell.source).raise_error()
        if "parameters" in cell.metadata.get("tags", []):
            shell.push(dict(changes))
        cell.outputs = [nbformat.v4.new_output("display_data", dict(o.data)) for o in said.outputs]
    return book


@pytest.fixture
def at_work(tmp_path, monkeypatch):
    """A working directory with what the page takes for granted; results are not looked for in the book."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "execute", here)
    (tmp_path / "pictures" / "round").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(12):
        place = tmp_path / "pictures" / ("round" if k % 2 else ".") / f"{k}.png"
        Image.fromarray(rng.integers(0, 255, (9 + k, 20, 3), dtype=np.uint8)).save(place)
    yield tmp_path
    InteractiveShell.clear_instance()


def commands(number: str) -> list[list[str]]:
    """The commands of a section, split as a shell does."""
    return [shlex.split(line) for line in SECTIONS[number].splitlines()]


def results(folder) -> Results:
    [file] = Path(folder).glob("*.results.json")
    return Results.model_validate_json(file.read_text(encoding="utf-8"))


def small(command: list[str]) -> list[str]:
    """A `phasebook run` with the parameters of the smoke profile, or smaller ones; the command's own win."""
    assert command[0] == "phasebook"
    less = shlex.split(SMALL.get(command[2], "")) if command[1] == "run" else []
    own = [command[i + 1] for i, word in enumerate(command) if word == "-p"]
    pairs = [less[i:i + 3] for i in range(0, len(less), 3)]
    kept = [word for pair in pairs if pair[1] not in own for word in pair]
    return [*command[1:3], *(["--profile", "smoke"] if command[1] == "run" else []), *kept, *command[3:]]


def test_there_are_ten():
    assert list(SECTIONS) == [str(n) for n in range(1, 11)]


def test_pictures_schedule_and_their_comparison(at_work, phasebook, capsys):
    [pictures] = commands("1")
    (at_work / "pictures" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    assert phasebook(*small(pictures)) == 2
    assert "broken.jpg" in capsys.readouterr().err and not (at_work / "out").exists()
    (at_work / "pictures" / "broken.jpg").unlink()
    assert phasebook(*small(pictures)) == 0
    assert results("out/pictures").parameters["image_set"] == "pictures"
    schedule, compare = commands("5")
    assert phasebook(*small(schedule)) == 0 and phasebook(*small(compare)) == 0
    page = (at_work / "out" / "schedules.html").read_text(encoding="utf-8")
    assert "<code>schedule</code>" in page and "<code>slice.plateau_at_rest</code>" in page


def test_a_mixture(at_work, phasebook):
    [mixture] = commands("2")
    assert phasebook(*small(mixture)) == 0
    assert {c.verdict for c in results("out/mixture").claims if c.id.startswith("heat.line")} == {"holds"}


def test_anchors_and_digits(at_work, phasebook):
    python, anchors = commands("3")
    python[-1] = python[-1].replace("64, 64", "8, 8")
    subprocess.run([sys.executable, *python[1:]], check=True)
    assert phasebook(*small(anchors)) == 0
    assert results("out/anchors").parameters["extent"] == [-0.5, 1.5, -0.5, 1.5]
    [digits] = commands("4")
    assert phasebook(*small(digits), "-p", "null_images", "100") == 0
    assert results("out/digits").parameters["image_set"] == "digits"


@pytest.mark.slow
def test_a_sweep_by_papermill(at_work, phasebook, installed):
    loop, compare = SECTIONS["6"].splitlines()
    loop = loop.replace("notebooks/", f"{REAL}/notebooks/").replace(
        "-p jump", f"-f {REAL}/notebooks/params/smoke/02.yaml -p jump")
    (at_work / "out").mkdir()
    subprocess.run(["bash", "-ec", loop], check=True, env=installed, capture_output=True)
    runs = sorted(map(str, Path("out").glob("mass-*.ipynb")))
    assert phasebook("compare", *runs, *shlex.split(compare)[-2:]) == 0
    page = (at_work / "out" / "masses.html").read_text(encoding="utf-8")
    assert "<code>jump_left_mass</code></td><td>0.1</td><td>0.3</td>" in page
    assert page.count("✓ holds") >= 2 * 4 and "mass-0.3" in page


def test_a_model(at_work, phasebook):
    [model] = commands("7")
    shutil.move(build(at_work / "made"), at_work / "my-pipeline")
    assert phasebook(*small(model)) == 0
    assert any(c.id.endswith(".my_pipeline") for c in results("out/model").claims)


def test_a_store_resumed(at_work, phasebook, capsys):
    made, again, status = commands("8")
    less = SMALL["8"].split()
    for command in (made, again):
        assert command[5:] == ["--grid", "201", "--steps", "50"]
        assert phasebook(*command[1:5], *less) == 0
    assert phasebook(*status[1:]) == 0
    assert "1 of 1" in capsys.readouterr().out


def test_a_chapter_from_the_template(at_work, phasebook, house, monkeypatch, capsys):
    """In a toy house with a folder of chapters of its own."""
    (house / "src").unlink()
    folder = house / "src" / "phasebook" / "site" / "chapters"
    folder.mkdir(parents=True)
    (house / "_toc.yml").write_text("parts:\n  - chapters:\n      - file: book/chapters/01_toy\n")
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(folder)])
    made, ran = commands("10")
    assert phasebook(*made[1:]) == 0
    written = capsys.readouterr().out.split()
    assert len(written) == 5 and all(Path(file).is_file() for file in written)
    assert (house / "_toc.yml").read_text().endswith("01_toy\n      - file: book/chapters/02_sample_means\n")
    assert phasebook(*ran[1:]) == 0
    [claim] = results("out/own").claims
    assert claim.id == "sample.order" and claim.verdict == "holds"
    assert phasebook(*made[1:]) == 2 and "there is a file" in capsys.readouterr().err
    assert phasebook("new", "Sample") == 2 and "takes small letters" in capsys.readouterr().err


def test_the_check_by_nbval_names_a_notebook_that_is_there():
    [words] = commands("9")
    assert (REAL / words[-1]).is_file() and words[:3] == ["pytest", "--nbval-lax", "--nbval-current-env"]
    assert Path(words[-1]).stem in REPLAYED          # `make test` gives it
