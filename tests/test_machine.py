import os
import subprocess
import sys

from phasebook.machine import free_memory, process_runs


def test_something_is_free():
    assert 1e8 < free_memory() < 1e14


def test_a_process_runs_until_it_has_ended():
    assert process_runs(os.getpid()) and process_runs(1)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not process_runs(ended.pid)
