"""Files that appear together or not at all."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from phasebook.site.chapters.parameters import ParameterError

__all__ = ["publish", "require_writable"]


def publish(texts: Mapping[Path, str]) -> None:
    """Write each text to its file, whole: all of them, or, where one cannot be written, none.

    Each is written beside its place first; then all are renamed. Where a rename fails, what stood there before stands
    there again.

    Raises:
        OSError: what stopped it, a full disk say.
    """
    parts = {file: file.with_name(f".{file.name}.{os.getpid()}.part") for file in texts}
    before: dict[Path, bytes | None] = {}
    try:
        for file, part in parts.items():
            _sweep(file)
            with open(part, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(texts[file])
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


def _sweep(file: Path) -> None:
    """Remove parts of this file that a killed process left."""
    for part in file.parent.glob(f".{file.name}.*.part"):
        number = part.name.split(".")[-2]
        if number.isdigit() and not _runs(int(number)):
            part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return process != os.getpid()


def require_writable(folder: Path, option: str) -> None:
    """Make a folder if needed; ParameterError, naming the option that asked for it, where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ParameterError(f"{option} {folder}: cannot be written ({(error.strerror or str(error)).lower()})"
                             ) from None
