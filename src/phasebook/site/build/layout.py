"""Lays out the site: Sphinx over executed notebooks and prose, warnings as errors.

The pages are built aside and take the place of the old ones only when they are whole. A stamp holds the digests of
what went in and of every file that came out: a page that was touched or lost is made again.
"""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from phasebook.scratch import remove
from phasebook.site import process
from phasebook.site.build.sources import ChapterError
from phasebook.site.paths import root

__all__ = ["lay_out"]


def lay_out(home: Path, say: Callable[[str], None]) -> Path:
    """Build the pages of `home` into its `_build/html`, or leave them where nothing changed; the folder of pages.

    Raises:
        ChapterError: the pages were not built; one line a complaint of Sphinx.
    """
    html, stamp, aside = (home / "_build" / name for name in ("html", "stamp", "next"))
    inputs = _of_inputs(home)
    if not (stamp.is_file() and stamp.read_text() == f"{inputs} {of_tree(html)}"):
        stamp.unlink(missing_ok=True)
        say("pages ...")
        try:
            _sphinx(home, aside)
            missing = _missing(home, aside / "_build" / "html")
            if missing:
                raise ChapterError(f"pages missing after the build: {', '.join(missing)}")
            _exchange(html, aside / "_build" / "html", aside / "old")
        finally:
            remove(aside)
        stamp.write_text(f"{inputs} {of_tree(html)}")
    say(f"open {(html / 'index.html').as_uri()}")
    return html


def _exchange(html: Path, new: Path, old: Path) -> None:
    """New pages in place of the old ones by two renames, which take an instant; stopped between them, the old ones."""
    try:
        if html.exists():
            os.replace(html, old)
        os.replace(new, html)
    except BaseException:
        if old.exists() and not html.exists():
            os.replace(old, html)
        raise


def _sphinx(home: Path, aside: Path) -> None:
    """Always from nothing: Sphinx would not repeat the warnings of a page that it read in an earlier, failed build, and
    dates its style sheets by what lies there already."""
    remove(aside)
    aside.mkdir(parents=True)
    command = [sys.executable, "-m", "phasebook.site.build.pages", str(home), str(aside)]
    environment = {**os.environ, process.PARENT: str(os.getpid()), "PYTHONUTF8": "1", "NO_COLOR": "1"}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          encoding="utf-8", errors="replace", env=environment, start_new_session=True)
    if done.returncode < 0:
        raise ChapterError(f"the pages were not built: Sphinx was stopped ({signal.Signals(-done.returncode).name})")
    if done.returncode:
        lines = [x for x in done.stdout.splitlines() if any(w in x for w in ("WARNING", "ERROR", "rror:"))]
        raise ChapterError("the pages were not built:\n" + "\n".join(lines or done.stdout.splitlines()[-30:]))


def _of_inputs(home: Path) -> str:
    files = [home / "_config.yml", home / "_toc.yml", root() / "requirements.lock"]
    files += [f for f in sorted((home / "book").rglob("*")) if f.is_file() and "__pycache__" not in f.parts]
    files += sorted((root() / "src" / "phasebook").rglob("*.py"))       # the API page shows their docstrings
    files += sorted((root() / "benchmarks" / "results").glob("*.json"))
    return _digest((file.name, file) for file in files)


def of_tree(folder: Path) -> str:
    """The digest of every file below a folder, and of its name."""
    return _digest((str(f.relative_to(folder)), f) for f in sorted(folder.rglob("*")) if f.is_file())


def _digest(named: Iterable[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, file in named:
        digest.update(os.fsencode(name) + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _missing(home: Path, html: Path) -> list[str]:
    """Pages of the table of contents that the built site lacks."""
    toc = yaml.safe_load((home / "_toc.yml").read_text(encoding="utf-8"))
    pages = [toc["root"], *(c["file"] for part in toc.get("parts", [toc]) for c in part.get("chapters", []))]
    return [p for p in [*pages, "index"] if not (html / f"{p}.html").is_file()]
