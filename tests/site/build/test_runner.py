"""The runner: parameters before anything, whole files or none, nothing twice. Chapters here are toys in a toy house."""

import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

from phasebook.site.build import cache, runner
from phasebook.site.checks.memory import KERNEL, RUNNER
from phasebook.site.checks.parameters import ParameterError, Parameters
from phasebook.site.results.ledger import Results


def test_run_writes_notebook_and_results(house, phasebook, tmp_path):
    out = tmp_path / "out"
    assert phasebook("run", "1", "-p", "factor", "5", "-p", "rows", "[1, 2]", "-o", out) == 0
    results = Results.model_validate_json((out / "01_toy.results.json").read_text())
    assert results.numbers["product"].value == 10
    assert results.parameters == {"factor": 5, "path": "", "rows": [1.0, 2.0]}
    assert [c.verdict for c in results.claims] == ["holds"]
    notebook = nbformat.read(out / "01_toy.ipynb", as_version=4)
    injected = [c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert len(injected) == 1 and "hide-input" in injected[0].metadata.tags
    assert "papermill" not in notebook.metadata and str(tmp_path) not in nbformat.writes(notebook)
    assert sorted(f.name for f in out.iterdir()) == ["01_toy.ipynb", "01_toy.results.json"]


def test_a_bad_file_of_claims_is_one_line(house, phasebook, tmp_path, capsys):
    file = house / "notebooks" / "claims" / "01_toy.yaml"
    file.write_text(file.read_text().replace("bound:", "bund:"))
    assert phasebook("run", "01_toy", "-o", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "notebooks/claims/01_toy.yaml: " in said and said.count("\n") == 1 and not (tmp_path / "out").exists()


def test_nothing_runs_twice_until_something_changes(house, phasebook, tmp_path, monkeypatch, capsys):
    out, image = tmp_path / "out", tmp_path / "image.npy"
    image.write_text("one")
    arguments = ("run", "01_toy", "-p", "path", image, "-o", out)

    def stop(*_):
        raise runner.ChapterError("would run")

    def runs() -> bool:
        code, said = phasebook(*arguments), capsys.readouterr()
        assert "unchanged" in said.out if code == 0 else "would run" in said.err
        return code != 0

    assert phasebook(*arguments) == 0
    capsys.readouterr()
    monkeypatch.setattr(runner, "execute", stop)
    assert not runs()
    for file, old, new in (
        (image, "one", "two"),
        (house / "assets" / "a.txt", "a", "b"),
        (house / "requirements.lock", "numpy==1", "numpy==2"),
        (house / "notebooks" / "01_toy.py", "time.sleep(60", "time.sleep(61"),
        (house / "notebooks" / "claims" / "01_toy.yaml", "Twice", "Two times"),
        (out / "01_toy.ipynb", '"value": 4', '"value": 5'),                 # an edited output is not published
        (out / "01_toy.ipynb", "time.sleep(60", "time.sleep(61"),
        (out / "01_toy.results.json", '"value": 4', '"value": 5'),
    ):
        whole = file.read_text()
        assert old in whole
        file.write_text(whole.replace(old, new))
        assert runs(), file.name
        file.write_text(whole)
        assert not runs(), file.name
    (out / "01_toy.results.json").unlink()
    assert runs()


def test_two_runs_give_the_same_bytes_wherever_they_are(house, phasebook, tmp_path, monkeypatch):
    found = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        assert phasebook("run", "1", "-p", "factor", "4", "-o", "out") == 0
        found.append({f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in Path("out").iterdir()})
    assert found[0] == found[1] and len(found[0]) == 2


def test_bad_parameters_are_refused_before_the_files_they_name_are_read(house, phasebook, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert phasebook("run", "1", "-o", out) == 0
    monkeypatch.setattr(cache, "cache_key", lambda *_: pytest.fail("read what the parameters name"))
    assert phasebook("run", "1", "-p", "factor", "0", "-p", "path", "/", "-o", out) == 2
    assert phasebook("run", "1", "-p", "factor", "0", "-p", "path", "/", "-o", tmp_path / "other") == 2


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "7"], "CHAPTER = '7': no such chapter; known are 01_toy"),
        (["run", "1", "-p", "factr", "3"], "factr = 3: unknown parameter .did you mean factor..; known are factor"),
        (["run", "1", "-p", "factor", "0"], "factor = 0: .* takes an integer >= 1"),
        (["run", "1", "-p", "factor", "many"], "factor = 'many': .*takes an integer"),
        (["run", "1", "-p", "factor", "2.5"], "factor = 2.5: .*takes an integer"),
        (["run", "1", "-p", "factor", "9" * 5000], "factor = inf: .*takes an integer"),
        (["run", "1", "-p", "rows", "[1, null]"], r"rows\[1\] = None"),
        (["run", "1", "-p", "rows", "[NaN]"], r"rows\[0\] = nan"),
        (["run", "1", "-p", "rows", "[1,"], r"rows = '\[1,'"),
        (["run", "1", "-p", "rows", "[" * 9999 + "]" * 9999], r"rows = '\[\[.*text is not accepted"),
        (["run", "1", "-p", "rows", f"[{'9' * 5000}]"], r"rows = '\[999.*text is not accepted"),
        (["run", "1", "-p", "path", "caf\udce9"], r"path = 'caf\\udce9': holds characters that are not text"),
        (["run", "1", "-p", "factor"], "expected 2 arguments"),
        (["run", "1", "-f", "absent.yaml"], "-f absent.yaml: cannot be read"),
        (["run", "1", "--profile", "huge"], "profile = 'huge': no such profile; known are default, smoke"),
        (["run", "1", "--profile", "../.."], "profile = '../..': no such profile; known are default, smoke"),
        (["run"], "CHAPTER"),
        (["paint"], "invalid choice: 'paint'"),
        (["train", "clip", "--steps", "9" * 5000], "invalid int value: '999"),
        (["bench", "nothing"], "NAME = 'nothing': no such benchmark"),
        (["train", "clip", "--threads", "0"], "threads = 0: takes a number of cores from 1 to"),
        *[(["run", "1", "-p", name, "7"], f"{name} = 7: unknown parameter")
          for name in ("In", "Out", "Chapter", "_x", "exit", "globals", "p", "ledger", "__name__", "open")],
    ],
    ids=lambda v: re.sub(r"\W+", "_", str(v))[:50],
)
def test_bad_input_is_one_line_and_exit_code_2(house, phasebook, tmp_path, capsys, arguments, line):
    out = tmp_path / "out"
    if arguments[0] == "run" and len(arguments) > 1:
        arguments = [*arguments, "-o", out]
    assert phasebook(*arguments) == 2
    said = capsys.readouterr().err
    assert re.search(line, said) and said.count("\n") == 1 and len(said) < 400
    assert not out.exists()


@pytest.mark.parametrize("name", ["file/below", "x" * 300])
def test_an_unusable_folder_is_one_line(house, phasebook, tmp_path, capsys, name):
    (tmp_path / "file").write_text("")
    assert phasebook("run", "1", "-o", tmp_path / name) == 2
    said = capsys.readouterr().err
    assert "cannot be written" in said and said.count("\n") == 1


def test_command_line_wins_over_file_over_profile(house, phasebook, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("factor: 5\nrows: [4]\n")
    arguments = ["run", "1", "--profile", "smoke", "-f", file, "-p", "factor", "7", "-p", "path", "5", "-o", tmp_path]
    assert phasebook(*arguments) == 0
    found = json.loads((tmp_path / "01_toy.results.json").read_text())["parameters"]
    assert found == {"factor": 7, "rows": [4.0], "path": "5"}        # a number given for text is text


@pytest.mark.parametrize(("given", "taken"), [("5", "5"), ("007", "007"), ("1e5", "1e5"), ("true", "true"),
                                              ("None", "None"), ("nan", "nan")])
def test_digits_given_for_text_are_text(house, phasebook, tmp_path, monkeypatch, given, taken):
    changes = {}

    def run(source, found, out, progress, say):
        changes.update(found)
        return runner.Run(out, out, 0.0)

    monkeypatch.setattr(runner, "run", run)
    assert phasebook("run", "1", "-p", "path", given, "-p", "factor", "7", "-o", tmp_path) == 0
    assert changes == {"path": taken, "factor": 7}


def test_a_run_says_what_memory_it_takes_before_its_files_are_there(house, phasebook, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Parameters, "memory", lambda chosen: {"factor": 1e9 * chosen.factor})
    assert phasebook("run", "1", "-p", "factor", "7", "-o", tmp_path) == 0
    first, *files = capsys.readouterr().out.splitlines()
    assert first == f"01_toy: at most {(KERNEL + RUNNER) / 1e9 + 7:.1f} GB of memory" and len(files) == 2
    assert phasebook("run", "1", "-p", "factor", "7", "-o", tmp_path) == 0
    assert "GB of memory" not in capsys.readouterr().out            # nothing runs


def test_a_failing_cell_is_one_line_and_keeps_what_was_there(house, phasebook, tmp_path, capsys):
    out = tmp_path / "out"
    assert phasebook("run", "1", "-o", out) == 0
    before = {f.name: f.read_bytes() for f in out.iterdir()}
    capsys.readouterr()
    for option in ([], ["--traceback"]):
        assert phasebook("run", "1", "-p", "factor", "13", "-o", out, *option) == 1
        *rest, last = capsys.readouterr().err.splitlines()
        assert last == "phasebook: 01_toy: cell 4: ValueError: factor 13 fails in two lines"
        assert bool(option) == any("Traceback" in line for line in rest) and bool(option) == bool(rest)
    assert {f.name: f.read_bytes() for f in out.iterdir()} == before


def test_checks_of_two_chapters_do_not_run_at_once(house, edit):
    """A library that imports its parts when asked for them gave half of itself to one of two lanes."""
    edit("p = ", """import sys, time
assert "checking" not in sys.modules
sys.modules["checking"] = sys
time.sleep(0.2)
del sys.modules["checking"]
p = """)
    source = runner.find_chapter("01_toy")
    with ThreadPoolExecutor(2) as lanes:
        for done in [lanes.submit(runner.check, source, {}) for _ in range(2)]:
            done.result()


def test_a_full_disk_leaves_neither_file(house, phasebook, edit, tmp_path, capsys):
    """The system refuses a file beyond a size, as it does on a full disk: the notebook, after the smaller results."""
    resource = pytest.importorskip("resource")
    edit("import time\n", 'import time\nprint("x" * 300_000)\n')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        assert phasebook("run", "1", "-o", tmp_path / "out") == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = capsys.readouterr().err
    assert said == "phasebook: 01_toy: could not be written (file too large); nothing was\n"
    assert not (tmp_path / "out").exists()


def test_a_figure_that_is_left_out_keeps_its_label(house, phasebook, tmp_path):
    source = house / "notebooks" / "01_toy.py"
    source.write_text(source.read_text() + '\n# %% mystnb={"figure": {"name": "fig-x", "caption": "x"}}\nif p.path:\n'
                      "    print(p.path)\n")
    for path, words in (("", runner.UNDRAWN), ("drawn", "drawn")):
        assert phasebook("run", "1", "-p", "path", path, "-o", tmp_path) == 0
        cells = nbformat.read(tmp_path / "01_toy.ipynb", as_version=4).cells
        assert words in str(cells[-1].outputs)


def test_the_plain_pipe_works_and_refuses(house, tmp_path, installed):
    source, executed = house / "notebooks" / "01_toy.py", tmp_path / "out.ipynb"
    folder, options = Path(sys.executable).parent, {"capture_output": True, "env": installed}

    convert = [folder / "jupytext", "--to", "ipynb", "-o", "-", source]
    plain = subprocess.run(convert, check=True, **options).stdout

    def pipe(*parameters: str) -> subprocess.CompletedProcess:
        return subprocess.run([folder / "papermill", "-", executed, *parameters], input=plain, **options)

    assert pipe("-p", "factor", "4", "-p", "rows", "[1, 2]", "-p", "path", "5").returncode == 0
    assert '"value": 8' in executed.read_text()
    failed = pipe("-p", "factr", "4")
    assert failed.returncode != 0
    last = failed.stderr.decode().strip().splitlines()[-1]
    assert last.endswith("factr = 4: unknown parameter (did you mean factor?); known are factor, path, rows")


@pytest.mark.parametrize(
    ("tag", "line"),
    [("parameters", "needs one cell tagged 'parameters'"), ("results", "must emit one ledger, not 0")],
)
def test_a_chapter_without_a_tagged_cell_is_refused(house, phasebook, edit, tmp_path, capsys, tag, line):
    edit(f' tags=["{tag}"]', "")
    assert phasebook("run", "1", "-o", tmp_path / "out" / "below") == 1
    assert line in capsys.readouterr().err
    assert not (tmp_path / "out").exists()          # no empty folder is left


def test_a_claim_of_the_file_that_is_not_recorded_is_refused(house, phasebook, edit, tmp_path, capsys):
    edit('ledger.claim("toy.double", (2 * p.factor) % 2)\n', "")
    assert phasebook("run", "1", "-o", tmp_path / "out") == 1
    assert "claim 'toy.double': in notebooks/claims/01_toy.yaml, but nothing was recorded" in capsys.readouterr().err


def test_a_page_is_executed_as_it_stands(house, tmp_path):
    source = house / "notebooks" / "using.py"
    source.write_text("# %% [markdown]\n# # Using\n\n# %%\nprint(6 * 7)\n")
    assert runner.pages() == [source] and source not in runner.chapters()
    assert runner.run_page(source, tmp_path) > 0
    assert runner.run_page(source, tmp_path) == 0
    assert "42" in (tmp_path / "using.ipynb").read_text()
    source.write_text("# %%\n1 / 0\n")
    with pytest.raises(runner.ChapterError, match="using: cell 1: ZeroDivisionError"):
        runner.run_page(source, tmp_path)
    assert "42" in (tmp_path / "using.ipynb").read_text()


def test_a_house_that_is_none_is_refused(phasebook, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PHASEBOOK_HOME", str(tmp_path))
    with pytest.raises(ParameterError, match="PHASEBOOK_HOME = "):
        runner.root()
    assert phasebook("run", "1") == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="there is no umask")
def test_files_follow_the_umask(house, phasebook, tmp_path):
    before = os.umask(0o077)
    try:
        assert phasebook("run", "1", "-o", tmp_path / "out") == 0
    finally:
        os.umask(before)
    assert {f.stat().st_mode & 0o777 for f in (tmp_path / "out").iterdir()} == {0o600}
