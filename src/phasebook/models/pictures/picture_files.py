"""The picture files of a directory, found without looking through a whole disk."""

import os
from pathlib import Path

__all__ = ["SUFFIXES", "pictures_below"]

LOOKED = 100_000                # files and folders of a directory, pictures or not
# What counts as a picture in a directory: also formats that Pillow does not read, so that they are named, not missed.
SUFFIXES = {"png", "jpg", "jpeg", "jfif", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "tga", "avif",
            "heic", "heif", "svg", "jp2", "jxl", "ico", "psd"}


def pictures_below(root: Path, refused: str, most: int) -> list[Path]:
    """Files of pictures below a directory, by their suffix; hidden ones are passed over.

    Args:
        root: the directory.
        refused: the beginning of a refusal.
        most: of pictures; where there are more, not all are looked for.

    Returns:
        Paths relative to the directory, sorted.

    Raises:
        ValueError: for a directory of very many files, which may be a whole disk.
    """
    paths, looked = [], 0
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = [Path(place, name) for name in files if not name.startswith(".")]
        paths += [path for path in here if path.suffix[1:].lower() in SUFFIXES and path.is_file()]
        looked += len(files) + len(folders)
        if len(paths) > most:
            break
        if looked > LOOKED:
            raise ValueError(f"{refused} holds more than {LOOKED} files and folders; takes a directory of pictures")
    return sorted((path.relative_to(root) for path in paths), key=Path.as_posix)
