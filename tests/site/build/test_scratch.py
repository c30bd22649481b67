"""A folder goes with its process, however that went; one that is in use, or a user's own, stays."""

import subprocess
import sys
import tempfile

import pytest

from phasebook.site.build.scratch import PREFIX, scratch

pytest.importorskip("fcntl")

KILLED = """
import os, signal, sys, tempfile
tempfile.tempdir = sys.argv[1]
from phasebook.site.build.scratch import scratch
with scratch() as folder:
    (folder / "kernel.json").write_text("{}")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_of_a_killed_process_goes_at_the_next_run(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = tmp_path / f"{PREFIX}of-my-own"
    own.mkdir()
    with scratch() as used:
        assert subprocess.run([sys.executable, "-c", KILLED, tmp_path]).returncode == -9
        left = {folder.name for folder in tmp_path.iterdir()} - {used.name, own.name}
        assert len(left) == 1
        with scratch() as further:
            assert {folder.name for folder in tmp_path.iterdir()} == {used.name, own.name, further.name}
    assert list(tmp_path.iterdir()) == [own]
