"""A folder goes with its process, however that went; one that is in use, or a user's own, stays."""

import shutil
import subprocess
import sys
import tempfile

import pytest

from phasebook.scratch import remove, scratch

pytest.importorskip("fcntl")

KILLED = """
import os, signal, sys, tempfile
tempfile.tempdir = sys.argv[1]
from phasebook.scratch import scratch
with scratch("kernel") as one, scratch("model") as other:
    (one / "kernel.json").write_text("{}")
    (other / "config.json").symlink_to(sys.executable)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folders_of_a_killed_process_go_at_the_next_use(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = {tmp_path / "phasebook-of-my-own", tmp_path / "phasebook-kernel-of-mine", tmp_path / "else"}
    for folder in own:
        folder.mkdir()
    with scratch("clip") as used:
        assert subprocess.run([sys.executable, "-c", KILLED, tmp_path]).returncode == -9
        assert len(set(tmp_path.iterdir()) - own - {used}) == 2
        with scratch("vision") as further:
            assert set(tmp_path.iterdir()) == {used, further, *own}
    assert set(tmp_path.iterdir()) == own


LEFT = """
import os, sys, tempfile, threading, time
tempfile.tempdir = sys.argv[1]
from phasebook.scratch import clear, scratch
def use(seconds):
    while True:
        with scratch("kernel") as folder:
            (folder / "kernel.json").write_text("{}")
            time.sleep(seconds)
for seconds in (0, 0, 0.01, 60):
    threading.Thread(target=use, args=(seconds,), daemon=True).start()
time.sleep(0.3)
clear()
os._exit(3)
"""


def test_folders_of_threads_that_are_left_as_they_are_go_with_the_process(tmp_path):
    assert subprocess.run([sys.executable, "-c", LEFT, tmp_path], capture_output=True).returncode == 3
    assert list(tmp_path.iterdir()) == []


AGAIN = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from phasebook.scratch import scratch
with scratch("kernel") as folder:
    pass
(folder / "profile_default").mkdir(parents=True)
"""


def test_a_folder_that_is_made_again_behind_its_use_goes_with_the_process(tmp_path):
    assert subprocess.run([sys.executable, "-c", AGAIN, tmp_path], capture_output=True).returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("use", ["remove", "scratch"])
def test_an_interruption_of_the_removal_comes_after_it(tmp_path, monkeypatch, use):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    whole, calls = shutil.rmtree, []

    def stopped(folder, **options):
        calls.append(folder)
        if len(calls) == 1:
            raise KeyboardInterrupt
        whole(folder, **options)

    monkeypatch.setattr(shutil, "rmtree", stopped)
    with pytest.raises(KeyboardInterrupt):
        if use == "remove":
            (tmp_path / "a").mkdir()
            remove(tmp_path / "a")
        else:
            with scratch("model") as folder:
                (folder / "b").write_text("")
    assert list(tmp_path.iterdir()) == [] and len(calls) == 2
