"""A temporary folder that goes with its process: at the end of its use, or, where that was killed, at the next one's.

A folder is held by a lock that the system frees when its process is gone, however it went. One that nobody holds was
left by a killed run.
"""

import atexit
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:         # without locks of files nothing is known of another process, and its folders stay
    fcntl = None

__all__ = ["clear", "remove", "scratch"]

PREFIX = "phasebook-"
OURS = re.compile(PREFIX + "(?:kernel|model|clip|vision|words)-[a-z0-9_]{8}")      # a folder of a user's own stays
TRIES = 5
MADE: list[tuple[int, Path]] = []       # by which process: a copy of this one ends by itself
MAKING = threading.Lock()


@contextmanager
def scratch(use: str) -> Iterator[Path]:
    """A folder readable by this user alone, for as long as the context lasts; those of killed processes are removed.

    Args:
        use: `kernel`, `model`, `clip`, `vision` or `words`, for its name.
    """
    _sweep(Path(tempfile.gettempdir()))
    folder, held = _claimed(f"{PREFIX}{use}-")
    try:
        yield folder
    finally:
        remove(folder)
        if held is not None:
            os.close(held)


def clear() -> None:
    """Remove all folders that this process made, and let no thread make one any more: it ends.

    One whose use has ended may be there again: a kernel that is stopped as it starts makes a home for itself.
    """
    MAKING.acquire()        # for good
    for process, folder in MADE:
        if process == os.getpid():
            remove(folder)


atexit.register(clear)      # before all others, so called after them: nbclient's ends kernels


def remove(folder: Path) -> None:
    """Remove a folder and all in it, as far as it can be; an interruption meanwhile is raised when that is done.

    Args:
        folder: may be absent.
    """
    try:
        _emptied(folder)
    except BaseException:
        _emptied(folder)
        raise


def _emptied(folder: Path) -> None:
    for _ in range(TRIES):          # whoever uses it may still put something there
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break


def _claimed(prefix: str) -> tuple[Path, int | None]:
    """A new folder and its lock; another one where a sweep of another process took it before it was locked."""
    while True:
        with MAKING:
            folder = Path(tempfile.mkdtemp(prefix=prefix))
            MADE.append((os.getpid(), folder))
        held = _lock(folder)
        if folder.is_dir():
            return folder, held


def _lock(folder: Path) -> int | None:
    """The lock of a folder; None where another process has it, or where the file system knows no locks."""
    if fcntl is None:
        return None
    with suppress(OSError):
        held = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
        except OSError:
            os.close(held)
    return None


def _sweep(place: Path) -> None:
    for folder in place.glob(f"{PREFIX}*"):
        held = _lock(folder) if OURS.fullmatch(folder.name) else None
        if held is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)
