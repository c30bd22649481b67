"""A process goes with the one that started it, and an environment is that of its own tree."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from phasebook.site.build import runner


@pytest.mark.slow
def test_an_import_of_torch_leaves_no_folder(tmp_path):
    code = "from phasebook.site import process; process.tune(); import torch._dynamo"
    environment = {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}
    done = subprocess.run([sys.executable, "-c", code], env=environment | {"TMPDIR": str(tmp_path)})
    assert done.returncode == 0 and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="descriptors of a shell")
@pytest.mark.parametrize("script, said", [
    ("{} new Bad >&-", "NAME = 'Bad'"), ("{} new Bad <&-", "NAME = 'Bad'"), ("{} new Bad 2>&-", ""),
    ("mkdir gone && cd gone && rmdir ../gone && {} new Bad", "the working folder is gone"),
])
def test_what_the_caller_has_closed_or_removed_is_borne(tmp_path, script, said):
    call = script.format(f"{sys.executable} -m phasebook.cli")
    done = subprocess.run(["sh", "-c", call], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == bool(said)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is full")
@pytest.mark.parametrize("where, said", [
    (">/dev/full; echo $?", "1\nphasebook: cannot be written: no space left on device\n"),
    ("2>&1; echo $? >&2) | true; (:", "141\n"),
])
def test_what_nobody_takes_is_one_line_or_none(where, said):
    done = subprocess.run(["sh", "-c", f"({sys.executable} -m phasebook.cli bench --page {where})"],
                          capture_output=True, text=True)
    assert done.stdout + done.stderr == said


MADE = """
import os, subprocess, sys
child = "from phasebook.site import process; process.end_with_make(); print(1, flush=True); import time; time.sleep(60)"
run = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, env={**os.environ, "MAKELEVEL": "1"})
run.stdout.readline()
print(run.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_make_started_ends_when_make_is_killed():
    """The pipe is closed when the last process that holds it is gone."""
    done = subprocess.run([sys.executable, "-c", MADE], capture_output=True, text=True, timeout=30)
    assert done.returncode == -9 and done.stdout.strip().isdigit()


BUSY = """
import os, subprocess, sys
child = ("import os, sys; from pathlib import Path; from phasebook.site import process; folder = Path(sys.argv[1]);"
         "process.follow(folder); print(1, flush=True)\\n"
         "while True: os.makedirs(folder / 'home', exist_ok=True)")
run = subprocess.Popen([sys.executable, "-c", child, sys.argv[1]], stdout=subprocess.PIPE, start_new_session=True)
run.stdout.readline()
os.kill(os.getpid(), 9)
"""


def test_a_folder_that_is_made_again_and_again_goes_with_its_process(tmp_path):
    """As the home of a kernel whose runner is killed while it starts: in the last instant it was there again."""
    folder = tmp_path / "kernel"
    subprocess.run([sys.executable, "-c", BUSY, str(folder)], capture_output=True, timeout=30)
    gone = 0
    for _ in range(200):            # of 0.05 s: it is made as long as the process lives
        gone = 0 if folder.exists() else gone + 1
        if gone == 20:
            break
        time.sleep(0.05)
    assert gone == 20


def test_an_environment_is_that_of_its_own_path(tmp_path):
    """A copied tree makes its own; so does a moved one, and one that was not finished."""
    make = shutil.which("make") or pytest.skip("there is no make")
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(runner.root() / name, tmp_path)
    stamp = tmp_path / ".venv" / ".complete"
    stamp.parent.mkdir()
    for path, fresh in ((tmp_path, True), (tmp_path / "elsewhere", False), ("", False), (f"{tmp_path}-moved", False)):
        stamp.write_text(str(path))
        asked = subprocess.run([make, "-q", "env"], cwd=tmp_path, capture_output=True)
        assert (asked.returncode == 0) is fresh, path
    stamp.unlink()
    assert subprocess.run([make, "-q", "env"], cwd=tmp_path, capture_output=True).returncode == 1
