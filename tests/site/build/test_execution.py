"""A run that is stopped, killed or started in an odd place: one line, nothing half-written, nothing left behind."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import nbformat
import pytest

from phasebook.site.build.execution import execute, nursery
from phasebook.site.build.sources import ChapterError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and sockets of Unix")

RUN = ("run", "1", "-o", "out")


def start(here: Path, *arguments: str, **variables: str) -> subprocess.Popen:
    """The command in a process group of its own, working in `here`, with temporary files in `here/tmp`."""
    (here / "tmp").mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(here / "tmp"), **variables}
    return subprocess.Popen([sys.executable, "-m", "phasebook.cli", *arguments], start_new_session=True, cwd=here,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def processes(mark: str) -> list[int]:
    """Processes whose command line holds `mark`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def within(seconds: float, condition) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture
def here(tmp_path, request):
    """A working directory with a short name: paths of sockets are at most about a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="pb-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.skipif(not Path("/proc/self/cmdline").is_file(), reason="processes are found through /proc")
@pytest.mark.parametrize(("number", "whom", "code"), [
    (signal.SIGINT, "group", 130), (signal.SIGTERM, "parent", 143),
    (signal.SIGKILL, "parent", -9), (signal.SIGKILL, "kernel", 1),
], ids=str)
def test_a_stopped_run_leaves_nothing(house, here, number, whom, code):
    process = start(here, *RUN, "-p", "factor", "60")
    mark = str(here / "tmp" / "phasebook-")
    assert within(60, lambda: (here / "out").exists() and processes(mark)), process.communicate()
    time.sleep(1.5)
    kernel = processes(mark)[0]
    target = {"parent": process.pid, "kernel": kernel, "group": process.pid}[whom]
    (os.killpg if whom == "group" else os.kill)(target, number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == code
    if number != signal.SIGKILL:
        assert said == "phasebook: interrupted; nothing half-written is left\n"
    elif whom == "kernel":
        assert said.startswith("phasebook: 01_toy: Kernel died") and said.count("\n") == 1
    assert within(10, lambda: not processes(mark) and not list((here / "tmp").iterdir()))
    assert not (here / "out").exists() or list((here / "out").iterdir()) == []
    assert {f.name for f in here.iterdir()} <= {"out", "tmp"}       # no sockets in the working directory either


def test_a_run_in_an_odd_place(house, here, edit):
    """A working directory whose modules shadow installed ones, a home that cannot be written, a locale without
    letters, a temporary folder whose name is too long for a socket, and an é. The kernel is tuned; its data it finds.
    """
    edit("import time\n", "import os, time\nassert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'\n"
         "assert os.environ['GOMP_SPINCOUNT'] == '30000'\n"
         "assert open('data.txt').read() == 'x'\n"
         "os.write(2, b'KeyboardInterrupt caught in kernel\\n')\n"      # what a process says of itself is not shown
         "import atexit; atexit.register(os.write, 2, b'and at its end')\n")
    place = here / "é"
    place.mkdir()
    for name in ("numpy", "random", "tempfile", "phasebook"):
        (place / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    (place / "data.txt").write_text("x")
    long = place / ("t" * 131)
    long.mkdir()
    entry = "import sys; sys.path.remove(''); from phasebook.cli import main; sys.exit(main())"     # as the script does
    environment = {**os.environ, "TMPDIR": str(long), "HOME": "/proc", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", entry, "run", "1", "-o", str(place / "out")], cwd=place,
                          capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((place / "out").iterdir())) == 2 and list(long.iterdir()) == []


# A signal, and whom it reaches. STOPS in the environment asks for more of them than every run of the tests can take.
STOPS = [(signal.SIGINT, "group"), (signal.SIGTERM, "parent"), (signal.SIGKILL, "parent"), (signal.SIGKILL, "kernel"),
         (signal.SIGTERM, "group"), (signal.SIGKILL, "group"), (signal.SIGINT, "parent"), (signal.SIGTERM, "kernel")]
MANY = int(os.environ.get("STOPS", "0"))


def listing(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir()) if folder.is_dir() else []


def stop(process: subprocess.Popen, mark: str, number: int, whom: str) -> str:
    """Stop it; what it said."""
    with suppress(ProcessLookupError):
        if whom == "kernel":
            for child in processes(mark):
                os.kill(child, number)
        else:
            (os.killpg if whom == "group" else os.kill)(process.pid, number)
    return process.communicate(timeout=60)[1]


def what_is_left(place: Path, process: subprocess.Popen, mark: str, number: int, whom: str) -> list[str]:
    """What is wrong in `place` after it was stopped; [] for nothing."""
    said, wrong = stop(process, mark, number, whom), []
    if not within(15, lambda: not processes(mark)):
        wrong.append("a process is left")
    if said.count("\n") > 1 and process.returncode != -number:      # Python speaks where there was no handler yet
        wrong.append(f"more than a line: {said}")
    # whole already; as the shell says of a signal; or before there was a handler
    if whom != "kernel" and process.returncode not in (0, 128 + number, -number):
        wrong.append(f"ends with {process.returncode}")
    if number != signal.SIGKILL and not within(15, lambda: not list((place / "tmp").iterdir())):
        wrong.append(f"temporary files are left: {listing(place / 'tmp')}")
    return wrong


def run_stopped_at(place: Path, moment: float, number: int, whom: str) -> list[str]:
    """What is wrong after a run was stopped at a moment, in seconds, and after the next one."""
    process = start(place, *RUN)
    time.sleep(moment)
    wrong = what_is_left(place, process, str(place / "tmp" / "phasebook-"), number, whom)
    if not set(listing(place)) <= {"out", "tmp"}:
        wrong.append("files in the working directory")
    files, whole = listing(place / "out"), ["01_toy.ipynb", "01_toy.results.json"]
    shown = [name for name in files if not name.startswith(".")]
    if shown not in ([], whole) or (files != shown and number != signal.SIGKILL):
        wrong.append(f"half-written: {files}")
    again = start(place, *RUN)
    again.communicate(timeout=120)
    if again.returncode or listing(place / "out") != whole:
        wrong.append(f"the next run: {again.returncode}, {listing(place / 'out')}")
    if left := listing(place / "tmp"):          # also what a killed one could not take away
        wrong.append(f"temporary files are left after the next run: {left}")
    return wrong


def at_random_moments(here: Path, most: float, count: int, stopped_at: Callable) -> list[str]:
    """What is wrong after `count` stops between the start and half as long again as a run takes, four at a time."""
    def one(seed):
        number, whom = STOPS[seed % len(STOPS)]
        place = here / f"{seed} here"
        place.mkdir()
        moment = most * (1.5 * random.Random(seed).random() + 0.05)
        return [f"{number!r} to the {whom} after {moment:.2f} s: {line}" for line in
                stopped_at(place, moment, number, whom)]

    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(one, range(count)), [])


def seconds_of(process: subprocess.Popen) -> float:
    began = time.monotonic()
    assert process.communicate(timeout=120) and process.returncode == 0
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").is_file(), reason="processes are found through /proc")
def test_stops_of_a_run_at_random_moments(house, here):
    """Of a run of a few seconds, whose last instants are the likeliest to leave half of something."""
    (here / "first").mkdir()
    most = seconds_of(start(here / "first", *RUN))
    assert at_random_moments(here, most, MANY or 3, run_stopped_at) == []


def book_stopped_at(whole: dict[str, bytes], place: Path, moment: float, number: int, whom: str) -> list[str]:
    """What is wrong after a build of the book was stopped at a moment, in seconds, and after the next one."""
    process = start(place, "book", "--to", "to")
    time.sleep(moment)
    wrong = what_is_left(place, process, str(place), number, whom)
    chapters = [name for name in listing(place / "to" / "book" / "chapters") if not name.startswith(".")]
    for stem in {name.split(".")[0] for name in chapters if name.startswith("0")}:
        if not {f"{stem}.ipynb", f"{stem}.results.json"} <= set(chapters):
            wrong.append(f"half-written: {chapters}")
    html = {f for f in (place / "to" / "_build" / "html").rglob("*.html")}
    if html and not any(f.name == "index.html" for f in html):
        wrong.append("half of the pages")
    again = start(place, "book", "--to", "to")
    said = again.communicate(timeout=120)[1]
    if again.returncode or content(place / "to") != whole:
        wrong.append(f"the next build: {again.returncode} {said}")
    return wrong


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a build, but for the one that tells its times."""
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*")
            if f.is_file() and f.name != "times.json"}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").is_file(), reason="processes are found through /proc")
def test_stops_of_a_book_at_random_moments(prose, here):
    """Of two chapters, a page and the site: the next build gives the bytes of one left alone elsewhere."""
    source, claims = prose / "notebooks" / "01_toy.py", prose / "notebooks" / "claims"
    (prose / "notebooks" / "02_toy.py").write_text(source.read_text().replace("01_toy", "02_toy")
                                                   .replace("toy.double", "toy.twice"))
    (claims / "02_toy.yaml").write_text((claims / "01_toy.yaml").read_text().replace("toy.double", "toy.twice"))
    (prose / "tests" / "reference" / "verdicts.json").write_text('{"toy.double": "holds", "toy.twice": "holds"}')
    toc = prose / "_toc.yml"
    toc.write_text(toc.read_text() + "  - file: book/chapters/02_toy\n")
    (here / "first").mkdir()
    most = seconds_of(start(here / "first", "book", "--to", "to"))
    whole = content(here / "first" / "to")
    assert {"book/chapters/01_toy.ipynb", "book/chapters/02_toy.ipynb", "_build/html/index.html"} <= set(whole)
    assert at_random_moments(here, most, MANY or 1, partial(book_stopped_at, whole)) == []


def of_one_cell(code: str) -> nbformat.NotebookNode:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return book


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="handles of processes of Linux")
def test_kernels_of_a_nursery(here, monkeypatch):
    """They have what it imported, and the rest as one that was started alone; they go when it does."""
    monkeypatch.chdir(here)
    code = ("import os, sys, plotly.io; print('wave' in sys.modules, plotly.io.renderers.default,"
            " os.environ.get('PLOTLY_RENDERER'), os.environ['LATER'], os.getcwd(), os.read(0, 1) == b'', "
            "os.environ['OMP_NUM_THREADS'], os.getpgrp() == os.getpid())")
    with nursery(["import no_such_module", "import wave, plotly.io; print('1')"]) as kernels:
        for expected in "é", "again":
            monkeypatch.setenv("LATER", expected)
            done = execute(of_one_cell(code), "toy", {}, False, 1, kernels)
            assert done.cells[0].outputs[0].text == f"True plotly_mimetype None {expected} {here} True 1 True\n"
        for whom, line in (("getpid", "died"), ("getppid", "died"), ("getpid", "died before it was there")):
            ends = of_one_cell(f"import os, time; os.kill(os.{whom}(), 9); time.sleep(60)")
            with pytest.raises(ChapterError, match=f"toy: Kernel {line}"):
                execute(ends, "toy", {}, False, 1, kernels)


def test_what_a_cell_prints_is_one_output_however_long_it_takes():
    code = "import time\nfor k in range(3): print(k, end='', flush=True); time.sleep(0.3)"
    output, = execute(of_one_cell(code), "toy", {}, False).cells[0].outputs
    assert (output.name, output.text) == ("stdout", "012")


def test_a_bar_that_nobody_draws_is_no_output():
    """tqdm, with which models are loaded, says where it lies when it finds no widgets: a path of this machine."""
    bars = execute(of_one_cell("import tqdm.auto, warnings; warnings.warn('seen')"), "toy", {}, False).cells[0].outputs
    assert [output.text.count("Warning") for output in bars] == [1] and "UserWarning: seen" in bars[0].text


def test_a_system_without_handles_of_processes_has_no_nursery(monkeypatch):
    for refuses in (OSError(38, "not implemented"), PermissionError(1, "not permitted")):
        monkeypatch.setattr(os, "pidfd_open", Mock(side_effect=refuses), raising=False)
        with nursery([]) as kernels:
            assert kernels is None
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    with nursery([]) as kernels:
        assert kernels is None
