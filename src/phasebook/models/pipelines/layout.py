"""A new directory for the time of loading: what a library is pointed at instead of a stranger's."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phasebook.scratch import scratch

__all__ = ["Layout", "laid_out"]


class Layout:
    """A directory with copies of small files, and links to weights.

    Args:
        label: the beginning of every refusal, such as "model = 'emoji'".
        place: the directory, empty.
    """

    def __init__(self, label: str, place: Path):
        self.label, self.place = label, place
        self.linked: dict[Path, tuple[int, ...]] = {}

    def add(self, source: Path, target: Path) -> None:
        """Lay out a file: weights as a link to what a link of a hub's cache leads to, any other as it is now.

        Args:
            source: of the model.
            target: in the new directory.
        """
        if source.suffix != ".safetensors":
            shutil.copyfile(source, target)
            return
        source = source.resolve()
        self.linked[source] = _stamp(source)
        os.symlink(source, target)

    def check_stayed(self) -> None:
        """ValueError where weights were replaced or written since they were laid out."""
        for file, stamp in self.linked.items():
            if _stamp(file) != stamp:
                raise ValueError(f"{self.label}: {file.name} in {file.parent} changed while it was read; load it again")


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        now = file.stat()
    except OSError:
        return ()
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns


@contextmanager
def laid_out(label: str, use: str, source: Path) -> Iterator[Layout]:
    """An empty directory, which goes with the context.

    Args:
        label: the beginning of every refusal.
        use: for the directory's name, see `scratch`.
        source: the stranger's directory, which refusals name in its place.

    Raises:
        ValueError: one line, at the end, where weights changed meanwhile.
    """
    with scratch(use) as folder:
        layout = Layout(label, folder)
        try:
            yield layout
        except ValueError as error:
            if folder.name not in str(error):
                raise
            told = str(error).replace(str(folder), str(source)).replace(folder.name, source.name)
            raise ValueError(told) from None
        layout.check_stayed()
