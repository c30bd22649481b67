"""Where a store lies: a local folder, or any fsspec URL. A file is there whole or not at all.

Locally a file is written under a name of its own and renamed. An object store has no rename, but an object appears when
it is whole. Nothing is forced to the disk: what a power cut loses is found by its checksum.
"""

import os
import shutil
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from re import fullmatch
from secrets import token_hex
from stat import S_ISREG
from tempfile import TemporaryFile

from phasebook.arguments import brief
from phasebook.machine import free_memory, process_runs

__all__ = ["Place", "place_of"]

TRIES = 5
PART = r"\..+\.(\d{1,9})\.[0-9a-f]{8}\.part"       # a file that process is writing
WRITING: set[str] = set()                           # by this process; in containers many have had its number
SMALL = 1 << 20         # bytes that always fit


class Place(ABC):
    """A folder of files by key, such as `E/c/0/0/1/2`."""

    url: str

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """What is in a file; None where there is none. Nothing of one that is larger than memory: it is not ours."""

    @abstractmethod
    def put(self, key: str, data: bytes, new: bool = False) -> bool:
        """Write a file, whole or not at all; False where it was to be `new` and is there. OSError in one line."""

    @abstractmethod
    def times(self, key: str) -> dict[str, float]:
        """The files below a key, and when they were written (seconds of the epoch; nan where nothing says)."""

    @abstractmethod
    def names(self) -> list[str]:
        """Files and folders at the top."""

    def foreign(self, name: str) -> bool:
        """Whether a file or folder at the top is surely of no store."""
        return False

    def try_out(self) -> None:  # noqa: B027  (what a remote place takes, it says when it is written)
        """ValueError where nothing can be written; what was made to find out is taken away."""

    def free(self) -> float:
        """Bytes that can be written; infinite where nothing says."""
        return float("inf")

    def tidy(self) -> None:  # noqa: B027  (nothing to do but where files are renamed)
        """Remove what a writer that died has left behind."""

    def failed(self, what: str, error: Exception) -> OSError:
        """An error in one line."""
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = " ".join(str(said).lower().split())[:300]
        return OSError(f"path = {self.url!r}: {what} ({reason}); what is done stays, and the same call goes on")


class _Folder(Place):
    def __init__(self, url: str, root: Path):
        self.url, self.root = url, root

    def get(self, key: str) -> bytes | None:
        path = self.root / key
        try:
            about = path.stat()
            if not S_ISREG(about.st_mode):          # a pipe would be waited for
                return None
            fits = about.st_size < SMALL or about.st_size < free_memory()
            return path.read_bytes() if fits else b""
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self.failed("cannot be read", error) from None

    def put(self, key: str, data: bytes, new: bool = False) -> bool:
        path = self.root / key
        for attempt in range(TRIES):
            part = path.with_name(f".{path.name}.{os.getpid()}.{token_hex(4)}.part")
            try:
                WRITING.add(part.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                part.write_bytes(data)
                return _moved(part, path, new)
            except FileNotFoundError as error:      # another writer has tidied it away
                if attempt == TRIES - 1:
                    raise self.failed(f"{key} cannot be written", error) from None
            except OSError as error:
                raise self.failed(f"{key} cannot be written", error) from None
            finally:
                WRITING.discard(part.name)
                with suppress(OSError):
                    part.unlink(missing_ok=True)

    def times(self, key: str) -> dict[str, float]:
        dates = {}
        try:
            for path in (self.root / key).rglob("*"):
                with suppress(OSError):
                    if path.is_file() and path.suffix != ".part":
                        dates[path.relative_to(self.root).as_posix()] = path.stat().st_mtime
        except OSError as error:
            raise self.failed("cannot be read", error) from None
        return dates

    def names(self) -> list[str]:
        try:
            return [path.name for path in self.root.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OSError(f"path = {self.url!r}: takes a folder, new or of a slice "
                          f"({(error.strerror or '').lower()})") from None

    def foreign(self, name: str) -> bool:
        path = self.root / name
        if name == "zarr.json" or path.suffix == ".part":
            return path.is_dir()
        if not path.is_dir():
            return name != ".zarr.json"
        held = [one.name for one in path.iterdir() if one.suffix != ".part"]       # none where a writer has just died
        return bool(held) and not {"zarr.json", "c"} & set(held)

    def try_out(self) -> None:
        made = [place for place in (self.root, *self.root.absolute().parents) if not os.path.lexists(place)]
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            lost = os.path.islink(self.root) and not self.root.exists()
            reason = "a link to nothing" if lost else (error.strerror or str(error)).lower()
            raise ValueError(f"path = {self.url!r}: cannot be written ({reason}); takes a folder, new or of a "
                             "slice") from None
        finally:
            for place in made:
                with suppress(OSError):
                    place.rmdir()

    def free(self) -> float:
        near = next(path for path in (self.root.absolute(), *self.root.absolute().parents) if path.exists())
        return float(shutil.disk_usage(near).free)

    def tidy(self) -> None:
        for path in list(self.root.rglob("*.part")):
            ours = fullmatch(PART, path.name)
            if ours and path.name not in WRITING and (int(ours[1]) == os.getpid() or not process_runs(int(ours[1]))):
                with suppress(OSError):
                    path.unlink(missing_ok=True)


def _moved(part: Path, path: Path, new: bool) -> bool:
    """A file under its name at last; False where it was to be new and one is there."""
    if new:
        try:
            os.link(part, path)
            return True
        except OSError:                             # also where there are no links
            if path.is_file():
                return False
    os.replace(part, path)
    return True


class _Remote(Place):
    """Behind an fsspec file system, each of which has errors of its own kinds."""

    def __init__(self, url: str, system, root: str):
        self.url, self.system, self.root = url, system, root.rstrip("/")

    def get(self, key: str) -> bytes | None:
        try:
            return self.system.cat_file(f"{self.root}/{key}")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except Exception as error:
            raise self.failed("cannot be read", error) from None

    def put(self, key: str, data: bytes, new: bool = False) -> bool:
        path, how = f"{self.root}/{key}", {"mode": "create"} if new else {}
        try:
            try:
                self.system.pipe_file(path, data, **how)
            except FileNotFoundError:               # of one that has real folders
                self.system.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
                self.system.pipe_file(path, data, **how)
            return True
        except FileExistsError:
            return False
        except Exception as error:
            raise self.failed("cannot be written", error) from None

    def times(self, key: str) -> dict[str, float]:
        try:
            self.system.invalidate_cache()
            entries = self.system.find(f"{self.root}/{key}", detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:
            raise self.failed("cannot be read", error) from None
        return {path.removeprefix(self.root + "/"): _when(entry) for path, entry in entries.items()}

    def names(self) -> list[str]:
        try:
            self.system.invalidate_cache()
            return [entry.rstrip("/").rsplit("/", 1)[-1] for entry in self.system.ls(self.root, detail=False)]
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self.failed("cannot be read", error) from None


def _when(entry: dict) -> float:
    """Object stores name the time of a file each in its own way."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = entry.get(name)
        if hasattr(value, "timestamp"):
            return float(value.timestamp())
        if isinstance(value, int | float):
            return float(value)
    return float("nan")


def _home(text: str) -> Path:
    """A local path; ~ is the home of a user who has one."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"path = {text!r}: nobody here has that home; takes the path of a folder") from None


def place_of(url: str | Path) -> Place:
    """The place of a path or of an fsspec URL, such as `s3://bucket/slice.zarr`.

    Raises:
        ValueError: for a URL that fsspec does not know.
    """
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    text = str(url)
    if not isinstance(url, str | os.PathLike):
        raise ValueError(f"path = {brief(url)}: takes the path of a folder, or a URL such as s3://bucket/slice.zarr")
    if not text:
        raise ValueError("path = '': takes the path of a folder, or a URL such as s3://bucket/slice.zarr")
    if "\0" in text:
        raise ValueError(f"path = {text!r}: takes a path without a null character")
    if "://" not in text:
        return _Folder(text, _home(text))
    try:
        system, root = url_to_fs(text)
    except Exception as error:  # file systems that miss something of theirs raise some six kinds
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ValueError(f"path = {text!r}: {reason}; takes a path or a URL that fsspec knows") from None
    return _Folder(text, Path(root)) if isinstance(system, LocalFileSystem) else _Remote(text, system, root)
