"""What a process of ours does at its start: how it waits and keeps memory, and that it outlives nobody.

The door calls `tune`; so does the kernel of a chapter, which also follows the runner that started it (`follow`). An
import of the library does none of this.
"""

import ctypes
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from phasebook.scratch import remove

__all__ = ["end_with_make", "follow", "tune"]

PARENT = "PHASEBOOK_PARENT"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3     # malloc.h
KEPT = 1 << 30


def tune() -> None:
    """Threads that sleep while they wait or are not started, memory that is kept, and imports left out.

    Threads of a matrix product that spin while they wait for one another slow a busy machine threefold; OpenMP reads
    this when torch is first imported. torch makes the large products; those of NumPy and SciPy are small and many, and
    OpenBLAS, which shares them out too and spins meanwhile, made searches for paths five times slower. glibc gives
    large blocks back to the system when they are freed, and the next layer of a network faults every page in again: a
    third of the time of decoding a batch. jsonschema, behind nbformat, compiles a grammar of international addresses at
    its import, two seconds for a check that no notebook needs; without the grammar's package it does not. jupytext
    imports a server of notebooks, which nobody here starts. torch makes a folder for compiled code when it is imported,
    which nobody here needs: it is told of one that is there.
    """
    for name in ("rfc3987_syntax", "jupytext.sync_contentsmanager", "jupytext.async_contentsmanager"):
        sys.modules.setdefault(name, None)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with suppress(OSError):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", tempfile.gettempdir())
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(M_TRIM_THRESHOLD, KEPT)
        library.mallopt(M_MMAP_THRESHOLD, KEPT)


@cache
def end_with_make() -> None:
    """Under `make`, which a signal may end alone: once the process that started this one is gone, stop."""
    if "MAKELEVEL" in os.environ and hasattr(os, "getppid"):
        threading.Thread(target=_stop_after, args=(os.getppid(),), daemon=True).start()


def _stop_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)


def follow(folder: Path) -> None:
    """Watch the process that started this one: when it is gone, however it went, remove `folder` and end.

    Args:
        folder: what the two share and nobody else needs.
    """
    parent = int(os.environ.get(PARENT, os.getppid()))
    threading.Thread(target=_wait, args=(parent, folder), daemon=True).start()


def _wait(parent: int, folder: Path) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    _leave(folder)
    if os.getpgrp() == os.getpid():             # what this process started goes with it
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _leave(folder: Path) -> None:
    """Remove `folder` from a copy of this process, once this one is gone.

    A kernel that is just starting makes a home for itself there, and would make it anew as long as it runs. The copy
    has this thread alone.
    """
    last, (born, told) = os.getpid(), os.pipe()
    try:
        copy = os.fork()
    except OSError:         # no room for one
        return remove(folder)
    if copy:
        os.read(born, 1)
        return None
    try:
        os.setsid()         # what ends this process's group leaves it
        os.write(told, b"1")
        while os.getppid() == last:
            time.sleep(0.05)
        remove(folder)
    finally:
        os._exit(0)
