"""The runner: parameters before anything, whole files or none, nothing twice. Chapters here are toys in a toy house."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from phasebook import cli
from phasebook.site.build import book, runner
from phasebook.site.chapters.ledger import Results

TOY = '''# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% tags=["parameters"]
factor = 2
path = ""
rows = [1.0]

# %%
from typing import Annotated
from pydantic import Field
from phasebook.site.chapters.ledger import Ledger
from phasebook.site.chapters.parameters import Finite, Parameters

class Chapter(Parameters):
    factor: Annotated[int, Field(ge=1)]
    path: str
    rows: list[Finite]

p = Chapter.read(globals())
ledger = Ledger("01_toy", p)

# %%
import time
if p.factor == 13:
    raise ValueError("factor 13 fails\\nin two lines")
time.sleep(60 if p.factor == 60 else 0)

# %% tags=["results"]
ledger.claim("toy.double", "Eq. (0)", "Twice is even.", 0.0, (2 * p.factor) % 2)
ledger.number("product", 2 * p.factor, "1")
ledger.emit()
'''


@pytest.fixture
def house(tmp_path, monkeypatch) -> Path:
    """A repository with one toy chapter, and the package of the real one."""
    home = tmp_path / "house"
    (home / "notebooks" / "params" / "smoke").mkdir(parents=True)
    (home / "assets").mkdir()
    (home / "assets" / "a.txt").write_text("a")
    (home / "tests" / "reference").mkdir(parents=True)
    (home / "notebooks" / "01_toy.py").write_text(TOY)
    (home / "notebooks" / "params" / "smoke" / "01.yaml").write_text("factor: 3\n")
    (home / "requirements.lock").write_text("numpy==1\n")
    (home / "src").symlink_to(runner.root() / "src")
    monkeypatch.setattr(runner, "root", lambda: home)
    return home


def phasebook(*arguments: str) -> int:
    try:
        return cli.main([str(a) for a in arguments])
    except SystemExit as stop:
        return stop.code


def test_run_writes_notebook_and_results(house, tmp_path, capsys):
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


def test_nothing_runs_twice_until_something_changes(house, tmp_path, capsys):
    out, image = tmp_path / "out", tmp_path / "image.npy"
    image.write_text("one")
    arguments = ("run", "01_toy", "-p", "path", image, "-o", out)

    def again() -> str:
        assert phasebook(*arguments) == 0
        return capsys.readouterr().out.splitlines()[0]

    assert "unchanged" not in again()
    assert "unchanged" in again()
    for change in (
        lambda: image.write_text("two"),
        lambda: (house / "assets" / "a.txt").write_text("b"),
        lambda: (house / "notebooks" / "01_toy.py").write_text(TOY.replace("Twice", "Two times")),
        lambda: (out / "01_toy.results.json").write_text("{}"),
        lambda: (out / "01_toy.ipynb").unlink(),
        lambda: (house / "requirements.lock").write_text("numpy==2\n"),
    ):
        change()
        assert "unchanged" not in again()
        assert "unchanged" in again()


def test_bad_parameters_are_refused_before_the_files_they_name_are_read(house, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "cache_key", lambda *_: pytest.fail("read what the parameters name"))
    assert phasebook("run", "1", "-p", "factor", "0", "-p", "path", "/", "-o", tmp_path / "out") == 2


def test_key_reads_home_and_repository_paths_and_outlives_unreadable_files(house, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    source = house / "notebooks" / "01_toy.py"
    for value, file in (("~/a.npy", tmp_path / "a.npy"), ("assets/b.npy", house / "assets" / "b.npy")):
        file.write_text("one")
        before = runner.cache_key(source, {"path": value})
        file.write_text("two")
        assert runner.cache_key(source, {"path": value}) != before
    assert runner.cache_key(source, {"path": "[" + "0, " * 200 + "0]"})     # longer than any file name
    monkeypatch.setattr(runner, "_files", lambda path: [tmp_path / "gone"])
    assert len(runner.cache_key(source, {})) == 64


def test_key_depends_on_imported_modules_only(house):
    imported = {f.relative_to(house / "src").as_posix() for f in runner._imported(house / "notebooks" / "01_toy.py")}
    assert "phasebook/site/chapters/ledger.py" in imported and "phasebook/site/chapters/results.schema.json" in imported
    assert not [f for f in imported if "/theory/" in f or "/models/" in f]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "7"], "CHAPTER = '7': no such chapter; known are 01_toy"),
        (["run", "1", "-p", "factr", "3"], "factr = 3: unknown parameter .did you mean factor..; known are factor"),
        (["run", "1", "-p", "factor", "0"], "factor = 0: .* takes an integer >= 1"),
        (["run", "1", "-p", "factor", "many"], "factor = 'many': .*takes an integer"),
        (["run", "1", "-p", "factor", "2.5"], "factor = 2.5: .*takes an integer"),
        (["run", "1", "-p", "rows", "[1, null]"], r"rows\[1\] = None"),
        (["run", "1", "-p", "rows", "[NaN]"], r"rows\[0\] = nan"),
        (["run", "1", "-p", "rows", "[1,"], r"rows = '\[1,'"),
        (["run", "1", "-p", "factor"], "expected 2 arguments"),
        (["run", "1", "-f", "absent.yaml"], "-f absent.yaml: cannot be read"),
        (["run", "1", "--profile", "huge"], "profile = 'huge': no such profile; known are default, smoke"),
        (["run", "1", "--profile", "../.."], "profile = '../..': no such profile; known are default, smoke"),
        (["run"], "CHAPTER"),
        (["paint"], "invalid choice: 'paint'"),
        (["bench", "nothing"], "NAME = 'nothing': no such benchmark"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(house, tmp_path, capsys, arguments, line):
    out = tmp_path / "out"
    if arguments[0] == "run" and len(arguments) > 1:
        arguments = [*arguments, "-o", out]
    assert phasebook(*arguments) == 2
    said = capsys.readouterr().err
    assert re.search(line, said) and said.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "3: 4"])
def test_bad_parameter_file(house, tmp_path, capsys, text):
    file = tmp_path / "p.yaml"
    file.write_text(text)
    assert phasebook("run", "1", "-f", file, "-o", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert f"-f {file}" in said and said.count("\n") == 1


def test_unusable_folder(house, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert phasebook("run", "1", "-o", tmp_path / "file" / "below") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_command_line_wins_over_file_over_profile(house, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("factor: 5\nrows: [4]\n")
    arguments = ["run", "1", "--profile", "smoke", "-f", file, "-p", "factor", "7", "-o", tmp_path / "out"]
    assert phasebook(*arguments) == 0
    found = json.loads((tmp_path / "out" / "01_toy.results.json").read_text())["parameters"]
    assert found["factor"] == 7 and found["rows"] == [4.0]


def test_a_failing_cell_is_one_line_and_keeps_what_was_there(house, tmp_path, capsys):
    out = tmp_path / "out"
    assert phasebook("run", "1", "-o", out) == 0
    before = {f.name: f.read_bytes() for f in out.iterdir()}
    capsys.readouterr()
    assert phasebook("run", "1", "-p", "factor", "13", "-o", out) == 1
    said = capsys.readouterr().err
    assert said == "phasebook: 01_toy: cell 4: ValueError: factor 13 fails in two lines\n"
    assert {f.name: f.read_bytes() for f in out.iterdir()} == before
    assert phasebook("run", "1", "-p", "factor", "13", "-o", out, "--traceback") == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_kill_leaves_nothing_half_written(house, tmp_path):
    out = tmp_path / "out"
    code = ("import sys; from pathlib import Path; from phasebook import cli; from phasebook.site.build import runner; "
            "runner.root = lambda: Path(sys.argv[1]); "
            "sys.exit(cli.main(['run', '1', '-p', 'factor', '60', '-o', sys.argv[2]]))")
    here = tmp_path / "here"
    here.mkdir()
    process = subprocess.Popen([sys.executable, "-c", code, str(house), str(out)], start_new_session=True, cwd=here)
    deadline = time.monotonic() + 60
    while not out.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert out.exists() and list(out.iterdir()) == []
    assert list(here.iterdir()) == []           # no sockets either: a second run here would have shared them


def test_the_plain_pipe_works_and_refuses(house, tmp_path):
    source, executed = house / "notebooks" / "01_toy.py", tmp_path / "out.ipynb"
    folder = Path(sys.executable).parent

    def pipe(*parameters: str) -> subprocess.CompletedProcess:
        convert = [folder / "jupytext", "--to", "ipynb", "-o", "-", source]
        plain = subprocess.run(convert, capture_output=True, check=True).stdout
        return subprocess.run([folder / "papermill", "-", executed, *parameters], input=plain, capture_output=True)

    assert pipe("-p", "factor", "4", "-p", "rows", "[1, 2]").returncode == 0
    assert '"value": 8' in executed.read_text()
    failed = pipe("-p", "factr", "4")
    assert failed.returncode != 0
    last = failed.stderr.decode().strip().splitlines()[-1]
    assert last.endswith("factr = 4: unknown parameter (did you mean factor?); known are factor, path, rows")


def test_a_killed_kernel_is_one_line(house, tmp_path, capsys):
    source = house / "notebooks" / "01_toy.py"
    source.write_text(TOY.replace("import time\n", "import os, signal, time\nos.kill(os.getpid(), signal.SIGKILL)\n"))
    assert phasebook("run", "1", "-o", tmp_path / "out") == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said == "phasebook: 01_toy: Kernel died" and list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("tag", "line"),
    [("parameters", "needs one cell tagged 'parameters'"), ("results", "must emit one ledger, found 0")],
)
def test_a_chapter_without_a_tagged_cell_is_refused(house, tmp_path, capsys, tag, line):
    (house / "notebooks" / "01_toy.py").write_text(TOY.replace(f' tags=["{tag}"]', ""))
    assert phasebook("run", "1", "-o", tmp_path / "out") == 1
    assert line in capsys.readouterr().err


def test_verdicts_are_compared_with_the_tracked_list(house, tmp_path):
    out = house / "book" / "chapters"
    assert phasebook("run", "1", "-o", out) == 0
    found = book.verdicts(out)
    assert found == {"toy.double": "holds"}
    tracked = house / book.TRACKED
    with pytest.raises(runner.ChapterError, match="toy.double: absent -> holds"):
        book.compare_verdicts(found)
    tracked.write_text(json.dumps({"toy.double": "fails"}))
    with pytest.raises(runner.ChapterError, match="toy.double: fails -> holds"):
        book.compare_verdicts(found)
    tracked.write_text(json.dumps(found))
    book.compare_verdicts(found)
    with pytest.raises(runner.ChapterError, match="toy.double: holds -> absent"):
        book.compare_verdicts({})
