"""Builds the book: runs every chapter, compares the verdicts, lays out the site strictly.

The default profile lives in the repository itself (`book/chapters/`, `_build/html/`); any other is built in a
folder of its own, beside a copy of the book's prose, so that it never disturbs the default one.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from phasebook.site.build import runner
from phasebook.site.build.runner import ChapterError
from phasebook.site.chapters.ledger import Results

__all__ = ["build", "compare_verdicts", "verdicts"]

TRACKED = Path("tests", "reference", "verdicts.json")
CLAIMS = "08_claims"


def build(profile: str = "default", to: Path | None = None, *, accept: bool = False,
          say: Callable[[str], None] = print) -> Path:
    """Execute, compare, lay out; returns the folder of pages. ChapterError on any failure."""
    home = _home(profile, to)
    out = home / "book" / "chapters"
    sources = runner.chapters()
    for i, source in enumerate(sources, 1):
        changes = runner.profile(profile, source)
        if source.stem == CLAIMS and home != runner.root():
            changes = {**changes, "results": str(out)}
        say(f"[{i}/{len(sources)}] {source.stem} ...")
        done = runner.run(source, changes, out, progress=sys.stderr.isatty())
        say(f"[{i}/{len(sources)}] {source.stem}: " + (f"{done.seconds:.1f} s" if done.seconds else "unchanged"))
    if profile == "default":
        found = verdicts(out)
        if accept:
            tracked = runner.root() / TRACKED
            tracked.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        compare_verdicts(found)
    return _lay_out(home, say)


def _home(profile: str, to: Path | None) -> Path:
    """The folder that is built in: the repository for the default profile, else a copy of the book's prose."""
    root = runner.root()
    if profile == "default" and to is None:
        return root
    home = (to or root / "_build" / profile).resolve()
    chapters = home / "book" / "chapters"
    chapters.mkdir(parents=True, exist_ok=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, home / name)
    shutil.copytree(root / "book", home / "book", dirs_exist_ok=True, ignore=shutil.ignore_patterns("chapters"))
    return home


def verdicts(folder: Path) -> dict[str, str]:
    """Verdicts of all chapters executed in a folder, by claim."""
    files = [folder / f"{s.stem}.results.json" for s in runner.chapters()]
    ledgers = [Results.model_validate_json(f.read_text(encoding="utf-8")) for f in files]
    claims = [c for ledger in ledgers for c in ledger.claims]
    found = {c.id: c.verdict for c in claims}
    if len(found) != len(claims):
        ids = [c.id for c in claims]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        raise ChapterError(f"claims recorded by two chapters: {', '.join(twice)}")
    return found


def compare_verdicts(found: dict[str, str]) -> None:
    """ChapterError, naming each change, when verdicts differ from the tracked list."""
    file = runner.root() / TRACKED
    tracked = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    changed = [f"{i}: {tracked.get(i, 'absent')} -> {found.get(i, 'absent')}"
               for i in sorted(set(tracked) | set(found)) if tracked.get(i) != found.get(i)]
    if changed:
        raise ChapterError(f"{len(changed)} verdicts differ from {TRACKED} (`phasebook book --accept` takes the new "
                           "ones): " + "; ".join(changed))


def _lay_out(home: Path, say: Callable[[str], None]) -> Path:
    """Sphinx over executed notebooks and prose, warnings as errors; skipped when nothing changed."""
    html, stamp = home / "_build" / "html", home / "_build" / "stamp"
    key = _site_key(home)
    if not (stamp.is_file() and stamp.read_text() == key and not _missing(home, html)):
        stamp.unlink(missing_ok=True)
        say("pages ...")
        # --all: Sphinx would not repeat the warnings of a page that it read in an earlier, failed build
        command = [Path(sys.executable).with_name("jupyter-book"), "build", home, "--path-output", home,
                   "-W", "-n", "--keep-going", "--all"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            lines = [x for x in done.stdout.splitlines() if any(w in x for w in ("WARNING", "ERROR", "rror:"))]
            raise ChapterError("the pages were not built:\n" + "\n".join(lines or done.stdout.splitlines()[-30:]))
        missing = _missing(home, html)
        if missing:
            raise ChapterError(f"pages missing after the build: {', '.join(missing)}")
        stamp.write_text(key)
    say(f"open {(html / 'index.html').as_uri()}")
    return html


def _site_key(home: Path) -> str:
    digest = hashlib.sha256()
    files = [home / "_config.yml", home / "_toc.yml", runner.root() / "requirements.lock"]
    files += [f for f in sorted((home / "book").rglob("*")) if f.is_file() and "__pycache__" not in f.parts]
    for file in files:
        digest.update(str(file.name).encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _missing(home: Path, html: Path) -> list[str]:
    """Pages of the table of contents that the built site lacks."""
    toc = yaml.safe_load((home / "_toc.yml").read_text(encoding="utf-8"))
    pages = [toc["root"], *(c["file"] for c in toc["chapters"])]
    return [p for p in [*pages, "index"] if not (html / f"{p}.html").is_file()]
