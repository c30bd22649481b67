"""Whether an executed notebook is still what a run would give: everything it depends on, and what was written.

A notebook carries a signature in its metadata: the digest of its parameters, the key (all that it depends on), and the
digests of its own cells and of its results file. A run is skipped where all of them stand.
"""

import ast
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from glob import escape, glob
from pathlib import Path
from typing import Any

import nbformat

import phasebook
from phasebook.site.build import sources
from phasebook.site.paths import root

__all__ = ["cache_key", "sign", "signature"]

SAID = {"prompt", "negative_prompt", "edits", "revision", "variant", "device", "dtype"}     # texts that name no file
PLACES = {f"phasebook.{name}": place for name, place in phasebook._PLACES.items()}


def signature(page: Path, results: Path | None) -> dict[str, str]:
    """The signature of an executed notebook, {} where it or its results file is missing, broken or was edited."""
    try:
        book = json.loads(page.read_text(encoding="utf-8"))
        signed = book["metadata"].pop("phasebook")
        whole = signed["cells"] == _of_notebook(book)
        whole = whole and (results is None or signed["results"] == _of_bytes(results.read_bytes()))
        return dict(signed) if whole else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def sign(executed: nbformat.NotebookNode, changes: Mapping[str, Any], key: str, results: str) -> None:
    """Put the signature into a notebook's metadata, in place."""
    executed.metadata.pop("phasebook", None)
    cells = _of_notebook(json.loads(nbformat.writes(executed)))
    executed.metadata["phasebook"] = {"parameters": of_parameters(changes), "key": key, "cells": cells,
                                      "results": _of_bytes(results.encode())}


def of_parameters(changes: Mapping[str, Any]) -> str:
    """The digest of changed parameters."""
    return _of_bytes(json.dumps(changes, sort_keys=True, default=str).encode())


def _of_notebook(book: dict) -> str:
    return _of_bytes(json.dumps(book, sort_keys=True).encode())


def _of_bytes(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def cache_key(source: Path, changes: Mapping[str, Any]) -> str:
    """SHA-256 over everything that the executed notebook depends on: the source, the claims, the modules of the
    package that it imports, the assets, the lock file, the parameters and any file or folder that one of them names."""
    digest = hashlib.sha256()
    values = dict(changes) if source in sources.pages() else {**sources.defaults(source), **changes}
    digest.update(json.dumps(values, sort_keys=True, default=str).encode())
    claims = source.parent / "claims" / f"{source.stem}.yaml"
    files = [source, *_files(claims), root() / "requirements.lock", *sorted(imported(source)),
             *_files(root() / "assets")]
    called = [(file.name, file) for file in files]
    naming = [value for name, value in values.items() if name not in SAID]
    for value in _texts(naming):        # but what this chapter itself wrote there
        called += [(where, f) for where, f in _named(value) if not f.name.startswith(source.stem + ".")]
    for where, file in called:
        digest.update(os.fsencode(f"{where}:") + _digest(file))
    return digest.hexdigest()


def _texts(values: list[Any]) -> Iterator[str]:
    """Texts among values, also those in lists, and in lists that are given as text."""
    for value in values:
        if isinstance(value, list):
            yield from _texts(value)
        elif isinstance(value, str) and value:
            yield value
            if value.startswith("["):
                with suppress(ValueError, RecursionError):
                    yield from _texts([json.loads(value)])


def _named(value: str) -> list[tuple[str, Path]]:
    """The files that a parameter names, from here or from the repository, each with its place in what is named: the
    folders of pictures are families. A network's students lie beside it."""
    name = os.path.expanduser(value)
    place = name if os.path.exists(name) else str(root() / name)
    places = [place] if os.path.exists(place) else []
    places += sorted(glob(escape(place) + "-in-*"))
    return [(os.path.relpath(file, place), file) for place in places for file in _files(Path(place))]


def _digest(file: Path) -> bytes:
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError as error:        # the chapter's own check says it better
        return repr(error).encode()


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())


def imported(source: Path) -> set[Path]:
    """The modules of the package that `source` imports, at whatever depth, with the data files beside them."""
    package = root() / "src" / "phasebook"
    modules: set[Path] = set()
    waiting = [source]
    while waiting:
        for name in _imports(waiting.pop()):
            name = PLACES.get(name, name)           # a public name is loaded from its module when it is used
            base = package.joinpath(*name.split(".")[1:])
            for file in (base.with_suffix(".py"), base / "__init__.py"):
                if file.is_file() and file not in modules:
                    modules.add(file)
                    waiting.append(file)
    data = {f for module in modules for f in module.parent.glob("*.*") if f.suffix in {".js", ".css", ".json"}}
    return modules | data


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(sources.parsed(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "phasebook")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "phasebook":
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)
