"""Files that appear together or not at all."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from phasebook.machine import process_runs
from phasebook.site.checks.parameters import ParameterError

__all__ = ["PUBLISHING", "publish", "sweep", "writable"]

PART = re.compile(r"\..+\.(?:html|ipynb|json|pdf|py|yaml|yml)\.([0-9]+)\.part")
PUBLISHING = threading.RLock()      # chapters end in threads of one process: what one writes is no rest to another


def publish(texts: Mapping[Path, str | bytes]) -> None:
    """Write each text, or what else are bytes, to its file, whole: all of them, or, where one cannot be written, none.

    Each is written beside its place first; then all are renamed. Where a rename fails, what stood there before stands
    there again.

    Raises:
        OSError: what stopped it, a full disk say.
    """
    with PUBLISHING:
        _publish({Path(os.path.realpath(file)): text for file, text in texts.items()})      # through a link, to its end


def _publish(texts: Mapping[Path, str | bytes]) -> None:
    for folder in {file.parent for file in texts}:
        sweep(folder)
    parts = {file: file.with_name(f".{file.name}.{os.getpid()}.part") for file in texts}
    before: dict[Path, bytes | None] = {}
    try:
        for file, part in parts.items():
            text = texts[file]
            part.write_bytes(text.encode() if isinstance(text, str) else text)
        for file, part in parts.items():
            before[file] = file.read_bytes() if file.is_file() else None
            os.replace(part, file)
    except BaseException:
        renamed = [file for file in before if not parts[file].exists()]
        for part in parts.values():
            part.unlink(missing_ok=True)
        for file in renamed:
            _restore(file, before[file])
        raise


def _restore(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink(missing_ok=True)
    else:
        file.write_bytes(content)


def sweep(folder: Path) -> None:
    """Remove parts of files that killed processes left in a folder."""
    with PUBLISHING, suppress(OSError):
        for part in folder.glob(".*.part"):
            ours = PART.fullmatch(part.name)
            if ours and (int(ours[1]) == os.getpid() or not process_runs(int(ours[1]))):
                part.unlink()


@contextmanager
def writable(folder: Path, option: str) -> Iterator[None]:
    """Make a folder if needed, and take away what was made where nothing came to lie in it.

    Args:
        folder: to be written in, while the context lasts.
        option: of the command line that named it, for the message.

    Raises:
        ParameterError: it cannot be written.
    """
    if "\0" in str(folder):
        raise ParameterError(f"{option} {str(folder)!r}: takes a path without a null character")
    made = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        _remove_empty(made)
        reason = (error.strerror or str(error)).lower()
        raise ParameterError(f"{option} {folder}: cannot be written ({reason})") from None
    try:
        yield
    finally:
        _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
