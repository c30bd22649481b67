"""A run that is stopped, killed or started in an odd place: one line, nothing half-written, nothing left behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and sockets of Unix")

RUN = [sys.executable, "-m", "phasebook.cli", "run", "1"]


def start(here: Path, *arguments: str, **variables: str) -> subprocess.Popen:
    """The command in a process group of its own, working in `here`, with temporary files in `here/tmp`."""
    (here / "tmp").mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(here / "tmp"), **variables}
    return subprocess.Popen([*RUN, "-o", str(here / "out"), *arguments], start_new_session=True, cwd=here,
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
    process = start(here, "-p", "factor", "60")
    mark = str(here / "tmp" / "phasebook-")
    assert within(60, lambda: (here / "out").exists() and processes(mark)), process.communicate()
    time.sleep(1.5)
    kernel = processes(mark)[0]
    target = {"parent": process.pid, "kernel": kernel, "group": process.pid}[whom]
    (os.killpg if whom == "group" else os.kill)(target, number)
    said = process.communicate(timeout=30)[1]
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
         "assert open('data.txt').read() == 'x'\n")
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


MOMENTS = [(seed, number, whom) for seed, (number, whom) in enumerate([
    (signal.SIGINT, "group"), (signal.SIGTERM, "parent"), (signal.SIGTERM, "group"), (signal.SIGKILL, "parent"),
    (signal.SIGKILL, "group"), (signal.SIGINT, "parent"), (signal.SIGKILL, "kernel"), (signal.SIGTERM, "kernel"),
    (signal.SIGTERM, "parent"), (signal.SIGINT, "group")] * 5)]


def stopped_at(place: Path, moment: float, number: int, whom: str) -> list[str]:
    """What is wrong after a run in `place` was stopped at a moment, in seconds; [] for nothing."""
    process = start(place)
    mark = str(place / "tmp" / "phasebook-")
    time.sleep(moment)
    with suppress(ProcessLookupError):
        if whom == "kernel":
            for kernel in processes(mark):
                os.kill(kernel, number)
        else:
            (os.killpg if whom == "group" else os.kill)(process.pid, number)
    said = process.communicate(timeout=60)[1]
    wrong = []
    if not within(15, lambda: not processes(mark)):
        wrong.append("a kernel is left")
    if said.count("\n") > 1:
        wrong.append(f"more than a line: {said}")
    if not {f.name for f in place.iterdir()} <= {"out", "tmp"}:
        wrong.append("files in the working directory")
    files = sorted(f.name for f in (place / "out").iterdir()) if (place / "out").is_dir() else []
    whole = ["01_toy.ipynb", "01_toy.results.json"]
    shown = [name for name in files if not name.startswith(".")]
    if shown not in ([], whole) or (files != shown and number != signal.SIGKILL):
        wrong.append(f"half-written: {files}")
    if number != signal.SIGKILL and not within(15, lambda: not list((place / "tmp").iterdir())):
        wrong.append("temporary files are left")
    again = start(place)
    again.communicate(timeout=120)
    files = sorted(f.name for f in (place / "out").iterdir())
    if again.returncode or files != whole:
        wrong.append(f"the next run: {again.returncode}, {files}")
    return wrong


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").is_file(), reason="processes are found through /proc")
def test_fifty_stops_at_random_moments(house, here):
    """Of a run of a few seconds, whose last instants are the likeliest to leave half of something."""
    import random
    from concurrent.futures import ThreadPoolExecutor

    (here / "first").mkdir()
    began = time.monotonic()
    start(here / "first").communicate(timeout=120)
    most = time.monotonic() - began

    def one(case):
        seed, number, whom = case
        place = here / str(seed)
        place.mkdir()
        moment = most * (1.5 * random.Random(seed).random() + 0.05)
        return [f"{number!r} to the {whom} after {moment:.2f} s: {line}" for line in
                stopped_at(place, moment, number, whom)]

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(one, MOMENTS), []) == []
