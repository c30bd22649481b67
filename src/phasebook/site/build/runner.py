"""Runs one chapter: checks parameters, executes through papermill, writes notebook and ledger whole or not at all.

    notebooks/07_one_dimension.py --jupytext--> parameters checked --papermill--> DIR/07_one_dimension.ipynb
                                                                                  DIR/07_one_dimension.results.json

A run is skipped when nothing it depends on, and nothing that it wrote, has changed (`cache`).
"""

import ast
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from phasebook.site.build import cache, sources
from phasebook.site.build.execution import Nursery, execute
from phasebook.site.build.files import publish, sweep, writable
from phasebook.site.build.sources import ChapterError, chapters, find_chapter, given, notebook, pages, profile
from phasebook.site.checks.memory import stated
from phasebook.site.checks.parameters import ParameterError, Parameters, unknown_parameter
from phasebook.site.paths import root
from phasebook.site.results.ledger import Results

__all__ = [
    "ChapterError", "Run", "chapters", "check", "find_chapter", "given", "ledger", "notebook", "pages", "profile",
    "root", "run", "run_page",
]

CHECKING = threading.Lock()
UNDRAWN = "*Not drawn with these parameters.*"


class Run(NamedTuple):
    """An executed chapter: its notebook, its ledger, and the seconds it took (0 where it was up to date)."""

    notebook: Path
    results: Path
    seconds: float


def check(source: Path, changes: Mapping[str, Any]) -> Parameters:
    """Run the parameters cell, the changes and the checking cell, as papermill will. ParameterError where they refuse.

    No chapter code beyond those two cells runs. One check at a time: libraries that import their parts when these are
    asked for do it wrong in two threads at once.
    """
    with CHECKING:
        parameters, checking = sources.checked_cells(source)
        known = sources.defaults(source)
        for name, value in changes.items():
            if name not in known:
                raise ParameterError(unknown_parameter(name, value, known))
            if not _is_text(value):
                raise ParameterError(f"{name} = {value!a}: holds characters that are not text; takes UTF-8")
        namespace: dict[str, Any] = {"__name__": f"phasebook_chapter_{source.stem}"}
        exec(compile(parameters, f"{source.name} (parameters)", "exec"), namespace)
        namespace.update(changes)
        try:
            exec(compile(checking, f"{source.name} (check)", "exec"), namespace)
        except ParameterError:
            raise
        except ValueError as error:     # of what belongs to the chapter: a misspelt key in its file of claims
            raise ChapterError(f"{source.stem}: {' '.join(str(error).split())}") from error
        chosen = next((value for value in namespace.values() if isinstance(value, Parameters)), None)
        if chosen is None:
            raise ChapterError(f"{source.stem}: the cell after the parameters makes no Parameters model")
        return chosen


def _is_text(value: Any) -> bool:
    """Whether a value can be written down: a name from a file system of another encoding cannot."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def run(source: Path, changes: Mapping[str, Any], out: Path, *, progress: bool = True,
        threads: int | None = None, nursery: Nursery | None = None, say: Callable[[str], None] = lambda _: None) -> Run:
    """Execute a chapter with changed parameters into `out`; nothing is written unless all of it succeeded.

    `threads` of a numeric library (default: as many as there are cores, or as OMP_NUM_THREADS says). A build gives the
    `nursery` that its kernels come from. Before a kernel starts, `say` is told what memory the run will take at most.

    Raises ParameterError (bad parameters or an unusable folder, before anything runs) and ChapterError (a cell failed).
    """
    page, results = out / f"{source.stem}.ipynb", out / f"{source.stem}.results.json"
    sweep(out)
    before = cache.signature(page, results)
    checked = before.get("parameters") == cache.of_parameters(changes)
    chosen = None if checked else check(source, changes)    # before the files that it names, which may be anything
    key = cache.cache_key(source, changes)
    if checked and before["key"] == key:
        return Run(page, results, 0.0)
    chosen = chosen or check(source, changes)
    say(f"{source.stem}: at most {stated(chosen.memory()) / 1e9:.1f} GB of memory")
    start = time.perf_counter()
    with writable(out, "-o"):
        executed = execute(notebook(source), source.stem, changes, progress, threads, nursery)
        text = ledger(source, executed).model_dump_json(indent=1) + "\n"
        _finish(executed)
        cache.sign(executed, changes, key, text)
        _publish(source, {results: text, page: nbformat.writes(executed) + "\n"})   # the page carries the signature
    return Run(page, results, time.perf_counter() - start)


def run_page(source: Path, out: Path, threads: int | None = None, nursery: Nursery | None = None) -> float:
    """Execute a page that is no chapter into `out`; the seconds it took, 0 where it was up to date."""
    page = out / f"{source.stem}.ipynb"
    key = cache.cache_key(source, {})
    if cache.signature(page, None).get("key") == key:
        return 0.0
    start = time.perf_counter()
    with writable(out, "-o"):
        executed = execute(notebook(source), source.stem, {}, False, threads, nursery)
        _finish(executed)
        cache.sign(executed, {}, key, "")
        _publish(source, {page: nbformat.writes(executed) + "\n"})
    return time.perf_counter() - start


def _publish(source: Path, texts: Mapping[Path, str]) -> None:
    try:
        publish(texts)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ChapterError(f"{source.stem}: could not be written ({reason}); nothing was") from None


def ledger(source: Path, executed: nbformat.NotebookNode) -> Results:
    """The ledger that the cell tagged `results` emitted, held against the schema."""
    tagged = [c for c in executed.cells if "results" in c.metadata.get("tags", [])]
    data = [o.data["application/json"] for c in tagged for o in c.get("outputs", [])
            if "application/json" in o.get("data", {})]
    if len(data) != 1:
        raise ChapterError(f"{source.stem}: the cell tagged 'results' must emit one ledger, not {len(data)}")
    try:
        return Results.model_validate(data[0])
    except ValueError as error:
        raise ChapterError(f"{source.stem}: ledger refused: {' '.join(str(error).split())}") from None


def _finish(executed: nbformat.NotebookNode) -> None:
    """Fold the parameters, name each fold, drop papermill's paths and times, number the cells; in place.

    A figure that these parameters leave out keeps its label, so that the text may still refer to it.
    """
    for cell in executed.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        tags = cell.metadata.get("tags", [])
        if {"parameters", "injected-parameters"} & set(tags):
            cell.metadata["tags"] = [*tags, "hide-input"]
        if "hide-input" in cell.metadata.get("tags", []):
            name = _fold(cell)
            names = {"code_prompt_show": name, "code_prompt_hide": name}
            cell.metadata["mystnb"] = {**cell.metadata.get("mystnb", {}), **names}
        if "figure" in cell.metadata.get("mystnb", {}) and not cell.get("outputs"):
            cell.outputs = [nbformat.v4.new_output("display_data", {"text/markdown": UNDRAWN})]
    executed.metadata.pop("papermill", None)
    sources.number_cells(executed)


def _fold(cell: nbformat.NotebookNode) -> str:
    """What a folded cell does, as the line that unfolds it: a listener hears one name a cell, not one for all."""
    tags, source = cell.metadata["tags"], cell.source
    if "parameters" in tags:
        return "Change and rerun"
    if "injected-parameters" in tags:
        return "Parameters of this run"
    if "Chapter.read(" in source:
        return "Code: parameters checked, ledger opened"
    if "figure" in cell.metadata.get("mystnb", {}):
        return "Code of the figure"
    if "results" in tags:
        return "Code: results written"
    if "ledger.claim(" in source:
        return "Code: claims recorded"
    if all(line.startswith((" ", ")", "import ", "from ")) for line in source.splitlines() if line):
        return "Code: imports"
    if "table(" in source:
        return "Code of the table"
    named = [t.id for line in ast.parse(source).body if isinstance(line, ast.Assign)
             for t in ast.walk(line.targets[0]) if isinstance(t, ast.Name) and isinstance(t.ctx, ast.Store)]
    return f"Code: {', '.join([n for n in dict.fromkeys(named) if n != '_'][:3])}" if named else "Code"
