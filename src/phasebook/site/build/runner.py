"""Runs one chapter: checks parameters, executes through papermill, writes notebook and ledger whole or not at all.

    notebooks/05_phase_boundaries.py --jupytext--> parameters checked --papermill--> DIR/05_phase_boundaries.ipynb
                                                                                     DIR/05_phase_boundaries.results.json

A run is skipped when nothing it depends on has changed: the source, the modules of the package that it imports,
the assets, the lock file, the parameters and any file or folder that a parameter names (`cache_key`).
"""

import ast
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jupytext
import nbformat
import yaml

from phasebook.site.chapters.ledger import Results
from phasebook.site.chapters.parameters import ParameterError, Parameters
from phasebook.site.paths import root

__all__ = [
    "ChapterError", "Run", "chapters", "check", "find_chapter", "given", "ledger", "notebook", "profile", "root", "run",
]


class ChapterError(RuntimeError):
    """A chapter failed while it ran: one line; `traceback` holds the rest."""

    traceback = ""


class Run(NamedTuple):
    """An executed chapter: its notebook, its ledger, and the seconds it took (0 where it was up to date)."""

    notebook: Path
    results: Path
    seconds: float


def chapters() -> list[Path]:
    """The sources of all chapters in order of their numbers."""
    return sorted((root() / "notebooks").glob("[0-9][0-9]_*.py"))


def find_chapter(name: str) -> Path:
    """The source for `5`, `05` or `05_phase_boundaries`. ParameterError, naming what there is, for another."""
    for source in chapters():
        number = source.stem[:2]
        if name in (source.stem, number, str(int(number))):
            return source
    known = ", ".join(s.stem for s in chapters())
    raise ParameterError(f"CHAPTER = {name!r}: no such chapter; known are {known}")


def profile(name: str, source: Path) -> dict[str, Any]:
    """The parameters that a profile changes in a chapter: `notebooks/params/NAME/NN.yaml`, {} where it has none."""
    folder = root() / "notebooks" / "params"
    if name == "default":
        return {}
    known = sorted(f.name for f in folder.iterdir() if f.is_dir())
    if name not in known:
        raise ParameterError(f"profile = {name!r}: no such profile; known are default, {', '.join(known)}")
    file = folder / name / f"{source.stem[:2]}.yaml"
    return given(file) if file.is_file() else {}


def given(file: Path) -> dict[str, Any]:
    """A flat YAML file of parameters. ParameterError, one line, for anything else."""
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"-f {file}: cannot be read ({_reason(error)})") from None
    except yaml.YAMLError as error:
        raise ParameterError(f"-f {file}: is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict) or not all(isinstance(k, str) for k in values):
        raise ParameterError(f"-f {file}: takes a flat mapping of parameter names to values")
    return values


# --- parameters --------------------------------------------------------------------------------------------------


def notebook(source: Path) -> nbformat.NotebookNode:
    """A chapter's source as a notebook, not executed."""
    return jupytext.read(source)


def _cells(source: Path) -> tuple[str, str]:
    """The source of the parameters cell and of the cell that checks them."""
    code = [c for c in notebook(source).cells if c.cell_type == "code"]
    tagged = [i for i, c in enumerate(code) if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1 or tagged[0] + 1 >= len(code):
        raise ChapterError(f"{source.stem}: needs one cell tagged 'parameters' and a cell after it that checks them")
    return code[tagged[0]].source, code[tagged[0] + 1].source


def defaults(source: Path) -> dict[str, Any]:
    """The literals of the parameters cell."""
    tree = ast.parse(_cells(source)[0])
    pairs = [(n.targets[0], n.value) for n in tree.body if isinstance(n, ast.Assign)]
    return {target.id: ast.literal_eval(value) for target, value in pairs}


def check(source: Path, changes: Mapping[str, Any]) -> None:
    """Run the parameters cell, the changes and the checking cell, as papermill will. ParameterError where they refuse.

    No chapter code beyond those two cells runs.
    """
    parameters, checking = _cells(source)
    namespace: dict[str, Any] = {"__name__": f"phasebook_chapter_{source.stem}"}
    exec(compile(parameters, f"{source.name} (parameters)", "exec"), namespace)
    namespace.update(changes)
    exec(compile(checking, f"{source.name} (check)", "exec"), namespace)
    if not any(isinstance(value, Parameters) for value in namespace.values()):
        raise ChapterError(f"{source.stem}: the cell after the parameters makes no Parameters model")


# --- caching -----------------------------------------------------------------------------------------------------


def cache_key(source: Path, changes: Mapping[str, Any]) -> str:
    """SHA-256 over everything that the executed chapter depends on."""
    digest = hashlib.sha256()
    values = {**defaults(source), **changes}
    digest.update(json.dumps(values, sort_keys=True, default=str).encode())
    claims = source.parent / "claims" / f"{source.stem}.yaml"
    files = [source, *_files(claims), root() / "requirements.lock", *sorted(_imported(source)),
             *_files(root() / "assets")]
    for value in values.values():
        if isinstance(value, str) and value:
            named = os.path.expanduser(value)
            place = Path(named) if os.path.exists(named) else root() / named
            files += _files(place) if os.path.exists(place) else []
    for file in files:
        if file == source or not file.name.startswith(source.stem + "."):  # not what this chapter itself wrote
            digest.update(f"{file.name}:".encode() + _digest(file))
    return digest.hexdigest()


def _digest(file: Path) -> bytes:
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError as error:        # the chapter's own check says it better
        return repr(error).encode()


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())


def _imported(source: Path) -> set[Path]:
    """The modules of the package that `source` imports, at whatever depth, with the data files beside them."""
    package = root() / "src" / "phasebook"
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        for name in _imports(waiting.pop()):
            base = package.joinpath(*name.split(".")[1:])
            for file in (base.with_suffix(".py"), base / "__init__.py"):
                if file.is_file() and file not in found:
                    found.add(file)
                    waiting.append(file)
    data = {f for module in found for f in module.parent.glob("*.*") if f.suffix in {".js", ".css", ".json"}}
    return found | data


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("phasebook"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("phasebook"):
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)


# --- execution ---------------------------------------------------------------------------------------------------


def run(source: Path, changes: Mapping[str, Any], out: Path, *, progress: bool = True) -> Run:
    """Execute a chapter with changed parameters into `out`; nothing is written unless all of it succeeded.

    Raises ParameterError (bad parameters or an unusable folder, before anything runs) and ChapterError (a cell failed).
    """
    page, results = out / f"{source.stem}.ipynb", out / f"{source.stem}.results.json"
    done = page.is_file() and results.is_file()
    if not done:                    # before the files that parameters name are read: they may be anything
        check(source, changes)
    key = cache_key(source, changes)
    if done and _up_to_date(page, results, key):
        return Run(page, results, 0.0)
    if done:
        check(source, changes)
    _writable(out)
    start = time.perf_counter()
    executed = _execute(source, changes, progress)
    found = ledger(source, executed).model_dump_json(indent=1) + "\n"
    _finish(executed, {"key": key, "results": hashlib.sha256(found.encode()).hexdigest()})
    _replace(results, found)
    _replace(page, nbformat.writes(executed) + "\n")  # last: it carries the key that marks both as done
    return Run(page, results, time.perf_counter() - start)


def _up_to_date(notebook: Path, results: Path, key: str) -> bool:
    try:
        metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    except (ValueError, KeyError, TypeError):
        return False
    digest = hashlib.sha256(results.read_bytes()).hexdigest()
    return metadata.get("phasebook") == {"key": key, "results": digest}


def _writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ParameterError(f"-o {out}: cannot be written ({_reason(error)})") from None


def _execute(source: Path, changes: Mapping[str, Any], progress: bool) -> nbformat.NotebookNode:
    import papermill
    from traitlets.config import Config

    with tempfile.TemporaryDirectory() as folder:
        # sockets in the file system, readable by this user alone (Windows has none), in a folder of this run's own:
        # by default they lie in the working directory, where two runs take each other's
        sockets = {} if os.name == "nt" else {"transport": "ipc", "ip": str(Path(folder, "kernel"))}
        transport = Config(KernelManager=sockets)
        plain, executed = Path(folder, "in.ipynb"), Path(folder, "out.ipynb")
        nbformat.write(notebook(source), plain)
        try:
            papermill.execute_notebook(str(plain), str(executed), parameters=dict(changes), kernel_name="python3",
                                       progress_bar={"desc": source.stem, "leave": False} if progress else False,
                                       config=transport)
        except papermill.PapermillExecutionError as error:
            message = " ".join(str(error.evalue).split())
            failure = ChapterError(f"{source.stem}: cell {error.exec_count}: {error.ename}: {message}")
            failure.traceback = "\n".join(error.traceback)
            raise failure from None
        except RuntimeError as error:       # a kernel that does not start, or is killed
            raise ChapterError(f"{source.stem}: {' '.join(str(error).split())}") from None
        return nbformat.read(executed, as_version=4)


def ledger(source: Path, executed: nbformat.NotebookNode) -> Results:
    """The ledger that the cell tagged `results` emitted, held against the schema."""
    tagged = [c for c in executed.cells if "results" in c.metadata.get("tags", [])]
    data = [o.data["application/json"] for c in tagged for o in c.get("outputs", [])
            if "application/json" in o.get("data", {})]
    if len(data) != 1:
        raise ChapterError(f"{source.stem}: the cell tagged 'results' must emit one ledger, found {len(data)}")
    try:
        return Results.model_validate(data[0])
    except ValueError as error:
        raise ChapterError(f"{source.stem}: ledger refused: {' '.join(str(error).split())}") from None


def _finish(executed: nbformat.NotebookNode, signature: dict[str, str]) -> None:
    """Hide the injected cell, drop papermill's paths and times, sign with the cache key."""
    for cell in executed.cells:
        cell.metadata.pop("papermill", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"] = [*cell.metadata["tags"], "hide-input"]
    executed.metadata.pop("papermill", None)
    executed.metadata["phasebook"] = signature


def _replace(file: Path, text: str) -> None:
    """Write a file whole: beside it first, then renamed over it."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(name, 0o644)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
