"""Builds the book: runs every chapter, compares the verdicts, lays out the site strictly.

The default profile lives in the repository itself (`book/chapters/`, `_build/html/`); any other is built in a
folder of its own, beside a copy of the book's prose, so that it never disturbs the default one. `_build/times.json`
tells when each chapter ran, for how long and with what; nothing else in a build depends on the day or the machine.
"""

import json
import queue
import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path

from phasebook.machine import cores, free_memory
from phasebook.site.build import layout, runner
from phasebook.site.build.execution import Nursery, nursery
from phasebook.site.build.files import PUBLISHING, publish, writable
from phasebook.site.build.sources import CLAIMS, ChapterError, imports
from phasebook.site.results.ledger import Results, versions

__all__ = ["build", "compare_verdicts", "verdicts"]

TRACKED = Path("tests", "reference", "verdicts.json")
TIMES = Path("_build", "times.json")
LONGEST = "13_network_and_data"                             # begun first: no lane waits for it at the end
LANE = "lane"           # what their threads are called
LANES, ROOM = 4, 4e9    # chapters that run at a time, at most, and the memory that is there for each


def build(profile: str = "default", to: Path | None = None, *, accept: bool = False,
          say: Callable[[str], None] = print) -> Path:
    """Execute, compare, lay out.

    Args:
        profile: `default`, or a folder of `notebooks/params`.
        to: the folder to build in; by default the repository, or `_build/PROFILE` for another profile.
        accept: take the verdicts found as the tracked list.
        say: what takes a line of progress.

    Returns:
        The folder of pages.

    Raises:
        ChapterError: a chapter, a verdict or the pages failed.
        ParameterError: an unknown profile, or a folder that cannot be written.
    """
    sources = sorted(runner.chapters(), key=lambda source: source.stem == CLAIMS)      # it reads what the others left
    changes = {source: runner.profile(profile, source) for source in sources}
    home = _home(profile, to)
    out = home / "book" / "chapters"
    pages = runner.pages()
    turns = sorted([*pages, *sources[-2::-1]], key=lambda source: source.stem != LONGEST)     # later ones are longer
    lanes = max(1, min(LANES, cores(), int(min(free_memory(), 1e15) // ROOM)))

    def one(source: Path) -> None:
        place = source.stem if source in pages else f"[{sources.index(source) + 1}/{len(sources)}] {source.stem}"
        say(f"{place} ...")
        seconds = _run(source, changes.get(source), home, lanes, kernels)
        say(f"{place}: " + (f"{seconds:.1f} s" if seconds else "unchanged"))

    with nursery(imports([*sources, *pages])) as kernels:
        _side_by_side(one, turns, lanes)
        one(sources[-1])            # depends on all that lies in the folder
    if profile == "default":
        current = verdicts(out)
        if accept:
            publish({runner.root() / TRACKED: json.dumps(current, indent=1, sort_keys=True) + "\n"})
        compare_verdicts(current)
    return layout.lay_out(home, say)


def _side_by_side(task: Callable[[Path], None], sources: list[Path], lanes: int) -> None:
    """Call `task` for each of `sources` in turn, a few at a time; the first error is raised once the others that are
    on their way are done, and no new ones begin.

    The lanes are threads that do not keep an interrupted process alive: its kernels end with it.
    """
    waiting, ended, failed = iter(sources), queue.SimpleQueue(), threading.Event()

    def lane() -> None:
        error = None
        try:
            for source in waiting:
                if failed.is_set():
                    break
                task(source)
        except Exception as raised:
            failed.set()
            error = raised
        ended.put(error)

    for _ in range(lanes):
        threading.Thread(target=lane, name=LANE, daemon=True).start()
    errors = [error for error in (ended.get() for _ in range(lanes)) if error is not None]
    if errors:
        raise errors[0]


def _run(source: Path, changes: dict | None, home: Path, lanes: int, kernels: Nursery | None) -> float:
    """Run one chapter, or a page, which takes no changes, of a build, of which `lanes` run at a time; the seconds.

    Each has one thread, so that rounding, and what a search ends in, is the same on few cores and on many.
    """
    out, bar = home / "book" / "chapters", sys.stderr.isatty() and lanes == 1
    if changes is None:
        return runner.run_page(source, out, threads=1, nursery=kernels)
    if source.stem != CLAIMS:
        done = runner.run(source, changes, out, progress=bar, threads=1, nursery=kernels)
    else:       # it reads what the others left in this build; from here its path is the same in every build
        with chdir(home):
            changes = {**changes, "results": "book/chapters"}
            done = runner.run(source, changes, out, progress=bar, threads=1, nursery=kernels)
    if done.seconds:
        _note(home / TIMES, source.stem, done.seconds)
    return done.seconds


def _note(file: Path, chapter: str, seconds: float) -> None:
    """Enter a run into the file of times, to which others add theirs."""
    run = {"seconds": round(seconds, 1), "finished": datetime.now(UTC).isoformat(timespec="seconds"),
           "versions": versions()}
    file.parent.mkdir(exist_ok=True)
    with PUBLISHING:
        try:
            known = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        publish({file: json.dumps({**known, chapter: run}, indent=1, sort_keys=True) + "\n"})


def _home(profile: str, to: Path | None) -> Path:
    """The folder that is built in: the repository for the default profile, else a copy of the book's prose."""
    root = runner.root()
    if profile == "default" and to is None:
        return root
    home = Path(to or root / "_build" / profile).absolute()
    with writable(home, "--to"):
        (home / "book" / "chapters").mkdir(parents=True, exist_ok=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, home / name)
    shutil.copytree(root / "book", home / "book", dirs_exist_ok=True, ignore=shutil.ignore_patterns("chapters"))
    return home


def verdicts(folder: Path) -> dict[str, str]:
    """Verdicts of all chapters executed in a folder, by claim."""
    files = [folder / f"{s.stem}.results.json" for s in runner.chapters()]
    ledgers = [Results.model_validate_json(f.read_text(encoding="utf-8")) for f in files]
    claims = [c for ledger in ledgers for c in ledger.claims]
    current = {c.id: c.verdict for c in claims}
    if len(current) != len(claims):
        ids = [c.id for c in claims]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        raise ChapterError(f"claims recorded by two chapters: {', '.join(twice)}")
    return current


def compare_verdicts(current: dict[str, str]) -> None:
    """ChapterError, naming each change, when verdicts differ from the tracked list."""
    file = runner.root() / TRACKED
    tracked = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    changed = [f"{i}: {tracked.get(i, 'absent')} -> {current.get(i, 'absent')}"
               for i in sorted(set(tracked) | set(current)) if tracked.get(i) != current.get(i)]
    if changed:
        raise ChapterError(f"{len(changed)} verdicts differ from {TRACKED} (`phasebook book --accept` takes the new "
                           "ones): " + "; ".join(changed))
